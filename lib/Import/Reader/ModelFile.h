// Opens a model file: maps it, parses it, keeps large weights out of the parser.
#ifndef ONAGER_LIB_IMPORT_READER_MODELFILE_H
#define ONAGER_LIB_IMPORT_READER_MODELFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "onnx/onnx_pb.h"
#include <memory>
#include <string>
#include <vector>

namespace onager::frontend {

/// Files mapped for one import; they live as long as the module.
class MappedFiles {
public:
  MappedFiles() = default;
  MappedFiles(const MappedFiles &) = delete;
  ~MappedFiles();
  /// Maps a file for reading; on failure returns false and sets `error`.
  bool map(const std::string &path, llvm::StringRef &bytes, std::string &error);

private:
  struct Mapping {
    void *address;
    size_t size;
  };
  std::vector<Mapping> mappings;
};

/// A parsed model.
struct LoadedModel {
  std::shared_ptr<MappedFiles> files = std::make_shared<MappedFiles>();
  onnx::ModelProto proto;
  /// The raw bytes of the main graph's initialiser k where they were left in the file, else empty.
  std::vector<llvm::StringRef> rawData;
  /// Folder of the model file, against which external data is resolved; empty for models from memory.
  std::string folder;
};

/// Raw data of initialisers from this size on stays in the mapped file.
inline constexpr size_t kMinMappedBytes = 1024;

/// Copies a serialised ModelProto without the raw data of the main graph's large initialisers, whose places go to `rawData`.
/// Returns false where the bytes are not a well-formed message.
bool stripRawData(llvm::StringRef bytes, std::string &slim, std::vector<llvm::StringRef> &rawData);

/// Reads a model from a file, or from bytes where the path is empty; ONNX text is told from its content.
bool loadModel(const std::string &path, llvm::StringRef bytes, LoadedModel &model, std::string &error);

/// Maps a tensor's external data; refuses paths that leave the model's folder.
bool mapExternalData(LoadedModel &model, const onnx::TensorProto &tensor, size_t expectedBytes, llvm::StringRef &bytes, std::string &error);

} // namespace onager::frontend

#endif
