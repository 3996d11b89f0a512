// Reductions, arg-reductions, running sums, softmax.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What is known of the axes of a reduction; `nothing` leaves every element alone.
enum class AxesState { known, nothing, dynamic };
AxesState readReduceAxes(Node &node, Value x, int64_t since, Ints &axes) {
  Emitter &e = node.e;
  if (node.opset < since || !node.has(1)) {
    axes = node.opset < since ? node.getInts("axes").value_or(Ints()) : Ints();
  } else {
    Value list = node.in(1);
    std::optional<Ints> known = e.constants(list);
    if (!known)
      return AxesState::dynamic;
    axes = *known;
  }
  if (axes.empty()) {
    if (node.getInt("noop_with_empty_axes", 0))
      return AxesState::nothing;
    axes = Ints(llvm::to_vector(llvm::seq<int64_t>(0, Emitter::rankOf(x))));
  }
  axes = e.axesOf(axes, Emitter::rankOf(x));
  return AxesState::known;
}

/// What to do before and after the reduction proper.
struct Reduction {
  ReduceKind kind;
  bool squareRoot = false;
  bool logarithm = false;
  bool exponential = false;
};

ScatterKind toScatterKind(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::prod: return ScatterKind::mul;
  case ReduceKind::max: return ScatterKind::max;
  case ReduceKind::min: return ScatterKind::min;
  default: return ScatterKind::add;
  }
}

Value getNeutral(Emitter &e, ReduceKind kind, Type type) {
  switch (kind) {
  case ReduceKind::prod: return e.scalar(1, type);
  case ReduceKind::max: return e.lowest(type);
  case ReduceKind::min: return e.highest(type);
  default: return e.scalar(0, type);
  }
}

/// A reduction over axes known only while the model runs: each element is added to the place that its kept coordinates give.
Value reduceDynamically(Node &node, Value x, ReduceKind kind, bool keepDims) {
  Emitter &e = node.e;
  int64_t rank = Emitter::rankOf(x);
  Type type = Emitter::elementOf(x);
  auto axesType = cast<RankedTensorType>(node.in(1).getType());
  if (!axesType.hasStaticShape())
    return e.fail("the number of axes is not known");
  if (axesType.getNumElements() > (keepDims ? std::max<int64_t>(rank, 1) : rank))
    return e.fail(Twine(axesType.getNumElements()) + " axes of a tensor of rank " + Twine(rank));
  if (kind == ReduceKind::sum_abs || kind == ReduceKind::sum_square)
    x = kind == ReduceKind::sum_abs ? e.unary<AbsOp>(x) : e.mul(x, x);
  Value kept = e.scatterElements(e.ints(Ints(rank, 1)), e.cast(node.in(1), e.i64()), e.ints(Ints(axesType.getNumElements(), 0)), 0, ScatterKind::none);
  Value extents = e.indexVector(Emitter::dimsOf(x)), one = e.integerScalar(1, e.i64());
  Value outExtents = e.select(e.cast(kept, e.i1()), extents, one);
  Exprs dims = e.contentsOrBind(outExtents);
  if (!x || e.hasFailed())
    return {};
  Value place = e.integerScalar(0, e.i64());
  for (int64_t axis = 0; axis < rank; ++axis) {
    dims[axis] = e.maxOf(dims[axis], e.number(0));
    Dims line(rank, e.number(1));
    line[axis] = Emitter::dimsOf(x)[axis];
    auto at = [&](Value list) { return e.reshape(e.sliceAxis(list, 0, axis, 1), {}); };
    place = e.add(e.mul(place, at(outExtents)), e.mul(e.iota(line, axis, e.i64()), at(kept)));
  }
  Value start = e.splat(getNeutral(e, kind, type), {Emitter::product(dims, e.context())});
  Value flat = e.scatterElements(start, e.flatten(e.broadcast(place, Emitter::dimsOf(x))), e.flatten(x), 0, toScatterKind(kind));
  if (kind == ReduceKind::mean) {
    Value total = e.indexTensor({Emitter::product(Emitter::dimsOf(x), e.context())}, {}, e.i64());
    Value rest = e.indexTensor({Emitter::product(dims, e.context())}, {}, e.i64());
    flat = e.div(flat, e.cast(e.div(total, e.maximum(rest, one)), type));
  }
  Value result = e.reshape(flat, Dims(dims));
  if (keepDims || !result)
    return result;
  // The kept dims move together: each goes to the number of kept dims before it, the others to a place that is cut off.
  int64_t left = rank - axesType.getNumElements();
  Value before = e.make<CumulateOp>(Emitter::dimsOf(kept), e.i64(), kept, ReduceKind::sum, 0, true, false);
  Value target = e.select(e.cast(kept, e.i1()), before, e.integerScalar(left, e.i64()));
  Value moved = e.scatterElements(e.ints(Ints(left + 1, 0)), target, outExtents, 0, ScatterKind::none);
  Exprs sizes = e.contentsOrBind(e.sliceAxis(moved, 0, 0, left));
  Dims squeezed;
  for (AffineExpr size : sizes)
    squeezed.push_back(e.maxOf(size, e.number(0)));
  return e.reshape(result, squeezed);
}

/// log(sum(e^x)) with the largest element taken out, so that it does not overflow.
Value logSumExp(Emitter &e, Value x, const Ints &axes, bool keepDims) {
  if (axes.empty())
    return x;
  Value top = e.reduce(ReduceKind::max, x, axes);
  if (!top)
    return {};
  Value isOff = e.make<IsInfOp>(Emitter::dimsOf(top), e.i1(), top, true, true);
  Value shift = e.select(isOff, e.scalar(0, Emitter::elementOf(x)), top);
  Value sum = e.reduce(ReduceKind::sum, e.unary<ExpOp>(e.sub(x, shift)), axes);
  Value result = e.add(e.unary<LogOp>(sum), shift);
  return keepDims ? result : e.squeeze(result, axes);
}

Value reduceBy(Node &node, Value x, const Reduction &how, int64_t since) {
  Emitter &e = node.e;
  Ints axes;
  bool keepDims = node.getInt("keepdims", 1) != 0;
  AxesState state = readReduceAxes(node, x, since, axes);
  if (e.hasFailed())
    return {};
  if (state == AxesState::dynamic) {
    Value inner = how.exponential ? e.unary<ExpOp>(x) : x;
    return reduceDynamically(node, inner, how.kind, keepDims);
  }
  if (state == AxesState::nothing)
    axes.clear();
  if (how.exponential)
    return logSumExp(e, x, axes, keepDims);
  return e.reduce(how.kind, x, axes, keepDims);
}

void importReduction(Node &node, Reduction how, int64_t since) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  bool isDynamic = node.opset >= since && node.has(1) && !e.constants(node.in(1));
  // Roots and logarithms are of real numbers; those of integers are cut off.
  Type element = Emitter::elementOf(x);
  if (isa<IntegerType>(element) && (how.squareRoot || how.logarithm || how.exponential))
    x = e.cast(x, Float64Type::get(e.context()));
  Value result = reduceBy(node, x, how, since);
  if (how.squareRoot)
    result = e.unary<SqrtOp>(result);
  if (how.logarithm || (how.exponential && isDynamic))
    result = e.unary<LogOp>(result);
  node.set(0, e.cast(result, element));
}

template <ReduceKind kind, int64_t since> void importReduce(Node &node) { importReduction(node, {kind}, since); }
void importReduceL2(Node &node) { importReduction(node, {ReduceKind::sum_square, true}, 18); }
void importReduceLogSum(Node &node) { importReduction(node, {ReduceKind::sum, false, true}, 18); }
void importReduceLogSumExp(Node &node) { importReduction(node, {ReduceKind::sum, false, false, true}, 18); }

template <bool isMax> void importArgReduce(Node &node) {
  node.set(0, node.e.argReduce(node.in(0), isMax, node.getInt("axis", 0), node.getInt("keepdims", 1) != 0, node.getInt("select_last_index", 0) != 0));
}

template <ReduceKind kind> void importCumulate(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), axisValue = node.in(1);
  if (!x || !axisValue)
    return;
  bool exclusive = node.getInt("exclusive", 0) != 0, reverse = node.getInt("reverse", 0) != 0;
  int64_t rank = Emitter::rankOf(x);
  auto along = [&](int64_t axis) { return e.make<CumulateOp>(Emitter::dimsOf(x), Emitter::elementOf(x), x, kind, axis, exclusive, reverse); };
  std::optional<Ints> known = rank == 1 ? Ints{0} : e.constants(axisValue);
  if (known && known->size() == 1)
    return node.set(0, along(e.axisOf((*known)[0], rank)));
  // An axis known only while the model runs chooses among the results for all of them.
  Value axis = e.cast(e.reshape(axisValue, {}), e.i64()), result = along(0);
  for (int64_t k = 1; k < rank; ++k) {
    Value isAxis = e.make<OrOp>({}, e.i1(), e.compare<EqualOp>(axis, e.integerScalar(k, e.i64())), e.compare<EqualOp>(axis, e.integerScalar(k - rank, e.i64())));
    result = e.select(isAxis, along(k), result);
  }
  node.set(0, result);
}

/// Before opset 13 the dims from `axis` on were taken as one.
template <typename Fn> Value overFlattened(Node &node, Value x, Fn fn) {
  Emitter &e = node.e;
  Dims dims = Emitter::dimsOf(x);
  int64_t axis = e.axisOf(node.getInt("axis", 1), std::max<int64_t>(1, dims.size()));
  if (e.hasFailed())
    return {};
  ArrayRef<AffineExpr> all(dims);
  Value flat = e.reshape(x, {Emitter::product(all.take_front(axis), e.context()), Emitter::product(all.drop_front(axis), e.context())});
  return e.reshape(fn(flat, 1), dims);
}

template <bool log> void importSoftmax(Node &node) {
  Value x = node.in(0);
  if (!x)
    return;
  auto apply = [&](Value value, int64_t axis) { return node.e.softmax(value, axis, log); };
  bool isLastAxis = node.getInt("axis", 1) == Emitter::rankOf(x) - 1 || node.getInt("axis", 1) == -1;
  if (node.opset < 13 && !isLastAxis)
    node.set(0, overFlattened(node, x, apply));
  else
    node.set(0, apply(x, node.getInt("axis", node.opset < 13 ? 1 : -1)));
}

void importHardmax(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  auto apply = [&](Value value, int64_t axis) -> Value {
    axis = e.axisOf(axis, Emitter::rankOf(value));
    Value best = e.argReduce(value, true, axis, true, false);
    if (!best)
      return {};
    Dims line(Emitter::rankOf(value), e.number(1));
    line[axis] = Emitter::dimsOf(value)[axis];
    return e.cast(e.compare<EqualOp>(e.iota(line, axis, e.i64()), best), Emitter::elementOf(value));
  };
  node.set(0, node.opset < 13 ? overFlattened(node, x, apply) : apply(x, node.getInt("axis", -1)));
}

} // namespace

void addReductions(OperatorTable &table) {
  table.add("ReduceSum", importReduce<ReduceKind::sum, 13>);
  table.add("ReduceMean", importReduce<ReduceKind::mean, 18>);
  table.add("ReduceProd", importReduce<ReduceKind::prod, 18>);
  table.add("ReduceMax", importReduce<ReduceKind::max, 18>);
  table.add("ReduceMin", importReduce<ReduceKind::min, 18>);
  table.add("ReduceL1", importReduce<ReduceKind::sum_abs, 18>);
  table.add("ReduceSumSquare", importReduce<ReduceKind::sum_square, 18>);
  table.add("ReduceL2", importReduceL2);
  table.add("ReduceLogSum", importReduceLogSum);
  table.add("ReduceLogSumExp", importReduceLogSumExp);
  table.add("ArgMax", importArgReduce<true>);
  table.add("ArgMin", importArgReduce<false>);
  table.add("CumSum", importCumulate<ReduceKind::sum>);
  table.add("CumProd", importCumulate<ReduceKind::prod>);
  table.add("Softmax", importSoftmax<false>);
  table.add("LogSoftmax", importSoftmax<true>);
  table.add("Hardmax", importHardmax);
}

} // namespace onager::frontend
