// Convolutions of f32 in parts of bf16: filters, which are split, times panels of pixels, which are split here; see Bf16x3.h.
//
// Work items: (image, run of tiles of 32 pixels, 32 output channels), channels innermost. Pixels of windows of one tap and stride 1 are read where they lie,
// but for the last tile where that is not whole; others are gathered once for each run that a share meets. Terms are taken in blocks whose filters, of 32
// channels, stay in the first-level cache while all tiles of the run are multiplied with them:
//   scratch := parts of the run's pixels [tiles][block's steps], sums [32 channels][tiles][32][32], panels of pixels, filters of 32 channels put together again,
//              what gathering takes
// A tile with a filter or pixel that is not finite is multiplied once more, in vectors, behind the last block.
#include "lib/Conversion/KernelToVector/AmxTiles.h"
#include "lib/Conversion/KernelToVector/Bf16x3.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/PanelGather.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

constexpr int64_t kLanes = kernel::kPanelWidth, kPanels = kBf16x3Columns / kLanes, kSumBytes = kBf16x3Rows * kBf16x3Columns * 4;
/// Tiles of a run at most, so that filters are read few times, and the bytes of its sums and panels, which stay in the second-level cache.
constexpr int64_t kMostTiles = 16, kMostSumBytes = 1 << 20;

struct Bf16x3ConvShape {
  kernel::Bf16x3ConvOp op;
  graph::Dims x, out;
  AffineExpr pixels;
  int64_t depth, steps, outChannels, channelTiles;
  int64_t tiles; ///< of a run
  bool isPlain;  ///< pixels are read where they lie

  AffineExpr getRuns() const { return pixels.ceilDiv(kBf16x3Columns).ceilDiv(tiles); }
  int64_t getPartBytes() const { return tiles * kBf16x3BlockSteps * kBf16x3StepBytes; }
  int64_t getSumBytes() const { return channelTiles * tiles * kSumBytes; }
  int64_t getPanelBytes() const { return (isPlain ? 1 : tiles) * depth * kBf16x3Columns * 4; }
  int64_t getFilterBytes() const { return kBf16x3Rows * depth * 4; }
  int64_t getBytes() const { return getPartBytes() + getSumBytes() + getPanelBytes() + getFilterBytes(); }
};

GatherWindow getWindow(Bf16x3ConvShape s) {
  graph::Dims kernel;
  for (int64_t size : s.op.getKernel())
    kernel.push_back(getAffineConstantExpr(size, s.op.getContext()));
  return {ArrayRef(s.x).drop_front(2), ArrayRef(s.out).drop_front(2), kernel, s.op.getStrides(), s.op.getDilations(), s.op.getPads().getResults()};
}

Bf16x3ConvShape getShape(kernel::UnitOp unit) {
  Bf16x3ConvShape s;
  s.op = *unit.getBody().front().getOps<kernel::Bf16x3ConvOp>().begin();
  s.x = graph::getDims(s.op.getX()), s.out = graph::getDims(s.op.getResult());
  s.pixels = graph::getNumElements(unit.getContext(), ArrayRef(s.out).drop_front(2));
  int64_t taps = ShapedType::getNumElements(s.op.getKernel());
  s.depth = *graph::getConstant(s.x[1]) * taps, s.outChannels = *graph::getConstant(s.out[1]);
  s.steps = llvm::divideCeil(s.depth, kBf16x3Terms), s.channelTiles = llvm::divideCeil(s.outChannels, kBf16x3Rows);
  auto isNone = [](AffineExpr pad) { return graph::isConstant(pad, 0); };
  s.isPlain = taps == 1 && llvm::all_of(s.op.getStrides(), [](int64_t stride) { return stride == 1; }) && ArrayRef(s.x).drop_front(2) == ArrayRef(s.out).drop_front(2) &&
              llvm::all_of(s.op.getPads().getResults(), isNone);
  int64_t bytes = std::max(s.channelTiles * kSumBytes, s.isPlain ? 0 : s.depth * kBf16x3Columns * 4);
  s.tiles = std::clamp<int64_t>(kMostSumBytes / bytes, 1, kMostTiles);
  if (std::optional<int64_t> pixels = graph::getConstant(s.pixels)) {
    int64_t tiles = std::max<int64_t>(llvm::divideCeil(*pixels, kBf16x3Columns), 1);
    s.tiles = llvm::divideCeil(tiles, llvm::divideCeil(tiles, s.tiles));
  }
  return s;
}

struct Bf16x3ConvEmitter {
  UnitEmitter &e;
  Bf16x3ConvShape s;
  AmxTiles registers;
  Value parts, sums, panels, filter; ///< in scratch
  Value pixelsSpecial, filterSpecial; ///< i64: 1 where a tile of pixels, or the filters at hand, hold what is not finite
  PanelGather gather;
  bool asOne; ///< pixels are walked as one dim

  Bf16x3ConvEmitter(UnitEmitter &e, Bf16x3ConvShape shape) : e(e), s(shape), registers(e), parts(e.getScratch()), sums(bytes(parts, e.i64(shape.getPartBytes()))),
      panels(bytes(sums, e.i64(shape.getSumBytes()))), filter(bytes(panels, e.i64(shape.getPanelBytes()))), pixelsSpecial(e.stackBuffer(e.b.getI64Type(), shape.tiles)),
      filterSpecial(e.stackBuffer(e.b.getI64Type(), 1)), gather(e, getWindow(shape), shape.tiles * kBf16x3Columns, bytes(filter, e.i64(shape.getFilterBytes()))),
      asOne(walksPixelsAsOne(e.unit, shape.op.getResult())) {}

  Value bytes(Value base, Value offset) { return e.address(e.b.getI8Type(), base, offset); }
  Value floats(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }
  Value choose(Value condition, Value x, Value y) {
    if (isa<LLVM::LLVMPointerType>(x.getType()))
      return LLVM::SelectOp::create(e.b, condition, x, y);
    return arith::SelectOp::create(e.b, condition, x, y);
  }
  void clear(Value flags, Value number) { LLVM::StoreOp::create(e.b, e.i64(0), e.address(e.b.getI64Type(), flags, number), 8); }
  Value isSet(Value flags, Value number) { return e.compare("ne", e.load(e.b.getI64Type(), flags, number), e.i64(0)); }

  struct Run {
    Value image, input;       ///< its number, and where it lies
    Value firstTile, tiles;
    Value firstChannels, endChannels; ///< tiles of channels
  };

  /// Where the pixels of a tile lie: its first panel, and the numbers from one panel, and term, to the next.
  struct Pixels {
    Value base, stride, pitch, first, count;
  };

  Value getPartsOf(Value tile) { return bytes(parts, e.mul(tile, e.i64(kBf16x3BlockSteps * kBf16x3StepBytes))); }
  Value getSumsOf(Value channels, Value tile) { return bytes(sums, e.mul(e.add(e.mul(channels, e.i64(s.tiles)), tile), e.i64(kSumBytes))); }
  Value getFilterParts(Value channels, Value step) {
    return bytes(e.getBuffer(s.op.getFilter()), e.mul(e.add(e.mul(channels, e.i64(s.steps)), step), e.i64(kBf16x3StepBytes)));
  }

  Pixels getPixels(const Run &run, Value tile) {
    Value pixels = e.extent(s.pixels), number = e.add(run.firstTile, tile), panelFloats = e.i64(s.depth * kLanes);
    Pixels p;
    p.first = e.mul(number, e.i64(kBf16x3Columns)), p.count = e.minSigned(e.i64(kBf16x3Columns), e.sub(pixels, p.first));
    // A panel that does not exist is the one before it.
    p.stride = choose(e.compare("sgt", p.count, e.i64(kLanes)), panelFloats, e.i64(0)), p.pitch = e.i64(kLanes);
    if (!s.isPlain) {
      p.base = floats(panels, e.mul(tile, e.i64(s.depth * kBf16x3Columns)));
      return p;
    }
    Value isWhole = e.compare("eq", p.count, e.i64(kBf16x3Columns));
    p.base = choose(isWhole, floats(run.input, p.first), panels), p.stride = choose(isWhole, e.i64(kLanes), p.stride), p.pitch = choose(isWhole, pixels, p.pitch);
    return p;
  }

  /// Gathers the pixels of a run, or of its last tile where that is not whole.
  void gatherRun(const Run &run) {
    Value pixels = e.extent(s.pixels), first = e.mul(run.firstTile, e.i64(kBf16x3Columns)), end = e.minSigned(pixels, e.mul(e.add(run.firstTile, run.tiles), e.i64(kBf16x3Columns)));
    if (s.isPlain)
      first = e.minSigned(end, e.mul(e.floorDiv(pixels, e.i64(kBf16x3Columns)), e.i64(kBf16x3Columns)));
    gather.emit(run.input, e.extent(s.x[1]), first, end, [&](Value pixel) { return floats(panels, e.mul(e.sub(pixel, first), e.i64(s.depth))); }, kLanes);
  }

  /// A block of terms, from `step` on, of all pixels and channels.
  void multiplyBlock(const Run &run, Value step, Value count) {
    Value first = e.mul(step, e.i64(kBf16x3Terms)), terms = e.minSigned(e.mul(count, e.i64(kBf16x3Terms)), e.sub(e.i64(s.depth), first));
    e.forEach(e.i64(0), run.tiles, 1, [&](Value tile) {
      Pixels p = getPixels(run, tile);
      callSplitPanels(e, floats(p.base, e.mul(first, p.pitch)), p.stride, p.pitch, terms, getPartsOf(tile), e.address(e.b.getI64Type(), pixelsSpecial, tile));
    });
    e.forEach(run.firstChannels, run.endChannels, 1, [&](Value channels) {
      Value following = e.add(channels, e.i64(1)), isLast = e.compare("eq", following, run.endChannels);
      Value next = getFilterParts(choose(isLast, run.firstChannels, following), choose(isLast, e.add(step, count), step));
      e.forEach(e.i64(0), run.tiles, 1, [&](Value tile) {
        Value ahead = bytes(next, e.mul(e.mul(tile, count), e.i64(kBf16x3AheadBytes)));
        Bf16x3Operands o{getFilterParts(channels, step), getPartsOf(tile), getSumsOf(channels, tile), count, ahead};
        e.ifElse(e.compare("eq", step, e.i64(0)), [&] { callBf16x3Product(e, 2, false, o); }, [&] { callBf16x3Product(e, 2, true, o); });
      });
    });
  }

  /// Looks whether one of 32 filters is not finite, and puts them together where one is, or where a tile of pixels has such a number.
  void prepareSpecial(const Run &run, Value channel, Value channels, Value count) {
    Value mark = e.forLoop(e.i64(0), count, 1, e.constant(e.b.getF32Type(), 0), [&](Value row, ValueRange sum) {
      return SmallVector<Value>{arith::AddFOp::create(e.b, sum[0], e.load(e.b.getF32Type(), e.getBuffer(s.op.getMarks()), e.add(channel, row)))};
    })[0];
    Value any = e.forLoop(e.i64(0), run.tiles, 1, e.i64(0), [&](Value tile, ValueRange sum) {
      return SmallVector<Value>{e.add(sum[0], e.load(e.b.getI64Type(), pixelsSpecial, tile))};
    })[0];
    Value isMarked = arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNO, mark, mark);
    clear(filterSpecial, e.i64(0));
    e.ifThen(isMarked, [&] { LLVM::StoreOp::create(e.b, e.i64(1), filterSpecial, 8); });
    e.ifThen(arith::OrIOp::create(e.b, isMarked, e.compare("ne", any, e.i64(0))), [&] { callJoinRows(e, getFilterParts(channels, e.i64(0)), e.i64(s.depth), filter); });
  }

  void multiplySpecial(const Pixels &p, Value count, Value target) {
    forRowTiles(e, getTileRows(e.options.target), count, [&](Value row, int64_t size) {
      TileOperands t{floats(filter, e.mul(row, e.i64(s.depth))), e.i64(s.depth), p.base, p.stride, floats(target, e.mul(row, e.i64(kBf16x3Columns))), e.i64(kBf16x3Columns), e.i64(s.depth)};
      t.step = p.pitch;
      callMicroKernel(e, size, kPanels, t);
    });
  }

  void storeRun(const Run &run) {
    e.forEach(run.firstChannels, run.endChannels, 1, [&](Value channels) {
      Value channel = e.mul(channels, e.i64(kBf16x3Rows));
      Value count = s.outChannels % kBf16x3Rows == 0 ? e.i64(kBf16x3Rows) : e.minSigned(e.i64(kBf16x3Rows), e.sub(e.i64(s.outChannels), channel));
      prepareSpecial(run, channel, channels, count);
      e.forEach(e.i64(0), run.tiles, 1, [&](Value tile) {
        Pixels p = getPixels(run, tile);
        Value from = getSumsOf(channels, tile);
        e.ifThen(arith::OrIOp::create(e.b, isSet(filterSpecial, e.i64(0)), isSet(pixelsSpecial, tile)), [&] { multiplySpecial(p, count, from); });
        std::optional<int64_t> known = graph::getConstant(s.pixels);
        Value columns = known && *known % kBf16x3Columns == 0 ? e.i64(kBf16x3Columns) : p.count;
        storePixels(e, s.op.getResult(), {run.image, channel}, p.first, count, columns, from, kBf16x3Columns, asOne);
      });
    });
  }

  void emitRun(const Run &run) {
    gatherRun(run);
    e.forEach(e.i64(0), run.tiles, 1, [&](Value tile) { clear(pixelsSpecial, tile); });
    // Blocks have nearly the same number of steps.
    int64_t blocks = llvm::divideCeil(s.steps, kBf16x3BlockSteps), most = llvm::divideCeil(s.steps, blocks);
    e.forEach(e.i64(0), e.i64(s.steps), most, [&](Value step) { multiplyBlock(run, step, s.steps % most == 0 ? e.i64(most) : e.minSigned(e.i64(most), e.sub(e.i64(s.steps), step))); });
    storeRun(run);
  }

  void emit() {
    Value perRun = e.i64(s.channelTiles), runs = e.maxSigned(e.extent(s.getRuns()), e.i64(1)), all = e.extent(s.pixels.ceilDiv(kBf16x3Columns));
    Value imageSize = e.extent(graph::getNumElements(e.b.getContext(), ArrayRef(s.x).drop_front()));
    e.forEach(e.floorDiv(e.begin, perRun), e.floorDiv(e.add(e.end, e.i64(s.channelTiles - 1)), perRun), 1, [&](Value number) {
      Run run;
      run.image = e.floorDiv(number, runs), run.input = floats(e.getBuffer(s.op.getX()), e.mul(run.image, imageSize));
      run.firstTile = e.mul(e.rem(number, runs), e.i64(s.tiles)), run.tiles = e.minSigned(e.i64(s.tiles), e.sub(all, run.firstTile));
      Value start = e.mul(number, perRun);
      run.firstChannels = e.maxSigned(e.i64(0), e.sub(e.begin, start)), run.endChannels = e.minSigned(perRun, e.sub(e.end, start));
      emitRun(run);
    });
    registers.release();
  }
};

} // namespace

void emitBf16x3Conv(UnitEmitter &e) { Bf16x3ConvEmitter(e, getShape(e.unit)).emit(); }

WorkInfo getBf16x3ConvWork(kernel::UnitOp unit) {
  Bf16x3ConvShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  AffineExpr gathered = getAffineConstantExpr(getGatherFloats(getWindow(s), s.tiles * kBf16x3Columns) * 4 + s.getBytes(), context);
  return {s.x[0] * s.getRuns() * s.channelTiles, graph::getNumElements(context, s.out) * s.depth, gathered, getAffineConstantExpr(s.channelTiles, context)};
}

} // namespace onager
