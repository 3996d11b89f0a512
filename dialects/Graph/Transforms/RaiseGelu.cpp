// x / 2 * (1 + erf(x / sqrt 2)) -> gelu(x), and the form by tanh. Test: graph-raise-gelu.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <cmath>

#define DEBUG_TYPE "graph-raise-gelu"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISEGELU
#include "dialects/Graph/Transforms/Passes.h.inc"

/// Weight of the cube in the form by tanh.
static constexpr double kCube = 0.044715;

/// True for a product of `power` times x and the constant `scale`.
static bool isPower(Value value, Value x, size_t power, double scale) {
  Product product = splitProduct(value);
  bool isOfX = llvm::all_of(product.values, [&](Value factor) { return factor == x; });
  return isOfX && product.values.size() == power && isNear(product.scale, scale, getElement(x));
}

/// True for sqrt(2 / pi) * (x + 0.044715 x^3), or sqrt(2 / pi) * x * (1 + 0.044715 x^2).
static bool isTanhArgument(Value value, Value x) {
  Product product = splitProduct(value);
  if (product.values.empty() || !isNear(product.scale, std::sqrt(2 / M_PI), getElement(x)))
    return false;
  auto sum = product.values.back().getDefiningOp<AddOp>();
  if (product.values.size() == 1 && sum)
    return (sum.getLhs() == x && isPower(sum.getRhs(), x, 3, kCube)) || (sum.getRhs() == x && isPower(sum.getLhs(), x, 3, kCube));
  if (product.values.size() != 2)
    return false;
  if (product.values.front() != x)
    std::swap(product.values[0], product.values[1]);
  auto rest = splitScalar<AddOp>(product.values[1]);
  return product.values[0] == x && rest && rest->second == 1 && isPower(rest->first, x, 2, kCube);
}

namespace {

struct RaiseGelu : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    Product product = splitProduct(op.getResult());
    if (product.values.size() != 2 || product.scale != 0.5)
      return rewriter.notifyMatchFailure(op, "not half a product of two factors");
    for (bool swapped : {false, true}) {
      Value x = product.values[swapped], bell = product.values[!swapped];
      auto curve = splitScalar<AddOp>(bell);
      if (!curve || curve->second != 1 || x.getType() != op.getType() || !isa<FloatType>(getElement(x)))
        continue;
      auto erf = curve->first.getDefiningOp<ErfOp>();
      auto tanh = curve->first.getDefiningOp<TanhOp>();
      bool isErf = erf && isPower(erf.getX(), x, 1, M_SQRT1_2), isTanh = tanh && isTanhArgument(tanh.getX(), x);
      if (!isErf && !isTanh)
        continue;
      rewriter.replaceOpWithNewOp<GeluOp>(op, op.getType(), x, isTanh ? rewriter.getUnitAttr() : UnitAttr());
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no factor is one more than erf or tanh of the other");
  }
};

struct RaiseGeluPass : impl::GraphRaiseGeluBase<RaiseGeluPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseGelu>(&getContext());
    int64_t before = countOps<GeluOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += countOps<GeluOp>(getOperation()) - before;
  }
};

} // namespace
} // namespace onager::graph
