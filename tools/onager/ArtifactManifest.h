// The manifest of an artifact, found without loading its code.
#ifndef ONAGER_TOOLS_ARTIFACTMANIFEST_H
#define ONAGER_TOOLS_ARTIFACTMANIFEST_H

#include "runtime/core/manifest.h"
#include "llvm/ADT/StringRef.h"

namespace onager::cli {

/// Reads the manifest in an artifact's bytes; `who` names them in messages. Throws Failure for what is no artifact, or a damaged one.
rt::Manifest parseManifest(llvm::StringRef bytes, const std::string &who);

} // namespace onager::cli

#endif
