// Verifiers of the `graph` dialect's structure, elementwise and movement operations. Each check has an id in brackets, which the
// operation's description and a case of the dialect's invalid tests name. Dims are compared where both are numbers: what symbols must
// satisfy is stated by graph.require.
#include "dialects/Graph/IR/Verify.h"

using namespace mlir;

namespace onager::graph {

InFlightDiagnostic complain(Operation *op, StringRef id) { return op->emitOpError("[") << id << "] "; }

LogicalResult verifyAxis(Operation *op, StringRef id, int64_t axis, int64_t rank) {
  if (axis < 0 || axis >= rank)
    return complain(op, id) << "axis " << axis << " is outside rank " << rank;
  return success();
}

LogicalResult verifySameElement(Operation *op, StringRef id, Value have, Value want) {
  if (getElement(have) != getElement(want))
    return complain(op, id) << "element type " << getElement(have) << ", expected " << getElement(want);
  return success();
}

LogicalResult verifyDim(Operation *op, StringRef id, AffineExpr have, AffineExpr want) {
  std::optional<int64_t> x = getConstant(have), y = getConstant(want);
  if (x && y && *x != *y)
    return complain(op, id) << "a dim is " << *x << ", expected " << *y;
  return success();
}

/// Checks that a tensor broadcasts to the result's shape.
static LogicalResult verifyBroadcast(Operation *op, StringRef rankId, StringRef dimId, unsigned number) {
  Dims in = getDims(op->getOperand(number)), out = getDims(op->getResult(0));
  if (in.size() > out.size())
    return complain(op, rankId) << "operand " << number << " has rank " << in.size() << ", above the result's " << out.size();
  for (size_t k = 0; k < in.size(); ++k) {
    std::optional<int64_t> extent = getConstant(in[in.size() - 1 - k]), target = getConstant(out[out.size() - 1 - k]);
    if (extent && target && *extent != 1 && *extent != *target)
      return complain(op, dimId) << "dim " << in.size() - 1 - k << " of operand " << number << " is " << *extent << ", expected 1 or " << *target;
  }
  return success();
}

/// Checks the element types of an elementwise operation.
static LogicalResult verifyElements(Operation *op) {
  if (isa<CastOp, BitcastOp>(op))
    return success();
  Value result = op->getResult(0);
  unsigned first = 0;
  if (auto select = dyn_cast<SelectOp>(op)) {
    if (!getElement(select.getCondition()).isInteger(1))
      return complain(op, "elementwise_c3") << "a condition of element type " << getElement(select.getCondition()) << ", expected i1";
    first = 1;
  }
  bool isTest = isa<IsNaNOp, IsInfOp, EqualOp, LessOp, LessEqualOp>(op);
  if (isTest && !getElement(result).isInteger(1))
    return complain(op, "elementwise_c3") << "a result of element type " << getElement(result) << ", expected i1";
  Value wanted = isTest ? op->getOperand(first) : result;
  for (unsigned k = first; k < op->getNumOperands(); ++k)
    if (failed(verifySameElement(op, "elementwise_c4", op->getOperand(k), wanted)))
      return failure();
  return success();
}

LogicalResult verifyElementwise(Operation *op) {
  for (unsigned number = 0; number < op->getNumOperands(); ++number)
    if (failed(verifyBroadcast(op, "elementwise_c1", "elementwise_c2", number)))
      return failure();
  return verifyElements(op);
}

LogicalResult BitcastOp::verify() {
  unsigned from = getElement(getX()).getIntOrFloatBitWidth(), to = getElement(getResult()).getIntOrFloatBitWidth();
  if (from != to)
    return complain(*this, "bitcast_c1") << "elements of " << from << " and " << to << " bits";
  return success();
}

//===---------------------------------------------------------------------------------------------------------------===//
// Structure
//===---------------------------------------------------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  if (getValue().getType() != getResult().getType())
    return complain(*this, "constant_c1") << "value of type " << getValue().getType() << ", expected " << getResult().getType();
  return success();
}

LogicalResult IndexTensorOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (!type.hasStaticShape() || type.getNumElements() != getExprs().getNumResults())
    return complain(*this, "index_tensor_c1") << getExprs().getNumResults() << " expressions for " << type;
  if (!isa<IntegerType>(type.getElementType()))
    return complain(*this, "index_tensor_c2") << "expected an integer element type, found " << type.getElementType();
  return success();
}

LogicalResult BindOp::verify() {
  auto type = cast<RankedTensorType>(getSource().getType());
  if (!type.hasStaticShape() || !isa<IntegerType>(type.getElementType()))
    return complain(*this, "bind_c1") << "expected an integer tensor of static shape, found " << type;
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
  return fits ? success() : complain(*this, "define_c1") << "wrong number of expressions: " << count;
}

LogicalResult RequireOp::verify() {
  if (getExprs().getNumResults() != 2)
    return complain(*this, "require_c1") << "expected 2 expressions, found " << getExprs().getNumResults();
  return success();
}

//===---------------------------------------------------------------------------------------------------------------===//
// Data movement
//===---------------------------------------------------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  MLIRContext *context = getContext();
  std::optional<int64_t> from = getConstant(getNumElements(context, getDims(getX()))), to = getConstant(getNumElements(context, getDims(getResult())));
  if (from && to && *from != *to)
    return complain(*this, "reshape_c1") << *from << " elements become " << *to;
  return verifySameElement(*this, "reshape_c2", getResult(), getX());
}

LogicalResult BroadcastOp::verify() {
  if (failed(verifyBroadcast(*this, "broadcast_c1", "broadcast_c2", 0)))
    return failure();
  return verifySameElement(*this, "broadcast_c3", getResult(), getX());
}

LogicalResult TransposeOp::verify() {
  SmallVector<bool> seen(getRank(getX()), false);
  for (int64_t dim : getPerm()) {
    if (dim < 0 || dim >= static_cast<int64_t>(seen.size()) || seen[dim])
      return complain(*this, "transpose_c1") << "perm is not a permutation of the dims of " << getX().getType();
    seen[dim] = true;
  }
  if (getPerm().size() != seen.size() || getRank(getResult()) != getRank(getX()))
    return complain(*this, "transpose_c2") << "perm has " << getPerm().size() << " entries for ranks " << seen.size() << " and " << getRank(getResult());
  Dims in = getDims(getX()), out = getDims(getResult());
  for (auto [k, dim] : llvm::enumerate(getPerm()))
    if (failed(verifyDim(*this, "transpose_c3", out[k], in[dim])))
      return failure();
  return verifySameElement(*this, "transpose_c4", getResult(), getX());
}

LogicalResult SliceOp::verify() {
  int64_t rank = getRank(getX());
  if (getStarts().getNumResults() != rank || static_cast<int64_t>(getSteps().size()) != rank || getRank(getResult()) != rank)
    return complain(*this, "slice_c1") << "expected one start, step and dim of the result per dim of " << getX().getType();
  if (llvm::is_contained(getSteps(), 0))
    return complain(*this, "slice_c2") << "a step is 0";
  return verifySameElement(*this, "slice_c3", getResult(), getX());
}

LogicalResult ConcatOp::verify() {
  if (getInputs().empty())
    return complain(*this, "concat_c1") << "expected at least one operand";
  int64_t rank = getRank(getResult());
  if (getAxis() < 0 || static_cast<int64_t>(getAxis()) >= rank)
    return complain(*this, "concat_c2") << "axis " << getAxis() << " is outside rank " << rank;
  for (Value input : getInputs())
    if (getRank(input) != rank || getElement(input) != getElement(getResult()))
      return complain(*this, "concat_c3") << "operand of type " << input.getType() << " for a result of type " << getType();
  return success();
}

LogicalResult PadOp::verify() {
  if (getLow().getNumResults() != getRank(getX()) || getRank(getResult()) != getRank(getX()))
    return complain(*this, "pad_c1") << "expected one expression per dim of " << getX().getType();
  if (getRank(getValue()) != 0)
    return complain(*this, "pad_c2") << "expected a scalar value, found " << getValue().getType();
  return failure(failed(verifySameElement(*this, "pad_c3", getResult(), getX())) || failed(verifySameElement(*this, "pad_c3", getValue(), getX())));
}

LogicalResult TileOp::verify() {
  if (getRank(getResult()) != getRank(getX()))
    return complain(*this, "tile_c1") << "ranks " << getRank(getX()) << " and " << getRank(getResult()) << " differ";
  return verifySameElement(*this, "tile_c2", getResult(), getX());
}

LogicalResult IotaOp::verify() {
  if (failed(verifyAxis(*this, "iota_c1", getAxis(), getRank(getResult()))))
    return failure();
  for (Value scalar : {getStart(), getDelta()})
    if (getRank(scalar) != 0 || getElement(scalar) != getElement(getResult()))
      return complain(*this, "iota_c2") << "expected scalars of the result's element type, found " << scalar.getType();
  return success();
}

/// Checks that a tensor holds indices.
static LogicalResult verifyIndices(Operation *op, StringRef id, Value indices) {
  if (!getElement(indices).isInteger(32) && !getElement(indices).isInteger(64))
    return complain(op, id) << "expected indices of i32 or i64, found " << indices.getType();
  return success();
}

LogicalResult RandomOp::verify() {
  if (!getElement(getResult()).isF32() && !getElement(getResult()).isF64())
    return emitOpError("[random_c1] expected f32 or f64 elements, found ") << getType();
  if (getStream() && (getRank(getStream()) != 0 || !getElement(getStream()).isInteger(64)))
    return emitOpError("[random_c2] expected an i64 scalar as the stream, found ") << getStream().getType();
  return success();
}

LogicalResult GatherOp::verify() {
  int64_t expected = getRank(getX()) - 1 + getRank(getIndices());
  if (getRank(getResult()) != expected)
    return complain(*this, "gather_c1") << "expected rank " << expected << ", found " << getType();
  if (failed(verifyAxis(*this, "gather_c2", getAxis(), getRank(getX()))) || failed(verifyIndices(*this, "gather_c3", getIndices())))
    return failure();
  return verifySameElement(*this, "gather_c4", getResult(), getX());
}

LogicalResult GatherElementsOp::verify() {
  if (getRank(getIndices()) != getRank(getX()) || getRank(getResult()) != getRank(getX()))
    return complain(*this, "gather_elements_c1") << "expected data, indices and result of one rank, found " << getX().getType() << " and " << getIndices().getType();
  if (failed(verifyAxis(*this, "gather_elements_c2", getAxis(), getRank(getX()))) || failed(verifyIndices(*this, "gather_elements_c3", getIndices())))
    return failure();
  return verifySameElement(*this, "gather_elements_c4", getResult(), getX());
}

/// Returns the length of an index tuple where it fits the data behind `batch` dims.
static std::optional<int64_t> getTupleSize(Value x, Value indices, int64_t batch) {
  if (getRank(indices) == 0 || batch < 0 || batch >= getRank(indices))
    return std::nullopt;
  std::optional<int64_t> size = getConstant(getDims(indices).back());
  return size && *size >= 0 && *size + batch <= getRank(x) ? size : std::nullopt;
}

LogicalResult GatherNDOp::verify() {
  std::optional<int64_t> size = getTupleSize(getX(), getIndices(), getBatchDims());
  if (!size)
    return complain(*this, "gather_nd_c1") << "no index tuple of " << getIndices().getType() << " fits " << getX().getType();
  int64_t expected = getRank(getIndices()) - 1 + getRank(getX()) - static_cast<int64_t>(getBatchDims()) - *size;
  if (getRank(getResult()) != expected)
    return complain(*this, "gather_nd_c2") << "expected rank " << expected << ", found " << getType();
  return failure(failed(verifyIndices(*this, "gather_nd_c3", getIndices())) || failed(verifySameElement(*this, "gather_nd_c4", getResult(), getX())));
}

/// Checks that a scatter's result is like its data and that updates fit it.
static LogicalResult verifyScattered(Operation *op, StringRef id, Value x, Value updates) {
  if (op->getResult(0).getType() != x.getType() || getElement(updates) != getElement(x))
    return complain(op, id) << "data of " << x.getType() << " with updates of " << updates.getType() << " for a result of " << op->getResult(0).getType();
  return success();
}

LogicalResult ScatterElementsOp::verify() {
  if (getRank(getIndices()) != getRank(getX()) || getRank(getUpdates()) != getRank(getX()))
    return complain(*this, "scatter_elements_c1") << "expected data, indices and updates of one rank, found " << getX().getType() << ", "
                                                  << getIndices().getType() << " and " << getUpdates().getType();
  if (failed(verifyAxis(*this, "scatter_elements_c2", getAxis(), getRank(getX()))) || failed(verifyIndices(*this, "scatter_elements_c3", getIndices())))
    return failure();
  return verifyScattered(*this, "scatter_elements_c4", getX(), getUpdates());
}

LogicalResult ScatterNDOp::verify() {
  std::optional<int64_t> size = getTupleSize(getX(), getIndices(), 0);
  if (!size)
    return complain(*this, "scatter_nd_c1") << "no index tuple of " << getIndices().getType() << " fits " << getX().getType();
  int64_t expected = getRank(getIndices()) - 1 + getRank(getX()) - *size;
  if (getRank(getUpdates()) != expected)
    return complain(*this, "scatter_nd_c2") << "expected updates of rank " << expected << ", found " << getUpdates().getType();
  return failure(failed(verifyIndices(*this, "scatter_nd_c3", getIndices())) || failed(verifyScattered(*this, "scatter_nd_c4", getX(), getUpdates())));
}

LogicalResult ReverseSequenceOp::verify() {
  int64_t rank = getRank(getX());
  if (failed(verifyAxis(*this, "reverse_sequence_c1", getBatchAxis(), rank)) || failed(verifyAxis(*this, "reverse_sequence_c1", getTimeAxis(), rank)))
    return failure();
  if (getRank(getLengths()) != 1 || !isa<IntegerType>(getElement(getLengths())))
    return complain(*this, "reverse_sequence_c2") << "expected a vector of integer lengths, found " << getLengths().getType();
  return success();
}

LogicalResult ResizeOp::verify() {
  int64_t rank = getRank(getX());
  auto holds = [](Value list, int64_t count) { return getRank(list) == 1 && getConstant(getDims(list)[0]).value_or(count) == count; };
  if (!holds(getScales(), rank) || getRank(getResult()) != rank)
    return complain(*this, "resize_c1") << "expected one scale and dim of the result per dim of " << getX().getType() << ", found " << getScales().getType();
  if (getRoi() && !holds(getRoi(), 2 * rank))
    return complain(*this, "resize_c2") << "expected two numbers per dim of " << getX().getType() << ", found " << getRoi().getType();
  return success();
}

} // namespace onager::graph
