// A cache of keys or values that a step of a decoder copies while it reads it.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_CACHEAPPEND_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_CACHEAPPEND_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Emits a concatenation of the past [..., rows, columns], a unit's argument, and new rows, as a result of the unit that attention has; takesCaches (UnitShape.h) says of which. Matrices are given by their index in the leading dims.
class CacheAppend {
public:
  CacheAppend(UnitEmitter &e, graph::ConcatOp concat);

  /// Rows of the past, and vectors of 16 elements in each.
  mlir::Value getPastRows() { return e.extent(past[past.size() - 2]); }
  int64_t getVectors() const;
  /// Whether copies may go past the caches: the result begins with a line. Null where they need not.
  mlir::Value canSpareCaches();
  /// Computes the new rows of a matrix.
  void writeNew(llvm::ArrayRef<mlir::Value> matrix);
  /// Reads `count` rows of the past from `first` on and writes them to the result; `body` gets each one's vectors, and what it carried.
  using RowBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value row, llvm::ArrayRef<mlir::Value> vectors, mlir::ValueRange carried)>;
  llvm::SmallVector<mlir::Value> copyPast(llvm::ArrayRef<mlir::Value> matrix, mlir::Value first, mlir::Value count, bool sparesCaches, mlir::ValueRange inits, RowBody body);

private:
  mlir::Value getStart(llvm::ArrayRef<mlir::Value> matrix, llvm::ArrayRef<mlir::AffineExpr> dims);

  UnitEmitter &e;
  graph::ConcatOp concat;
  graph::Dims past, result;
  mlir::Value source, target;
};

} // namespace onager

#endif
