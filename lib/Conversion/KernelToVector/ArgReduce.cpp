// Places of the largest or smallest elements along an axis.
//
// Work items: lines along the axis (Lines.h). A line along the last dim is walked twice, both times in vectors: for the extreme, then for the place of an
// element that equals it. Lines side by side are compared element by element with the best of each so far.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Lines.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

/// Lines of at most this many elements are walked once.
constexpr int64_t kShortLine = 16;

graph::ArgReduceOp getHero(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::ArgReduceOp>().begin(); }

struct ArgReduceEmitter {
  UnitEmitter &e;
  graph::ArgReduceOp op;
  Type storage, place;
  Value size;

  ArgReduceEmitter(UnitEmitter &e, graph::ArgReduceOp op) : e(e), op(op) {
    storage = cast<RankedTensorType>(op.getX().getType()).getElementType();
    AffineExpr extent = graph::getDims(op.getX())[op.getAxis()];
    std::optional<int64_t> known = graph::getConstant(extent);
    // As many places as elements fit a vector where 32 bits can tell them apart.
    place = known && *known < INT32_MAX ? e.b.getI32Type() : e.b.getI64Type();
    size = e.extent(extent);
  }

  bool isFloat() { return isa<FloatType>(storage); }
  Value toPlace(Value step) { return place.isInteger(64) ? step : Value(arith::TruncIOp::create(e.b, place, step)); }
  Value fromPlace(Value found) { return place.isInteger(64) ? found : Value(arith::ExtSIOp::create(e.b, e.b.getI64Type(), found)); }

  Value element(ArrayRef<Value> row, Value step) {
    Index index(row);
    index.push_back(step);
    return e.element(op.getX(), index);
  }

  Value findExtreme(ArrayRef<Value> row) {
    return e.forLoop(e.i64(0), size, 1, getIdentity(e, op.getKind(), storage), [&](Value step, ValueRange running) -> SmallVector<Value> {
      keepForVectors(getLoop(step));
      Value x = element(row, step);
      // As intrinsics, which the vectoriser knows as reductions.
      if (isFloat() && op.getKind() == graph::ReduceKind::max)
        return {LLVM::MaximumOp::create(e.b, running[0], x)};
      if (isFloat())
        return {LLVM::MinimumOp::create(e.b, running[0], x)};
      return {accumulate(e, op.getKind(), storage, running[0], x)};
    })[0];
  }

  /// The first place, or the last one, where `matches` holds; there is one.
  Value findPlace(ArrayRef<Value> row, bool last, function_ref<Value(Value)> matches) {
    Value init = last ? e.i64(0) : e.maxSigned(e.sub(size, e.i64(1)), e.i64(0));
    return e.forLoop(e.i64(0), size, 1, toPlace(init), [&](Value step, ValueRange found) {
      keepForVectors(getLoop(step));
      Value here = arith::SelectOp::create(e.b, matches(element(row, step)), toPlace(step), toPlace(init));
      return SmallVector<Value>{last ? Value(arith::MaxSIOp::create(e.b, found[0], here)) : Value(arith::MinSIOp::create(e.b, found[0], here))};
    })[0];
  }

  Value findInRow(ArrayRef<Value> row) {
    Value extreme = findExtreme(row);
    auto findEqual = [&] {
      return findPlace(row, op.getLast(), [&](Value x) -> Value {
        if (isFloat())
          return arith::CmpFOp::create(e.b, arith::CmpFPredicate::OEQ, x, extreme);
        return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, x, extreme);
      });
    };
    if (!isFloat())
      return fromPlace(findEqual());
    auto isNaN = [&](Value x) -> Value { return arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNO, x, x); };
    return fromPlace(e.select(isNaN(extreme), place, [&] { return findPlace(row, false, isNaN); }, findEqual));
  }

  /// Stores what the unit yields at `index`, row-major position `linear`, where `found` gives the place.
  void storePlace(ArrayRef<Value> index, Value linear, function_ref<Value()> found) {
    e.overrideElement(op.getResult(), [&](ArrayRef<Value>) { return found(); });
    storeResults(e, index, linear);
    e.clearOverrides();
  }

  void emitRows(const Lines &lines) {
    std::optional<int64_t> known = graph::getConstant(graph::getDims(op.getX()).back());
    bool isShort = known && *known <= kShortLine;
    forRows(e, lines.outer, e.begin, e.end, [&](ArrayRef<Value> row, Value number) {
      Index index(row);
      index.push_back(e.i64(0));
      if (isShort)
        return storeResults(e, index, number);
      Value found = findInRow(row);
      storePlace(index, number, [&] { return found; });
    });
  }

  void emitColumns(const Lines &lines) {
    Type compute = e.computeType(storage);
    Value best = e.stackBuffer(compute, kLineBlock), places = e.stackBuffer(place, kLineBlock);
    forLineBlocks(e, lines, [&](const LineBlock &block) {
      block.forLanes([&](Value lane) {
        e.store(compute, best, lane, getIdentity(e, op.getKind(), storage));
        e.store(place, places, lane, toPlace(e.i64(0)));
      });
      e.forEach(e.i64(0), size, 1, [&](Value step) {
        block.forLanes([&](Value lane) {
          Value x = block.element(step, lane), old = e.load(compute, best, lane), oldPlace = e.load(place, places, lane);
          Value better = isBetter(e, x, old, storage, op.getKind() == graph::ReduceKind::max, op.getLast());
          e.store(compute, best, lane, arith::SelectOp::create(e.b, better, x, old));
          e.store(place, places, lane, arith::SelectOp::create(e.b, better, toPlace(step), oldPlace));
        });
      });
      Value base = e.add(e.mul(block.outer, e.extent(graph::getNumElements(e.b.getContext(), lines.inner))), block.first);
      Index outer = e.delinearize(block.outer, lines.outer);
      block.forLanes([&](Value lane) {
        Index index(outer);
        index.push_back(e.i64(0));
        llvm::append_range(index, e.delinearize(e.add(block.first, lane), lines.inner));
        storePlace(index, e.add(base, lane), [&] { return fromPlace(e.load(place, places, lane)); });
      });
    });
  }
};

} // namespace

void emitArgReduce(UnitEmitter &e) {
  graph::ArgReduceOp op = getHero(e.unit);
  Lines lines(op.getX(), op.getAxis());
  ArgReduceEmitter emitter(e, op);
  if (lines.inner.empty())
    emitter.emitRows(lines);
  else
    emitter.emitColumns(lines);
}

WorkInfo getArgReduceWork(kernel::UnitOp unit) {
  graph::ArgReduceOp op = getHero(unit);
  MLIRContext *context = unit.getContext();
  return {Lines(op.getX(), op.getAxis()).getCount(), graph::getNumElements(context, graph::getDims(op.getX())) * 2, getAffineConstantExpr(0, context)};
}

} // namespace onager
