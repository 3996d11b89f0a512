// conv -> packed_conv(x, pack(filter transposed)). Test: convert-conv-to-packed.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"

#define DEBUG_TYPE "convert-conv-to-packed"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTCONVTOPACKED
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

/// Planes that are large fill the vectors with pixels and need no transposition of the results; short sums do not pay for it, nor few output channels
/// for gathering the pixels under windows.
constexpr int64_t kMostPixels = 400, kShortestSum = 64, kFewestOutChannels = 32, kFewestGatheredFor = 96;
/// Lines of unknown length are often short, and long ones do not hide the transposition of results of shorter sums than these.
constexpr int64_t kShortestSumOfLine = 128, kFewestOutChannelsOfLine = 64;

/// True where planes have so few pixels, and filters so many terms and outputs, that packed ones are faster.
bool pays(graph::ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType()), x = cast<RankedTensorType>(op.getX().getType()), out = cast<RankedTensorType>(op.getType());
  ArrayRef<int64_t> spatial = out.getShape().drop_front(2), inSpatial = x.getShape().drop_front(2);
  int64_t outChannels = filter.getDimSize(0), taps = ShapedType::getNumElements(filter.getShape().drop_front(2)), depth = filter.getDimSize(1) * taps;
  bool isKnown = ShapedType::isStaticShape(spatial) && ShapedType::isStaticShape(inSpatial);
  int64_t pixels = isKnown ? ShapedType::getNumElements(spatial) : 0;
  // A variant for one length has the filters that the form for all has.
  if (spatial.size() == 1 && (!isKnown || hasGenericForm(op.getFilter())) && depth >= kShortestSumOfLine && outChannels >= kFewestOutChannelsOfLine)
    return true;
  bool isPlain = taps == 1 && spatial == inSpatial;
  return pixels > 1 && pixels <= kMostPixels && depth >= kShortestSum && outChannels >= (isPlain ? kFewestOutChannels : kFewestGatheredFor);
}

bool matches(graph::ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType()), x = cast<RankedTensorType>(op.getX().getType());
  if (!filter.getElementType().isF32() || !x.getElementType().isF32() || !filter.hasStaticShape() || x.isDynamicDim(1) || op.getGroup() != 1 || x.getRank() < 3 || filter.getNumElements() == 0)
    return false;
  auto isNumber = [](AffineExpr pad) { return graph::getConstant(pad).has_value(); };
  return llvm::all_of(op.getPads().getResults(), isNumber) && pays(op) && isComputedFromConstants(op.getFilter());
}

void convert(graph::ConvOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Type f32 = b.getF32Type();
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getFilter().getType()).getShape();
  AffineExpr outChannels = b.getAffineConstantExpr(shape[0]), depth = b.getAffineConstantExpr(ShapedType::getNumElements(shape.drop_front()));
  Value matrix = graph::ReshapeOp::create(b, loc, graph::makeTensor({outChannels, depth}, f32), op.getFilter());
  Value turned = graph::TransposeOp::create(b, loc, graph::makeTensor({depth, outChannels}, f32), matrix, ArrayRef<int64_t>{1, 0});
  graph::Dims panels{outChannels.ceilDiv(kernel::kPanelWidth), depth, b.getAffineConstantExpr(kernel::kPanelWidth)};
  Value packed = kernel::PackOp::create(b, loc, graph::makeTensor(panels, f32), turned);
  Value result = kernel::PackedConvOp::create(b, loc, op.getType(), op.getX(), packed, b.getDenseI64ArrayAttr(shape.drop_front(2)), op.getStridesAttr(),
                                              op.getDilationsAttr(), op.getPadsAttr());
  op.replaceAllUsesWith(result);
  op.erase();
}

struct ConvertConvToPacked : impl::ConvertConvToPackedBase<ConvertConvToPacked> {
  void runOnOperation() override {
    SmallVector<graph::ConvOp> convs;
    getOperation().walk([&](graph::ConvOp op) {
      if (matches(op))
        convs.push_back(op);
    });
    for (graph::ConvOp op : convs)
      convert(op);
    numConvs += convs.size();
  }
};

} // namespace
} // namespace onager
