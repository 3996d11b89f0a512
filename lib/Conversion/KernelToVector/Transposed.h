// Maps of transposed operands; see Transposed.cpp.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_TRANSPOSED_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_TRANSPOSED_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Turns rows of a square, vectors of as many elements as there are rows, into its columns.
void transposeSquare(UnitEmitter &e, llvm::SmallVectorImpl<mlir::Value> &rows);
/// Transposes a matrix by squares of vectors: elements from column `c` of row `r` on lie at from(r, c), and go to to(c, r). Extents are rounded up to whole squares.
void transposeSquares(UnitEmitter &e, mlir::VectorType vector, mlir::Value rows, mlir::Value columns,
                      llvm::function_ref<mlir::Value(mlir::Value row, mlir::Value column)> from, llvm::function_ref<mlir::Value(mlir::Value column, mlir::Value row)> to);
/// Emits the unit if all that it transposes can go through tiles; false where the map's own loops must do.
bool emitTransposed(UnitEmitter &e);
/// Returns the work items of such a unit, nothing of another.
std::optional<mlir::AffineExpr> getTransposedItems(kernel::UnitOp unit);

} // namespace onager

#endif
