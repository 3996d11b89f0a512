// quantize(transpose(dequantize(x))) -> transpose(x). Test: graph-hoist-quantize.mlir
#include "dialects/Graph/Transforms/MatchInt8.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-hoist-quantize"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHHOISTQUANTIZE
#include "dialects/Graph/Transforms/Passes.h.inc"

/// Scales outside of this range may lose digits of the smallest or largest numbers.
static constexpr double kLeastScale = 1e-30, kLargestScale = 1e30;

namespace {

/// cast(min(max(round(x / scale) + zero, low), high)) to bytes.
struct Quantized {
  Value x;
  double scale = 0, zero = 0, low = 0, high = 0;
};

/// What an operation with one number reads beside it; nothing changes where `value` is none.
template <typename Op>
Value takeScalar(Value value, double &number) {
  auto split = splitScalar<Op>(value);
  if (split && split->first.getType() == value.getType())
    std::tie(value, number) = *split;
  return value;
}

std::optional<Quantized> matchQuantized(CastOp op) {
  Type type = getElement(op.getResult());
  if (!(type.isUnsignedInteger(8) || type.isSignlessInteger(8)) || !getElement(op.getX()).isF32())
    return std::nullopt;
  Quantized q;
  q.low = type.isUnsignedInteger() ? 1 : -129;
  Value rounded = takeScalar<AddOp>(takeScalar<MaxOp>(takeScalar<MinOp>(op.getX(), q.high), q.low), q.zero);
  double least = type.isUnsignedInteger() ? 0 : -128;
  auto round = rounded.getDefiningOp<RoundOp>();
  auto div = round ? round.getX().getDefiningOp<DivOp>() : nullptr;
  std::optional<double> scale = div ? getScalar(div.getRhs()) : std::nullopt;
  if (!scale || div.getLhs().getType() != div.getType() || q.low != least || q.high != least + 255)
    return std::nullopt;
  q.x = div.getLhs();
  q.scale = *scale;
  return q;
}

/// The same quantisation of another value.
Value quantize(PatternRewriter &rewriter, Location loc, Value x, const Quantized &q, Type type) {
  auto wide = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) { return makeScalar(rewriter, loc, makeTensor({}, rewriter.getF32Type()), value); };
  Value scaled = DivOp::create(rewriter, loc, wide, x, number(q.scale)), rounded = RoundOp::create(rewriter, loc, wide, scaled);
  Value shifted = AddOp::create(rewriter, loc, wide, rounded, number(q.zero)), above = MaxOp::create(rewriter, loc, wide, shifted, number(q.low));
  return CastOp::create(rewriter, loc, makeTensor(getDims(x), type), MinOp::create(rewriter, loc, wide, above, number(q.high)));
}

/// quantize(dequantize(bytes)) -> bytes, with the same numbers
struct RemoveRequantize : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    std::optional<Quantized> q = matchQuantized(op);
    std::optional<Dequantized> x = q ? matchDequantized(q->x) : std::nullopt;
    std::optional<CentredBytes> bytes = x ? matchCentredBytes(x->integers) : std::nullopt;
    std::optional<double> scale = x ? getScalar(x->scale) : std::nullopt;
    if (!bytes || bytes->bytes.getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "not bytes of this type that are quantised again");
    if (!scale || *scale != q->scale || static_cast<double>(bytes->zero) != q->zero || !(*scale > kLeastScale && *scale < kLargestScale))
      return rewriter.notifyMatchFailure(op, "another scale or zero point");
    rewriter.replaceOp(op, bytes->bytes);
    return success();
  }
};

/// quantize(move(dequantize(bytes))) -> move(quantize(dequantize(bytes)))
struct HoistOverMovement : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    std::optional<Quantized> q = matchQuantized(op);
    Operation *movement = q ? q->x.getDefiningOp() : nullptr;
    if (!movement || !isa<ReshapeOp, TransposeOp, SliceOp, ConcatOp>(movement) || !q->x.hasOneUse())
      return rewriter.notifyMatchFailure(op, "no movement whose result nothing else reads");
    bool areBytes = llvm::all_of(movement->getOperands(), [](Value operand) {
      std::optional<Dequantized> x = matchDequantized(operand);
      return x && matchCentredBytes(x->integers);
    });
    if (!areBytes)
      return rewriter.notifyMatchFailure(op, "other numbers than bytes are moved");
    IRMapping operands;
    for (Value operand : movement->getOperands())
      operands.map(operand, quantize(rewriter, op.getLoc(), operand, *q, getElement(op.getResult())));
    Operation *moved = rewriter.clone(*movement, operands);
    moved->getResult(0).setType(op.getType());
    rewriter.replaceOp(op, moved->getResult(0));
    return success();
  }
};

struct HoistQuantize : impl::GraphHoistQuantizeBase<HoistQuantize> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RemoveRequantize, HoistOverMovement>(&getContext());
    int64_t before = countOps<DivOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numHoisted += std::max<int64_t>(before - countOps<DivOp>(getOperation()), 0);
  }
};

} // namespace
} // namespace onager::graph
