// The files that a compilation leaves: the artifact, a program, objects and libraries, a file of weights, a header.
//
// artifact     := code, padding to 64 KiB, weights, footer     (--emit=so)
// program      := runner, padding to 64 KiB, artifact          (--emit=exe; the footer tells how long the artifact is)
// weights file := weights, footer of weights                   (--weights=separate; the weights before are empty then)
//
// Footers are described in runtime/core/manifest.h, objects and libraries in ObjectFile.h.
#ifndef ONAGER_EXPORT_LLVMTOARTIFACT_ARTIFACT_H
#define ONAGER_EXPORT_LLVMTOARTIFACT_ARTIFACT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>

namespace onager {

/// Gives the bytes of the weight section, piece by piece; returns false where it cannot.
using WeightSink = llvm::function_ref<bool(llvm::ArrayRef<char>)>;
using WeightSource = llvm::function_ref<bool(WeightSink)>;

/// What becomes of an object.
struct Product {
  std::string path;         ///< where it goes
  std::string emit;         ///< so, exe, obj or lib
  std::string modelName;    ///< prefix of the exported symbol of objects and libraries
  std::string header;       ///< text of <modelName>.h beside objects and libraries
  bool separateWeights = false;
  bool isSanitized = false; ///< the code calls AddressSanitizer's runtime
  uint64_t weightBytes = 0;
  uint64_t manifestHash = 0; ///< ties a file of weights to its model
};

/// Returns the name of the exported symbol's prefix: shared objects are asked for one fixed name, objects linked into programs keep theirs apart.
std::string getSymbolPrefix(const Product &product);
/// True where the object must refer to `<modelName>_weights`.
bool refersToWeights(const Product &product);

/// Links the objects and writes all files of the product, each by way of a temporary file beside it. False and a reason on failure; then no file
/// has been written in part.
bool writeProduct(const Product &product, llvm::ArrayRef<llvm::ArrayRef<char>> objects, WeightSource weights, std::string &error);

} // namespace onager

#endif
