// Derivatives of elementwise operations. Where an operation has a corner, the one side or the mean of both counts: 0 for |x| and max(x, 0) at 0, a half for each of
// two equal operands of min and max.
#include "lib/Import/OnnxToGraph/Gradient.h"
#include <numbers>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Adds the rule of an operation y = f(x) that is dy/dx times what comes in; `factor` is dy/dx from x and y.
template <typename Op, Value (*factor)(Emitter &, Value x, Value y)> void addUnary(DerivativeTable &table) {
  table[Op::getOperationName()] = [](Backward &b, Operation *op, Value gradient) {
    if (b.wants(op->getOperand(0)))
      b.add(op->getOperand(0), b.e.mul(gradient, factor(b.e, op->getOperand(0), op->getResult(0))));
  };
}

Value square(Emitter &e, Value x) { return e.mul(x, x); }
Value squareRoot(Emitter &e, Value x) { return e.unary<SqrtOp>(x); }
Value reciprocal(Emitter &e, Value x) { return e.unary<ReciprocalOp>(x); }
Value negate(Emitter &e, Value x) { return e.unary<NegOp>(x); }
/// 1 - x.
Value complement(Emitter &e, Value x) { return e.addNumber(negate(e, x), 1); }
/// 1 where the condition holds, else 0.
Value indicate(Emitter &e, Value condition, Value like) { return like ? e.cast(condition, Emitter::elementOf(like)) : like; }

Value ofAbs(Emitter &e, Value x, Value) { return e.unary<SignOp>(x); }
Value ofNeg(Emitter &e, Value x, Value) { return e.scalar(-1, Emitter::elementOf(x)); }
Value ofExp(Emitter &, Value, Value y) { return y; }
Value ofLog(Emitter &e, Value x, Value) { return reciprocal(e, x); }
Value ofSqrt(Emitter &e, Value, Value y) { return reciprocal(e, e.mulNumber(y, 2)); }
Value ofReciprocal(Emitter &e, Value, Value y) { return negate(e, square(e, y)); }
Value ofSin(Emitter &e, Value x, Value) { return e.unary<CosOp>(x); }
Value ofCos(Emitter &e, Value x, Value) { return negate(e, e.unary<SinOp>(x)); }
Value ofTan(Emitter &e, Value, Value y) { return e.addNumber(square(e, y), 1); }
Value ofAsin(Emitter &e, Value x, Value) { return reciprocal(e, squareRoot(e, complement(e, square(e, x)))); }
Value ofAcos(Emitter &e, Value x, Value y) { return negate(e, ofAsin(e, x, y)); }
Value ofAtan(Emitter &e, Value x, Value) { return reciprocal(e, e.addNumber(square(e, x), 1)); }
Value ofSinh(Emitter &e, Value x, Value) { return e.unary<CoshOp>(x); }
Value ofCosh(Emitter &e, Value x, Value) { return e.unary<SinhOp>(x); }
Value ofAsinh(Emitter &e, Value x, Value) { return reciprocal(e, squareRoot(e, e.addNumber(square(e, x), 1))); }
Value ofAcosh(Emitter &e, Value x, Value) { return reciprocal(e, squareRoot(e, e.addNumber(square(e, x), -1))); }
Value ofAtanh(Emitter &e, Value x, Value) { return reciprocal(e, complement(e, square(e, x))); }
Value ofTanh(Emitter &e, Value, Value y) { return complement(e, square(e, y)); }
Value ofErf(Emitter &e, Value x, Value) { return e.mulNumber(e.unary<ExpOp>(negate(e, square(e, x))), 2 * std::numbers::inv_sqrtpi); }
Value ofSigmoid(Emitter &e, Value, Value y) { return e.mul(y, complement(e, y)); }
Value ofLog1p(Emitter &e, Value x, Value) { return reciprocal(e, e.addNumber(x, 1)); }
Value ofExpm1(Emitter &e, Value, Value y) { return e.addNumber(y, 1); }
Value ofRelu(Emitter &e, Value x, Value) { return indicate(e, e.compare<LessOp>(e.zero(Emitter::elementOf(x)), x), x); }
/// Of steps: 0 where there is a derivative.
Value ofSteps(Emitter &e, Value x, Value) { return e.zero(Emitter::elementOf(x)); }

void differentiateCast(Backward &b, Operation *op, Value gradient) {
  Value x = op->getOperand(0);
  b.add(x, b.wants(x) ? b.e.cast(gradient, Emitter::elementOf(x)) : Value());
}

/// x / 2 * (1 + erf(x / sqrt 2)), or its approximation by tanh.
void differentiateGelu(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  Value x = op->getOperand(0), half = e.mulNumber(x, 0.5), whole, slope;
  if (cast<GeluOp>(op).getTanh()) {
    double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715;
    whole = e.unary<TanhOp>(e.mulNumber(e.add(x, e.mulNumber(e.mul(x, square(e, x)), cubic)), scale));
    slope = e.mul(complement(e, square(e, whole)), e.mulNumber(e.addNumber(e.mulNumber(square(e, x), 3 * cubic), 1), scale));
  } else {
    whole = e.unary<ErfOp>(e.mulNumber(x, 1 / std::numbers::sqrt2));
    slope = e.mulNumber(e.unary<ExpOp>(e.mulNumber(square(e, x), -0.5)), std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
  }
  b.add(x, e.mul(gradient, e.add(e.mulNumber(e.addNumber(whole, 1), 0.5), e.mul(half, slope))));
}

/// x s with s = sigmoid(alpha x).
void differentiateSwish(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  double alpha = cast<SwishOp>(op).getAlpha().convertToDouble();
  Value x = op->getOperand(0), y = op->getResult(0), s = e.unary<SigmoidOp>(e.mulNumber(x, alpha));
  b.add(x, e.mul(gradient, e.add(s, e.mulNumber(e.mul(y, complement(e, s)), alpha))));
}

/// Adds the rule of an operation of two operands, by the factors of each.
template <typename Op, Value (*ofLeft)(Emitter &, Value a, Value b, Value y), Value (*ofRight)(Emitter &, Value a, Value b, Value y)> void addBinary(DerivativeTable &table) {
  table[Op::getOperationName()] = [](Backward &backward, Operation *op, Value gradient) {
    Value a = op->getOperand(0), b = op->getOperand(1), y = op->getResult(0);
    if (backward.wants(a))
      backward.add(a, backward.e.mul(gradient, ofLeft(backward.e, a, b, y)));
    if (backward.wants(b))
      backward.add(b, backward.e.mul(gradient, ofRight(backward.e, a, b, y)));
  };
}

Value one(Emitter &e, Value a, Value, Value) { return e.scalar(1, Emitter::elementOf(a)); }
Value minusOne(Emitter &e, Value a, Value, Value) { return e.scalar(-1, Emitter::elementOf(a)); }
Value leftOf(Emitter &, Value a, Value, Value) { return a; }
Value rightOf(Emitter &, Value, Value b, Value) { return b; }
Value ofDividend(Emitter &e, Value, Value b, Value) { return reciprocal(e, b); }
Value ofDivisor(Emitter &e, Value, Value b, Value y) { return negate(e, e.div(y, b)); }
/// The remainder is a - q b with a whole q.
Value ofModulus(Emitter &e, Value a, Value b, Value y) { return e.div(e.sub(y, a), b); }
Value ofBase(Emitter &e, Value a, Value b, Value) {
  Value power = e.binary<PowOp>(a, e.cast(e.addNumber(b, -1), Emitter::elementOf(b)));
  Value exponent = e.cast(b, Emitter::elementOf(a)), zero = e.zero(Emitter::elementOf(a));
  return e.select(e.compare<EqualOp>(exponent, zero), zero, e.mul(exponent, power));
}
/// y log a, which ends at 0 for a = 0.
Value ofExponent(Emitter &e, Value a, Value, Value y) {
  Value zero = e.zero(Emitter::elementOf(a));
  return e.select(e.compare<EqualOp>(a, zero), zero, e.mul(y, e.unary<LogOp>(a)));
}
/// 1 where a is below b, a half where they are equal.
Value isBelow(Emitter &e, Value a, Value b) { return e.add(indicate(e, e.compare<LessOp>(a, b), a), e.mulNumber(indicate(e, e.compare<EqualOp>(a, b), a), 0.5)); }
Value isLess(Emitter &e, Value a, Value b, Value) { return isBelow(e, a, b); }
Value isGreater(Emitter &e, Value a, Value b, Value) { return isBelow(e, b, a); }
Value ofOrdinate(Emitter &e, Value a, Value b, Value) { return e.div(b, e.add(square(e, a), square(e, b))); }
Value ofAbscissa(Emitter &e, Value a, Value b, Value) { return negate(e, e.div(a, e.add(square(e, a), square(e, b)))); }

void differentiateSelect(Backward &b, Operation *op, Value gradient) {
  auto select = cast<SelectOp>(op);
  Value zero = b.e.zero(Emitter::elementOf(gradient));
  if (b.wants(select.getA()))
    b.add(select.getA(), b.e.select(select.getCondition(), gradient, zero));
  if (b.wants(select.getB()))
    b.add(select.getB(), b.e.select(select.getCondition(), zero, gradient));
}

void addFunctions(DerivativeTable &table) {
  addUnary<AbsOp, ofAbs>(table);
  addUnary<NegOp, ofNeg>(table);
  addUnary<ExpOp, ofExp>(table);
  addUnary<LogOp, ofLog>(table);
  addUnary<SqrtOp, ofSqrt>(table);
  addUnary<ReciprocalOp, ofReciprocal>(table);
  addUnary<SinOp, ofSin>(table);
  addUnary<CosOp, ofCos>(table);
  addUnary<TanOp, ofTan>(table);
  addUnary<AsinOp, ofAsin>(table);
  addUnary<AcosOp, ofAcos>(table);
  addUnary<AtanOp, ofAtan>(table);
  addUnary<SinhOp, ofSinh>(table);
  addUnary<CoshOp, ofCosh>(table);
  addUnary<AsinhOp, ofAsinh>(table);
  addUnary<AcoshOp, ofAcosh>(table);
  addUnary<AtanhOp, ofAtanh>(table);
  addUnary<TanhOp, ofTanh>(table);
  addUnary<ErfOp, ofErf>(table);
  addUnary<SigmoidOp, ofSigmoid>(table);
  addUnary<Log1pOp, ofLog1p>(table);
  addUnary<Expm1Op, ofExpm1>(table);
  addUnary<ReluOp, ofRelu>(table);
  addUnary<FloorOp, ofSteps>(table);
  addUnary<CeilOp, ofSteps>(table);
  addUnary<RoundOp, ofSteps>(table);
  addUnary<SignOp, ofSteps>(table);
}

} // namespace

void addElementwiseDerivatives(DerivativeTable &table) {
  addFunctions(table);
  table[CastOp::getOperationName()] = differentiateCast;
  table[GeluOp::getOperationName()] = differentiateGelu;
  table[SwishOp::getOperationName()] = differentiateSwish;
  addBinary<AddOp, one, one>(table);
  addBinary<SubOp, one, minusOne>(table);
  addBinary<MulOp, rightOf, leftOf>(table);
  addBinary<DivOp, ofDividend, ofDivisor>(table);
  addBinary<ModOp, one, ofModulus>(table);
  addBinary<PowOp, ofBase, ofExponent>(table);
  addBinary<MinOp, isLess, isGreater>(table);
  addBinary<MaxOp, isGreater, isLess>(table);
  addBinary<Atan2Op, ofOrdinate, ofAbscissa>(table);
  table[SelectOp::getOperationName()] = differentiateSelect;
}

} // namespace onager::frontend
