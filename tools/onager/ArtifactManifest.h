// The manifest of an artifact, found without loading its code.
#ifndef ONAGER_TOOLS_ARTIFACTMANIFEST_H
#define ONAGER_TOOLS_ARTIFACTMANIFEST_H

#include "runtime/core/manifest.h"
#include "llvm/ADT/StringRef.h"

namespace onager::cli {

/// What the most general level of an artifact says about its forms.
struct ArtifactDescription {
  rt::Manifest generic;
  std::vector<rt::Manifest> variants;
  uint64_t formBytes = 0; ///< of what variants are made of; 0 where it was left out
};

/// Reads an artifact's bytes; `who` names them in messages. Throws Failure for what is no artifact, or a damaged one.
ArtifactDescription parseArtifact(llvm::StringRef bytes, const std::string &who);

} // namespace onager::cli

#endif
