// Convolutions of bytes whose windows have no emitter for bytes: many taps, large strides, three spatial dims.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_INT8FALLBACKS_H
#define ONAGER_CONVERSION_GRAPHTOKERNEL_INT8FALLBACKS_H

#include "mlir/IR/PatternMatch.h"

namespace onager {

/// conv(x, w) -> transpose(matmul(patches of x, w^T)), where windows lie side by side, as at the beginning of vision transformers, and
/// conv(x, w) -> i32(conv(f32(x), f32(w))), where no sum of products leaves the integers that f32 holds exactly.
void populateInt8Fallbacks(mlir::RewritePatternSet &patterns);

} // namespace onager

#endif
