// Scatters: a copy of the data, then the updates in row-major order.
//
// Work items: one, since updates may meet at the same place and their order counts.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

Operation *getScatter(kernel::UnitOp unit) {
  for (Operation &op : unit.getBody().front())
    if (isa<graph::ScatterElementsOp, graph::ScatterNDOp>(op))
      return &op;
  return nullptr;
}

/// Loops over an index space in order.
void forSequence(UnitEmitter &e, ArrayRef<AffineExpr> dims, Index index, function_ref<void(ArrayRef<Value>)> body) {
  if (index.size() == dims.size())
    return body(index);
  e.forEach(e.i64(0), e.extent(dims[index.size()]), 1, [&](Value i) {
    Index next(index);
    next.push_back(i);
    forSequence(e, dims, next, body);
  });
}

Value combine(UnitEmitter &e, graph::ScatterKind kind, Type storage, Value old, Value update) {
  using graph::ReduceKind;
  switch (kind) {
  case graph::ScatterKind::none:
    return update;
  case graph::ScatterKind::add:
    return storage.isInteger(1) ? Value(arith::OrIOp::create(e.b, old, update)) : accumulate(e, ReduceKind::sum, storage, old, update);
  case graph::ScatterKind::mul:
    return accumulate(e, ReduceKind::prod, storage, old, update);
  case graph::ScatterKind::max:
    return accumulate(e, ReduceKind::max, storage, old, update);
  case graph::ScatterKind::min:
    return accumulate(e, ReduceKind::min, storage, old, update);
  }
  return update;
}

/// The place in the data that the update at `index` goes to.
Index getTarget(UnitEmitter &e, Operation *op, ArrayRef<Value> index) {
  if (auto scatter = dyn_cast<graph::ScatterElementsOp>(op)) {
    Index target(index);
    AffineExpr size = graph::getDims(scatter.getX())[scatter.getAxis()];
    target[scatter.getAxis()] = checkedIndex(e, op, e.indexElement(scatter.getIndices(), index), size);
    return target;
  }
  auto scatter = cast<graph::ScatterNDOp>(op);
  graph::Dims tuples = graph::getDims(scatter.getIndices()), dims = graph::getDims(scatter.getX());
  size_t prefix = tuples.size() - 1;
  int64_t width = *graph::getConstant(tuples.back());
  Index target;
  for (int64_t k = 0; k < width; ++k) {
    Index at(index.take_front(prefix));
    at.push_back(e.i64(k));
    target.push_back(checkedIndex(e, op, e.indexElement(scatter.getIndices(), at), dims[k]));
  }
  llvm::append_range(target, index.drop_front(prefix));
  return target;
}

} // namespace

void emitScatter(UnitEmitter &e) {
  Operation *op = getScatter(e.unit);
  Value x = op->getOperand(0), updates = op->getOperand(2);
  Type storage = cast<RankedTensorType>(x.getType()).getElementType();
  graph::Dims dims = graph::getDims(x);
  graph::ScatterKind kind = isa<graph::ScatterElementsOp>(op) ? cast<graph::ScatterElementsOp>(op).getKind() : cast<graph::ScatterNDOp>(op).getKind();
  Value out = e.getResultBuffer(0);
  e.ifThen(e.compare("slt", e.begin, e.end), [&] {
    forNest(e, dims, [&](ArrayRef<Value> index, Value linear) { e.store(storage, out, linear, e.element(x, index)); });
    forSequence(e, graph::getDims(updates), {}, [&](ArrayRef<Value> index) {
      Value target = e.linearize(getTarget(e, op, index), dims);
      Value update = e.element(updates, index);
      e.ifThen(e.compare("sgt", e.extent(graph::getNumElements(e.b.getContext(), dims)), e.i64(0)), [&] {
        Value old = kind == graph::ScatterKind::none ? update : e.load(storage, out, target);
        e.store(storage, out, target, combine(e, kind, storage, old, update));
      });
    });
  });
}

WorkInfo getScatterWork(kernel::UnitOp unit) {
  MLIRContext *context = unit.getContext();
  Operation *op = getScatter(unit);
  return {getAffineConstantExpr(1, context), graph::getNumElements(context, graph::getDims(op->getResult(0))), getAffineConstantExpr(0, context)};
}

} // namespace onager
