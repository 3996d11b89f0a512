// The exit contract of the kernel stage. Tests: verify-kernel.mlir, verify-kernel-error.mlir
#include "dialects/Kernel/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "verify-kernel"

using namespace mlir;

namespace onager::kernel {
#define GEN_PASS_DEF_VERIFYKERNEL
#include "dialects/Kernel/Transforms/Passes.h.inc"

/// True for operations that the program may hold: none of them computes an element.
static bool belongsToProgram(Operation *op) {
  return isa<LaunchOp, graph::ReshapeOp, graph::ConstantOp, graph::CallOp, graph::IfOp, graph::LoopOp, graph::YieldOp, graph::BindOp, graph::DefineOp,
             graph::RequireOp, func::ReturnOp>(op);
}

namespace {
struct VerifyKernel : impl::VerifyKernelBase<VerifyKernel> {
  void runOnOperation() override {
    bool isFine = true;
    if (auto main = getOperation().lookupSymbol<func::FuncOp>("main"))
      main.walk([&](Operation *op) { isFine = isFine && (op == main || verifyProgram(op)); });
    for (auto unit : getOperation().getOps<UnitOp>())
      isFine = isFine && verifyUnit(unit);
    if (!isFine)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  bool verifyProgram(Operation *op) {
    if (belongsToProgram(op))
      return true;
    InFlightDiagnostic error = op->emitOpError("[verify_kernel_c1] an operation that computes lies outside of every launch unit");
    error.attachNote() << "pass 'convert-graph-to-kernel' puts it into one";
    return false;
  }

  bool verifyUnit(UnitOp unit) {
    for (StringRef name : {"items", "operations", "scratch"})
      if (!unit->getAttrOfType<AffineMapAttr>(name)) {
        InFlightDiagnostic error = unit.emitOpError("[verify_kernel_c2] '") << name << "' is missing";
        error.attachNote() << "pass 'kernel-annotate-work' states it";
        return false;
      }
    for (Operation &op : unit.getBody().front()) {
      bool computes = isa_and_nonnull<graph::GraphDialect, KernelDialect>(op.getDialect()) && !isa<LaunchOp>(op);
      if (computes)
        continue;
      InFlightDiagnostic error = op.emitOpError("[verify_kernel_c3] an operation that no emitter takes lies in a unit");
      error.attachNote() << "pass 'convert-graph-to-kernel' puts graph operations into units";
      return false;
    }
    return true;
  }
};
} // namespace
} // namespace onager::kernel
