// Verifiers of the `kernel` dialect. Each check has an id in brackets, which the operation's description and a case of the dialect's invalid
// tests name.
#include "dialects/Graph/IR/Verify.h"
#include "dialects/Kernel/IR/Kernel.h"

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
  return graph::verifyDim(*this, "gemm_c2", packed[packed.size() - 2], lhs.back());
}

} // namespace onager::kernel
