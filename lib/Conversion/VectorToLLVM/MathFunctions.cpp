// Math functions of f32 and f64; see MathFunctions.h. Polynomials are least-maximum fits over the ranges named beside them, or series.
//
// Of f32, all but exp are computed in f64 and rounded once. The loop vectoriser turns the arithmetic into vector code: there is no branch in it and no
// conversion between floats and 64-bit integers, for which AVX2 has no instruction. An integer n is read from the low bits of n + kMagic instead.
#include "lib/Conversion/VectorToLLVM/MathFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace mlir;

namespace onager {

namespace {

constexpr char kCircleTable[] = "onager_circle_table";
/// The largest power of two in an f32 whose significand is a whole number.
constexpr int64_t kCircleEntries = 105;
constexpr double kMagic = 6755399441055744.0; ///< 1.5 * 2^52

// pi / 2: 26 bits, 26 more, the rest.
constexpr double kHalfPi[] = {1.5707963109016418, 1.5893254712295857e-08, 6.123233995736766e-17};
// sin(r) / r and cos(r) in r^2, |r| up to pi / 4; asin(s) / s in s^2 up to 1/4; atan(z) / z in z^2 up to 1.
constexpr double kSin[] = {0.9999999999956792, -0.16666666631621532, 0.008333328784697459, -0.00019839202734345512, 2.7173494404370466e-06};
constexpr double kCos[] = {0.9999999999999447, -0.49999999999352435, 0.041666666544042136, -0.001388888039894978, 2.4798929672737456e-05, -2.7173490201167307e-07};
constexpr double kAsin[] = {0.9999999999845387, 0.16666667435882473, 0.07499937293226702, 0.04466225219778011,
                            0.030089740080842038, 0.024725995529198744, 0.007181864464465456, 0.03499943454219625};
constexpr double kAtan[] = {0.999999999947389, -0.3333333172087891, 0.19999918062974167, -0.14284074857745407, 0.11093996170688951, -0.08983770409053801,
                            0.07256012126571296, -0.05447174813291597, 0.034441132730258346, -0.016284422822908647, 0.004923754831093839, -0.0006980469336404254};
// e^r for |r| up to ln(2) / 2; log((1 + s) / (1 - s)) / s in s^2 for m = (1 + s) / (1 - s) from sqrt(1/2) to sqrt(2).
constexpr double kExp[] = {0.9999999999997586, 0.9999999999804596, 0.5000000000623559, 0.16666666886813858, 0.04166666420414916,
                           0.008333266759273601, 0.001388917994391497, 0.00019915573484058596, 2.4727013311935784e-05};
constexpr double kLog[] = {1.999999999998622, 0.6666666692658342, 0.39999926199176983, 0.2857877788858362, 0.21915638391369716, 0.2314028448200778};
// (e^r - 1 - r) / r^2 for |r| up to ln 2, in f32.
constexpr double kExpTail[] = {0.5000000106610903, 0.1666667388447244, 0.04166652518108756, 0.00833252633373198, 0.001389371177205652, 0.0002011006837815416,
                              2.4439793246573266e-05};
// (e^r - 1 - r) / r^2 for |r| up to ln(2) / 2, in f64: what the series leaves out is less than 2^-57. ln 2 in two parts, the first of 32 bits.
constexpr double kFullExpTail[] = {1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
constexpr double kLn2[] = {6.93147180369123816490e-01, 1.90821492927058770002e-10};
// First terms of series, for arguments so small that a difference would lose digits.
constexpr double kSmall = 1.0 / 128;
constexpr double kSinhSeries[] = {1, 1.0 / 6, 1.0 / 120}, kAsinhSeries[] = {1, -1.0 / 6, 3.0 / 40, -15.0 / 336}, kAtanhSeries[] = {1, 1.0 / 3, 1.0 / 5, 1.0 / 7};
constexpr double kLog1pSeries[] = {1, -1.0 / 2, 1.0 / 3, -1.0 / 4, 1.0 / 5}, kExpm1Series[] = {1, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120};

/// Arithmetic on values of one float type, scalar or vector.
struct Arithmetic {
  ImplicitLocOpBuilder &b;
  Type type;

  Type like(Type element) const {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  }
  Value constant(TypedAttr scalar) const {
    auto vector = dyn_cast<VectorType>(type);
    return arith::ConstantOp::create(b, vector ? TypedAttr(DenseElementsAttr::get(cast<VectorType>(like(scalar.getType())), Attribute(scalar))) : scalar);
  }
  Value n(double x) const { return constant(b.getFloatAttr(getElementTypeOrSelf(type), x)); }
  Value integer(int64_t x) const { return constant(b.getIntegerAttr(b.getIntegerType(getElementTypeOrSelf(type).getIntOrFloatBitWidth()), x)); }
  Value add(Value x, Value y) const { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) const { return arith::DivFOp::create(b, x, y); }
  Value neg(Value x) const { return arith::NegFOp::create(b, x); }
  Value abs(Value x) const { return math::AbsFOp::create(b, x); }
  Value sqrt(Value x) const { return math::SqrtOp::create(b, x); }
  Value copySign(Value x, Value sign) const { return math::CopySignOp::create(b, x, sign); }
  Value multiplyAdd(Value x, Value y, Value sum) const { return LLVM::FMulAddOp::create(b, type, x, y, sum); }
  Value select(Value condition, Value x, Value y) const { return arith::SelectOp::create(b, condition, x, y); }
  Value is(arith::CmpFPredicate predicate, Value x, Value y) const { return arith::CmpFOp::create(b, predicate, x, y); }
  Value both(Value x, Value y) const { return arith::AndIOp::create(b, x, y); }
  Value isNaN(Value x) const { return is(arith::CmpFPredicate::UNO, x, x); }
  /// Cuts to [low, high]; NaN stays.
  Value clamp(Value x, double low, double high) const {
    Value cut = select(is(arith::CmpFPredicate::OGT, x, n(high)), n(high), x);
    return select(is(arith::CmpFPredicate::OLT, cut, n(low)), n(low), cut);
  }
  Value evaluate(ArrayRef<double> coefficients, Value x) const {
    Value sum = n(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = multiplyAdd(sum, x, n(coefficient));
    return sum;
  }
  /// x * p(x^2)
  Value evaluateOdd(ArrayRef<double> coefficients, Value x) const { return mul(x, evaluate(coefficients, mul(x, x))); }
  Value bits(Value x) const { return arith::BitcastOp::create(b, like(b.getIntegerType(getElementTypeOrSelf(type).getIntOrFloatBitWidth())), x); }
  Value fromBits(Value x) const { return arith::BitcastOp::create(b, type, x); }
};

/// e^x in f32: 2^2k * e^r, |r| up to ln 2, multiplied by 2^k twice, which is always a normal number: only the last product leaves the normal range.
Value expandExp(const Arithmetic &a, Value x) {
  constexpr double magic = 12582912.0; // 1.5 * 2^23
  Value cut = a.clamp(x, -104.5, 89), shifted = a.multiplyAdd(cut, a.n(M_LOG2E / 2), a.n(magic)), k = a.sub(shifted, a.n(magic));
  Value r = a.multiplyAdd(k, a.n(-2 * 0.693359375), cut);
  r = a.multiplyAdd(k, a.n(2 * 2.12194440e-4), r);
  Value power = a.add(a.multiplyAdd(a.evaluate(kExpTail, r), a.mul(r, r), r), a.n(1));
  Value biased = arith::AddIOp::create(a.b, a.bits(shifted), a.integer(127 - 0x4B400000));
  Value scale = a.fromBits(arith::ShLIOp::create(a.b, biased, a.integer(23)));
  return a.mul(a.mul(power, scale), scale);
}

/// Functions in f64 of an argument that came from f32.
struct WideFunctions : Arithmetic {
  explicit WideFunctions(ImplicitLocOpBuilder &b) : Arithmetic{b, b.getF64Type()} {}

  Value exp(Value x) const {
    Value cut = clamp(x, -700, 700), shifted = multiplyAdd(cut, n(M_LOG2E), n(kMagic)), k = sub(shifted, n(kMagic));
    Value r = multiplyAdd(k, n(-M_LN2), cut);
    Value exponent = arith::ShLIOp::create(b, bits(shifted), integer(52));
    Value result = fromBits(arith::AddIOp::create(b, bits(evaluate(kExp, r)), exponent));
    return select(isNaN(x), x, result);
  }
  /// Of any u; below 0 NaN, of 0 -infinity.
  Value log(Value u) const {
    constexpr int64_t lowest = 0x3FE6A09E667F3BCD; // sqrt(1/2)
    Value all = bits(u), k = arith::ShRSIOp::create(b, arith::SubIOp::create(b, all, integer(lowest)), integer(52));
    Value m = fromBits(arith::SubIOp::create(b, all, arith::ShLIOp::create(b, k, integer(52))));
    Value exponent = arith::SIToFPOp::create(b, type, arith::TruncIOp::create(b, b.getI32Type(), k));
    Value s = div(sub(m, n(1)), add(m, n(1))), result = multiplyAdd(exponent, n(M_LN2), evaluateOdd(kLog, s));
    result = select(is(arith::CmpFPredicate::OEQ, u, n(0)), n(-INFINITY), result);
    result = select(is(arith::CmpFPredicate::OEQ, u, n(INFINITY)), u, result);
    return select(is(arith::CmpFPredicate::UGE, u, n(0)), select(isNaN(u), u, result), n(NAN));
  }
  /// `series(x)` where |x| is small, else `whole`.
  Value unlessSmall(Value x, ArrayRef<double> series, bool odd, Value whole) const {
    Value near = odd ? evaluateOdd(series, x) : mul(x, evaluate(series, x));
    return select(is(arith::CmpFPredicate::OLT, abs(x), n(kSmall)), near, whole);
  }

  /// A number as a sum whose first part is exact.
  struct Sum {
    Value high, low;
  };
  /// x modulo 2 pi for |x| from 2^23 on, else x: a significand of 24 bits times a power of two, whose remainder is in the table.
  Sum wrap(Value narrow, Value x) const {
    Type i32 = b.getI32Type(), i64 = b.getI64Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
    auto word = [&](int64_t value) { return Value(arith::ConstantIntOp::create(b, value, 32)); };
    Value encoded = arith::BitcastOp::create(b, i32, narrow);
    Value exponent = arith::SubIOp::create(b, arith::AndIOp::create(b, arith::ShRUIOp::create(b, encoded, word(23)), word(255)), word(150));
    Value isLarge = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, exponent, word(0));
    Value entry = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, exponent, word(0)), word(kCircleEntries - 1));
    Value significand = arith::OrIOp::create(b, arith::AndIOp::create(b, encoded, word(0x7FFFFF)), word(0x800000));
    Value m = copySign(arith::SIToFPOp::create(b, type, significand), x);
    Value table = LLVM::AddressOfOp::create(b, pointer, kCircleTable), at = arith::ExtSIOp::create(b, i64, arith::ShLIOp::create(b, entry, word(1)));
    auto read = [&](Value place) {
      auto load = LLVM::LoadOp::create(b, type, LLVM::GEPOp::create(b, pointer, type, table, ArrayRef<LLVM::GEPArg>{place}), 8);
      load.setInvariant(true);
      return load.getResult();
    };
    Value far = mul(m, read(at)), rest = mul(m, read(arith::OrIOp::create(b, at, arith::ConstantIntOp::create(b, 1, 64))));
    // Of infinity and NaN the difference is NaN, of others 0.
    return {select(isLarge, far, x), add(select(isLarge, rest, n(0)), sub(x, x))};
  }
  /// sin and cos of x - n pi / 2, and n modulo 4 in the low bits of an i64.
  struct Angle {
    Value sin, cos, quadrant;
  };
  Angle reduce(Value narrow, Value x) const {
    Sum y = wrap(narrow, x);
    Value shifted = multiplyAdd(y.high, n(M_2_PI), n(kMagic)), turns = sub(shifted, n(kMagic)), r = y.high;
    for (double part : kHalfPi)
      r = sub(r, mul(turns, n(part)));
    r = add(r, y.low);
    return {evaluateOdd(kSin, r), evaluate(kCos, mul(r, r)), bits(shifted)};
  }
  Value hasBit(Value word, int64_t bit) const {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, word, integer(bit)), integer(0));
  }
  Value sinOrCos(Value narrow, Value x, bool cosine) const {
    Angle angle = reduce(narrow, x);
    Value quadrant = cosine ? Value(arith::AddIOp::create(b, angle.quadrant, integer(1))) : angle.quadrant;
    Value result = select(hasBit(quadrant, 1), angle.cos, angle.sin);
    result = select(hasBit(quadrant, 2), neg(result), result);
    // sin(-0) is -0, which the reduction loses.
    return cosine ? result : select(is(arith::CmpFPredicate::OEQ, x, n(0)), x, result);
  }
  Value tan(Value narrow, Value x) const {
    Angle angle = reduce(narrow, x);
    Value swapped = hasBit(angle.quadrant, 1);
    Value result = div(select(swapped, neg(angle.cos), angle.sin), select(swapped, angle.sin, angle.cos));
    return select(is(arith::CmpFPredicate::OEQ, x, n(0)), x, result);
  }
  /// asin(|x|) for |x| up to 1/2, else half of acos(|x|).
  struct Arc {
    Value value, isLarge;
  };
  Arc arc(Value x) const {
    Value size = abs(x), isLarge = is(arith::CmpFPredicate::OGT, size, n(0.5)), half = mul(sub(n(1), size), n(0.5));
    Value square = select(isLarge, half, mul(size, size)), root = select(isLarge, sqrt(half), size);
    return {mul(root, evaluate(kAsin, square)), isLarge};
  }
  Value asin(Value x) const {
    Arc part = arc(x);
    return copySign(select(part.isLarge, multiplyAdd(n(-2), part.value, n(M_PI_2)), part.value), x);
  }
  Value acos(Value x) const {
    Arc part = arc(x);
    Value twice = add(part.value, part.value);
    twice = select(is(arith::CmpFPredicate::OLT, x, n(0)), sub(n(M_PI), twice), twice);
    return select(part.isLarge, twice, sub(n(M_PI_2), copySign(part.value, x)));
  }
  Value atan(Value x) const {
    Value size = abs(x), isLarge = is(arith::CmpFPredicate::OGT, size, n(1)), part = evaluateOdd(kAtan, select(isLarge, div(n(1), size), size));
    return copySign(select(isLarge, sub(n(M_PI_2), part), part), x);
  }
  Value sinh(Value x) const {
    Value power = exp(abs(x)), half = mul(sub(power, div(n(1), power)), n(0.5));
    return unlessSmall(x, kSinhSeries, true, copySign(half, x));
  }
  Value cosh(Value x) const {
    Value power = exp(abs(x));
    return mul(add(power, div(n(1), power)), n(0.5));
  }
  Value asinh(Value x) const {
    Value size = abs(x);
    return unlessSmall(x, kAsinhSeries, true, copySign(log(add(size, sqrt(multiplyAdd(size, size, n(1))))), x));
  }
  Value acosh(Value x) const {
    Value result = log(add(x, sqrt(mul(sub(x, n(1)), add(x, n(1))))));
    return select(is(arith::CmpFPredicate::OLT, x, n(1)), n(NAN), result);
  }
  Value atanh(Value x) const {
    return unlessSmall(x, kAtanhSeries, true, mul(log(div(add(n(1), x), sub(n(1), x))), n(0.5)));
  }
  Value log1p(Value x) const { return unlessSmall(x, kLog1pSeries, false, log(add(n(1), x))); }
  Value expm1(Value x) const { return unlessSmall(x, kExpm1Series, false, sub(exp(x), n(1))); }
  /// The rules for zeros, infinities and NaN are those of IEEE 754's pow.
  Value pow(Value x, Value y) const {
    Value logarithm = log(abs(x)), exponent = mul(y, logarithm);
    exponent = select(is(arith::CmpFPredicate::OEQ, logarithm, n(0)), n(0), exponent);
    Value result = exp(exponent), isWhole = is(arith::CmpFPredicate::OEQ, math::FloorOp::create(b, y), y), half = mul(y, n(0.5));
    Value isOdd = both(isWhole, is(arith::CmpFPredicate::ONE, math::FloorOp::create(b, half), half));
    Value isNegative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, bits(x), integer(0));
    result = select(both(isOdd, isNegative), neg(result), result);
    Value isFinite = both(is(arith::CmpFPredicate::OLT, x, n(0)), is(arith::CmpFPredicate::ONE, x, n(-INFINITY)));
    Value isBroken = both(isFinite, arith::XOrIOp::create(b, isWhole, arith::ConstantIntOp::create(b, 1, 1)));
    result = select(isBroken, n(NAN), result);
    Value isOne = arith::OrIOp::create(b, is(arith::CmpFPredicate::OEQ, y, n(0)), is(arith::CmpFPredicate::OEQ, x, n(1)));
    return select(isOne, n(1), result);
  }
};

/// Functions of f64 to its last places.
struct FullFunctions : Arithmetic {
  FullFunctions(ImplicitLocOpBuilder &b, Type type) : Arithmetic{b, type} {}

  /// x = k ln 2 + r with |r| up to ln(2) / 2, for |x| less than 2^50.
  struct Power {
    Value k;       ///< as an integer of 64 bits
    Value without; ///< e^r - 1
  };
  Power reduce(Value x) const {
    Value shifted = multiplyAdd(x, n(M_LOG2E), n(kMagic)), k = sub(shifted, n(kMagic));
    Value r = multiplyAdd(k, n(-kLn2[1]), multiplyAdd(k, n(-kLn2[0]), x));
    Value exponent = arith::SubIOp::create(b, bits(shifted), integer(static_cast<int64_t>(llvm::bit_cast<uint64_t>(kMagic))));
    return {exponent, multiplyAdd(evaluate(kFullExpTail, r), mul(r, r), r)};
  }
  /// 2^k where that is a normal number.
  Value powerOfTwo(Value k) const { return fromBits(arith::ShLIOp::create(b, arith::AddIOp::create(b, k, integer(1023)), integer(52))); }

  /// 2^k in two factors, since only the product may leave the normal range.
  Value exp(Value x) const {
    Power power = reduce(clamp(x, -746, 710));
    Value half = arith::ShRSIOp::create(b, power.k, integer(1)), rest = arith::SubIOp::create(b, power.k, half);
    return mul(mul(add(power.without, n(1)), powerOfTwo(half)), powerOfTwo(rest));
  }
  /// (e^2|x| - 1) / (e^2|x| + 1), whose numerator loses nothing to the difference; from 20 on it is 1.
  Value tanh(Value x) const {
    Value cut = clamp(abs(x), 0, 20);
    Power power = reduce(add(cut, cut));
    Value scale = powerOfTwo(power.k), less = multiplyAdd(power.without, scale, sub(scale, n(1)));
    return copySign(div(less, add(less, n(2))), x);
  }
};

enum class Function { none, exp, sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh, log, log1p, expm1, pow, tanh };

Function getFunction(Operation *op) {
  return llvm::StringSwitch<Function>(op->getName().getStringRef())
      .Case("math.exp", Function::exp).Case("math.sin", Function::sin).Case("math.cos", Function::cos).Case("math.tan", Function::tan)
      .Case("math.asin", Function::asin).Case("math.acos", Function::acos).Case("math.atan", Function::atan).Case("math.sinh", Function::sinh)
      .Case("math.cosh", Function::cosh).Case("math.asinh", Function::asinh).Case("math.acosh", Function::acosh).Case("math.atanh", Function::atanh)
      .Case("math.log", Function::log).Case("math.log1p", Function::log1p).Case("math.expm1", Function::expm1).Case("math.powf", Function::pow).Case("math.tanh", Function::tanh).Default(Function::none);
}

Value expandWide(const WideFunctions &w, Function function, Operation *op) {
  Value narrow = op->getOperand(0), x = arith::ExtFOp::create(w.b, w.type, narrow);
  switch (function) {
  case Function::sin: return w.sinOrCos(narrow, x, false);
  case Function::cos: return w.sinOrCos(narrow, x, true);
  case Function::tan: return w.tan(narrow, x);
  case Function::asin: return w.asin(x);
  case Function::acos: return w.acos(x);
  case Function::atan: return w.atan(x);
  case Function::sinh: return w.sinh(x);
  case Function::cosh: return w.cosh(x);
  case Function::asinh: return w.asinh(x);
  case Function::acosh: return w.acosh(x);
  case Function::atanh: return w.atanh(x);
  case Function::log: return w.log(x);
  case Function::log1p: return w.log1p(x);
  case Function::expm1: return w.expm1(x);
  default: return w.pow(x, arith::ExtFOp::create(w.b, w.type, op->getOperand(1)));
  }
}

} // namespace

static bool isFull(Function function, Type element) { return element.isF64() && (function == Function::exp || function == Function::tanh); }

bool isExpandable(Operation *op) {
  Function function = getFunction(op);
  if (function == Function::none)
    return false;
  Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type);
  if (isFull(function, element))
    return true;
  // Of tanh of f32 upstream has a polynomial.
  return function != Function::tanh && element.isF32() && (function == Function::exp || type.isF32());
}

bool needsCircleTable(Operation *op) {
  Function function = getFunction(op);
  return function == Function::sin || function == Function::cos || function == Function::tan;
}

void provideCircleTable(ModuleOp module) {
  if (module.lookupSymbol(kCircleTable))
    return;
  // pi with 256 binary places. Each doubling loses one: 152 are left for the last entry.
  constexpr unsigned places = 256;
  llvm::APInt turn = llvm::APInt(places + 8, "3243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89", 16).shl(1);
  llvm::APInt power = llvm::APInt::getOneBitSet(places + 8, places);
  auto toDouble = [](const llvm::APInt &x) {
    llvm::APFloat nearest(llvm::APFloat::IEEEdouble());
    nearest.convertFromAPInt(x, /*IsSigned=*/true, llvm::APFloat::rmNearestTiesToEven);
    return std::ldexp(nearest.convertToDouble(), -static_cast<int>(places));
  };
  SmallVector<double> table;
  for (int64_t k = 0; k < kCircleEntries; ++k) {
    llvm::APInt centred = power.ugt(turn.lshr(1)) ? power - turn : power;
    double high = toDouble(centred), scale = std::ldexp(1.0, std::ilogb(high) - 27);
    high = std::trunc(high / scale) * scale;
    llvm::APInt highBits(places + 8, static_cast<uint64_t>(std::llabs(static_cast<int64_t>(high / scale))));
    highBits <<= places + std::ilogb(scale);
    table.append({high, toDouble(centred - (high < 0 ? -highBits : highBits))});
    power = (power << 1).urem(turn);
  }
  OpBuilder b(module.getBodyRegion());
  auto type = LLVM::LLVMArrayType::get(b.getF64Type(), table.size());
  auto values = DenseElementsAttr::get(RankedTensorType::get({static_cast<int64_t>(table.size())}, b.getF64Type()), ArrayRef<double>(table));
  LLVM::GlobalOp::create(b, module.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal, kCircleTable, values, /*alignment=*/64);
}

Value expandFunction(ImplicitLocOpBuilder &b, Operation *op) {
  Function function = getFunction(op);
  if (Type type = op->getResult(0).getType(); isFull(function, getElementTypeOrSelf(type))) {
    FullFunctions full(b, type);
    return function == Function::exp ? full.exp(op->getOperand(0)) : full.tanh(op->getOperand(0));
  }
  if (function == Function::exp)
    return expandExp(Arithmetic{b, op->getResult(0).getType()}, op->getOperand(0));
  return arith::TruncFOp::create(b, b.getF32Type(), expandWide(WideFunctions(b), function, op));
}

} // namespace onager
