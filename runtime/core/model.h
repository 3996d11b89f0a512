// A loaded artifact: code, manifest and weights. Immutable and shared by the contexts of a session.
#ifndef ONAGER_RUNTIME_CORE_MODEL_H
#define ONAGER_RUNTIME_CORE_MODEL_H

#include "onager-rt/api.h"
#include "runtime/core/manifest.h"

namespace onager::rt {

/// A status and, on failure, one line about it.
struct Outcome {
  onager_status status = ONAGER_OK;
  std::string message;
  explicit operator bool() const { return status == ONAGER_OK; }
};
inline Outcome failure(onager_status status, std::string message) { return {status, std::move(message)}; }

class Model {
public:
  Model() = default;
  Model(const Model &) = delete;
  ~Model();
  /// Opens a file once, checks it, loads the code from a private copy and maps the weights from the same descriptor.
  Outcome openFile(const char *path);
  Outcome openMemory(const void *data, size_t bytes);
  Outcome openLinked(const onager_model *model, const void *weights);

  Manifest manifest;
  onager_main main = nullptr;
  const char *weights = nullptr;

private:
  Outcome openDescriptor(int fd, const std::string &name);
  Outcome loadCode(const char *code, size_t bytes, const std::string &name);
  Outcome adopt(const onager_model *model, const std::string &name);

  void *library = nullptr;
  int codeDescriptor = -1; ///< kept open: the loader knows the code by /proc/self/fd/N, which must stay unique while loaded
  void *mapped = nullptr;
  size_t mappedBytes = 0;
};

/// Returns the first feature of the list that this processor lacks, or an empty string.
std::string findMissingFeature(const std::vector<std::string> &features);

} // namespace onager::rt

#endif
