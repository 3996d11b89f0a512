// block_matmul(x, w, s, z) -> block_gemm(x, block_pack(w), pack(s), pack(z)); levels stay as they are. Test: convert-block-matmul.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "lib/Conversion/GraphToKernel/Passes.h"

#define DEBUG_TYPE "convert-block-matmul"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTBLOCKMATMUL
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

Type getElement(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// A number for each column and block [N, blocks] in panels [ceil(N / 16), blocks, 16].
Value packNumbers(OpBuilder &b, Location loc, Value numbers) {
  graph::Dims dims = graph::getDims(numbers);
  Type element = getElement(numbers);
  Value turned = graph::TransposeOp::create(b, loc, graph::makeTensor({dims[1], dims[0]}, element), numbers, ArrayRef<int64_t>{1, 0});
  graph::Dims packed{dims[0].ceilDiv(kernel::kPanelWidth), dims[1], b.getAffineConstantExpr(kernel::kPanelWidth)};
  return kernel::PackOp::create(b, loc, graph::makeTensor(packed, element), turned);
}

/// True for one constant number in all places, which is an integer of eight bits.
bool isByteEverywhere(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<graph::BroadcastOp, graph::ReshapeOp>(op))
      break;
    value = op->getOperand(0);
  }
  ElementsAttr constant = graph::getConstantValue(value);
  if (!constant || constant.getNumElements() != 1 || !graph::hasBytes(constant))
    return false;
  SmallVector<char> storage;
  double number = graph::readNumber(getElement(value), graph::getConstantBytes(constant, storage), 0);
  return number >= 0 && number <= 255 && number == static_cast<double>(static_cast<int64_t>(number));
}

/// Zero points as bytes, where all are; else as they are.
Value narrowZeros(OpBuilder &b, Value zeros) {
  auto cast = zeros.getDefiningOp<graph::CastOp>();
  if (cast && getElement(cast.getX()).isUnsignedInteger(8))
    return cast.getX();
  if (!isByteEverywhere(zeros))
    return zeros;
  return graph::CastOp::create(b, zeros.getLoc(), graph::makeTensor(graph::getDims(zeros), b.getIntegerType(8, false)), zeros);
}

/// Scales as numbers of bf16, where they are such; else as they are.
Value narrowScales(Value scales) {
  auto cast = scales.getDefiningOp<graph::CastOp>();
  return cast && getElement(cast.getX()).isBF16() ? Value(cast.getX()) : scales;
}

struct ConvertBlockMatmul : impl::ConvertBlockMatmulBase<ConvertBlockMatmul> {
  using ConvertBlockMatmulBase::ConvertBlockMatmulBase;
  void runOnOperation() override {
    SmallVector<graph::BlockMatmulOp> products;
    getOperation().walk([&](graph::BlockMatmulOp op) { products.push_back(op); });
    for (graph::BlockMatmulOp op : products)
      convert(op);
    numProducts += products.size();
  }
  void convert(graph::BlockMatmulOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getWeights().getType()).getShape();
    int64_t steps = shape[1] * static_cast<int64_t>(op.getBlock()) / kernel::getBlockStep(op.getBits());
    SmallVector<int64_t> dims{static_cast<int64_t>(llvm::divideCeil(shape[0], kernel::kPanelWidth)), steps, kernel::kPanelWidth, kernel::kQuad};
    Value packed = kernel::BlockPackOp::create(b, loc, RankedTensorType::get(dims, b.getIntegerType(8, false)), op.getWeights(), op.getBitsAttr());
    Value scales = packNumbers(b, loc, narrowScales(op.getScales()));
    Value zeros = op.getZeros() ? packNumbers(b, loc, narrowZeros(b, op.getZeros())) : Value();
    Value product = kernel::BlockGemmOp::create(b, loc, op.getType(), op.getX(), packed, scales, zeros, op.getLevels(), op.getBitsAttr(), op.getBlockAttr(), dotProduct && zeros ? b.getUnitAttr() : UnitAttr());
    op.replaceAllUsesWith(product);
    op.erase();
  }
};

} // namespace
} // namespace onager
