// Convolution with packed filters: pixels x filters, output channels in the lanes, so that planes of any number of pixels fill the vectors.
//
// Work items: (group of images, run of pixels, group of blocks of output channels), blocks innermost. Small planes are one run of pixels, or two where
// that makes an odd number of few items even. Sums are cut into
// runs of input channels whose filters for one block stay in the first-level cache. Windows of one tap and stride 1 read the planes themselves; for others the
// pixels under the windows are gathered: once per share, group of images and run of pixels where the second-level cache holds them, else channel run by
// channel run for several blocks.
//   scratch  := panels, products, values, what gathering takes
//   panels   := for each image of the group, channel (of the run), tap: `pitch` floats, one per pixel of the run
//   products := for each block and image of the item: [pixel of the run][channel of the block], pixels rounded up to whole vectors
//   values   := [channel of a block][pixel of the run]
// Each step of a sum fetches a part of the filters that come next, which lie in memory where a model has more than the caches hold.
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/PanelGather.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/Transposed.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

constexpr int64_t kLanes = kernel::kPanelWidth;

/// Images and blocks of an item, at most, and work items that share out well where each gathers the pixels anew.
constexpr int64_t kMostImages = 8, kMostBlocks = 8, kFewestItems = 4;
/// Pixels of planes that are one run, and of a run of others: whole vectors and whole tiles of 6 and 12 pixels.
constexpr int64_t kMostPixels = 400, kRunPixels = 96;
/// Items that share out well whatever their number, and pixels that are worth two runs where there are fewer, an odd number of them.
constexpr int64_t kManyItems = 8, kFewestSplitPixels = 24;

struct PackedConvShape {
  kernel::PackedConvOp op;
  graph::Dims out;
  AffineExpr images;
  int64_t channels, taps, outChannels;
  AffineExpr inPixels, pixels; ///< of a plane of x and of the result
  int64_t runPixels;   ///< pixels of a run at most
  bool isOneRun;       ///< planes have exactly so many
  int64_t width;       ///< output channels of a block
  int64_t blocks, itemBlocks;
  int64_t runChannels; ///< input channels of a run
  int64_t group;       ///< images of an item
  AffineExpr pitch;    ///< from one row of a panel to the next
  bool isPlain;        ///< planes are panels
  bool gathersOnce;    ///< panels hold all channels

  int64_t getDepth() const { return channels * taps; }
  int64_t getBlockGroups() const { return llvm::divideCeil(blocks, itemBlocks); }
  int64_t getPaddedPixels() const { return llvm::alignTo(runPixels, kLanes); }
  AffineExpr getPixelRuns() const { return isOneRun ? getAffineConstantExpr(1, pixels.getContext()) : pixels.ceilDiv(runPixels); }
  int64_t getPanelFloats() const { return isPlain ? 0 : (gathersOnce ? channels : runChannels) * taps * getPaddedPixels(); }
  int64_t getProductFloats() const { return getPaddedPixels() * width; }
};

PackedConvShape getShape(kernel::UnitOp unit, const TargetInfo &target) {
  PackedConvShape s;
  s.op = *unit.getBody().front().getOps<kernel::PackedConvOp>().begin();
  s.out = graph::getDims(s.op.getResult());
  s.images = s.out[0];
  MLIRContext *context = unit.getContext();
  graph::Dims x = graph::getDims(s.op.getX());
  ArrayRef<AffineExpr> in = ArrayRef(x).drop_front(2), out = ArrayRef(s.out).drop_front(2);
  s.channels = *graph::getConstant(x[1]), s.outChannels = *graph::getConstant(s.out[1]);
  s.inPixels = graph::getNumElements(context, in), s.pixels = graph::getNumElements(context, out);
  std::optional<int64_t> known = graph::getConstant(s.pixels);
  s.isOneRun = known && *known > 0 && *known <= kMostPixels;
  s.runPixels = s.isOneRun ? *known : kRunPixels;
  s.taps = ShapedType::getNumElements(s.op.getKernel());
  s.isPlain = s.taps == 1 && in == out;
  s.pitch = s.isPlain ? s.pixels : getAffineConstantExpr(s.getPaddedPixels(), context);
  s.width = getTilePanels(target) * kLanes;
  s.runChannels = std::clamp<int64_t>(target.l1Bytes / 2 / (s.width * 4 * s.taps), 1, std::max<int64_t>(s.channels, 1));
  s.blocks = llvm::divideCeil(s.outChannels, s.width);
  // Two threads would take twice as many of three items as of one, and one of them nothing of one.
  int64_t items = s.blocks * graph::getConstant(s.images).value_or(1);
  if (s.isOneRun && s.isPlain && items < kManyItems && items % 2 == 1 && *known >= kFewestSplitPixels) {
    s.isOneRun = false;
    s.runPixels = llvm::divideCeil(*known, 2);
  }
  s.gathersOnce = !s.isPlain && s.getDepth() * s.getPaddedPixels() * 4 <= target.l2Bytes / 2;
  s.itemBlocks = s.isPlain || s.gathersOnce ? 1 : std::clamp<int64_t>(s.blocks / kFewestItems, 1, kMostBlocks);
  int64_t imageFloats = s.itemBlocks * s.getProductFloats() + (s.isPlain ? s.channels * s.runPixels : s.getPanelFloats());
  s.group = std::clamp<int64_t>(target.l2Bytes / 2 / (imageFloats * 4), 1, kMostImages);
  if (std::optional<int64_t> images = graph::getConstant(s.images))
    s.group = std::min(s.group, std::max<int64_t>(*images, 1));
  return s;
}

GatherWindow getWindow(PackedConvShape s) {
  graph::Dims kernel;
  for (int64_t size : s.op.getKernel())
    kernel.push_back(getAffineConstantExpr(size, s.op.getContext()));
  graph::Dims x = graph::getDims(s.op.getX());
  return {ArrayRef(x).drop_front(2), ArrayRef(s.out).drop_front(2), kernel, s.op.getStrides(), s.op.getDilations(), s.op.getPads().getResults()};
}

/// Floats of scratch memory before what gathering takes.
int64_t getFloats(const PackedConvShape &s) { return s.group * (s.getPanelFloats() + s.itemBlocks * s.getProductFloats()) + s.getProductFloats(); }

/// One work item: images, pixels of their planes, and blocks of output channels.
struct Item {
  Value firstImage, images, firstPixel, pixels, firstBlock, endBlock;
};
/// Input channels [first, first + count).
struct Run {
  Value first;
  int64_t count;
  bool isFirst, isLast;
};

struct PackedConvEmitter {
  UnitEmitter &e;
  PackedConvShape s;
  PanelGather gather;
  Value panels, products, values;

  PackedConvEmitter(UnitEmitter &e, const PackedConvShape &shape) : e(e), s(shape), gather(e, getWindow(shape), s.runPixels, at(e.getScratch(), e.i64(getFloats(shape)))) {
    panels = e.getScratch();
    products = at(panels, e.i64(s.group * s.getPanelFloats()));
    values = at(products, e.i64(s.group * s.itemBlocks * s.getProductFloats()));
  }

  Value at(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }
  Value filterOf(Value block, Value channel) {
    return at(e.getBuffer(s.op.getPacked()), e.add(e.mul(block, e.i64(s.getDepth() * s.width)), e.mul(channel, e.i64(s.taps * kLanes))));
  }
  Value planeOf(const Item &item, Value k, Value channel) {
    return at(e.getBuffer(s.op.getX()), e.mul(e.add(e.mul(e.add(item.firstImage, k), e.i64(s.channels)), channel), e.extent(s.inPixels)));
  }
  Value productsOf(const Item &item, Value k, Value block) {
    Value number = e.add(e.mul(e.sub(block, item.firstBlock), e.i64(s.group)), k);
    return at(products, e.mul(number, e.i64(s.getProductFloats())));
  }

  Value panelsOf(Value k) { return at(panels, e.mul(k, e.i64(s.getPanelFloats()))); }

  void gatherChannels(const Item &item, Value first, int64_t count) {
    e.forEach(e.i64(0), item.images, 1, [&](Value k) {
      Value target = panelsOf(k);
      gather.emit(planeOf(item, k, first), e.i64(count), item.firstPixel, e.add(item.firstPixel, item.pixels), [&](Value pixel) { return at(target, e.sub(pixel, item.firstPixel)); }, s.getPaddedPixels());
    });
  }

  /// Adds a run's products for one image and block to what the runs before gave.
  void multiply(const Item &item, const Run &run, Value k, Value block, int64_t panelCount, Value next) {
    int64_t rows = getTileRows(e.options.target), tiles = llvm::divideCeil(s.runPixels, rows), step = llvm::divideCeil(kLanes, tiles), depth = run.count * s.taps;
    Value image = s.isPlain ? at(planeOf(item, k, run.first), item.firstPixel) : s.gathersOnce ? at(panelsOf(k), e.mul(run.first, e.i64(s.taps * s.getPaddedPixels()))) : panelsOf(k);
    Value pitch = e.extent(s.pitch);
    Value filter = filterOf(block, run.first), sums = productsOf(item, k, block);
    forRowTiles(e, rows, item.pixels, [&](Value pixel, int64_t size) {
      TileOperands t{at(image, pixel), pitch, filter, e.i64(s.getDepth() * kLanes), at(sums, e.mul(pixel, e.i64(s.width))), e.i64(s.width), e.i64(depth)};
      t.isTransposed = true;
      t.accumulates = !run.isFirst;
      t.ahead = at(next, e.mul(e.floorDiv(pixel, e.i64(rows)), e.i64(depth * step)));
      t.aheadStep = e.i64(step);
      t.looksAtPanels = true;
      callMicroKernel(e, size, panelCount, t);
    });
  }

  /// Calls `body` with each block of an item, its panels and its output channels.
  void forBlocks(const Item &item, function_ref<void(Value block, int64_t panelCount, int64_t count)> body) {
    int64_t full = s.outChannels / s.width, last = s.outChannels % s.width;
    e.forEach(item.firstBlock, e.minSigned(item.endBlock, e.i64(full)), 1, [&](Value block) { body(block, s.width / kLanes, s.width); });
    if (last)
      e.ifThen(e.compare("sgt", item.endBlock, e.i64(full)), [&] { body(e.i64(full), llvm::divideCeil(last, kLanes), last); });
  }

  void emitRun(const Item &item, const Run &run) {
    if (!s.isPlain && !s.gathersOnce)
      gatherChannels(item, run.first, run.count);
    Value behind = run.isLast ? filterOf(item.endBlock, e.i64(0)) : filterOf(item.firstBlock, e.add(run.first, e.i64(run.count)));
    forBlocks(item, [&](Value block, int64_t panelCount, int64_t) {
      Value following = e.add(block, e.i64(1));
      Value next = arith::SelectOp::create(e.b, e.compare("slt", following, item.endBlock), filterOf(following, run.first), behind);
      e.forEach(e.i64(0), item.images, 1, [&](Value k) { multiply(item, run, k, block, panelCount, next); });
    });
  }

  void forRuns(const Item &item) {
    int64_t runs = llvm::divideCeil(s.channels, s.runChannels), last = s.channels - (runs - 1) * s.runChannels;
    if (runs == 1)
      return emitRun(item, {e.i64(0), last, true, true});
    emitRun(item, {e.i64(0), s.runChannels, true, false});
    e.forEach(e.i64(s.runChannels), e.i64((runs - 1) * s.runChannels), s.runChannels, [&](Value first) { emitRun(item, {first, s.runChannels, false, false}); });
    emitRun(item, {e.i64((runs - 1) * s.runChannels), last, false, true});
  }

  /// Turns the products of a block into planes.
  void turn(const Item &item, Value sums, int64_t panelCount) {
    auto vector = VectorType::get({e.options.target.vectorBytes / 4}, e.b.getF32Type());
    Value padded = s.isOneRun ? e.i64(s.getPaddedPixels()) : e.mul(e.floorDiv(e.add(item.pixels, e.i64(kLanes - 1)), e.i64(kLanes)), e.i64(kLanes));
    transposeSquares(e, vector, padded, e.i64(panelCount * kLanes), [&](Value pixel, Value channel) { return at(sums, e.add(e.mul(pixel, e.i64(s.width)), channel)); },
                     [&](Value channel, Value pixel) { return at(values, e.add(e.mul(channel, e.i64(s.getPaddedPixels())), pixel)); });
  }

  /// Stores a block's planes, which lie in `values`.
  void store(const Item &item, Value image, Value channel, int64_t count) {
    if (!s.isOneRun)
      return storePixels(e, s.op.getResult(), {image, channel}, item.firstPixel, e.i64(count), item.pixels, values, s.getPaddedPixels(), walksPixelsAsOne(e.unit, s.op.getResult()));
    Value rows = e.i64(s.runPixels / *graph::getConstant(s.out.back()));
    e.forEach(e.i64(0), e.i64(count), 1, [&](Value row) {
      Value plane = at(values, e.mul(row, e.i64(s.getPaddedPixels())));
      emitPlaneEpilogue(e, s.op.getResult(), {image, e.add(channel, row)}, e.i64(0), rows, plane, [](Value value, Value) { return value; });
    });
  }

  void finish(const Item &item) {
    forBlocks(item, [&](Value block, int64_t panelCount, int64_t count) {
      e.forEach(e.i64(0), item.images, 1, [&](Value k) {
        turn(item, productsOf(item, k, block), panelCount);
        store(item, e.add(item.firstImage, k), e.mul(block, e.i64(s.width)), count);
      });
    });
  }

  void emit() {
    Value groups = e.i64(s.getBlockGroups()), runs = e.extent(s.getPixelRuns());
    e.forEach(e.begin, e.end, 1, [&](Value number) {
      Item item;
      Value run = e.floorDiv(number, groups);
      item.firstPixel = s.isOneRun ? e.i64(0) : e.mul(e.rem(run, runs), e.i64(s.runPixels));
      item.pixels = s.isOneRun ? e.i64(s.runPixels) : e.minSigned(e.i64(s.runPixels), e.sub(e.extent(s.pixels), item.firstPixel));
      item.firstImage = e.mul(s.isOneRun ? run : e.floorDiv(run, runs), e.i64(s.group));
      item.images = e.minSigned(e.i64(s.group), e.sub(e.extent(s.images), item.firstImage));
      item.firstBlock = e.mul(e.rem(number, groups), e.i64(s.itemBlocks));
      item.endBlock = e.minSigned(e.add(item.firstBlock, e.i64(s.itemBlocks)), e.i64(s.blocks));
      if (s.gathersOnce)
        e.ifThen(arith::OrIOp::create(e.b, e.compare("eq", number, e.begin), e.compare("eq", item.firstBlock, e.i64(0))), [&] { gatherChannels(item, e.i64(0), s.channels); });
      forRuns(item);
      finish(item);
    });
  }
};

} // namespace

void emitPackedConv(UnitEmitter &e) { PackedConvEmitter(e, getShape(e.unit, e.options.target)).emit(); }

WorkInfo getPackedConvWork(kernel::UnitOp unit, const EmitOptions &options) {
  PackedConvShape s = getShape(unit, options.target);
  MLIRContext *context = unit.getContext();
  int64_t floats = getFloats(s) + (s.isPlain ? 0 : getGatherFloats(getWindow(s), s.runPixels));
  return {s.images.ceilDiv(s.group) * s.getPixelRuns() * s.getBlockGroups(), graph::getNumElements(context, s.out) * s.getDepth(), getAffineConstantExpr(floats * 4, context),
          getAffineConstantExpr(s.gathersOnce ? s.getBlockGroups() : 1, context)};
}

} // namespace onager
