// Running sums and products along an axis.
//
// Work items: index tuples of the other dims.
#include "lib/Conversion/KernelToVector/Accumulate.h"

using namespace mlir;

namespace onager {

static graph::CumulateOp getScan(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::CumulateOp>().begin(); }

static graph::Dims getOuter(graph::CumulateOp scan) {
  graph::Dims outer = graph::getDims(scan.getX());
  outer.erase(outer.begin() + scan.getAxis());
  return outer;
}

void emitScan(UnitEmitter &e) {
  graph::CumulateOp scan = getScan(e.unit);
  graph::Dims dims = graph::getDims(scan.getX());
  size_t axis = scan.getAxis();
  Type storage = cast<RankedTensorType>(scan.getX().getType()).getElementType();
  Value size = e.extent(dims[axis]), last = e.sub(size, e.i64(1));
  forRows(e, getOuter(scan), e.begin, e.end, [&](ArrayRef<Value> row, Value) {
    e.forLoop(e.i64(0), size, 1, getIdentity(e, scan.getKind(), storage), [&](Value step, ValueRange running) {
      UnitEmitter::Index index(row);
      index.insert(index.begin() + axis, scan.getReverse() ? e.sub(last, step) : step);
      Value next = accumulate(e, scan.getKind(), storage, running[0], e.element(scan.getX(), index));
      e.store(storage, e.getResultBuffer(0), e.linearize(index, dims), scan.getExclusive() ? running[0] : next);
      return SmallVector<Value>{next};
    });
  });
}

WorkInfo getScanWork(kernel::UnitOp unit) {
  graph::CumulateOp scan = getScan(unit);
  MLIRContext *context = unit.getContext();
  return {graph::getNumElements(context, getOuter(scan)), graph::getNumElements(context, graph::getDims(scan.getX())) * 2, getAffineConstantExpr(0, context)};
}

} // namespace onager
