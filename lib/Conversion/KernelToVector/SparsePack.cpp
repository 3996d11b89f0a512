// Weights that are not 0, by runs and outputs. One work item: where a weight goes depends on all before it.
#include "dialects/Kernel/IR/Sparse.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

static kernel::SparsePackOp getPack(kernel::UnitOp unit) { return *unit.getBody().front().getOps<kernel::SparsePackOp>().begin(); }

/// Appends the weights of one output in [first, end) behind the `count` that are there; returns how many there are then.
static Value appendList(UnitEmitter &e, kernel::SparsePackOp pack, Value output, Value first, Value end, Value count) {
  Type f32 = e.b.getF32Type(), i16 = e.b.getI16Type();
  int64_t room = cast<RankedTensorType>(pack.getValues().getType()).getNumElements();
  return e.forLoop(first, end, 1, count, [&](Value k, ValueRange before) {
    Value weight = e.element(pack.getX(), {output, k}), isKept = arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNE, weight, e.constant(f32, 0));
    Value isAnother = arith::AndIOp::create(e.b, isKept, e.compare("sge", before[0], e.i64(room)));
    e.failIf(isAnother, "a scale makes numbers of weights that are 0");
    e.ifThen(arith::AndIOp::create(e.b, isKept, e.compare("slt", before[0], e.i64(room))), [&] {
      e.store(f32, e.getResultBuffer(2), before[0], weight);
      e.store(i16, e.getResultBuffer(1), before[0], arith::TruncIOp::create(e.b, i16, e.sub(k, first)));
    });
    return SmallVector<Value>{e.add(before[0], arith::ExtUIOp::create(e.b, e.b.getI64Type(), isKept))};
  })[0];
}

void emitSparsePack(UnitEmitter &e) {
  kernel::SparsePackOp pack = getPack(e.unit);
  auto type = cast<RankedTensorType>(pack.getX().getType());
  int64_t outputs = type.getDimSize(0), depth = type.getDimSize(1), runs = kernel::getSparseRuns(depth);
  Type i32 = e.b.getI32Type(), f32 = e.b.getF32Type();
  auto setStart = [&](Value run, Value output, Value count) {
    e.store(i32, e.getResultBuffer(0), e.add(e.mul(run, e.i64(outputs + 1)), output), arith::TruncIOp::create(e.b, i32, count));
  };
  e.ifThen(e.compare("slt", e.begin, e.end), [&] {
    Value count = e.forLoop(e.i64(0), e.i64(runs), 1, e.i64(0), [&](Value run, ValueRange before) {
      Value first = e.mul(run, e.i64(kernel::kSparseRun)), end = e.minSigned(e.i64(depth), e.add(first, e.i64(kernel::kSparseRun)));
      Value all = e.forLoop(e.i64(0), e.i64(outputs), 1, before[0], [&](Value output, ValueRange so) {
        setStart(run, output, so[0]);
        return SmallVector<Value>{appendList(e, pack, output, first, end, so[0])};
      })[0];
      setStart(run, e.i64(outputs), all);
      return SmallVector<Value>{all};
    })[0];
    e.forEach(count, e.i64(cast<RankedTensorType>(pack.getValues().getType()).getNumElements()), 1, [&](Value k) {
      e.store(f32, e.getResultBuffer(2), k, e.constant(f32, 0));
      e.store(e.b.getI16Type(), e.getResultBuffer(1), k, e.constant(e.b.getI16Type(), 0));
    });
  });
}

WorkInfo getSparsePackWork(kernel::UnitOp unit) {
  MLIRContext *context = unit.getContext();
  AffineExpr weights = graph::getNumElements(context, graph::getDims(getPack(unit).getX()));
  return {getAffineConstantExpr(1, context), weights, getAffineConstantExpr(0, context)};
}

} // namespace onager
