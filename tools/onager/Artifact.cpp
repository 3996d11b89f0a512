// Telling models from artifacts, compiling to temporary files.
#include "Artifact.h"
#include "ArtifactManifest.h"
#include "Sanitizer.h"
#include "runtime/core/sanitizer.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cerrno>
#include <cstdio>
#include <cstring>

using llvm::StringRef;

namespace onager::cli {

static constexpr StringRef kElfMagic("\x7f"
                                     "ELF");

ModelSource openSource(const std::string &path) {
  if (path == "-") {
    ModelSource source{"", readFile(path), "standard input"};
    if (source.bytes.empty())
      throw Failure(Status::badFile, "standard input is empty");
    source.isArtifact = StringRef(source.bytes).starts_with(kElfMagic);
    return source;
  }
  std::FILE *file = std::fopen(path.c_str(), "rbe");
  if (!file)
    throw Failure(Status::badFile, "cannot open '" + path + "': " + std::strerror(errno));
  char head[4];
  size_t count = std::fread(head, 1, sizeof head, file);
  std::fclose(file);
  return {path, "", path, StringRef(head, count) == kElfMagic};
}

Artifact compileSource(ModelSource source, CompileOptions options, CompileResult *told) {
  if (options.sanitize)
    enterSanitizer(source.bytes);
  auto temporary = std::make_shared<TemporaryPath>(TemporaryPath::file, "so");
  options.model = source.path;
  options.bytes = source.bytes;
  options.output = temporary->get();
  showProgress("compiling " + source.shown + " at -O" + std::to_string(options.optLevel));
  CompileResult result = compile(options);
  if (result.status != Status::ok)
    throw Failure(result.status, result.error);
  if (told)
    *told = std::move(result);
  return {temporary->get(), temporary};
}

Artifact provideArtifact(const ModelSource &source, const CompilerArguments &arguments) {
  if (!source.isArtifact)
    return compileSource(source, arguments.resolve());
  if (!arguments.isEmpty())
    throw Failure(Status::badOption, source.shown + " is compiled already: --target, -O, --shape and --sanitize do not apply");
  Artifact artifact{source.path, nullptr};
  if (source.path.empty()) {
    artifact.temporary = std::make_shared<TemporaryPath>(TemporaryPath::file, "so");
    artifact.path = artifact.temporary->get();
    writeFile(artifact.path, source.bytes);
  }
  if (llvm::is_contained(readManifest(artifact.path).features, rt::kSanitizerFeature) && !rt::hasSanitizer()) {
    artifact.temporary.reset(); // a new start would leave the file behind
    enterSanitizer(source.bytes);
  }
  return artifact;
}

rt::Manifest readManifest(const std::string &path) { return ArtifactFile(path).description.levels[0].generic; }

static std::unique_ptr<llvm::MemoryBuffer> openArtifact(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    throw Failure(Status::badFile, "cannot open '" + path + "': " + buffer.getError().message());
  return std::move(*buffer);
}

ArtifactFile::~ArtifactFile() = default;

ArtifactFile::ArtifactFile(const std::string &path) : bytes(openArtifact(path)), description(parseArtifact(bytes->getBuffer(), "'" + path + "'")) {}

} // namespace onager::cli
