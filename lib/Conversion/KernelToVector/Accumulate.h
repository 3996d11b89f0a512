// Running sums, products, maxima: how reductions start and step.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_ACCUMULATE_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_ACCUMULATE_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// The value of a reduction over nothing, in the compute type of `storage`.
mlir::Value getIdentity(UnitEmitter &e, graph::ReduceKind kind, mlir::Type storage);
/// One step of a reduction, of scalars or, lane by lane, vectors. Float sums may be reassociated by the vectoriser unless exact.
mlir::Value accumulate(UnitEmitter &e, graph::ReduceKind kind, mlir::Type storage, mlir::Value sum, mlir::Value x);
/// The larger of two floats; NaN gives way. Cheaper than a step of `max`, for what NaN reaches in another way.
mlir::Value largerNumber(UnitEmitter &e, mlir::Value a, mlir::Value c);
/// What follows the last step: a mean's division by `count` (i64).
mlir::Value finishReduction(UnitEmitter &e, graph::ReduceKind kind, mlir::Type storage, mlir::Value sum, mlir::Value count);
/// True where x is better than `best`: larger, or smaller; as good, too, where the `last` one counts. NaN beats all but NaN.
mlir::Value isBetter(UnitEmitter &e, mlir::Value x, mlir::Value best, mlir::Type storage, bool largest, bool last);
/// Calls `body` with the index in x of each tap of the window of result `index` that lies inside of x, in row-major order: its dims up to the first `rank`
/// spatial ones. `at` starts as the dims before those.
llvm::SmallVector<mlir::Value> forPoolTaps(UnitEmitter &e, graph::MaxPoolIndicesOp pool, llvm::ArrayRef<mlir::Value> index, UnitEmitter::Index at, size_t rank,
                                           mlir::ValueRange carried,
                                           llvm::function_ref<llvm::SmallVector<mlir::Value>(llvm::ArrayRef<mlir::Value>, mlir::ValueRange)> body);
/// The number by which the pool names the element of x at `at`.
mlir::Value flattenPoolIndex(UnitEmitter &e, graph::MaxPoolIndicesOp pool, llvm::ArrayRef<mlir::Value> at);
/// Emits nested loops over `dims` with one carried value; `body` gets the indices; `parallel` as in forLoop.
mlir::Value reduceNest(UnitEmitter &e, llvm::ArrayRef<mlir::AffineExpr> dims, mlir::Value init,
                       llvm::function_ref<mlir::Value(llvm::ArrayRef<mlir::Value>, mlir::Value)> body, bool parallel = false);
/// Emits nested loops over `dims` whose iterations are independent; `body` also gets the linear index.
void forNest(UnitEmitter &e, llvm::ArrayRef<mlir::AffineExpr> dims, llvm::function_ref<void(llvm::ArrayRef<mlir::Value>, mlir::Value)> body);

} // namespace onager

#endif
