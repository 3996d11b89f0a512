// Concatenation: each operand is pulled by a loop nest of its own and written behind the one before it, so that no element
// tests which operand it comes from.
//
// Work items: the rows (all dims but the last) of the first operand, then of the second, and so on. Along the last dim the operands take turns in every
// row, which is one work item: they often read the same memory. Where they are few elements of a known number they are unrolled, and a work item has
// the last two dims.
//
// A `nontemporal` concatenation writes its first operand past the caches: memory is spared the reading of lines that are overwritten whole.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

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

/// True where the first operand, a unit's argument, is copied past the caches: its rows are whole lines.
static bool isNontemporal(graph::ConcatOp concat) {
  Value first = concat.getInputs().front();
  std::optional<int64_t> columns = graph::getConstant(graph::getDims(first).back());
  return concat.getNontemporal() && isa<BlockArgument>(first) && columns && *columns * graph::getElementBytes(concat.getType().getElementType()) % kLineBytes == 0;
}

/// Emits the rows [first, last) of the first operand, copied past the caches. Must hold: the result begins with a line.
static void copyPastCaches(UnitEmitter &e, graph::ConcatOp concat, Value first, Value last) {
  Value input = concat.getInputs().front();
  graph::Dims dims = graph::getDims(input), result = graph::getDims(concat.getResult());
  Type storage = concat.getType().getElementType();
  auto line = VectorType::get({kLineBytes}, e.b.getI8Type());
  int64_t elements = kLineBytes / graph::getElementBytes(storage);
  forRows(e, ArrayRef(dims).drop_back(), first, last, [&](ArrayRef<Value> index, Value) {
    UnitEmitter::Index place(index);
    place.push_back(e.i64(0));
    Value from = e.linearize(place, dims), to = e.linearize(place, result);
    e.forEach(e.i64(0), e.extent(dims.back()), elements, [&](Value k) {
      Value bytes = LLVM::LoadOp::create(e.b, line, e.address(storage, e.getBuffer(input), e.add(from, k)), 1);
      LLVM::StoreOp::create(e.b, bytes, e.address(storage, e.getResultBuffer(0), e.add(to, k)), kLineBytes, /*isVolatile=*/false, /*isNonTemporal=*/true);
    });
  });
  orderStoresPastCaches(e);
}

/// Emits the rows [first, last) of the first operand.
static void emitFirst(UnitEmitter &e, graph::ConcatOp concat, Value first, Value last) {
  auto copy = [&] { emitOperand(e, concat, concat.getInputs().front(), e.i64(0), first, last); };
  if (!isNontemporal(concat))
    return copy();
  e.ifElse(beginsLine(e, e.getResultBuffer(0)), [&] { copyPastCaches(e, concat, first, last); }, copy);
}

static AffineExpr getRows(Value input) {
  graph::Dims dims = graph::getDims(input);
  return graph::getNumElements(input.getContext(), ArrayRef(dims).drop_back());
}

/// The most elements of a row that are unrolled.
static constexpr int64_t kMostUnrolled = 8;

static bool isAlongRows(graph::ConcatOp concat) { return concat.getAxis() + 1 == graph::getDims(concat.getResult()).size(); }

/// True where the elements of a row are unrolled.
static bool isUnrolled(graph::ConcatOp concat) {
  int64_t count = 0;
  for (Value input : concat.getInputs())
    count += graph::getConstant(graph::getDims(input).back()).value_or(kMostUnrolled + 1);
  return isAlongRows(concat) && graph::getDims(concat.getResult()).size() > 1 && count <= kMostUnrolled;
}

/// Emits one element of an operand: `position` is the index without the last dim, `offset` where the operand begins there.
static void emitElement(UnitEmitter &e, graph::ConcatOp concat, Value input, ArrayRef<Value> position, Value i, Value offset) {
  UnitEmitter::Index from(position), to(position);
  from.push_back(i);
  to.push_back(e.add(i, offset));
  Type storage = cast<RankedTensorType>(concat.getType()).getElementType();
  e.store(storage, e.getResultBuffer(0), e.linearize(to, graph::getDims(concat.getResult())), e.element(input, from));
}

static void emitUnrolledRows(UnitEmitter &e, graph::ConcatOp concat) {
  graph::Dims dims = graph::getDims(concat.getResult());
  forRows(e, ArrayRef(dims).drop_back(2), e.begin, e.end, [&](ArrayRef<Value> index, Value) {
    e.forEachParallel(e.i64(0), e.extent(dims[dims.size() - 2]), [&](Value row) {
      UnitEmitter::Index position(index);
      position.push_back(row);
      int64_t offset = 0;
      for (Value input : concat.getInputs()) {
        int64_t count = *graph::getConstant(graph::getDims(input).back());
        for (int64_t k = 0; k < count; ++k)
          emitElement(e, concat, input, position, e.i64(k), e.i64(offset));
        offset += count;
      }
    });
  });
}

static void emitRowsByTurns(UnitEmitter &e, graph::ConcatOp concat) {
  graph::Dims dims = graph::getDims(concat.getResult());
  forRows(e, ArrayRef(dims).drop_back(), e.begin, e.end, [&](ArrayRef<Value> position, Value) {
    Value offset = e.i64(0);
    for (Value input : concat.getInputs()) {
      Value count = e.extent(graph::getDims(input).back());
      e.forEachParallel(e.i64(0), count, [&](Value i) { emitElement(e, concat, input, position, i, offset); });
      offset = e.add(offset, count);
    }
  });
}

void emitConcat(UnitEmitter &e) {
  graph::ConcatOp concat = getHero(e.unit);
  if (isUnrolled(concat))
    return emitUnrolledRows(e, concat);
  if (isAlongRows(concat))
    return emitRowsByTurns(e, concat);
  Value offset = e.i64(0), passed = e.i64(0);
  for (auto [number, input] : llvm::enumerate(concat.getInputs())) {
    Value rows = e.extent(getRows(input));
    Value first = e.clamp(e.sub(e.begin, passed), e.i64(0), rows), last = e.clamp(e.sub(e.end, passed), e.i64(0), rows);
    if (number == 0)
      emitFirst(e, concat, first, last);
    else
      emitOperand(e, concat, input, offset, first, last);
    offset = e.add(offset, e.extent(graph::getDims(input)[concat.getAxis()]));
    passed = e.add(passed, rows);
  }
}

WorkInfo getConcatWork(kernel::UnitOp unit) {
  graph::ConcatOp concat = getHero(unit);
  AffineExpr items = getAffineConstantExpr(0, unit.getContext());
  graph::Dims dims = graph::getDims(concat.getResult());
  if (isAlongRows(concat))
    items = graph::getNumElements(unit.getContext(), ArrayRef(dims).drop_back(isUnrolled(concat) ? 2 : 1));
  else
    for (Value input : concat.getInputs())
      items = items + getRows(input);
  return {items, graph::getNumElements(unit.getContext(), graph::getDims(concat.getResult())), getAffineConstantExpr(0, unit.getContext())};
}

} // namespace onager
