// Convolution of stride 1 without gathered panels: pixels under windows lie side by side where the rows of an image have its padding between them.
//
// Work items: (image, group, band of rows, block of output channels), blocks innermost. A share copies the lines under a band where it meets one,
//   scratch := planes
//   planes  := for each channel: `pitch` floats, the lines under the band, each with its padding: `padded` floats
// and computes the band's pixels and those between its rows, which nobody stores, in runs of a tile (WindowKernel.cpp).
#include "lib/Conversion/KernelToVector/WindowConv.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

constexpr int64_t kLanes = kernel::kPanelWidth;
/// Padding between rows of unknown length that is not too much, in floats; of known length it is a third. A line alone is long: samples in time.
constexpr int64_t kMostUnknownPadding = 4, kMostUnknownLinePadding = 32;
/// Output channels that are worth copying a band once more, where shares meet in it.
constexpr int64_t kFewestChannels = 96;

struct WindowShape {
  graph::ConvOp op;
  graph::Dims x, out;
  Windows windows;
  AffineExpr inRows, inColumns, rows, columns, top, left;
  AffineExpr padded, bands, pitch; ///< floats of a line, bands of an image, floats from one channel's lines to the next
  int64_t channels, outChannels, groups; ///< channels of a group
  int64_t blocks, blockChannels;
  int64_t tileRows, width;
  int64_t getDepth() const { return channels * windows.getTaps(); }
  int64_t getSpan() const { return (windows.kernel[0] - 1) * windows.dilations[0] + 1; }
};

/// Chooses bands whose lines fit into half of the second-level cache.
void chooseBands(WindowShape &s, const TargetInfo &target) {
  int64_t most = std::max<int64_t>(target.l2Bytes / 2 / (std::max<int64_t>(s.channels, 1) * 4), s.width);
  AffineExpr pixels = s.rows * s.padded;
  // Where blocks cannot be shared out, bands are, between two threads at least.
  s.bands = s.blocks == 1 ? (pixels.floorDiv(2 * most) + 1) * 2 : pixels.floorDiv(most) + 1;
  AffineExpr room = s.padded * (s.getSpan() + 1) + most, all = s.padded * (s.rows + s.getSpan());
  std::optional<int64_t> bound = graph::getConstant(room), known = graph::getConstant(all);
  if (bound && known)
    room = getAffineConstantExpr(std::min(*bound, *known), s.op.getContext());
  // The last tile reads a tile and the taps of a line beyond a band.
  AffineExpr readable = room + s.width + (s.windows.kernel[1] - 1) * s.windows.dilations[1];
  s.pitch = readable.ceilDiv(s.width) * s.width + kApart;
}

WindowShape getShape(kernel::UnitOp unit, const TargetInfo &target) {
  WindowShape s;
  s.op = *unit.getBody().front().getOps<graph::ConvOp>().begin();
  s.x = graph::getDims(s.op.getX()), s.out = graph::getDims(s.op.getResult());
  ArrayRef<int64_t> filter = cast<RankedTensorType>(s.op.getFilter().getType()).getShape();
  s.windows = makeWindows(filter.drop_front(2), s.op.getStrides(), s.op.getDilations());
  std::tie(s.inRows, s.inColumns) = getPlaneDims(ArrayRef(s.x).drop_front(2));
  std::tie(s.rows, s.columns) = getPlaneDims(ArrayRef(s.out).drop_front(2));
  ArrayRef<AffineExpr> pads = s.op.getPads().getResults();
  s.top = pads.size() == 1 ? getAffineConstantExpr(0, unit.getContext()) : pads[0], s.left = pads.back();
  s.padded = s.columns + (s.windows.kernel[1] - 1) * s.windows.dilations[1];
  s.groups = static_cast<int64_t>(s.op.getGroup());
  s.channels = filter[1], s.outChannels = filter[0] / s.groups;
  s.tileRows = getTileRows(target), s.width = getTilePanels(target) * kLanes;
  int64_t wanted = std::max<int64_t>(s.outChannels / kFewestChannels, 1);
  s.blockChannels = static_cast<int64_t>(llvm::alignTo(llvm::divideCeil(std::max<int64_t>(s.outChannels, 1), wanted), s.tileRows));
  s.blocks = std::max<int64_t>(llvm::divideCeil(s.outChannels, s.blockChannels), 1);
  chooseBands(s, target);
  return s;
}

/// Rows of results of one band, and the channels of x under them.
struct Band {
  Value image, group, first, rows, input;
};

struct WindowEmitter {
  UnitEmitter &e;
  WindowShape s;
  PlaneEmitter copies;
  Value tile, planes, padded, pitch, columns;

  WindowEmitter(UnitEmitter &e, const WindowShape &shape) : e(e), s(shape), copies(e) {
    tile = e.stackBuffer(e.b.getF32Type(), s.tileRows * s.width);
    planes = e.getScratch();
    padded = e.extent(s.padded), pitch = e.extent(s.pitch), columns = e.extent(s.columns);
  }

  Value at(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }

  Band makeBand(Value outer) {
    Value bands = e.extent(s.bands), number = e.rem(outer, bands), rest = e.floorDiv(outer, bands), rows = e.extent(s.rows);
    Value group = e.rem(rest, e.i64(s.groups)), image = e.floorDiv(rest, e.i64(s.groups));
    Value first = e.floorDiv(e.mul(rows, number), bands), end = e.floorDiv(e.mul(rows, e.add(number, e.i64(1))), bands);
    Value plane = e.mul(e.extent(s.inRows), e.extent(s.inColumns));
    Value channel = e.mul(e.add(e.mul(image, e.i64(s.groups)), group), e.i64(s.channels));
    return {image, group, first, e.sub(end, first), at(e.getBuffer(s.op.getX()), e.mul(channel, plane))};
  }

  /// Writes the padding that all bands have beside their lines. What lies behind the last line is read for pixels that nobody stores.
  void clear() {
    Value lines = e.extent(s.padded * (s.rows.ceilDiv(s.bands) + s.getSpan() - 1)), zero = e.constant(e.b.getF32Type(), 0);
    e.forEach(e.i64(0), e.i64(s.channels), 1, [&](Value channel) { copies.fill(at(planes, e.mul(channel, pitch)), e.minSigned(lines, pitch), zero); });
  }

  /// Copies the lines under a band, lines of zeros above and below the image.
  void copyLines(const Band &band) {
    Value lines = e.add(band.rows, e.i64(s.getSpan() - 1)), plane = e.mul(e.extent(s.inRows), e.extent(s.inColumns));
    Value zero = e.constant(e.b.getF32Type(), 0), top = e.sub(e.extent(s.top), band.first);
    Value above = e.clamp(top, e.i64(0), lines), below = e.clamp(e.add(top, e.extent(s.inRows)), above, lines);
    e.forEach(e.i64(0), e.i64(s.channels), 1, [&](Value channel) {
      Plane source{at(band.input, e.mul(channel, plane)), e.extent(s.inRows), e.extent(s.inColumns), e.extent(s.inColumns)};
      Plane target{at(planes, e.mul(channel, pitch)), lines, padded, padded};
      copies.fill(target.base, e.mul(above, padded), zero);
      copies.copyInside(source, target, top, e.extent(s.left));
      copies.fill(at(target.base, e.mul(below, padded)), e.mul(e.sub(lines, below), padded), zero);
    });
  }

  /// Stores what of the tile from `pixel` on, before `end`, lies in rows of results.
  void epilogue(const Band &band, Value channel, int64_t rows, Value pixel, Value end) {
    Value firstRow = e.floorDiv(pixel, padded), endRow = e.add(e.floorDiv(e.sub(end, e.i64(1)), padded), e.i64(1));
    e.forEach(firstRow, endRow, 1, [&](Value row) {
      Value start = e.mul(row, padded), from = e.maxSigned(e.sub(pixel, start), e.i64(0)), to = e.minSigned(e.sub(end, start), columns);
      e.ifThen(e.compare("slt", from, to), [&] {
        Value values = at(tile, e.sub(e.add(start, from), pixel));
        e.forEach(e.i64(0), e.i64(rows), 1, [&](Value i) {
          emitBlockEpilogue(e, s.op.getResult(), {band.image, e.add(channel, i)}, e.add(band.first, row), e.i64(1), from, e.sub(to, from),
                            at(values, e.mul(i, e.i64(s.width))), s.width);
        });
      });
    });
  }

  /// Computes the panels of a tile of which some of the `left` pixels are.
  void computeTile(int64_t rows, const WindowOperands &w, Value left) {
    int64_t panels = s.width / kLanes;
    for (int64_t count = 1; count < panels; ++count) {
      Value fits = e.compare("sle", left, e.i64(count * kLanes));
      if (count > 1)
        fits = arith::AndIOp::create(e.b, fits, e.compare("sgt", left, e.i64((count - 1) * kLanes)));
      e.ifThen(fits, [&] { callWindowKernel(e, rows, count, w); });
    }
    e.ifThen(e.compare("sgt", left, e.i64((panels - 1) * kLanes)), [&] { callWindowKernel(e, rows, panels, w); });
  }

  /// Sweeps `count` filters of a group over the lines of a band.
  void sweep(const Band &band, Value firstChannel, Value count) {
    Value channels = e.add(e.mul(band.group, e.i64(s.outChannels)), firstChannel), depth = e.i64(s.getDepth());
    Value pixels = e.sub(e.mul(band.rows, padded), e.sub(padded, columns));
    forRowTiles(e, s.tileRows, count, [&](Value row, int64_t rows) {
      Value channel = e.add(channels, row);
      WindowOperands w{at(e.getBuffer(s.op.getFilter()), e.mul(channel, depth)), depth, {}, pitch, e.mul(padded, e.i64(s.windows.dilations[0])), tile, e.i64(s.channels),
                       e.i64(s.windows.kernel[0]), s.windows.kernel[1], s.windows.dilations[1], s.width};
      e.forEach(e.i64(0), pixels, s.width, [&](Value pixel) {
        w.planes = at(planes, pixel);
        computeTile(rows, w, e.sub(pixels, pixel));
        epilogue(band, channel, rows, pixel, e.minSigned(e.add(pixel, e.i64(s.width)), pixels));
      });
    });
  }

  void emit() {
    Value blocks = e.i64(s.blocks);
    clear();
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value block = e.rem(item, blocks);
      Band band = makeBand(e.floorDiv(item, blocks));
      Value isNew = arith::OrIOp::create(e.b, e.compare("eq", item, e.begin), e.compare("eq", block, e.i64(0)));
      e.ifThen(e.compare("sgt", band.rows, e.i64(0)), [&] {
        e.ifThen(isNew, [&] { copyLines(band); });
        Value first = e.mul(block, e.i64(s.blockChannels)), count = e.i64(s.outChannels);
        if (s.blocks > 1)
          count = s.outChannels % s.blockChannels == 0 ? e.i64(s.blockChannels) : e.minSigned(e.i64(s.blockChannels), e.sub(e.i64(s.outChannels), first));
        sweep(band, first, count);
      });
    });
  }
};

} // namespace

bool slidesWindows(kernel::UnitOp unit, const TargetInfo &target) {
  auto op = *unit.getBody().front().getOps<graph::ConvOp>().begin();
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  if (filter.getRank() > 4 || llvm::any_of(op.getStrides(), [](int64_t stride) { return stride != 1; }))
    return false;
  int64_t padding = (filter.getShape().back() - 1) * op.getDilations().back();
  std::optional<int64_t> columns = graph::getConstant(graph::getDims(op.getResult()).back());
  // Pixels of short rows that windows keep are gathered by a load a tap.
  if (columns && *columns < kLanes && filter.getRank() == 4 && graph::isConstant(graph::getDims(op.getX()).back(), *columns))
    return false;
  return filter.getDimSize(1) > 0 && ShapedType::getNumElements(filter.getShape().drop_front(2)) > 1 && padding <= (columns ? *columns / 3 : filter.getRank() == 3 ? kMostUnknownLinePadding : kMostUnknownPadding);
}

void emitWindowConv(UnitEmitter &e) { WindowEmitter(e, getShape(e.unit, e.options.target)).emit(); }

WorkInfo getWindowConvWork(kernel::UnitOp unit, const EmitOptions &options) {
  WindowShape s = getShape(unit, options.target);
  AffineExpr operations = graph::getNumElements(unit.getContext(), s.out) * s.getDepth();
  return {s.x[0] * s.groups * s.bands * s.blocks, operations, s.pitch * (s.channels * 4), getAffineConstantExpr(s.blocks, unit.getContext())};
}

} // namespace onager
