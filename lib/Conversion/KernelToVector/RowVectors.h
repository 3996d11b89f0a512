// A row of f32 in memory as vectors of 16 lanes: several chains at a time, then one, then what is left under a mask. Rows of a few vectors, known when
// compiling, are straight code.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_ROWVECTORS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_ROWVECTORS_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

class RowVectors {
public:
  using Combine = llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)>;
  /// One vector of the row: its number, where the row stays in registers, else 0; the place of its first lane, and which of its lanes are the row's, null where all.
  struct Part {
    size_t number;
    mlir::Value offset, mask;
  };

  RowVectors(UnitEmitter &e, mlir::AffineExpr width);

  /// How many vectors the row has where it stays in registers, else 0.
  size_t countHeld() const { return held; }
  /// Reads a vector of the row at `base`; lanes behind its end are `filler`.
  mlir::Value read(mlir::Value base, const Part &part, mlir::Value filler);
  void write(mlir::Value base, const Part &part, mlir::Value x);
  /// Calls `body` for each vector of the row, with the chain that it belongs to; puts the chains together by `combine`.
  mlir::Value fold(mlir::Value init, Combine combine, llvm::function_ref<mlir::Value(const Part &, mlir::Value)> body);
  /// Puts the lanes of a vector together, by halves.
  static mlir::Value across(UnitEmitter &e, mlir::Value x, Combine combine);

private:
  UnitEmitter &e;
  mlir::Value width;
  mlir::VectorType lanes;
  size_t held = 0;
  mlir::Value tailMask;
};

/// Emits the softmax, or its logarithm where `log`, of the `width` floats at `from`; it goes to `to`, which may be the same place. A row has the same bits
/// whatever its neighbours and the thread that computes it.
void emitSoftmaxRow(UnitEmitter &e, mlir::Value from, mlir::Value to, mlir::AffineExpr width, bool log);

} // namespace onager

#endif
