// conv(pad(x, 0)) -> conv(x) with larger pads; pools likewise. Test: graph-fold-pad.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <limits>

#define DEBUG_TYPE "graph-fold-pad"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFOLDPAD
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Elements of one constant around the spatial dims of [N, C, spatial...].
struct Border {
  Value x;
  double value;
  Dims low, high; ///< per spatial dim, none negative
};

std::optional<Border> getBorder(Value padded) {
  auto pad = padded.getDefiningOp<PadOp>();
  if (!pad || pad.getMode() != PadMode::constant)
    return std::nullopt;
  std::optional<double> value = getScalar(pad.getValue());
  if (!value)
    return std::nullopt;
  Border border{pad.getX(), *value, {}, {}};
  Dims inner = getDims(pad.getX()), outer = getDims(padded);
  for (auto [d, low] : llvm::enumerate(pad.getLow().getResults())) {
    AffineExpr high = simplifyAffineExpr(outer[d] - inner[d] - low, 0, pad.getLow().getNumSymbols());
    if (d < 2 && !(isConstant(low, 0) && isConstant(high, 0)))
      return std::nullopt;
    if (d < 2)
      continue;
    if (!isNonNegative(low) || !isNonNegative(high))
      return std::nullopt;
    border.low.push_back(low);
    border.high.push_back(high);
  }
  return border;
}

AffineMapAttr addEach(AffineMap pads, ArrayRef<AffineExpr> more) {
  Dims sums;
  for (auto [pad, low] : llvm::zip_equal(pads.getResults(), more))
    sums.push_back(pad + low);
  return makeExprs(pads.getContext(), sums);
}

/// Zeros around an image are what a convolution takes outside of it.
struct FoldIntoConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    std::optional<Border> border = getBorder(op.getX());
    if (!border || border->value != 0)
      return rewriter.notifyMatchFailure(op, "no zeros around the image");
    AffineMapAttr pads = addEach(op.getPads(), border->low);
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().assign(border->x);
      op.setPadsAttr(pads);
    });
    return success();
  }
};

/// A largest element is never one outside of the image, where those are lowest, or 0 beside elements that are not negative. An average over elements outside
/// counts them.
struct FoldIntoPool : OpRewritePattern<PoolOp> {
  using OpRewritePattern::OpRewritePattern;

  /// True where every window reaches into the image.
  static bool isNarrow(PoolOp op, const Border &border) {
    Dims in = getDims(border.x), out = getDims(op.getResult());
    for (auto [d, size] : llvm::enumerate(op.getKernel())) {
      int64_t stride = op.getStrides()[d];
      AffineExpr low = border.low[d] + op.getPads().getResult(d), high = border.high[d] + op.getPadsEnd().getResult(d), inside = in[d + 2], count = out[d + 2];
      std::optional<int64_t> before = getConstant(low), behind = getConstant(high), extent = getConstant(inside), windows = getConstant(count);
      if (op.getDilations()[d] != 1 || !before || !behind || *before >= size || *behind >= size)
        return false;
      // Rounded up, the number of windows may include one that begins behind the image.
      bool isRoundedDown = count == simplifyAffineExpr((inside + *before + *behind - size).floorDiv(stride) + 1, 0, op.getPads().getNumSymbols());
      if (!isRoundedDown && !(extent && windows && (*windows - 1) * stride - *before < *extent))
        return false;
    }
    return true;
  }

  static bool isLowest(const Border &border) {
    Type element = getElement(border.x);
    if (border.value == 0)
      return border.x.getDefiningOp<ReluOp>() != nullptr;
    return isa<FloatType>(element) && border.value == -std::numeric_limits<double>::infinity();
  }

  LogicalResult matchAndRewrite(PoolOp op, PatternRewriter &rewriter) const override {
    std::optional<Border> border = getBorder(op.getX());
    if (!border)
      return rewriter.notifyMatchFailure(op, "no constants around the image");
    auto isZero = [](AffineMap pads) { return llvm::all_of(pads.getResults(), [](AffineExpr pad) { return isConstant(pad, 0); }); };
    bool isUnpadded = isZero(op.getPads()) && isZero(op.getPadsEnd()), isAverage = op.getKind() == PoolKind::average;
    bool fits = isAverage ? border->value == 0 && (op.getCountPadding() || isUnpadded) : op.getKind() == PoolKind::max && isLowest(*border) && isNarrow(op, *border);
    if (!fits)
      return rewriter.notifyMatchFailure(op, "the pool would not take what lies around the image");
    AffineMapAttr pads = addEach(op.getPads(), border->low), padsEnd = addEach(op.getPadsEnd(), border->high);
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().assign(border->x);
      op.setPadsAttr(pads);
      op.setPadsEndAttr(padsEnd);
      op.setCountPadding(isAverage);
    });
    return success();
  }
};

struct FoldPad : impl::GraphFoldPadBase<FoldPad> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldIntoConv, FoldIntoPool>(&getContext());
    int64_t before = countOps<PadOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numFolded += before - countOps<PadOp>(getOperation());
  }
};

} // namespace
} // namespace onager::graph
