// Products of fixed-point numbers with weights of few bits; see BlockDigits.h.
//
//   scratch := digits, chunks, exponents
//   digits    := for each row, for each of three digits: K bytes, filled up to whole blocks with 0
//   chunks    := for each row, for each chunk: what takes the zero point off each digit's sum (3 x i32; or the sum of x, f32), 2^e (f32)
//   exponents := for each row: 2^e (f32)
#include "lib/Conversion/KernelToVector/BlockDigits.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth, kDigits = 3, kDigitBits = 8;
/// Numbers of a chunk at most: sums stay below 2^30.
static constexpr int64_t kLongestChunk = 128;
/// Words of a chunk in scratch, and which of them is its scale.
static constexpr int64_t kChunkWords = 4, kScaleWord = 3;
/// Steps that are written out at a time.
static constexpr int64_t kMostSteps = 8;
/// How far ahead weights are prefetched: panels cross the pages of a file soon, where the processor stops.
struct Ahead {
  int64_t bytes;
  CacheLevel level;
};
/// Weights of 8 bits wait for memory more than for products: their lines go to the first-level cache at once. Those of fewer bits wait for both: the
/// second-level cache holds more requests, and what it takes to answer hides behind products.
static Ahead getAhead(const BlockShape &s) { return s.bits == 8 ? Ahead{4096, CacheLevel::first} : Ahead{8192, CacheLevel::second}; }
/// Blocks whose scales and zero points are prefetched ahead.
static constexpr int64_t kPrefetchBlocks = 16;

// The bits of f32.
static constexpr int64_t kMantissaBits = 23, kBias = 127, kMagnitude = 0x7fffffff, kInfinity = 0x7f800000;
/// Bits of a number's magnitude, at most: the largest |x| of a chunk is below 2^22 quanta, or below 2^23 - 2^15 where digits hold that.
static constexpr int64_t kNumberBits = 22;
/// Added to the bits of |x|, raises the exponent of those that would be above 0x7f7f7f quanta, the largest number of three digits.
static constexpr int64_t kTooLarge = 0x10101;
/// Exponents below a row's that chunks have at most.
static constexpr int64_t kExponentRange = 104;

static int64_t getChunk(const BlockShape &s) { return std::min(s.block, kLongestChunk); }

static int64_t getDigitBytes(const BlockShape &s, int64_t rows) { return static_cast<int64_t>(llvm::alignTo(rows * kDigits * s.getPaddedDepth(), 64)); }
static int64_t getChunkBytes(const BlockShape &s, int64_t rows) { return rows * (s.getPaddedDepth() / getChunk(s)) * kChunkWords * 4; }

int64_t BlockDigits::getScratchBytes(const BlockShape &s, int64_t rows) {
  return static_cast<int64_t>(llvm::alignTo(getDigitBytes(s, rows) + getChunkBytes(s, rows) + rows * 4, 64));
}

BlockDigits::BlockDigits(UnitEmitter &e, const BlockShape &shape, BlockPanels &weights, Value scratch, int64_t mostRows)
    : e(e), s(shape), weights(weights), vectors(e.b, {kLanes, false}), chunk(getChunk(shape)), digits(scratch) {
  numbers = getByteAddress(e, scratch, e.i64(getDigitBytes(s, mostRows)));
  rowScales = getByteAddress(e, numbers, e.i64(getChunkBytes(s, mostRows)));
}

Value BlockDigits::word(int64_t value) { return arith::ConstantIntOp::create(e.b, value, 32); }
Value BlockDigits::asFloat(Value bits) { return arith::BitcastOp::create(e.b, e.b.getF32Type(), bits); }

/// The bits of |x|, which are in the order of the magnitudes; infinity and NaN are above all numbers.
Value BlockDigits::getMagnitude(Value x) { return arith::AndIOp::create(e.b, vector::BitCastOp::create(e.b, weights.words, x), weights.splat(word(kMagnitude))); }

/// The largest of the magnitudes of a whole number of vectors.
Value BlockDigits::findLargest(Value x, int64_t count) {
  Value none = arith::ConstantOp::create(e.b, e.b.getZeroAttr(weights.words));
  Value largest = e.forLoop(e.i64(0), e.i64(count), kLanes, none, [&](Value k, ValueRange running) {
    Value loaded = LLVM::LoadOp::create(e.b, weights.floats, e.address(e.b.getF32Type(), x, k), 4);
    return SmallVector<Value>{arith::MaxSIOp::create(e.b, running[0], getMagnitude(loaded))};
  })[0];
  return vector::ReductionOp::create(e.b, vector::CombiningKind::MAXSI, largest);
}

Value BlockDigits::convert(const BlockRows &x) {
  Value worst = e.forLoop(e.i64(0), x.count, 1, word(0), [&](Value row, ValueRange running) {
    Value base = e.address(e.b.getF32Type(), x.base, e.mul(row, e.i64(x.stride))), largest = findLargest(base, s.getPaddedDepth());
    Value exponent = arith::MaxSIOp::create(e.b, arith::ShRUIOp::create(e.b, largest, word(kMantissaBits)), word(1));
    e.store(e.b.getF32Type(), rowScales, row, asFloat(arith::ShLIOp::create(e.b, exponent, word(kMantissaBits))));
    e.forEach(e.i64(0), e.i64(getChunks()), 1, [&](Value number) { convertChunk(e.address(e.b.getF32Type(), base, e.mul(number, e.i64(chunk))), row, number, exponent); });
    return SmallVector<Value>{arith::MaxSIOp::create(e.b, running[0], largest)};
  })[0];
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, worst, word(kInfinity));
}

/// Where a chunk's words begin.
Value BlockDigits::getPlace(Value row, Value number) { return e.mul(e.add(e.mul(row, e.i64(getChunks())), number), e.i64(kChunkWords)); }

/// Where a digit of a row's chunk begins.
Value BlockDigits::getDigits(Value row, int64_t digit, Value number) {
  return getByteAddress(e, digits, e.add(e.mul(e.add(e.mul(row, e.i64(kDigits)), e.i64(digit)), e.i64(s.getPaddedDepth())), e.mul(number, e.i64(chunk))));
}

void BlockDigits::convertChunk(Value x, Value row, Value number, Value rowExponent) {
  auto sub = [&](Value a, Value c) -> Value { return arith::SubIOp::create(e.b, a, c); };
  auto add = [&](Value a, Value c) -> Value { return arith::AddIOp::create(e.b, a, c); };
  auto power = [&](Value exponent) { return asFloat(arith::ShLIOp::create(e.b, add(exponent, word(kBias)), word(kMantissaBits))); };
  Values loaded;
  Value largest;
  for (int64_t k = 0; k < chunk; k += kLanes) {
    loaded.push_back(LLVM::LoadOp::create(e.b, weights.floats, e.address(e.b.getF32Type(), x, e.i64(k)), 4));
    Value magnitude = getMagnitude(loaded.back());
    largest = largest ? Value(arith::MaxSIOp::create(e.b, largest, magnitude)) : magnitude;
  }
  Value bits = add(vector::ReductionOp::create(e.b, vector::CombiningKind::MAXSI, largest), word(kTooLarge));
  Value lowest = arith::MaxSIOp::create(e.b, sub(rowExponent, word(kExponentRange)), word(0));
  Value exponent = arith::MaxSIOp::create(e.b, arith::ShRUIOp::create(e.b, bits, word(kMantissaBits)), lowest);
  // 1 / quantum may be beyond f32: two factors.
  Value inverse = sub(word(kBias + kNumberBits), exponent), half = arith::ShRSIOp::create(e.b, inverse, word(1));
  Value first = weights.splat(power(half)), second = weights.splat(power(sub(inverse, half)));
  Value shift = weights.splat(word(kDigitBits)), rounding = weights.splat(word(1 << (kDigitBits - 1))), place = getPlace(row, number);
  auto narrow = VectorType::get({kLanes}, e.b.getI8Type());
  Values sums(kDigits);
  for (auto [k, values] : llvm::enumerate(loaded)) {
    Value left = vectors.toIntegers(arith::MulFOp::create(e.b, arith::MulFOp::create(e.b, values, first), second));
    for (int64_t digit = 0; digit < kDigits; ++digit) {
      vectors.store(arith::TruncIOp::create(e.b, narrow, left), getByteAddress(e, getDigits(row, digit, number), e.i64(static_cast<int64_t>(k) * kLanes)));
      sums[digit] = sums[digit] ? add(sums[digit], left) : left;
      left = arith::ShRSIOp::create(e.b, add(left, rounding), shift);
    }
  }
  // Each sum is of what was left with the digit: 2^8 times the next one's and the digit's own.
  for (Value &sum : sums)
    sum = vector::ReductionOp::create(e.b, vector::CombiningKind::ADD, sum);
  for (int64_t digit = 0; digit < kDigits && weights.hasByteZeros(); ++digit) {
    Value own = digit + 1 < kDigits ? sub(sums[digit], arith::ShLIOp::create(e.b, sums[digit + 1], word(kDigitBits))) : sums[digit];
    e.store(e.b.getI32Type(), numbers, e.add(place, e.i64(digit)), sub(word(0), own));
  }
  if (!weights.hasByteZeros())
    e.store(e.b.getF32Type(), numbers, place, arith::SIToFPOp::create(e.b, e.b.getF32Type(), sums[0]));
  e.store(e.b.getF32Type(), numbers, e.add(place, e.i64(kScaleWord)), power(sub(sub(exponent, rowExponent), word(kNumberBits))));
}

/// Rows whose sums with a panel are in registers at a time, in the order rows, digits.
struct BlockDigits::Tile {
  Values rows; ///< numbers of the rows
  Value panel; ///< number of the panel, and where it begins
  Value begin;
};

/// Sums that begin with -z times the digits' sum.
BlockDigits::Values BlockDigits::startSums(const Tile &tile, Value number, Value block) {
  Values sums(tile.rows.size() * kDigits, arith::ConstantOp::create(e.b, e.b.getZeroAttr(weights.words)));
  if (!weights.hasByteZeros())
    return sums;
  auto pairs = VectorType::get({2 * kLanes}, e.b.getI16Type());
  auto asPairs = [&](Value words) { return vector::BitCastOp::create(e.b, pairs, words); };
  size_t next = 0;
  Value zeros = asPairs(weights.loadByteZeros(tile.panel, block));
  for (Value row : tile.rows)
    for (int64_t digit = 0; digit < kDigits; ++digit) {
      Value sum = weights.splat(e.load(e.b.getI32Type(), numbers, e.add(getPlace(row, number), e.i64(digit))));
      sums[next++] = LLVM::CallIntrinsicOp::create(e.b, weights.words, e.b.getStringAttr("llvm.x86.avx512.pmaddw.d.512"), ValueRange{zeros, asPairs(sum)}).getResult(0);
    }
  return sums;
}

/// Adds the products of a step; `step` is in bytes of the panels.
void BlockDigits::advance(const Tile &tile, Value number, Value step, Values &sums) {
  int64_t stepBytes = kLanes * kernel::kQuad;
  Value inChunk = e.mul(e.floorDiv(step, e.i64(stepBytes)), e.i64(s.getStepNumbers())), at = e.mul(number, e.i64(chunk / s.getStepNumbers() * stepBytes));
  Value place = getByteAddress(e, getByteAddress(e, tile.begin, at), step);
  // Panels follow each other: behind a panel's end comes the next one.
  Ahead ahead = getAhead(s);
  weights.prefetch(getByteAddress(e, place, e.i64(ahead.bytes)), ahead.level);
  for (auto [quad, bytes] : llvm::enumerate(weights.split(weights.loadStep(place))))
    for (auto [i, row] : llvm::enumerate(tile.rows))
      for (int64_t digit = 0; digit < kDigits; ++digit) {
        Value source = getByteAddress(e, getDigits(row, digit, number), e.add(inChunk, e.i64(static_cast<int64_t>(quad) * kernel::kQuad)));
        Value &sum = sums[i * kDigits + static_cast<size_t>(digit)];
        sum = vectors.multiplyAdd(sum, bytes, vectors.spread(vectors.load(e.b.getI32Type(), source, 4)));
      }
}

/// The digits' sums over a chunk.
BlockDigits::Values BlockDigits::sumChunk(const Tile &tile, Value number, Value block) {
  int64_t stepBytes = kLanes * kernel::kQuad, steps = chunk / s.getStepNumbers(), unrolled = std::min(steps, kMostSteps);
  auto some = [&](Value first, ValueRange running) {
    Values sums(running);
    for (int64_t k = 0; k < unrolled; ++k)
      advance(tile, number, e.add(first, e.i64(k * stepBytes)), sums);
    return sums;
  };
  Values start = startSums(tile, number, block);
  return steps == unrolled ? some(e.i64(0), start) : e.forLoop(e.i64(0), e.i64(steps * stepBytes), unrolled * stepBytes, start, some);
}

BlockDigits::Values BlockDigits::addChunk(const Tile &tile, Value number, ValueRange totals) {
  Value block = chunk == s.block ? number : e.floorDiv(number, e.i64(s.block / chunk));
  Values sums = sumChunk(tile, number, block), next;
  Value shift = weights.splat(word(kDigitBits)), radix = weights.splat(e.constant(e.b.getF32Type(), 1 << kDigitBits));
  auto toFloat = [&](Value integers) -> Value { return arith::SIToFPOp::create(e.b, weights.floats, integers); };
  auto multiplyAdd = [&](Value a, Value c, Value sum) -> Value { return vector::FMAOp::create(e.b, a, c, sum); };
  Value scales = weights.loadScales(tile.panel, block);
  weights.prefetchNumbers(tile.panel, e.add(block, e.i64(kPrefetchBlocks)));
  for (auto [i, row] : llvm::enumerate(tile.rows)) {
    Value place = getPlace(row, number), quantum = weights.splat(e.load(e.b.getF32Type(), numbers, e.add(place, e.i64(kScaleWord))));
    size_t first = i * kDigits;
    Value upper = arith::AddIOp::create(e.b, arith::ShLIOp::create(e.b, sums[first + 2], shift), sums[first + 1]);
    Value sum = multiplyAdd(toFloat(upper), radix, toFloat(sums[first]));
    if (!weights.hasByteZeros()) {
      Value all = weights.splat(e.load(e.b.getF32Type(), numbers, place));
      sum = multiplyAdd(arith::NegFOp::create(e.b, all), weights.loadZeros(tile.panel, block), sum);
    }
    next.push_back(multiplyAdd(sum, arith::MulFOp::create(e.b, scales, quantum), totals[i]));
  }
  return next;
}

void BlockDigits::multiply(Value row, int64_t rows, Value panel, Value place, int64_t width) {
  Tile tile{{}, panel, weights.getPanel(panel)};
  for (int64_t i = 0; i < rows; ++i)
    tile.rows.push_back(e.add(row, e.i64(i)));
  Values zero(tile.rows.size(), arith::ConstantOp::create(e.b, e.b.getZeroAttr(weights.floats)));
  Values totals = e.forLoop(e.i64(0), e.i64(getChunks()), 1, zero, [&](Value number, ValueRange running) { return addChunk(tile, number, running); });
  for (auto [i, total] : llvm::enumerate(totals)) {
    Value scale = weights.splat(e.load(e.b.getF32Type(), rowScales, tile.rows[i])), to = e.address(e.b.getF32Type(), place, e.i64(static_cast<int64_t>(i) * width));
    LLVM::StoreOp::create(e.b, arith::MulFOp::create(e.b, total, scale), to, 4);
  }
}

} // namespace onager
