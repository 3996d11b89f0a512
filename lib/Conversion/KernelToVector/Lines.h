// Lines along one axis of a tensor, walked so that memory is read in order: what running sums and places of extremes share.
//
// A tensor is [outer, size, inner] around its axis. Where inner has a dim, lines lie side by side: they are taken in blocks, whose state is kept in a
// stack buffer while the axis is walked once, so that each step reads neighbours.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_LINES_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_LINES_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Lines of a tensor along an axis.
struct Lines {
  mlir::Value tensor;
  size_t axis;
  graph::Dims outer, inner;

  Lines(mlir::Value tensor, size_t axis);
  /// The number of lines: the work items of a unit that walks them, in row-major order of the other dims.
  mlir::AffineExpr getCount() const;
};

/// Lines of a block: at most this many.
inline constexpr int64_t kLineBlock = 1024;

/// A block of neighbouring lines.
struct LineBlock {
  UnitEmitter &e;
  const Lines &lines;
  mlir::Value outer, first, count; ///< number of the outer index, the first line's inner index, and how many there are

  /// The row-major position of step `step` of line `lane` in the tensor.
  mlir::Value linear(mlir::Value step, mlir::Value lane) const;
  /// The tensor's element there, of an operand that the unit reads from memory or that is one number.
  mlir::Value element(mlir::Value step, mlir::Value lane) const;
  /// Emits a loop over the lanes, which are independent.
  void forLanes(llvm::function_ref<void(mlir::Value lane)> body) const;
};

/// Emits `body` for the blocks of the lines [begin, end) of the share.
void forLineBlocks(UnitEmitter &e, const Lines &lines, llvm::function_ref<void(const LineBlock &block)> body);

} // namespace onager

#endif
