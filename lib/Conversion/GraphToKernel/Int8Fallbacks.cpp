// Windows that lie side by side are rows of a matrix, others sums of f32; see Int8Fallbacks.h.
#include "lib/Conversion/GraphToKernel/Int8Fallbacks.h"
#include "dialects/Graph/Transforms/MatchInt8.h"
#include "lib/Conversion/GraphToKernel/Requantization.h"
#include "lib/Conversion/GraphToKernel/SplitZeroPoint.h"

using namespace mlir;

namespace onager {

using graph::getElement;

namespace {

/// True where windows touch, do not overlap, and cover the whole image.
bool coversByPatches(graph::ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  if (op.getGroup() != 1 || !filter.hasStaticShape() || llvm::any_of(op.getPads().getResults(), [](AffineExpr pad) { return !graph::isConstant(pad, 0); }))
    return false;
  graph::Dims x = graph::getDims(op.getX()), out = graph::getDims(op.getResult());
  for (size_t k = 2; k < x.size(); ++k)
    if (op.getStrides()[k - 2] != filter.getDimSize(k) || (filter.getDimSize(k) > 1 && op.getDilations()[k - 2] != 1) || x[k] != out[k] * filter.getDimSize(k))
      return false;
  return true;
}

struct SplitPatches : OpRewritePattern<graph::ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || hasInt8Form(op) || !coversByPatches(op) || !graph::areByteWeights(op.getFilter()))
      return rewriter.notifyMatchFailure(op, "no convolution of bytes over patches, or it has a form of its own");
    std::optional<ChangingZero> x = matchChangingZero(op.getX());
    std::optional<graph::CentredBytes> bytes = graph::matchCentredBytes(op.getX());
    if (!x && !bytes)
      return rewriter.notifyMatchFailure(op, "the image is not bytes less one zero point");
    Location loc = op.getLoc();
    Type i32 = rewriter.getI32Type();
    Value rows = makeRows(rewriter, op, x ? x->bytes : bytes->bytes);
    Value lhs = graph::CastOp::create(rewriter, loc, graph::makeTensor(graph::getDims(rows), i32), rows);
    Value zero = x ? makeLine(rewriter, loc, x->zero) : bytes->zero ? makeInteger(rewriter, loc, bytes->zero) : Value();
    if (zero)
      lhs = graph::SubOp::create(rewriter, loc, lhs.getType(), lhs, zero);
    Value weights = graph::CastOp::create(rewriter, loc, graph::makeTensor(getWeightDims(op), i32), makeWeights(rewriter, op));
    graph::Dims out = graph::getDims(op.getResult()), product = graph::getDims(rows);
    product.back() = out[1];
    Value sums = graph::MatmulOp::create(rewriter, loc, graph::makeTensor(product, i32), lhs, weights);
    std::swap(product[1], product[2]);
    Value planes = graph::TransposeOp::create(rewriter, loc, graph::makeTensor(product, i32), sums, ArrayRef<int64_t>{0, 2, 1});
    rewriter.replaceOp(op, reshape(rewriter, loc, planes, out));
    return success();
  }

  static Value reshape(PatternRewriter &rewriter, Location loc, Value x, ArrayRef<AffineExpr> dims) {
    return graph::ReshapeOp::create(rewriter, loc, graph::makeTensor(dims, getElement(x)), x);
  }

  /// x [N, C, P * K ...] -> [N, patches, C * taps]
  static Value makeRows(PatternRewriter &rewriter, graph::ConvOp op, Value x) {
    graph::Dims out = graph::getDims(op.getResult()), dims = graph::getDims(x), apart{dims[0], dims[1]}, patches{dims[0]}, taps{dims[1]};
    SmallVector<int64_t> perm{0};
    ArrayRef<int64_t> filter = cast<RankedTensorType>(op.getFilter().getType()).getShape().drop_front(2);
    for (size_t k = 0; k < filter.size(); ++k) {
      apart.append({out[k + 2], rewriter.getAffineConstantExpr(filter[k])});
      patches.push_back(out[k + 2]);
      taps.push_back(rewriter.getAffineConstantExpr(filter[k]));
      perm.push_back(static_cast<int64_t>(2 * k + 2));
    }
    perm.push_back(1);
    for (size_t k = 0; k < filter.size(); ++k)
      perm.push_back(static_cast<int64_t>(2 * k + 3));
    graph::Dims together(patches);
    together.append(taps);
    Value split = reshape(rewriter, op.getLoc(), x, apart);
    Value moved = graph::TransposeOp::create(rewriter, op.getLoc(), graph::makeTensor(together, getElement(x)), split, perm);
    MLIRContext *context = op.getContext();
    return reshape(rewriter, op.getLoc(), moved, {dims[0], graph::getNumElements(context, ArrayRef(patches).drop_front()), graph::getNumElements(context, taps)});
  }

  static graph::Dims getWeightDims(graph::ConvOp op) {
    graph::Dims filter = graph::getDims(op.getFilter());
    return {graph::getNumElements(op.getContext(), ArrayRef(filter).drop_front()), filter[0]};
  }

  /// w [O, C, K ...] -> [C * taps, O], of i8
  static Value makeWeights(PatternRewriter &rewriter, graph::ConvOp op) {
    graph::Dims dims = getWeightDims(op);
    Value matrix = reshape(rewriter, op.getLoc(), graph::makeByteWeights(rewriter, op.getFilter()), {dims[1], dims[0]});
    return graph::TransposeOp::create(rewriter, op.getLoc(), graph::makeTensor(dims, rewriter.getIntegerType(8)), matrix, ArrayRef<int64_t>{1, 0});
  }
};

/// Integers up to this are exact in f32, and bytes less a byte are up to kMostDifference.
constexpr int64_t kExactF32 = 1 << 24, kMostDifference = 255;

struct WidenToFloat : OpRewritePattern<graph::ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    std::optional<ChangingZero> x = matchChangingZero(op.getX());
    bool readsBytes = graph::matchCentredBytes(op.getX()) || (x && x->isByte);
    if (!getElement(op.getResult()).isSignlessInteger(32) || hasInt8Form(op) || coversByPatches(op) || !readsBytes)
      return rewriter.notifyMatchFailure(op, "no convolution of bytes, or it has a form of its own");
    std::optional<int64_t> norm = graph::getLargestNorm(op.getFilter());
    if (!norm || *norm > kExactF32 / kMostDifference)
      return rewriter.notifyMatchFailure(op, "sums may leave the integers that f32 holds");
    auto cast = [&](Value x, Type element) -> Value { return graph::CastOp::create(rewriter, op.getLoc(), graph::makeTensor(graph::getDims(x), element), x); };
    Value image = cast(op.getX(), rewriter.getF32Type()), filter = cast(op.getFilter(), rewriter.getF32Type());
    Value sum = graph::ConvOp::create(rewriter, op.getLoc(), graph::makeTensor(graph::getDims(op.getResult()), rewriter.getF32Type()), image, filter, op.getStridesAttr(),
                                      op.getPadsAttr(), op.getDilationsAttr(), op.getGroupAttr());
    rewriter.replaceOp(op, cast(sum, rewriter.getI32Type()));
    return success();
  }
};

} // namespace

void populateInt8Fallbacks(RewritePatternSet &patterns) { patterns.add<SplitPatches, WidenToFloat>(patterns.getContext()); }

} // namespace onager
