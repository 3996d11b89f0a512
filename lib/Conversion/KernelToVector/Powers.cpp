// e^-x by a polynomial and an exponent; see Powers.h.
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;

namespace onager {

namespace {

/// Arguments are cut here: e^kMost is normal, and e^kInfinite becomes infinity.
constexpr double kMost = 87, kInfinite = 89;
/// e^-r for |r| up to ln(2) / 2, the first two coefficients given: least maximal error, 3e-9.
constexpr double kPower[] = {1, -1, 0.5000000095243124, -0.16666518779793635, 0.04166620561500598, -0.008368896557897078, 0.0013950503663285635};
/// 1.5 * 2^23, whose last bit counts ones, and the bias of exponents: the low bits of a sum with it are an exponent.
constexpr double kMagic = 12582912.0 + 127;

struct PowerEmitter {
  ImplicitLocOpBuilder &b;
  Type type; ///< f32 or a vector of it

  Type like(Type element) const {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  }
  Value constant(TypedAttr scalar) const {
    auto vector = dyn_cast<VectorType>(like(scalar.getType()));
    return arith::ConstantOp::create(b, vector ? TypedAttr(DenseElementsAttr::get(vector, Attribute(scalar))) : scalar);
  }
  Value n(double x) const { return constant(b.getF32FloatAttr(static_cast<float>(x))); }
  Value integer(int64_t x) const { return constant(b.getI32IntegerAttr(static_cast<int32_t>(x))); }
  Value multiplyAdd(Value x, Value y, Value sum) const { return LLVM::FMulAddOp::create(b, type, x, y, sum); }
  Value toBits(Value x) const { return arith::BitcastOp::create(b, like(b.getI32Type()), x); }
  Value fromBits(Value x) const { return arith::BitcastOp::create(b, type, x); }
  Value is(arith::CmpFPredicate predicate, Value x, double limit) const { return arith::CmpFOp::create(b, predicate, x, n(limit)); }
  Value select(Value condition, Value x, Value y) const { return arith::SelectOp::create(b, condition, x, y); }
  /// Cuts to -kInfinite and kMost; NaN stays.
  Value cut(Value x) const {
    Value low = select(is(arith::CmpFPredicate::OLT, x, -kInfinite), n(-kInfinite), x);
    return select(is(arith::CmpFPredicate::OGT, low, kMost), n(kMost), low);
  }
  /// `value` but for 0 where x is so low that e^x is no normal number.
  Value unlessLow(Value x, Value value) const { return select(is(arith::CmpFPredicate::UGE, x, -kMost), value, n(0)); }

  /// Two factors of e^-x for x from -kInfinite, where it is infinite, to kMost: one near 1, and a power of two.
  std::pair<Value, Value> raise(Value x) const {
    Value shifted = multiplyAdd(x, n(-M_LOG2E), n(kMagic)), exponent = arith::SubFOp::create(b, shifted, n(kMagic));
    Value r = multiplyAdd(exponent, n(M_LN2), x), power = n(kPower[std::size(kPower) - 1]);
    for (double coefficient : llvm::reverse(ArrayRef(kPower).drop_back()))
      power = multiplyAdd(power, r, n(coefficient));
    return {power, fromBits(arith::ShLIOp::create(b, toBits(shifted), integer(23)))};
  }

  /// 1 + e^-x
  Value denominator(Value x) const {
    auto [power, scale] = raise(cut(x));
    return multiplyAdd(power, scale, n(1));
  }
  /// What raise makes of numbers below -kMost is not taken.
  Value decay(Value x) const {
    auto [power, scale] = raise(arith::NegFOp::create(b, x));
    return unlessLow(x, arith::MulFOp::create(b, power, scale));
  }
};

bool isF32(Value x) { return getElementTypeOrSelf(x).isF32(); }

} // namespace

Value emitLogistic(UnitEmitter &e, Value x) { return emitLogisticProduct(e, e.constant(x.getType(), 1), x); }

Value emitLogisticProduct(UnitEmitter &e, Value x, Value y) {
  if (isF32(y))
    return arith::DivFOp::create(e.b, x, PowerEmitter{e.b, y.getType()}.denominator(y));
  // e^-y may overflow to infinity, which gives the right 0.
  Value one = e.constant(y.getType(), 1);
  return arith::DivFOp::create(e.b, x, arith::AddFOp::create(e.b, one, e.math("exp", arith::NegFOp::create(e.b, y))));
}

Value emitDecay(UnitEmitter &e, Value x) { return isF32(x) ? PowerEmitter{e.b, x.getType()}.decay(x) : e.math("exp", x); }

} // namespace onager
