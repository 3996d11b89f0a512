// The exit contract of the vector stage. Tests: verify-vector.mlir, verify-vector-error.mlir
#include "lib/Conversion/KernelToVector/Passes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringSet.h"

#define DEBUG_TYPE "verify-vector"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_VERIFYVECTOR
#include "lib/Conversion/KernelToVector/Passes.h.inc"

namespace {
struct VerifyVector : impl::VerifyVectorBase<VerifyVector> {
  void runOnOperation() override {
    static const llvm::StringSet<> allowed = {"arith", "builtin", "cf", "func", "index", "llvm", "math", "memref", "scf", "ub", "vector"};
    WalkResult result = getOperation()->walk([&](Operation *op) {
      if (!allowed.contains(op->getName().getDialectNamespace()))
        return complain(op, "verify_vector_c1", "an operation of a dialect above loops is left");
      auto isTensor = [](Type type) { return isa<TensorType>(type); };
      if (llvm::any_of(op->getOperandTypes(), isTensor) || llvm::any_of(op->getResultTypes(), isTensor))
        return complain(op, "verify_vector_c2", "a tensor is left");
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  /// Reports a broken promise and ends the walk.
  static WalkResult complain(Operation *op, StringRef id, StringRef what) {
    InFlightDiagnostic error = op->emitOpError("[") << id << "] " << what;
    error.attachNote() << "pass 'convert-kernel-to-vector' emits loops over memory in its place";
    return WalkResult::interrupt();
  }
};
} // namespace
} // namespace onager
