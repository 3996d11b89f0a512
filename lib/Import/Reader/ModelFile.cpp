// Mapping, parsing and external data. Compiled with exceptions: ONNX's text parser may throw, nothing leaves this file.
#include "lib/Import/Reader/ModelFile.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/stubs/logging.h"
#include "llvm/ADT/StringExtras.h"
#include "onnx/defs/parser.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace onager::frontend {

/// Protobuf counts several levels for each nested subgraph.
static constexpr int kMaxProtoDepth = 400;
/// Brackets in ONNX text, whose parser recurs for each without a limit: two for a nested subgraph and its signature.
static constexpr int kMaxTextDepth = 300;

MappedFiles::~MappedFiles() {
  for (const Mapping &mapping : mappings)
    munmap(mapping.address, mapping.size);
}

bool MappedFiles::map(const std::string &path, llvm::StringRef &bytes, std::string &error) {
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    error = "cannot open '" + path + "': " + std::strerror(errno);
    return false;
  }
  struct stat status;
  bool isFile = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (!isFile || status.st_size == 0) {
    error = "'" + path + "' is " + (isFile ? "empty" : "not a regular file");
    close(descriptor);
    return false;
  }
  void *address = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
  close(descriptor);
  if (address == MAP_FAILED) {
    error = "cannot map '" + path + "': " + std::strerror(errno);
    return false;
  }
  mappings.push_back({address, static_cast<size_t>(status.st_size)});
  bytes = llvm::StringRef(static_cast<const char *>(address), static_cast<size_t>(status.st_size));
  return true;
}

/// Guesses from the first bytes: a binary model starts with field tags and holds bytes below 9 early on; text may hold UTF-8.
static bool looksLikeText(llvm::StringRef bytes) {
  llvm::StringRef head = bytes.take_front(256);
  for (char c : head)
    if (llvm::isASCII(c) && !llvm::isPrint(c) && !llvm::isSpace(c))
      return false;
  head = head.ltrim();
  return !head.empty() && (head.front() == '<' || head.front() == '#' || head.front() == '/' || llvm::isAlpha(head.front()));
}

/// Drops comment lines that start with // (a lit test's RUN and CHECK lines).
static std::string dropComments(llvm::StringRef text) {
  std::string result;
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    if (!line.ltrim().starts_with("//"))
      result.append(line.data(), line.size());
    result.push_back('\n');
    text = rest;
  }
  return result;
}

/// Tells how deep braces and parentheses are nested, quoted ones left out.
static int measureDepth(llvm::StringRef text) {
  int depth = 0, most = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at)
        at += text[at] == '\\';
      continue;
    }
    depth += text[at] == '{' || text[at] == '(';
    depth -= depth > 0 && (text[at] == '}' || text[at] == ')');
    most = std::max(most, depth);
  }
  return most;
}

static bool parseText(llvm::StringRef text, onnx::ModelProto &proto, std::string &error) {
  std::string clean = dropComments(text);
  if (measureDepth(clean) > kMaxTextDepth) {
    error = "not a model in ONNX text: it is nested too deeply";
    return false;
  }
  onnx::OnnxParser parser(clean.c_str());
  auto status = parser.Parse(proto);
  if (!status.IsOK()) {
    error = "not a model in ONNX text: " + status.ErrorMessage();
    return false;
  }
  return true;
}

static bool parseBinary(llvm::StringRef bytes, LoadedModel &model, std::string &error) {
  std::string slim;
  if (!stripRawData(bytes, slim, model.rawData)) {
    error = "not an ONNX model: the protobuf message is damaged or cut short";
    return false;
  }
  if (slim.size() >= (size_t(1) << 31)) {
    error = "the model holds more than 2 GiB besides its weights";
    return false;
  }
  google::protobuf::LogSilencer silence;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t *>(slim.data()), static_cast<int>(slim.size()));
  stream.SetRecursionLimit(kMaxProtoDepth);
  if (!model.proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    error = "not an ONNX model: the protobuf message is damaged, or nested too deeply";
    return false;
  }
  if (!model.proto.has_graph() || model.proto.opset_import_size() == 0) {
    error = "not an ONNX model: it has no graph or names no operator set";
    return false;
  }
  return true;
}

bool loadModel(const std::string &path, llvm::StringRef bytes, LoadedModel &model, std::string &error) {
  try {
    if (!path.empty()) {
      if (!model.files->map(path, bytes, error))
        return false;
      model.folder = std::filesystem::path(path).parent_path().string();
      if (model.folder.empty())
        model.folder = ".";
    }
    if (bytes.empty()) {
      error = "the model is empty";
      return false;
    }
    return looksLikeText(bytes) ? parseText(bytes, model.proto, error) : parseBinary(bytes, model, error);
  } catch (const std::exception &exception) {
    error = std::string("cannot read the model: ") + exception.what();
    return false;
  }
}

namespace {
struct ExternalPlace {
  std::string location;
  uint64_t offset = 0;
  uint64_t length = 0;
  bool hasLength = false;
};
} // namespace

static bool readPlace(const onnx::TensorProto &tensor, ExternalPlace &place, std::string &error) {
  for (const auto &entry : tensor.external_data()) {
    llvm::StringRef value = entry.value();
    bool isBad = false;
    if (entry.key() == "location")
      place.location = entry.value();
    else if (entry.key() == "offset")
      isBad = value.getAsInteger(10, place.offset);
    else if (entry.key() == "length")
      isBad = value.getAsInteger(10, place.length), place.hasLength = true;
    if (isBad) {
      error = "external data: '" + entry.key() + "' is '" + entry.value() + "', expected a number";
      return false;
    }
  }
  if (place.location.empty() || place.location.find('\0') != std::string::npos) {
    error = "external data without a location";
    return false;
  }
  return true;
}

/// Resolves a location inside the model's folder; symbolic links may not lead out of it.
static bool resolveInside(const std::string &folder, const std::string &location, std::string &path, std::string &error) {
  namespace fs = std::filesystem;
  fs::path relative(location);
  bool isInside = relative.is_relative();
  for (const fs::path &part : relative)
    isInside &= part != "..";
  std::error_code code;
  fs::path root = fs::canonical(folder, code), full;
  if (isInside && !code)
    full = fs::canonical(root / relative, code);
  if (isInside && code) {
    error = "external data file '" + location + "': " + code.message();
    return false;
  }
  if (isInside) {
    fs::path below = full.lexically_relative(root);
    isInside = !below.empty() && *below.begin() != "..";
  }
  if (!isInside) {
    error = "external data file '" + location + "' lies outside the model's folder";
    return false;
  }
  path = full.string();
  return true;
}

bool mapExternalData(LoadedModel &model, const onnx::TensorProto &tensor, size_t expectedBytes, llvm::StringRef &bytes, std::string &error) {
  try {
    ExternalPlace place;
    if (!readPlace(tensor, place, error))
      return false;
    if (model.folder.empty()) {
      error = "external data needs a model read from a file";
      return false;
    }
    std::string path;
    llvm::StringRef &file = bytes;
    if (!resolveInside(model.folder, place.location, path, error))
      return false;
    if (expectedBytes == 0) {
      bytes = {};
      return true;
    }
    if (!model.files->map(path, file, error))
      return false;
    uint64_t length = place.hasLength ? place.length : expectedBytes;
    if (place.offset > file.size() || length > file.size() - place.offset || length != expectedBytes) {
      error = "external data file '" + place.location + "' has " + std::to_string(file.size()) + " bytes; the tensor takes " +
              std::to_string(expectedBytes) + " from offset " + std::to_string(place.offset);
      return false;
    }
    bytes = file.substr(place.offset, length);
    return true;
  } catch (const std::exception &exception) {
    error = std::string("external data: ") + exception.what();
    return false;
  }
}

} // namespace onager::frontend
