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

/// A file mapped for reading.
struct Mapping {
  Mapping() = default;
  Mapping(const Mapping &) = delete;
  ~Mapping();
  /// Maps the whole of a regular file.
  Outcome map(int fd, const std::string &name);
  const char *bytes = nullptr;
  size_t size = 0;
};

class Model {
public:
  Model() = default;
  Model(const Model &) = delete;
  ~Model();
  /// Opens a file once, checks it, loads the code from a private copy and maps the weights from the same descriptor.
  /// `weightsPath` names the file of weights of an artifact without them; NULL: the artifact's path and `.weights`.
  Outcome openFile(const char *path, const char *weightsPath);
  Outcome openMemory(const void *data, size_t bytes, const char *weightsPath);
  Outcome openLinked(const onager_model *model, const void *weights, const char *weightsPath);

  /// True where AddressSanitizer instruments the code.
  bool isSanitized() const { return sanitized; }

  Manifest manifest;
  onager_main main = nullptr;
  const char *weights = nullptr;

private:
  Outcome openDescriptor(int fd, const std::string &name, const char *weightsPath);
  Outcome openWeights(const char *path, const std::string &name);
  Outcome loadCode(const char *code, size_t bytes, const std::string &name);
  Outcome adopt(const onager_model *model, const std::string &name);

  void *library = nullptr;
  int codeDescriptor = -1; ///< kept open: the loader knows the code by /proc/PID/fd/N, which must stay unique while loaded
  Mapping file, weightsFile;
  bool sanitized = false;
  uint64_t manifestHash = 0;
  uint64_t weightStart = 0; ///< of the variant's weights in the section
};

/// Returns the first feature of the list that this processor lacks, or an empty string.
std::string findMissingFeature(const std::vector<std::string> &features);

} // namespace onager::rt

#endif
