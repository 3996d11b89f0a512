// Rows of planes of which windows take every second column, cut apart so that pixels that follow each other read floats that do, behind the end of a row too.
//
// A channel has a part for each row and column that a step of the windows goes over, in which rows are as long as those of the result:
//   windows of 3 x 3, steps of 2, padding of 1:   parts := even rows' even columns, even rows' odd columns, odd rows' even columns, odd rows' odd columns
//   tap (0, 1) of pixel (r, c):                   row 2 r - 1, column 2 c: part of odd rows' even columns, row r - 1, column c
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_SPLITPLANES_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_SPLITPLANES_H

#include "lib/Conversion/KernelToVector/PanelGather.h"

namespace onager {

class SplitPlanes {
public:
  /// True for two dims that are known, columns two apart, and windows that read no column behind those that have a place in a part.
  static bool fits(const GatherWindow &window);

  /// For runs of at most `pixels` pixels.
  SplitPlanes(const GatherWindow &window, int64_t pixels);
  /// Of one channel.
  int64_t getFloats() const;

  /// Copies the rows under the pixels [firstPixel, endPixel) of `channels` planes that begin at `image` into `parts`.
  void emit(UnitEmitter &e, mlir::Value image, mlir::Value channels, mlir::Value firstPixel, mlir::Value endPixel, mlir::Value parts) const;
  /// Where in a channel a tap of a pixel of the run lies.
  mlir::Value getPlace(UnitEmitter &e, llvm::ArrayRef<mlir::Value> tap, mlir::Value firstPixel, mlir::Value pixel) const;

private:
  int64_t getShift(size_t dim, int64_t tap) const;
  int64_t getPhase(size_t dim, int64_t tap) const;
  mlir::Value getFirstRow(UnitEmitter &e, mlir::Value pixel) const;
  int64_t getPartFloats() const;
  llvm::SmallVector<bool> getUsed(size_t dim) const;
  void copyRow(UnitEmitter &e, mlir::Value from, mlir::Value to) const;

  int64_t in[2], out[2], kernel[2], strides[2], dilations[2], pads[2];
  int64_t rows; ///< of a part
};

} // namespace onager

#endif
