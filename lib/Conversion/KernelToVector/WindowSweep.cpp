// Windows over planes without padding: bands, groups of rows and tiles. What tiles read is in WindowReads.cpp; see WindowSweep.h.
#include "lib/Conversion/KernelToVector/WindowSweep.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;
/// Rows of a group, and multiply-adds of a tile that are unrolled, at most; rows of a group in a plane of unknown height.
static constexpr int64_t kMostRows = 8, kMostSteps = 112, kRowsOfUnknown = 4;
/// Rows of a group, at most, where their windows share few lines and planes come from beyond the first-level cache: lines are read nearly one after the other.
static constexpr int64_t kMostRowsApart = 2;
/// Floats of results that stay in the first-level cache until the epilogue has taken them.
static constexpr int64_t kBlockFloats = 4096;
/// Groups of a block, at least: so many that the last block of a band has a full one.
static constexpr int64_t kFewestGroups = 2;
/// Bands of a plane, rows of one at least, and pixels of planes that have one: products with packed filters share such planes out by channels.
static constexpr int64_t kBands = 4, kFewestBandRows = 4, kMostPixelsUnbanded = 400;
/// Rows of a tile from which on its halves take turns.
static constexpr int64_t kFewestHalvedRows = 4;
/// Groups that are unrolled, so that lines outside of the plane are known.
static constexpr int64_t kUnrolledGroups = 2;

bool canSweep(const Windows &windows, const TargetInfo &target) { return target.vectorBytes >= 32 && windows.strides[1] <= 2; }

int64_t SweepShape::getBands() const {
  std::optional<int64_t> height = graph::getConstant(rows), width = graph::getConstant(columns);
  if (!height)
    return kBands;
  if (width && *height * *width <= kMostPixelsUnbanded)
    return 1;
  return std::clamp<int64_t>(*height / kFewestBandRows, 1, kBands);
}

int64_t SweepShape::getGroupRows() const {
  int64_t most = std::clamp<int64_t>(kMostSteps / windows.getTaps(), 1, getBands() > 1 && windows.strides[0] > 1 ? kMostRowsApart : kMostRows);
  std::optional<int64_t> height = graph::getConstant(rows);
  if (!height)
    return std::min(most, kRowsOfUnknown);
  int64_t bandRows = std::max<int64_t>(*height / getBands(), 1);
  return llvm::divideCeil(bandRows, llvm::divideCeil(bandRows, most));
}

int64_t SweepShape::getBlockRows() const {
  int64_t group = getGroupRows();
  std::optional<int64_t> width = graph::getConstant(columns);
  return width ? std::max<int64_t>(kBlockFloats / (std::max<int64_t>(*width, 1) * group), kFewestGroups) * group : kFewestGroups * group;
}

WindowSweep::WindowSweep(UnitEmitter &e, const SweepShape &shape, Value paddingLine, double padding)
    : e(e), s(shape), paddingLine(paddingLine) {
  Value number = e.constant(e.b.getF32Type(), padding);
  this->padding = splat(e, number);
  PlaneEmitter(e).fill(paddingLine, e.extent(s.getPaddingFloats()), number);
  if (s.windows.strides[1] == 2)
    everySecond = makeMask(0xAAAA), firstLane = makeMask(1);
}

bool SweepShape::isUnrolled() const {
  std::optional<int64_t> height = graph::getConstant(rows);
  bool isKnown = height && graph::getConstant(inRows) && graph::getConstant(top);
  return isKnown && getBands() == 1 && *height <= std::min(kUnrolledGroups * getGroupRows(), getBlockRows());
}

Value WindowSweep::getFirstRow(Value band) { return e.floorDiv(e.mul(band, e.extent(s.rows)), e.i64(s.getBands())); }

/// The first column of the plane that the windows of results from `column` on read.
Value WindowSweep::getFirstColumn(Value column) { return e.sub(e.mul(column, e.i64(s.windows.strides[1])), e.extent(s.left)); }

/// True where all that 16 results from `column` on read is known to be there, and they are, too.
bool WindowSweep::isInside(int64_t column) const {
  int64_t first = column * s.windows.strides[1] - *graph::getConstant(s.left);
  Reads reads = getReads(kLanes);
  return first + reads.first >= 0 && first + reads.end <= *graph::getConstant(s.inColumns) && column + kLanes <= *graph::getConstant(s.columns);
}

/// True for a line that is known to be padding.
bool WindowSweep::isOutside(std::optional<int64_t> row) const {
  std::optional<int64_t> height = graph::getConstant(s.inRows);
  return row && (*row < 0 || (height && *row >= *height));
}

/// The lines under a group's windows.
SmallVector<WindowSweep::Line> WindowSweep::getLines(Value row, int64_t rows, bool isInside) {
  Type f32 = e.b.getF32Type();
  SmallVector<Line> lines;
  Value first = e.sub(e.mul(row, e.i64(s.windows.strides[0])), e.extent(s.top)), height = e.extent(s.inRows), pitch = e.extent(s.inColumns);
  Value start = e.address(f32, input, e.mul(first, pitch));
  for (int64_t number = 0; number < getSpan(rows); ++number) {
    Value place = e.add(first, e.i64(number));
    Line line{e.address(f32, start, e.mul(e.i64(number), pitch)), getConstantIntValue(place)};
    if (!isInside && !(line.row && getConstantIntValue(height)))
      line.base = arith::SelectOp::create(e.b, e.compare("ult", place, height), line.base, paddingLine);
    lines.push_back(line);
  }
  return lines;
}

/// Adds what one line gives to the sums of the rows [first, end) of a tile.
void WindowSweep::addLine(ArrayRef<Line> lines, int64_t number, const Tile &tile, int64_t first, int64_t end, Sums &sums) {
  const Windows &w = s.windows;
  vectors.clear();
  halves.clear();
  if (isOutside(lines[number].row))
    return;
  for (int64_t k = 0; k < w.kernel[1]; ++k) {
    int64_t column = k * w.dilations[1];
    Value x;
    for (int64_t r = first; r < end; ++r) {
      int64_t offset = number - r * w.strides[0];
      if (offset < 0 || offset % w.dilations[0] || offset / w.dilations[0] >= w.kernel[0])
        continue;
      if (!x)
        x = load(lines[number], tile, column);
      Value &sum = sums[getShift(tile, column)][r];
      sum = combine(sum, x, offset / w.dilations[0] * w.kernel[1] + k);
    }
  }
}

/// The upper and the lower half of the rows take turns: sums of neighbouring rows, of which each line serves few, are too few chains to hide their latency.
void WindowSweep::emitTile(ArrayRef<Line> lines, const Tile &tile, Value target) {
  Sums sums;
  sums[0];
  for (int64_t k = 0; k < s.windows.kernel[1]; ++k)
    sums[getShift(tile, k * s.windows.dilations[1])];
  for (auto &[shift, rows] : sums)
    rows.assign(tile.rows, takeLanes(e, init, tile.lanes));
  masks.clear();
  int64_t half = tile.rows < kFewestHalvedRows ? tile.rows : llvm::divideCeil(tile.rows, 2), behind = half * s.windows.strides[0];
  for (int64_t number = 0; number < getSpan(half); ++number) {
    addLine(lines, number, tile, 0, half, sums);
    if (half < tile.rows && number < getSpan(tile.rows - half))
      addLine(lines, behind + number, tile, half, tile.rows, sums);
  }
  SmallVector<Value> joined;
  for (int64_t row = 0; row < tile.rows; ++row)
    joined.push_back(join(sums, row));
  storeTile(joined, tile, target);
}

void WindowSweep::storeTile(ValueRange sums, const Tile &tile, Value target) {
  Value left = e.sub(e.extent(s.columns), tile.column), mask;
  std::optional<int64_t> known = getConstantIntValue(left);
  if (!tile.isInside && (!known || *known < tile.lanes))
    mask = getMask(e.i64(0), left, tile.lanes);
  for (auto [r, sum] : llvm::enumerate(sums)) {
    Value to = e.address(e.b.getF32Type(), target, e.add(e.mul(e.i64(r), e.extent(s.columns)), tile.column));
    Value lanes = finish ? takeLanes(e, finish(takeLanes(e, sum, kLanes)), tile.lanes) : sum;
    if (mask)
      LLVM::MaskedStoreOp::create(e.b, lanes, to, mask, 4u);
    else
      LLVM::StoreOp::create(e.b, lanes, to, 4);
  }
}

bool WindowSweep::hasKnownColumns() const { return graph::getConstant(s.columns) && graph::getConstant(s.inColumns) && graph::getConstant(s.left); }

/// The vectors of rows of known length: those inside of the plane in a loop, others one by one.
void WindowSweep::emitKnownColumns(ArrayRef<Line> lines, int64_t rows, Value target) {
  int64_t columns = *graph::getConstant(s.columns), first = 0;
  auto emitOutside = [&](int64_t from, int64_t to) {
    for (int64_t column = from; column < to; column += kLanes)
      emitTile(lines, {e.i64(column), rows, columns - column <= kLanes / 2 ? kLanes / 2 : kLanes, isInside(column)}, target);
  };
  while (first < columns && !isInside(first))
    first += kLanes;
  int64_t end = first;
  while (end < columns && isInside(end))
    end += kLanes;
  if (end - first <= kLanes)
    return emitOutside(0, columns);
  emitOutside(0, first);
  e.forEach(e.i64(first), e.i64(end), kLanes, [&](Value column) { emitTile(lines, {column, rows, kLanes, true}, target); });
  emitOutside(end, columns);
}

void WindowSweep::emitColumns(ArrayRef<Line> lines, int64_t rows, Value target) {
  Value columns = e.extent(s.columns);
  if (hasKnownColumns())
    return emitKnownColumns(lines, rows, target);
  e.forEach(e.i64(0), columns, kLanes, [&](Value column) {
    Value first = getFirstColumn(column);
    Reads span = getReads(kLanes);
    Value reads = arith::AndIOp::create(e.b, e.compare("sge", e.add(first, e.i64(span.first)), e.i64(0)), e.compare("sle", e.add(first, e.i64(span.end)), e.extent(s.inColumns)));
    Value isInside = arith::AndIOp::create(e.b, reads, e.compare("sle", e.add(column, e.i64(kLanes)), columns));
    e.ifElse(isInside, [&] { emitTile(lines, {column, rows, kLanes, true}, target); }, [&] { emitTile(lines, {column, rows, kLanes, false}, target); });
  });
}

void WindowSweep::emitGroup(Value row, int64_t rows, Value target) {
  if (s.isUnrolled())
    return emitColumns(getLines(row, rows, false), rows, target);
  Value first = e.sub(e.mul(row, e.i64(s.windows.strides[0])), e.extent(s.top)), end = e.add(first, e.i64(getSpan(rows)));
  Value isInside = arith::AndIOp::create(e.b, e.compare("sge", first, e.i64(0)), e.compare("sle", end, e.extent(s.inRows)));
  auto emitLines = [&](bool inside) { emitColumns(getLines(row, rows, inside), rows, target); };
  e.ifElse(isInside, [&] { emitLines(true); }, [&] { emitLines(false); });
}

/// Computes rows [row, row + count); the last group ends with them, and repeats rows of the one before it.
void WindowSweep::emitGroups(Value row, Value count, Value target) {
  int64_t rows = s.getGroupRows();
  auto at = [&](Value number) { return e.address(e.b.getF32Type(), target, e.mul(number, e.extent(s.columns))); };
  auto emitFull = [&] {
    Value last = e.sub(count, e.i64(rows));
    e.forEach(e.i64(0), count, rows, [&](Value number) {
      Value start = e.minSigned(number, last);
      emitGroup(e.add(row, start), rows, at(start));
    });
  };
  auto emitSingle = [&] { e.forEach(e.i64(0), count, 1, [&](Value number) { emitGroup(e.add(row, number), 1, at(number)); }); };
  e.ifElse(e.compare("sge", count, e.i64(rows)), emitFull, emitSingle);
}

void WindowSweep::forPlanes(AffineExpr images, AffineExpr channels, Body body) {
  if (s.getBands() == 1)
    return forRows(e, {images, channels}, e.begin, e.end, [&](ArrayRef<Value> plane, Value) { body(plane[0], plane[1], e.i64(0), e.i64(1)); });
  Value width = e.extent(channels), items = e.mul(width, e.i64(s.getBands()));
  Value firstImage = e.floorDiv(e.begin, items), endImage = e.floorDiv(e.add(e.end, e.sub(items, e.i64(1))), items);
  e.forEach(firstImage, endImage, 1, [&](Value image) {
    Value before = e.mul(image, items), first = e.maxSigned(e.sub(e.begin, before), e.i64(0)), end = e.minSigned(e.sub(e.end, before), items);
    e.forEach(e.i64(0), width, 1, [&](Value channel) {
      // Bands whose item of this channel lies before one of the image's items.
      Value behind = e.sub(e.sub(width, e.i64(1)), channel);
      auto bandsBefore = [&](Value item) { return e.floorDiv(e.add(item, behind), width); };
      body(image, channel, bandsBefore(first), bandsBefore(end));
    });
  });
}

void WindowSweep::emit(Value plane, Value first, Value end, Value block, Value start, Combine step, Join join, Take take) {
  if (s.isUnrolled()) {
    input = plane, init = start, combine = step, add = join;
    int64_t height = *graph::getConstant(s.rows), rows = s.getGroupRows();
    for (int64_t row = 0; row < height; row += rows) {
      int64_t first = std::min(row, height - rows);
      emitGroup(e.i64(first), rows, e.address(e.b.getF32Type(), block, e.mul(e.i64(first), e.extent(s.columns))));
    }
    return take(e.i64(0), e.i64(height));
  }
  emitRows(plane, getFirstRow(first), getFirstRow(end), block, start, step, join, take);
}

void WindowSweep::emitRows(Value plane, Value first, Value end, Value block, Value start, Combine step, Join join, Take take) {
  input = plane, init = start, combine = step, add = join;
  if (finish && graph::getConstant(s.rows))
    return emitGroups(first, e.sub(end, first), e.address(e.b.getF32Type(), block, e.mul(first, e.extent(s.columns))));
  // Where results go to their places, too: else LLVM cuts the loops over columns of unknown number into pieces.
  int64_t group = s.getGroupRows();
  Value rows = e.sub(end, first), groups = e.floorDiv(e.add(rows, e.i64(group - 1)), e.i64(group));
  Value blocks = e.floorDiv(e.add(groups, e.i64(s.getBlockRows() / group - 1)), e.i64(s.getBlockRows() / group));
  auto startOf = [&](Value number) { return e.minSigned(e.mul(e.floorDiv(e.mul(groups, number), blocks), e.i64(group)), rows); };
  e.forEach(e.i64(0), blocks, 1, [&](Value number) {
    Value start = startOf(number), row = e.add(first, start), count = e.sub(startOf(e.add(number, e.i64(1))), start);
    emitGroups(row, count, finish ? e.address(e.b.getF32Type(), block, e.mul(row, e.extent(s.columns))) : block);
    take(row, count);
  });
}

void WindowSweep::emitInto(Value input, Value first, Value end, Value plane, Value init, Combine combine, Join join, Finish finish) {
  this->finish = finish;
  emit(input, first, end, plane, init, combine, join, [](Value, Value) {});
  this->finish = nullptr;
}

void WindowSweep::emitRowsInto(Value input, Value first, Value end, Value plane, Value init, Combine combine, Join join, Finish finish) {
  this->finish = finish;
  emitRows(input, first, end, plane, init, combine, join, [](Value, Value) {});
  this->finish = nullptr;
}

} // namespace onager
