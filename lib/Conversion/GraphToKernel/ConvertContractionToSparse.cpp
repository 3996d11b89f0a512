// matmul(x, w) -> sparse_gemm(x, sparse_pack(w transposed)), conv likewise. Test: convert-contraction-to-sparse.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "dialects/Kernel/IR/Sparse.h"
#include "lib/Conversion/GraphToKernel/Passes.h"

#define DEBUG_TYPE "convert-contraction-to-sparse"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTCONTRACTIONTOSPARSE
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

/// The mark of graph-mark-sparse, where the sparse form was chosen.
DictionaryAttr getMark(Operation *op) {
  auto mark = op->getAttrOfType<DictionaryAttr>(kernel::kSparseAttr);
  return mark && !mark.contains("dense") ? mark : nullptr;
}

/// Packs weights [outputs, K].
kernel::SparsePackOp pack(OpBuilder &b, Location loc, DictionaryAttr mark, Value matrix) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(matrix.getType()).getShape();
  int64_t count = mark.getAs<IntegerAttr>("weights").getInt() - mark.getAs<IntegerAttr>("zeros").getInt();
  auto starts = RankedTensorType::get({kernel::getSparseRuns(shape[1]), shape[0] + 1}, b.getI32Type());
  auto indices = RankedTensorType::get({count}, b.getIntegerType(16, /*isSigned=*/false)), values = RankedTensorType::get({count}, b.getF32Type());
  return kernel::SparsePackOp::create(b, loc, starts, indices, values, matrix);
}

void convert(graph::MatmulOp op, DictionaryAttr mark) {
  OpBuilder b(op);
  graph::Dims rhs = graph::getDims(op.getRhs());
  Value turned = graph::TransposeOp::create(b, op.getLoc(), graph::makeTensor({rhs[1], rhs[0]}, b.getF32Type()), op.getRhs(), ArrayRef<int64_t>{1, 0});
  kernel::SparsePackOp packed = pack(b, op.getLoc(), mark, turned);
  Value result = kernel::SparseGemmOp::create(b, op.getLoc(), op.getType(), op.getLhs(), packed.getStarts(), packed.getIndices(), packed.getValues());
  op.replaceAllUsesWith(result);
  op.erase();
}

void convert(graph::ConvOp op, DictionaryAttr mark) {
  OpBuilder b(op);
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getFilter().getType()).getShape();
  auto type = RankedTensorType::get({shape[0], ShapedType::getNumElements(shape.drop_front())}, b.getF32Type());
  kernel::SparsePackOp packed = pack(b, op.getLoc(), mark, graph::ReshapeOp::create(b, op.getLoc(), type, op.getFilter()));
  Value result = kernel::SparseConvOp::create(b, op.getLoc(), op.getType(), op.getX(), packed.getStarts(), packed.getIndices(), packed.getValues(),
                                              b.getDenseI64ArrayAttr(shape.drop_front(2)), op.getStridesAttr(), op.getDilationsAttr(), op.getPadsAttr());
  op.replaceAllUsesWith(result);
  op.erase();
}

struct ConvertContractionToSparse : impl::ConvertContractionToSparseBase<ConvertContractionToSparse> {
  void runOnOperation() override {
    SmallVector<Operation *> marked;
    getOperation().walk([&](Operation *op) {
      if (isa<graph::MatmulOp, graph::ConvOp>(op) && getMark(op))
        marked.push_back(op);
    });
    for (Operation *op : marked)
      if (auto matmul = dyn_cast<graph::MatmulOp>(op))
        convert(matmul, getMark(op));
      else
        convert(cast<graph::ConvOp>(op), getMark(op));
    numProducts += marked.size();
  }
};

} // namespace
} // namespace onager
