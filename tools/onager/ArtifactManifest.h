// The manifest of an artifact, found without loading its code.
#ifndef ONAGER_TOOLS_ARTIFACTMANIFEST_H
#define ONAGER_TOOLS_ARTIFACTMANIFEST_H

#include "runtime/core/manifest.h"
#include "llvm/ADT/StringRef.h"

namespace onager::cli {

/// What an artifact says about its forms.
struct ArtifactDescription {
  /// Code for processors of one level.
  struct Level {
    rt::Manifest generic;
    std::vector<rt::Manifest> variants;
    llvm::StringRef recipes, weights; ///< in the artifact's bytes; `weights` of the generic form, empty where they are in another file
  };
  std::vector<Level> levels; ///< the most general first; one at least
  llvm::StringRef form;      ///< what variants are made of, in the artifact's bytes; empty where it was left out
  bool isProgram = false;    ///< the artifact stands behind a program
};

/// Reads an artifact's bytes; `who` names them in messages. Throws Failure for what is no artifact, or a damaged one.
ArtifactDescription parseArtifact(llvm::StringRef bytes, const std::string &who);

} // namespace onager::cli

#endif
