// block_matmul(x, w, s, z) -> block_gemm(x, block_pack(w), pack(s), pack(z * s)). Test: convert-block-matmul.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"

#define DEBUG_TYPE "convert-block-matmul"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTBLOCKMATMUL
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

/// A number for each column and block [N, blocks] in panels [ceil(N / 16), blocks, 16].
Value packNumbers(OpBuilder &b, Location loc, Value numbers) {
  graph::Dims dims = graph::getDims(numbers);
  Type f32 = b.getF32Type();
  Value turned = graph::TransposeOp::create(b, loc, graph::makeTensor({dims[1], dims[0]}, f32), numbers, ArrayRef<int64_t>{1, 0});
  graph::Dims packed{dims[0].ceilDiv(kernel::kPanelWidth), dims[1], b.getAffineConstantExpr(kernel::kPanelWidth)};
  return kernel::PackOp::create(b, loc, graph::makeTensor(packed, f32), turned);
}

struct ConvertBlockMatmul : impl::ConvertBlockMatmulBase<ConvertBlockMatmul> {
  void runOnOperation() override {
    SmallVector<graph::BlockMatmulOp> products;
    getOperation().walk([&](graph::BlockMatmulOp op) {
      if (*graph::getConstant(graph::getDims(op.getX()).back()) % 2 == 0)
        products.push_back(op);
    });
    for (graph::BlockMatmulOp op : products)
      convert(op);
    numProducts += products.size();
  }
  void convert(graph::BlockMatmulOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getWeights().getType()).getShape();
    int64_t steps = shape[1] * static_cast<int64_t>(op.getBlock()) / (op.getBits() == 8 ? 1 : 2);
    auto number = [&](int64_t value) { return b.getAffineConstantExpr(value); };
    graph::Dims dims{number(static_cast<int64_t>(llvm::divideCeil(shape[0], kernel::kPanelWidth))), number(steps), number(kernel::kPanelWidth)};
    Value packed = kernel::BlockPackOp::create(b, loc, graph::makeTensor(dims, b.getIntegerType(8, false)), op.getWeights(), op.getBitsAttr());
    Value offsets = graph::MulOp::create(b, loc, op.getScales().getType(), op.getZeros(), op.getScales());
    Value product = kernel::BlockGemmOp::create(b, loc, op.getType(), op.getX(), packed, packNumbers(b, loc, op.getScales()), packNumbers(b, loc, offsets),
                                                op.getBitsAttr(), op.getBlockAttr());
    op.replaceAllUsesWith(product);
    op.erase();
  }
};

} // namespace
} // namespace onager
