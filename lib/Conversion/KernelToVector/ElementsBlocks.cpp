// One element of a product with weights of few bits, and of their panels.
#include "dialects/Kernel/IR/Int8.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

/// Number `k` of a row of blocks, as a byte.
Value readNumber(UnitEmitter &e, Value weights, Value row, Value block, Value inBlock, int64_t bits) {
  int64_t perByte = 8 / bits;
  Value byte = e.element(weights, {row, block, e.floorDiv(inBlock, e.i64(perByte))});
  if (bits == 8)
    return byte;
  Type i8 = e.b.getI8Type();
  Value shift = arith::TruncIOp::create(e.b, i8, e.mul(e.rem(inBlock, e.i64(perByte)), e.i64(bits)));
  return arith::AndIOp::create(e.b, arith::ShRUIOp::create(e.b, byte, shift), arith::ConstantIntOp::create(e.b, (1 << bits) - 1, 8));
}

Value emitBlockMatmul(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto product = cast<graph::BlockMatmulOp>(op);
  Type compute = e.computeType(e.b.getF32Type());
  Value column = index.back(), block = e.i64(product.getBlock());
  return e.forLoop(e.i64(0), e.extent(graph::getDims(product.getX()).back()), 1, e.constant(compute, 0), [&](Value k, ValueRange sum) {
    Value number = readNumber(e, product.getWeights(), column, e.floorDiv(k, block), e.rem(k, block), product.getBits());
    UnitEmitter::Index at(index), group{column, e.floorDiv(k, block)};
    at.back() = k;
    Value level = product.getLevels() ? e.element(product.getLevels(), {arith::ExtUIOp::create(e.b, e.b.getI64Type(), number)})
                                      : arith::SubFOp::create(e.b, arith::UIToFPOp::create(e.b, compute, number), e.element(product.getZeros(), group));
    Value weight = arith::MulFOp::create(e.b, level, e.element(product.getScales(), group));
    return SmallVector<Value>{arith::AddFOp::create(e.b, sum[0], arith::MulFOp::create(e.b, e.element(product.getX(), at), weight))};
  })[0];
}

Value emitBlockPack(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto pack = cast<kernel::BlockPackOp>(op);
  int64_t bits = pack.getBits();
  ArrayRef<int64_t> shape = cast<RankedTensorType>(pack.getX().getType()).getShape();
  Value column = e.add(e.mul(index[0], e.i64(kernel::kPanelWidth)), index[2]), row = e.minSigned(column, e.i64(shape[0] - 1));
  Value block = e.i64(shape[2] * 8 / bits);
  auto read = [&](Value k) { return readNumber(e, pack.getX(), row, e.floorDiv(k, block), e.rem(k, block), bits); };
  Value k = e.add(e.mul(index[1], e.i64(kernel::getBlockStep(bits))), index[3]), byte = read(k);
  if (bits != 8)
    byte = arith::OrIOp::create(e.b, byte, arith::ShLIOp::create(e.b, read(e.add(k, e.i64(kernel::kQuad))), arith::ConstantIntOp::create(e.b, 4, 8)));
  return arith::SelectOp::create(e.b, e.compare("slt", column, e.i64(shape[0])), byte, e.constant(e.b.getI8Type(), 0));
}

} // namespace

void registerBlocks(llvm::StringMap<OpElementFn> &table) {
  table["graph.block_matmul"] = emitBlockMatmul;
  table["kernel.block_pack"] = emitBlockPack;
}

} // namespace onager
