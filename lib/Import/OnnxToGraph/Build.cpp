// Small pieces of graph that many operators are made of.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;

namespace onager::import {

Value Importer::scalar(Type element, double value) {
  auto type = RankedTensorType::get({}, element);
  Attribute number = isa<FloatType>(element) ? Attribute(FloatAttr::get(element, value)) : Attribute(IntegerAttr::get(element, APInt(element.getIntOrFloatBitWidth(), static_cast<int64_t>(value), true, true)));
  return graph::ConstantOp::create(b, type, DenseElementsAttr::get(type, number));
}

Value Importer::reshape(Value x, ArrayRef<AffineExpr> dims) {
  RankedTensorType type = tensor(dims, elementOf(x));
  if (type == x.getType())
    return x;
  Value result = graph::ReshapeOp::create(b, type, x);
  if (std::optional<Dims> elements = contents(x))
    known[result] = *elements;
  return result;
}

Value Importer::cast(Value x, Type element, bool saturate) {
  if (elementOf(x) == element)
    return x;
  return graph::CastOp::create(b, tensor(graph::getDims(x), element), x, b.getBoolAttr(saturate));
}

Value Importer::transpose(Value x, ArrayRef<int64_t> perm) {
  Dims dims = graph::getDims(x), out;
  bool identity = true;
  for (auto [k, dim] : llvm::enumerate(perm)) {
    out.push_back(dims[dim]);
    identity &= static_cast<int64_t>(k) == dim;
  }
  return identity ? x : Value(graph::TransposeOp::create(b, tensor(out, elementOf(x)), x, perm));
}

Value Importer::broadcastTo(Value x, ArrayRef<AffineExpr> dims) {
  RankedTensorType type = tensor(dims, elementOf(x));
  return type == x.getType() ? x : Value(graph::BroadcastOp::create(b, type, x));
}

Value Importer::slice(Value x, int64_t axis, AffineExpr start, AffineExpr size, int64_t step) {
  Dims dims = graph::getDims(x), starts(dims.size(), c(0));
  SmallVector<int64_t> steps(dims.size(), 1);
  starts[axis] = start;
  steps[axis] = step;
  dims[axis] = size;
  return graph::SliceOp::create(b, tensor(dims, elementOf(x)), x, graph::makeExprs(b.getContext(), starts), steps);
}

Value Importer::concat(ArrayRef<Value> parts, int64_t axis) {
  if (parts.size() == 1)
    return parts[0];
  Dims dims = graph::getDims(parts[0]);
  for (Value part : parts.drop_front()) {
    Dims other = graph::getDims(part);
    if (other.size() != dims.size())
      refuse("operands have ranks " + std::to_string(dims.size()) + " and " + std::to_string(other.size()));
    for (size_t k = 0; k < dims.size(); ++k)
      if (static_cast<int64_t>(k) != axis)
        requireEqual(dims[k], other[k], "dims " + std::to_string(k) + " of the operands");
    dims[axis] = dims[axis] + other[axis];
  }
  return graph::ConcatOp::create(b, tensor(dims, elementOf(parts[0])), parts, axis);
}

Value Importer::matmul(Value x, Value y, Type element) {
  bool vectorLeft = rankOf(x) == 1, vectorRight = rankOf(y) == 1;
  if (rankOf(x) == 0 || rankOf(y) == 0)
    refuse("operands of a matrix product need rank 1 or more");
  Dims left = graph::getDims(x), right = graph::getDims(y);
  if (vectorLeft) {
    left.insert(left.begin(), c(1));
    x = reshape(x, left);
  }
  if (vectorRight) {
    right.push_back(c(1));
    y = reshape(y, right);
  }
  requireEqual(left.back(), right[right.size() - 2], "inner dims of the matrix product");
  Dims dims = broadcastDims({Dims(left.begin(), left.end() - 2), Dims(right.begin(), right.end() - 2)});
  dims.push_back(left[left.size() - 2]);
  dims.push_back(right.back());
  Value product = graph::MatmulOp::create(b, tensor(dims, element ? element : elementOf(x)), x, y);
  if (vectorRight)
    dims.pop_back();
  if (vectorLeft)
    dims.erase(dims.end() - (vectorRight ? 1 : 2));
  return reshape(product, dims);
}

Value Importer::reduce(Value x, graph::ReduceKind kind, ArrayRef<int64_t> axes) {
  Dims dims = graph::getDims(x);
  for (int64_t axis : axes)
    dims[axis] = c(1);
  return graph::ReduceOp::create(b, tensor(dims, elementOf(x)), x, kind, axes);
}

Value Importer::squeeze(Value x, ArrayRef<int64_t> axes) {
  Dims dims;
  for (auto [k, dim] : llvm::enumerate(graph::getDims(x)))
    if (!llvm::is_contained(axes, static_cast<int64_t>(k)))
      dims.push_back(dim);
  return reshape(x, dims);
}

Value Importer::select(Value condition, Value x, Value y) {
  Dims dims = broadcastDims({graph::getDims(condition), graph::getDims(x), graph::getDims(y)});
  return graph::SelectOp::create(b, tensor(dims, elementOf(x)), condition, x, y);
}

} // namespace onager::import
