// (x - mean(x)) / sqrt(mean((x - mean(x))^2) + e) -> normalize(x). Test: graph-raise-normalize.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-raise-normalize"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISENORMALIZE
#include "dialects/Graph/Transforms/Passes.h.inc"

/// A deviation: sqrt(mean(centred^2) + epsilon).
struct Deviation {
  Value centred;
  SmallVector<int64_t> axes;
  double epsilon;
};

static std::optional<Deviation> matchDeviation(Value value) {
  auto root = value.getDefiningOp<SqrtOp>();
  if (!root)
    return std::nullopt;
  auto sum = splitScalar<AddOp>(root.getX());
  if (!sum || sum->second < 0)
    return std::nullopt;
  auto mean = sum->first.getDefiningOp<ReduceOp>();
  if (!mean || mean.getKind() != ReduceKind::mean)
    return std::nullopt;
  auto square = mean.getX().getDefiningOp<MulOp>();
  if (!square || square.getLhs() != square.getRhs())
    return std::nullopt;
  return Deviation{square.getLhs(), SmallVector<int64_t>(mean.getAxes()), sum->second};
}

/// The x of x - mean(x) over these axes.
static Value matchCentred(Value value, ArrayRef<int64_t> axes) {
  auto difference = value.getDefiningOp<SubOp>();
  auto mean = difference ? difference.getRhs().getDefiningOp<ReduceOp>() : nullptr;
  bool isCentred = mean && mean.getKind() == ReduceKind::mean && mean.getX() == difference.getLhs() && mean.getAxes() == axes;
  return isCentred ? difference.getLhs() : Value();
}

namespace {

template <typename Op>
struct RaiseNormalize : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  /// What the quotient divides by: div(a, s), mul(a, reciprocal(s)) or mul(a, div(1, s)).
  static std::pair<Value, Value> split(Op op, bool swapped) {
    Value a = swapped ? op.getRhs() : op.getLhs(), b = swapped ? op.getLhs() : op.getRhs();
    if constexpr (std::is_same_v<Op, DivOp>)
      return {a, b};
    if (auto inverse = b.template getDefiningOp<ReciprocalOp>())
      return {a, inverse.getX()};
    if (auto inverse = b.template getDefiningOp<DivOp>(); inverse && getScalar(inverse.getLhs()) == 1.0)
      return {a, inverse.getRhs()};
    return {};
  }

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    for (bool swapped : {false, true}) {
      if (swapped && std::is_same_v<Op, DivOp>)
        continue;
      auto [dividend, divisor] = split(op, swapped);
      std::optional<Deviation> deviation = divisor ? matchDeviation(divisor) : std::nullopt;
      if (!deviation || dividend != deviation->centred || dividend.getType() != op.getType() || !isa<FloatType>(getElement(dividend)))
        continue;
      Value x = matchCentred(dividend, deviation->axes);
      bool isRms = !x || x.getType() != op.getType();
      auto raised = NormalizeOp::create(rewriter, op.getLoc(), op.getType(), isRms ? dividend : x, rewriter.getDenseI64ArrayAttr(deviation->axes),
                                        rewriter.getF64FloatAttr(deviation->epsilon), isRms ? rewriter.getUnitAttr() : UnitAttr());
      rewriter.replaceOp(op, raised);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "not a quotient of centred values and their deviation");
  }
};

struct RaiseNormalizePass : impl::GraphRaiseNormalizeBase<RaiseNormalizePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseNormalize<DivOp>, RaiseNormalize<MulOp>>(&getContext());
    int64_t before = countOps<NormalizeOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += countOps<NormalizeOp>(getOperation()) - before;
  }
};

} // namespace
} // namespace onager::graph
