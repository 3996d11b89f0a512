// exp(x - max(x)) / sum(exp(x - max(x))) -> softmax(x). Test: graph-raise-softmax.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-raise-softmax"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISESOFTMAX
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// div(e, reduce_sum(e)) with e = exp(x - reduce_max(x)) -> softmax(x)
struct RaiseSoftmax : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp op, PatternRewriter &rewriter) const override {
    auto power = op.getLhs().getDefiningOp<ExpOp>();
    auto sum = op.getRhs().getDefiningOp<ReduceOp>();
    if (!power || !sum || sum.getKind() != ReduceKind::sum || sum.getX() != power.getResult() || sum.getAxes().size() != 1)
      return rewriter.notifyMatchFailure(op, "not a power over the sum of such along one axis");
    auto shifted = power.getX().getDefiningOp<SubOp>();
    auto top = shifted ? shifted.getRhs().getDefiningOp<ReduceOp>() : nullptr;
    bool isShifted = top && top.getKind() == ReduceKind::max && top.getX() == shifted.getLhs() && top.getAxes() == sum.getAxes();
    if (!isShifted || shifted.getLhs().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "the exponents are not shifted by their largest");
    rewriter.replaceOpWithNewOp<SoftmaxOp>(op, op.getType(), shifted.getLhs(), rewriter.getI64IntegerAttr(sum.getAxes()[0]), UnitAttr());
    return success();
  }
};

struct RaiseSoftmaxPass : impl::GraphRaiseSoftmaxBase<RaiseSoftmaxPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseSoftmax>(&getContext());
    int64_t before = countOps<SoftmaxOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += countOps<SoftmaxOp>(getOperation()) - before;
  }
};

} // namespace
} // namespace onager::graph
