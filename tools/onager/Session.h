// The runtime's C API for one model and one run at a time; failures throw.
#ifndef ONAGER_TOOLS_SESSION_H
#define ONAGER_TOOLS_SESSION_H

#include "Tensor.h"

namespace CLI {
class App;
}

namespace onager::cli {

/// Throws Failure with the runtime's message unless the call went well.
void checkCall(onager_status status);

/// An open artifact and a context to run it in.
class Session {
public:
  /// Opens an artifact; no threads means as many as the process may use. `mode` is one of onager_recompile.
  Session(const std::string &path, int threads, int mode = ONAGER_RECOMPILE_OFF);
  Session(const Session &) = delete;
  ~Session();

  /// Sets the inputs of later runs, in the signature's order. They must outlive them.
  void bind(std::vector<Tensor> &inputs);
  /// Has code made for the inputs' shapes, where the session makes any.
  void warmUp();
  /// Runs the model.
  void run();
  /// Copies the outputs of the last run.
  std::vector<Tensor> copyOutputs() const;

  std::string getInputName(size_t index) const;
  std::string getOutputName(size_t index) const;
  int getThreads() const { return onager_session_threads(session); }
  onager_context *getContext() const { return context; }

private:
  int mode;
  onager_session *session = nullptr;
  onager_context *context = nullptr;
  std::vector<onager_tensor> inputs, outputs;
};

/// Declares the option that chooses the mode of a session; it ends up in `mode`, which must outlive the parsing.
void addRecompile(CLI::App &app, int &mode);

} // namespace onager::cli

#endif
