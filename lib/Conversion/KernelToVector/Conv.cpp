// Convolution as an implicit gemm: filters [output channel][sum] times image panels [sum][16 pixels].
//
// Work items: (image, group, run of panel pairs, block of output channels), blocks innermost; where planes are read directly, runs, so that a thread's share is one
// of channels, as it is of a depthwise convolution behind. A share gathers the input under a run where it meets one, panel by panel,
//   scratch := panels, row tile of the filter where its rows are aliased, what gathering takes
//   panel := for each channel, tap: 16 floats, one per pixel, 0 outside of the image
// and sweeps the output channels of each block over them. Pixels are numbered over all spatial dims. Each plane is a stream of its own, more than
// processors follow: the sums fetch what comes next.
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/PanelGather.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/WindowConv.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;
constexpr int64_t kLanes = kernel::kPanelWidth;

struct ConvShape {
  graph::ConvOp op;
  graph::Dims x, filter, out, spatial;
  AffineExpr depth, pixels, channels, outChannels;
  int64_t width;  ///< pixels of a tile
  int64_t tiles;  ///< tiles that one work item gathers before it sweeps the filters
  bool hasAliasedRows; ///< rows of the filter start in the same sets of the first-level cache: each row tile is copied apart
  bool isPlain;  ///< one tap per channel, under the pixel itself: panels are copies of runs of the planes
  bool isDirect; ///< full tiles of pixels are read where they lie in the image
  int64_t blocks, blockChannels; ///< blocks of a group's output channels, and channels of one
  /// Floats from one panel to the next: plane by plane all panels of a run are written, which must not start in the same sets of the first-level cache.
  AffineExpr getPanelPitch() const { return depth * kLanes + (isPlain ? kApart : 0); }
  AffineExpr getPanelFloats() const { return getPanelPitch() * ((isDirect ? 1 : tiles) * width / kLanes); }
  AffineExpr getCopiedFloats(int64_t tileRows) const { return hasAliasedRows ? (depth + kApart) * tileRows : depth * 0; }
};

/// Channels from which on planes that start in the same sets of the caches are better read in long runs, one after the other.
constexpr int64_t kFewestAliased = 24;
/// Tiles that a run gathers, and those of such planes.
constexpr int64_t kMostTiles = 8, kMostAliasedTiles = 32;

/// Tiles of filters up to which pixels that lie in as many places as there are planes are not worth gathering, where planes are near.
constexpr int64_t kMostDirectTiles = 24;

/// Where many large planes are read, each a stream of its own that starts on other pages, it matters how far away they are: planes and bytes of one from which on;
/// second-level caches that an image and its result fill where they are further away than that, and where they come from memory; tiles of filters that are not worth
/// gathering for then.
constexpr int64_t kFewestFarPlanes = 64, kSmallestFarPlane = 16384, kFarCaches = 4, kMemoryCaches = 8, kMostFarTiles = 12, kMostMemoryTiles = 4;

/// Work items that share out well, and output channels that are worth gathering the pixels once more.
constexpr int64_t kFewestItems = 8, kFewestChannels = 96;

/// Splits the output channels where there are few pixels: shares that meet in a run gather it each.
void splitChannels(ConvShape &s, int64_t tileRows) {
  int64_t channels = *graph::getConstant(s.outChannels);
  std::optional<int64_t> pixels = graph::getConstant(s.pixels);
  int64_t runs = pixels ? llvm::divideCeil(llvm::divideCeil(*pixels, s.width), s.tiles) : kFewestItems;
  int64_t wanted = std::clamp<int64_t>(kFewestItems / std::max<int64_t>(runs, 1), 1, std::max<int64_t>(channels / kFewestChannels, 1));
  s.blockChannels = static_cast<int64_t>(llvm::alignTo(llvm::divideCeil(channels, wanted), tileRows));
  s.blocks = std::max<int64_t>(llvm::divideCeil(channels, s.blockChannels), 1);
}

/// Tiles of filters up to which planes are read where they lie.
int64_t getMostDirectTiles(const ConvShape &s, const TargetInfo &target) {
  MLIRContext *context = s.depth.getContext();
  std::optional<int64_t> read = graph::getConstant(graph::getNumElements(context, ArrayRef(s.x).drop_front())),
                         written = graph::getConstant(graph::getNumElements(context, ArrayRef(s.out).drop_front()));
  if (!read || !written || *graph::getConstant(s.depth) < kFewestFarPlanes || *graph::getConstant(s.pixels) * 4 < kSmallestFarPlane)
    return kMostDirectTiles;
  int64_t caches = (*read + *written) * 4 / target.l2Bytes;
  return caches >= kMemoryCaches ? kMostMemoryTiles : caches >= kFarCaches ? kMostFarTiles : kMostDirectTiles;
}

/// Decides how pixels are read: one by one from all planes, or gathered first.
void chooseReading(ConvShape &s, const TargetInfo &target) {
  int64_t depth = *graph::getConstant(s.depth), channels = *graph::getConstant(s.outChannels);
  std::optional<int64_t> pixels = graph::getConstant(s.pixels);
  s.isPlain = graph::getConstant(s.channels) == depth && llvm::all_of(s.op.getStrides(), [](int64_t stride) { return stride == 1; }) &&
              ArrayRef(s.x).drop_front(2) == ArrayRef(s.spatial) &&
              llvm::all_of(s.op.getPads().getResults(), [](AffineExpr pad) { return graph::isConstant(pad, 0); });
  // So few uses of each element that gathering them would cost more than strides through memory do.
  bool isShort = depth <= 8 || channels <= getMostDirectTiles(s, target) * getTileRows(target);
  bool isAliased = s.isPlain && pixels && *pixels * 4 % kAliasedBytes == 0 && depth > 8 && (depth >= kFewestAliased || channels > getTileRows(target));
  s.isDirect = s.isPlain && isShort && !isAliased;
  int64_t most = isAliased ? kMostAliasedTiles : kMostTiles;
  s.tiles = std::clamp<int64_t>(target.l2Bytes * 3 / 4 / (depth * s.width * 4), 1, most);
  if (pixels) {
    // Few channels cannot be shared out: runs of pixels are.
    int64_t runs = llvm::divideCeil(*pixels, s.width) / (channels < 2 * kFewestChannels ? 4 : 1);
    s.tiles = std::clamp<int64_t>(runs, 1, s.tiles);
  }
}

ConvShape getShape(kernel::UnitOp unit, const TargetInfo &target) {
  ConvShape s;
  s.op = *unit.getBody().front().getOps<graph::ConvOp>().begin();
  MLIRContext *context = unit.getContext();
  s.x = graph::getDims(s.op.getX());
  s.filter = graph::getDims(s.op.getFilter());
  s.out = graph::getDims(s.op.getResult());
  s.spatial.assign(s.out.begin() + 2, s.out.end());
  s.depth = graph::getNumElements(context, ArrayRef(s.filter).drop_front());
  s.pixels = graph::getNumElements(context, s.spatial);
  s.channels = s.filter[1];
  s.outChannels = getAffineConstantExpr(*graph::getConstant(s.filter[0]) / static_cast<int64_t>(s.op.getGroup()), context);
  s.width = getTilePanels(target) * kLanes;
  s.hasAliasedRows = hasAliasedRows(*graph::getConstant(s.depth), target);
  chooseReading(s, target);
  splitChannels(s, getTileRows(target));
  return s;
}

GatherWindow getWindow(ConvShape s) {
  return {ArrayRef(s.x).drop_front(2), s.spatial, ArrayRef(s.filter).drop_front(2), s.op.getStrides(), s.op.getDilations(), s.op.getPads().getResults()};
}

/// The part of scratch memory that gathering takes.
Value getBehindCopies(UnitEmitter &e, const ConvShape &s) {
  return e.address(e.b.getF32Type(), e.getScratch(), e.extent(s.getPanelFloats() + s.getCopiedFloats(getTileRows(e.options.target))));
}

struct ConvEmitter {
  UnitEmitter &e;
  ConvShape s;
  PanelGather gather;
  Value tile, scratch;
  bool asOne; ///< pixels are walked as one dim
  VectorType f32s;

  ConvEmitter(UnitEmitter &e, ConvShape shape) : e(e), s(shape), gather(e, getWindow(s), s.tiles * s.width, getBehindCopies(e, s)) {
    f32s = VectorType::get({kLanes}, e.b.getF32Type());
    tile = e.stackBuffer(e.b.getF32Type(), getTileRows(e.options.target) * s.width);
    scratch = e.getScratch();
    asOne = walksPixelsAsOne(e.unit, s.op.getResult());
  }

  /// Fills whole panels of a plain convolution, plane by plane.
  void copyRuns(Value image, Value firstPanel, Value lastPanel) {
    Type f32 = e.b.getF32Type();
    Value panelFloats = e.extent(s.getPanelPitch()), pixels = e.extent(s.pixels);
    e.forEach(e.i64(0), e.extent(s.channels), 1, [&](Value channel) {
      Value plane = e.address(f32, image, e.mul(channel, pixels)), row = e.address(f32, scratch, e.mul(channel, e.i64(kLanes)));
      e.forEach(firstPanel, lastPanel, 1, [&](Value panel) {
        Value values = LLVM::LoadOp::create(e.b, f32s, e.address(f32, plane, e.mul(panel, e.i64(kLanes))), 4);
        LLVM::StoreOp::create(e.b, values, e.address(f32, row, e.mul(e.sub(panel, firstPanel), panelFloats)), 4);
      });
    });
  }

  /// Fetches the lines of the tile behind this one that the epilogue reads beside the products.
  void prefetchEpilogue(Value image, Value channel, Value pixel, int64_t rows) {
    SmallVector<Value> bases;
    for (BlockArgument argument : e.unit.getBody().getArguments())
      if (graph::getDims(argument) == s.out && llvm::any_of(argument.getUsers(), [](Operation *user) { return user->hasTrait<graph::ElementwiseOp>(); }))
        bases.push_back(argument);
    if (bases.empty())
      return;
    Type f32 = e.b.getF32Type();
    Value pixels = e.extent(s.pixels), plane = e.add(e.mul(image, e.i64(*graph::getConstant(s.out[1]))), channel);
    e.forEach(e.i64(0), e.i64(rows), 1, [&](Value i) {
      Value first = e.add(e.add(e.mul(e.add(plane, i), pixels), pixel), e.i64(s.width));
      for (Value base : bases)
        for (int64_t line = 0; line < s.width; line += kLanes)
          prefetch(e.b, e.address(f32, e.getBuffer(base), e.add(first, e.i64(line))), CacheLevel::first);
    });
  }

  /// Computes rows of output channels for one tile of pixels, of which `columns` exist. `next`, where set, is what a later run reads of the first plane.
  void emitTile(Value image, Value channel, Value filter, int64_t rows, Value pixel, Value panel, Value columns, int64_t panels, int64_t width, bool isDirect, Value next) {
    Value depth = e.extent(s.depth);
    TileOperands t{filter, s.hasAliasedRows ? e.add(depth, e.i64(kApart)) : depth, panel, isDirect ? e.i64(kLanes) : e.extent(s.getPanelPitch()), tile, e.i64(s.width), depth};
    if (isDirect) {
      t.step = e.extent(s.pixels);
      t.lookAtPlanes(e, s.width, *graph::getConstant(s.depth) * rows * panels);
    } else if (next) {
      t.ahead = next;
      t.aheadStep = e.extent(s.pixels);
    }
    if (panels == s.width / kLanes)
      prefetchEpilogue(image, channel, pixel, rows);
    callMicroKernel(e, rows, panels, t, width);
    storePixels(e, s.op.getResult(), {image, channel}, pixel, e.i64(rows), columns, tile, s.width, asOne);
  }

  /// Copies rows of the filter into scratch.
  Value copyRows(Value filter, int64_t rows) {
    Value target = e.address(e.b.getF32Type(), scratch, e.extent(s.getPanelFloats()));
    copyRowsApart(e, target, filter, e.i64(rows), e.extent(s.depth));
    return target;
  }

  using TailTile = function_ref<void(Value pixel, Value columns, int64_t panels, int64_t width)>;

  /// Covers the last `columns` pixels from `pixel` on by the narrowest tiles: whole panels, then half a panel where that is enough.
  void forTail(Value pixel, Value columns, TailTile tile) {
    if (std::optional<int64_t> known = graph::getConstant(s.pixels))
      return emitTail(pixel, *known % s.width, tile);
    for (int64_t rest = kLanes / 2; rest <= s.width; rest += kLanes / 2) {
      Value fits = arith::AndIOp::create(e.b, e.compare("sgt", columns, e.i64(rest - kLanes / 2)), e.compare("sle", columns, e.i64(rest)));
      e.ifThen(fits, [&] { emitTail(pixel, rest, tile, columns); });
    }
  }

  /// As forTail for at most `most` pixels, whose number is `columns` where it is not exactly `most`.
  void emitTail(Value pixel, int64_t most, TailTile tile, Value columns = {}) {
    int64_t panels = most / kLanes, rest = most % kLanes;
    if (rest > kLanes / 2)
      ++panels, rest = 0;
    int64_t covered = std::min(panels * kLanes, most);
    if (panels)
      tile(pixel, rest || !columns ? e.i64(covered) : columns, panels, kLanes);
    if (rest)
      tile(e.add(pixel, e.i64(covered)), columns ? e.sub(columns, e.i64(covered)) : e.i64(rest), 1, kLanes / 2);
  }

  /// Sweeps filters [firstRow, firstRow + count) of one group over the gathered panels.
  void sweep(Value image, Value input, Value firstChannel, Value count, Value firstTile, Value lastTile) {
    Type f32 = e.b.getF32Type();
    Value depth = e.extent(s.depth), pixels = e.extent(s.pixels);
    Value filters = e.getBuffer(s.op.getFilter()), fullTiles = e.minSigned(lastTile, e.floorDiv(pixels, e.i64(s.width)));
    forRowTiles(e, getTileRows(e.options.target), count, [&](Value row, int64_t rows) {
      Value channel = e.add(firstChannel, row), filter = e.address(f32, filters, e.mul(channel, depth));
      if (s.hasAliasedRows)
        filter = copyRows(filter, rows);
      auto at = [&](Value pixel, Value columns, int64_t panels, int64_t width, bool isDirect) {
        Value first = e.mul(s.isDirect ? fullTiles : firstTile, e.i64(s.width));
        Value panel = isDirect ? e.address(f32, input, pixel) : e.address(f32, scratch, e.mul(e.floorDiv(e.sub(pixel, first), e.i64(kLanes)), e.extent(s.getPanelPitch())));
        Value next;
        if (s.isPlain && !isDirect) {
          // The tile of the same number of the next run: the first sweeps of filters fetch a line of each plane each.
          Value line = e.mul(e.floorDiv(row, e.i64(getTileRows(e.options.target))), e.i64(kLanes));
          Value ahead = e.address(f32, input, e.add(e.add(pixel, line), e.i64(s.tiles * s.width)));
          next = arith::SelectOp::create(e.b, e.compare("slt", line, e.i64(s.width)), ahead, e.address(f32, input, pixel));
        }
        emitTile(image, channel, filter, rows, pixel, panel, columns, panels, width, isDirect, next);
      };
      e.forEach(firstTile, fullTiles, 1, [&](Value number) { at(e.mul(number, e.i64(s.width)), e.i64(s.width), s.width / kLanes, kLanes, s.isDirect); });
      e.ifThen(e.compare("slt", e.maxSigned(fullTiles, firstTile), lastTile), [&] {
        Value pixel = e.mul(e.sub(lastTile, e.i64(1)), e.i64(s.width));
        forTail(pixel, e.sub(pixels, pixel), [&](Value start, Value columns, int64_t panels, int64_t width) { at(start, columns, panels, width, false); });
      });
    });
  }

  /// Gathers the panels of tiles [firstTile, lastTile) of an image.
  void gatherRun(Value input, Value firstTile, Value lastTile) {
    int64_t perTile = s.width / kLanes;
    Value panelSize = e.extent(s.getPanelPitch()), panels = e.extent(s.pixels.ceilDiv(kLanes));
    // What the last tile lacks must not be read: it is gathered even where others are read directly.
    Value firstGathered = s.isDirect ? e.maxSigned(firstTile, e.floorDiv(e.extent(s.pixels), e.i64(s.width))) : firstTile;
    Value firstPanel = e.mul(firstGathered, e.i64(perTile)), endPanel = e.minSigned(panels, e.mul(lastTile, e.i64(perTile))), next = firstPanel;
    if (s.isPlain) {
      next = e.maxSigned(firstPanel, e.minSigned(endPanel, e.extent(s.pixels.floorDiv(kLanes))));
      copyRuns(input, firstPanel, next);
    }
    auto targetOf = [&](Value pixel) {
      return e.address(e.b.getF32Type(), scratch, e.mul(e.sub(e.floorDiv(pixel, e.i64(kLanes)), firstPanel), panelSize));
    };
    gather.emit(input, e.extent(s.channels), e.mul(next, e.i64(kLanes)), e.minSigned(e.extent(s.pixels), e.mul(endPanel, e.i64(kLanes))), targetOf, kLanes);
  }

  void emit() {
    Type f32 = e.b.getF32Type();
    Value tiles = e.extent(s.pixels.ceilDiv(s.width)), runs = e.extent(s.pixels.ceilDiv(s.width).ceilDiv(s.tiles));
    Value groups = e.i64(s.op.getGroup()), imageSize = e.extent(graph::getNumElements(e.b.getContext(), ArrayRef(s.x).drop_front()));
    Value groupSize = e.floorDiv(imageSize, groups), blocks = e.i64(s.blocks), outChannels = e.extent(s.outChannels);
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value inner = s.isDirect ? runs : blocks, outer = s.isDirect ? blocks : runs;
      Value first = e.rem(item, inner), rest = e.floorDiv(item, inner), second = e.rem(rest, outer);
      Value block = s.isDirect ? second : first, run = s.isDirect ? first : second;
      rest = e.floorDiv(rest, outer);
      Value group = e.rem(rest, groups), image = e.floorDiv(rest, groups);
      Value firstTile = e.mul(run, e.i64(s.tiles)), lastTile = e.minSigned(tiles, e.add(firstTile, e.i64(s.tiles)));
      Value input = e.address(f32, e.getBuffer(s.op.getX()), e.add(e.mul(image, imageSize), e.mul(group, groupSize)));
      if (s.blocks == 1 || s.isDirect)
        gatherRun(input, firstTile, lastTile);
      else
        e.ifThen(arith::OrIOp::create(e.b, e.compare("eq", item, e.begin), e.compare("eq", block, e.i64(0))), [&] { gatherRun(input, firstTile, lastTile); });
      Value firstRow = e.mul(block, e.i64(s.blockChannels)), count = outChannels;
      if (s.blocks > 1)
        count = *graph::getConstant(s.outChannels) % s.blockChannels == 0 ? e.i64(s.blockChannels) : e.minSigned(e.i64(s.blockChannels), e.sub(outChannels, firstRow));
      sweep(image, input, e.add(e.mul(group, outChannels), firstRow), count, firstTile, lastTile);
    });
  }
};

} // namespace

void emitConv(UnitEmitter &e) {
  if (slidesWindows(e.unit, e.options.target))
    return emitWindowConv(e);
  ConvEmitter(e, getShape(e.unit, e.options.target)).emit();
}

WorkInfo getConvWork(kernel::UnitOp unit, const EmitOptions &options) {
  if (slidesWindows(unit, options.target))
    return getWindowConvWork(unit, options);
  ConvShape s = getShape(unit, options.target);
  MLIRContext *context = unit.getContext();
  AffineExpr items = s.x[0] * (static_cast<int64_t>(s.op.getGroup()) * s.blocks) * s.pixels.ceilDiv(s.width).ceilDiv(s.tiles);
  return {items, graph::getNumElements(context, s.out) * s.depth, (s.getPanelFloats() + s.getCopiedFloats(getTileRows(options.target)) + getGatherFloats(getWindow(s), s.tiles * s.width)) * 4,
          getAffineConstantExpr(s.isDirect ? 1 : s.blocks, context)};
}

} // namespace onager
