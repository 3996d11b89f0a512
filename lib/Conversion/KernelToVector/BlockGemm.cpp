// Products with weights of few bits. Work items: groups of panels, which hold as many columns as a register tile.
//
// Up to kFewRows rows: the weights are read once for all rows of a tile and widened in registers.
//   sums[row][block] = sum of x over the block
//   for block   dot[row] = sum x[row][k] * number[k]      total[row] += dot[row] * scale - sums[row][block] * offset
// More rows: the group's weights become f32 panels in scratch memory, which the micro-kernel multiplies.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

constexpr int64_t kLanes = kernel::kPanelWidth;
/// Rows up to which widening in registers beats panels of f32, and rows of one tile of it.
constexpr int64_t kFewRows = 8, kTileRows = 4;
/// Bytes that weights are prefetched ahead: their loads are too narrow to ask for lines early enough.
constexpr int64_t kPrefetchBytes = 1024;

struct BlockShape {
  kernel::BlockGemmOp op;
  graph::Dims rowDims;
  AffineExpr rows, columns;
  int64_t depth, blocks, block, panels;
  int64_t perStep; ///< numbers of k in a byte
};

BlockShape getShape(kernel::UnitOp unit) {
  BlockShape s;
  s.op = *unit.getBody().front().getOps<kernel::BlockGemmOp>().begin();
  graph::Dims x = graph::getDims(s.op.getX());
  s.rowDims.assign(x.begin(), x.end() - 1);
  s.rows = graph::getNumElements(unit.getContext(), s.rowDims);
  s.columns = graph::getDims(s.op.getResult()).back();
  s.depth = *graph::getConstant(x.back());
  s.blocks = cast<RankedTensorType>(s.op.getScales().getType()).getDimSize(1);
  s.panels = cast<RankedTensorType>(s.op.getPacked().getType()).getDimSize(0);
  s.block = s.op.getBlock();
  s.perStep = s.op.getBits() == 8 ? 1 : 2;
  return s;
}

struct BlockGemmEmitter {
  UnitEmitter &e;
  BlockShape s;
  int64_t width; ///< panels of a group
  VectorType lanes;
  Value x, packed, scales, offsets, sums, panels, tile;
  SmallVector<Value> chosen = {}; ///< the group's panels; where the last group lacks one, its last panel again

  BlockGemmEmitter(UnitEmitter &e, const BlockShape &shape) : e(e), s(shape), width(getTilePanels(e.options.target)) {
    Type f32 = e.b.getF32Type();
    lanes = VectorType::get({kLanes}, f32);
    x = e.getBuffer(s.op.getX());
    packed = e.getBuffer(s.op.getPacked());
    scales = e.getBuffer(s.op.getScales());
    offsets = e.getBuffer(s.op.getOffsets());
    sums = e.getScratch();
    panels = e.address(f32, sums, e.i64(kFewRows * s.blocks));
    tile = e.stackBuffer(f32, std::max(getTileRows(e.options.target), kTileRows) * width * kLanes);
  }

  Value splat(Value scalar) { return vector::BroadcastOp::create(e.b, lanes, scalar); }
  Value multiplyAdd(Value a, Value c, Value sum) { return vector::FMAOp::create(e.b, a, c, sum); }
  Value loadNumbers(Value base, Value panel, Value block) {
    Value at = e.mul(e.add(e.mul(panel, e.i64(s.blocks)), block), e.i64(kLanes));
    return LLVM::LoadOp::create(e.b, lanes, e.address(e.b.getF32Type(), base, at), 4);
  }
  /// The numbers of a step of a panel: of one k, or of two.
  SmallVector<Value> widen(Value panel, Value step) {
    Type i8 = e.b.getI8Type();
    auto words = VectorType::get({kLanes}, e.b.getI32Type());
    Value at = e.mul(e.add(e.mul(panel, e.i64(s.blocks * s.block / s.perStep)), step), e.i64(kLanes));
    Value bytes = LLVM::LoadOp::create(e.b, VectorType::get({kLanes}, i8), e.address(i8, packed, at), 1);
    LLVM::Prefetch::create(e.b, e.address(i8, packed, e.add(at, e.i64(kPrefetchBytes))), /*rw=*/0, /*hint=*/3, /*cache=*/1);
    Value wide = arith::ExtUIOp::create(e.b, words, bytes);
    auto toFloat = [&](Value numbers) -> Value { return arith::SIToFPOp::create(e.b, lanes, numbers); };
    if (s.perStep == 1)
      return {toFloat(wide)};
    auto word = [&](int64_t value) -> Value { return vector::BroadcastOp::create(e.b, words, arith::ConstantIntOp::create(e.b, value, 32)); };
    return {toFloat(arith::AndIOp::create(e.b, wide, word(15))), toFloat(arith::ShRUIOp::create(e.b, wide, word(4)))};
  }
  /// Steps of a block; the last may be cut where K ends.
  Value countSteps(Value block) {
    Value left = e.sub(e.i64(s.depth), e.mul(block, e.i64(s.block)));
    return s.depth % s.block == 0 ? e.i64(s.block / s.perStep) : e.floorDiv(e.minSigned(left, e.i64(s.block)), e.i64(s.perStep));
  }

  /// Sums of x over each block of up to kFewRows rows.
  void sumBlocks(Value rows) {
    Type f32 = e.b.getF32Type();
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      e.forEach(e.i64(0), e.i64(s.blocks), 1, [&](Value block) {
        Value first = e.add(e.mul(row, e.i64(s.depth)), e.mul(block, e.i64(s.block))), count = e.mul(countSteps(block), e.i64(s.perStep));
        Value sum = e.forLoop(e.i64(0), count, 1, e.constant(f32, 0), [&](Value k, ValueRange running) {
          return SmallVector<Value>{accumulate(e, graph::ReduceKind::sum, f32, running[0], e.load(f32, x, e.add(first, k), true))};
        }, true)[0];
        e.store(f32, sums, e.add(e.mul(row, e.i64(s.blocks)), block), sum);
      });
    });
  }

  /// One step of the sums over a block for all rows and panels.
  SmallVector<Value> advance(ArrayRef<Value> rowStarts, Value block, Value step, ValueRange dots) {
    Type f32 = e.b.getF32Type();
    Value base = e.mul(block, e.i64(s.block / s.perStep)), first = e.mul(e.add(base, step), e.i64(s.perStep));
    SmallVector<Value> next(dots);
    for (int64_t p = 0; p < width; ++p)
      for (auto [half, numbers] : llvm::enumerate(widen(chosen[p], e.add(base, step))))
        for (auto [i, start] : llvm::enumerate(rowStarts)) {
          Value &dot = next[(i * width + p) * s.perStep + half];
          dot = multiplyAdd(splat(e.load(f32, x, e.add(start, e.add(first, e.i64(half))), true)), numbers, dot);
        }
    return next;
  }

  /// A tile of few rows, from row `row` on, into `tile`.
  void multiplyFew(Value row, int64_t rows) {
    Type f32 = e.b.getF32Type();
    SmallVector<Value> rowStarts;
    for (int64_t i = 0; i < rows; ++i)
      rowStarts.push_back(e.mul(e.add(row, e.i64(i)), e.i64(s.depth)));
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
    SmallVector<Value> totals = e.forLoop(e.i64(0), e.i64(s.blocks), 1, SmallVector<Value>(rows * width, zero), [&](Value block, ValueRange running) {
      SmallVector<Value> dots = e.forLoop(e.i64(0), countSteps(block), 1, SmallVector<Value>(rows * width * s.perStep, zero),
                                          [&](Value step, ValueRange sums) { return advance(rowStarts, block, step, sums); });
      SmallVector<Value> next;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t p = 0; p < width; ++p) {
          Value dot = dots[(i * width + p) * s.perStep];
          for (int64_t half = 1; half < s.perStep; ++half)
            dot = arith::AddFOp::create(e.b, dot, dots[(i * width + p) * s.perStep + half]);
          Value sum = splat(e.load(f32, sums, e.add(e.mul(e.add(row, e.i64(i)), e.i64(s.blocks)), block)));
          Value total = multiplyAdd(dot, loadNumbers(scales, chosen[p], block), running[i * width + p]);
          next.push_back(multiplyAdd(arith::NegFOp::create(e.b, sum), loadNumbers(offsets, chosen[p], block), total));
        }
      return next;
    });
    for (auto [k, total] : llvm::enumerate(totals))
      LLVM::StoreOp::create(e.b, total, e.address(f32, tile, e.i64(k * kLanes)), 4);
  }

  /// Writes the group's weights as panels of f32 [panel][K][16].
  void makePanels() {
    Type f32 = e.b.getF32Type();
    for (int64_t p = 0; p < width; ++p)
      e.forEach(e.i64(0), e.i64(s.blocks), 1, [&](Value block) {
        Value scale = loadNumbers(scales, chosen[p], block), offset = arith::NegFOp::create(e.b, loadNumbers(offsets, chosen[p], block));
        Value base = e.mul(block, e.i64(s.block / s.perStep));
        e.forEach(e.i64(0), countSteps(block), 1, [&](Value step) {
          Value first = e.add(e.i64(p * s.depth), e.mul(e.add(base, step), e.i64(s.perStep)));
          for (auto [half, numbers] : llvm::enumerate(widen(chosen[p], e.add(base, step))))
            LLVM::StoreOp::create(e.b, multiplyAdd(numbers, scale, offset), e.address(f32, panels, e.mul(e.add(first, e.i64(half)), e.i64(kLanes))), 4);
        });
      });
  }

  void multiplyMany(Value row, int64_t rows) {
    Value a = e.address(e.b.getF32Type(), x, e.mul(row, e.i64(s.depth))), depth = e.i64(s.depth);
    callMicroKernel(e, rows, width, {a, depth, panels, e.i64(s.depth * kLanes), tile, e.i64(width * kLanes), depth});
  }

  void storeRows(Value row, int64_t rows, Value column, Value columns) {
    storeTile(e, s.op.getResult(), tile, width * kLanes, e.i64(rows), columns, [&](Value i) {
      Index first = e.delinearize(e.add(row, i), s.rowDims);
      first.push_back(column);
      return first;
    });
  }

  void emit() {
    Value rows = e.extent(s.rows), isFew = e.compare("sle", rows, e.i64(kFewRows));
    e.ifThen(isFew, [&] { sumBlocks(rows); });
    e.forEach(e.begin, e.end, 1, [&](Value group) {
      Value first = e.mul(group, e.i64(width)), column = e.mul(first, e.i64(kLanes));
      Value columns = e.minSigned(e.i64(width * kLanes), e.sub(e.extent(s.columns), column));
      chosen.clear();
      for (int64_t p = 0; p < width; ++p)
        chosen.push_back(e.minSigned(e.add(first, e.i64(p)), e.i64(s.panels - 1)));
      e.ifThen(isFew, [&] {
        forRowTiles(e, kTileRows, rows, [&](Value row, int64_t size) {
          multiplyFew(row, size);
          storeRows(row, size, column, columns);
        });
      });
      e.ifThen(e.compare("sgt", rows, e.i64(kFewRows)), [&] {
        makePanels();
        forRowTiles(e, getTileRows(e.options.target), rows, [&](Value row, int64_t size) {
          multiplyMany(row, size);
          storeRows(row, size, column, columns);
        });
      });
    });
  }
};

} // namespace

void emitBlockGemm(UnitEmitter &e) { BlockGemmEmitter(e, getShape(e.unit)).emit(); }

WorkInfo getBlockGemmWork(kernel::UnitOp unit, const EmitOptions &options) {
  BlockShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  int64_t width = getTilePanels(options.target), scratch = (kFewRows * s.blocks + s.depth * width * kLanes) * 4;
  auto groups = static_cast<int64_t>(llvm::divideCeil(s.panels, width));
  return {getAffineConstantExpr(groups, context), s.rows * s.columns * s.depth, getAffineConstantExpr(scratch, context)};
}

} // namespace onager
