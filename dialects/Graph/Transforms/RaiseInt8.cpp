// conv((q - z) * s, (v - u) * t) -> conv(q - z, v - u) * (s * t), in integers. Test: graph-raise-int8.mlir
#include "dialects/Graph/Transforms/MatchInt8.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-raise-int8"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISEINT8
#include "dialects/Graph/Transforms/Passes.h.inc"

static bool hasOneElement(Value value) { return isConstant(getNumElements(value.getContext(), getDims(value)), 1); }

/// The right operand of a product: weights that are bytes, with a scale for each of the dim `channel` at most.
static std::optional<Dequantized> matchWeights(Value value, size_t channel) {
  std::optional<Dequantized> weights = matchDequantized(value);
  if (!weights || !areByteWeights(weights->integers) || !isPerChannel(weights->scale, getDims(value).size(), channel, getDims(value)[channel]))
    return std::nullopt;
  return weights;
}

/// The left operand: bytes with one zero point and one scale.
static std::optional<Dequantized> matchActivation(Value value) {
  std::optional<Dequantized> x = matchDequantized(value);
  return x && matchCentredBytes(x->integers) && hasOneElement(x->scale) ? x : std::nullopt;
}

namespace {

/// Integers as i32.
Value widen(PatternRewriter &rewriter, Location loc, Value integers) {
  if (getElement(integers).isSignlessInteger(32))
    return integers;
  return CastOp::create(rewriter, loc, makeTensor(getDims(integers), rewriter.getI32Type()), integers);
}

Value widenWeights(PatternRewriter &rewriter, Location loc, Value integers) { return widen(rewriter, loc, makeByteWeights(rewriter, integers)); }

/// sum * (s * t), with the scales t along dim `channel` of the sum.
Value scaleSum(PatternRewriter &rewriter, Value sum, Value s, Value t, size_t channel) {
  Location loc = sum.getLoc();
  Type f32 = rewriter.getF32Type();
  Dims dims = getDims(sum), line(dims.size() - channel, rewriter.getAffineConstantExpr(1));
  line[0] = getNumElements(rewriter.getContext(), getDims(t));
  Value left = ReshapeOp::create(rewriter, loc, makeTensor({}, f32), s), right = ReshapeOp::create(rewriter, loc, makeTensor(line, f32), t);
  Value scale = MulOp::create(rewriter, loc, right.getType(), right, left);
  Value numbers = CastOp::create(rewriter, loc, makeTensor(dims, f32), sum);
  return MulOp::create(rewriter, loc, numbers.getType(), numbers, scale);
}

struct RaiseConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isF32() || !hasInt8Form(op))
      return rewriter.notifyMatchFailure(op, "no convolution of f32 that has a form in bytes");
    std::optional<Dequantized> x = matchActivation(op.getX()), filter = matchWeights(op.getFilter(), 0);
    if (!x || !filter)
      return rewriter.notifyMatchFailure(op, "an operand is not made of bytes");
    Value data = widen(rewriter, op.getLoc(), x->integers), weights = widenWeights(rewriter, op.getLoc(), filter->integers);
    Value sum = ConvOp::create(rewriter, op.getLoc(), makeTensor(getDims(op.getResult()), rewriter.getI32Type()), data, weights, op.getStridesAttr(),
                               op.getPadsAttr(), op.getDilationsAttr(), op.getGroupAttr());
    rewriter.replaceOp(op, scaleSum(rewriter, sum, x->scale, filter->scale, 1));
    return success();
  }
};

struct RaiseMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isF32() || !hasInt8Form(op))
      return rewriter.notifyMatchFailure(op, "no product of f32 with a matrix of known size");
    auto transpose = op.getRhs().getDefiningOp<TransposeOp>();
    std::optional<Dequantized> x = matchActivation(op.getLhs());
    std::optional<Dequantized> weights = transpose ? matchWeights(transpose.getX(), 0) : matchWeights(op.getRhs(), 1);
    if (!x || !weights)
      return rewriter.notifyMatchFailure(op, "an operand is not made of bytes");
    Location loc = op.getLoc();
    Value bytes = makeByteWeights(rewriter, weights->integers);
    if (transpose)
      bytes = TransposeOp::create(rewriter, loc, makeTensor(getDims(op.getRhs()), rewriter.getIntegerType(8)), bytes, transpose.getPermAttr());
    Dims dims = getDims(op.getResult());
    Value sum = MatmulOp::create(rewriter, loc, makeTensor(dims, rewriter.getI32Type()), widen(rewriter, loc, x->integers), widen(rewriter, loc, bytes));
    rewriter.replaceOp(op, scaleSum(rewriter, sum, x->scale, weights->scale, dims.size() - 1));
    return success();
  }
};

struct RaiseInt8 : impl::GraphRaiseInt8Base<RaiseInt8> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseConv, RaiseMatmul>(&getContext());
    auto count = [&] {
      int64_t products = 0;
      getOperation().walk([&](Operation *op) { products += isa<ConvOp, MatmulOp>(op) && getElement(op->getResult(0)).isSignlessInteger(32); });
      return products;
    };
    int64_t before = count();
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += count() - before;
  }
};

} // namespace
} // namespace onager::graph
