// Panels of pixels under the windows of a convolution: what its emitters multiply with filters.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_PANELGATHER_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_PANELGATHER_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Windows over the spatial dims of planes, one entry per dim.
struct GatherWindow {
  graph::Dims in, out, kernel;
  llvm::SmallVector<int64_t> strides, dilations;
  llvm::SmallVector<mlir::AffineExpr> pads; ///< zeros before the first element

  GatherWindow(llvm::ArrayRef<mlir::AffineExpr> in, llvm::ArrayRef<mlir::AffineExpr> out, llvm::ArrayRef<mlir::AffineExpr> kernel, llvm::ArrayRef<int64_t> strides,
               llvm::ArrayRef<int64_t> dilations, llvm::ArrayRef<mlir::AffineExpr> pads)
      : in(in), out(out), kernel(kernel), strides(strides), dilations(dilations), pads(pads) {}
};

class PanelGather {
public:
  PanelGather(UnitEmitter &e, GatherWindow window);

  /// Gathers the 16 pixels from `firstPixel` on, numbered over all spatial dims, of `channels` planes that begin at `image`: tap t of channel c goes to
  /// the 16 floats at target[(c * taps + t) * pitch], 0 outside of the plane. Pixels behind the last are copies of it or 0.
  void emit(mlir::Value image, mlir::Value channels, mlir::Value firstPixel, mlir::Value target, int64_t pitch);

private:
  /// How the lanes of a panel's row lie in a channel's plane.
  enum class Run { contiguous, everySecond, scattered };
  /// A row of a panel: where its lanes read in a plane, and which lie inside.
  struct Row {
    mlir::Value number, offset, inside;
  };
  mlir::Value spread(mlir::Value x);
  mlir::Value lanes(int64_t step = 1);
  llvm::SmallVector<mlir::Value> coordinates(mlir::Value firstPixel);
  Row makeRow(llvm::ArrayRef<mlir::Value> start, llvm::ArrayRef<mlir::Value> tap, mlir::Value number);
  mlir::Value loadRow(mlir::Value plane, mlir::Value first, const Row &row, Run run);
  void gatherChannels(const Row &row, Run run);
  void gatherTaps(llvm::ArrayRef<mlir::Value> start, UnitEmitter::Index tap, mlir::Value number);

  UnitEmitter &e;
  GatherWindow w;
  mlir::VectorType f32s, bools;
  mlir::Value image, channels, target; ///< of the panel that is gathered
  int64_t pitch = 0;
};

} // namespace onager

#endif
