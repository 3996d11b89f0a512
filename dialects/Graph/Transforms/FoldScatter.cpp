// scatter_nd(x, constant box, updates) -> concat(slice(x), updates, slice(x)). Test: graph-fold-scatter.mlir
#include "dialects/Graph/Transforms/Evaluate.h"
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-fold-scatter"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFOLDSCATTER
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Indices with more elements are not looked at.
constexpr int64_t kMostIndices = 1 << 20;

using Numbers = SmallVector<int64_t>;

/// The elements of an integer tensor that constants decide, as exporters write the places of a box by broadcasts and concatenations; nothing where some are not known.
std::optional<Numbers> readNumbers(Value value) {
  Evaluator evaluator([](AffineExpr expr) { return expr; }, kMostIndices);
  DenseSet<Operation *> met;
  std::function<void(Value)> evaluate = [&](Value needed) {
    Operation *op = needed.getDefiningOp();
    if (!op || !isEvaluable(op) || !met.insert(op).second)
      return;
    llvm::for_each(op->getOperands(), evaluate);
    evaluator.run(op);
  };
  evaluate(value);
  return evaluator.getAll(value);
}

/// A box of the leading dims of a tensor.
struct Box {
  Numbers starts, extents;
};

/// The box that tuples of `length` indices walk in row-major order; nothing where they walk something else or leave the tensor.
std::optional<Box> findBox(ArrayRef<int64_t> indices, size_t length, ArrayRef<int64_t> dims) {
  int64_t count = static_cast<int64_t>(indices.size() / length);
  auto at = [&](int64_t tuple, size_t k) {
    int64_t index = indices[tuple * static_cast<int64_t>(length) + static_cast<int64_t>(k)];
    return index < 0 ? index + dims[k] : index;
  };
  if (count == 0)
    return std::nullopt;
  Box box;
  for (size_t k = 0; k < length; ++k) {
    box.starts.push_back(at(0, k));
    box.extents.push_back(at(count - 1, k) - at(0, k) + 1);
    if (box.starts[k] < 0 || box.extents[k] <= 0 || box.starts[k] + box.extents[k] > dims[k])
      return std::nullopt;
  }
  bool walks = ShapedType::getNumElements(box.extents) == count;
  for (int64_t tuple = 0; walks && tuple < count; ++tuple)
    for (int64_t k = static_cast<int64_t>(length), left = tuple; k-- > 0; left /= box.extents[k])
      walks &= at(tuple, k) == box.starts[k] + left % box.extents[k];
  return walks ? std::optional(box) : std::nullopt;
}

struct FoldScatter : OpRewritePattern<ScatterNDOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ScatterNDOp op, PatternRewriter &rewriter) const override {
    if (op.getKind() != ScatterKind::none)
      return rewriter.notifyMatchFailure(op, "updates are combined with what is there");
    Dims all = getDims(op.getX());
    Numbers dims;
    for (AffineExpr dim : ArrayRef(all).take_front(getConstant(getDims(op.getIndices()).back()).value_or(0)))
      dims.push_back(getConstant(dim).value_or(-1));
    Dims own = getDims(op.getUpdates());
    if (dims.empty() || llvm::is_contained(dims, -1) || ArrayRef(all).drop_front(dims.size()) != ArrayRef(own).take_back(all.size() - dims.size()))
      return rewriter.notifyMatchFailure(op, "places or the dims that they index are not known");
    std::optional<Numbers> indices = readNumbers(op.getIndices());
    std::optional<Box> box = indices ? findBox(*indices, dims.size(), dims) : std::nullopt;
    if (!box)
      return rewriter.notifyMatchFailure(op, "places are not those of a box");
    SmallVector<size_t> cut;
    for (size_t k = 0; k < dims.size(); ++k)
      if (box->extents[k] != dims[k])
        cut.push_back(k);
    if (cut.size() > 1)
      return rewriter.notifyMatchFailure(op, "the box is narrower in several dims");
    for (auto [k, extent] : llvm::enumerate(box->extents))
      all[k] = rewriter.getAffineConstantExpr(extent);
    Value updates = ReshapeOp::create(rewriter, op.getLoc(), makeTensor(all, getElement(op.getX())), op.getUpdates());
    rewriter.replaceOp(op, cut.empty() ? updates : insert(rewriter, op, updates, cut[0], box->starts[cut[0]], box->extents[cut[0]], dims[cut[0]]));
    return success();
  }

  static Value insert(PatternRewriter &rewriter, ScatterNDOp op, Value updates, size_t axis, int64_t start, int64_t count, int64_t extent) {
    SmallVector<Value> parts;
    if (start > 0)
      parts.push_back(makeSlice(rewriter, op.getLoc(), op.getX(), axis, 0, start));
    parts.push_back(updates);
    if (start + count < extent)
      parts.push_back(makeSlice(rewriter, op.getLoc(), op.getX(), axis, start + count, extent - start - count));
    return ConcatOp::create(rewriter, op.getLoc(), op.getType(), parts, rewriter.getI64IntegerAttr(static_cast<int64_t>(axis)), UnitAttr());
  }
};

struct FoldScatterPass : impl::GraphFoldScatterBase<FoldScatterPass> {
  void runOnOperation() override {
    int64_t before = countOps<ScatterNDOp>(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldScatter>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numFolded += before - countOps<ScatterNDOp>(getOperation());
  }
};

} // namespace
} // namespace onager::graph
