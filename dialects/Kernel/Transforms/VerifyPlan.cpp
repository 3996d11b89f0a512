// The exit contract of the plan stage. Tests: verify-plan.mlir, verify-plan-error.mlir
#include "dialects/Kernel/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "verify-plan"

using namespace mlir;

namespace onager::kernel {
#define GEN_PASS_DEF_VERIFYPLAN
#include "dialects/Kernel/Transforms/Passes.h.inc"

namespace {
struct VerifyPlan : impl::VerifyPlanBase<VerifyPlan> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    buffers = getOperation()->getAttrOfType<ArrayAttr>(kBuffersAttr);
    WalkResult result = main.walk([&](Operation *op) {
      // Operations that take time have a number; the others move nothing.
      bool isFine = !op->hasAttr("ordinal") || (verifyBuffers(op, "operand_buffers", op->getNumOperands(), /*writes=*/false) &&
                                                (!op->getNumResults() || verifyBuffers(op, "buffers", op->getNumResults(), /*writes=*/true)));
      bool isLaunch = isa<LaunchOp>(op) && !op->hasAttr("constant");
      if (isLaunch && !op->hasAttr("ordinal"))
        isFine = complain(op, "verify_plan_c1", "'ordinal' is missing");
      return isFine ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  /// Reports a broken promise and returns false.
  bool complain(Operation *op, StringRef id, const Twine &what) {
    InFlightDiagnostic error = op->emitOpError("[") << id << "] " << what;
    error.attachNote() << "pass 'kernel-plan-buffers' assigns buffers and lifetimes";
    return false;
  }

  bool verifyBuffers(Operation *op, StringRef name, size_t count, bool writes) {
    auto numbers = op->getAttrOfType<DenseI64ArrayAttr>(name);
    if (!buffers || !numbers || numbers.size() != static_cast<int64_t>(count))
      return complain(op, "verify_plan_c1", "'" + name + "' is missing or has not one entry per tensor");
    int64_t at = op->getAttrOfType<IntegerAttr>("ordinal").getInt();
    for (int64_t number : numbers.asArrayRef()) {
      if (number < 0 || number >= static_cast<int64_t>(buffers.size()))
        return complain(op, "verify_plan_c2", "buffer " + Twine(number) + " is not one of " + Twine(buffers.size()));
      auto buffer = cast<BufferAttr>(buffers[number]);
      if (buffer.getKind() == BufferKind::slot && (at < buffer.getFirst() || at > buffer.getLast()))
        return complain(op, "verify_plan_c3", "buffer " + Twine(number) + " is live from " + Twine(buffer.getFirst()) + " to " + Twine(buffer.getLast()) +
                                                  ", and used at " + Twine(at));
      if (writes && (buffer.getKind() == BufferKind::input || buffer.getKind() == BufferKind::weight))
        return complain(op, "verify_plan_c4", "a result lies in buffer " + Twine(number) + ", which is " + stringifyBufferKind(buffer.getKind()));
    }
    return true;
  }

  ArrayAttr buffers;
};
} // namespace
} // namespace onager::kernel
