// Objects and static libraries that carry a model, weights and all.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_OBJECTFILE_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_OBJECTFILE_H

#include "lib/Export/LLVMToArtifact/Artifact.h"
#include "llvm/Support/raw_ostream.h"

namespace onager {

/// Writes a relocatable object with one section more, which holds the weights and defines the symbol `<modelName>_weights`. The weights are
/// streamed: no more than one of them is in memory. False and a reason where the object does not refer to that symbol or the source fails.
bool appendWeights(llvm::ArrayRef<char> object, const std::string &modelName, uint64_t weightBytes, WeightSource weights, llvm::raw_ostream &out,
                   std::string &error);

/// Writes a static library of one object file.
bool writeStaticLibrary(llvm::StringRef objectPath, const std::string &memberName, llvm::raw_ostream &out, std::string &error);

} // namespace onager

#endif
