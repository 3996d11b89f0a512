// One element of each elementwise operation. Casts are in ElementsCast.cpp.
//
// Defined where machines differ: integer x / 0 and x mod 0 are 0, INT_MIN / -1 wraps, shifts by the width or more give 0.
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

namespace {

Type storageOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }
/// True for floats and vectors of them.
bool isFloat(Value x) { return isa<FloatType>(getElementTypeOrSelf(x)); }
bool isUnsignedTensor(Value tensor) { return storageOf(tensor).isUnsignedInteger() || storageOf(tensor).isInteger(1); }

Value operand(UnitEmitter &e, Operation *op, unsigned number, ArrayRef<Value> index) {
  Value tensor = op->getOperand(number);
  return e.element(tensor, e.broadcastIndex(tensor, graph::getDims(op->getResult(0)), index));
}

using UnaryFn = Value (*)(UnitEmitter &, Value, Operation *);
using BinaryFn = Value (*)(UnitEmitter &, Value, Value, Operation *);

template <UnaryFn fn>
Value unary(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  return fn(e, operand(e, op, 0, index), op);
}
template <BinaryFn fn>
Value binary(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  Value a = operand(e, op, 0, index);
  return fn(e, a, operand(e, op, 1, index), op);
}

// ---- unary --------------------------------------------------------------------------------------------------------

Value emitAbs(UnitEmitter &e, Value x, Operation *op) {
  if (isFloat(x))
    return math::AbsFOp::create(e.b, x);
  return isUnsignedTensor(op->getOperand(0)) ? x : Value(math::AbsIOp::create(e.b, x));
}
Value emitNeg(UnitEmitter &e, Value x, Operation *) {
  if (isFloat(x))
    return arith::NegFOp::create(e.b, x);
  return arith::SubIOp::create(e.b, e.constant(x.getType(), 0), x);
}
Value emitReciprocal(UnitEmitter &e, Value x, Operation *) { return arith::DivFOp::create(e.b, e.constant(x.getType(), 1), x); }
Value emitFloor(UnitEmitter &e, Value x, Operation *) { return isFloat(x) ? Value(math::FloorOp::create(e.b, x)) : x; }
Value emitCeil(UnitEmitter &e, Value x, Operation *) { return isFloat(x) ? Value(math::CeilOp::create(e.b, x)) : x; }
Value emitRound(UnitEmitter &e, Value x, Operation *) { return isFloat(x) ? Value(math::RoundEvenOp::create(e.b, x)) : x; }
Value emitSign(UnitEmitter &e, Value x, Operation *op) {
  Value zero = e.constant(x.getType(), 0), one = e.constant(x.getType(), 1);
  if (isFloat(x)) {
    Value below = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, x, zero), above = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, x, zero);
    Value other = arith::SelectOp::create(e.b, below, e.constant(x.getType(), -1), x);
    return arith::SelectOp::create(e.b, above, one, other);
  }
  Value above = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, x, zero);
  Value positive = arith::SelectOp::create(e.b, above, one, zero);
  if (isUnsignedTensor(op->getOperand(0)))
    return positive;
  Value below = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, x, zero);
  return arith::SelectOp::create(e.b, below, e.constant(x.getType(), -1), positive);
}
Value emitSigmoid(UnitEmitter &e, Value x, Operation *) { return emitLogistic(e, x); }
Value emitRelu(UnitEmitter &e, Value x, Operation *op) {
  Value zero = e.constant(x.getType(), 0);
  if (!isFloat(x))
    return isUnsignedTensor(op->getOperand(0)) ? x : Value(arith::MaxSIOp::create(e.b, x, zero));
  Value below = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, x, zero);
  return arith::SelectOp::create(e.b, below, zero, x);
}
Value emitIsNaN(UnitEmitter &e, Value x, Operation *) { return arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNO, x, x); }
Value emitIsInf(UnitEmitter &e, Value x, Operation *op) {
  auto isInf = cast<graph::IsInfOp>(op);
  auto type = cast<FloatType>(x.getType());
  auto equals = [&](bool negative) -> Value {
    Value infinity = arith::ConstantOp::create(e.b, e.b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), negative)));
    return arith::CmpFOp::create(e.b, arith::CmpFPredicate::OEQ, x, infinity);
  };
  Value result = e.constant(e.b.getI1Type(), 0);
  if (isInf.getPositive())
    result = arith::OrIOp::create(e.b, result, equals(false));
  if (isInf.getNegative())
    result = arith::OrIOp::create(e.b, result, equals(true));
  return result;
}
Value emitNot(UnitEmitter &e, Value x, Operation *) {
  Value ones = arith::ConstantOp::create(e.b, e.b.getIntegerAttr(x.getType(), -1));
  return arith::XOrIOp::create(e.b, x, ones);
}
/// A function of the math library, named like the operation.
Value emitMath(UnitEmitter &e, Value x, Operation *op) { return e.math(op->getName().stripDialect(), x); }

// ---- binary -------------------------------------------------------------------------------------------------------

template <typename FloatOp, typename IntOp>
Value arithmetic(UnitEmitter &e, Value a, Value c, Operation *) {
  return isFloat(a) ? Value(FloatOp::create(e.b, a, c)) : Value(IntOp::create(e.b, a, c));
}
Value emitAdd(UnitEmitter &e, Value a, Value c, Operation *op) {
  return a.getType().isInteger(1) ? Value(arith::OrIOp::create(e.b, a, c)) : arithmetic<arith::AddFOp, arith::AddIOp>(e, a, c, op);
}
Value emitMul(UnitEmitter &e, Value a, Value c, Operation *op) { return arithmetic<arith::MulFOp, arith::MulIOp>(e, a, c, op); }

/// A divisor that cannot trap, and whether the real one is zero.
std::pair<Value, Value> safeDivisor(UnitEmitter &e, Value a, Value c, bool isUnsigned) {
  Value zero = e.constant(a.getType(), 0), one = e.constant(a.getType(), 1);
  Value isZero = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, c, zero);
  Value bad = isZero;
  if (!isUnsigned) {
    Value least = arith::ConstantOp::create(e.b, e.b.getIntegerAttr(a.getType(), APInt::getSignedMinValue(a.getType().getIntOrFloatBitWidth())));
    Value isLeast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, a, least);
    Value isMinusOne = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, c, e.constant(a.getType(), -1));
    bad = arith::OrIOp::create(e.b, bad, arith::AndIOp::create(e.b, isLeast, isMinusOne));
  }
  return {arith::SelectOp::create(e.b, bad, one, c), isZero};
}
/// The quotient of integers, rounded towards 0, by a divisor of safeDivisor. Vectors have no division but of floats. A quotient of integers of n bits that is
/// no integer differs from the next one by 2^-n of itself or more; f32 (for up to 16 bits) and f64 (up to 32) round by less, so that they cut to the same.
Value divideIntegers(UnitEmitter &e, Value a, Value divisor, bool isUnsigned) {
  unsigned width = a.getType().getIntOrFloatBitWidth();
  if (width > 32 || e.options.exact || divisor.getDefiningOp<arith::ConstantOp>())
    return isUnsigned ? Value(arith::DivUIOp::create(e.b, a, divisor)) : Value(arith::DivSIOp::create(e.b, a, divisor));
  Type real = width > 16 ? Type(e.b.getF64Type()) : Type(e.b.getF32Type()), wide = e.b.getIntegerType(width > 16 ? 64 : 32);
  auto toReal = [&](Value x) { return isUnsigned ? Value(arith::UIToFPOp::create(e.b, real, x)) : Value(arith::SIToFPOp::create(e.b, real, x)); };
  Value quotient = arith::DivFOp::create(e.b, toReal(a), toReal(divisor));
  if (width == 32 && !isUnsigned)
    return arith::FPToSIOp::create(e.b, a.getType(), quotient);
  return arith::TruncIOp::create(e.b, a.getType(), arith::FPToSIOp::create(e.b, wide, quotient).getResult());
}
Value emitDiv(UnitEmitter &e, Value a, Value c, Operation *op) {
  if (isFloat(a))
    return arith::DivFOp::create(e.b, a, c);
  bool isUnsigned = isUnsignedTensor(op->getOperand(0));
  auto [divisor, isZero] = safeDivisor(e, a, c, isUnsigned);
  Value quotient = divideIntegers(e, a, divisor, isUnsigned);
  return arith::SelectOp::create(e.b, isZero, e.constant(a.getType(), 0), quotient);
}
Value emitIntegerMod(UnitEmitter &e, Value a, Value c, Operation *op) {
  bool isUnsigned = isUnsignedTensor(op->getOperand(0));
  auto [divisor, isZero] = safeDivisor(e, a, c, isUnsigned);
  Value zero = e.constant(a.getType(), 0);
  Value rest = arith::SubIOp::create(e.b, a, arith::MulIOp::create(e.b, divideIntegers(e, a, divisor, isUnsigned), divisor).getResult());
  if (!isUnsigned && !cast<graph::ModOp>(op).getFmod()) {
    Value differs = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, arith::XOrIOp::create(e.b, rest, divisor), zero);
    Value nonzero = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, rest, zero);
    Value moved = arith::AddIOp::create(e.b, rest, divisor);
    rest = arith::SelectOp::create(e.b, arith::AndIOp::create(e.b, differs, nonzero), moved, rest);
  }
  return arith::SelectOp::create(e.b, isZero, zero, rest);
}
/// The remainder of f32, with the sign of a. Quotients below 2^29 are whole numbers times 24 bits in f64, so that nothing is rounded but the quotient: by one at most.
Value emitRemainder(UnitEmitter &e, Value a, Value c) {
  if (!a.getType().isF32() || e.options.exact)
    return e.math2("fmod", a, c);
  Type f64 = e.b.getF64Type();
  auto is = [&](arith::CmpFPredicate predicate, Value x, Value y) { return arith::CmpFOp::create(e.b, predicate, x, y); };
  Value x = math::AbsFOp::create(e.b, arith::ExtFOp::create(e.b, f64, a).getResult()), y = math::AbsFOp::create(e.b, arith::ExtFOp::create(e.b, f64, c).getResult());
  Value isNear = is(arith::CmpFPredicate::OLT, x, arith::MulFOp::create(e.b, y, e.constant(f64, 0x1p29)));
  Value isFinite = is(arith::CmpFPredicate::OLT, y, e.constant(f64, std::numeric_limits<double>::infinity()));
  return e.select(arith::AndIOp::create(e.b, isNear, isFinite), a.getType(), [&] {
    Value quotient = math::TruncOp::create(e.b, arith::DivFOp::create(e.b, x, y).getResult());
    Value rest = arith::SubFOp::create(e.b, x, arith::MulFOp::create(e.b, quotient, y).getResult());
    rest = arith::SelectOp::create(e.b, is(arith::CmpFPredicate::OLT, rest, e.constant(f64, 0)), arith::AddFOp::create(e.b, rest, y), rest);
    rest = arith::SelectOp::create(e.b, is(arith::CmpFPredicate::OGE, rest, y), arith::SubFOp::create(e.b, rest, y), rest);
    return math::CopySignOp::create(e.b, arith::TruncFOp::create(e.b, a.getType(), rest), a).getResult();
  }, [&] { return e.math2("fmod", a, c); });
}
Value emitMod(UnitEmitter &e, Value a, Value c, Operation *op) {
  if (!isFloat(a))
    return emitIntegerMod(e, a, c, op);
  Value rest = emitRemainder(e, a, c);
  if (cast<graph::ModOp>(op).getFmod())
    return rest;
  Value zero = e.constant(a.getType(), 0);
  Value nonzero = arith::CmpFOp::create(e.b, arith::CmpFPredicate::ONE, rest, zero);
  Value restNegative = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, rest, zero), negative = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, c, zero);
  Value differs = arith::AndIOp::create(e.b, nonzero, arith::XOrIOp::create(e.b, restNegative, negative));
  return arith::SelectOp::create(e.b, differs, arith::AddFOp::create(e.b, rest, c), rest);
}

/// Converts a number to f64; integers by the signedness of their tensor.
Value toDouble(UnitEmitter &e, Value x, Value tensor) {
  Type f64 = e.b.getF64Type();
  if (x.getType() == f64)
    return x;
  if (isFloat(x))
    return arith::ExtFOp::create(e.b, f64, x);
  return isUnsignedTensor(tensor) ? Value(arith::UIToFPOp::create(e.b, f64, x)) : Value(arith::SIToFPOp::create(e.b, f64, x));
}
/// Powers of integers by repeated squaring, modulo 2^width; a negative exponent gives 0 but for a base of 1 or -1.
Value powerOfIntegers(UnitEmitter &e, Value base, Value exponent) {
  Type type = base.getType();
  auto c = [&](int64_t value, Type t) { return arith::ConstantIntOp::create(e.b, t, value); };
  Value result = c(1, type), square = base;
  auto takeBit = [&](Value bit) {
    Value digit = arith::AndIOp::create(e.b, arith::ShRUIOp::create(e.b, exponent, bit), c(1, exponent.getType()));
    Value isSet = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, digit, c(0, exponent.getType()));
    result = arith::SelectOp::create(e.b, isSet, arith::MulIOp::create(e.b, result, square), result);
    square = arith::MulIOp::create(e.b, square, square);
  };
  unsigned bits = exponent.getType().getIntOrFloatBitWidth();
  // Vectors multiply 64 bits slowly: there the high bits of an exponent have a loop, which runs only where one is set.
  unsigned straight = bits < 64 ? bits : 8;
  for (unsigned bit = 0; bit < straight; ++bit)
    takeBit(c(bit, exponent.getType()));
  if (straight < bits) {
    Value isLarge = arith::CmpIOp::create(e.b, arith::CmpIPredicate::uge, exponent, e.i64(1 << straight));
    Value end = arith::SelectOp::create(e.b, isLarge, e.i64(bits), e.i64(straight));
    result = e.forLoop(e.i64(straight), end, 1, {result, square}, [&](Value bit, ValueRange running) {
      result = running[0], square = running[1];
      takeBit(bit);
      return SmallVector<Value>{result, square};
    })[0];
  }
  Value isUnit = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ule, arith::AddIOp::create(e.b, base, c(1, type)), c(2, type));
  Value isZero = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, base, c(0, type));
  Value isNegative = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, exponent, c(0, exponent.getType()));
  Value vanishes = arith::OrIOp::create(e.b, isZero, arith::XOrIOp::create(e.b, isUnit, c(1, e.b.getI1Type())));
  return arith::SelectOp::create(e.b, arith::AndIOp::create(e.b, isNegative, vanishes), c(0, type), result);
}
Value emitPow(UnitEmitter &e, Value a, Value c, Operation *op) {
  if (!isFloat(a) && !isFloat(c) && !isUnsignedTensor(op->getOperand(1)))
    return powerOfIntegers(e, a, c);
  if (a.getType().isF32() && c.getType().isF32())
    return e.math2("pow", a, c);
  Value power = e.math2("pow", toDouble(e, a, op->getOperand(0)), toDouble(e, c, op->getOperand(1)));
  if (a.getType().isF64())
    return power;
  if (isFloat(a))
    return arith::TruncFOp::create(e.b, a.getType(), power);
  return convertElement(e, power, e.b.getF64Type(), cast<RankedTensorType>(op->getOperand(0).getType()).getElementType(), true);
}
Value emitMin(UnitEmitter &e, Value a, Value c, Operation *op) {
  if (isUnsignedTensor(op->getOperand(0)))
    return arith::MinUIOp::create(e.b, a, c);
  return arithmetic<arith::MinimumFOp, arith::MinSIOp>(e, a, c, op);
}
Value emitMax(UnitEmitter &e, Value a, Value c, Operation *op) {
  if (isUnsignedTensor(op->getOperand(0)))
    return arith::MaxUIOp::create(e.b, a, c);
  return arithmetic<arith::MaximumFOp, arith::MaxSIOp>(e, a, c, op);
}
Value emitAtan2(UnitEmitter &e, Value a, Value c, Operation *) { return e.math2("atan2", a, c); }

template <typename ShiftOp>
Value shift(UnitEmitter &e, Value a, Value c, Operation *) {
  Value width = e.constant(a.getType(), a.getType().getIntOrFloatBitWidth()), zero = e.constant(a.getType(), 0);
  Value inside = arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, c, width);
  Value amount = arith::SelectOp::create(e.b, inside, c, zero);
  return arith::SelectOp::create(e.b, inside, ShiftOp::create(e.b, a, amount), zero);
}
template <arith::CmpFPredicate floats, arith::CmpIPredicate ints, arith::CmpIPredicate unsignedInts>
Value compare(UnitEmitter &e, Value a, Value c, Operation *op) {
  if (isFloat(a))
    return arith::CmpFOp::create(e.b, floats, a, c);
  return arith::CmpIOp::create(e.b, isUnsignedTensor(op->getOperand(0)) ? unsignedInts : ints, a, c);
}
template <typename IntOp>
Value bitwise(UnitEmitter &e, Value a, Value c, Operation *) {
  return IntOp::create(e.b, a, c);
}

Value emitSelect(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  Value condition = operand(e, op, 0, index), a = operand(e, op, 1, index);
  return arith::SelectOp::create(e.b, condition, a, operand(e, op, 2, index));
}

} // namespace

void registerElementwise(llvm::StringMap<OpElementFn> &table) {
  for (const char *name : {"exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "tanh", "erf", "log1p", "expm1"})
    table[std::string("graph.") + name] = unary<emitMath>;
  table["graph.abs"] = unary<emitAbs>;
  table["graph.neg"] = unary<emitNeg>;
  table["graph.reciprocal"] = unary<emitReciprocal>;
  table["graph.floor"] = unary<emitFloor>;
  table["graph.ceil"] = unary<emitCeil>;
  table["graph.round"] = unary<emitRound>;
  table["graph.sign"] = unary<emitSign>;
  table["graph.sigmoid"] = unary<emitSigmoid>;
  table["graph.relu"] = unary<emitRelu>;
  table["graph.is_nan"] = unary<emitIsNaN>;
  table["graph.is_inf"] = unary<emitIsInf>;
  table["graph.not"] = unary<emitNot>;
  table["graph.add"] = binary<emitAdd>;
  table["graph.sub"] = binary<arithmetic<arith::SubFOp, arith::SubIOp>>;
  table["graph.mul"] = binary<emitMul>;
  table["graph.div"] = binary<emitDiv>;
  table["graph.mod"] = binary<emitMod>;
  table["graph.pow"] = binary<emitPow>;
  table["graph.min"] = binary<emitMin>;
  table["graph.max"] = binary<emitMax>;
  table["graph.atan2"] = binary<emitAtan2>;
  table["graph.and"] = binary<bitwise<arith::AndIOp>>;
  table["graph.or"] = binary<bitwise<arith::OrIOp>>;
  table["graph.xor"] = binary<bitwise<arith::XOrIOp>>;
  table["graph.shift_left"] = binary<shift<arith::ShLIOp>>;
  table["graph.shift_right"] = binary<shift<arith::ShRUIOp>>;
  table["graph.equal"] = binary<compare<arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq, arith::CmpIPredicate::eq>>;
  table["graph.less"] = binary<compare<arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt, arith::CmpIPredicate::ult>>;
  table["graph.less_equal"] = binary<compare<arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle, arith::CmpIPredicate::ule>>;
  table["graph.select"] = emitSelect;
  registerCasts(table);
}

} // namespace onager
