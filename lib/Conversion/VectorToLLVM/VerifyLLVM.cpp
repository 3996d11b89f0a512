// The exit contract of the llvm stage. Tests: verify-llvm.mlir, verify-llvm-error.mlir
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

#define DEBUG_TYPE "verify-llvm"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_VERIFYLLVM
#include "lib/Conversion/VectorToLLVM/Passes.h.inc"

namespace {
struct VerifyLLVM : impl::VerifyLLVMBase<VerifyLLVM> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](Operation *op) {
      if (isa<UnrealizedConversionCastOp>(op))
        return complain(op, "verify_llvm_c2", "an unrealised cast is left", "pass 'reconcile-unrealized-casts' cancels pairs of casts");
      if (!isa<ModuleOp>(op) && !isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
        return complain(op, "verify_llvm_c1", "an operation of another dialect is left", "the conversions of pipeline 'llvm-stage' take it");
      if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op); function && function.isExternal() && function.getName().starts_with("__nv_"))
        return complain(op, "verify_llvm_c3", "a function of CUDA's library is called from code for the CPU", "pass 'expand-math' replaces math functions");
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  /// Reports a broken promise and ends the walk.
  static WalkResult complain(Operation *op, StringRef id, StringRef what, StringRef note) {
    InFlightDiagnostic error = op->emitOpError("[") << id << "] " << what;
    error.attachNote() << note;
    return WalkResult::interrupt();
  }
};
} // namespace
} // namespace onager
