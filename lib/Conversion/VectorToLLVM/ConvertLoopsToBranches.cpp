// Structured control flow becomes branches, from the end of each function to its start. Test: convert-loops-to-branches.mlir
//
// A branch splits its block, and what is behind it moves. From the start, all that follows would move once for each branch: the program of a model of
// a thousand nodes is one block with several branches per launch.
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Rewrite/PatternApplicator.h"

#define DEBUG_TYPE "convert-loops-to-branches"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTLOOPSTOBRANCHES
#include "lib/Conversion/VectorToLLVM/Passes.h.inc"

namespace {
struct ConvertLoopsToBranches : impl::ConvertLoopsToBranchesBase<ConvertLoopsToBranches> {
  using ConvertLoopsToBranchesBase::ConvertLoopsToBranchesBase;

  void runOnOperation() override {
    RewritePatternSet set(&getContext());
    populateSCFToControlFlowConversionPatterns(set);
    FrozenRewritePatternSet patterns(std::move(set));
    PatternApplicator applicator(patterns);
    applicator.applyDefaultCostModel();
    SmallVector<Operation *> structured; // backwards, a loop comes before what it holds: upstream looks for terminators in a region of one block
    getOperation()->walk<WalkOrder::PostOrder>([&](Operation *op) {
      if (isa<scf::SCFDialect>(op->getDialect()) && !op->hasTrait<OpTrait::IsTerminator>())
        structured.push_back(op);
    });
    PatternRewriter rewriter(&getContext());
    for (Operation *op : llvm::reverse(structured)) {
      rewriter.setInsertionPoint(op);
      if (failed(applicator.matchAndRewrite(op, rewriter))) {
        op->emitError("structured control flow that has no form with branches");
        return signalPassFailure();
      }
    }
  }
};
} // namespace
} // namespace onager
