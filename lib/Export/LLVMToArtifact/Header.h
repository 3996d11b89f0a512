// The C header that goes with an object or a static library.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_HEADER_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_HEADER_H

#include "runtime/core/manifest.h"
#include <string>

namespace onager {

/// Returns the text of NAME.h: the model's signature, its symbol, and a function that opens it. `separateWeights`: that function takes the path
/// of the file of weights.
std::string formatHeader(const rt::Manifest &manifest, bool separateWeights);

} // namespace onager

#endif
