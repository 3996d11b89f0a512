// Dot products of rows with rows: kernel.dot_rows, where every operand is read along its rows and neither is packed.
//
// Work items: (batch, block of kBlock rows of the right operand). Tiles of a few rows keep a vector of sums for each pair in registers:
//   for k by 16     x[r] = lhs[r, k...]     y[c] = rhs[c, k...]     sums[r][c] += x[r] * y[c]     what is left of a row under a mask
//   result[r, c] = the lanes of sums[r][c] put together by halves: the same for each pair, whatever tile it is in
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/RowVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

constexpr int64_t kLanes = kernel::kPanelWidth, kBlock = 16, kSums = 16;

struct DotRowsShape {
  kernel::DotRowsOp op;
  graph::Dims batch;
  int64_t rows;
  AffineExpr columns, depth;

  AffineExpr getBlocks() const { return columns.ceilDiv(kBlock); }
  /// Rows of the right operand in a tile: a power of two, so that blocks are whole tiles.
  int64_t getTileColumns() const { return std::clamp<int64_t>(llvm::bit_floor(static_cast<uint64_t>(kSums / std::max<int64_t>(rows, 1))), 1, 8); }
};

DotRowsShape getShape(kernel::UnitOp unit) {
  DotRowsShape s;
  s.op = *unit.getBody().front().getOps<kernel::DotRowsOp>().begin();
  graph::Dims out = graph::getDims(s.op.getResult());
  s.batch.assign(out.begin(), out.end() - 2);
  s.rows = *graph::getConstant(out[out.size() - 2]);
  s.columns = out.back();
  s.depth = graph::getDims(s.op.getLhs()).back();
  return s;
}

struct DotRowsEmitter {
  UnitEmitter &e;
  DotRowsShape s;
  Type f32;
  VectorType lanes;
  Value depth, whole, tailMask;

  DotRowsEmitter(UnitEmitter &e, DotRowsShape shape) : e(e), s(shape), f32(e.b.getF32Type()), lanes(VectorType::get({kLanes}, f32)), depth(e.extent(s.depth)) {
    whole = e.mul(e.floorDiv(depth, e.i64(kLanes)), e.i64(kLanes));
    if (std::optional<int64_t> known = graph::getConstant(s.depth); !known || *known % kLanes)
      tailMask = PlaneEmitter(e).getMask(e.sub(depth, whole));
  }

  /// The first row of an operand's matrix at an index of the batch, which broadcasts.
  Value getMatrix(Value operand, ArrayRef<Value> batch) {
    Index index(batch);
    index.append({e.i64(0), e.i64(0)});
    Index place = e.broadcastIndex(operand, graph::getDims(s.op.getResult()), index);
    return e.address(f32, e.getBuffer(operand), e.linearize(place, graph::getDims(operand)));
  }

  Value load(Value row, Value k, Value mask) {
    Value place = e.address(f32, row, k);
    if (!mask)
      return LLVM::LoadOp::create(e.b, lanes, place, 4);
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
    return LLVM::MaskedLoadOp::create(e.b, lanes, place, mask, zero, 4u);
  }

  SmallVector<Value> addProducts(ArrayRef<Value> left, ArrayRef<Value> right, ValueRange sums, Value k, Value mask) {
    SmallVector<Value> ys, next;
    for (Value row : right)
      ys.push_back(load(row, k, mask));
    for (Value row : left) {
      Value x = load(row, k, mask);
      for (Value y : ys)
        next.push_back(vector::FMAOp::create(e.b, x, y, sums[next.size()]));
    }
    return next;
  }

  void emitTile(ArrayRef<Value> batch, Value lhs, Value rhs, Value column, int64_t columns) {
    SmallVector<Value> left, right;
    for (int64_t r = 0; r < s.rows; ++r)
      left.push_back(e.address(f32, lhs, e.mul(e.i64(r), depth)));
    for (int64_t c = 0; c < columns; ++c)
      right.push_back(e.address(f32, rhs, e.mul(e.add(column, e.i64(c)), depth)));
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
    SmallVector<Value> sums = e.forLoop(e.i64(0), whole, kLanes, SmallVector<Value>(s.rows * columns, zero),
                                        [&](Value k, ValueRange running) { return addProducts(left, right, running, k, {}); });
    if (tailMask)
      sums = addProducts(left, right, sums, whole, tailMask);
    for (auto [number, sum] : llvm::enumerate(sums)) {
      Index index(batch);
      index.append({e.i64(static_cast<int64_t>(number) / columns), e.add(column, e.i64(static_cast<int64_t>(number) % columns))});
      Value total = RowVectors::across(e, sum, [&](Value a, Value c) { return arith::AddFOp::create(e.b, a, c); });
      e.overrideElement(s.op.getResult(), [total](ArrayRef<Value>) { return total; });
      storeResults(e, index, e.linearize(index, graph::getDims(s.op.getResult())));
      e.clearOverrides();
    }
  }

  void emit() {
    graph::Dims items(s.batch);
    items.push_back(s.getBlocks());
    int64_t tile = s.getTileColumns();
    forRows(e, items, e.begin, e.end, [&](ArrayRef<Value> item, Value) {
      ArrayRef<Value> batch = item.drop_back();
      Value lhs = getMatrix(s.op.getLhs(), batch), rhs = getMatrix(s.op.getRhs(), batch);
      Value first = e.mul(item.back(), e.i64(kBlock)), count = e.minSigned(e.i64(kBlock), e.sub(e.extent(s.columns), first));
      Value tiled = e.add(first, e.mul(e.floorDiv(count, e.i64(tile)), e.i64(tile)));
      e.forEach(first, tiled, tile, [&](Value column) { emitTile(batch, lhs, rhs, column, tile); });
      if (tile > 1)
        e.forEach(tiled, e.add(first, count), 1, [&](Value column) { emitTile(batch, lhs, rhs, column, 1); });
    });
  }
};

} // namespace

void emitDotRows(UnitEmitter &e) { DotRowsEmitter(e, getShape(e.unit)).emit(); }

WorkInfo getDotRowsWork(kernel::UnitOp unit) {
  DotRowsShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  AffineExpr batch = graph::getNumElements(context, s.batch);
  return {batch * s.getBlocks(), batch * s.columns * s.rows * s.depth, getAffineConstantExpr(0, context)};
}

} // namespace onager
