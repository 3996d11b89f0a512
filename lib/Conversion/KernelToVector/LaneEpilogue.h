// What follows a convolution in its unit, for 16 pixels of a plane at once.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_LANEEPILOGUE_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_LANEEPILOGUE_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// True where the unit's only result follows from `result`, [images, channels, spatial...] of f32, by operations that have a form of whole vectors, with one
/// number for each channel or for all.
bool hasLaneEpilogue(kernel::UnitOp unit, mlir::Value result);

/// The operations behind `result` for pixels of one channel. Where it is made, what does not depend on the pixels is computed.
class LaneEpilogue {
public:
  LaneEpilogue(UnitEmitter &e, mlir::Value result, mlir::Value image, mlir::Value channel);
  /// The unit's results of 16 pixels, of which `lanes` are those of `result`.
  mlir::Value apply(mlir::Value lanes);

private:
  UnitEmitter &e;
  mlir::Value result;
  UnitEmitter::Index index; ///< of a pixel of the channel
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> numbers; ///< operands that all pixels share, and vectors of them
};

} // namespace onager

#endif
