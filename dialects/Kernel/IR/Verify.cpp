// Verifiers of the `kernel` dialect. Each check has an id in brackets, which the operation's description and a case of the dialect's invalid
// tests name.
#include "dialects/Graph/IR/Verify.h"
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "dialects/Kernel/IR/Sparse.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace onager::kernel {

using graph::complain;

LogicalResult UnitOp::verifyRegions() {
  Block &body = getBody().front();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValues().empty())
    return complain(*this, "unit_c1") << "expected a kernel.yield of at least one tensor";
  for (Type type : body.getArgumentTypes())
    if (!isa<RankedTensorType>(type))
      return complain(*this, "unit_c2") << "an argument of type " << type << ", expected a ranked tensor";
  return success();
}

/// Checks that tensors have the element types of those that the unit declares.
static LogicalResult verifyTensors(Operation *op, StringRef what, TypeRange have, TypeRange want) {
  if (have.size() != want.size())
    return complain(op, "launch_c2") << have.size() << " " << what << ", the unit has " << want.size();
  for (auto [given, wanted] : llvm::zip(have, want))
    if (cast<RankedTensorType>(given).getElementType() != cast<RankedTensorType>(wanted).getElementType())
      return complain(op, "launch_c3") << "one of the " << what << " is " << given << ", the unit's is " << wanted;
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto unit = symbols.lookupNearestSymbolFrom<UnitOp>(*this, getUnitAttr());
  if (!unit)
    return complain(*this, "launch_c1") << "no unit @" << getUnit();
  Block &body = unit.getBody().front();
  return failure(failed(verifyTensors(*this, "operands", getInputs().getTypes(), body.getArgumentTypes())) ||
                 failed(verifyTensors(*this, "results", getResultTypes(), body.getTerminator()->getOperandTypes())));
}

LogicalResult PackOp::verify() {
  graph::Dims in = graph::getDims(getX()), out = graph::getDims(getResult());
  if (in.size() < 2 || out.size() != in.size() + 1 || !graph::isConstant(out.back(), kPanelWidth))
    return complain(*this, "pack_c1") << getX().getType() << " does not pack to " << getType();
  return success();
}

LogicalResult GemmOp::verify() {
  graph::Dims lhs = graph::getDims(getLhs()), packed = graph::getDims(getPacked()), out = graph::getDims(getResult());
  if (lhs.size() < 2 || packed.size() < 3 || out.size() != std::max(lhs.size(), packed.size() - 1))
    return complain(*this, "gemm_c1") << "ranks " << lhs.size() << " and " << packed.size() << " do not give rank " << out.size();
  if (getBf16x3() && packed.size() != 3)
    return complain(*this, "gemm_c3") << "bf16x3 with more than one matrix in " << getPacked().getType();
  return graph::verifyDim(*this, "gemm_c2", packed[packed.size() - 2], lhs.back());
}

LogicalResult DotRowsOp::verify() {
  graph::Dims lhs = graph::getDims(getLhs()), rhs = graph::getDims(getRhs()), out = graph::getDims(getResult());
  if (lhs.size() < 2 || rhs.size() < 2 || out.size() != std::max(lhs.size(), rhs.size()))
    return complain(*this, "dot_rows_c1") << "ranks " << lhs.size() << " and " << rhs.size() << " do not give rank " << out.size();
  if (failed(graph::verifyDim(*this, "dot_rows_c2", rhs.back(), lhs.back())))
    return failure();
  std::optional<int64_t> rows = graph::getConstant(lhs[lhs.size() - 2]);
  if (!rows || *rows > kMostDotRows)
    return complain(*this, "dot_rows_c3") << "rows of " << getLhs().getType() << ", expected a known number of at most " << kMostDotRows;
  return success();
}

LogicalResult BlockPackOp::verify() {
  auto in = cast<RankedTensorType>(getX().getType()), out = cast<RankedTensorType>(getType());
  if (in.getRank() != 3 || out.getRank() != 4 || out.getDimSize(2) != kPanelWidth || out.getDimSize(3) != kQuad || !out.getElementType().isUnsignedInteger(8))
    return complain(*this, "block_pack_c1") << in << " does not pack to " << out;
  return success();
}

LogicalResult BlockGemmOp::verify() {
  graph::Dims x = graph::getDims(getX()), packed = graph::getDims(getPacked()), scales = graph::getDims(getScales()), out = graph::getDims(getResult());
  if (packed.size() != 4 || scales.size() != 3 || x.empty() || out.size() != x.size())
    return complain(*this, "block_gemm_c1") << "ranks " << x.size() << ", " << packed.size() << " and " << scales.size() << " do not give rank " << out.size();
  if (scales[1] * (static_cast<int64_t>(getBlock()) / getBlockStep(getBits())) != packed[1])
    return complain(*this, "block_gemm_c2") << getPacked().getType() << " with scales " << getScales().getType() << ", blocks of " << getBlock();
  if (!getZeros() == !getLevels() || (getLevels() && getDigits()))
    return complain(*this, "block_gemm_c3") << "expected zeros, or levels that products of f32 take";
  return success();
}

LogicalResult WinogradFilterOp::verify() {
  graph::Dims in = graph::getDims(getX()), out = graph::getDims(getResult());
  if (in.size() != 4 || !graph::isConstant(in[2], 3) || !graph::isConstant(in[3], 3))
    return complain(*this, "winograd_filter_c1") << "filters of type " << getX().getType() << ", expected [O, C, 3, 3]";
  if (out.size() != 5 || !graph::isConstant(out[1], 6) || !graph::isConstant(out[2], 6) || out[3] != in[1])
    return complain(*this, "winograd_filter_c2") << getX().getType() << " does not transform to " << getType();
  int64_t tiles = graph::getConstant(out[0]).value_or(0), rows = graph::getConstant(out[4]).value_or(0), filters = graph::getConstant(in[0]).value_or(-1);
  if (filters < 0 || tiles * rows < filters)
    return complain(*this, "winograd_filter_c3") << tiles << " row tiles of " << rows << " hold no " << filters << " filters";
  return success();
}

LogicalResult WinogradConvOp::verify() {
  graph::Dims x = graph::getDims(getX()), filter = graph::getDims(getFilter()), out = graph::getDims(getResult());
  if (x.size() != 4 || filter.size() != 5 || out.size() != 4)
    return complain(*this, "winograd_conv_c1") << "ranks " << x.size() << " and " << filter.size() << " give rank " << out.size() << ", expected 4 and 5 giving 4";
  if (failed(graph::verifyDim(*this, "winograd_conv_c2", filter[3], x[1])))
    return failure();
  if (!graph::getConstant(x[1]) || !graph::getConstant(out[1]) || getPads().getNumResults() != 2)
    return complain(*this, "winograd_conv_c3") << "expected two pads, and channels that are numbers";
  int64_t room = graph::getConstant(filter[0]).value_or(0) * graph::getConstant(filter[4]).value_or(0), channels = *graph::getConstant(out[1]);
  if (room < channels)
    return complain(*this, "winograd_conv_c4") << channels << " channels from filters for " << room;
  return success();
}

LogicalResult PackedConvOp::verify() {
  graph::Dims x = graph::getDims(getX()), packed = graph::getDims(getPacked()), out = graph::getDims(getResult());
  if (x.size() < 3 || packed.size() != 3 || out.size() != x.size())
    return complain(*this, "packed_conv_c1") << "ranks " << x.size() << " and " << packed.size() << " give rank " << out.size() << ", expected equal ones and 3";
  if (failed(graph::verifyDim(*this, "packed_conv_c2", packed[1], x[1] * ShapedType::getNumElements(getKernel()))))
    return failure();
  auto isNumber = [](AffineExpr dim) { return graph::getConstant(dim).has_value(); };
  size_t rank = x.size() - 2;
  bool hasWindow = getKernel().size() == rank && getStrides().size() == rank && getDilations().size() == rank && getPads().getNumResults() == rank;
  if (!hasWindow || !isNumber(x[1]) || !isNumber(out[1]))
    return complain(*this, "packed_conv_c3") << "expected windows over " << rank << " dims, and channels that are numbers";
  int64_t room = graph::getConstant(packed[0]).value_or(0) * kPanelWidth, channels = *graph::getConstant(out[1]);
  if (room < channels)
    return complain(*this, "packed_conv_c4") << channels << " channels from filters for " << room;
  return success();
}

LogicalResult Bf16x3FilterOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType()), out = cast<RankedTensorType>(getType());
  if (x.getRank() < 3 || !x.hasStaticShape() || !x.getElementType().isF32() || out.getRank() != 6 || !out.getElementType().isBF16())
    return complain(*this, "bf16x3_filter_c1") << x << " does not become " << out;
  int64_t terms = ShapedType::getNumElements(x.getShape().drop_front());
  auto tiles = static_cast<int64_t>(llvm::divideCeil(x.getDimSize(0), kBf16x3Rows)), steps = static_cast<int64_t>(llvm::divideCeil(terms, kBf16x3Terms));
  SmallVector<int64_t> expected{tiles, steps, kBf16x3Parts, 2, kAmxRows, kBf16x3Terms};
  if (out.getShape() != ArrayRef(expected))
    return complain(*this, "bf16x3_filter_c2") << x << " does not fill " << out;
  return success();
}

LogicalResult Bf16x3ConvOp::verify() {
  graph::Dims x = graph::getDims(getX()), out = graph::getDims(getResult());
  auto filter = cast<RankedTensorType>(getFilter().getType()), marks = cast<RankedTensorType>(getMarks().getType());
  if (x.size() < 3 || filter.getRank() != 6 || marks.getRank() != 1 || out.size() != x.size())
    return complain(*this, "bf16x3_conv_c1") << "ranks " << x.size() << ", " << filter.getRank() << " and " << marks.getRank() << " give rank " << out.size();
  std::optional<int64_t> channels = graph::getConstant(x[1]), outChannels = graph::getConstant(out[1]);
  size_t rank = x.size() - 2;
  bool hasWindow = getKernel().size() == rank && getStrides().size() == rank && getDilations().size() == rank && getPads().getNumResults() == rank;
  if (!hasWindow || !channels || !outChannels)
    return complain(*this, "bf16x3_conv_c2") << "expected windows over " << rank << " dims, and channels that are numbers";
  int64_t terms = *channels * ShapedType::getNumElements(getKernel());
  auto tiles = static_cast<int64_t>(llvm::divideCeil(*outChannels, kBf16x3Rows)), steps = static_cast<int64_t>(llvm::divideCeil(terms, kBf16x3Terms));
  if (filter.getDimSize(0) != tiles || filter.getDimSize(1) != steps || marks.getDimSize(0) != *outChannels)
    return complain(*this, "bf16x3_conv_c3") << filter << " and " << marks << " for " << *outChannels << " channels of " << terms << " terms";
  return success();
}

LogicalResult SparsePackOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType()), starts = cast<RankedTensorType>(getStarts().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType()), values = cast<RankedTensorType>(getValues().getType());
  if (x.getRank() != 2 || !x.hasStaticShape() || !x.getElementType().isF32())
    return complain(*this, "sparse_pack_c1") << "weights of type " << x << ", expected a matrix of f32 of known size";
  auto wanted = RankedTensorType::get({getSparseRuns(x.getDimSize(1)), x.getDimSize(0) + 1}, IntegerType::get(getContext(), 32));
  if (starts != wanted)
    return complain(*this, "sparse_pack_c2") << "starts of type " << starts << ", expected " << wanted;
  if (indices.getRank() != 1 || indices.getShape() != values.getShape() || !indices.getElementType().isUnsignedInteger(16) || !values.getElementType().isF32())
    return complain(*this, "sparse_pack_c3") << "indices of type " << indices << " for values of type " << values;
  return success();
}

/// True where sparse weights' starts are those of `outputs` sums over `depth` numbers.
static bool hasStarts(Value starts, AffineExpr outputs, AffineExpr depth) {
  std::optional<int64_t> count = graph::getConstant(outputs), length = graph::getConstant(depth);
  return count && length && llvm::equal(cast<RankedTensorType>(starts.getType()).getShape(), ArrayRef{getSparseRuns(*length), *count + 1});
}

LogicalResult SparseGemmOp::verify() {
  graph::Dims lhs = graph::getDims(getLhs()), out = graph::getDims(getResult());
  if (lhs.size() < 2 || out.size() != lhs.size())
    return complain(*this, "sparse_gemm_c1") << "rank " << lhs.size() << " does not give rank " << out.size();
  if (!hasStarts(getStarts(), out.back(), lhs.back()))
    return complain(*this, "sparse_gemm_c2") << getStarts().getType() << " are no starts for " << getLhs().getType() << " giving " << getType();
  return success();
}

LogicalResult SparseConvOp::verify() {
  graph::Dims x = graph::getDims(getX()), out = graph::getDims(getResult());
  size_t rank = getKernel().size();
  if (x.size() < 3 || out.size() != x.size() || rank != x.size() - 2 || getStrides().size() != rank || getDilations().size() != rank || getPads().getNumResults() != rank)
    return complain(*this, "sparse_conv_c1") << "windows over " << rank << " dims, ranks " << x.size() << " and " << out.size();
  if (!hasStarts(getStarts(), out[1], x[1] * ShapedType::getNumElements(getKernel())))
    return complain(*this, "sparse_conv_c2") << getStarts().getType() << " are no starts for " << getX().getType() << " giving " << getType();
  return success();
}

} // namespace onager::kernel
