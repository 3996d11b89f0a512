// The runtime's C API for one model and one run at a time; failures throw.
#ifndef ONAGER_TOOLS_SESSION_H
#define ONAGER_TOOLS_SESSION_H

#include "Tensor.h"
#include "llvm/Support/JSON.h"
#include <optional>

namespace CLI {
class App;
}

namespace onager::cli {

/// Throws Failure with the runtime's message unless the call went well.
void checkCall(onager_status status);

/// What a session does about the shapes that it is run on.
struct Recompilation {
  int mode = ONAGER_RECOMPILE_OFF; ///< one of onager_recompile; the default stands for the environment's, else for off
  bool isChecked = false;          ///< new variants are compared with the generic form

  /// Declares the options; this object must outlive the parsing.
  void addTo(CLI::App &app);
  /// Throws where the mode is the environment's, which names none.
  void checkEnvironment() const;
};

/// An open artifact and a context to run it in.
class Session {
public:
  /// Opens an artifact; no threads means as many as the process may use.
  Session(const std::string &path, int threads, Recompilation recompilation = {});
  Session(const Session &) = delete;
  ~Session();

  /// Sets the inputs of later runs, in the signature's order. They must outlive them.
  void bind(std::vector<Tensor> &inputs);
  /// Has code made for the inputs' shapes, where the session makes any. Throws where none can be made though an option asks for it.
  void warmUp();
  /// What the session counts; nothing where no variants are made or loaded.
  std::optional<onager_stats> getStats() const;
  /// Runs the model.
  void run();
  /// Copies the outputs of the last run.
  std::vector<Tensor> copyOutputs() const;

  std::string getInputName(size_t index) const;
  std::string getOutputName(size_t index) const;
  int getThreads() const { return onager_session_threads(session); }
  onager_context *getContext() const { return context; }

private:
  Recompilation recompilation;
  onager_session *session = nullptr;
  onager_context *context = nullptr;
  std::vector<onager_tensor> inputs, outputs;
};

/// Writes what a session counts: a line, or an object.
std::string formatStats(const onager_stats &stats);
llvm::json::Value describeStats(const onager_stats &stats);

} // namespace onager::cli

#endif
