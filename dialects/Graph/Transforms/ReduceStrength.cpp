// pow(x, 2) -> mul(x, x) and the like. Test: graph-reduce-strength.mlir
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <cmath>

#define DEBUG_TYPE "graph-reduce-strength"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHREDUCESTRENGTH
#include "dialects/Graph/Transforms/Passes.h.inc"

/// True where x * (1 / divisor) is x / divisor for every x: 1 / divisor is exact.
static bool isExactlyInvertible(double divisor) {
  int exponent;
  return std::abs(std::frexp(divisor, &exponent)) == 0.5 && std::abs(exponent) < 100;
}

namespace {

/// pow(x, c) -> x, mul(x, x), mul(mul(x, x), x), sqrt(x) or reciprocal(x)
struct ExpandPower : OpRewritePattern<PowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PowOp op, PatternRewriter &rewriter) const override {
    Value x = op.getLhs();
    std::optional<double> exponent = getScalar(op.getRhs());
    if (!exponent || !isa<FloatType>(getElement(x)) || x.getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "the exponent is no single constant, or the type changes");
    Location loc = op.getLoc();
    if (*exponent == 1)
      return rewriter.replaceOp(op, x), success();
    if (*exponent == 2)
      return rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), x, x), success();
    if (*exponent == 3)
      return rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), MulOp::create(rewriter, loc, op.getType(), x, x), x), success();
    if (*exponent == 0.5)
      return rewriter.replaceOpWithNewOp<SqrtOp>(op, op.getType(), x), success();
    if (*exponent == -1)
      return rewriter.replaceOpWithNewOp<ReciprocalOp>(op, op.getType(), x), success();
    return rewriter.notifyMatchFailure(op, "no cheaper form for this exponent");
  }
};

/// div(x, 2^k) -> mul(x, 2^-k)
struct DivideByPowerOfTwo : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp op, PatternRewriter &rewriter) const override {
    std::optional<double> divisor = getScalar(op.getRhs());
    if (!divisor || !(getElement(op.getLhs()).isF32() || getElement(op.getLhs()).isF64()) || !isExactlyInvertible(*divisor))
      return rewriter.notifyMatchFailure(op, "the divisor is not a constant power of two");
    Value factor = makeScalar(rewriter, op.getLoc(), cast<RankedTensorType>(op.getRhs().getType()), 1 / *divisor);
    rewriter.replaceOpWithNewOp<MulOp>(op, op.getType(), op.getLhs(), factor);
    return success();
  }
};

struct ReduceStrength : impl::GraphReduceStrengthBase<ReduceStrength> {
  void runOnOperation() override {
    int64_t before = countOps<PowOp, DivOp>(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandPower, DivideByPowerOfTwo>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numReduced += before - countOps<PowOp, DivOp>(getOperation());
  }
};

} // namespace
} // namespace onager::graph
