// conv of bytes -> int8_conv(x, int8_pack(filter)), with what makes bytes of its sums. Test: convert-contraction-to-int8.mlir
#include "dialects/Graph/Transforms/MatchInt8.h"
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Int8Fallbacks.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/Requantization.h"
#include "lib/Conversion/GraphToKernel/SplitZeroPoint.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "convert-contraction-to-int8"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTCONTRACTIONTOINT8
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

using graph::getElement;

namespace {

/// Bytes of i8 are read with 128 added.
constexpr int64_t kSignedOffset = 128;

/// Taps that are unrolled: more make code that takes long to compile.
constexpr int64_t kMostTaps = 64;

/// Rows and sums that are worth tiles of 16 rows of 64 bytes.
constexpr int64_t kFewestAmxRows = 8, kShortestAmxSum = 32;

/// Convolutions of one input channel per output channel, over whose windows vectors can slide.
bool isDepthwise(graph::ConvOp op, const kernel::Int8Layout &layout) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  kernel::Int8Window window = kernel::makeInt8Window(filter.getShape().drop_front(2), op.getStrides(), op.getDilations());
  return op.getGroup() > 1 && filter.getDimSize(1) == 1 && filter.getNumElements() / filter.getDimSize(0) <= kMostTaps && canSlide(window, layout);
}

/// Convolutions over images of one pixel.
bool isProduct(graph::ConvOp op) {
  auto isOne = [](AffineExpr dim) { return graph::isConstant(dim, 1); };
  graph::Dims x = graph::getDims(op.getX()), filter = graph::getDims(op.getFilter()), out = graph::getDims(op.getResult());
  return op.getGroup() == 1 && llvm::all_of(ArrayRef(x).drop_front(2), isOne) && llvm::all_of(ArrayRef(filter).drop_front(2), isOne) &&
         llvm::all_of(ArrayRef(out).drop_front(2), isOne) && llvm::all_of(op.getPads().getResults(), [](AffineExpr pad) { return graph::isConstant(pad, 0); });
}

/// Products that are worth tiles; those of an unknown number of rows are.
bool isWorthAmx(ArrayRef<AffineExpr> rows, Value weights, int64_t depthDim) {
  std::optional<int64_t> known = graph::getConstant(graph::getNumElements(weights.getContext(), rows));
  return (!known || *known >= kFewestAmxRows || hasGenericForm(weights)) && cast<RankedTensorType>(weights.getType()).getDimSize(depthDim) >= kShortestAmxSum;
}

/// Everything that a contraction of bytes needs but its operands.
struct Numbers {
  Value start, scale, offset;
  int64_t zeroPoint = 0, low = 0, high = 0;
  Value replaced; ///< by the contraction's result
  Location loc;
  SmallVector<Operation *> ops; ///< the contraction, and those of the chain
};

/// Puts `result` in place of the contraction and its chain.
void finish(PatternRewriter &rewriter, const Numbers &n, Value result) {
  rewriter.replaceAllUsesWith(n.replaced, result);
  for (Operation *op : llvm::reverse(n.ops))
    rewriter.eraseOp(op);
}

/// What the patterns for convolutions and matrix products share.
struct Int8Builder {
  PatternRewriter &rewriter;
  Location loc;
  kernel::Int8Layout layout;
  bool isAmx = false; ///< the contraction takes tiles

  AffineExpr number(int64_t value) { return rewriter.getAffineConstantExpr(value); }
  Type getPackedType() { return rewriter.getIntegerType(layout.isPaired ? 16 : 8); }
  /// Quads of a sum of this length, in steps of the layout.
  AffineExpr getSteps(int64_t length) { return number(static_cast<int64_t>(llvm::divideCeil(length, kernel::kQuad)) * layout.getSteps()); }

  /// The sums of weights over all dims but `channel`, times -zero.
  Value makeStart(Value weights, size_t channel, const graph::CentredBytes &x) {
    Value wide = graph::CastOp::create(rewriter, loc, graph::makeTensor(graph::getDims(weights), rewriter.getI32Type()), weights);
    int64_t zero = x.zero + (isAmx || getElement(x.bytes).isUnsignedInteger() ? 0 : kSignedOffset);
    return makeWeightSums(rewriter, loc, wide, channel, makeInteger(rewriter, loc, -zero));
  }

  /// Reads the chain behind `sum`, and gives its numbers.
  Numbers makeNumbers(Value sum, size_t channel, Value start) {
    Numbers result{start, {}, {}, 0, 0, 0, sum, loc, {sum.getDefiningOp()}};
    std::optional<Requantization> chain = matchRequantization(sum, channel);
    if (!chain)
      return result;
    SmallVector<Location> locations{loc};
    for (Operation *op : chain->ops)
      locations.push_back(op->getLoc());
    result.loc = rewriter.getFusedLoc(locations);
    llvm::append_range(result.ops, chain->ops);
    if (chain->bias)
      result.start = graph::AddOp::create(rewriter, loc, start.getType(), start, makeLine(rewriter, loc, chain->bias));
    std::tie(result.scale, result.offset) = chain->makeAffine(rewriter, loc, graph::getDims(sum)[channel]);
    result.zeroPoint = chain->zeroPoint;
    result.low = chain->low;
    result.high = chain->high;
    result.replaced = chain->getResult();
    return result;
  }

  /// Fills up a line of numbers to whole tiles; none stays none.
  Value fill(Value line, int64_t columns) {
    if (!line || graph::isConstant(graph::getDims(line)[0], columns))
      return line;
    auto type = graph::makeTensor({}, getElement(line));
    Value zero = graph::ConstantOp::create(rewriter, loc, type, cast<ElementsAttr>(rewriter.getZeroAttr(type)));
    graph::Dims low{number(0)};
    return graph::PadOp::create(rewriter, loc, graph::makeTensor({number(columns)}, getElement(line)), line, zero,
                                graph::makeExprs(line.getContext(), low).getValue(), graph::PadMode::constant);
  }

  /// The product of bytes [..., K] and weights [K, N].
  Value makeGemm(Value bytes, Value weights, const Numbers &n) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(weights.getType()).getShape();
    auto tiles = static_cast<int64_t>(llvm::divideCeil(shape[1], layout.getTile()));
    graph::Dims dims{number(tiles), getSteps(shape[0]), number(kernel::kTileVectors), number(layout.lanes), number(layout.getStepWeights())};
    if (isAmx)
      dims = {number(tiles * kernel::kTileVectors / kernel::kAmxPanelTiles), number(static_cast<int64_t>(llvm::divideCeil(shape[0], kernel::kAmxBytes))),
              number(kernel::kAmxPanelTiles), number(kernel::kAmxRows), number(kernel::kAmxBytes)};
    Value packed = kernel::Int8PackOp::create(rewriter, loc, graph::makeTensor(dims, getPackedType()), weights, isAmx ? kernel::Int8Form::amx : kernel::Int8Form::gemm);
    int64_t columns = tiles * layout.getTile();
    graph::Dims result = graph::getDims(bytes);
    result.back() = number(shape[1]);
    auto attr = [&](int64_t value) { return rewriter.getI64IntegerAttr(value); };
    return kernel::Int8GemmOp::create(rewriter, n.loc, graph::makeTensor(result, getElement(n.replaced)), bytes, packed, fill(n.start, columns),
                                      fill(n.scale, columns), fill(n.offset, columns), attr(n.zeroPoint), attr(n.low), attr(n.high),
                                      isAmx ? rewriter.getUnitAttr() : UnitAttr());
  }
};

struct ToInt8Conv : OpRewritePattern<graph::ConvOp> {
  ToInt8Conv(MLIRContext *context, kernel::Int8Layout layout) : OpRewritePattern(context), layout(layout) {}

  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || !hasInt8Form(op))
      return rewriter.notifyMatchFailure(op, "no convolution of i32 that has a form in bytes");
    std::optional<graph::CentredBytes> x = graph::matchCentredBytes(op.getX());
    if (!x || !graph::areByteWeights(op.getFilter()))
      return rewriter.notifyMatchFailure(op, "an operand is not made of bytes");
    Int8Builder builder{rewriter, op.getLoc(), layout};
    // In front of the whole chain: numbers of channels may be defined in between.
    std::optional<Requantization> chain = matchRequantization(op.getResult(), 1);
    if (chain)
      rewriter.setInsertionPoint(chain->ops.back());
    Value filter = graph::makeByteWeights(rewriter, op.getFilter());
    builder.isAmx = layout.hasAmx && isProduct(op) && isWorthAmx(graph::getDims(op.getX())[0], filter, 1);
    Numbers n = builder.makeNumbers(op.getResult(), 1, builder.makeStart(filter, 0, *x));
    if (isProduct(op)) {
      finish(rewriter, n, multiply(builder, x->bytes, filter, n));
      return success();
    }
    Value packed = pack(builder, op, filter);
    ArrayRef<int64_t> kernel = cast<RankedTensorType>(filter.getType()).getShape().drop_front(2);
    auto attr = [&](int64_t value) { return rewriter.getI64IntegerAttr(value); };
    Value result = kernel::Int8ConvOp::create(rewriter, n.loc, n.replaced.getType(), x->bytes, packed, n.start, n.scale, n.offset,
                                              rewriter.getDenseI64ArrayAttr(kernel), op.getStridesAttr(), op.getPadsAttr(), op.getDilationsAttr(),
                                              op.getGroupAttr(), attr(x->zero), attr(n.zeroPoint), attr(n.low), attr(n.high));
    finish(rewriter, n, result);
    return success();
  }

  /// Images of one pixel are rows of a matrix.
  Value multiply(Int8Builder &builder, Value bytes, Value filter, const Numbers &n) const {
    graph::Dims dims = graph::getDims(bytes), shape = graph::getDims(filter);
    auto reshape = [&](Value value, ArrayRef<AffineExpr> target) -> Value {
      return graph::ReshapeOp::create(builder.rewriter, builder.loc, graph::makeTensor(target, getElement(value)), value);
    };
    Value matrix = reshape(filter, {shape[0], shape[1]});
    Value weights = graph::TransposeOp::create(builder.rewriter, builder.loc, graph::makeTensor({shape[1], shape[0]}, getElement(filter)), matrix, ArrayRef<int64_t>{1, 0});
    return reshape(builder.makeGemm(reshape(bytes, {dims[0], dims[1]}), weights, n), graph::getDims(n.replaced));
  }

  Value pack(Int8Builder &builder, graph::ConvOp op, Value filter) const {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(filter.getType()).getShape();
    auto number = [&](int64_t value) { return builder.number(value); };
    auto groups = static_cast<int64_t>(op.getGroup());
    if (isDepthwise(op, layout)) {
      kernel::Int8Window window = kernel::makeInt8Window(shape.drop_front(2), op.getStrides(), op.getDilations());
      auto steps = static_cast<int64_t>(kernel::getTapQuads(window).size()) * layout.getSteps();
      RankedTensorType type = graph::makeTensor({number(shape[0]), number(steps), number(layout.getStepWeights())}, builder.getPackedType());
      return kernel::Int8PackOp::create(builder.rewriter, builder.loc, type, filter, kernel::Int8Form::depthwise, op.getStrides(), op.getDilations());
    }
    int64_t length = cast<RankedTensorType>(filter.getType()).getNumElements() / shape[0];
    auto tiles = static_cast<int64_t>(llvm::divideCeil(shape[0] / groups, layout.getRows()));
    graph::Dims dims{number(groups), number(tiles), builder.getSteps(length), number(layout.getRows()), number(layout.getStepWeights())};
    return kernel::Int8PackOp::create(builder.rewriter, builder.loc, graph::makeTensor(dims, builder.getPackedType()), filter, kernel::Int8Form::conv);
  }

  kernel::Int8Layout layout;
};

struct ToInt8Gemm : OpRewritePattern<graph::MatmulOp> {
  ToInt8Gemm(MLIRContext *context, kernel::Int8Layout layout) : OpRewritePattern(context), layout(layout) {}

  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || !hasInt8Form(op))
      return rewriter.notifyMatchFailure(op, "no product of i32 with a matrix of known size");
    std::optional<graph::CentredBytes> x = graph::matchCentredBytes(op.getLhs());
    if (!x || !graph::areByteWeights(op.getRhs()))
      return rewriter.notifyMatchFailure(op, "an operand is not made of bytes");
    Int8Builder builder{rewriter, op.getLoc(), layout};
    size_t channel = graph::getDims(op.getResult()).size() - 1;
    if (std::optional<Requantization> chain = matchRequantization(op.getResult(), channel))
      rewriter.setInsertionPoint(chain->ops.back());
    Value weights = graph::makeByteWeights(rewriter, op.getRhs());
    graph::Dims rows = graph::getDims(op.getLhs());
    builder.isAmx = layout.hasAmx && isWorthAmx(ArrayRef(rows).drop_back(), weights, 0);
    Numbers n = builder.makeNumbers(op.getResult(), channel, builder.makeStart(weights, 1, *x));
    finish(rewriter, n, builder.makeGemm(x->bytes, weights, n));
    return success();
  }

  kernel::Int8Layout layout;
};

/// Weights less their excess, as i32.
Value makeReduced(PatternRewriter &rewriter, Location loc, Value weights, int64_t excess) {
  return graph::CastOp::create(rewriter, loc, weights.getType(), graph::makeByteWeights(rewriter, weights, excess));
}

/// product + excess * ones, the sums of what each element of the product read
Value addExcess(PatternRewriter &rewriter, Location loc, Value product, Value ones, int64_t excess) {
  Value share = graph::MulOp::create(rewriter, loc, ones.getType(), ones, makeInteger(rewriter, loc, excess));
  return graph::AddOp::create(rewriter, loc, product.getType(), product, share);
}

/// conv(x, w) -> conv(x, w - c) + c * conv(x, 1), where the weights fit into 8 signed bits without c
struct SplitConvExcess : OpRewritePattern<graph::ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || !hasInt8Form(op) || op.getGroup() != 1 || (!graph::matchCentredBytes(op.getX()) && !matchChangingZero(op.getX())))
      return rewriter.notifyMatchFailure(op, "no convolution of bytes in one group");
    std::optional<int64_t> excess = graph::getExcess(op.getFilter());
    if (!excess)
      return rewriter.notifyMatchFailure(op, "weights are bytes already, or no constants, or too wide");
    Location loc = op.getLoc();
    auto convolve = [&](Value filter, ArrayRef<AffineExpr> dims) -> Value {
      return graph::ConvOp::create(rewriter, loc, graph::makeTensor(dims, rewriter.getI32Type()), op.getX(), filter, op.getStridesAttr(), op.getPadsAttr(),
                                   op.getDilationsAttr(), op.getGroupAttr());
    };
    graph::Dims dims = graph::getDims(op.getResult()), single = graph::getDims(op.getFilter());
    Value product = convolve(makeReduced(rewriter, loc, op.getFilter(), *excess), dims);
    dims[1] = single[0] = rewriter.getAffineConstantExpr(1);
    RankedTensorType bytes = graph::makeTensor(single, rewriter.getIntegerType(8));
    Value one = graph::ConstantOp::create(rewriter, loc, bytes, DenseElementsAttr::get(bytes, static_cast<int8_t>(1)));
    Value ones = convolve(graph::CastOp::create(rewriter, loc, graph::makeTensor(single, rewriter.getI32Type()), one), dims);
    rewriter.replaceOp(op, addExcess(rewriter, loc, product, ones, *excess));
    return success();
  }
};

/// matmul(x, w) -> matmul(x, w - c) + c * (sums of x)
struct SplitMatmulExcess : OpRewritePattern<graph::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    if (!getElement(op.getResult()).isSignlessInteger(32) || !hasInt8Form(op))
      return rewriter.notifyMatchFailure(op, "no product of i32 with a matrix of known size");
    std::optional<int64_t> excess = graph::getExcess(op.getRhs());
    if (!excess)
      return rewriter.notifyMatchFailure(op, "weights are bytes already, or no constants, or too wide");
    Location loc = op.getLoc();
    Value product = graph::MatmulOp::create(rewriter, loc, op.getType(), op.getLhs(), makeReduced(rewriter, loc, op.getRhs(), *excess));
    graph::Dims dims = graph::getDims(op.getLhs());
    dims.back() = rewriter.getAffineConstantExpr(1);
    Value ones = graph::ReduceOp::create(rewriter, loc, graph::makeTensor(dims, rewriter.getI32Type()), op.getLhs(), graph::ReduceKind::sum,
                                         ArrayRef<int64_t>{static_cast<int64_t>(dims.size()) - 1});
    rewriter.replaceOp(op, addExcess(rewriter, loc, product, ones, *excess));
    return success();
  }
};

/// True where a rounded number gets a zero point and limits, and becomes a byte.
bool becomesByte(graph::RoundOp round) {
  Value value = round.getResult();
  while (value.hasOneUse()) {
    Operation *op = *value.getUsers().begin();
    if (!isa<graph::AddOp, graph::MaxOp, graph::MinOp, graph::CastOp>(op))
      return false;
    value = op->getResult(0);
    if (isa<graph::CastOp>(op))
      return getElement(value).isSignlessInteger(8) || getElement(value).isUnsignedInteger(8);
  }
  return false;
}

/// round(x / s) -> round(x * (1 / s)) where bytes follow: a division takes as long as eight products.
void multiplyByReciprocal(graph::RoundOp round) {
  auto div = round.getX().getDefiningOp<graph::DivOp>();
  std::optional<double> scale = div && div->hasOneUse() && getElement(div.getResult()).isF32() ? graph::getScalar(div.getRhs()) : std::nullopt;
  if (!scale || *scale == 0 || !becomesByte(round))
    return;
  OpBuilder builder(div);
  Value factor = graph::makeScalar(builder, div.getLoc(), cast<RankedTensorType>(div.getRhs().getType()), 1 / *scale);
  Value product = graph::MulOp::create(builder, div.getLoc(), div.getType(), div.getLhs(), factor);
  div.getResult().replaceAllUsesWith(product);
  div.erase();
}

struct ConvertContractionToInt8 : impl::ConvertContractionToInt8Base<ConvertContractionToInt8> {
  using ConvertContractionToInt8Base::ConvertContractionToInt8Base;
  void runOnOperation() override {
    kernel::Int8Layout layout{static_cast<int64_t>(vectorBytes) / 4, !dotProduct, dotProduct && amx};
    RewritePatternSet patterns(&getContext());
    patterns.add<ToInt8Conv, ToInt8Gemm>(&getContext(), layout);
    patterns.add<SplitConvExcess, SplitMatmulExcess>(&getContext());
    populateSplitZeroPoint(patterns);
    populateInt8Fallbacks(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    int64_t contractions = graph::countOps<kernel::Int8ConvOp, kernel::Int8GemmOp>(getOperation());
    numContractions += contractions;
    if (contractions)
      getOperation().walk(multiplyByReciprocal);
  }
};

} // namespace
} // namespace onager
