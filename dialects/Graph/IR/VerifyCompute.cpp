// Verifiers of the `graph` dialect's reductions, contractions, recurrences, library calls and control flow; see Verify.cpp.
#include "dialects/Graph/IR/Verify.h"

using namespace mlir;

namespace onager::graph {

//===---------------------------------------------------------------------------------------------------------------===//
// Reductions
//===---------------------------------------------------------------------------------------------------------------===//

/// Checks that axes are distinct dims of x.
static LogicalResult verifyAxes(Operation *op, StringRef id, Value x, ArrayRef<int64_t> axes) {
  int64_t rank = getRank(x);
  SmallVector<bool> seen(rank, false);
  for (int64_t axis : axes) {
    if (axis < 0 || axis >= rank || seen[axis])
      return complain(op, id) << "axis " << axis << " is repeated or outside rank " << rank;
    seen[axis] = true;
  }
  return success();
}

/// Checks that the result has x's dims, those of `axes` with extent 1.
static LogicalResult verifyKept(Operation *op, StringRef rankId, StringRef dimId, Value x, ArrayRef<int64_t> axes) {
  Dims in = getDims(x), out = getDims(op->getResult(0));
  if (in.size() != out.size())
    return complain(op, rankId) << "expected rank " << in.size() << ", found " << op->getResult(0).getType();
  for (size_t k = 0; k < in.size(); ++k) {
    AffineExpr wanted = llvm::is_contained(axes, static_cast<int64_t>(k)) ? getAffineConstantExpr(1, op->getContext()) : in[k];
    if (failed(verifyDim(op, dimId, out[k], wanted)))
      return failure();
  }
  return success();
}

/// Checks that the result has the type of x.
static LogicalResult verifySameType(Operation *op, StringRef id, Value x) {
  if (op->getResult(0).getType() != x.getType())
    return complain(op, id) << "expected a result of " << x.getType() << ", found " << op->getResult(0).getType();
  return success();
}

LogicalResult ReduceOp::verify() {
  return failure(failed(verifyAxes(*this, "reduce_c1", getX(), getAxes())) || failed(verifyKept(*this, "reduce_c2", "reduce_c3", getX(), getAxes())) ||
                 failed(verifySameElement(*this, "reduce_c4", getResult(), getX())));
}

LogicalResult ArgReduceOp::verify() {
  int64_t axis = getAxis();
  if (failed(verifyAxis(*this, "arg_reduce_c1", axis, getRank(getX()))) || failed(verifyKept(*this, "arg_reduce_c2", "arg_reduce_c3", getX(), {axis})))
    return failure();
  if (getKind() != ReduceKind::max && getKind() != ReduceKind::min)
    return complain(*this, "arg_reduce_c4") << "expected max or min, found " << stringifyReduceKind(getKind());
  if (!getElement(getResult()).isInteger(64))
    return complain(*this, "arg_reduce_c5") << "expected indices of i64, found " << getType();
  return success();
}

LogicalResult CumulateOp::verify() {
  if (failed(verifyAxis(*this, "cumulate_c1", getAxis(), getRank(getX()))))
    return failure();
  if (getKind() != ReduceKind::sum && getKind() != ReduceKind::prod)
    return complain(*this, "cumulate_c2") << "expected sum or prod, found " << stringifyReduceKind(getKind());
  return verifySameType(*this, "cumulate_c3", getX());
}

LogicalResult SoftmaxOp::verify() {
  return failure(failed(verifyAxis(*this, "softmax_c1", getAxis(), getRank(getX()))) || failed(verifySameType(*this, "softmax_c2", getX())));
}

LogicalResult NormalizeOp::verify() {
  return failure(failed(verifyAxes(*this, "normalize_c1", getX(), getAxes())) || failed(verifySameType(*this, "normalize_c2", getX())));
}

/// Checks the window attributes of pooling and convolution against the number of spatial dims, and that windows move forward.
static LogicalResult verifyWindow(Operation *op, StringRef countId, StringRef valueId, Value x, ArrayRef<size_t> counts, ArrayRef<ArrayRef<int64_t>> positive) {
  int64_t spatial = getRank(x) - 2;
  for (size_t count : counts)
    if (static_cast<int64_t>(count) != spatial)
      return complain(op, countId) << "a window attribute has " << count << " entries for " << spatial << " spatial dims";
  for (ArrayRef<int64_t> numbers : positive)
    for (int64_t number : numbers)
      if (number < 1)
        return complain(op, valueId) << "a kernel extent, stride or dilation is " << number;
  return success();
}

LogicalResult Col2ImOp::verify() {
  if (getRank(getX()) != 3 || getRank(getResult()) < 3)
    return complain(*this, "col2im_c1") << "expected blocks of rank 3 and an image, found " << getX().getType() << " and " << getType();
  auto dims = static_cast<size_t>(getRank(getResult())) - 2;
  for (size_t entries : {static_cast<size_t>(getBlock().getNumResults()), static_cast<size_t>(getPositions().getNumResults()), getStrides().size(), getDilations().size(), getPads().size()})
    if (entries != dims)
      return complain(*this, "col2im_c2") << "an attribute has " << entries << " entries for an image of rank " << dims;
  return verifySameElement(*this, "col2im_c3", getResult(), getX());
}

LogicalResult PoolOp::verify() {
  return verifyWindow(*this, "pool_c1", "pool_c2", getX(),
                      {getKernel().size(), getStrides().size(), getDilations().size(), getPads().getNumResults(), getPadsEnd().getNumResults()},
                      {getKernel(), getStrides(), getDilations()});
}

LogicalResult MaxPoolIndicesOp::verify() {
  return verifyWindow(*this, "max_pool_indices_c1", "max_pool_indices_c2", getX(),
                      {getKernel().size(), getStrides().size(), getDilations().size(), getPads().getNumResults()}, {getKernel(), getStrides(), getDilations()});
}

//===---------------------------------------------------------------------------------------------------------------===//
// Contractions and recurrences
//===---------------------------------------------------------------------------------------------------------------===//

/// Checks the ranks of a convolution and that `group` divides the filter's first dim.
static LogicalResult verifyFilter(Operation *op, StringRef rankId, StringRef groupId, Value x, Value filter, int64_t group) {
  if (getRank(filter) != getRank(x) || getRank(op->getResult(0)) != getRank(x))
    return complain(op, rankId) << "expected data, filter and result of one rank, found " << x.getType() << " and " << filter.getType();
  std::optional<int64_t> channels = getConstant(getDims(filter)[0]);
  if (group < 1 || (channels && *channels % group != 0))
    return complain(op, groupId) << "group " << group << " does not divide the first dim of " << filter.getType();
  return success();
}

LogicalResult ConvOp::verify() {
  if (failed(verifyWindow(*this, "conv_c1", "conv_c2", getX(), {getStrides().size(), getDilations().size(), getPads().getNumResults()},
                          {getStrides(), getDilations()})) ||
      failed(verifyFilter(*this, "conv_c3", "conv_c4", getX(), getFilter(), getGroup())))
    return failure();
  return verifyDim(*this, "conv_c5", getDims(getX())[1], getDims(getFilter())[1] * static_cast<int64_t>(getGroup()));
}

LogicalResult ConvTransposeOp::verify() {
  if (failed(verifyWindow(*this, "conv_transpose_c1", "conv_transpose_c2", getX(), {getStrides().size(), getDilations().size(), getPads().getNumResults()},
                          {getStrides(), getDilations()})) ||
      failed(verifyFilter(*this, "conv_transpose_c3", "conv_transpose_c4", getX(), getFilter(), getGroup())))
    return failure();
  return verifyDim(*this, "conv_transpose_c5", getDims(getX())[1], getDims(getFilter())[0]);
}

LogicalResult MatmulOp::verify() {
  int64_t lhs = getRank(getLhs()), rhs = getRank(getRhs()), out = getRank(getResult());
  if (lhs < 2 || rhs < 2 || out != std::max(lhs, rhs))
    return complain(*this, "matmul_c1") << "ranks " << lhs << " and " << rhs << " do not give rank " << out;
  std::optional<int64_t> k0 = getConstant(getDims(getLhs())[lhs - 1]), k1 = getConstant(getDims(getRhs())[rhs - 2]);
  if (k0 && k1 && *k0 != *k1)
    return complain(*this, "matmul_c2") << "inner dims " << *k0 << " and " << *k1 << " differ";
  return success();
}

LogicalResult BlockMatmulOp::verify() {
  if (!getElement(getWeights()).isUnsignedInteger(8))
    return complain(*this, "block_matmul_c1") << "weights of " << getElement(getWeights()) << ", expected ui8";
  for (Value tensor : {getX(), getScales(), getZeros(), getLevels(), getResult()})
    if (tensor && !getElement(tensor).isF32())
      return complain(*this, "block_matmul_c1") << "an element type of " << getElement(tensor) << ", expected f32";
  int64_t bits = getBits(), block = getBlock();
  if ((bits != 2 && bits != 4 && bits != 8) || block < 16 || (block & (block - 1)))
    return complain(*this, "block_matmul_c2") << bits << " bits in blocks of " << block;
  auto weights = cast<RankedTensorType>(getWeights().getType());
  if (!weights.hasStaticShape() || weights.getRank() != 3 || getRank(getX()) < 1 || getRank(getResult()) != getRank(getX()))
    return complain(*this, "block_matmul_c3") << "weights of " << weights << " for " << getX().getType();
  std::optional<int64_t> depth = getConstant(getDims(getX()).back());
  ArrayRef<int64_t> shape = weights.getShape();
  bool fits = depth && *depth > (shape[1] - 1) * block && *depth <= shape[1] * block && shape[2] * 8 == block * bits && isConstant(getDims(getResult()).back(), shape[0]);
  for (Value perBlock : {getScales(), getZeros()})
    fits &= !perBlock || cast<RankedTensorType>(perBlock.getType()).getShape() == shape.drop_back();
  if (!fits)
    return complain(*this, "block_matmul_c3") << "weights of " << weights << " with " << getScales().getType() << " for " << getX().getType();
  if (!getZeros() == !getLevels())
    return complain(*this, "block_matmul_c4") << "expected either zeros or levels";
  constexpr int64_t kLevels = 16;
  if (getLevels() && (bits != 4 || cast<RankedTensorType>(getLevels().getType()).getShape() != ArrayRef(kLevels)))
    return complain(*this, "block_matmul_c4") << "levels of " << getLevels().getType() << " for " << bits << " bits, expected 16 for 4 bits";
  return success();
}

/// Checks the types of q, k, v and the result of attention, and that their matrices fit.
static LogicalResult verifyProducts(AttentionOp op) {
  Value tensors[] = {op.getQ(), op.getK(), op.getV(), op.getResult()};
  int64_t leading = 0;
  for (Value tensor : ArrayRef(tensors).drop_back())
    leading = std::max(leading, getRank(tensor));
  for (Value tensor : tensors) {
    if (getRank(tensor) < 2 || getRank(op.getResult()) != leading)
      return complain(op, "attention_c1") << "rank " << getRank(tensor) << " and a result of rank " << getRank(op.getResult()) << ", expected at least 2 and "
                                          << leading;
    if (!getElement(tensor).isF32())
      return complain(op, "attention_c3") << "element type " << getElement(tensor) << ", expected 'f32'";
  }
  auto dim = [](Value tensor, int64_t fromEnd) { return getDims(tensor)[getRank(tensor) - fromEnd]; };
  return failure(failed(verifyDim(op, "attention_c2", dim(op.getK(), 1), dim(op.getQ(), 1))) ||
                 failed(verifyDim(op, "attention_c2", dim(op.getV(), 2), dim(op.getK(), 2))) ||
                 failed(verifyDim(op, "attention_c2", dim(op.getResult(), 2), dim(op.getQ(), 2))) ||
                 failed(verifyDim(op, "attention_c2", dim(op.getResult(), 1), dim(op.getV(), 1))));
}

/// Checks that the past of keys or values differs from them in the number of rows alone.
static LogicalResult verifyPast(AttentionOp op, Value past, Value all, AffineExpr rows) {
  Dims dims = getDims(all);
  dims[dims.size() - 2] = rows;
  if (getElement(past) != getElement(all) || getDims(past) != dims)
    return complain(op, "attention_c6") << "a past of type " << past.getType() << " for " << all.getType() << ", expected the same but for the rows";
  return success();
}

/// True where a tensor broadcasts to `target`, as far as numbers say.
static bool fitsInto(Value tensor, ArrayRef<AffineExpr> target) {
  Dims dims = getDims(tensor);
  if (dims.size() > target.size())
    return false;
  for (auto [have, want] : llvm::zip(dims, target.take_back(dims.size()))) {
    std::optional<int64_t> extent = getConstant(have), wanted = getConstant(want);
    if (extent && wanted && *extent != 1 && *extent != *wanted)
      return false;
  }
  return true;
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyProducts(*this)))
    return failure();
  if (getFills().size() != getMasks().size())
    return complain(*this, "attention_c4") << getFills().size() << " fills for " << getMasks().size() << " masks";
  Dims scores = getDims(getResult());
  scores.back() = getDims(getK())[getRank(getK()) - 2];
  for (Value mask : getMasks())
    if (!fitsInto(mask, scores) || !(getElement(mask).isF32() || getElement(mask).isInteger(1)))
      return complain(*this, "attention_c4") << "a mask of type " << mask.getType() << ", expected f32 or i1 that broadcasts to the scores";
  scores.back() = getAffineConstantExpr(1, getContext());
  if (Value rows = getZeroed(); rows && (!fitsInto(rows, scores) || !getElement(rows).isInteger(1)))
    return complain(*this, "attention_c5") << "zeroed rows of type " << rows.getType() << ", expected i1 with one element per row at most";
  if (static_cast<bool>(getPastK()) != static_cast<bool>(getPastV()))
    return complain(*this, "attention_c6") << "a past of keys or values alone, expected both";
  if (!getPastK())
    return success();
  AffineExpr past = getRank(getPastK()) < 2 ? AffineExpr() : getDims(getPastK())[getRank(getPastK()) - 2];
  if (failed(verifyPast(*this, getPastK(), getK(), past)) || failed(verifyPast(*this, getPastV(), getV(), past)))
    return failure();
  return success();
}

LogicalResult RecurrentOp::verify() {
  bool fits = getRank(getGates()) == 3 && getRank(getRecurrence()) == 2 && getRank(getHidden()) == 2 && getRank(getStates()) == 3;
  for (Value vector : {getLengths(), getPeephole(), getRecurrenceBias()})
    fits &= !vector || getRank(vector) == 1;
  if (!fits || (getCell() && getRank(getCell()) != 2))
    return complain(*this, "recurrent_c1") << "an operand has the wrong rank";
  size_t uses = getKind() == CellKind::lstm ? 3 : getKind() == CellKind::gru ? 2 : 1;
  if (getActivations().size() != uses || getAlphas().size() != uses || getBetas().size() != uses)
    return complain(*this, "recurrent_c2") << "expected " << uses << " activations with alpha and beta, found " << getActivations().size();
  if ((getKind() == CellKind::lstm) != static_cast<bool>(getCell()))
    return complain(*this, "recurrent_c3") << "a cell state belongs to an lstm alone";
  AffineExpr size = getDims(getHidden())[1], rows = getDims(getGates())[2];
  if (failed(verifyDim(*this, "recurrent_c4", getDims(getRecurrence())[0], size)) || failed(verifyDim(*this, "recurrent_c4", getDims(getRecurrence())[1], rows)))
    return failure();
  return verifyDim(*this, "recurrent_c4", getDims(getHidden())[0], getDims(getGates())[1]);
}

//===---------------------------------------------------------------------------------------------------------------===//
// Library kernels and control flow
//===---------------------------------------------------------------------------------------------------------------===//

LogicalResult CallOp::verify() {
  if (getCapacity() && getCapacity()->getNumResults() != getNumResults())
    return complain(*this, "call_c1") << getCapacity()->getNumResults() << " capacities for " << getNumResults() << " results";
  if (!getSymbols().empty() && !getCapacity())
    return complain(*this, "call_c2") << "results whose shape depends on values need a capacity";
  return success();
}

/// Checks that the values that a region yields from `first` on have the ranks and element types of `wanted`, plus `extra` dims in front.
static LogicalResult verifyYielded(Operation *op, StringRef id, Region &region, unsigned first, TypeRange wanted, int64_t extra = 0) {
  auto yielded = region.front().getTerminator()->getOperands().drop_front(first);
  for (auto [value, type] : llvm::zip(yielded, wanted)) {
    auto tensor = cast<RankedTensorType>(type);
    if (getRank(value) + extra != tensor.getRank() || getElement(value) != tensor.getElementType())
      return complain(op, id) << "a region yields " << value.getType() << " for " << type;
  }
  return success();
}

LogicalResult IfOp::verifyRegions() {
  if (getThenExprs().getNumResults() != getSymbols().size() || getElseExprs().getNumResults() != getSymbols().size())
    return complain(*this, "if_c1") << getThenExprs().getNumResults() << " and " << getElseExprs().getNumResults() << " expressions for "
                                    << getSymbols().size() << " symbols";
  for (Region *region : {&getThenRegion(), &getElseRegion()}) {
    auto yield = dyn_cast<YieldOp>(region->front().getTerminator());
    if (!yield || yield.getValues().size() != getNumResults())
      return complain(*this, "if_c2") << "a branch yields another number of values than the operation has results";
    if (failed(verifyYielded(*this, "if_c3", *region, 0, getResultTypes())))
      return failure();
  }
  return success();
}

LogicalResult LoopOp::verifyRegions() {
  Block &body = getBody().front();
  size_t carried = getInits().size(), symbols = getCarriedSymbols().size();
  if (body.getNumArguments() != carried + 2)
    return complain(*this, "loop_c1") << "a body with " << body.getNumArguments() << " arguments for " << carried << " carried values";
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValues().size() != getNumResults() + 1 || getNumResults() < carried)
    return complain(*this, "loop_c2") << "the body must yield the condition and one value per result";
  if (getInitExprs().getNumResults() != symbols || getNextExprs().getNumResults() != symbols)
    return complain(*this, "loop_c3") << getInitExprs().getNumResults() << " and " << getNextExprs().getNumResults() << " expressions for " << symbols
                                      << " carried symbols";
  size_t wanted = symbols + 1 + getScanExprs().getNumResults();
  if (getResultSymbols().size() != wanted)
    return complain(*this, "loop_c4") << getResultSymbols().size() << " result symbols, expected " << wanted;
  return failure(failed(verifyYielded(*this, "loop_c5", getBody(), 1, getResults().take_front(carried).getTypes())) ||
                 failed(verifyYielded(*this, "loop_c5", getBody(), 1 + carried, getResults().drop_front(carried).getTypes(), 1)));
}

} // namespace onager::graph
