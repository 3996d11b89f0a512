// Narrow floats in integer arithmetic, without branches: bf16, the 8-bit formats and f4E2M1FN.
//
// A code is sign, exponent (bias b), mantissa (m bits). Its magnitude bits, shifted to f32's mantissa, read as f32 are the value times
// 2^(b - 127), subnormals included, so decoding is one exact multiplication. Encoding rounds to nearest even: normal numbers by adding
// to the f32 bits, subnormal ones by adding a power of two whose unit in the last place is the format's smallest number.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;

namespace onager {

namespace {

/// What tells a narrow format from another. Magnitudes are codes without the sign.
struct Format {
  unsigned bits, mantissa;
  int bias;
  uint32_t largest;   ///< magnitude of the largest finite number
  int64_t infinity;   ///< magnitude of infinity, -1 where there is none
  int64_t nan;        ///< whole code of NaN, -1 where there is none
  bool negativeZero;
  bool saturates;     ///< overflow gives the largest number where the caller asks for saturation
};

Format getFormat(FloatType type) {
  if (type.isBF16())
    return {16, 7, 127, 0x7F7F, 0x7F80, 0x7FC0, true, false};
  if (isa<Float8E4M3FNType>(type))
    return {8, 3, 7, 0x7E, -1, 0x7F, true, true};
  if (isa<Float8E4M3FNUZType>(type))
    return {8, 3, 8, 0x7F, -1, 0x80, false, true};
  if (isa<Float8E5M2Type>(type))
    return {8, 2, 15, 0x7B, 0x7C, 0x7E, true, true};
  if (isa<Float8E5M2FNUZType>(type))
    return {8, 2, 16, 0x7F, -1, 0x80, false, true};
  assert(isa<Float4E2M1FNType>(type) && "unknown narrow float");
  return {4, 1, 1, 0x7, -1, -1, true, true};
}

/// Integer helpers on i32.
struct Bits {
  ImplicitLocOpBuilder &b;
  Value c(int64_t value) { return arith::ConstantIntOp::create(b, value, 32); }
  Value f(double value) { return arith::ConstantOp::create(b, b.getF32FloatAttr(static_cast<float>(value))); }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value left(Value x, unsigned n) { return arith::ShLIOp::create(b, x, c(n)); }
  Value right(Value x, unsigned n) { return arith::ShRUIOp::create(b, x, c(n)); }
  Value plus(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value minus(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value is(arith::CmpIPredicate p, Value x, Value y) { return arith::CmpIOp::create(b, p, x, y); }
  Value pick(Value condition, Value x, Value y) { return arith::SelectOp::create(b, condition, x, y); }
  Value toFloat(Value x) { return arith::BitcastOp::create(b, b.getF32Type(), x); }
  Value toBits(Value x) { return arith::BitcastOp::create(b, b.getI32Type(), x); }
};

/// f64 -> f32 rounded to odd, so that a second rounding to fewer bits is the only one that counts.
Value narrowToOdd(ImplicitLocOpBuilder &b, Value value) {
  Bits k{b};
  Value near = arith::TruncFOp::create(b, b.getF32Type(), value);
  Value back = arith::ExtFOp::create(b, b.getF64Type(), near);
  Value inexact = arith::CmpFOp::create(b, arith::CmpFPredicate::ONE, back, value);
  Value above = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, math::AbsFOp::create(b, back), math::AbsFOp::create(b, value));
  Value bits = k.toBits(near);
  Value cut = k.minus(bits, arith::ExtUIOp::create(b, b.getI32Type(), above));
  return k.toFloat(k.pick(inexact, k.either(cut, k.c(1)), bits));
}

Value decodeScale(Bits k, Value code) {
  Value value = k.pick(k.is(arith::CmpIPredicate::eq, code, k.c(0)), k.c(0x00400000), k.left(code, 23));
  return k.toFloat(k.pick(k.is(arith::CmpIPredicate::eq, code, k.c(0xFF)), k.c(0x7FC00000), value));
}

/// Power-of-two scales: rounded up, as ONNX's default for this type.
Value encodeScale(Bits k, Value value) {
  Value bits = k.toBits(value), magnitude = k.both(bits, k.c(0x7FFFFFFF));
  Value rounded = k.right(k.plus(magnitude, k.c(0x007FFFFF)), 23);
  Value small = k.is(arith::CmpIPredicate::ule, magnitude, k.c(0x00400000));
  Value code = k.pick(small, k.c(0), arith::MinUIOp::create(k.b, rounded, k.c(0xFE)));
  Value isNaN = k.either(k.is(arith::CmpIPredicate::ugt, magnitude, k.c(0x7F800000)), k.is(arith::CmpIPredicate::slt, bits, k.c(0)));
  Value zero = k.is(arith::CmpIPredicate::eq, magnitude, k.c(0));
  return k.pick(arith::AndIOp::create(k.b, isNaN, arith::XOrIOp::create(k.b, zero, arith::ConstantIntOp::create(k.b, 1, 1))), k.c(0xFF), code);
}

} // namespace

Value decodeFloat(ImplicitLocOpBuilder &b, Value bits, FloatType storage, Type compute) {
  Bits k{b};
  Value code = arith::ExtUIOp::create(b, b.getI32Type(), bits);
  Value result;
  if (storage.isBF16()) {
    result = k.toFloat(k.left(code, 16));
  } else if (isa<Float8E8M0FNUType>(storage)) {
    result = decodeScale(k, code);
  } else {
    Format format = getFormat(storage);
    Value magnitude = k.both(code, k.c((1 << (format.bits - 1)) - 1));
    Value scaled = k.toFloat(k.left(magnitude, 23 - format.mantissa));
    Value value = arith::MulFOp::create(b, scaled, k.f(std::ldexp(1.0, 127 - format.bias)));
    Value raw = k.toBits(value);
    if (format.infinity >= 0) {
      Value special = k.is(arith::CmpIPredicate::uge, magnitude, k.c(format.infinity));
      Value isInfinity = k.is(arith::CmpIPredicate::eq, magnitude, k.c(format.infinity));
      raw = k.pick(special, k.pick(isInfinity, k.c(0x7F800000), k.c(0x7FC00000)), raw);
    } else if (format.nan >= 0) {
      Value which = format.negativeZero ? magnitude : code;
      raw = k.pick(k.is(arith::CmpIPredicate::eq, which, k.c(format.nan)), k.c(0x7FC00000), raw);
    }
    Value sign = k.left(k.both(code, k.c(1 << (format.bits - 1))), 32 - format.bits);
    result = k.toFloat(k.either(raw, sign));
  }
  return compute.isF64() ? Value(arith::ExtFOp::create(b, compute, result)) : result;
}

Value encodeFloat(ImplicitLocOpBuilder &b, Value value, FloatType storage, bool saturate) {
  Bits k{b};
  if (value.getType().isF64())
    value = narrowToOdd(b, value);
  Type narrow = b.getIntegerType(storage.isBF16() ? 16 : 8);
  if (isa<Float8E8M0FNUType>(storage))
    return arith::TruncIOp::create(b, narrow, encodeScale(k, value));
  Format format = getFormat(storage);
  unsigned shift = 23 - format.mantissa;
  Value bits = k.toBits(value), magnitude = k.both(bits, k.c(0x7FFFFFFF));
  Value odd = k.both(k.right(magnitude, shift), k.c(1));
  Value rounded = k.right(k.plus(k.plus(magnitude, k.c((1 << (shift - 1)) - 1)), odd), shift);
  Value code = k.minus(rounded, k.c(static_cast<int64_t>(127 - format.bias) << format.mantissa));
  if (!storage.isBF16()) {
    double unit = std::ldexp(1.0, 1 - format.bias - static_cast<int>(format.mantissa));
    Value magic = k.f(unit * 8388608.0);
    Value sum = arith::AddFOp::create(b, k.toFloat(magnitude), magic);
    Value tiny = k.minus(k.toBits(sum), k.toBits(magic));
    Value least = k.toBits(k.f(std::ldexp(1.0, 1 - format.bias)));
    code = k.pick(k.is(arith::CmpIPredicate::ult, magnitude, least), tiny, code);
    uint32_t overflow = saturate || format.nan < 0 ? format.largest : static_cast<uint32_t>(format.infinity >= 0 ? format.infinity : format.nan & 0x7F);
    bool overflowsToNaN = !saturate && format.infinity < 0 && format.nan >= 0;
    Value isOver = k.is(arith::CmpIPredicate::sgt, code, k.c(format.largest));
    Value isNaN = k.is(arith::CmpIPredicate::ugt, magnitude, k.c(0x7F800000));
    code = k.pick(isOver, k.c(overflow), code);
    Value sign = k.right(k.both(bits, k.c(0x80000000)), 32 - format.bits);
    if (!format.negativeZero)
      sign = k.pick(k.is(arith::CmpIPredicate::eq, code, k.c(0)), k.c(0), sign);
    code = k.either(code, sign);
    // Without a code for NaN it becomes -0, as in ml_dtypes and ONNX's reference.
    if (format.nan < 0)
      code = k.pick(isNaN, k.c(int64_t(1) << (format.bits - 1)), code);
    if (format.nan >= 0) {
      Value toNaN = overflowsToNaN ? Value(arith::OrIOp::create(b, isNaN, isOver)) : isNaN;
      Value nan = format.negativeZero ? k.either(k.c(format.nan), sign) : k.c(format.nan);
      code = k.pick(toNaN, nan, code);
    }
    return arith::TruncIOp::create(b, narrow, code);
  }
  Value isNaN = k.is(arith::CmpIPredicate::ugt, magnitude, k.c(0x7F800000));
  code = k.pick(isNaN, k.c(format.nan), code);
  Value sign = k.right(k.both(bits, k.c(0x80000000)), 16);
  return arith::TruncIOp::create(b, narrow, k.either(code, sign));
}

} // namespace onager
