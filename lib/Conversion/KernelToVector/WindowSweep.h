// Windows that slide over a plane of f32 where it lies: no padded copy of it is made.
//
// Rows of results are computed in groups, so that a loaded vector serves several windows. Vectors of columns whose windows lie inside of the plane are
// read as they are; others are read under masks. Lines above and below of the plane are read from a line of padding.
//   windows of 3 columns, 20 columns in the plane:   -1 |0 ............... 15| 16 .. 19|        first vector: masked on the left
//                                                                                             second vector: of 8 lanes, masked on the right
// Windows that go two columns at a time take every second float of two vectors, one of each in turn, which no shuffle across lanes does. What a tap before or
// behind the tile's own columns reads is the same, one place on: it has sums of its own, in which the one float that is not there lies in the place of the one
// that is not read, and which turn by a place when they join the others.
//   taps at -1, 0, 1 from column 32 on:   0: 32 48 34 50 .. 46 62    1: 33 49 35 51 .. 47 63    -1: 33 49 35 51 .. 47 31
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_WINDOWSWEEP_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_WINDOWSWEEP_H

#include "lib/Conversion/KernelToVector/Plane.h"

namespace onager {

/// Extents of a plane and of the results of windows over it, and what both say about the shape of the loops.
struct SweepShape {
  Windows windows;
  mlir::AffineExpr inRows, inColumns, rows, columns;
  mlir::AffineExpr top, left; ///< padding before the first row and column

  /// Parts of a plane that are work items of their own: planes of few pixels have one.
  int64_t getBands() const;
  /// Rows of results that are computed at once, and those of a block.
  int64_t getGroupRows() const;
  int64_t getBlockRows() const;
  /// True where all rows are computed by code of their own: few groups, of which it is known what they read.
  bool isUnrolled() const;
  /// Floats of a line of padding.
  mlir::AffineExpr getPaddingFloats() const { return inColumns; }
};

/// True where windows can be read without a padded copy of the plane: a vector of lanes has one or two registers, steps are of one or two columns.
bool canSweep(const Windows &windows, const TargetInfo &target);

class WindowSweep {
public:
  using Combine = PlaneEmitter::Combine;
  /// Makes one sum of two.
  using Join = llvm::function_ref<mlir::Value(mlir::Value sum, mlir::Value other)>;

  /// `paddingLine` has room for `getPaddingFloats` floats, which are set to `padding`: what leaves every sum as it is.
  WindowSweep(UnitEmitter &e, const SweepShape &shape, mlir::Value paddingLine, double padding);

  /// Calls `body` with each plane, [image, channel], of which a share has bands, and the bands [first, end) that it has. A plane's bands come one behind the
  /// other although channels are the inner work items: lines that lie behind each other in memory are read and written in this order.
  using Body = llvm::function_ref<void(mlir::Value image, mlir::Value channel, mlir::Value first, mlir::Value end)>;
  void forPlanes(mlir::AffineExpr images, mlir::AffineExpr channels, Body body);

  /// Computes the results of the bands [first, end) of the plane at `input`, in blocks of rows: for each result, `init`, which leaves sums as they
  /// are, combined with the elements under its window. `take` gets the first row and the rows of each block, which lies densely at `block`. Reads no element outside of the plane.
  using Take = llvm::function_ref<void(mlir::Value row, mlir::Value rows)>;
  void emit(mlir::Value input, mlir::Value first, mlir::Value end, mlir::Value block, mlir::Value init, Combine combine, Join join, Take take);
  /// As `emit` for the rows [first, end). Reads no other lines of the plane than those under their windows.
  void emitRows(mlir::Value input, mlir::Value first, mlir::Value end, mlir::Value block, mlir::Value init, Combine combine, Join join, Take take);
  /// What makes 16 results of the windows' sums, some of which may be undefined.
  using Finish = llvm::function_ref<mlir::Value(mlir::Value sums)>;
  /// As `emit` and `emitRows`, where finished results go straight to their places in `plane`, all rows of which lie side by side.
  void emitInto(mlir::Value input, mlir::Value first, mlir::Value end, mlir::Value plane, mlir::Value init, Combine combine, Join join, Finish finish);
  void emitRowsInto(mlir::Value input, mlir::Value first, mlir::Value end, mlir::Value plane, mlir::Value init, Combine combine, Join join, Finish finish);

private:
  /// One line of the plane; `row` where it is known.
  struct Line {
    mlir::Value base;
    std::optional<int64_t> row;
  };
  /// A register tile: results of `rows` rows, `lanes` columns from `column` on.
  struct Tile {
    mlir::Value column;
    int64_t rows, lanes;
    bool isInside;
  };
  /// Of each row of a tile, by the places that they turn.
  using Sums = std::map<int64_t, llvm::SmallVector<mlir::Value>>;
  /// Columns [first, end) that are read, from the first under a tile on.
  struct Reads {
    int64_t first, end;
  };
  int64_t getSpan(int64_t rows) const { return (rows - 1) * s.windows.strides[0] + (s.windows.kernel[0] - 1) * s.windows.dilations[0] + 1; }
  Reads getReads(int64_t lanes) const;
  int64_t getParity() const;
  std::optional<int64_t> getShift(int64_t offset) const;
  int64_t getShift(const Tile &tile, int64_t offset) const;
  bool isInside(int64_t column) const;
  bool isOutside(std::optional<int64_t> row) const;
  bool needsMask(const Line &line, const Tile &tile, int64_t offset) const;
  mlir::Value getMask(mlir::Value first, mlir::Value count, int64_t lanes);
  mlir::Value getFirstRow(mlir::Value band);
  mlir::Value getFirstColumn(mlir::Value column);
  llvm::SmallVector<Line> getLines(mlir::Value row, int64_t rows, bool isInside);
  void emitGroups(mlir::Value row, mlir::Value count, mlir::Value target);
  void emitGroup(mlir::Value row, int64_t rows, mlir::Value target);
  bool hasKnownColumns() const;
  void emitKnownColumns(llvm::ArrayRef<Line> lines, int64_t rows, mlir::Value target);
  void emitColumns(llvm::ArrayRef<Line> lines, int64_t rows, mlir::Value target);
  void addLine(llvm::ArrayRef<Line> lines, int64_t number, const Tile &tile, int64_t first, int64_t end, Sums &sums);
  void emitTile(llvm::ArrayRef<Line> lines, const Tile &tile, mlir::Value target);
  void storeTile(mlir::ValueRange sums, const Tile &tile, mlir::Value target);
  mlir::Value load(const Line &line, const Tile &tile, int64_t offset);
  mlir::Value loadLanes(const Line &line, const Tile &tile, int64_t offset);
  mlir::Value loadPairs(const Line &line, const Tile &tile, int64_t offset, int64_t odd);
  mlir::Value loadTurned(const Line &line, const Tile &tile, int64_t shift, int64_t odd);
  mlir::Value join(const Sums &sums, int64_t row);
  mlir::Value makeMask(uint16_t bits);

  UnitEmitter &e;
  SweepShape s;
  mlir::Value paddingLine, padding, input, init, everySecond, firstLane;
  Combine combine = nullptr;
  Join add = nullptr;
  Finish finish = nullptr; ///< where results go straight to their places
  std::map<int64_t, mlir::Value> masks, vectors; ///< of the tile, and of one of its lines, by offset from the first column under it
  std::map<std::pair<int64_t, int64_t>, mlir::Value> halves; ///< even or odd lanes of pairs of a line's vectors
};

} // namespace onager

#endif
