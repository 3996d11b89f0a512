// slice(conv(x)) -> conv(x) of the window positions that are left. Test: graph-fold-slice.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-fold-slice"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFOLDSLICE
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// The operand that has all the elements of an elementwise result, where the others are alike along the dims that `slice` cuts; null elsewhere.
OpOperand *getOnlyFull(Operation *op, SliceOp slice) {
  Value result = op->getResult(0);
  Dims dims = getDims(result), left = getDims(slice.getResult());
  OpOperand *full = nullptr;
  for (OpOperand &operand : op->getOpOperands()) {
    Dims own = getDims(operand.get());
    if (own == dims) {
      if (full)
        return nullptr;
      full = &operand;
      continue;
    }
    for (size_t k = 1; k <= own.size(); ++k)
      if (dims[dims.size() - k] != left[left.size() - k] && !isConstant(own[own.size() - k], 1))
        return nullptr;
  }
  return full;
}

/// What lies between a convolution and a slice of it, last first; nobody else reads any of it.
struct Chain {
  ConvOp conv;
  SmallVector<OpOperand *> links; ///< the operands of elementwise operations through which the convolution's elements go
};

Chain findChain(SliceOp slice) {
  Chain chain;
  Value value = slice.getX();
  for (Operation *op = value.getDefiningOp(); op && op->hasOneUse(); op = value.getDefiningOp()) {
    if ((chain.conv = dyn_cast<ConvOp>(op)))
      return chain;
    OpOperand *full = op->hasTrait<ElementwiseOp>() && op->getNumResults() == 1 ? getOnlyFull(op, slice) : nullptr;
    if (!full)
      return {};
    chain.links.push_back(full);
    value = full->get();
  }
  return {};
}

/// Pads and strides of the convolution that gives just what the slice leaves; false where there is none.
bool fold(SliceOp slice, ConvOp conv, Dims &pads, SmallVectorImpl<int64_t> &strides) {
  Dims all = getDims(conv.getResult()), left = getDims(slice.getResult());
  for (auto [k, start] : llvm::enumerate(slice.getStarts().getResults())) {
    int64_t step = slice.getSteps()[k];
    if (k < 2 && (!isConstant(start, 0) || step != 1 || all[k] != left[k]))
      return false;
    if (k < 2)
      continue;
    AffineExpr pad = conv.getPads().getResult(k - 2);
    std::optional<int64_t> first = getConstant(start), before = getConstant(pad);
    int64_t stride = conv.getStrides()[k - 2];
    bool fits = step > 0 && first && (*first == 0 || (before && *first <= *before / stride));
    if (!fits)
      return false;
    pads.push_back(simplifyAffineExpr(pad - *first * stride, 0, conv.getPads().getNumSymbols()));
    strides.push_back(stride * step);
  }
  return true;
}

struct FoldIntoConv : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp slice, PatternRewriter &rewriter) const override {
    Chain chain = findChain(slice);
    Dims pads;
    SmallVector<int64_t> strides;
    if (!chain.conv || !fold(slice, chain.conv, pads, strides))
      return rewriter.notifyMatchFailure(slice, "no convolution that could leave the other positions out");
    Dims dims = getDims(slice.getResult());
    rewriter.setInsertionPoint(slice);
    auto conv = cast<ConvOp>(rewriter.clone(*chain.conv));
    conv.setPadsAttr(makeExprs(getContext(), pads));
    conv.setStrides(strides);
    conv.getResult().setType(makeTensor(dims, getElement(conv.getResult())));
    Value value = conv.getResult();
    for (OpOperand *link : llvm::reverse(chain.links)) {
      Operation *op = rewriter.clone(*link->getOwner());
      op->setOperand(link->getOperandNumber(), value);
      op->getResult(0).setType(makeTensor(dims, getElement(op->getResult(0))));
      value = op->getResult(0);
    }
    rewriter.replaceOp(slice, value);
    return success();
  }
};

struct FoldSlice : impl::GraphFoldSliceBase<FoldSlice> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldIntoConv>(&getContext());
    int64_t before = countOps<SliceOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numFolded += before - countOps<SliceOp>(getOperation());
  }
};

} // namespace
} // namespace onager::graph
