// conv_transpose(x, w) -> conv(x, w') whose channels are the phases of the result, then interleaving. Test: graph-expand-conv-transpose.mlir
//
// In one dim, with stride s, kernel K and low padding p, result o + p = q s + r takes x[q - t] w[r + s t] for t in [0, T), T = ceil(K / s): for each
// phase r a convolution with T taps. All phases become output channels of one convolution with filter
//   w'[(o, r), c, u] = w[c, o, r + s (T - 1 - u)], 0 where that is behind w
// the same in each group of channels, and with w's dilation where s is 1,
// over positions q from floor(p / s) on; the phases are interleaved by a transpose, and what stands before p is cut off.
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-expand-conv-transpose"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHEXPANDCONVTRANSPOSE
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

struct Expansion {
  ConvTransposeOp op;
  PatternRewriter &rewriter;
  Location loc = op.getLoc();
  Dims x = getDims(op.getX()), filter = getDims(op.getFilter()), out = getDims(op.getResult());
  size_t spatial = x.size() - 2;
  Type element = getElement(op.getX());

  AffineExpr number(int64_t value) { return rewriter.getAffineConstantExpr(value); }
  AffineMapAttr exprs(ArrayRef<AffineExpr> list) { return makeExprs(rewriter.getContext(), list); }
  int64_t stride(size_t d) { return op.getStrides()[d]; }
  int64_t kernel(size_t d) { return *getConstant(filter[2 + d]); }
  int64_t taps(size_t d) { return llvm::divideCeil(kernel(d), stride(d)); }
  AffineExpr pad(size_t d) { return op.getPads().getResult(d); }
  AffineExpr skipped(size_t d) { return pad(d).floorDiv(stride(d)); }
  AffineExpr positions(size_t d) { return (out[2 + d] + pad(d)).ceilDiv(stride(d)) - skipped(d); }

  /// Filter [C, O / groups, K...] -> [O * phases, C / groups, T...].
  Value makeFilter() {
    Value w = op.getFilter();
    AffineExpr groups = number(op.getGroup()), channels = filter[0].floorDiv(op.getGroup());
    Dims padded{filter[0], filter[1]}, split{groups, channels, filter[1]}, swapped{groups, filter[1]}, flat{groups * filter[1], channels};
    SmallVector<int64_t> perm{0, 2}, tapDims;
    int64_t phases = 1;
    for (size_t d = 0; d < spatial; ++d) {
      padded.push_back(number(taps(d) * stride(d)));
      split.append({number(taps(d)), number(stride(d))});
      perm.push_back(static_cast<int64_t>(4 + 2 * d));
      tapDims.push_back(static_cast<int64_t>(3 + 2 * d));
      swapped.push_back(number(stride(d)));
      flat.push_back(number(taps(d)));
      phases *= stride(d);
    }
    perm.push_back(1);
    perm.append(tapDims);
    swapped.push_back(channels);
    swapped.append(flat.begin() + 2, flat.end());
    flat[0] = flat[0] * phases;
    Value zero = makeScalar(rewriter, loc, RankedTensorType::get({}, element), 0);
    if (padded != filter)
      w = PadOp::create(rewriter, loc, makeTensor(padded, element), w, zero, exprs(Dims(padded.size(), number(0))),
                        PadModeAttr::get(rewriter.getContext(), PadMode::constant));
    w = ReshapeOp::create(rewriter, loc, makeTensor(split, element), w);
    w = TransposeOp::create(rewriter, loc, makeTensor(swapped, element), w, rewriter.getDenseI64ArrayAttr(perm));
    Dims starts(swapped.size(), number(0));
    SmallVector<int64_t> steps(swapped.size(), 1);
    for (size_t d = 0; d < spatial; ++d) {
      starts[3 + spatial + d] = number(taps(d) - 1);
      steps[3 + spatial + d] = -1;
    }
    w = SliceOp::create(rewriter, loc, makeTensor(swapped, element), w, exprs(starts), rewriter.getDenseI64ArrayAttr(steps));
    return ReshapeOp::create(rewriter, loc, makeTensor(flat, element), w);
  }

  Value makeConv(Value w) {
    Dims dims{out[0], getDims(w)[0]}, pads;
    for (size_t d = 0; d < spatial; ++d) {
      dims.push_back(positions(d));
      pads.push_back(number((taps(d) - 1) * op.getDilations()[d]) - skipped(d));
    }
    SmallVector<int64_t> ones(spatial, 1);
    return ConvOp::create(rewriter, loc, makeTensor(dims, element), op.getX(), w, rewriter.getDenseI64ArrayAttr(ones), exprs(pads), op.getDilationsAttr(), op.getGroupAttr());
  }

  /// [N, O * phases, Q...] -> [N, O, Q * stride...], and the part that the operation gives.
  Value interleave(Value y) {
    Dims split{out[0], out[1]}, swapped(split), joined(split), starts{number(0), number(0)};
    SmallVector<int64_t> perm{0, 1};
    for (size_t d = 0; d < spatial; ++d) {
      split.push_back(number(stride(d)));
      perm.append({static_cast<int64_t>(2 + spatial + d), static_cast<int64_t>(2 + d)});
      swapped.append({positions(d), number(stride(d))});
      joined.push_back(positions(d) * stride(d));
      starts.push_back(pad(d) - skipped(d) * stride(d));
    }
    for (size_t d = 0; d < spatial; ++d)
      split.push_back(positions(d));
    y = ReshapeOp::create(rewriter, loc, makeTensor(split, element), y);
    y = TransposeOp::create(rewriter, loc, makeTensor(swapped, element), y, rewriter.getDenseI64ArrayAttr(perm));
    y = ReshapeOp::create(rewriter, loc, makeTensor(joined, element), y);
    if (y.getType() == op.getType() && llvm::all_of(starts, [](AffineExpr start) { return isConstant(start, 0); }))
      return y;
    return SliceOp::create(rewriter, loc, op.getType(), y, exprs(starts), rewriter.getDenseI64ArrayAttr(SmallVector<int64_t>(out.size(), 1)));
  }
};

/// conv_transpose -> conv, interleaving
struct ExpandTransposed : OpRewritePattern<ConvTransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvTransposeOp op, PatternRewriter &rewriter) const override {
    auto filter = cast<RankedTensorType>(op.getFilter().getType());
    if (!filter.hasStaticShape() || filter.getNumElements() == 0 || !isa<FloatType>(filter.getElementType()))
      return rewriter.notifyMatchFailure(op, "a filter of unknown or no extent");
    if (llvm::any_of(llvm::zip(op.getDilations(), op.getStrides()), [](auto dim) { return std::get<0>(dim) != 1 && std::get<1>(dim) != 1; }))
      return rewriter.notifyMatchFailure(op, "a filter that is dilated along a stride");
    Expansion expansion{op, rewriter};
    rewriter.replaceOp(op, expansion.interleave(expansion.makeConv(expansion.makeFilter())));
    return success();
  }
};

struct ExpandConvTranspose : impl::GraphExpandConvTransposeBase<ExpandConvTranspose> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandTransposed>(&getContext());
    int64_t before = countOps<ConvTransposeOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numExpanded += before - countOps<ConvTransposeOp>(getOperation());
  }
};

} // namespace
} // namespace onager::graph
