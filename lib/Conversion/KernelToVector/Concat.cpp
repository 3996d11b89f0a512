// Concatenation: each operand is pulled by a loop nest of its own and written behind the one before it, so that no element
// tests which operand it comes from.
//
// Work items: the rows (all dims but the last) of the first operand, then of the second, and so on.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"

using namespace mlir;

namespace onager {

static graph::ConcatOp getHero(kernel::UnitOp unit) {
  return cast<graph::ConcatOp>(unit.getBody().front().getTerminator()->getOperand(0).getDefiningOp());
}

/// Emits the rows [first, last) of one operand that starts at `offset` along the axis.
static void emitOperand(UnitEmitter &e, graph::ConcatOp concat, Value input, Value offset, Value first, Value last) {
  graph::Dims dims = graph::getDims(input), result = graph::getDims(concat.getResult());
  Type storage = cast<RankedTensorType>(concat.getType()).getElementType();
  size_t axis = concat.getAxis(), rank = dims.size();
  forRows(e, ArrayRef(dims).drop_back(), first, last, [&](ArrayRef<Value> index, Value) {
    e.forEachParallel(e.i64(0), e.extent(dims[rank - 1]), [&](Value i) {
      UnitEmitter::Index from(index), to(index);
      from.push_back(i);
      to.push_back(i);
      to[axis] = e.add(to[axis], offset);
      e.store(storage, e.getResultBuffer(0), e.linearize(to, result), e.element(input, from));
    });
  });
}

static AffineExpr getRows(Value input) {
  graph::Dims dims = graph::getDims(input);
  return graph::getNumElements(input.getContext(), ArrayRef(dims).drop_back());
}

void emitConcat(UnitEmitter &e) {
  graph::ConcatOp concat = getHero(e.unit);
  Value offset = e.i64(0), passed = e.i64(0);
  for (Value input : concat.getInputs()) {
    Value rows = e.extent(getRows(input));
    Value first = e.clamp(e.sub(e.begin, passed), e.i64(0), rows), last = e.clamp(e.sub(e.end, passed), e.i64(0), rows);
    emitOperand(e, concat, input, offset, first, last);
    offset = e.add(offset, e.extent(graph::getDims(input)[concat.getAxis()]));
    passed = e.add(passed, rows);
  }
}

WorkInfo getConcatWork(kernel::UnitOp unit) {
  graph::ConcatOp concat = getHero(unit);
  AffineExpr items = getAffineConstantExpr(0, unit.getContext());
  for (Value input : concat.getInputs())
    items = items + getRows(input);
  return {items, graph::getNumElements(unit.getContext(), graph::getDims(concat.getResult())), getAffineConstantExpr(0, unit.getContext())};
}

} // namespace onager
