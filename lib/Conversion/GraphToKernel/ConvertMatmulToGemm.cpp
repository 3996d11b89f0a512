// matmul(a, b) -> gemm(a, pack(b)), in f32. Test: convert-matmul-to-gemm.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "convert-matmul-to-gemm"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTMATMULTOGEMM
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

/// Columns below which panels would be mostly padding.
static constexpr int64_t kFewestColumns = 8;
/// Rows from which on packing a matrix that a run computes is worth it.
static constexpr int64_t kFewRows = 9;
/// Contraction length below which packing costs more than it saves.
static constexpr int64_t kShortestSum = 4;

/// Columns and terms below which splitting the operands into parts of bf16 costs more than tiles save.
static constexpr int64_t kFewestBf16x3Columns = 32, kFewestBf16x3Terms = 64;

static Type getElement(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// f16, bf16 and f32: what is computed in f32.
static bool isShortFloat(Type type) { return type.isF16() || type.isBF16() || type.isF32(); }

/// Casts a tensor to another element type; nothing where it has it.
static Value castTo(PatternRewriter &rewriter, Location loc, Value value, Type element) {
  if (getElement(value) == element)
    return value;
  return graph::CastOp::create(rewriter, loc, graph::makeTensor(graph::getDims(value), element), value);
}

static bool isBelow(AffineExpr extent, int64_t limit) {
  std::optional<int64_t> constant = graph::getConstant(extent);
  return constant && *constant < limit;
}

/// A few rows times a matrix that each run computes: packing would take as long as the product.
static bool isFewTimesComputed(graph::MatmulOp op) {
  graph::Dims lhs = graph::getDims(op.getLhs());
  return isBelow(lhs[lhs.size() - 2], kFewRows) && getElement(op.getResult()).isF32() && !isComputedFromConstants(op.getRhs());
}

bool takesBf16x3(graph::MatmulOp op) {
  graph::Dims lhs = graph::getDims(op.getLhs()), rhs = graph::getDims(op.getRhs());
  AffineExpr rows = graph::getNumElements(op.getContext(), ArrayRef(lhs).drop_back());
  return rhs.size() == 2 && !isBelow(rows, kernel::kFewestBf16x3Rows) && !isBelow(rhs[1], kFewestBf16x3Columns) && !isBelow(rhs[0], kFewestBf16x3Terms);
}

namespace {

/// matmul(a, b) -> gemm(a, pack(b))
struct SplitMatmul : OpRewritePattern<graph::MatmulOp> {
  SplitMatmul(MLIRContext *context, bool bf16x3) : OpRewritePattern(context), bf16x3(bf16x3) {}
  LogicalResult matchAndRewrite(graph::MatmulOp op, PatternRewriter &rewriter) const override {
    graph::Dims rhs = graph::getDims(op.getRhs());
    if (!isShortFloat(getElement(op.getLhs())) || !isShortFloat(getElement(op.getRhs())) || !isShortFloat(getElement(op.getResult())))
      return rewriter.notifyMatchFailure(op, "element types are not floats of up to 32 bits");
    if (isBelow(rhs.back(), kFewestColumns) || isBelow(rhs[rhs.size() - 2], kShortestSum))
      return rewriter.notifyMatchFailure(op, "too few columns or too short a sum for panels");
    if (isFewTimesComputed(op))
      return rewriter.notifyMatchFailure(op, "a few rows times a matrix that is not known");
    Type f32 = rewriter.getF32Type();
    AffineExpr columns = rhs.back(), depth = rhs[rhs.size() - 2];
    graph::Dims packed(rhs.begin(), rhs.end() - 2);
    packed.push_back(columns.ceilDiv(kernel::kPanelWidth));
    packed.push_back(depth);
    packed.push_back(rewriter.getAffineConstantExpr(kernel::kPanelWidth));
    Location loc = op.getLoc();
    Value panels = kernel::PackOp::create(rewriter, loc, graph::makeTensor(packed, f32), castTo(rewriter, loc, op.getRhs(), f32));
    Value gemm = kernel::GemmOp::create(rewriter, loc, graph::makeTensor(graph::getDims(op.getResult()), f32),
                                        castTo(rewriter, loc, op.getLhs(), f32), panels, bf16x3 && takesBf16x3(op) ? rewriter.getUnitAttr() : UnitAttr());
    rewriter.replaceOp(op, castTo(rewriter, loc, gemm, getElement(op.getResult())));
    return success();
  }

  bool bf16x3;
};

/// conv of f16 or bf16 -> cast(conv(cast, cast))
struct WidenConv : OpRewritePattern<graph::ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(graph::ConvOp op, PatternRewriter &rewriter) const override {
    Type element = getElement(op.getResult()), f32 = rewriter.getF32Type();
    if (!element.isF16() && !element.isBF16())
      return rewriter.notifyMatchFailure(op, "not a 16-bit float convolution");
    Location loc = op.getLoc();
    Value wide = graph::ConvOp::create(rewriter, loc, graph::makeTensor(graph::getDims(op.getResult()), f32),
                                       castTo(rewriter, loc, op.getX(), f32), castTo(rewriter, loc, op.getFilter(), f32),
                                       op.getStridesAttr(), op.getPadsAttr(), op.getDilationsAttr(), op.getGroupAttr());
    rewriter.replaceOp(op, castTo(rewriter, loc, wide, element));
    return success();
  }
};

struct ConvertMatmulToGemm : impl::ConvertMatmulToGemmBase<ConvertMatmulToGemm> {
  using ConvertMatmulToGemmBase::ConvertMatmulToGemmBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SplitMatmul>(&getContext(), bf16x3);
    patterns.add<WidenConv>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation().walk([&](kernel::GemmOp) { ++numGemms; });
  }
};

} // namespace
} // namespace onager
