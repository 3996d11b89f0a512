// Reading weights of few bits; see BlockPanels.h.
#include "lib/Conversion/KernelToVector/BlockPanels.h"
#include "lib/Conversion/KernelToVector/StridedRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

using kernel::kQuad;
using kernel::kPanelWidth;

static constexpr int64_t kStepBytes = kPanelWidth * kQuad;

BlockPanels::BlockPanels(UnitEmitter &e, const BlockShape &shape) : e(e), s(shape) {
  floats = VectorType::get({kPanelWidth}, e.b.getF32Type());
  words = VectorType::get({kPanelWidth}, e.b.getI32Type());
  bytes = VectorType::get({kStepBytes}, e.b.getI8Type());
  packed = e.getBuffer(s.packed);
  scales = e.getBuffer(s.scales);
  if (s.zeros)
    zeros = e.getBuffer(s.zeros);
  else
    codebook.emplace(e, e.getBuffer(s.levels));
}

bool BlockPanels::hasByteZeros() const { return s.zeros && getStored(s.zeros).isInteger(8); }

Value BlockPanels::splat(Value scalar) { return vector::BroadcastOp::create(e.b, VectorType::get({kPanelWidth}, scalar.getType()), scalar); }

void BlockPanels::prefetch(Value address, CacheLevel level) { onager::prefetch(e.b, address, level); }

Value BlockPanels::getPanel(Value panel) { return e.address(e.b.getI8Type(), packed, e.mul(panel, e.i64(getPanelBytes()))); }

Value BlockPanels::loadStep(Value address) { return LLVM::LoadOp::create(e.b, bytes, address, 1); }

SmallVector<Value, 2> BlockPanels::split(Value step) {
  if (s.bits == 8)
    return {step};
  auto all = [&](int8_t value) -> Value { return arith::ConstantOp::create(e.b, DenseElementsAttr::get(bytes, value)); };
  return {arith::AndIOp::create(e.b, step, all(15)), arith::ShRUIOp::create(e.b, step, all(4))};
}

/// The levels of a step's numbers: k + j is in the bits from 8 j on of a column's four bytes, k + 4 + j in those from 8 j + 4 on.
SmallVector<Value, 8> BlockPanels::lookUp(Value step) {
  SmallVector<Value, 8> found;
  Value columns = vector::BitCastOp::create(e.b, words, step);
  for (int64_t high : {0, 4})
    for (int64_t j = 0; j < kQuad; ++j) {
      int64_t shift = 8 * j + high;
      found.push_back(codebook->lookUp(shift ? Value(arith::ShRUIOp::create(e.b, columns, splat(arith::ConstantIntOp::create(e.b, shift, 32)))) : columns));
    }
  return found;
}

SmallVector<Value, 8> BlockPanels::widen(Value step) {
  if (codebook)
    return lookUp(step);
  SmallVector<Value, 8> numbers;
  Value none = arith::ConstantOp::create(e.b, e.b.getZeroAttr(bytes));
  for (Value quads : split(step))
    for (int64_t j = 0; j < kQuad; ++j) {
      SmallVector<int64_t> chosen;
      for (int64_t k = 0; k < kStepBytes; ++k)
        chosen.push_back(k % kQuad ? kStepBytes : k + j);
      Value wide = vector::BitCastOp::create(e.b, words, vector::ShuffleOp::create(e.b, quads, none, chosen));
      numbers.push_back(arith::SIToFPOp::create(e.b, floats, wide));
    }
  return numbers;
}

/// Where a block's numbers lie in `numbers`, a tensor of them at `base`.
Value BlockPanels::getNumbers(Value numbers, Value base, Value panel, Value block) {
  Type stored = getStored(numbers);
  return e.address(stored, e.address(stored, base, e.mul(panel, e.i64(s.blocks * kPanelWidth))), e.mul(block, e.i64(kPanelWidth)));
}

Value BlockPanels::loadScales(Value panel, Value block) {
  Value place = getNumbers(s.scales, scales, panel, block);
  if (!getStored(s.scales).isBF16())
    return LLVM::LoadOp::create(e.b, floats, place, 4);
  Value upper = arith::ExtUIOp::create(e.b, words, LLVM::LoadOp::create(e.b, VectorType::get({kPanelWidth}, e.b.getI16Type()), place, 2));
  return vector::BitCastOp::create(e.b, floats, arith::ShLIOp::create(e.b, upper, splat(arith::ConstantIntOp::create(e.b, 16, 32))));
}

Value BlockPanels::loadByteZeros(Value panel, Value block) {
  Value narrow = LLVM::LoadOp::create(e.b, VectorType::get({kPanelWidth}, e.b.getI8Type()), getNumbers(s.zeros, zeros, panel, block), 1);
  return arith::ExtUIOp::create(e.b, words, narrow);
}

Value BlockPanels::loadZeros(Value panel, Value block) {
  if (hasByteZeros())
    return arith::SIToFPOp::create(e.b, floats, loadByteZeros(panel, block));
  return LLVM::LoadOp::create(e.b, floats, getNumbers(s.zeros, zeros, panel, block), 4);
}

void BlockPanels::prefetchNumbers(Value panel, Value ahead) {
  prefetch(getNumbers(s.scales, scales, panel, ahead), CacheLevel::first);
  prefetch(getNumbers(s.zeros, zeros, panel, ahead), CacheLevel::first);
}

} // namespace onager
