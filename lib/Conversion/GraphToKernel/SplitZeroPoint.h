// Contractions of bytes whose zero point is known only while the model runs, as dynamic quantisation makes them.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_SPLITZEROPOINT_H
#define ONAGER_CONVERSION_GRAPHTOKERNEL_SPLITZEROPOINT_H

#include "mlir/IR/PatternMatch.h"
#include <optional>

namespace onager {

/// `wide - zero`: numbers of i32 that are bytes, less one number.
struct ChangingZero {
  mlir::Value wide, bytes, zero;
  bool isByte; ///< zero is a byte as well
};
/// Splits integers whose zero point is no constant.
std::optional<ChangingZero> matchChangingZero(mlir::Value integers);

/// matmul(bytes - z, w) -> matmul(bytes, w) - z * (sums of w), and
/// conv(bytes - z, w) -> conv(pad(bytes, z), w) - z * (sums of w): where the window lies outside of the image, it reads z, which counts nothing.
void populateSplitZeroPoint(mlir::RewritePatternSet &patterns);

} // namespace onager

#endif
