// Slice, Split, Pad: operators whose extents follow from values.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

constexpr int64_t kFar = (int64_t(1) << 31) - 1;

/// Turns a bound into a position inside [low, high]; negative bounds count from the end.
AffineExpr resolveBound(Emitter &e, AffineExpr bound, AffineExpr extent, AffineExpr low, AffineExpr high) {
  if (std::optional<int64_t> number = graph::getConstant(bound)) {
    if (*number >= kFar)
      return high;
    if (*number <= -kFar)
      return low;
    if (*number < 0)
      return e.maxOf(normalize(bound + extent), low);
    return e.minOf(bound, high);
  }
  AffineExpr position = bound;
  if (!e.symbols.isNonNegative(bound)) {
    // 1 where the bound is negative, else 0.
    AffineExpr isNegative = e.minOf(e.maxOf(normalize(-bound), e.number(0)), e.number(1));
    position = e.maxOf(normalize(bound + extent * isNegative), low);
  }
  return e.minOf(position, high);
}

struct SlicePlan {
  Exprs starts;
  Ints steps;
  Dims dims;
};

void planAxis(Emitter &e, SlicePlan &plan, int64_t axis, AffineExpr start, AffineExpr end, int64_t step) {
  AffineExpr extent = plan.dims[axis], zero = e.number(0);
  AffineExpr low = step > 0 ? zero : e.number(-1), high = step > 0 ? extent : extent - 1;
  AffineExpr from = resolveBound(e, start, extent, zero, normalize(high)), to = resolveBound(e, end, extent, low, normalize(high));
  if (step < 0)
    from = e.minOf(from, normalize(high)); // backwards over nothing: there is no last element to begin at
  AffineExpr span = normalize(step > 0 ? to - from : from - to);
  plan.starts[axis] = from;
  plan.steps[axis] = step;
  plan.dims[axis] = e.maxOf(normalize(span.ceilDiv(std::abs(step))), zero);
}

Value sliceBy(Node &node, Value x, ArrayRef<AffineExpr> starts, ArrayRef<AffineExpr> ends, const Ints &axes, const Ints &steps) {
  Emitter &e = node.e;
  int64_t rank = Emitter::rankOf(x);
  if (starts.size() != ends.size() || starts.size() != axes.size() || starts.size() != steps.size())
    return e.fail("starts, ends, axes and steps differ in length");
  SlicePlan plan{Exprs(rank, e.number(0)), Ints(rank, 1), Emitter::dimsOf(x)};
  e.axesOf(axes, rank);
  for (size_t k = 0; k < axes.size() && !e.hasFailed(); ++k) {
    if (steps[k] == 0 || steps[k] == INT64_MIN)
      return e.fail("a step is 0");
    planAxis(e, plan, e.axisOf(axes[k], rank), starts[k], ends[k], steps[k]);
  }
  return e.slice(x, plan.starts, plan.steps, plan.dims);
}

/// Puts values of given axes at their places in a vector with one element per dim.
Value spread(Emitter &e, Value base, Value axes, Value values) {
  return axes ? e.scatterElements(base, e.cast(axes, e.i64()), e.cast(values, e.i64()), 0, ScatterKind::none) : e.cast(values, e.i64());
}

/// A slice whose axes or steps are known only while the model runs: bounds are computed with tensors, elements gathered dim by dim.
Value sliceDynamically(Node &node, Value x) {
  Emitter &e = node.e;
  int64_t rank = Emitter::rankOf(x);
  Value extents = e.indexVector(Emitter::dimsOf(x)), axes = node.opt(3);
  auto same = [&](int64_t number) { return e.ints(Ints(rank, number)); };
  if (!axes && !graph::isConstant(Emitter::dimsOf(node.in(1))[0], rank))
    axes = e.iota(Emitter::dimsOf(node.in(1)), 0, e.i64());
  Value steps = node.has(4) ? spread(e, same(1), axes, node.in(4)) : same(1);
  Value starts = spread(e, same(0), axes, node.in(1)), ends = spread(e, extents, axes, node.in(2));
  if (!steps || !starts || !ends)
    return {};
  Value zero = e.integerScalar(0, e.i64()), one = e.integerScalar(1, e.i64());
  Value isDown = e.compare<LessOp>(steps, zero);
  auto fromEnd = [&](Value bound) { return e.select(e.compare<LessOp>(bound, zero), e.add(bound, extents), bound); };
  Value high = e.select(isDown, e.sub(extents, one), extents), low = e.select(isDown, e.integerScalar(-1, e.i64()), zero);
  starts = e.minimum(e.maximum(fromEnd(starts), zero), high);
  ends = e.minimum(e.maximum(fromEnd(ends), low), high);
  // ceil(span / |step|) as -floor(-span / |step|); the division truncates, so the sum is made not negative first.
  Value span = e.maximum(e.mul(e.sub(ends, starts), e.unary<SignOp>(steps)), zero), size = e.unary<AbsOp>(steps);
  Value counts = e.div(e.sub(e.add(span, size), one), size);
  Exprs bound = e.contentsOrBind(counts);
  for (int64_t axis = 0; axis < rank && !e.hasFailed(); ++axis) {
    AffineExpr count = e.maxOf(bound[axis], e.number(0));
    auto at = [&](Value list) { return e.reshape(e.sliceAxis(list, 0, axis, 1), {}); };
    x = e.gather(x, e.iota({count}, 0, at(starts), at(steps)), axis);
  }
  return x;
}

void importSliceAttributes(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Ints starts = node.getInts("starts").value_or(Ints()), ends = node.getInts("ends").value_or(Ints());
  Ints axes = node.getInts("axes").value_or(Ints(llvm::to_vector(llvm::seq<int64_t>(0, starts.size()))));
  if (x)
    node.set(0, sliceBy(node, x, e.numbers(starts), e.numbers(ends), axes, Ints(starts.size(), 1)));
}

/// Gives starts and ends the length that any of the four vectors has; -1 where none of them has a known one.
int64_t settleCount(Node &node, Value &starts, Value &ends) {
  for (unsigned k = 1; k < 5; ++k) {
    if (!node.has(k) || !node.in(k) || Emitter::rankOf(node.in(k)) != 1)
      continue;
    if (std::optional<int64_t> count = graph::getConstant(Emitter::dimsOf(node.in(k))[0])) {
      starts = node.e.ofLength(starts, *count, "the number of starts");
      ends = node.e.ofLength(ends, *count, "the number of ends");
      return *count;
    }
  }
  return -1;
}

void importSlice(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), starts = node.in(1), ends = node.in(2);
  if (!x || !starts || !ends)
    return;
  if (Emitter::rankOf(starts) != 1 || Emitter::rankOf(ends) != 1)
    return void(e.fail("starts and ends must be vectors"));
  int64_t count = settleCount(node, starts, ends);
  if (count < 0)
    return node.set(0, sliceDynamically(node, x));
  if (count > Emitter::rankOf(x))
    return void(e.fail(Twine(count) + " starts for a tensor of rank " + Twine(Emitter::rankOf(x))));
  std::optional<Ints> axes = Ints(llvm::to_vector(llvm::seq<int64_t>(0, count))), steps = Ints(count, 1);
  if (node.has(3))
    axes = e.constants(node.in(3));
  if (node.has(4))
    steps = e.constants(node.in(4));
  if (!axes || !steps) {
    node.set(0, sliceDynamically(node, x));
    return;
  }
  Exprs from = e.contentsOrBind(starts), to = e.contentsOrBind(ends);
  if (!e.hasFailed())
    node.set(0, sliceBy(node, x, from, to, *axes, *steps));
}

/// Sizes of the parts of a split.
Exprs getSplitSizes(Node &node, AffineExpr extent) {
  Emitter &e = node.e;
  if (std::optional<Ints> sizes = node.getInts("split"))
    return Exprs(e.numbers(*sizes));
  if (node.has(1))
    return e.contentsOrBind(node.in(1));
  int64_t parts = node.getInt("num_outputs", node.numOutputs());
  if (parts < 1 || parts > node.numOutputs()) {
    e.fail("num_outputs is " + Twine(parts) + " for " + Twine(node.numOutputs()) + " outputs");
    return {};
  }
  // All parts but the last have the size rounded up.
  AffineExpr size = normalize(extent.ceilDiv(parts));
  Exprs sizes(parts, size);
  if (!areEqual(size * parts, extent))
    for (int64_t k = 0; k < parts; ++k)
      sizes[k] = e.maxOf(e.minOf(size, normalize(extent - size * k)), e.number(0));
  return sizes;
}

void importSplit(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  int64_t axis = e.axisOf(node.getInt("axis", 0), Emitter::rankOf(x));
  if (e.hasFailed())
    return;
  AffineExpr extent = Emitter::dimsOf(x)[axis], start = e.number(0);
  Exprs sizes = getSplitSizes(node, extent);
  if (!e.hasFailed() && sizes.size() < node.numOutputs())
    e.fail(Twine(sizes.size()) + " sizes for " + Twine(node.numOutputs()) + " outputs");
  for (unsigned k = 0; k < node.numOutputs() && !e.hasFailed(); ++k) {
    AffineExpr size = e.sizeOf(sizes[k], "a size");
    node.set(k, e.sliceAxis(x, axis, start, size));
    start = normalize(start + size);
  }
  if (!e.hasFailed() && sizes.size() == node.numOutputs())
    e.unify(start, extent, "the sizes of a split and the extent");
}

std::optional<PadMode> getPadMode(Node &node) {
  std::string name = node.getString("mode", "constant");
  if (std::optional<PadMode> mode = symbolizePadMode(name))
    return mode;
  node.e.fail("mode is '" + name + "'");
  return std::nullopt;
}

/// Pads for all dims from those of axes that are known only while the model runs.
Exprs spreadPads(Node &node, int64_t rank) {
  Emitter &e = node.e;
  Value pads = node.in(1), axes = node.in(3);
  if (!pads || !axes)
    return {};
  AffineExpr count = Emitter::dimsOf(axes)[0];
  Value none = e.ints(Ints(rank, 0)), low = spread(e, none, axes, e.sliceAxis(pads, 0, e.number(0), count));
  return e.contentsOrBind(e.concat({low, spread(e, none, axes, e.sliceAxis(pads, 0, count, count))}, 0));
}

void importPad(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), value;
  std::optional<PadMode> mode = getPadMode(node);
  if (!x || !mode)
    return;
  int64_t rank = Emitter::rankOf(x);
  Exprs pads;
  Ints axes(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  if (node.opset < 11 && node.proto.domain().empty()) {
    std::optional<Ints> list = node.getInts(node.hasAttribute("pads") ? "pads" : "paddings");
    pads = Exprs(e.numbers(list.value_or(Ints())));
    value = e.scalar(node.getFloat("value", 0), Emitter::elementOf(x));
  } else {
    std::optional<Ints> given = node.has(3) ? e.constants(node.in(3)) : std::nullopt;
    if (given) {
      axes = *given;
      e.axesOf(axes, rank);
    }
    pads = node.has(3) && !given ? spreadPads(node, rank) : e.contentsOrBind(e.ofLength(node.in(1), 2 * static_cast<int64_t>(axes.size()), "the number of pads"));
    value = node.has(2) ? e.reshape(node.in(2), {}) : e.zero(Emitter::elementOf(x));
  }
  if (!e.hasFailed() && pads.size() != 2 * axes.size())
    e.fail(Twine(pads.size()) + " pads for " + Twine(axes.size()) + " axes");
  if (e.hasFailed())
    return;
  Exprs low(rank, e.number(0)), high(rank, e.number(0));
  for (auto [k, axis] : llvm::enumerate(axes)) {
    low[e.axisOf(axis, rank)] = pads[k];
    high[e.axisOf(axis, rank)] = pads[k + axes.size()];
  }
  node.set(0, e.pad(x, low, high, value, *mode));
}

} // namespace

/// The schema's body compares the wanted extents with those of the data, which are i64.
static void importCenterCropPad(Node &node) {
  Value shape = node.e.cast(node.in(1), node.e.i64());
  if (node.e.hasFailed())
    return;
  node.inputs[1] = Datum::of(shape);
  node.importer.importBody(node);
}

void addSlicing(OperatorTable &table) {
  table.add("CenterCropPad", importCenterCropPad, 18);
  table.add("Slice", importSliceAttributes);
  table.add("Slice", importSlice, 10);
  table.add("Split", importSplit);
  table.add("Pad", importPad);
  table.add("DynamicSlice", importSlice);
  table.addIn("com.microsoft", "Pad", importPad);
}

} // namespace onager::frontend
