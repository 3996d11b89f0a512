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

/// Memory for reading.
struct Mapping {
  Mapping() = default;
  Mapping(const Mapping &) = delete;
  ~Mapping();
  /// Maps the whole of a regular file.
  Outcome map(int fd, const std::string &name);
  /// Copies bytes to huge pages, where the system has them; false without memory.
  bool copy(const char *from, size_t length);
  const char *bytes = nullptr;
  size_t size = 0;
};

/// One form of a model's code, with what it says about itself.
struct Code {
  Manifest manifest;
  onager_main main = nullptr;
  const char *weights = nullptr;
  const char *ownWeights = nullptr; ///< of a variant
  bool isSanitized = false;         ///< AddressSanitizer instruments it
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

  /// Bytes of the file.
  uint64_t size() const { return file.size; }
  /// Bytes of the level's section of weights from generic.weights on; 0 where it is not known.
  uint64_t weightRoom() const { return weightBytes; }
  /// The open file that has the weights, where variants can be made; -1 elsewhere. They begin at `weightsOffset`.
  int getWeightsDescriptor() const { return weightsDescriptor; }
  uint64_t weightsOffset() const { return sectionOffset + weightStart; }
  /// True where that file is the artifact.
  bool isFileWhole() const { return weightsDescriptor >= 0 && !weightsFile.bytes; }

  Code generic;               ///< for all shapes
  std::vector<Code> variants; ///< that came with the artifact
  const char *form = nullptr, *recipes = nullptr; ///< what variants are made of, see onager_model and onager_code_level; null where none can be
  uint64_t formBytes = 0, recipeBytes = 0;

private:
  Outcome openDescriptor(int fd, const std::string &name, const char *weightsPath);
  Outcome openWeights(const char *path, const std::string &name);
  Outcome readWeights(int fd, const std::string &who, const std::string &name);
  Outcome loadCode(const char *code, size_t bytes, const std::string &name);
  Outcome adopt(const onager_model *model, const std::string &name);
  Outcome adoptVariants(const onager_code_level &level, const std::string &name);
  /// What the forms need of the section of weights.
  uint64_t neededBytes() const;
  bool needsWeights() const;
  /// Tells all forms where the section of weights is, which lies in a file of which `fd` is a descriptor, or in none, -1.
  void placeWeights(const char *section, uint64_t bytes, int fd, uint64_t offset);

  void *library = nullptr;
  int weightsDescriptor = -1;
  uint64_t sectionOffset = 0; ///< of the section of weights in the file of that descriptor
  int codeDescriptor = -1; ///< kept open: the loader knows the code by /proc/PID/fd/N, which must stay unique while loaded
  Mapping file, weightsFile, weightsCopy;
  uint64_t manifestHash = 0;
  uint64_t weightStart = 0, weightBytes = 0; ///< of the level's weights in the section; of what follows from there on
  std::vector<uint64_t> ownStarts; ///< of the variants' own weights in the section
};

/// Returns the first feature of the list that this processor lacks, or that the system does not let this process use, with its reason; or an empty string.
std::string findMissingFeature(const std::vector<std::string> &features);

} // namespace onager::rt

#endif
