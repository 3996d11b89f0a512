// Units without a hero: one loop nest over the shape that all results share. Those of transposed operands are Transposed.cpp's.
//
// Work items: for rank 0 and 1 the elements, else the rows (all dims but the last; but the last two where the last is of a few elements, which are
// unrolled: the vectoriser then interleaves them).
//
//   for row in [begin, end)            indices of the outer dims are carried and stepped like an odometer
//     for i in [0, extent of the last dim)    parallel: the loop vectoriser's
//       result_k[row, i] = element(yielded_k, (outer..., i))
#include "lib/Conversion/KernelToVector/ByteTable.h"
#include "lib/Conversion/KernelToVector/Transposed.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

void forRows(UnitEmitter &e, ArrayRef<AffineExpr> outer, Value first, Value last, function_ref<void(ArrayRef<Value>, Value)> body) {
  UnitEmitter::Index start = e.delinearize(first, outer);
  e.forLoop(first, last, 1, start, [&](Value row, ValueRange index) {
    body(SmallVector<Value>(index), row);
    SmallVector<Value> next(index);
    Value carry;
    for (size_t k = outer.size(); k-- > 0;) {
      Value stepped = carry ? Value(arith::SelectOp::create(e.b, carry, e.add(index[k], e.i64(1)), index[k])) : e.add(index[k], e.i64(1));
      if (k > 0) {
        carry = e.compare("eq", stepped, e.extent(outer[k]));
        stepped = arith::SelectOp::create(e.b, carry, e.i64(0), stepped);
      }
      next[k] = stepped;
    }
    return next;
  });
}

void storeResults(UnitEmitter &e, ArrayRef<Value> index, Value linear) {
  Operation *yield = e.unit.getBody().front().getTerminator();
  for (auto [number, value] : llvm::enumerate(yield->getOperands())) {
    Type storage = cast<RankedTensorType>(value.getType()).getElementType();
    e.store(storage, e.getResultBuffer(number), linear, e.element(value, index));
  }
}

/// Extent of the last dim where it is unrolled, else 0. One element is, too, where threads still have rows to share.
static int64_t getUnrolled(ArrayRef<AffineExpr> dims) {
  std::optional<int64_t> last = dims.size() < 2 ? std::nullopt : graph::getConstant(dims.back());
  return last && *last >= (dims.size() == 2 ? 2 : 1) && *last <= 4 ? *last : 0;
}

/// Rows whose last dim has a few elements: walks the dim before it.
static void emitUnrolled(UnitEmitter &e, ArrayRef<AffineExpr> dims, int64_t count) {
  Value width = e.extent(dims[dims.size() - 2]);
  auto emitRow = [&](ArrayRef<Value> index, Value row) {
    Value base = e.mul(row, width);
    e.forEachParallel(e.i64(0), width, [&](Value i) {
      for (int64_t k = 0; k < count; ++k) {
        UnitEmitter::Index position(index);
        position.append({i, e.i64(k)});
        storeResults(e, position, e.add(e.mul(e.add(base, i), e.i64(count)), e.i64(k)));
      }
    });
  };
  if (dims.size() == 2)
    return e.forEach(e.begin, e.end, 1, [&](Value row) { emitRow({}, row); });
  forRows(e, ArrayRef(dims).drop_back(2), e.begin, e.end, emitRow);
}

void emitMap(UnitEmitter &e) {
  if (Value argument = e.options.exact ? Value() : getTableArgument(e.unit))
    return emitByteTable(e, argument);
  if (emitTransposed(e))
    return;
  graph::Dims dims = graph::getDims(e.unit.getBody().front().getTerminator()->getOperand(0));
  if (dims.size() <= 1) {
    e.forEachParallel(e.begin, e.end, [&](Value i) {
      storeResults(e, dims.empty() ? UnitEmitter::Index{} : UnitEmitter::Index{i}, i);
    });
    return;
  }
  if (int64_t count = e.options.exact ? 0 : getUnrolled(dims))
    return emitUnrolled(e, dims, count);
  ArrayRef<AffineExpr> outer = ArrayRef(dims).drop_back();
  Value width = e.extent(dims.back());
  forRows(e, outer, e.begin, e.end, [&](ArrayRef<Value> index, Value row) {
    Value base = e.mul(row, width);
    e.forEachParallel(e.i64(0), width, [&](Value i) {
      UnitEmitter::Index position(index);
      position.push_back(i);
      storeResults(e, position, e.add(base, i));
    });
  });
}

WorkInfo getMapWork(kernel::UnitOp unit, bool exact) {
  if (!exact && getTableArgument(unit))
    return getByteTableWork(unit);
  MLIRContext *context = unit.getContext();
  graph::Dims dims = graph::getDims(unit.getBody().front().getTerminator()->getOperand(0));
  AffineExpr elements = graph::getNumElements(context, dims);
  size_t inner = !exact && getUnrolled(dims) ? 2 : 1;
  AffineExpr items = dims.size() <= 1 ? elements : graph::getNumElements(context, ArrayRef(dims).drop_back(inner));
  if (std::optional<AffineExpr> squares = exact ? std::nullopt : getTransposedItems(unit))
    items = *squares;
  int64_t ops = std::distance(unit.getBody().front().begin(), unit.getBody().front().end());
  return {items, elements * ops, getAffineConstantExpr(0, context)};
}

} // namespace onager
