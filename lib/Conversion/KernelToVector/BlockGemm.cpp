// Products with weights of few bits. Work items: groups of panels. See BlockPanels.h for the layout.
//
// Few rows: the weights are read once for all rows of a tile, as bytes (BlockDigits.h) or, where the target does not multiply those, widened in
// registers:
//   sums[row][block] = sum of x over the block
//   for block   dot[row] = sum x[row][k] * number[k]      total[row] += (dot[row] - sums[row][block] * zero) * scale
// With a codebook the level takes the number's place, and there is no zero point.
// More rows, or rows with numbers that are not finite: weights become f32 panels in scratch memory, which the micro-kernel multiplies.
//   scratch := mark: whether rows are few (1) or not (0), panels, [rows that are copied][what few rows become]
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/BlockDigits.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

constexpr int64_t kLanes = kernel::kPanelWidth;
/// Rows up to which reading weights as bytes, or widening them in registers, beats panels of f32, and rows of one tile of either.
constexpr int64_t kFewDigitRows = 32, kFewWidenedRows = 8, kTileRows = 4;
/// Panels of a group that bytes are read of: what follows a product takes them together.
constexpr int64_t kDigitPanels = 4;
/// Sums of widened weights that hide the latency of multiply-adds.
constexpr size_t kWidenedChains = 4;
/// Bytes that weights are prefetched ahead where they are widened.
constexpr int64_t kPrefetchBytes = 1024;

BlockShape getShape(kernel::UnitOp unit) {
  BlockShape s;
  kernel::BlockGemmOp op = *unit.getBody().front().getOps<kernel::BlockGemmOp>().begin();
  s.x = op.getX();
  s.packed = op.getPacked();
  s.scales = op.getScales();
  s.zeros = op.getZeros();
  s.levels = op.getLevels();
  s.result = op.getResult();
  s.hasDigits = op.getDigits();
  graph::Dims x = graph::getDims(s.x);
  s.rowDims.assign(x.begin(), x.end() - 1);
  s.rows = graph::getNumElements(unit.getContext(), s.rowDims);
  s.columns = graph::getDims(s.result).back();
  s.depth = *graph::getConstant(x.back());
  s.blocks = op.getScales().getType().getDimSize(1);
  s.panels = op.getPacked().getType().getDimSize(0);
  s.block = op.getBlock();
  s.bits = op.getBits();
  return s;
}

/// Panels of a work item.
int64_t getGroup(const BlockShape &s, const TargetInfo &target) { return s.hasDigits ? kDigitPanels : getTilePanels(target); }

int64_t getFewRows(const BlockShape &s) { return s.hasDigits ? kFewDigitRows : kFewWidenedRows; }

/// Bytes of the parts of scratch: panels of f32; then copies of a tile's rows or, of few rows, these filled up to whole blocks and what they become.
int64_t getPanelBytes(const BlockShape &s, const TargetInfo &target) { return getTilePanels(target) * s.getPaddedDepth() * kLanes * 4; }
int64_t getCopyBytes(const BlockShape &s) { return s.hasWholeBlocks() ? 0 : getFewRows(s) * s.getPaddedDepth() * 4; }
int64_t getTileBytes(const BlockShape &s, const TargetInfo &target) { return hasAliasedRows(s.depth, target) ? getTileRows(target) * (s.depth + kApart) * 4 : 0; }
int64_t getRowBytes(const BlockShape &s) { return s.hasDigits ? BlockDigits::getScratchBytes(s, getFewRows(s)) : getFewRows(s) * s.blocks * 4; }

struct BlockGemmEmitter {
  UnitEmitter &e;
  const BlockShape &s;
  BlockPanels weights;
  int64_t group, width; ///< panels of a work item, and of a tile of the micro-kernel
  Value x, mark, panels, sums, tile;
  BlockRows few; ///< the rows of x, where there are few
  BlockDigits digits;

  BlockGemmEmitter(UnitEmitter &e, const BlockShape &shape)
      : e(e), s(shape), weights(e, s), group(getGroup(s, e.options.target)), width(getTilePanels(e.options.target)), x(e.getBuffer(s.x)),
        mark(e.getScratch()), panels(getByteAddress(e, mark, e.i64(kMarkBytes))), sums(getByteAddress(e, panels, e.i64(getPanelBytes(s, e.options.target) + getCopyBytes(s)))),
        tile(e.stackBuffer(e.b.getF32Type(), std::max(getTileRows(e.options.target) * width, kTileRows * group) * kLanes)), few{s.hasWholeBlocks() ? x : getByteAddress(e, panels, e.i64(getPanelBytes(s, e.options.target))), e.extent(s.rows), s.getPaddedDepth()},
        digits(e, s, weights, sums, getFewRows(s)) {}

  Value multiplyAdd(Value a, Value c, Value sum) { return vector::FMAOp::create(e.b, a, c, sum); }
  /// The panel of that number, or the last one.
  Value choose(Value panel) { return e.minSigned(panel, e.i64(s.panels - 1)); }

  /// Copies few rows to scratch, filled up with zeros to whole blocks.
  void copyRows() {
    Type f32 = e.b.getF32Type();
    e.forEach(e.i64(0), few.count, 1, [&](Value row) {
      Value to = e.address(f32, few.base, e.mul(row, e.i64(few.stride))), from = e.mul(row, e.i64(s.depth));
      e.forEachParallel(e.i64(0), e.i64(s.depth), [&](Value k) { e.store(f32, to, k, e.load(f32, x, e.add(from, k), true)); });
      e.forEachParallel(e.i64(s.depth), e.i64(few.stride), [&](Value k) { e.store(f32, to, k, e.constant(f32, 0)); });
    });
  }

  /// Sums of x over each block of few rows.
  void sumBlocks() {
    Type f32 = e.b.getF32Type();
    e.forEach(e.i64(0), few.count, 1, [&](Value row) {
      e.forEach(e.i64(0), e.i64(s.blocks), 1, [&](Value block) {
        Value first = e.add(e.mul(row, e.i64(few.stride)), e.mul(block, e.i64(s.block)));
        Value sum = e.forLoop(e.i64(0), e.i64(s.block), 1, e.constant(f32, 0), [&](Value k, ValueRange running) {
          return SmallVector<Value>{accumulate(e, graph::ReduceKind::sum, f32, running[0], e.load(f32, few.base, e.add(first, k)))};
        }, true)[0];
        e.store(f32, sums, e.add(e.mul(row, e.i64(s.blocks)), block), sum);
      });
    });
  }

  /// A step's numbers, widened; `step` counts from the panel's first.
  SmallVector<Value, 8> widen(Value panel, Value step) {
    Value at = getByteAddress(e, weights.getPanel(panel), e.mul(step, e.i64(kLanes * kernel::kQuad)));
    weights.prefetch(getByteAddress(e, at, e.i64(kPrefetchBytes)), CacheLevel::first);
    return weights.widen(weights.loadStep(at));
  }

  /// The dot products of a block for all rows and panels. Where these are few each is several sums, whose additions do not wait for each other.
  SmallVector<Value> sumBlock(ArrayRef<Value> rowStarts, ArrayRef<Value> chosen, Value block) {
    Type f32 = e.b.getF32Type();
    size_t dots = rowStarts.size() * chosen.size(), chains = std::max<size_t>(1, kWidenedChains / dots);
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(weights.floats)), base = e.mul(block, e.i64(s.getBlockSteps()));
    SmallVector<Value> sums = e.forLoop(e.i64(0), e.i64(s.getBlockSteps()), 1, SmallVector<Value>(dots * chains, zero), [&](Value step, ValueRange running) {
      SmallVector<Value> next(running);
      Value first = e.mul(e.add(base, step), e.i64(s.getStepNumbers()));
      for (auto [p, panel] : llvm::enumerate(chosen))
        for (auto [k, numbers] : llvm::enumerate(widen(panel, e.add(base, step))))
          for (auto [i, start] : llvm::enumerate(rowStarts)) {
            Value &dot = next[k % chains * dots + i * chosen.size() + p];
            dot = multiplyAdd(weights.splat(e.load(f32, few.base, e.add(start, e.add(first, e.i64(static_cast<int64_t>(k)))))), numbers, dot);
          }
      return next;
    });
    for (size_t k = dots; k < sums.size(); ++k)
      sums[k % dots] = arith::AddFOp::create(e.b, sums[k % dots], sums[k]);
    sums.resize(dots);
    return sums;
  }

  /// A block's dot product with numbers less their zero points.
  Value takeOffZero(Value dot, Value row, Value panel, Value block) {
    Value sum = weights.splat(e.load(e.b.getF32Type(), sums, e.add(e.mul(row, e.i64(s.blocks)), block)));
    return multiplyAdd(arith::NegFOp::create(e.b, sum), weights.loadZeros(panel, block), dot);
  }

  /// A tile of few rows by widened weights, from row `row` on, into `tile`.
  void multiplyWidened(Value row, int64_t rows, ArrayRef<Value> chosen) {
    Type f32 = e.b.getF32Type();
    SmallVector<Value> rowStarts;
    for (int64_t i = 0; i < rows; ++i)
      rowStarts.push_back(e.mul(e.add(row, e.i64(i)), e.i64(few.stride)));
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(weights.floats));
    SmallVector<Value> totals = e.forLoop(e.i64(0), e.i64(s.blocks), 1, SmallVector<Value>(rowStarts.size() * chosen.size(), zero), [&](Value block, ValueRange running) {
      SmallVector<Value> dots = sumBlock(rowStarts, chosen, block), next;
      for (int64_t i = 0; i < rows; ++i)
        for (Value panel : chosen) {
          Value centred = s.levels ? dots[next.size()] : takeOffZero(dots[next.size()], e.add(row, e.i64(i)), panel, block);
          next.push_back(multiplyAdd(centred, weights.loadScales(panel, block), running[next.size()]));
        }
      return next;
    });
    for (auto [k, total] : llvm::enumerate(totals))
      LLVM::StoreOp::create(e.b, total, e.address(f32, tile, e.i64(static_cast<int64_t>(k) * kLanes)), 4);
  }

  /// Writes weights as panels of f32 [panel][K][16], filled up to whole blocks.
  void makePanels(ArrayRef<Value> chosen) {
    Type f32 = e.b.getF32Type();
    for (auto [p, panel] : llvm::enumerate(chosen)) {
      Value place = e.address(f32, panels, e.i64(static_cast<int64_t>(p) * s.getPaddedDepth() * kLanes));
      e.forEach(e.i64(0), e.i64(s.blocks), 1, [&](Value block) {
        Value scale = weights.loadScales(panel, block), zero = s.levels ? Value() : weights.loadZeros(panel, block), base = e.mul(block, e.i64(s.getBlockSteps()));
        e.forEach(e.i64(0), e.i64(s.getBlockSteps()), 1, [&](Value step) {
          Value first = e.mul(e.add(base, step), e.i64(s.getStepNumbers()));
          for (auto [k, numbers] : llvm::enumerate(widen(panel, e.add(base, step)))) {
            Value weight = arith::MulFOp::create(e.b, zero ? arith::SubFOp::create(e.b, numbers, zero) : numbers, scale);
            LLVM::StoreOp::create(e.b, weight, e.address(f32, place, e.mul(e.add(first, e.i64(static_cast<int64_t>(k))), e.i64(kLanes))), 4);
          }
        });
      });
    }
  }

  /// Stores a tile of `count` panels, of which the first has number `panel`.
  void storeRows(Value row, int64_t rows, Value panel, int64_t count) {
    Value column = e.mul(panel, e.i64(kLanes)), columns = e.minSigned(e.i64(count * kLanes), e.sub(e.extent(s.columns), column));
    storeTile(e, s.result, tile, count * kLanes, e.i64(rows), columns, [&](Value i) {
      Index first = e.delinearize(e.add(row, i), s.rowDims);
      first.push_back(column);
      return first;
    });
  }

  void multiplyDigits(Value row, int64_t rows, ArrayRef<Value> chosen) {
    for (auto [p, panel] : llvm::enumerate(chosen))
      digits.multiply(row, rows, panel, e.address(e.b.getF32Type(), tile, e.i64(static_cast<int64_t>(p) * kLanes)), group * kLanes);
  }

  void emitFew(Value first) {
    SmallVector<Value> chosen;
    for (int64_t p = 0; p < group; ++p)
      chosen.push_back(choose(e.add(first, e.i64(p))));
    forRowTiles(e, kTileRows, few.count, [&](Value row, int64_t rows) {
      s.hasDigits ? multiplyDigits(row, rows, chosen) : multiplyWidened(row, rows, chosen);
      storeRows(row, rows, first, group);
    });
  }

  void emitMany(Value first) {
    Type f32 = e.b.getF32Type();
    Value depth = e.i64(s.depth), panelFloats = e.i64(s.getPaddedDepth() * kLanes);
    e.forEach(first, e.minSigned(e.add(first, e.i64(group)), e.i64(s.panels)), width, [&](Value panel) {
      SmallVector<Value> chosen;
      for (int64_t p = 0; p < width; ++p)
        chosen.push_back(choose(e.add(panel, e.i64(p))));
      makePanels(chosen);
      forRowTiles(e, getTileRows(e.options.target), few.count, [&](Value row, int64_t rows) {
        Value first = e.address(f32, x, e.mul(row, depth)), pitch = depth;
        if (hasAliasedRows(s.depth, e.options.target)) {
          Value copy = getByteAddress(e, panels, e.i64(getPanelBytes(s, e.options.target)));
          copyRowsApart(e, copy, first, e.i64(rows), depth);
          first = copy, pitch = e.i64(s.depth + kApart);
        }
        callMicroKernel(e, rows, width, {first, pitch, panels, panelFloats, tile, e.i64(width * kLanes), depth});
        storeRows(row, rows, panel, width);
      });
    });
  }

  /// Prepares few rows. Returns an i1: they can be multiplied as such.
  Value prepare() {
    if (!s.hasWholeBlocks())
      copyRows();
    if (s.hasDigits)
      return digits.convert(few);
    if (!s.levels)
      sumBlocks();
    return arith::ConstantIntOp::create(e.b, 1, 1);
  }

  /// Prepares few rows unless this thread did so in this launch. Returns an i1: rows are few.
  Value prepareOnce() {
    Type i64 = e.b.getI64Type();
    e.ifThen(e.compare("slt", e.load(i64, mark, e.i64(0)), e.i64(0)), [&] {
      Value isFew = e.select(e.compare("sle", few.count, e.i64(getFewRows(s))), i64, [&]() -> Value { return arith::ExtUIOp::create(e.b, i64, prepare()); }, [&] { return e.i64(0); });
      e.store(i64, mark, e.i64(0), isFew);
    });
    return e.compare("ne", e.load(i64, mark, e.i64(0)), e.i64(0));
  }

  void emit() {
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value first = e.mul(item, e.i64(group));
      e.ifElse(prepareOnce(), [&] { emitFew(first); }, [&] { emitMany(first); });
    });
  }
};

} // namespace

void emitBlockGemm(UnitEmitter &e) {
  BlockShape shape = getShape(e.unit);
  BlockGemmEmitter(e, shape).emit();
}

WorkInfo getBlockGemmWork(kernel::UnitOp unit, const EmitOptions &options) {
  BlockShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  int64_t scratch = kMarkBytes + getPanelBytes(s, options.target) + std::max(getTileBytes(s, options.target), getCopyBytes(s) + getRowBytes(s));
  auto groups = static_cast<int64_t>(llvm::divideCeil(s.panels, getGroup(s, options.target)));
  return {getAffineConstantExpr(groups, context), s.rows * s.columns * s.depth, getAffineConstantExpr(scratch, context), {}, true};
}

} // namespace onager
