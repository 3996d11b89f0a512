// Zero points that change, taken out of sums of products; see SplitZeroPoint.h.
#include "lib/Conversion/GraphToKernel/SplitZeroPoint.h"
#include "dialects/Graph/Transforms/MatchInt8.h"
#include "lib/Conversion/GraphToKernel/Requantization.h"

using namespace mlir;

namespace onager {

using graph::getElement;

std::optional<ChangingZero> matchChangingZero(Value integers) {
  auto difference = integers.getDefiningOp<graph::SubOp>();
  bool keepsShape = difference && difference.getLhs().getType() == difference.getType();
  if (!keepsShape || graph::matchCentredBytes(integers))
    return std::nullopt;
  std::optional<graph::CentredBytes> bytes = graph::matchCentredBytes(difference.getLhs());
  if (!bytes || bytes->zero || !graph::isConstant(graph::getNumElements(integers.getContext(), graph::getDims(difference.getRhs())), 1))
    return std::nullopt;
  std::optional<graph::CentredBytes> zero = graph::matchCentredBytes(difference.getRhs());
  return ChangingZero{difference.getLhs(), bytes->bytes, difference.getRhs(), zero && !zero->zero};
}

namespace {

struct SplitMatmulZero : OpRewritePattern<graph::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || !hasInt8Form(op) || !graph::areByteWeights(op.getRhs()))
      return rewriter.notifyMatchFailure(op, "no product of i32 with a matrix of bytes");
    std::optional<ChangingZero> x = matchChangingZero(op.getLhs());
    if (!x)
      return rewriter.notifyMatchFailure(op, "the left operand is not bytes less a zero point that changes");
    Value sum = graph::MatmulOp::create(rewriter, op.getLoc(), op.getType(), x->wide, op.getRhs());
    rewriter.replaceOpWithNewOp<graph::SubOp>(op, op.getType(), sum, makeWeightSums(rewriter, op.getLoc(), op.getRhs(), 1, x->zero));
    return success();
  }
};

struct SplitConvZero : OpRewritePattern<graph::ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || !hasInt8Form(op) || !graph::areByteWeights(op.getFilter()))
      return rewriter.notifyMatchFailure(op, "no convolution of i32 with filters of bytes");
    std::optional<ChangingZero> x = matchChangingZero(op.getX());
    if (!x || !x->isByte)
      return rewriter.notifyMatchFailure(op, "the image is not bytes less a zero point that changes");
    Location loc = op.getLoc();
    Value padded = pad(rewriter, op, *x);
    graph::Dims dims = graph::getDims(op.getResult());
    Value wide = graph::CastOp::create(rewriter, loc, graph::makeTensor(graph::getDims(padded), rewriter.getI32Type()), padded);
    graph::Dims none(dims.size() - 2, rewriter.getAffineConstantExpr(0));
    Value sum = graph::ConvOp::create(rewriter, loc, op.getType(), wide, op.getFilter(), op.getStridesAttr(), graph::makeExprs(op.getContext(), none), op.getDilationsAttr(), op.getGroupAttr());
    Value share = makeWeightSums(rewriter, loc, op.getFilter(), 0, x->zero);
    graph::Dims perChannel(dims.size() - 1, rewriter.getAffineConstantExpr(1));
    perChannel[0] = graph::getDims(share)[0];
    Value plane = graph::ReshapeOp::create(rewriter, loc, graph::makeTensor(perChannel, rewriter.getI32Type()), share);
    rewriter.replaceOpWithNewOp<graph::SubOp>(op, op.getType(), sum, plane);
    return success();
  }

  /// The bytes with what the windows read of zeros around them; the bytes themselves where they read none.
  static Value pad(PatternRewriter &rewriter, graph::ConvOp op, const ChangingZero &x) {
    graph::Dims dims = graph::getDims(x.bytes), low(dims.size(), rewriter.getAffineConstantExpr(0)), out = graph::getDims(op.getResult()), padded = dims;
    ArrayRef<int64_t> filter = cast<RankedTensorType>(op.getFilter().getType()).getShape().drop_front(2);
    for (size_t k = 2; k < dims.size(); ++k) {
      low[k] = op.getPads().getResult(static_cast<unsigned>(k - 2));
      int64_t stride = op.getStrides()[k - 2], span = (filter[k - 2] - 1) * op.getDilations()[k - 2] + 1;
      padded[k] = out[k] * stride + std::max<int64_t>(span - stride, 0); // 0 or more for any result
    }
    if (padded == dims && llvm::all_of(low, [](AffineExpr before) { return graph::isConstant(before, 0); }))
      return x.bytes;
    Location loc = op.getLoc();
    Type byte = getElement(x.bytes);
    Value number = graph::CastOp::create(rewriter, loc, graph::makeTensor({}, byte), makeLine(rewriter, loc, x.zero));
    return graph::PadOp::create(rewriter, loc, graph::makeTensor(padded, byte), x.bytes, number, graph::makeExprs(op.getContext(), low).getValue(), graph::PadMode::constant);
  }
};

} // namespace

void populateSplitZeroPoint(RewritePatternSet &patterns) { patterns.add<SplitMatmulZero, SplitConvZero>(patterns.getContext()); }

} // namespace onager
