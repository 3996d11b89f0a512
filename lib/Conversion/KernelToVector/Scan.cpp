// Running sums and products along an axis.
//
// Work items: lines along the axis (Lines.h).
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Lines.h"

using namespace mlir;

namespace onager {

static graph::CumulateOp getScan(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::CumulateOp>().begin(); }

/// Along the last dim: one line after the other.
static void emitRowScan(UnitEmitter &e, graph::CumulateOp scan, Type storage, ArrayRef<AffineExpr> outer) {
  graph::Dims dims = graph::getDims(scan.getX());
  Value size = e.extent(dims.back()), last = e.sub(size, e.i64(1));
  forRows(e, outer, e.begin, e.end, [&](ArrayRef<Value> row, Value) {
    e.forLoop(e.i64(0), size, 1, getIdentity(e, scan.getKind(), storage), [&](Value step, ValueRange running) {
      UnitEmitter::Index index(row);
      index.push_back(scan.getReverse() ? e.sub(last, step) : step);
      Value next = accumulate(e, scan.getKind(), storage, running[0], e.element(scan.getX(), index));
      e.store(storage, e.getResultBuffer(0), e.linearize(index, dims), scan.getExclusive() ? running[0] : next);
      return SmallVector<Value>{next};
    });
  });
}

void emitScan(UnitEmitter &e) {
  graph::CumulateOp scan = getScan(e.unit);
  Type storage = cast<RankedTensorType>(scan.getX().getType()).getElementType(), compute = e.computeType(storage);
  Lines lines(scan.getX(), scan.getAxis());
  if (lines.inner.empty())
    return emitRowScan(e, scan, storage, lines.outer);
  Value size = e.extent(graph::getDims(scan.getX())[lines.axis]), last = e.sub(size, e.i64(1)), state = e.stackBuffer(compute, kLineBlock);
  forLineBlocks(e, lines, [&](const LineBlock &block) {
    block.forLanes([&](Value lane) { e.store(compute, state, lane, getIdentity(e, scan.getKind(), storage)); });
    e.forEach(e.i64(0), size, 1, [&](Value walked) {
      Value step = scan.getReverse() ? e.sub(last, walked) : walked;
      block.forLanes([&](Value lane) {
        Value running = e.load(compute, state, lane), next = accumulate(e, scan.getKind(), storage, running, block.element(step, lane));
        e.store(compute, state, lane, next);
        e.store(storage, e.getResultBuffer(0), block.linear(step, lane), scan.getExclusive() ? running : next);
      });
    });
  });
}

WorkInfo getScanWork(kernel::UnitOp unit) {
  graph::CumulateOp scan = getScan(unit);
  MLIRContext *context = unit.getContext();
  Lines lines(scan.getX(), scan.getAxis());
  return {lines.getCount(), graph::getNumElements(context, graph::getDims(scan.getX())) * 2, getAffineConstantExpr(0, context)};
}

} // namespace onager
