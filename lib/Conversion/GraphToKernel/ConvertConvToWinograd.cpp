// conv of 3 x 3 filters -> winograd_conv(x, winograd_filter(filter)). Test: convert-conv-to-winograd.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "dialects/Kernel/IR/Winograd.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "convert-conv-to-winograd"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTCONVTOWINOGRAD
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

/// Extents of planes of unknown size that the cost is estimated for.
constexpr int64_t kUnknownExtent = 32;

/// A convolution over planes whose channels are (channel, tap along the depth): of volumes each slice of the result is an image of its own.
///   [N, C, D, H, W] -> [N D', C K, H, W] -> conv -> [N D', O, H', W'] -> [N, O, D', H', W']
struct VolumeSlices {
  graph::ConvOp op;
  PatternRewriter &rewriter;
  Location loc = op.getLoc();
  graph::Dims x = graph::getDims(op.getX()), filter = graph::getDims(op.getFilter()), out = graph::getDims(op.getResult());
  Type element = rewriter.getF32Type();

  AffineExpr number(int64_t value) { return rewriter.getAffineConstantExpr(value); }
  AffineMapAttr exprs(ArrayRef<AffineExpr> list) { return graph::makeExprs(rewriter.getContext(), list); }
  Value reshape(Value value, const graph::Dims &dims) { return graph::ReshapeOp::create(rewriter, loc, graph::makeTensor(dims, element), value); }
  Value swapDepth(Value value, const graph::Dims &dims) {
    return graph::TransposeOp::create(rewriter, loc, graph::makeTensor(dims, element), value, ArrayRef<int64_t>{0, 2, 1, 3, 4});
  }

  Value makeFilter() { return reshape(op.getFilter(), {filter[0], filter[1] * filter[2], filter[3], filter[4]}); }

  /// The slices of x under each tap, side by side.
  Value makeImages() {
    int64_t taps = *graph::getConstant(filter[2]), dilation = op.getDilations()[0];
    graph::Dims padded(x), slice{x[0], x[1], out[2], x[3], x[4]}, swapped{x[0], out[2], x[1], x[3], x[4]};
    padded[2] = out[2] + (taps - 1) * dilation;
    graph::Dims zeros(5, number(0)), low(zeros);
    low[2] = op.getPads().getResult(0);
    Value whole = op.getX();
    if (padded != x)
      whole = graph::PadOp::create(rewriter, loc, graph::makeTensor(padded, element), whole, graph::makeScalar(rewriter, loc, RankedTensorType::get({}, element), 0), exprs(low),
                                   graph::PadModeAttr::get(rewriter.getContext(), graph::PadMode::constant));
    SmallVector<Value> parts;
    for (int64_t k = 0; k < taps; ++k) {
      graph::Dims starts(zeros);
      starts[2] = number(k * dilation);
      Value part = whole;
      if (padded != slice)
        part = graph::SliceOp::create(rewriter, loc, graph::makeTensor(slice, element), whole, exprs(starts), rewriter.getDenseI64ArrayAttr({1, 1, 1, 1, 1}));
      parts.push_back(reshape(swapDepth(part, swapped), {x[0], out[2], x[1], number(1), x[3], x[4]}));
    }
    Value joined = parts[0];
    if (taps > 1)
      joined = graph::ConcatOp::create(rewriter, loc, graph::makeTensor({x[0], out[2], x[1], number(taps), x[3], x[4]}, element), parts, 3);
    return reshape(joined, {x[0] * out[2], x[1] * taps, x[3], x[4]});
  }

  graph::Dims getResultDims() { return {out[0] * out[2], out[1], out[3], out[4]}; }
  Value joinSlices(Value images) { return swapDepth(reshape(images, {out[0], out[2], out[1], out[3], out[4]}), out); }
};

struct ToWinograd : OpRewritePattern<graph::ConvOp> {
  ToWinograd(MLIRContext *context, int64_t tileRows, int64_t l2Bytes) : OpRewritePattern(context), tileRows(tileRows), l2Bytes(l2Bytes) {}

  /// True where planes have windows of 3 x 3 of stride 1, and volumes one such plane for each tap along the depth.
  static bool hasWindows(graph::ConvOp op, ArrayRef<int64_t> filter) {
    bool isPlane = filter.size() == 4 || (filter.size() == 5 && graph::getConstant(op.getPads().getResult(0)).has_value());
    auto isOne = [](int64_t value) { return value == 1; };
    return isPlane && op.getGroup() == 1 && llvm::all_of(filter.take_back(2), [](int64_t size) { return size == 3; }) && llvm::all_of(op.getStrides(), isOne) &&
           llvm::all_of(op.getDilations().take_back(2), isOne);
  }

  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    auto filter = cast<RankedTensorType>(op.getFilter().getType()), x = cast<RankedTensorType>(op.getX().getType());
    auto out = cast<RankedTensorType>(op.getType());
    if (!filter.getElementType().isF32() || !x.getElementType().isF32() || !filter.hasStaticShape() || !hasWindows(op, filter.getShape()))
      return rewriter.notifyMatchFailure(op, "not an f32 convolution of 3 x 3 of stride 1 in one group over planes");
    if (x.isDynamicDim(1))
      return rewriter.notifyMatchFailure(op, "the number of channels is known from the filters alone");
    if (!isComputedFromConstants(op.getFilter()))
      return rewriter.notifyMatchFailure(op, "filters that change would be transformed in every run");
    bool isVolume = filter.getRank() == 5;
    int64_t channels = filter.getDimSize(1) * (isVolume ? filter.getDimSize(2) : 1), outChannels = filter.getDimSize(0);
    SmallVector<int64_t> plane(out.getShape().take_back(2));
    for (int64_t &extent : plane)
      extent = ShapedType::isDynamic(extent) || (extent && hasGenericForm(op.getFilter())) ? kUnknownExtent : extent;
    if (channels == 0 || llvm::is_contained(plane, 0) || !kernel::isWinogradFaster({channels, outChannels, plane[0], plane[1], tileRows, l2Bytes}))
      return rewriter.notifyMatchFailure(op, "the direct form is faster");
    auto number = [&](int64_t value) { return rewriter.getAffineConstantExpr(value); };
    graph::Dims packed{number(llvm::divideCeil(outChannels, tileRows)), number(kernel::kWinogradInputs), number(kernel::kWinogradInputs), number(channels), number(tileRows)};
    Value images = op.getX(), planes = op.getFilter();
    RankedTensorType type = op.getType();
    VolumeSlices slices{op, rewriter};
    if (isVolume)
      images = slices.makeImages(), planes = slices.makeFilter(), type = graph::makeTensor(slices.getResultDims(), rewriter.getF32Type());
    Value transformed = kernel::WinogradFilterOp::create(rewriter, op.getLoc(), graph::makeTensor(packed, rewriter.getF32Type()), planes);
    AffineMapAttr pads = graph::makeExprs(rewriter.getContext(), op.getPads().getResults().take_back(2));
    Value result = kernel::WinogradConvOp::create(rewriter, op.getLoc(), type, images, transformed, pads);
    rewriter.replaceOp(op, isVolume ? slices.joinSlices(result) : result);
    return success();
  }

  int64_t tileRows, l2Bytes;
};

struct ConvertConvToWinograd : impl::ConvertConvToWinogradBase<ConvertConvToWinograd> {
  using ConvertConvToWinogradBase::ConvertConvToWinogradBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ToWinograd>(&getContext(), tileRows, l2Bytes);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation().walk([&](kernel::WinogradConvOp) { ++numConvs; });
  }
};

} // namespace
} // namespace onager
