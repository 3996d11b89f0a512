// conv of 3 x 3 filters -> winograd_conv(x, winograd_filter(filter)). Test: convert-conv-to-winograd.mlir
#include "dialects/Graph/IR/Shapes.h"
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

bool hasEntries(ArrayRef<int64_t> values, int64_t expected) {
  return llvm::all_of(values, [&](int64_t value) { return value == expected; });
}

struct ToWinograd : OpRewritePattern<graph::ConvOp> {
  ToWinograd(MLIRContext *context, int64_t tileRows, int64_t l2Bytes) : OpRewritePattern(context), tileRows(tileRows), l2Bytes(l2Bytes) {}

  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    auto filter = cast<RankedTensorType>(op.getFilter().getType()), x = cast<RankedTensorType>(op.getX().getType());
    auto out = cast<RankedTensorType>(op.getType());
    if (!filter.getElementType().isF32() || !x.getElementType().isF32() || filter.getRank() != 4 || !filter.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "not an f32 convolution over planes");
    if (filter.getDimSize(2) != 3 || filter.getDimSize(3) != 3 || op.getGroup() != 1 || !hasEntries(op.getStrides(), 1) || !hasEntries(op.getDilations(), 1))
      return rewriter.notifyMatchFailure(op, "not 3 x 3 of stride 1 in one group");
    if (out.isDynamicDim(2) || out.isDynamicDim(3) || x.isDynamicDim(2) || x.isDynamicDim(3))
      return rewriter.notifyMatchFailure(op, "the cost of planes of unknown size is unknown");
    if (!isComputedFromConstants(op.getFilter()))
      return rewriter.notifyMatchFailure(op, "filters that change would be transformed in every run");
    int64_t channels = filter.getDimSize(1), outChannels = filter.getDimSize(0);
    if (out.getDimSize(2) == 0 || out.getDimSize(3) == 0 ||
        !kernel::isWinogradFaster({channels, outChannels, out.getDimSize(2), out.getDimSize(3), tileRows, l2Bytes}))
      return rewriter.notifyMatchFailure(op, "the direct form is faster");
    auto number = [&](int64_t value) { return rewriter.getAffineConstantExpr(value); };
    graph::Dims packed{number(llvm::divideCeil(outChannels, tileRows)), number(kernel::kWinogradInputs), number(kernel::kWinogradInputs), number(channels), number(tileRows)};
    Value transformed = kernel::WinogradFilterOp::create(rewriter, op.getLoc(), graph::makeTensor(packed, rewriter.getF32Type()), op.getFilter());
    rewriter.replaceOpWithNewOp<kernel::WinogradConvOp>(op, op.getType(), op.getX(), transformed, op.getPadsAttr());
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
