// Panels of pixels under the windows of a convolution: what its emitters multiply with filters.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_PANELGATHER_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_PANELGATHER_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include <memory>

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

class SplitPlanes;

/// Floats of scratch memory that gathering runs of at most `pixels` pixels takes; constant 0 where none.
int64_t getGatherFloats(const GatherWindow &window, int64_t pixels);

class PanelGather {
public:
  /// `scratch` has room for what getGatherFloats says of `pixels`.
  PanelGather(UnitEmitter &e, GatherWindow window, int64_t pixels, mlir::Value scratch);
  ~PanelGather();

  /// Gathers the pixels [firstPixel, endPixel), at most as many as were promised, in panels of 16 from a multiple of 16 on, numbered over all spatial dims, of
  /// `channels` planes that begin at `image`: tap t of channel c goes to the 16 floats at targetOf(pixel)[(c * taps + t) * pitch], 0 outside of the plane.
  /// Pixels behind the last are any elements of it or 0.
  using Target = llvm::function_ref<mlir::Value(mlir::Value pixel)>;
  void emit(mlir::Value image, mlir::Value channels, mlir::Value firstPixel, mlir::Value endPixel, Target targetOf, int64_t pitch);

private:
  /// A row of a panel: where its lanes read in a plane, and which lie inside.
  struct Row {
    mlir::Value number, offset, inside;
  };
  /// Lanes [begin, end) of a panel, whose pixels follow each other in a row of the result from `column` on.
  struct Segment {
    mlir::Value begin, end, row, column;
  };
  /// What a tap reads: the place of the element of lane 0 in a plane, and one bit for each element from there on.
  struct Reading {
    mlir::Value offset, bits;
  };
  mlir::Value spread(mlir::Value x);
  mlir::Value lanes(int64_t step = 1);
  llvm::SmallVector<mlir::Value> coordinates(mlir::Value firstPixel);
  mlir::Value pick(mlir::ValueRange parts);
  void gatherLoads(mlir::Value firstPixel);
  void gatherSplit(mlir::Value firstPixel);
  void gatherPanel(mlir::Value firstPixel);
  void emitSplit(mlir::Value firstPixel, mlir::Value endPixel, Target targetOf);
  Row makeRow(llvm::ArrayRef<mlir::Value> start, llvm::ArrayRef<mlir::Value> tap, mlir::Value number);
  void gatherRow(const Row &row);
  void forChannels(mlir::Value tap, llvm::function_ref<mlir::Value(mlir::Value plane)> load);
  void forTaps(llvm::function_ref<void(llvm::ArrayRef<mlir::Value> tap, mlir::Value number)> body, const UnitEmitter::Index &tap = {}, mlir::Value number = {});
  mlir::Value lowBits(mlir::Value count);
  Reading read(const Segment &segment, llvm::ArrayRef<mlir::Value> tap);
  llvm::SmallVector<mlir::Value> load(mlir::Value plane, const Reading &reading, mlir::ValueRange parts);
  llvm::SmallVector<mlir::Value> getCorner(mlir::Value row, mlir::Value column);
  mlir::Value getDistance(llvm::ArrayRef<mlir::Value> tap);
  mlir::Value isInside(llvm::ArrayRef<mlir::Value> corner, mlir::Value offset);
  void gatherInside(mlir::Value offset);
  void gatherRows(mlir::Value firstPixel);
  void gatherSegments(mlir::Value columns, mlir::Value row, mlir::Value column);

  UnitEmitter &e;
  GatherWindow w;
  mlir::VectorType f32s;
  bool isRun;                         ///< the pixels of a panel read elements that follow each other, those outside of the plane as well
  llvm::SmallVector<int64_t> places;  ///< of the elements that the lanes of the only panel read, from the first one's on; empty where they are far apart
  mlir::Value readings; ///< on the stack: offset and bits of each segment behind the first
  std::unique_ptr<SplitPlanes> split; ///< where planes are cut apart first
  mlir::Value scratch, firstOfRun;
  mlir::Value image, channels, planeFloats, target; ///< of the panel that is gathered
  int64_t pitch = 0;
};

} // namespace onager

#endif
