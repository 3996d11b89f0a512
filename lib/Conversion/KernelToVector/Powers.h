// Powers and quotients of activations and softmax, for arguments that are known to be harmless: half the instructions of a general power. Processors divide
// beside their multiply-adds: Newton's iteration in place of a division takes a third longer in all.
// Plain arithmetic on f32, scalar or vector: vector code, code for what is left over behind it and code for other processors with fused multiply-adds
// give the same bits. Other types take the general functions.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_POWERS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_POWERS_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// 1 / (1 + e^-x), in f32 within 3 units in the last place for |x| up to 20 and 6 elsewhere; 0 below -88.4.
mlir::Value emitLogistic(UnitEmitter &e, mlir::Value x);
/// x / (1 + e^-y), as exactly.
mlir::Value emitLogisticProduct(UnitEmitter &e, mlir::Value x, mlir::Value y);

/// e^x for x up to 0, in f32 within 1.1 units in the last place down to -10 and 5 below; 0 below -87. NaN stays.
mlir::Value emitDecay(UnitEmitter &e, mlir::Value x);

} // namespace onager

#endif
