// Vectors of bytes and their sums; see Int8Tile.h.
#include "lib/Conversion/KernelToVector/Int8Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

using kernel::kLaneSums;
using kernel::kQuad;
using kernel::kTileVectors;
using Vectors = Int8Vectors::Vectors;

/// Bytes that unpack and pack instructions do not cross.
static constexpr int64_t kLaneBytes = 16;
/// Above every sum that saturates, and small enough for 32 bits.
static constexpr double kLargest = 1e9;

Int8Vectors::Int8Vectors(ImplicitLocOpBuilder &b, kernel::Int8Layout layout) : b(b), layout(layout), width(layout.lanes * kQuad) {
  bytes = VectorType::get({width}, b.getI8Type());
  sums = VectorType::get({layout.lanes}, b.getI32Type());
  floats = VectorType::get({layout.lanes}, b.getF32Type());
  totals = layout.isBf16 ? floats : sums;
}

Value Int8Vectors::number(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }

Value Int8Vectors::at(Value base, Value offset) {
  return LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{offset});
}

Value Int8Vectors::load(Type type, Value address, unsigned alignment) { return LLVM::LoadOp::create(b, type, address, alignment); }
void Int8Vectors::store(Value value, Value address) { LLVM::StoreOp::create(b, value, address, 1); }

Value Int8Vectors::call(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, result, b.getStringAttr(name), operands).getResults();
}

StringRef Int8Vectors::pick(StringRef narrow, StringRef middle, StringRef wide) const { return layout.lanes == 4 ? narrow : layout.lanes == 8 ? middle : wide; }

Value Int8Vectors::splat(VectorType type, Value scalar) { return vector::BroadcastOp::create(b, type, scalar); }

Value Int8Vectors::flipSigns(Value x) {
  return arith::XOrIOp::create(b, x, arith::ConstantOp::create(b, DenseElementsAttr::get(cast<ShapedType>(x.getType()), static_cast<int8_t>(kSignFlip))));
}

Value Int8Vectors::shuffle(Value x, Value y, function_ref<int64_t(int64_t)> element, int64_t count) {
  SmallVector<int64_t> chosen;
  for (int64_t k = 0; k < count; ++k)
    chosen.push_back(element(k));
  return vector::ShuffleOp::create(b, x, y, chosen);
}

/// Takes units of bytes in turn from the low or high halves of the lanes of two vectors.
Value Int8Vectors::unpack(Value x, Value y, int64_t unit, bool isHigh) {
  return shuffle(x, y, [&](int64_t k) {
    int64_t lane = k / kLaneBytes, inside = k % kLaneBytes, place = inside / unit;
    int64_t source = lane * kLaneBytes + (isHigh ? kLaneBytes / 2 : 0) + place / 2 * unit + inside % unit;
    return place % 2 ? width + source : source;
  }, width);
}

Vectors Int8Vectors::interleave(ArrayRef<Value> rows) {
  Vectors quads;
  for (bool isHigh : {false, true}) {
    Value first = unpack(rows[0], rows[1], 1, isHigh), second = unpack(rows[2], rows[3], 1, isHigh);
    quads.push_back(unpack(first, second, 2, false));
    quads.push_back(unpack(first, second, 2, true));
  }
  return quads;
}

Vectors Int8Vectors::slide(Value address, int64_t stride, int64_t dilation) {
  if (!readsNeighbours(stride, dilation)) {
    Vectors quads;
    for (int64_t v = 0; v < kTileVectors; ++v) {
      Value source = load(bytes, at(address, v * layout.lanes * stride));
      quads.push_back(shuffle(source, source, [&](int64_t k) { return k / kQuad * stride + k % kQuad * dilation; }, width));
    }
    return quads;
  }
  Value low = load(bytes, address), high = load(bytes, at(address, (kTileVectors - 1) * kLaneSums));
  Vectors quads;
  for (int64_t v = 0; v < kTileVectors; ++v) {
    bool isLast = v == kTileVectors - 1;
    Value source = isLast ? high : low;
    int64_t first = isLast ? 0 : v * kLaneSums;
    quads.push_back(shuffle(source, source, [&](int64_t k) { return k / kLaneBytes * kLaneBytes + first + k % kLaneBytes / kQuad + k % kQuad; }, width));
  }
  return quads;
}

Vectors Int8Vectors::widen(Value quads) {
  if (!layout.isPaired)
    return {quads};
  auto pairs = VectorType::get({2 * layout.lanes}, b.getI16Type());
  Value words = vector::BitCastOp::create(b, pairs, quads);
  Value low = arith::ConstantOp::create(b, DenseElementsAttr::get(pairs, static_cast<int16_t>(0xff)));
  Value shift = arith::ConstantOp::create(b, DenseElementsAttr::get(pairs, static_cast<int16_t>(8)));
  return {arith::AndIOp::create(b, words, low), arith::ShRUIOp::create(b, words, shift)};
}

Value Int8Vectors::spread(Value word) {
  Value all = splat(sums, word);
  return vector::BitCastOp::create(b, layout.isPaired ? VectorType::get({2 * layout.lanes}, b.getI16Type()) : bytes, all);
}

/// One number of each pair as f32, whose upper half it is.
Value Int8Vectors::takeHalf(Value pairs, int64_t half) {
  Value words = vector::BitCastOp::create(b, sums, pairs), constant = splat(sums, arith::ConstantIntOp::create(b, half ? -65536 : 16, 32));
  Value upper = half ? Value(arith::AndIOp::create(b, words, constant)) : Value(arith::ShLIOp::create(b, words, constant));
  return vector::BitCastOp::create(b, floats, upper);
}

Value Int8Vectors::multiplyAdd(Value total, Value x, Value weights, int64_t half) {
  if (layout.isBf16 && !layout.hasDot)
    return vector::FMAOp::create(b, takeHalf(x, half), takeHalf(weights, half), total);
  if (layout.isBf16) {
    auto pairs = VectorType::get({2 * layout.lanes}, b.getBF16Type());
    auto read = [&](Value all) { return vector::BitCastOp::create(b, pairs, all); };
    return call("llvm.x86.avx512bf16.dpbf16ps.512", floats, {total, read(x), read(weights)});
  }
  if (!layout.isPaired)
    return call("llvm.x86.avx512.vpdpbusd.512", sums, {total, x, weights});
  Value products = call(pick("llvm.x86.sse2.pmadd.wd", "llvm.x86.avx2.pmadd.wd", "llvm.x86.avx512.pmaddw.d.512"), sums, {x, weights});
  return arith::AddIOp::create(b, total, products);
}

Value Int8Vectors::toIntegers(Value numbers) {
  if (layout.lanes < 16)
    return call(pick("llvm.x86.sse2.cvtps2dq", "llvm.x86.avx.cvt.ps2dq.256", ""), sums, {numbers});
  Value none = arith::ConstantOp::create(b, b.getZeroAttr(sums)), all = arith::ConstantIntOp::create(b, -1, 16), current = arith::ConstantIntOp::create(b, 4, 32);
  return call("llvm.x86.avx512.mask.cvtps2dq.512", sums, {numbers, none, all, current});
}

Value Int8Vectors::toBytes(ArrayRef<Value> totals, ArrayRef<Value> scales, ArrayRef<Value> offsets, const Rounding &rounding) {
  Value largest = arith::ConstantOp::create(b, DenseElementsAttr::get(floats, static_cast<float>(kLargest)));
  Vectors integers;
  for (int64_t v = 0; v < kTileVectors; ++v) {
    Value scaled = vector::FMAOp::create(b, arith::SIToFPOp::create(b, floats, totals[v]), scales[v], offsets[v]);
    // A number beyond 32 bits becomes the lowest integer, which is right below zero only.
    Value isLarge = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, scaled, largest);
    integers.push_back(toIntegers(arith::SelectOp::create(b, isLarge, largest, scaled)));
  }
  auto words = VectorType::get({2 * layout.lanes}, b.getI16Type());
  Vectors halves;
  for (int64_t k = 0; k < kTileVectors; k += 2) {
    Value both = call(pick("llvm.x86.sse2.packssdw.128", "llvm.x86.avx2.packssdw", "llvm.x86.avx512.packssdw.512"), words, {integers[k], integers[k + 1]});
    halves.push_back(LLVM::SAddSat::create(b, words, both, rounding.zero));
  }
  StringRef asSigned = pick("llvm.x86.sse2.packsswb.128", "llvm.x86.avx2.packsswb", "llvm.x86.avx512.packsswb.512");
  StringRef asUnsigned = pick("llvm.x86.sse2.packuswb.128", "llvm.x86.avx2.packuswb", "llvm.x86.avx512.packuswb.512");
  Value packed = call(rounding.isSigned ? asSigned : asUnsigned, bytes, halves);
  // Packing takes four sums of each vector in turn.
  if (rounding.isInOrder)
    packed = shuffle(packed, packed, [&](int64_t k) { return getPackedPlace(k); }, width);
  if (rounding.isSigned)
    return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, packed, rounding.low), rounding.high);
  return arith::MinUIOp::create(b, arith::MaxUIOp::create(b, packed, rounding.low), rounding.high);
}

/// Where packing puts element k of a tile whose vectors follow each other.
int64_t Int8Vectors::getPackedPlace(int64_t k) const { return kernel::getLaneColumn(k / layout.lanes, k % layout.lanes); }

Value Int8Vectors::putInOrder(ArrayRef<Value> vectors, bool isInOrder) {
  int64_t lanes = layout.lanes;
  auto append = [](int64_t k) { return k; };
  Value low = shuffle(vectors[0], vectors[1], append, 2 * lanes), high = shuffle(vectors[2], vectors[3], append, 2 * lanes);
  if (isInOrder)
    return shuffle(low, high, append, layout.getTile());
  SmallVector<int64_t> chosen(layout.getTile());
  for (int64_t v = 0; v < kTileVectors; ++v)
    for (int64_t k = 0; k < lanes; ++k)
      chosen[kernel::getLaneColumn(v, k)] = v * lanes + k;
  return vector::ShuffleOp::create(b, low, high, chosen);
}

Vectors Int8Vectors::loadTile(Type element, Value address) {
  int64_t lanes = layout.lanes;
  Value all = load(VectorType::get({layout.getTile()}, element), address, 4);
  Vectors vectors;
  for (int64_t v = 0; v < kTileVectors; ++v)
    vectors.push_back(shuffle(all, all, [&](int64_t k) { return kernel::getLaneColumn(v, k); }, lanes));
  return vectors;
}

Value getByteAddress(UnitEmitter &e, Value base, Value offset) { return e.address(e.b.getI8Type(), base, offset); }

/// The first `count` bytes of a vector, all where it has fewer, none where it is not positive.
static Value getByteMask(UnitEmitter &e, Value count) {
  int64_t width = e.options.target.vectorBytes;
  SmallVector<Attribute> lanes;
  for (int64_t k = 0; k < width; ++k)
    lanes.push_back(e.b.getI8IntegerAttr(static_cast<int8_t>(k)));
  Value numbers = arith::ConstantOp::create(e.b, DenseElementsAttr::get(VectorType::get({width}, e.b.getI8Type()), lanes));
  Value clamped = arith::TruncIOp::create(e.b, e.b.getI8Type(), e.clamp(count, e.i64(0), e.i64(width)));
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, numbers, vector::BroadcastOp::create(e.b, numbers.getType(), clamped));
}

/// Calls `body` with each vector's offset, and a mask for the last one; a target without masks for bytes gets single bytes.
static void forBytes(UnitEmitter &e, Value count, function_ref<void(Value offset, Value mask)> vectors, function_ref<void(Value offset)> single) {
  int64_t width = e.options.target.vectorBytes;
  Value full = e.mul(e.floorDiv(count, e.i64(width)), e.i64(width));
  e.forEach(e.i64(0), full, width, [&](Value offset) { vectors(offset, {}); });
  if (width < 64)
    return e.forEachParallel(full, count, single);
  e.ifThen(e.compare("slt", full, count), [&] { vectors(full, getByteMask(e, e.sub(count, full))); });
}

void copyBytes(UnitEmitter &e, Value to, Value from, Value count, bool flip) {
  Int8Vectors v(e.b, {static_cast<int64_t>(e.options.target.vectorBytes) / kQuad, false});
  Type i8 = e.b.getI8Type();
  auto copyVector = [&](Value offset, Value mask) {
    Value source = getByteAddress(e, from, offset), target = getByteAddress(e, to, offset);
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(v.bytes));
    Value x = mask ? Value(LLVM::MaskedLoadOp::create(e.b, v.bytes, source, mask, zero, 1u)) : v.load(v.bytes, source);
    x = flip ? v.flipSigns(x) : x;
    if (mask)
      LLVM::MaskedStoreOp::create(e.b, x, target, mask, 1u);
    else
      v.store(x, target);
  };
  forBytes(e, count, copyVector, [&](Value offset) {
    Value x = e.load(i8, from, offset);
    e.store(i8, to, offset, flip ? Value(arith::XOrIOp::create(e.b, x, e.constant(i8, kSignFlip - 256))) : x);
  });
}

/// Copies every second byte, a vector of them at a time, for targets with masks for bytes.
static void copyEvenBytes(UnitEmitter &e, Value to, Value from, Value count, bool flip) {
  Int8Vectors v(e.b, {static_cast<int64_t>(e.options.target.vectorBytes) / kQuad, false});
  int64_t width = e.options.target.vectorBytes;
  SmallVector<int64_t> even;
  for (int64_t k = 0; k < width; ++k)
    even.push_back(2 * k);
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(v.bytes));
  e.forEach(e.i64(0), count, width, [&](Value offset) {
    Value left = e.sub(count, offset), behind = e.sub(e.mul(left, e.i64(2)), e.i64(1));
    auto load = [&](int64_t first) -> Value {
      Value address = getByteAddress(e, from, e.add(e.mul(offset, e.i64(2)), e.i64(first)));
      return LLVM::MaskedLoadOp::create(e.b, v.bytes, address, getByteMask(e, e.sub(behind, e.i64(first))), zero, 1u);
    };
    Value low = load(0), high = load(width), x = vector::ShuffleOp::create(e.b, low, high, even);
    LLVM::MaskedStoreOp::create(e.b, flip ? v.flipSigns(x) : x, getByteAddress(e, to, offset), getByteMask(e, left), 1u);
  });
}

void copyStridedBytes(UnitEmitter &e, Value to, Value from, Value count, int64_t stride, bool flip) {
  if (stride == 2 && e.options.target.vectorBytes >= 64)
    return copyEvenBytes(e, to, from, count, flip);
  Type i8 = e.b.getI8Type();
  e.forEachParallel(e.i64(0), count, [&](Value k) {
    Value x = e.load(i8, from, e.mul(k, e.i64(stride)));
    e.store(i8, to, k, flip ? Value(arith::XOrIOp::create(e.b, x, e.constant(i8, kSignFlip - 256))) : x);
  });
}

void copyPhase(UnitEmitter &e, Value to, Value rows, Value pitch, const BytePlane &plane, const kernel::Int8Window &window, int64_t phase, Value first, bool flip) {
  int64_t strideY = window.strides[0], strideX = window.strides[1];
  // Row r of the phase is row r * stride + shift of the input; so are columns.
  Value shiftY = e.sub(e.i64(phase / strideX), plane.top), shiftX = e.sub(e.i64(phase % strideX), plane.left);
  auto ceilDiv = [&](Value x, int64_t stride) { return e.floorDiv(e.add(e.maxSigned(x, e.i64(0)), e.i64(stride - 1)), e.i64(stride)); };
  Value column = ceilDiv(e.sub(e.i64(0), shiftX), strideX), lastColumn = e.minSigned(ceilDiv(e.sub(plane.columns, shiftX), strideX), pitch);
  Value firstRow = e.sub(ceilDiv(e.sub(e.i64(0), shiftY), strideY), first), lastRow = e.sub(ceilDiv(e.sub(plane.rows, shiftY), strideY), first);
  Value count = e.maxSigned(e.sub(lastColumn, column), e.i64(0));
  e.forEach(e.maxSigned(firstRow, e.i64(0)), e.minSigned(lastRow, rows), 1, [&](Value row) {
    Value y = e.add(e.mul(e.add(first, row), e.i64(strideY)), shiftY), x = e.add(e.mul(column, e.i64(strideX)), shiftX);
    Value source = getByteAddress(e, plane.base, e.add(e.mul(y, plane.columns), x)), target = getByteAddress(e, to, e.add(e.mul(row, pitch), column));
    if (strideX == 1)
      copyBytes(e, target, source, count, flip);
    else
      copyStridedBytes(e, target, source, count, strideX, flip);
  });
}

void fillBytes(UnitEmitter &e, Value to, Value count, int64_t byte) {
  auto type = VectorType::get({64}, e.b.getI8Type());
  Value all = arith::ConstantOp::create(e.b, DenseElementsAttr::get(type, static_cast<int8_t>(byte)));
  e.forEach(e.i64(0), count, 64, [&](Value offset) { LLVM::StoreOp::create(e.b, all, getByteAddress(e, to, offset), 1); });
}

} // namespace onager
