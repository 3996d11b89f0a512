// Resampling along one dim: an output position maps to a coordinate in the input, and that to one (nearest), two (linear) or four (cubic) weighted taps.
// Coordinates are computed in f64.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_RESAMPLING_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_RESAMPLING_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

struct Tap {
  mlir::Value position; ///< i64, inside the input
  mlir::Value weight;   ///< compute type; null for one
};

class Resampling {
public:
  Resampling(UnitEmitter &e, graph::ResizeOp op) : e(e), op(op), f64(e.b.getF64Type()) {}

  /// The coordinate in the input, along dim `d`, of position `i` in the result, in f64.
  mlir::Value coordinate(size_t d, mlir::Value i);
  /// The taps around a coordinate in `in` elements, with weights of type `compute`. They are as many whatever the coordinate is.
  llvm::SmallVector<Tap> taps(mlir::Value x, mlir::Value in, mlir::Type compute);
  /// True where the coordinate lies outside of dim `d`.
  mlir::Value isOutside(size_t d, mlir::Value x);

private:
  mlir::Value n(double value) { return e.constant(f64, value); }
  mlir::Value plus(mlir::Value a, mlir::Value c);
  mlir::Value minus(mlir::Value a, mlir::Value c);
  mlir::Value times(mlir::Value a, mlir::Value c);
  mlir::Value over(mlir::Value a, mlir::Value c);
  mlir::Value real(mlir::Value i);
  mlir::Value whole(mlir::Value x);
  mlir::Value pick(mlir::Value condition, mlir::Value a, mlir::Value c);
  mlir::Value less(mlir::Value a, mlir::Value c);
  mlir::Value number(mlir::Value tensor, int64_t k);
  mlir::Value clampTo(mlir::Value position, mlir::Value in);
  mlir::Value nearest(mlir::Value x);
  mlir::Value cubic(mlir::Value t, bool near);

  UnitEmitter &e;
  graph::ResizeOp op;
  mlir::Type f64;
};

} // namespace onager

#endif
