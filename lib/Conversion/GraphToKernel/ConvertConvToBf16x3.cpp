// conv -> bf16x3_conv(x, bf16x3_filter(filter)). Test: convert-conv-to-bf16x3.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"

#define DEBUG_TYPE "convert-conv-to-bf16x3"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTCONVTOBF16X3
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

/// Output channels for which splitting pixels once costs less than tiles save, where they are read in place and where windows are gathered; terms and pixels
/// that fill steps and tiles.
static constexpr int64_t kFewestOutChannels = 48, kFewestGatheredFor = 64, kFewestTerms = 48, kFewestPixels = 32;
/// Pixels below which filters of more weights come from memory for too few products: parts are half as many bytes again as numbers of f32.
static constexpr int64_t kFewPixels = 128, kMostWeights = 64 << 10;

bool takesBf16x3(graph::ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType()), x = cast<RankedTensorType>(op.getX().getType()), out = cast<RankedTensorType>(op.getType());
  if (!filter.getElementType().isF32() || !x.getElementType().isF32() || !filter.hasStaticShape() || x.isDynamicDim(1) || op.getGroup() != 1 || filter.getRank() < 3)
    return false;
  if (!llvm::all_of(op.getPads().getResults(), [](AffineExpr pad) { return graph::getConstant(pad).has_value(); }))
    return false;
  int64_t taps = ShapedType::getNumElements(filter.getShape().drop_front(2)), terms = filter.getDimSize(1) * taps;
  std::optional<int64_t> pixels = graph::getConstant(graph::getNumElements(op.getContext(), ArrayRef(graph::getDims(op.getResult())).drop_front(2)));
  bool isPlain = taps == 1 && x.getShape().drop_front(2) == out.getShape().drop_front(2);
  int64_t fewest = filter.getNumElements() > kMostWeights ? kFewPixels : kFewestPixels;
  bool hasPixels = !pixels || *pixels >= fewest || (*pixels > 0 && hasGenericForm(op.getFilter()));
  return hasPixels && filter.getDimSize(0) >= (isPlain ? kFewestOutChannels : kFewestGatheredFor) && terms >= kFewestTerms && isComputedFromConstants(op.getFilter());
}

namespace {

/// NaN for each output channel with a weight that is not finite, else 0.
Value makeMarks(OpBuilder &b, graph::ConvOp op) {
  Location loc = op.getLoc();
  RankedTensorType scalar = graph::makeTensor({}, b.getF32Type());
  graph::Dims dims = graph::getDims(op.getFilter()), kept(dims.size(), b.getAffineConstantExpr(1));
  kept[0] = dims[0];
  Value zero = graph::ConstantOp::create(b, loc, scalar, DenseElementsAttr::get(scalar, 0.0f));
  Value products = graph::MulOp::create(b, loc, op.getFilter().getType(), op.getFilter(), zero);
  auto axes = llvm::to_vector(llvm::seq<int64_t>(1, static_cast<int64_t>(dims.size())));
  Value sums = graph::ReduceOp::create(b, loc, graph::makeTensor(kept, b.getF32Type()), products, graph::ReduceKind::sum, axes);
  return graph::ReshapeOp::create(b, loc, graph::makeTensor({dims[0]}, b.getF32Type()), sums);
}

void convert(graph::ConvOp op) {
  OpBuilder b(op);
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getFilter().getType()).getShape();
  auto number = [&](int64_t value) { return b.getAffineConstantExpr(value); };
  graph::Dims parts{number(shape[0]).ceilDiv(kernel::kBf16x3Rows), number(ShapedType::getNumElements(shape.drop_front())).ceilDiv(kernel::kBf16x3Terms),
                    number(kernel::kBf16x3Parts), number(2), number(kernel::kAmxRows), number(kernel::kBf16x3Terms)};
  Value filter = kernel::Bf16x3FilterOp::create(b, op.getLoc(), graph::makeTensor(parts, b.getBF16Type()), op.getFilter());
  Value result = kernel::Bf16x3ConvOp::create(b, op.getLoc(), op.getType(), op.getX(), filter, makeMarks(b, op), b.getDenseI64ArrayAttr(shape.drop_front(2)), op.getStridesAttr(),
                                              op.getDilationsAttr(), op.getPadsAttr());
  op.replaceAllUsesWith(result);
  op.erase();
}

struct ConvertConvToBf16x3 : impl::ConvertConvToBf16x3Base<ConvertConvToBf16x3> {
  void runOnOperation() override {
    SmallVector<graph::ConvOp> convs;
    getOperation().walk([&](graph::ConvOp op) {
      if (takesBf16x3(op))
        convs.push_back(op);
    });
    for (graph::ConvOp op : convs)
      convert(op);
    numConvs += convs.size();
  }
};

} // namespace
} // namespace onager
