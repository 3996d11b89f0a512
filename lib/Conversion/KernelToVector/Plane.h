// Windows that slide over a plane of f32: what depthwise convolution and pooling share.
//
// A plane lies in memory as rows of `pitch` floats. Padding is written into it once, so that no window tests bounds; behind its last row there are
// `getSlack` floats more, since vectors at the end of a row read beyond it. Lanes beyond a row's end are computed and not stored.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_PLANE_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_PLANE_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Rows of floats in memory.
struct Plane {
  mlir::Value base, rows, columns, pitch;
};

/// Windows over two dims; planes of rank 1 are one row.
struct Windows {
  int64_t kernel[2] = {1, 1}, strides[2] = {1, 1}, dilations[2] = {1, 1};
  int64_t getTaps() const { return kernel[0] * kernel[1]; }
};

/// Reads the window attributes of an operation over 1 or 2 spatial dims.
Windows makeWindows(llvm::ArrayRef<int64_t> kernel, llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> dilations);
/// The last two entries of `dims`, the first being 1 where `dims` has one entry.
std::pair<mlir::AffineExpr, mlir::AffineExpr> getPlaneDims(llvm::ArrayRef<mlir::AffineExpr> spatial);
/// Extents of the padded plane under a plane of results.
std::pair<mlir::AffineExpr, mlir::AffineExpr> getPaddedDims(const Windows &windows, llvm::ArrayRef<mlir::AffineExpr> spatial);
/// Floats that must be readable behind a plane that is read with these strides.
int64_t getSlack(const Windows &windows);
/// Results of one plane that are kept in scratch memory before the epilogue takes them: whole groups of rows.
mlir::AffineExpr getBlockRows(llvm::ArrayRef<mlir::AffineExpr> spatial);

/// A scalar in all lanes of a vector.
mlir::Value splat(UnitEmitter &e, mlir::Value scalar);
/// The vector 0, step, 2 step ... of an integer type.
mlir::Value getLaneNumbers(UnitEmitter &e, mlir::IntegerType type, int64_t step = 1);
/// The first `count` lanes of a vector; those that it lacks are undefined.
mlir::Value takeLanes(UnitEmitter &e, mlir::Value vector, int64_t count);
/// x * number + sum, in the lanes that x has.
mlir::Value multiplyAdd(UnitEmitter &e, mlir::Value x, mlir::Value number, mlir::Value sum);
/// Every second lane of two vectors that lie behind each other.
mlir::Value takeEvenLanes(UnitEmitter &e, mlir::Value low, mlir::Value high);

class PlaneEmitter {
public:
  explicit PlaneEmitter(UnitEmitter &e);

  /// Sets `count` floats.
  void fill(mlir::Value base, mlir::Value count, mlir::Value number);
  /// Copies a dense plane into `target`, its first element to (top, left); what falls outside of the target is left out.
  void copyInside(const Plane &source, const Plane &target, mlir::Value top, mlir::Value left);
  using Combine = llvm::function_ref<mlir::Value(mlir::Value sum, mlir::Value x, int64_t tap)>;
  /// Stores, for each element of `target`, `init` combined with the elements under its window, taps in row-major order.
  void reduceWindows(const Plane &source, const Plane &target, const Windows &windows, mlir::Value init, Combine combine);

  /// The first `count` lanes, all where it is larger, none where it is not positive.
  mlir::Value getMask(mlir::Value count);

private:
  mlir::Value load(mlir::Value address, int64_t stride);
  void emitRows(const Plane &source, const Plane &target, const Windows &windows, mlir::Value init, Combine combine, mlir::Value row, int64_t rows);
  llvm::SmallVector<mlir::Value> emitBlock(const Plane &source, const Windows &windows, mlir::Value init, Combine combine, mlir::Value row, mlir::Value column,
                                           int64_t rows);
  void forColumns(mlir::Value columns, llvm::function_ref<void(mlir::Value column, mlir::Value mask)> body);

  UnitEmitter &e;
  mlir::VectorType lanes;
};

/// Emits the epilogue of `result` [N, C, spatial...] for the rows [row, row + rows) of a plane, whose values lie densely in `values`.
void emitPlaneEpilogue(UnitEmitter &e, mlir::Value result, llvm::ArrayRef<mlir::Value> plane, mlir::Value row, mlir::Value rows, mlir::Value values,
                       llvm::function_ref<mlir::Value(mlir::Value value, mlir::Value pixel)> finish);
/// As emitPlaneEpilogue for the `columns` columns from `column` on, whose rows lie `pitch` floats apart in `values`.
void emitBlockEpilogue(UnitEmitter &e, mlir::Value result, llvm::ArrayRef<mlir::Value> plane, mlir::Value row, mlir::Value rows, mlir::Value column,
                       mlir::Value columns, mlir::Value values, int64_t pitch);
/// True where every tensor that the results are computed from behind `result` has all spatial dims of `result` or none: its pixels can be walked as one dim.
bool walksPixelsAsOne(kernel::UnitOp unit, mlir::Value result);
/// Index of a pixel of [N, C, spatial...]; the pixel is one number, which stands in the last dim where `asOne`.
UnitEmitter::Index getPixelIndex(UnitEmitter &e, llvm::ArrayRef<mlir::Value> plane, mlir::Value pixel, llvm::ArrayRef<mlir::AffineExpr> spatial, bool asOne);
/// Emits the epilogue of `result` [N, C, spatial...] for `pixels` pixels from `pixel` on of as many planes from `plane` on as `planes` says, whose values lie
/// `pitch` floats apart in `values`; the pixel is walked as getPixelIndex says.
void storePixels(UnitEmitter &e, mlir::Value result, llvm::ArrayRef<mlir::Value> plane, mlir::Value pixel, mlir::Value planes, mlir::Value pixels, mlir::Value values, int64_t pitch,
                 bool asOne);

} // namespace onager

#endif
