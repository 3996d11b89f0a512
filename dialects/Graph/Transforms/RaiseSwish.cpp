// x * sigmoid(alpha * x) -> swish(x). Test: graph-raise-swish.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-raise-swish"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISESWISH
#include "dialects/Graph/Transforms/Passes.h.inc"

/// The alpha of alpha * x.
static std::optional<double> matchMultiple(Value value, Value x) {
  if (value == x)
    return 1;
  auto product = splitScalar<MulOp>(value);
  return product && product->first == x ? std::optional(product->second) : std::nullopt;
}

namespace {

/// mul(x, sigmoid(alpha * x)) -> swish(x)
struct RaiseProduct : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    for (auto [x, gate] : {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
      auto sigmoid = gate.getDefiningOp<SigmoidOp>();
      std::optional<double> alpha = sigmoid && x.getType() == op.getType() ? matchMultiple(sigmoid.getX(), x) : std::nullopt;
      if (!alpha)
        continue;
      rewriter.replaceOpWithNewOp<SwishOp>(op, op.getType(), x, rewriter.getF64FloatAttr(*alpha));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no factor is the sigmoid of the other");
  }
};

/// div(x, 1 + exp(-x)) -> swish(x)
struct RaiseQuotient : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp op, PatternRewriter &rewriter) const override {
    auto sum = splitScalar<AddOp>(op.getRhs());
    auto power = sum && sum->second == 1 ? sum->first.getDefiningOp<ExpOp>() : nullptr;
    auto negative = power ? power.getX().getDefiningOp<NegOp>() : nullptr;
    if (!negative || negative.getX() != op.getLhs() || op.getLhs().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "the divisor is not 1 + e^-x of the dividend");
    rewriter.replaceOpWithNewOp<SwishOp>(op, op.getType(), op.getLhs(), rewriter.getF64FloatAttr(1));
    return success();
  }
};

struct RaiseSwishPass : impl::GraphRaiseSwishBase<RaiseSwishPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseProduct, RaiseQuotient>(&getContext());
    int64_t before = countOps<SwishOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += countOps<SwishOp>(getOperation()) - before;
  }
};

} // namespace
} // namespace onager::graph
