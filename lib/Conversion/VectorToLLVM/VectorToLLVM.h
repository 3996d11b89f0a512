// Loops, vectors and scalar math to the LLVM dialect.
#ifndef ONAGER_CONVERSION_VECTORTOLLVM_VECTORTOLLVM_H
#define ONAGER_CONVERSION_VECTORTOLLVM_VECTORTOLLVM_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace onager {

/// Adds the passes that leave nothing but the LLVM dialect: polynomials for f32 math, then upstream conversions.
void addVectorToLLVM(mlir::OpPassManager &passes);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lib/Conversion/VectorToLLVM/Passes.h.inc"

} // namespace onager

#endif
