// Softmax of a row of f32 in memory, in whole vectors.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_ROWVECTORS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_ROWVECTORS_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Emits the softmax, or its logarithm where `log`, of the `width` floats at `from`; it goes to `to`, which may be the same place. A row has the same bits
/// whatever its neighbours and the thread that computes it.
void emitSoftmaxRow(UnitEmitter &e, mlir::Value from, mlir::Value to, mlir::AffineExpr width, bool log);

} // namespace onager

#endif
