// Registers the `kernel` dialect and verifies its operations.
#include "dialects/Kernel/IR/Kernel.h"
#include "dialects/Graph/IR/Shapes.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/Kernel/IR/KernelDialect.cpp.inc"
#include "dialects/Kernel/IR/KernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/IR/KernelAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/IR/KernelOps.cpp.inc"

using namespace mlir;

namespace onager::kernel {

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Kernel/IR/KernelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/IR/KernelOps.cpp.inc"
      >();
}

LogicalResult UnitOp::verify() {
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield || yield.getValues().empty())
    return emitOpError("[unit_c1] expected a kernel.yield of at least one tensor");
  return success();
}

LogicalResult PackOp::verify() {
  graph::Dims in = graph::getDims(getX()), out = graph::getDims(getResult());
  if (in.size() < 2 || out.size() != in.size() + 1 || !graph::isConstant(out.back(), kPanelWidth))
    return emitOpError("[pack_c1] ") << getX().getType() << " does not pack to " << getType();
  return success();
}

LogicalResult GemmOp::verify() {
  graph::Dims lhs = graph::getDims(getLhs()), packed = graph::getDims(getPacked()), out = graph::getDims(getResult());
  if (lhs.size() < 2 || packed.size() < 3 || out.size() != std::max(lhs.size(), packed.size() - 1))
    return emitOpError("[gemm_c1] ranks ") << lhs.size() << " and " << packed.size() << " do not give rank " << out.size();
  return success();
}

} // namespace onager::kernel
