// Verifiers of the `graph` dialect. Each check has an id in brackets, which its test names.
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"

using namespace mlir;

namespace onager::graph {

static int64_t getRank(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }
static Type getElement(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

LogicalResult verifyElementwise(Operation *op) {
  Dims out = getDims(op->getResult(0));
  for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
    Dims in = getDims(operand);
    if (in.size() > out.size())
      return op->emitOpError("[elementwise_c1] operand ") << number << " has rank " << in.size() << ", above the result's " << out.size();
    for (size_t k = 0; k < in.size(); ++k) {
      AffineExpr have = in[in.size() - 1 - k], want = out[out.size() - 1 - k];
      std::optional<int64_t> extent = getConstant(have), target = getConstant(want);
      if (extent && target && *extent != 1 && *extent != *target)
        return op->emitOpError("[elementwise_c2] dim ") << in.size() - 1 - k << " of operand " << number << " is " << *extent
                                                        << ", expected 1 or " << *target;
    }
  }
  return success();
}

LogicalResult ConstantOp::verify() {
  if (getValue().getType() != getResult().getType())
    return emitOpError("[constant_c1] value of type ") << getValue().getType() << ", expected " << getResult().getType();
  return success();
}

LogicalResult IndexTensorOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (!type.hasStaticShape() || type.getNumElements() != getExprs().getNumResults())
    return emitOpError("[index_tensor_c1] ") << getExprs().getNumResults() << " expressions for " << type;
  if (!isa<IntegerType>(type.getElementType()))
    return emitOpError("[index_tensor_c2] expected an integer element type, found ") << type.getElementType();
  return success();
}

LogicalResult BindOp::verify() {
  auto type = cast<RankedTensorType>(getSource().getType());
  if (!type.hasStaticShape() || !isa<IntegerType>(type.getElementType()))
    return emitOpError("[bind_c1] expected an integer tensor of static shape, found ") << type;
  return success();
}

LogicalResult DefineOp::verify() {
  unsigned count = getExprs().getNumResults();
  bool fits = true;
  switch (getKind()) {
  case DefineKind::max:
  case DefineKind::min:
    fits = count >= 1;
    break;
  case DefineKind::broadcast:
  case DefineKind::trunc_div:
    fits = count == 2;
    break;
  case DefineKind::select_equal:
    fits = count == 4;
    break;
  }
  return fits ? success() : emitOpError("[define_c1] wrong number of expressions: ") << count;
}

LogicalResult RequireOp::verify() {
  if (getExprs().getNumResults() != 2)
    return emitOpError("[require_c1] expected 2 expressions, found ") << getExprs().getNumResults();
  return success();
}

LogicalResult TransposeOp::verify() {
  SmallVector<bool> seen(getRank(getX()), false);
  for (int64_t dim : getPerm()) {
    if (dim < 0 || dim >= static_cast<int64_t>(seen.size()) || seen[dim])
      return emitOpError("[transpose_c1] perm is not a permutation of the dims of ") << getX().getType();
    seen[dim] = true;
  }
  if (getPerm().size() != seen.size())
    return emitOpError("[transpose_c2] perm has ") << getPerm().size() << " entries for rank " << seen.size();
  return success();
}

LogicalResult SliceOp::verify() {
  int64_t rank = getRank(getX());
  if (getStarts().getNumResults() != rank || static_cast<int64_t>(getSteps().size()) != rank)
    return emitOpError("[slice_c1] expected one start and step per dim of ") << getX().getType();
  if (llvm::is_contained(getSteps(), 0))
    return emitOpError("[slice_c2] a step is 0");
  return success();
}

LogicalResult ConcatOp::verify() {
  if (getInputs().empty())
    return emitOpError("[concat_c1] expected at least one operand");
  int64_t rank = getRank(getResult());
  if (getAxis() < 0 || static_cast<int64_t>(getAxis()) >= rank)
    return emitOpError("[concat_c2] axis ") << getAxis() << " is outside rank " << rank;
  for (Value input : getInputs())
    if (getRank(input) != rank || getElement(input) != getElement(getResult()))
      return emitOpError("[concat_c3] operand of type ") << input.getType() << " for a result of type " << getType();
  return success();
}

LogicalResult PadOp::verify() {
  if (getLow().getNumResults() != getRank(getX()) || getRank(getResult()) != getRank(getX()))
    return emitOpError("[pad_c1] expected one expression per dim of ") << getX().getType();
  return success();
}

LogicalResult GatherOp::verify() {
  int64_t expected = getRank(getX()) - 1 + getRank(getIndices());
  if (getRank(getResult()) != expected)
    return emitOpError("[gather_c1] expected rank ") << expected << ", found " << getType();
  return success();
}

/// Checks that axes are distinct dims of x.
static LogicalResult verifyAxes(Operation *op, StringRef id, Value x, ArrayRef<int64_t> axes) {
  int64_t rank = getRank(x);
  SmallVector<bool> seen(rank, false);
  for (int64_t axis : axes) {
    if (axis < 0 || axis >= rank || seen[axis])
      return op->emitOpError("[") << id << "] axis " << axis << " is repeated or outside rank " << rank;
    seen[axis] = true;
  }
  return success();
}

LogicalResult ReduceOp::verify() { return verifyAxes(*this, "reduce_c1", getX(), getAxes()); }
LogicalResult NormalizeOp::verify() { return verifyAxes(*this, "normalize_c1", getX(), getAxes()); }

/// Checks the window attributes of pooling and convolution against the number of spatial dims.
static LogicalResult verifyWindow(Operation *op, StringRef id, Value x, ArrayRef<size_t> counts) {
  int64_t spatial = getRank(x) - 2;
  for (size_t count : counts)
    if (static_cast<int64_t>(count) != spatial)
      return op->emitOpError("[") << id << "] a window attribute has " << count << " entries for " << spatial << " spatial dims";
  return success();
}

LogicalResult PoolOp::verify() {
  return verifyWindow(*this, "pool_c1", getX(), {getKernel().size(), getStrides().size(), getDilations().size(),
                                                 getPads().getNumResults(), getPadsEnd().getNumResults()});
}
LogicalResult ConvOp::verify() {
  return verifyWindow(*this, "conv_c1", getX(), {getStrides().size(), getDilations().size(), getPads().getNumResults()});
}
LogicalResult ConvTransposeOp::verify() {
  return verifyWindow(*this, "conv_transpose_c1", getX(), {getStrides().size(), getDilations().size(), getPads().getNumResults()});
}

LogicalResult MatmulOp::verify() {
  int64_t lhs = getRank(getLhs()), rhs = getRank(getRhs()), out = getRank(getResult());
  if (lhs < 2 || rhs < 2 || out != std::max(lhs, rhs))
    return emitOpError("[matmul_c1] ranks ") << lhs << " and " << rhs << " do not give rank " << out;
  std::optional<int64_t> k0 = getConstant(getDims(getLhs())[lhs - 1]), k1 = getConstant(getDims(getRhs())[rhs - 2]);
  if (k0 && k1 && *k0 != *k1)
    return emitOpError("[matmul_c2] inner dims ") << *k0 << " and " << *k1 << " differ";
  return success();
}

} // namespace onager::graph
