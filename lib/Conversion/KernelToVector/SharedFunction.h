// Functions that units of a module share: inner kernels, which are compiled once for all layers; and what becomes of their loops.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_SHAREDFUNCTION_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_SHAREDFUNCTION_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Finds a function of the module, or makes one that is internal and never inlined; `build` gets its entry block.
mlir::func::FuncOp getSharedFunction(UnitEmitter &e, llvm::StringRef name, mlir::TypeRange types, llvm::function_ref<void(mlir::Block *entry)> build);
/// Keeps a loop one: its body already has as many chains as multiply-adds take cycles, and unrolling spills.
void forbidUnrolling(mlir::scf::ForOp loop);
/// Keeps a loop of a few known iterations, of which vectors can be made, from being unrolled into scalars before.
void keepForVectors(mlir::scf::ForOp loop);
/// The loop that counts `iv`.
mlir::scf::ForOp getLoop(mlir::Value iv);

} // namespace onager

#endif
