// Models as the command line names them, and the compiled models that become of them.
#ifndef ONAGER_TOOLS_ARTIFACT_H
#define ONAGER_TOOLS_ARTIFACT_H

#include "ArtifactManifest.h"
#include "CompilerArguments.h"
#include "Files.h"
#include "runtime/core/manifest.h"
#include <memory>

namespace llvm {
class MemoryBuffer;
}

namespace onager::cli {

/// A model or a compiled model: a file, or bytes from standard input.
struct ModelSource {
  std::string path;  ///< empty where `bytes` holds it
  std::string bytes;
  std::string shown; ///< what messages call it
  bool isArtifact = false;
};

/// Looks at a file, or reads standard input for `-`, and tells models from compiled ones.
ModelSource openSource(const std::string &path);

/// A compiled model in a file, which is removed with it where it was made for this process.
struct Artifact {
  std::string path;
  std::shared_ptr<TemporaryPath> temporary;
};

/// Compiles a model to a temporary file, which this process will load. What the compiler says of it goes to `told`, if there is one.
Artifact compileSource(ModelSource source, CompileOptions options, CompileResult *told = nullptr);

/// Returns the artifact that the source is or, compiled with the given options, becomes.
Artifact provideArtifact(const ModelSource &source, const CompilerArguments &arguments);

/// Reads an artifact's manifest without loading its code, so that artifacts for other processors can be read as well.
rt::Manifest readManifest(const std::string &path);
/// An artifact's file, read without loading its code.
struct ArtifactFile {
  explicit ArtifactFile(const std::string &path);
  ~ArtifactFile();
  std::unique_ptr<llvm::MemoryBuffer> bytes;
  ArtifactDescription description; ///< refers to `bytes`
};

} // namespace onager::cli

#endif
