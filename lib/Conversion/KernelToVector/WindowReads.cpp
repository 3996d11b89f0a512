// What a tile of windows reads of a line, and the order of lanes that it has; see WindowSweep.h.
#include "lib/Conversion/KernelToVector/WindowSweep.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

/// A mask whose lanes LLVM does not know: it would make one shuffle of two vectors of a shuffle in place and a choice, which takes the multiply-adds' place.
Value WindowSweep::makeMask(uint16_t bits) {
  Value known = arith::ConstantOp::create(e.b, e.b.getIntegerAttr(e.b.getIntegerType(16), bits));
  Value hidden = LLVM::InlineAsmOp::create(e.b, known.getType(), ValueRange{known}, "", "=r,0", /*has_side_effects=*/false, /*is_align_stack=*/false,
                                           LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
                     .getRes();
  return LLVM::BitcastOp::create(e.b, VectorType::get({kLanes}, e.b.getI1Type()), hidden);
}

/// Whether the first column under a tile is an odd one, where windows go two columns at a time.
int64_t WindowSweep::getParity() const { return graph::getConstant(s.left).value_or(0) & 1; }

/// Where a tap of windows that go two columns at a time reads what another reads as well, but for one lane: -1 for those that read before the results' own
/// columns, 1 for those behind, 0 for those in them.
std::optional<int64_t> WindowSweep::getShift(int64_t offset) const {
  std::optional<int64_t> left = graph::getConstant(s.left);
  int64_t shift = left ? llvm::divideFloorSigned(offset - *left, 2) : 2;
  return std::abs(shift) <= 1 ? std::optional(shift) : std::nullopt;
}

/// What is read in a line without masks, for a tile of so many lanes.
WindowSweep::Reads WindowSweep::getReads(int64_t lanes) const {
  Reads reads{0, 0};
  for (int64_t k = 0; k < s.windows.kernel[1]; ++k) {
    int64_t offset = k * s.windows.dilations[1];
    if (s.windows.strides[1] == 1) {
      reads.end = offset + lanes;
      continue;
    }
    std::optional<int64_t> shift = getShift(offset);
    int64_t first = shift ? *graph::getConstant(s.left) : offset - (offset + getParity()) % 2;
    reads = {std::min(reads.first, first), std::max({reads.end, first + 2 * lanes, offset + 2 * lanes - 1})};
  }
  return reads;
}

/// Lanes k with 0 <= first + k < count.
Value WindowSweep::getMask(Value first, Value count, int64_t lanes) {
  IntegerType i32 = e.b.getI32Type();
  auto spread = [&](Value x) { return splat(e, arith::TruncIOp::create(e.b, i32, x)); };
  Value places = arith::AddIOp::create(e.b, getLaneNumbers(e, i32), spread(first));
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, takeLanes(e, places, lanes), takeLanes(e, spread(count), lanes));
}

/// True where the floats at this offset cannot be read as they are: some lie outside of the plane, or in another line and are used.
bool WindowSweep::needsMask(const Line &line, const Tile &tile, int64_t offset) const {
  if (tile.isInside)
    return false;
  std::optional<int64_t> column = getConstantIntValue(tile.column), left = graph::getConstant(s.left), width = graph::getConstant(s.inColumns);
  std::optional<int64_t> columns = graph::getConstant(s.columns), height = graph::getConstant(s.inRows);
  if (!column || !left || !width || !columns)
    return true;
  int64_t first = *column * s.windows.strides[1] - *left + offset;
  if (first >= 0 && first + tile.lanes <= *width)
    return false;
  // Lanes behind those of the last result may hold anything that can be read.
  int64_t last = (*columns - 1) * s.windows.strides[1] - *left + (s.windows.kernel[1] - 1) * s.windows.dilations[1];
  bool hasUnused = first >= 0 && std::min(last + 1, first + tile.lanes) <= *width;
  return !hasUnused || !line.row || !height || *line.row * *width + first + tile.lanes > *height * *width;
}

/// Floats of a line, from `offset` columns behind the first that the tile's windows read.
Value WindowSweep::loadLanes(const Line &line, const Tile &tile, int64_t offset) {
  Value &vector = vectors[offset];
  if (vector)
    return vector;
  auto type = VectorType::get({tile.lanes}, e.b.getF32Type());
  Value first = e.add(getFirstColumn(tile.column), e.i64(offset));
  Value place = e.address(e.b.getF32Type(), line.base, first);
  if (!needsMask(line, tile, offset))
    return vector = LLVM::LoadOp::create(e.b, type, place, 4);
  Value &mask = masks[offset];
  if (!mask)
    mask = getMask(first, e.extent(s.inColumns), tile.lanes);
  return vector = LLVM::MaskedLoadOp::create(e.b, type, place, mask, takeLanes(e, padding, tile.lanes), 4u);
}

/// The even or odd ones of the floats from `offset` on, those of the lower and the upper vector in turns.
Value WindowSweep::loadPairs(const Line &line, const Tile &tile, int64_t offset, int64_t odd) {
  Value &taken = halves[{offset, odd}];
  if (taken)
    return taken;
  Value low = loadLanes(line, tile, offset), high = loadLanes(line, tile, offset + tile.lanes), from = odd ? low : high;
  SmallVector<int64_t> doubled;
  for (int64_t k = 0; k < tile.lanes; ++k)
    doubled.push_back(k / 2 * 2 + odd);
  Value moved = vector::ShuffleOp::create(e.b, from, from, doubled);
  return taken = arith::SelectOp::create(e.b, takeLanes(e, everySecond, tile.lanes), odd ? high : moved, odd ? moved : low);
}

/// The even or odd floats of a tile's own columns, with what lies before the first in place of the last, or what lies behind the last in place of the first.
Value WindowSweep::loadTurned(const Line &line, const Tile &tile, int64_t shift, int64_t odd) {
  int64_t left = *graph::getConstant(s.left), n = tile.lanes;
  Value own = loadPairs(line, tile, left, odd), place = e.add(getFirstColumn(tile.column), e.i64(left + (shift < 0 ? odd - 2 : 2 * n + odd)));
  std::optional<int64_t> column = getConstantIntValue(place), width = graph::getConstant(s.inColumns);
  bool isPadding = !tile.isInside && column && width && (*column < 0 || *column >= *width);
  Value next = takeLanes(e, isPadding ? padding : splat(e, e.load(e.b.getF32Type(), line.base, place)), n);
  // The first lane turned to the last.
  SmallVector<int64_t> turned;
  for (int64_t k = 0; k < n; ++k)
    turned.push_back(n - 1 - k);
  Value mask = takeLanes(e, firstLane, n);
  return arith::SelectOp::create(e.b, shift < 0 ? vector::ShuffleOp::create(e.b, mask, mask, turned).getResult() : mask, next, own);
}

/// What a tap reads alike another, but for one lane; 0 where that would not be known to lie inside of the plane.
int64_t WindowSweep::getShift(const Tile &tile, int64_t offset) const {
  bool isKnown = tile.isInside || (getConstantIntValue(tile.column) && graph::getConstant(s.inColumns));
  return s.windows.strides[1] == 2 && isKnown ? getShift(offset).value_or(0) : 0;
}

/// What a tap `offset` columns behind the first reads: where windows go two columns at a time in the order of loadPairs and loadTurned.
Value WindowSweep::load(const Line &line, const Tile &tile, int64_t offset) {
  if (s.windows.strides[1] == 1)
    return loadLanes(line, tile, offset);
  int64_t odd = (offset + getParity()) % 2, shift = getShift(tile, offset);
  return shift ? loadTurned(line, tile, shift, odd) : loadPairs(line, tile, offset - odd, odd);
}

/// The sums of a row in the order of its columns.
Value WindowSweep::join(const Sums &sums, int64_t row) {
  if (s.windows.strides[1] == 1)
    return sums.at(0)[row];
  Value joined;
  for (auto &[shift, rows] : sums) {
    SmallVector<int64_t> places;
    int64_t n = cast<VectorType>(rows[row].getType()).getNumElements();
    for (int64_t k = 0; k < n; ++k) {
      int64_t column = (k + shift + n) % n;
      places.push_back(column < n / 2 ? 2 * column : 2 * column - n + 1);
    }
    Value ordered = vector::ShuffleOp::create(e.b, rows[row], rows[row], places);
    joined = joined ? add(joined, ordered) : ordered;
  }
  return joined;
}

} // namespace onager
