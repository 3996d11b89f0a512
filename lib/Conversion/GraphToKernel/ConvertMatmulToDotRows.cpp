// matmul(a, transpose(b)) of few rows, and matmul of few columns -> dot_rows. Test: convert-matmul-to-dot-rows.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "convert-matmul-to-dot-rows"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTMATMULTODOTROWS
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

/// Sums of fewer products are cheaper in another order.
static constexpr int64_t kShortestSum = 32;
/// Columns from which on panels are worth their padding.
static constexpr int64_t kPanelColumns = 8;

static bool isF32(Value value) { return cast<RankedTensorType>(value.getType()).getElementType().isF32(); }

static bool isBelow(AffineExpr extent, int64_t limit) {
  std::optional<int64_t> constant = graph::getConstant(extent);
  return constant && *constant < limit;
}

static Value transpose(PatternRewriter &rewriter, Location loc, Value value, ArrayRef<int64_t> perm) {
  graph::Dims dims = graph::getDims(value), turned;
  for (int64_t dim : perm)
    turned.push_back(dims[dim]);
  return graph::TransposeOp::create(rewriter, loc, graph::makeTensor(turned, rewriter.getF32Type()), value, perm);
}

/// The tensor with its last two dims swapped: what is transposed already is only put into the order that is left.
static Value swapLast(PatternRewriter &rewriter, Location loc, Value value) {
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, graph::getDims(value).size()));
  if (auto inner = value.getDefiningOp<graph::TransposeOp>()) {
    perm.assign(inner.getPerm().begin(), inner.getPerm().end());
    value = inner.getX();
  }
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return llvm::is_sorted(perm) ? value : transpose(rewriter, loc, value, perm);
}

/// True where the last two dims of a transposed tensor, swapped, leave rows that lie in memory one element after the other.
static bool hasRowsBelow(Value value) {
  auto inner = value.getDefiningOp<graph::TransposeOp>();
  return inner && inner.getPerm()[inner.getPerm().size() - 2] == static_cast<int64_t>(inner.getPerm().size()) - 1;
}

namespace {

/// Operands and result of a product of f32 whose sums are long enough.
bool isCandidate(graph::MatmulOp op) {
  AffineExpr depth = graph::getDims(op.getLhs()).back();
  return isF32(op.getLhs()) && isF32(op.getRhs()) && graph::getConstant(depth) && !isBelow(depth, kShortestSum);
}

/// matmul(a, transpose(b)) -> dot_rows(a, b) for few rows of a, where b is not known
struct FewRows : OpRewritePattern<graph::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    graph::Dims lhs = graph::getDims(op.getLhs());
    if (!isCandidate(op) || !isBelow(lhs[lhs.size() - 2], kernel::kMostDotRows + 1) || !hasRowsBelow(op.getRhs()) || isComputedFromConstants(op.getRhs()))
      return rewriter.notifyMatchFailure(op, "not a few rows times a matrix that a run gives transposed");
    rewriter.replaceOpWithNewOp<kernel::DotRowsOp>(op, op.getType(), op.getLhs(), swapLast(rewriter, op.getLoc(), op.getRhs()));
    return success();
  }
};

/// matmul(a, b) -> transpose(dot_rows(transpose(b), a)) for few columns of b
struct FewColumns : OpRewritePattern<graph::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    graph::Dims dims = graph::getDims(op.getResult()), swapped = dims;
    if (!isCandidate(op) || !isBelow(dims.back(), kPanelColumns) || hasRowsBelow(op.getLhs()))
      return rewriter.notifyMatchFailure(op, "not rows that lie in memory times a few columns");
    std::swap(swapped[dims.size() - 1], swapped[dims.size() - 2]);
    Location loc = op.getLoc();
    Value product = kernel::DotRowsOp::create(rewriter, loc, graph::makeTensor(swapped, rewriter.getF32Type()), swapLast(rewriter, loc, op.getRhs()), op.getLhs());
    if (graph::isConstant(dims.back(), 1))
      rewriter.replaceOpWithNewOp<graph::ReshapeOp>(op, op.getType(), product);
    else
      rewriter.replaceOp(op, swapLast(rewriter, loc, product));
    return success();
  }
};

struct ConvertMatmulToDotRows : impl::ConvertMatmulToDotRowsBase<ConvertMatmulToDotRows> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FewRows, FewColumns>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation().walk([&](kernel::DotRowsOp) { ++numConverted; });
  }
};

} // namespace
} // namespace onager
