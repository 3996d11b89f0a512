// Opens model files: protobuf, or ONNX text.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/defs/parser.h>

using namespace mlir;

namespace onager {

/// Parses bytes as protobuf, else as text. Returns the reason of failure.
static std::string parseModel(StringRef bytes, onnx::ModelProto &model) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), INT32_MAX)));
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT32_MAX);
  if (bytes.size() < INT32_MAX && model.ParseFromCodedStream(&coded) && model.has_graph())
    return {};
  StringRef head = bytes.take_front(4096).ltrim();
  if (!head.starts_with("<") && !head.starts_with("//"))
    return bytes.size() >= INT32_MAX ? "the file is larger than 2 GiB; keep its weights in external files" : "it is not an ONNX model (or is nested too deeply)";
  std::string text;
  SmallVector<StringRef> lines;
  bytes.split(lines, '\n');
  for (StringRef line : lines)
    if (!line.ltrim().starts_with("//"))
      text += line.str() + "\n";
  model.Clear();
  onnx::OnnxParser parser(text.c_str());
  auto status = parser.Parse(model);
  return status.IsOK() ? std::string() : "it is not valid ONNX text: " + status.ErrorMessage();
}

static OwningOpRef<ModuleOp> importParsed(const onnx::ModelProto &model, const std::string &folder, const ImportOptions &options, MLIRContext &context,
                                          std::vector<std::shared_ptr<void>> &kept, ImportResult &result) {
  import::Importer importer(context, folder);
  OwningOpRef<ModuleOp> module = importer.importModel(model, options);
  result.errors = importer.errors;
  result.refused = !module;
  for (auto &buffer : importer.kept)
    kept.push_back(buffer);
  return module;
}

OwningOpRef<ModuleOp> importOnnx(const ImportSource &source, const ImportOptions &options, MLIRContext &context, ImportResult &result) {
  try {
    auto model = std::make_shared<onnx::ModelProto>();
    StringRef bytes = source.bytes;
    std::unique_ptr<llvm::MemoryBuffer> file;
    std::string folder;
    if (!source.path.empty()) {
      auto opened = llvm::MemoryBuffer::getFile(source.path, false, /*RequiresNullTerminator=*/false);
      if (!opened) {
        result.errors.push_back("cannot read '" + source.path + "': " + opened.getError().message());
        return {};
      }
      file = std::move(*opened);
      bytes = file->getBuffer();
      SmallString<256> path(source.path);
      llvm::sys::fs::make_absolute(path);
      folder = llvm::sys::path::parent_path(path).str();
    }
    std::string reason = parseModel(bytes, *model);
    if (!reason.empty()) {
      result.errors.push_back((source.path.empty() ? std::string("model") : "'" + source.path + "'") + ": " + reason);
      return {};
    }
    file.reset();
    auto kept = std::make_shared<std::vector<std::shared_ptr<void>>>();
    kept->push_back(model);
    result.keeper = kept;
    return importParsed(*model, folder, options, context, *kept, result);
  } catch (const std::exception &error) {
    result.errors.push_back(std::string("import failed: ") + error.what());
  } catch (const import::Refusal &refusal) {
    result.errors.push_back(refusal.reason);
  }
  return {};
}

} // namespace onager
