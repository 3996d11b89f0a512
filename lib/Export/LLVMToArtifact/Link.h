// lld, called in process.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_LINK_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <string>

namespace onager {

/// Links objects and what they need of runtime/ops and runtime/images into a closed shared object; where it is sanitized, one that needs the functions of AddressSanitizer's
/// runtime and nothing else. Empty and a reason in `error` on failure.
llvm::SmallVector<char, 0> linkSharedObject(llvm::ArrayRef<llvm::ArrayRef<char>> objects, const std::string &modelName, bool isSanitized, std::string &error);

/// Links objects and what they need of runtime/ops and runtime/images into one relocatable object whose only global symbols are `<modelName>_model` and, undefined,
/// `<modelName>_weights`, so that any number of models can be linked into one program. Empty and a reason in `error` on failure.
llvm::SmallVector<char, 0> linkRelocatable(llvm::ArrayRef<llvm::ArrayRef<char>> objects, const std::string &modelName, std::string &error);

} // namespace onager

#endif
