// matmul(cast(x), cast(w)) of bf16 -> bf16_gemm(x, bf16_pack(w)). Test: convert-contraction-to-bf16.mlir
#include "dialects/Graph/Transforms/MatchBf16.h"
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/Requantization.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "convert-contraction-to-bf16"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTCONTRACTIONTOBF16
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

using graph::getElement;

namespace {

/// Rows of a product up to which reading half the bytes of weights is worth widening them: with more, f32 is up to three times as fast.
constexpr int64_t kFewRows = 4;

/// How the target multiplies numbers of bf16.
struct Bf16Layout {
  kernel::Int8Layout vectors;
  bool hasDot, hasAmx;

  /// True where a product of so many rows with these weights is worth this form.
  bool isWorth(AffineExpr rows, Value weights) const {
    std::optional<int64_t> known = graph::getConstant(rows);
    return hasDot || hasAmx || (known && *known <= kFewRows && !hasGenericForm(weights));
  }
  int64_t getTile() const { return hasAmx ? kernel::kAmxRows * kernel::kTileVectors : vectors.getTile(); }
};

struct ToBf16Gemm : OpRewritePattern<graph::MatmulOp> {
  ToBf16Gemm(MLIRContext *context, const Bf16Layout &layout) : OpRewritePattern(context), layout(layout) {}

  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isF32() || !graph::hasBf16Weights(op) || !graph::holdsBf16(op.getRhs()))
      return rewriter.notifyMatchFailure(op, "no product of f32 with one matrix of constants that bf16 holds");
    if (!graph::holdsBf16(op.getLhs()))
      return rewriter.notifyMatchFailure(op, "the left operand is not of bf16");
    graph::Dims rows = graph::getDims(op.getLhs());
    rows.pop_back();
    if (!layout.isWorth(graph::getNumElements(op.getContext(), rows), op.getRhs()))
      return rewriter.notifyMatchFailure(op, "rows are many, and the target multiplies f32 alone");
    graph::AddOp sum = findBias(op);
    Operation *last = sum ? sum.getOperation() : op.getOperation();
    rewriter.setInsertionPoint(last);
    Location loc = sum ? rewriter.getFusedLoc({op.getLoc(), sum.getLoc()}) : op.getLoc();
    Value x = graph::makeBf16(rewriter, op.getLhs()), packed = pack(rewriter, op);
    Value start = makeStart(rewriter, loc, op, sum);
    auto flag = [&](bool isSet) { return isSet ? rewriter.getUnitAttr() : UnitAttr(); };
    rewriter.replaceOpWithNewOp<kernel::Bf16GemmOp>(last, op.getType(), x, packed, start, flag(layout.hasAmx), flag(layout.hasDot && !layout.hasAmx))->setLoc(loc);
    if (sum)
      rewriter.eraseOp(op);
    return success();
  }

  /// The addition of a constant for each column, if that is all that reads the product.
  static graph::AddOp findBias(graph::MatmulOp op) {
    auto sum = op->hasOneUse() ? dyn_cast<graph::AddOp>(*op->user_begin()) : graph::AddOp();
    if (!sum || sum.getType() != op.getType())
      return {};
    Value bias = getBias(op, sum);
    graph::Dims dims = graph::getDims(op.getResult());
    bool isLine = bias != op.getResult() && graph::isPerChannel(bias, dims.size(), dims.size() - 1, dims.back());
    return isLine && isComputedFromConstants(bias) ? sum : graph::AddOp();
  }
  static Value getBias(graph::MatmulOp op, graph::AddOp sum) { return sum.getLhs() == op.getResult() ? sum.getRhs() : sum.getLhs(); }

  Value pack(PatternRewriter &rewriter, graph::MatmulOp op) const {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getRhs().getType()).getShape();
    auto number = [&](int64_t value) { return rewriter.getAffineConstantExpr(value); };
    auto steps = [&](int64_t terms) { return number(static_cast<int64_t>(llvm::divideCeil(shape[0], terms))); };
    auto tiles = static_cast<int64_t>(llvm::divideCeil(shape[1], layout.getTile()));
    constexpr int64_t kRow = kernel::kAmxBytes / 2;
    graph::Dims dims{number(tiles), steps(kernel::kBf16Pair), number(kernel::kTileVectors), number(layout.vectors.lanes), number(kernel::kBf16Pair)};
    if (layout.hasAmx)
      dims = {number(tiles * kernel::kTileVectors / kernel::kAmxPanelTiles), steps(kRow), number(kernel::kAmxPanelTiles), number(kernel::kAmxRows), number(kRow)};
    UnitAttr amx = layout.hasAmx ? rewriter.getUnitAttr() : UnitAttr();
    return kernel::Bf16PackOp::create(rewriter, op.getLoc(), graph::makeTensor(dims, rewriter.getBF16Type()), graph::makeBf16(rewriter, op.getRhs()), amx);
  }

  /// Where the sum of each column starts: at the bias, or 0, and 0 behind the columns.
  Value makeStart(PatternRewriter &rewriter, Location loc, graph::MatmulOp op, graph::AddOp sum) const {
    int64_t columns = cast<RankedTensorType>(op.getType()).getShape().back();
    auto filled = static_cast<int64_t>(llvm::alignTo(columns, layout.getTile()));
    Type f32 = rewriter.getF32Type();
    RankedTensorType all = graph::makeTensor({rewriter.getAffineConstantExpr(filled)}, f32);
    if (!sum)
      return graph::ConstantOp::create(rewriter, loc, all, DenseElementsAttr::get(all, 0.0f));
    RankedTensorType line = graph::makeTensor({rewriter.getAffineConstantExpr(columns)}, f32);
    Value bias = makeLine(rewriter, loc, getBias(op, sum));
    if (bias.getType() != line)
      bias = graph::BroadcastOp::create(rewriter, loc, line, bias);
    if (filled == columns)
      return bias;
    Value zero = graph::makeScalar(rewriter, loc, graph::makeTensor({}, f32), 0);
    graph::Dims low{rewriter.getAffineConstantExpr(0)};
    return graph::PadOp::create(rewriter, loc, all, bias, zero, graph::makeExprs(rewriter.getContext(), low).getValue(), graph::PadMode::constant);
  }

  Bf16Layout layout;
};

/// bf16_gemm(cast(reshape(x))) -> bf16_gemm(reshape(cast(x))): what computes x then leaves it in bf16, since a view ends a launch unit.
void castBeforeView(kernel::Bf16GemmOp op) {
  auto narrow = op.getX().getDefiningOp<graph::CastOp>();
  auto view = narrow ? narrow.getX().getDefiningOp<graph::ReshapeOp>() : graph::ReshapeOp();
  if (!view || !view->hasOneUse() || !getElement(view.getX()).isF32())
    return;
  OpBuilder builder(view);
  Type bf16 = builder.getBF16Type();
  Value source = graph::CastOp::create(builder, narrow.getLoc(), graph::makeTensor(graph::getDims(view.getX()), bf16), view.getX());
  Value moved = graph::ReshapeOp::create(builder, view.getLoc(), narrow.getType(), source);
  narrow.getResult().replaceAllUsesWith(moved);
  narrow.erase();
  view.erase();
}

struct ConvertContractionToBf16 : impl::ConvertContractionToBf16Base<ConvertContractionToBf16> {
  using ConvertContractionToBf16Base::ConvertContractionToBf16Base;
  void runOnOperation() override {
    // Vectors of 128 bits come without multiply-adds.
    if (vectorBytes < 32)
      return;
    RewritePatternSet patterns(&getContext());
    patterns.add<ToBf16Gemm>(&getContext(), Bf16Layout{{static_cast<int64_t>(vectorBytes) / kernel::kQuad, false}, dotProduct, amx});
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numProducts += graph::countOps<kernel::Bf16GemmOp>(getOperation());
    getOperation().walk(castBeforeView);
  }
};

} // namespace
} // namespace onager
