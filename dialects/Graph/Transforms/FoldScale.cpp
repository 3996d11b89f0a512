// mul(conv(x, w), s) -> conv(x, mul(w, s)). Test: graph-fold-scale.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-fold-scale"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFOLDSCALE
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// mul(conv(x, w), s) -> conv(x, mul(w, s)), mul(add(conv(x, w), b), s) -> add(conv(x, mul(w, s)), mul(b, s))
struct FoldIntoFilter : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    Value scaled = op.getLhs(), scale = op.getRhs();
    if (!isConstantTree(scale))
      std::swap(scaled, scale);
    if (!isConstantTree(scale))
      return rewriter.notifyMatchFailure(op, "no constant scale");
    Value bias;
    Value source = scaled;
    if (auto add = scaled.getDefiningOp<AddOp>(); add && scaled.hasOneUse()) {
      bool right = isConstantTree(add.getRhs());
      bias = right ? add.getRhs() : add.getLhs();
      source = right ? add.getLhs() : add.getRhs();
    }
    auto conv = source.getDefiningOp<ConvOp>();
    if (!conv || !source.hasOneUse() || !isConstantTree(conv.getFilter()) || (bias && !isConstantTree(bias)))
      return rewriter.notifyMatchFailure(op, "no convolution with a constant filter that only the scale reads");
    Dims out = getDims(conv.getResult()), filter = getDims(conv.getFilter());
    if (conv.getType() != op.getType() || !isPerChannel(scale, out.size(), 1, out[1]))
      return rewriter.notifyMatchFailure(op, "the scale is not per output channel");
    rewriter.replaceOp(op, build(op, conv, scale, bias, filter, rewriter));
    return success();
  }

  static Value build(MulOp op, ConvOp conv, Value scale, Value bias, ArrayRef<AffineExpr> filter, PatternRewriter &rewriter) {
    Location loc = op.getLoc();
    Type element = cast<RankedTensorType>(op.getType()).getElementType();
    Dims lined(filter.size(), rewriter.getAffineConstantExpr(1));
    AffineExpr count = getNumElements(rewriter.getContext(), getDims(scale));
    lined[0] = count;
    Value aligned = ReshapeOp::create(rewriter, loc, makeTensor(lined, element), scale);
    Value product = MulOp::create(rewriter, loc, conv.getFilter().getType(), conv.getFilter(), aligned);
    Value folded = ConvOp::create(rewriter, conv.getLoc(), conv.getType(), conv.getX(), product, conv.getStridesAttr(), conv.getPadsAttr(),
                                  conv.getDilationsAttr(), conv.getGroupAttr());
    if (!bias)
      return folded;
    Dims a = getDims(bias), s = getDims(scale);
    if (a.size() < s.size())
      std::swap(a, s);
    for (size_t k = 0; k < s.size(); ++k)
      if (isConstant(a[a.size() - s.size() + k], 1))
        a[a.size() - s.size() + k] = s[k];
    Value scaledBias = MulOp::create(rewriter, loc, makeTensor(a, element), bias, scale);
    return AddOp::create(rewriter, loc, op.getType(), folded, scaledBias);
  }
};

struct FoldScale : impl::GraphFoldScaleBase<FoldScale> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldIntoFilter>(&getContext());
    auto count = [&] {
      int64_t products = 0;
      getOperation().walk([&](ConvOp conv) { products += conv.getFilter().getDefiningOp<MulOp>() != nullptr; });
      return products;
    };
    int64_t before = count();
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numFolded += count() - before;
  }
};

} // namespace
} // namespace onager::graph
