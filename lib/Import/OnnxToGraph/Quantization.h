// Steps that quantised operators share.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_QUANTIZATION_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_QUANTIZATION_H

#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

namespace onager::frontend {

/// Rounds half to even, adds the zero point, saturates and casts: the last step of a quantised operator.
mlir::Value requantize(Emitter &e, mlir::Value scaled, mlir::Value zeroPoint, mlir::Type type, bool saturate);
/// x minus its zero point (may be null) in i32.
mlir::Value centre(Emitter &e, mlir::Value x, mlir::Value zeroPoint);
/// Convolution with the node's window attributes, giving `element`.
mlir::Value convolve(Node &node, mlir::Value x, mlir::Value filter, mlir::Type element);

} // namespace onager::frontend

#endif
