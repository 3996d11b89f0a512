// Places of the largest elements under windows.
//
// Work items: rows of results. The windows of a block of a row keep their best element and its place in stack memory. Taps are walked in row-major order, and
// each is compared for all windows of the block under which it lies inside of x: vectors along the row, without a test of bounds.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

/// Windows of a block: at most this many.
constexpr int64_t kBlock = 512;

graph::MaxPoolIndicesOp getHero(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::MaxPoolIndicesOp>().begin(); }

struct PoolIndicesEmitter {
  UnitEmitter &e;
  graph::MaxPoolIndicesOp op;
  Type storage, compute, place;
  graph::Dims in;
  Value best, places;

  PoolIndicesEmitter(UnitEmitter &e, graph::MaxPoolIndicesOp op) : e(e), op(op), place(e.b.getI64Type()), in(graph::getDims(op.getX())) {
    storage = cast<RankedTensorType>(op.getX().getType()).getElementType();
    compute = e.computeType(storage);
    best = e.stackBuffer(compute, kBlock);
    places = e.stackBuffer(place, kBlock);
  }

  void compare(Value window, ArrayRef<Value> from) {
    Value x = e.element(op.getX(), from), old = e.load(compute, best, window), oldPlace = e.load(place, places, window);
    Value better = arith::OrIOp::create(e.b, isBetter(e, x, old, storage, /*largest=*/true, /*last=*/false), e.compare("slt", oldPlace, e.i64(0)));
    e.store(compute, best, window, arith::SelectOp::create(e.b, better, x, old));
    e.store(place, places, window, arith::SelectOp::create(e.b, better, flattenPoolIndex(e, op, from), oldPlace));
  }

  /// Compares the taps that lie in the row of x whose index is `row` with the best of `count` windows from `first` on.
  void emitTaps(ArrayRef<Value> row, Value first, Value count) {
    size_t d = op.getKernel().size() - 1;
    Value stride = e.i64(op.getStrides()[d]), width = e.extent(in.back());
    e.forEach(e.i64(0), e.i64(op.getKernel()[d]), 1, [&](Value tap) {
      Value start = e.sub(e.add(e.mul(first, stride), e.mul(tap, e.i64(op.getDilations()[d]))), e.extent(op.getPads().getResult(d)));
      auto countBefore = [&](Value end) { // windows whose tap lies before `end`
        return e.minSigned(e.floorDiv(e.add(e.maxSigned(e.sub(end, start), e.i64(0)), e.sub(stride, e.i64(1))), stride), count);
      };
      e.forEachParallel(countBefore(e.i64(0)), countBefore(width), [&](Value window) {
        Index from(row);
        from.push_back(e.add(start, e.mul(window, stride)));
        compare(window, from);
      });
    });
  }

  void emitBlock(ArrayRef<Value> row, Value number, Value first, Value count) {
    Value columns = e.extent(graph::getDims(op.getResult()).back());
    e.forEachParallel(e.i64(0), count, [&](Value window) {
      e.store(compute, best, window, getIdentity(e, graph::ReduceKind::max, storage));
      e.store(place, places, window, e.i64(-1));
    });
    forPoolTaps(e, op, row, {row[0], row[1]}, op.getKernel().size() - 1, {}, [&](ArrayRef<Value> from, ValueRange) {
      emitTaps(from, first, count);
      return SmallVector<Value>();
    });
    e.forEachParallel(e.i64(0), count, [&](Value window) {
      Index index(row);
      index.push_back(e.add(first, window));
      e.overrideElement(op.getResult(), [&](ArrayRef<Value>) { return e.load(place, places, window); });
      storeResults(e, index, e.add(e.mul(number, columns), index.back()));
      e.clearOverrides();
    });
  }

  void emit() {
    graph::Dims out = graph::getDims(op.getResult());
    Value columns = e.extent(out.back());
    forRows(e, ArrayRef(out).drop_back(), e.begin, e.end, [&](ArrayRef<Value> row, Value number) {
      e.forEach(e.i64(0), columns, kBlock, [&](Value first) { emitBlock(row, number, first, e.minSigned(e.sub(columns, first), e.i64(kBlock))); });
    });
  }
};

} // namespace

void emitPoolIndices(UnitEmitter &e) { PoolIndicesEmitter(e, getHero(e.unit)).emit(); }

WorkInfo getPoolIndicesWork(kernel::UnitOp unit) {
  graph::MaxPoolIndicesOp op = getHero(unit);
  MLIRContext *context = unit.getContext();
  graph::Dims out = graph::getDims(op.getResult());
  AffineExpr elements = graph::getNumElements(context, out), rows = graph::getNumElements(context, ArrayRef(out).drop_back());
  return {whereAny(rows, elements), elements * ShapedType::getNumElements(op.getKernel()) * 2, getAffineConstantExpr(0, context)};
}

} // namespace onager
