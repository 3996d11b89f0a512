// Straight-line arithmetic for math functions of f32 and f64.
#ifndef ONAGER_CONVERSION_VECTORTOLLVM_MATHFUNCTIONS_H
#define ONAGER_CONVERSION_VECTORTOLLVM_MATHFUNCTIONS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace onager {

/// True for what expandFunction takes: exp of f32 and its vectors; exp and tanh of f64 and its vectors; sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh, log, log1p,
/// expm1 and pow of scalar f32.
bool isExpandable(mlir::Operation *op);
/// True for sin, cos and tan, whose arithmetic reads the table of provideCircleTable.
bool needsCircleTable(mlir::Operation *op);
/// Adds the table to a module that lacks it: 2^k modulo 2 pi for k in [0, 105), as pairs of doubles, the first of 28 bits.
void provideCircleTable(mlir::ModuleOp module);
/// Emits the value of an expandable operation before it: within 1.5 units in the last place of the exact function for all arguments, infinities, NaN
/// and signed zeros as IEEE 754 says; tanh within 3. Scalars of f32 are computed in f64, exp in f32.
mlir::Value expandFunction(mlir::ImplicitLocOpBuilder &b, mlir::Operation *op);

} // namespace onager

#endif
