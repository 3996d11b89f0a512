// Data movement operations of the emitter.
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace onager::frontend {

static bool areSameDims(ArrayRef<AffineExpr> a, ArrayRef<AffineExpr> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) { return areEqual(std::get<0>(pair), std::get<1>(pair)); });
}

Value Emitter::reshape(Value x, ArrayRef<AffineExpr> dims) {
  if (!x || areSameDims(dimsOf(x), dims))
    return x;
  unify(product(dimsOf(x), context()), product(dims, context()), "the number of elements before and after a reshape");
  return make<graph::ReshapeOp>(dims, elementOf(x), x);
}

Value Emitter::flatten(Value x) {
  if (!x)
    return {};
  return reshape(x, {product(dimsOf(x), context())});
}

Value Emitter::squeeze(Value x, ArrayRef<int64_t> axes) {
  if (!x)
    return {};
  Ints sorted = axesOf(axes, rankOf(x));
  if (hasFailed())
    return {};
  Dims dims;
  for (auto [k, dim] : llvm::enumerate(dimsOf(x))) {
    if (!llvm::is_contained(sorted, static_cast<int64_t>(k)))
      dims.push_back(dim);
    else
      unify(number(1), dim, "a squeezed dim");
  }
  return reshape(x, dims);
}

Value Emitter::unsqueeze(Value x, ArrayRef<int64_t> axes) {
  if (!x)
    return {};
  Ints sorted = axesOf(axes, rankOf(x) + static_cast<int64_t>(axes.size()));
  if (hasFailed())
    return {};
  Dims dims = dimsOf(x);
  for (int64_t axis : sorted)
    dims.insert(dims.begin() + axis, number(1));
  return reshape(x, dims);
}

Value Emitter::broadcast(Value x, ArrayRef<AffineExpr> dims) {
  if (!x)
    return {};
  Dims have = dimsOf(x);
  if (areSameDims(have, dims))
    return x;
  if (have.size() > dims.size())
    return fail("a tensor of rank " + Twine(have.size()) + " does not broadcast to rank " + Twine(dims.size()));
  for (size_t k = 0; k < have.size(); ++k) {
    std::optional<int64_t> from = graph::getConstant(have[have.size() - 1 - k]), to = graph::getConstant(dims[dims.size() - 1 - k]);
    if (from && to && *from != 1 && *from != *to)
      return fail("a dim of " + Twine(*from) + " does not broadcast to " + Twine(*to));
  }
  return make<graph::BroadcastOp>(dims, elementOf(x), x);
}

Value Emitter::transpose(Value x, ArrayRef<int64_t> perm) {
  if (!x)
    return {};
  Dims have = dimsOf(x), dims;
  SmallVector<bool> seen(have.size(), false);
  if (perm.size() != have.size())
    return fail("a permutation of " + Twine(perm.size()) + " dims for rank " + Twine(have.size()));
  for (int64_t dim : perm) {
    if (dim < 0 || dim >= static_cast<int64_t>(have.size()) || seen[dim])
      return fail("perm is not a permutation");
    seen[dim] = true;
    dims.push_back(have[dim]);
  }
  if (llvm::is_sorted(perm))
    return x;
  return make<graph::TransposeOp>(dims, elementOf(x), x, perm);
}

Value Emitter::transposeLast(Value x) {
  if (!x)
    return {};
  Ints perm(llvm::to_vector(llvm::seq<int64_t>(0, rankOf(x))));
  if (perm.size() < 2)
    return fail("a transposed matrix needs rank 2");
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return transpose(x, perm);
}

Value Emitter::slice(Value x, ArrayRef<AffineExpr> starts, ArrayRef<int64_t> steps, ArrayRef<AffineExpr> dims) {
  if (!x)
    return {};
  bool isWhole = areSameDims(dimsOf(x), dims) && llvm::all_of(steps, [](int64_t step) { return step == 1; }) &&
                 llvm::all_of(starts, [](AffineExpr start) { return graph::isConstant(start, 0); });
  if (isWhole)
    return x;
  Exprs normal;
  for (AffineExpr start : starts)
    normal.push_back(normalize(start));
  return make<graph::SliceOp>(dims, elementOf(x), x, exprs(normal), steps);
}

Value Emitter::sliceAxis(Value x, int64_t axis, AffineExpr start, AffineExpr count) {
  if (!x)
    return {};
  axis = axisOf(axis, rankOf(x));
  if (hasFailed())
    return {};
  Dims dims = dimsOf(x);
  dims[axis] = count;
  Exprs starts(dims.size(), number(0));
  starts[axis] = start;
  return slice(x, starts, Ints(dims.size(), 1), dims);
}

Value Emitter::reverse(Value x, int64_t axis) {
  if (!x)
    return {};
  Dims dims = dimsOf(x);
  Exprs starts(dims.size(), number(0));
  Ints steps(dims.size(), 1);
  starts[axis] = dims[axis] - 1;
  steps[axis] = -1;
  return slice(x, starts, steps, dims);
}

Value Emitter::concat(ArrayRef<Value> values, int64_t axis) {
  if (values.empty())
    return fail("a concatenation of nothing");
  if (llvm::is_contained(values, Value()))
    return {};
  Dims dims = dimsOf(values[0]);
  axis = axisOf(axis, dims.size());
  if (hasFailed())
    return {};
  for (Value value : values.drop_front()) {
    Dims next = dimsOf(value);
    if (next.size() != dims.size() || elementOf(value) != elementOf(values[0]))
      return fail("concatenated tensors differ in rank or type");
    for (auto [k, dim] : llvm::enumerate(next))
      dims[k] = static_cast<int64_t>(k) == axis ? normalize(dims[k] + dim) : unify(dims[k], dim, "dims of concatenated tensors");
  }
  if (values.size() == 1)
    return values[0];
  return make<graph::ConcatOp>(dims, elementOf(values[0]), values, axis);
}

Value Emitter::pad(Value x, ArrayRef<AffineExpr> low, ArrayRef<AffineExpr> high, Value value, graph::PadMode mode) {
  if (!checkBinary(x, value))
    return {};
  Dims dims = dimsOf(x);
  bool isNothing = true;
  for (size_t k = 0; k < dims.size(); ++k) {
    isNothing &= graph::isConstant(low[k], 0) && graph::isConstant(high[k], 0);
    dims[k] = normalize(dims[k] + low[k] + high[k]);
  }
  if (isNothing)
    return x;
  return make<graph::PadOp>(dims, elementOf(x), x, value, exprs(low), mode);
}

Value Emitter::tile(Value x, ArrayRef<AffineExpr> repeats) {
  if (!x)
    return {};
  Dims dims = dimsOf(x);
  if (repeats.size() != dims.size())
    return fail("repeats for " + Twine(repeats.size()) + " dims for rank " + Twine(dims.size()));
  bool isOnce = true;
  for (size_t k = 0; k < dims.size(); ++k) {
    isOnce &= graph::isConstant(repeats[k], 1);
    dims[k] = normalize(dims[k] * repeats[k]);
  }
  return isOnce ? x : make<graph::TileOp>(dims, elementOf(x), x);
}

Value Emitter::iota(ArrayRef<AffineExpr> dims, int64_t axis, Value start, Value delta) {
  if (!start || !delta)
    return {};
  return make<graph::IotaOp>(dims, elementOf(start), start, delta, axis);
}

Value Emitter::iota(ArrayRef<AffineExpr> dims, int64_t axis, Type element) {
  return iota(dims, axis, scalar(0, element), scalar(1, element));
}

Value Emitter::gather(Value x, Value indices, int64_t axis) {
  if (!x || !indices)
    return {};
  axis = axisOf(axis, rankOf(x));
  if (hasFailed())
    return {};
  Dims have = dimsOf(x), at = dimsOf(indices), dims;
  dims.append(have.begin(), have.begin() + axis);
  dims.append(at.begin(), at.end());
  dims.append(have.begin() + axis + 1, have.end());
  return make<graph::GatherOp>(dims, elementOf(x), x, indices, axis);
}

/// States that the indices stay inside the data along every dim but the axis.
void Emitter::unifyWithin(Value indices, Value x, int64_t axis) {
  Dims have = dimsOf(indices), limits = dimsOf(x);
  for (size_t k = 0; k < have.size(); ++k)
    if (static_cast<int64_t>(k) != axis)
      unify(maxOf(have[k], limits[k]), limits[k], "a dim of the indices, which exceeds that of the data");
}

Value Emitter::gatherElements(Value x, Value indices, int64_t axis) {
  if (!x || !indices)
    return {};
  axis = axisOf(axis, rankOf(x));
  if (rankOf(x) != rankOf(indices))
    return fail("indices of rank " + Twine(rankOf(indices)) + " for data of rank " + Twine(rankOf(x)));
  unifyWithin(indices, x, axis);
  return make<graph::GatherElementsOp>(dimsOf(indices), elementOf(x), x, indices, axis);
}

Value Emitter::scatterElements(Value x, Value indices, Value updates, int64_t axis, graph::ScatterKind kind) {
  if (!x || !indices || !updates)
    return {};
  axis = axisOf(axis, rankOf(x));
  if (rankOf(x) != rankOf(indices) || rankOf(x) != rankOf(updates))
    return fail("data, indices and updates differ in rank");
  if (!checkBinary(x, updates))
    return {};
  unifyWithin(indices, x, axis);
  Dims have = dimsOf(updates), want = dimsOf(indices);
  for (size_t k = 0; k < have.size(); ++k)
    unify(have[k], want[k], "a dim of updates and indices");
  return make<graph::ScatterElementsOp>(dimsOf(x), elementOf(x), x, indices, updates, axis, kind);
}

} // namespace onager::frontend
