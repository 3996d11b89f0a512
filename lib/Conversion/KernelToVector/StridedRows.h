// Rows of a tensor that lie apart in memory, as f32 or shorter floats: what attention reads of q, k and v.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_STRIDEDROWS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_STRIDEDROWS_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Returns the element type in memory of a tensor that casts and transposes make of a unit's argument, or of its result.
mlir::Type getStored(mlir::Value tensor);
/// Loads 16 neighbouring elements of f32, f16 or bf16 as f32.
mlir::Value loadVector(UnitEmitter &e, mlir::Type stored, mlir::Value pointer);

/// A tensor [..., rows, columns] that is a unit's argument behind casts to f32 and transposes that leave the last dim, or a concatenation that is its result. Offsets are in elements.
class StridedRows {
public:
  StridedRows(UnitEmitter &e, mlir::Value tensor);

  mlir::Type stored;     ///< element type in memory
  mlir::Value rowStride; ///< elements from one row to the next

  /// Returns the offset of the matrix at an index of the space `batch`, to which the leading dims broadcast.
  mlir::Value offset(llvm::ArrayRef<mlir::Value> index, llvm::ArrayRef<mlir::AffineExpr> batch);
  mlir::Value address(mlir::Value offset);
  mlir::Value load(mlir::Value offset);
  /// Writes the 16 rows from `row` on as a panel: column d, row l to panel[d * 16 + l]. Rows behind `last` repeat it.
  void packTransposed(mlir::Value matrix, mlir::Value row, mlir::Value last, mlir::Value columns, mlir::Value panel);
  /// Writes 16 columns from `column` on of `count` rows as a panel: row i, column l to panel[i * 16 + l], zeros behind the last of `columns`.
  void pack(mlir::Value matrix, mlir::Value row, mlir::Value count, mlir::Value column, mlir::Value columns, mlir::Value panel);

private:
  UnitEmitter &e;
  mlir::Value base;
  bool isArgument; ///< nobody writes it while the unit runs
  graph::Dims dims;
  UnitEmitter::Index strides;
};

} // namespace onager

#endif
