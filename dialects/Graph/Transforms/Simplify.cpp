// transpose(transpose(x)) -> x and the like. Test: graph-simplify.mlir
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/IR/PatternMatch.h"
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

struct Simplify : impl::GraphSimplifyBase<Simplify> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RemoveIdentity<CastOp>, RemoveIdentity<ReshapeOp>, RemoveIdentity<BroadcastOp>, RemoveIdentity<TileOp>, MergeReshapes, MergeTransposes,
                 TransposeToReshape, RemoveFullSlice>(&getContext());
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
