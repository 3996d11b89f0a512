// A pointwise convolution and the depthwise one behind it: channels of a band of rows lie in the second-level cache while windows slide over them.
//
// Work items: (image, band of rows, block of channels), blocks innermost. A share gathers the pixels under a band where it meets one, then computes each
// block's planes with what follows the pointwise convolution, and sums their windows (WindowSweep.h).
//   scratch := panels, planes, line of padding, block of result rows
//   panels  := for each 16 pixels under the band, channel of x: 16 floats
//   planes  := for each channel of the block: `pitch` floats, one per pixel under the band
#include "lib/Conversion/KernelToVector/LaneEpilogue.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/WindowSweep.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

constexpr int64_t kLanes = kernel::kPanelWidth;
/// Tiles of channels for which pixels are not worth gathering, and input channels that are.
constexpr int64_t kMostDirectTiles = 2, kFewestGathered = 9;
/// Panels that are gathered together: their rows of all channels stay in the first-level cache.
constexpr int64_t kGatheredPanels = 8;

struct SeparableShape {
  graph::ConvOp pointwise, depthwise;
  graph::Dims x, out;
  SweepShape sweep;
  int64_t depth, channels;
  int64_t blocks, blockChannels;
  int64_t width;           ///< pixels of a tile
  bool isDirect;           ///< full tiles of pixels are read where they lie in x, once or a few times
  bool isFar;              ///< x does not stay in the second-level cache: what is gathered next is fetched
  AffineExpr bands, pitch; ///< bands of a plane; from one channel's plane to the next

  AffineExpr getPanelFloats() const { return isDirect ? pitch * 0 + width * depth : pitch * depth; }
  AffineExpr getPlaneFloats() const { return pitch * blockChannels; }
};

/// Chooses bands whose panels and planes fit into the second-level cache, and room for the pixels under one.
void chooseBands(SeparableShape &s, const TargetInfo &target) {
  const Windows &w = s.sweep.windows;
  int64_t most = std::max<int64_t>(target.l2Bytes / ((s.depth + s.blockChannels) * 4), s.width);
  AffineExpr pixels = s.sweep.inRows * s.sweep.inColumns;
  // Where blocks cannot be shared out, bands are, between two threads at least.
  s.bands = s.blocks == 1 ? (pixels.floorDiv(2 * most) + 1) * 2 : pixels.floorDiv(most) + 1;
  // Windows of rows / bands + 1 rows of results span at most this many lines more than lines / bands; the sum of the first two is above -span.
  int64_t span = (w.kernel[0] - 1) * w.dilations[0] + 1;
  AffineExpr overlap = s.sweep.rows * w.strides[0] - s.sweep.inRows + 2 * span;
  AffineExpr room = s.sweep.inColumns * overlap + most;
  std::optional<int64_t> all = graph::getConstant(pixels), bound = graph::getConstant(room);
  if (all && bound)
    room = getAffineConstantExpr(std::min(*all, *bound), s.out[0].getContext());
  s.pitch = room.ceilDiv(s.width) * s.width + kApart;
}

SeparableShape getShape(kernel::UnitOp unit, const TargetInfo &target) {
  SeparableShape s;
  auto convs = unit.getBody().front().getOps<graph::ConvOp>();
  s.pointwise = *convs.begin(), s.depthwise = *std::next(convs.begin());
  s.x = graph::getDims(s.pointwise.getX()), s.out = graph::getDims(s.depthwise.getResult());
  ArrayRef<int64_t> filter = cast<RankedTensorType>(s.pointwise.getFilter().getType()).getShape();
  s.channels = filter[0], s.depth = filter[1];
  ArrayRef<int64_t> window = cast<RankedTensorType>(s.depthwise.getFilter().getType()).getShape().drop_front(2);
  ArrayRef<AffineExpr> pads = s.depthwise.getPads().getResults();
  s.sweep = {makeWindows(window, s.depthwise.getStrides(), s.depthwise.getDilations()), s.x[2], s.x[3], s.out[2], s.out[3], pads[0], pads[1]};
  int64_t rows = getTileRows(target);
  bool isNarrow = s.channels <= kMostDirectTiles * rows;
  s.isDirect = isNarrow || s.depth <= kFewestGathered;
  s.blockChannels = isNarrow ? s.channels : llvm::divideCeil(s.channels, llvm::divideCeil(s.channels, rows));
  s.blocks = llvm::divideCeil(s.channels, s.blockChannels);
  std::optional<int64_t> pixels = graph::getConstant(s.x[2] * s.x[3]);
  s.isFar = pixels && *pixels * s.depth * 4 > 2 * target.l2Bytes;
  s.width = getTilePanels(target) * kLanes;
  chooseBands(s, target);
  return s;
}

/// Rows of results of one band, and the lines of x under them.
struct Band {
  Value image, first, end, firstLine, firstPixel, pixels;
};

struct SeparableEmitter {
  UnitEmitter &e;
  SeparableShape s;
  Value panels, planes, block, tile, zero, pitch, plane;
  WindowSweep sweep;
  bool isDirect; ///< results of windows go from registers to their places

  SeparableEmitter(UnitEmitter &e, SeparableShape shape)
      : e(e), s(shape), sweep(e, s.sweep, at(e.getScratch(), e.add(e.extent(s.getPanelFloats()), e.extent(s.getPlaneFloats()))), 0),
        isDirect(hasLaneEpilogue(e.unit, s.depthwise.getResult())) {
    panels = e.getScratch();
    planes = at(panels, e.extent(s.getPanelFloats()));
    block = at(planes, e.add(e.extent(s.getPlaneFloats()), e.extent(s.sweep.getPaddingFloats())));
    tile = e.stackBuffer(e.b.getF32Type(), getTileRows(e.options.target) * s.width);
    zero = splat(e, e.constant(e.b.getF32Type(), 0));
    pitch = e.extent(s.pitch);
    plane = e.mul(e.extent(s.x[2]), e.extent(s.x[3]));
  }

  Value at(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }

  Band makeBand(Value image, Value number) {
    const Windows &w = s.sweep.windows;
    Value rows = e.extent(s.out[2]), bands = e.extent(s.bands), height = e.extent(s.x[2]), width = e.extent(s.x[3]), top = e.extent(s.sweep.top);
    Value first = e.floorDiv(e.mul(rows, number), bands), end = e.floorDiv(e.mul(rows, e.add(number, e.i64(1))), bands);
    auto lineOf = [&](Value row, int64_t behind) { return e.clamp(e.sub(e.add(e.mul(row, e.i64(w.strides[0])), e.i64(behind)), top), e.i64(0), height); };
    Value firstLine = lineOf(first, 0), endLine = lineOf(e.sub(end, e.i64(1)), (w.kernel[0] - 1) * w.dilations[0] + 1);
    Value lines = arith::SelectOp::create(e.b, e.compare("slt", first, end), e.maxSigned(e.sub(endLine, firstLine), e.i64(0)), e.i64(0));
    return {image, first, end, firstLine, e.mul(firstLine, width), e.mul(lines, width)};
  }

  /// The pixel of a band in the first channel of x.
  Value pixelOf(const Band &band, Value pixel) {
    return at(e.getBuffer(s.pointwise.getX()), e.add(e.mul(band.image, e.mul(e.i64(s.depth), plane)), e.add(band.firstPixel, pixel)));
  }

  /// Copies the panels [first, end) under a band to `target`, channel by channel; zeros behind the band's last pixel.
  void gatherPanels(const Band &band, Value first, Value end, Value target, bool isFull) {
    auto f32s = VectorType::get({kLanes}, e.b.getF32Type());
    Value image = pixelOf(band, e.i64(0));
    PlaneEmitter masks(e);
    e.forEach(e.i64(0), e.i64(s.depth), 1, [&](Value channel) {
      Value line = at(image, e.mul(channel, plane)), row = at(target, e.mul(channel, e.i64(kLanes)));
      e.forEach(first, end, 1, [&](Value panel) {
        Value pixel = e.mul(panel, e.i64(kLanes)), from = at(line, pixel), to = at(row, e.mul(e.sub(panel, first), e.i64(s.depth * kLanes)));
        Value values = isFull ? LLVM::LoadOp::create(e.b, f32s, from, 4).getResult()
                              : LLVM::MaskedLoadOp::create(e.b, f32s, from, masks.getMask(e.sub(band.pixels, pixel)), zero, 4u).getResult();
        LLVM::StoreOp::create(e.b, values, to, 4);
        if (isFull && s.isFar)
          prefetch(e.b, at(from, e.i64(kGatheredPanels * kLanes)), CacheLevel::first);
      });
    });
  }

  /// Gathers what the products with filters do not read from x itself.
  void gather(const Band &band) {
    int64_t perTile = s.width / kLanes;
    Value tiles = e.floorDiv(band.pixels, e.i64(s.width)), full = e.mul(tiles, e.i64(perTile));
    auto panelOf = [&](Value panel) { return s.isDirect ? panels : at(panels, e.mul(panel, e.i64(s.depth * kLanes))); };
    if (!s.isDirect)
      e.forEach(e.i64(0), full, kGatheredPanels, [&](Value first) { gatherPanels(band, first, e.minSigned(e.add(first, e.i64(kGatheredPanels)), full), panelOf(first), true); });
    e.ifThen(e.compare("slt", e.mul(tiles, e.i64(s.width)), band.pixels), [&] { gatherPanels(band, full, e.add(full, e.i64(perTile)), panelOf(full), false); });
  }

  /// Stores what the depthwise convolution reads of `rows` channels, from number `first` of a block on, whose products lie in the tile.
  void storePlanes(const Band &band, Value channel, Value first, int64_t rows, Value pixel) {
    e.forEach(e.i64(0), e.i64(rows), 1, [&](Value row) {
      Value number = e.add(first, row), from = e.mul(row, e.i64(s.width)), to = e.add(e.mul(number, pitch), pixel);
      UnitEmitter::Index index{band.image, e.add(channel, number), e.i64(0), e.i64(0)};
      e.forEachParallel(e.i64(0), e.i64(s.width), [&](Value j) {
        e.overrideElement(s.pointwise.getResult(), [&](ArrayRef<Value>) { return e.load(e.b.getF32Type(), tile, e.add(from, j)); });
        e.store(e.b.getF32Type(), planes, e.add(to, j), e.element(s.depthwise.getX(), index));
        e.clearOverrides();
      });
    });
  }

  /// Computes `count` channels of the planes under a band for one tile of pixels.
  void multiplyTile(const Band &band, Value channel, int64_t count, Value pixel, bool isDirect) {
    Value filter = at(e.getBuffer(s.pointwise.getFilter()), e.mul(channel, e.i64(s.depth)));
    Value pixels = isDirect ? pixelOf(band, pixel) : s.isDirect ? panels : at(panels, e.mul(pixel, e.i64(s.depth)));
    forRowTiles(e, getTileRows(e.options.target), e.i64(count), [&](Value row, int64_t rows) {
      TileOperands t{at(filter, e.mul(row, e.i64(s.depth))), e.i64(s.depth), pixels, e.i64(isDirect ? kLanes : s.depth * kLanes), tile, e.i64(s.width), e.i64(s.depth)};
      if (isDirect) {
        t.step = plane;
        t.lookAtPlanes(e, s.width, rows * (s.width / kLanes) * s.depth);
      }
      callMicroKernel(e, rows, s.width / kLanes, t);
      storePlanes(band, channel, row, rows, pixel);
    });
  }

  void multiply(const Band &band, Value channel, int64_t count) {
    Value full = e.mul(e.floorDiv(band.pixels, e.i64(s.width)), e.i64(s.width)), end = s.isDirect ? full : band.pixels;
    e.forEach(e.i64(0), end, s.width, [&](Value pixel) { multiplyTile(band, channel, count, pixel, s.isDirect); });
    if (s.isDirect)
      e.ifThen(e.compare("slt", full, band.pixels), [&] { multiplyTile(band, channel, count, full, false); });
  }

  void slide(const Band &band, Value channel, Value row) {
    SmallVector<Value> weights;
    int64_t taps = s.sweep.windows.getTaps();
    for (int64_t tap = 0; tap < taps; ++tap)
      weights.push_back(splat(e, e.load(e.b.getF32Type(), e.getBuffer(s.depthwise.getFilter()), e.add(e.mul(channel, e.i64(taps)), e.i64(tap)), true)));
    // The plane's first line would lie before the band's.
    Value input = at(planes, e.sub(e.mul(row, pitch), band.firstPixel));
    auto step = [&](Value sum, Value x, int64_t tap) -> Value { return multiplyAdd(e, x, weights[tap], sum); };
    auto join = [&](Value sum, Value other) -> Value { return arith::AddFOp::create(e.b, sum, other); };
    if (isDirect) {
      LaneEpilogue epilogue(e, s.depthwise.getResult(), band.image, channel);
      Value place = e.mul(e.add(e.mul(band.image, e.i64(s.channels)), channel), e.extent(s.sweep.rows * s.sweep.columns));
      return sweep.emitRowsInto(input, band.first, band.end, at(e.getResultBuffer(0), place), zero, step, join, [&](Value sums) { return epilogue.apply(sums); });
    }
    sweep.emitRows(input, band.first, band.end, block, zero, step, join, [&](Value first, Value rows) {
      emitPlaneEpilogue(e, s.depthwise.getResult(), {band.image, channel}, first, rows, block, [](Value value, Value) { return value; });
    });
  }

  void emit() {
    Value bands = e.extent(s.bands), blocks = e.i64(s.blocks);
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value number = e.rem(item, blocks), outer = e.floorDiv(item, blocks);
      Band band = makeBand(e.floorDiv(outer, bands), e.rem(outer, bands));
      Value isNew = arith::OrIOp::create(e.b, e.compare("eq", item, e.begin), e.compare("eq", number, e.i64(0)));
      e.ifThen(isNew, [&] { gather(band); });
      Value channel = e.mul(number, e.i64(s.blockChannels)), count = e.minSigned(e.i64(s.blockChannels), e.sub(e.i64(s.channels), channel));
      int64_t last = s.channels - (s.blocks - 1) * s.blockChannels;
      if (last == s.blockChannels)
        multiply(band, channel, last);
      else
        e.ifElse(e.compare("slt", number, e.i64(s.blocks - 1)), [&] { multiply(band, channel, s.blockChannels); }, [&] { multiply(band, channel, last); });
      e.forEach(e.i64(0), count, 1, [&](Value row) { slide(band, e.add(channel, row), row); });
    });
  }
};

} // namespace

void emitPointwiseDepthwise(UnitEmitter &e) { SeparableEmitter(e, getShape(e.unit, e.options.target)).emit(); }

WorkInfo getPointwiseDepthwiseWork(kernel::UnitOp unit, const EmitOptions &options) {
  SeparableShape s = getShape(unit, options.target);
  MLIRContext *context = unit.getContext();
  AffineExpr operations = graph::getNumElements(context, s.out) * s.sweep.windows.getTaps() + s.x[0] * s.x[2] * s.x[3] * (s.depth * s.channels);
  AffineExpr floats = s.getPanelFloats() + s.getPlaneFloats() + s.sweep.getPaddingFloats() + s.sweep.columns * s.sweep.getBlockRows();
  return {s.x[0] * s.bands * s.blocks, operations, floats * 4, getAffineConstantExpr(s.blocks, context)};
}

} // namespace onager
