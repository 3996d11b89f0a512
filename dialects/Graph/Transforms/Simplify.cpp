// transpose(transpose(x)) -> x and the like. Test: graph-simplify.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-simplify"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHSIMPLIFY
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// op(x) -> x where the type stays and the operation then does nothing
template <typename Op>
struct RemoveIdentity : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (op.getX().getType() != op.getResult().getType())
      return rewriter.notifyMatchFailure(op, "the type changes");
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

/// reshape(reshape(x)) -> reshape(x)
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no reshape before it");
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getX());
    return success();
  }
};

/// transpose(transpose(x)) -> transpose(x)
struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no transpose before it");
    SmallVector<int64_t> perm;
    for (int64_t dim : op.getPerm())
      perm.push_back(inner.getPerm()[dim]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getX(), rewriter.getDenseI64ArrayAttr(perm));
    return success();
  }
};

/// transpose that keeps the order of all dims but those of extent 1 -> reshape
struct TransposeToReshape : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    Dims dims = getDims(op.getX());
    int64_t last = -1;
    for (int64_t dim : op.getPerm()) {
      if (isConstant(dims[dim], 1))
        continue;
      if (dim < last)
        return rewriter.notifyMatchFailure(op, "elements move");
      last = dim;
    }
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getX());
    return success();
  }
};

/// slice from 0 by 1 over all of x -> x
struct RemoveFullSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    bool whole = op.getX().getType() == op.getType() && llvm::all_of(op.getSteps(), [](int64_t step) { return step == 1; }) &&
                 llvm::all_of(op.getStarts().getResults(), [](AffineExpr start) { return isConstant(start, 0); });
    if (!whole)
      return rewriter.notifyMatchFailure(op, "takes a part");
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

/// slice(slice(x)) -> slice(x)
struct MergeSlices : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<SliceOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no slice before it");
    Dims starts;
    SmallVector<int64_t> steps;
    for (auto [k, step] : llvm::enumerate(inner.getSteps())) {
      starts.push_back(inner.getStarts().getResult(k) + op.getStarts().getResult(k) * step);
      steps.push_back(step * op.getSteps()[k]);
    }
    rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), inner.getX(), makeExprs(getContext(), starts), rewriter.getDenseI64ArrayAttr(steps));
    return success();
  }
};

/// slice(concat(x, y)) -> slice(y) where all of it lies in y
struct SliceOfConcat : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getX().getDefiningOp<ConcatOp>();
    if (!concat)
      return rewriter.notifyMatchFailure(op, "no concatenation before it");
    int64_t axis = concat.getAxis(), step = op.getSteps()[axis];
    std::optional<int64_t> start = getConstant(op.getStarts().getResult(axis)), count = getConstant(getDims(op.getResult())[axis]);
    if (!start || !count || *count == 0)
      return rewriter.notifyMatchFailure(op, "places are not known");
    int64_t last = *start + (*count - 1) * step, first = std::min(*start, last), offset = 0;
    for (Value input : concat.getInputs()) {
      std::optional<int64_t> extent = getConstant(getDims(input)[axis]);
      if (!extent)
        return rewriter.notifyMatchFailure(op, "an operand of unknown size stands before it");
      if (first >= offset && std::max(*start, last) < offset + *extent) {
        Dims starts(op.getStarts().getResults());
        starts[axis] = rewriter.getAffineConstantExpr(*start - offset);
        rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), input, makeExprs(getContext(), starts), op.getStepsAttr());
        return success();
      }
      offset += *extent;
    }
    return rewriter.notifyMatchFailure(op, "it takes parts of several operands");
  }
};

/// A part of a tensor along one axis, by steps of one.
struct Range {
  int64_t start, count;
};

/// The part of its source that a slice takes along `axis`, if it takes all of the other dims; nothing where places are not known.
std::optional<Range> getRange(SliceOp slice, size_t axis) {
  Dims from = getDims(slice.getX()), to = getDims(slice.getResult());
  for (auto [k, start] : llvm::enumerate(slice.getStarts().getResults()))
    if (slice.getSteps()[k] != 1 || (k != axis && !(isConstant(start, 0) && from[k] == to[k])))
      return std::nullopt;
  std::optional<int64_t> start = getConstant(slice.getStarts().getResult(axis)), count = getConstant(to[axis]);
  return start && count ? std::optional(Range{*start, *count}) : std::nullopt;
}

/// concat(concat(x, y), z) -> concat(x, y, z), and with a slice between the two, where nobody else reads what is between
struct MergeConcats : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    SmallVector<Value> parts;
    for (Value input : op.getInputs())
      if (!split(rewriter, input, op.getAxis(), parts))
        parts.push_back(input);
    if (ValueRange(parts) == op.getInputs())
      return rewriter.notifyMatchFailure(op, "no concatenation before it");
    rewriter.replaceOpWithNewOp<ConcatOp>(op, op.getType(), parts, op.getAxisAttr(), op.getNontemporalAttr());
    return success();
  }

  /// Appends the parts of an operand; false, and nothing appended, where it is one.
  static bool split(PatternRewriter &rewriter, Value input, size_t axis, SmallVectorImpl<Value> &parts) {
    auto slice = input.getDefiningOp<SliceOp>();
    auto inner = (slice ? slice.getX() : input).getDefiningOp<ConcatOp>();
    if (!input.hasOneUse() || !inner || inner.getAxis() != axis)
      return false;
    if (!slice) {
      llvm::append_range(parts, inner.getInputs());
      return true;
    }
    std::optional<Range> range = getRange(slice, axis);
    SmallVector<Value> taken;
    int64_t offset = 0;
    for (Value part : inner.getInputs()) {
      std::optional<int64_t> extent = getConstant(getDims(part)[axis]);
      if (!range || !extent)
        return false;
      int64_t first = std::max<int64_t>(range->start - offset, 0), last = std::min(range->start + range->count - offset, *extent);
      if (first < last)
        taken.push_back(last - first == *extent ? part : makeSlice(rewriter, slice.getLoc(), part, axis, first, last - first));
      offset += *extent;
    }
    llvm::append_range(parts, taken);
    return true;
  }
};

struct Simplify : impl::GraphSimplifyBase<Simplify> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RemoveIdentity<CastOp>, RemoveIdentity<ReshapeOp>, RemoveIdentity<BroadcastOp>, RemoveIdentity<TileOp>, MergeReshapes, MergeTransposes,
                 TransposeToReshape, RemoveFullSlice, MergeSlices, SliceOfConcat, MergeConcats>(&getContext());
    auto count = [&] {
      int64_t operations = 0;
      getOperation().walk([&](Operation *) { ++operations; });
      return operations;
    };
    int64_t before = count();
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRemoved += before - count();
  }
};

} // namespace
} // namespace onager::graph
