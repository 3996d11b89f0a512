// The artifact: linked code, then weights, then a footer.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_ARTIFACT_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_ARTIFACT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <string>

namespace onager {

/// Links an object into a closed shared object. Empty and a reason in `error` on failure. One call at a time per process.
llvm::SmallVector<char, 0> linkSharedObject(llvm::ArrayRef<char> object, const std::string &modelName, std::string &error);

/// Gives the bytes of the weight section, piece by piece; returns false where it cannot.
using WeightSink = llvm::function_ref<bool(llvm::ArrayRef<char>)>;
using WeightSource = llvm::function_ref<bool(WeightSink)>;

/// Writes code, weights and footer to `path` by way of a temporary file beside it. False and a reason on failure; then `path` is untouched.
bool writeArtifact(const std::string &path, llvm::ArrayRef<char> code, uint64_t weightBytes, WeightSource weights, std::string &error);

} // namespace onager

#endif
