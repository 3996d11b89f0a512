// Math functions of f32 -> arithmetic. Test: expand-math.mlir
#include "lib/Conversion/VectorToLLVM/MathFunctions.h"
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

#define DEBUG_TYPE "expand-math"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_EXPANDMATH
#include "lib/Conversion/VectorToLLVM/Passes.h.inc"

namespace {
struct ExpandMath : impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    if (getOperation().walk([](Operation *op) { return needsCircleTable(op) && isExpandable(op) ? WalkResult::interrupt() : WalkResult::advance(); }).wasInterrupted())
      provideCircleTable(getOperation());
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    if (failed(failableParallelForEach(&getContext(), functions, expand)))
      signalPassFailure();
  }
  static LogicalResult expand(func::FuncOp function) {
    SmallVector<Operation *> calls;
    function.walk([&](Operation *op) {
      if (isExpandable(op))
        calls.push_back(op);
    });
    for (Operation *op : calls) {
      ImplicitLocOpBuilder b(op->getLoc(), op);
      op->getResult(0).replaceAllUsesWith(expandFunction(b, op));
      op->erase();
    }
    return approximate(function);
  }

  /// Upstream's polynomials, for the operations that are left; those around them are no concern of the pass.
  static LogicalResult approximate(func::FuncOp function) {
    SmallVector<Operation *> left;
    function.walk([&](Operation *op) {
      if (isa<math::MathDialect>(op->getDialect()))
        left.push_back(op);
    });
    if (left.empty())
      return success();
    RewritePatternSet patterns(function.getContext());
    populateMathPolynomialApproximationPatterns(patterns);
    return applyOpPatternsGreedily(left, std::move(patterns), GreedyRewriteConfig().setStrictness(GreedyRewriteStrictness::ExistingAndNewOps));
  }
};
} // namespace

void addVectorToLLVM(OpPassManager &passes) {
  passes.addPass(createExpandMath());
  passes.addNestedPass<func::FuncOp>(createCSEPass());
  passes.addPass(arith::createArithExpandOpsPass());
  passes.addPass(createConvertLoopsToBranches());
  passes.addPass(createConvertArithmeticToLLVM());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

} // namespace onager
