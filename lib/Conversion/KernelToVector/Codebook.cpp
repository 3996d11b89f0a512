// Lookups in 16 numbers; see Codebook.h.
#include "lib/Conversion/KernelToVector/Codebook.h"
#include "llvm/ADT/Sequence.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLevels = 16, kLevelBits = 4, kHalf = 8;
static constexpr unsigned kAvx512Bytes = 64, kAvx2Bytes = 32;

Codebook::Codebook(UnitEmitter &e, Value address) : e(e), table(LLVM::LoadOp::create(e.b, VectorType::get({kLevels}, e.b.getF32Type()), address, 4)) {}

Value Codebook::lookUp(Value words) {
  unsigned bytes = e.options.target.vectorBytes;
  return bytes == kAvx512Bytes ? permute(words) : bytes == kAvx2Bytes ? permuteHalves(words) : choose(words);
}

Value Codebook::permute(Value words) {
  return LLVM::CallIntrinsicOp::create(e.b, table.getType(), e.b.getStringAttr("llvm.x86.avx512.permvar.sf.512"), ValueRange{table, words}).getResult(0);
}

/// Which words have a bit set.
Value Codebook::testBit(Value words, int64_t bit) {
  auto type = cast<VectorType>(words.getType());
  Value sign = arith::ConstantOp::create(e.b, DenseElementsAttr::get(type, static_cast<int32_t>(31 - bit)));
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(type));
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, arith::ShLIOp::create(e.b, words, sign), zero);
}

/// Eight words at a time in both halves of the table, of which their fourth bit chooses one.
Value Codebook::permuteHalves(Value words) {
  auto half = VectorType::get({kHalf}, e.b.getF32Type());
  auto shuffle = [&](Value low, Value high, int64_t first, int64_t count) -> Value {
    auto lanes = llvm::to_vector(llvm::seq(first, first + count));
    return vector::ShuffleOp::create(e.b, low, high, lanes);
  };
  auto slice = [&](Value whole, int64_t first) { return shuffle(whole, whole, first, kHalf); };
  SmallVector<Value> found;
  for (int64_t first : {int64_t(0), kHalf}) {
    Value some = slice(words, first);
    auto find = [&](int64_t begin) {
      return LLVM::CallIntrinsicOp::create(e.b, half, e.b.getStringAttr("llvm.x86.avx2.permps"), ValueRange{slice(table, begin), some}).getResult(0);
    };
    found.push_back(arith::SelectOp::create(e.b, testBit(some, kLevelBits - 1), find(kHalf), find(0)));
  }
  return shuffle(found[0], found[1], 0, kLevels);
}

/// From neighbours, which the lowest bit tells apart, up to halves of the table.
Value Codebook::choose(Value words) {
  SmallVector<Value> left;
  for (int64_t k = 0; k < kLevels; ++k)
    left.push_back(vector::BroadcastOp::create(e.b, table.getType(), vector::ExtractOp::create(e.b, table, k)));
  for (int64_t bit = 0; bit < kLevelBits; ++bit) {
    Value isSet = testBit(words, bit);
    SmallVector<Value> next;
    for (size_t k = 0; k < left.size(); k += 2)
      next.push_back(arith::SelectOp::create(e.b, isSet, left[k + 1], left[k]));
    left = std::move(next);
  }
  return left.front();
}

} // namespace onager
