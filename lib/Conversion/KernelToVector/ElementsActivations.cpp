// One element of the activations that are recognised as a whole: in f32 each takes one quotient and at most one power.
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;

namespace onager {

namespace {

/// x -> (Phi(x) - 1/2) / x for the normal distribution Phi, as a quotient of polynomials in x^2 for |x| up to kEnd: least absolute error of Phi (1e-8)
/// before rounding. At kEnd it gives 1/2 or more, to which it is cut.
constexpr double kEnd = 5.6;
constexpr double kAbove[] = {0.398942232131958, 0.03437597304582596, 0.004707250278443098, 0.00017384918464813381, 6.3565021264366806e-06, 2.214531313882162e-08};
constexpr double kBelow[] = {1.0, 0.2528335154056549, 0.02894000895321369, 0.0019129698630422354, 7.510131399612874e-05, 1.1802096651081229e-06};

struct ActivationEmitter {
  UnitEmitter &e;
  Type type;

  Value n(double x) { return e.constant(type, x); }
  Value add(Value a, Value c) { return arith::AddFOp::create(e.b, a, c); }
  Value mul(Value a, Value c) { return arith::MulFOp::create(e.b, a, c); }
  Value multiplyAdd(Value a, Value c, Value sum) { return LLVM::FMulAddOp::create(e.b, type, a, c, sum); }
  /// Cuts at +-limit; NaN stays.
  Value clamp(Value x, double limit) {
    Value high = arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, x, n(limit)), n(limit), x);
    return arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, high, n(-limit)), n(-limit), high);
  }
  Value evaluate(ArrayRef<double> coefficients, Value x) {
    Value sum = n(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = multiplyAdd(sum, x, n(coefficient));
    return sum;
  }

  Value gelu(Value x) {
    if (!type.isF32())
      return mul(mul(x, n(0.5)), add(n(1), e.math("erf", mul(x, n(M_SQRT1_2)))));
    Value inside = clamp(x, kEnd), square = mul(inside, inside);
    Value half = clamp(arith::DivFOp::create(e.b, mul(inside, evaluate(kAbove, square)), evaluate(kBelow, square)), 0.5);
    return mul(x, add(half, n(0.5)));
  }
  /// x / 2 * (1 + tanh(u)) = x / (1 + e^(-2u))
  Value geluByTanh(Value x) {
    double scale = 2 * std::sqrt(2 / M_PI);
    return emitLogisticProduct(e, x, mul(x, multiplyAdd(mul(x, x), n(scale * 0.044715), n(scale))));
  }
};

Value emitGelu(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto gelu = cast<graph::GeluOp>(op);
  Value x = e.element(gelu.getX(), e.broadcastIndex(gelu.getX(), graph::getDims(gelu.getResult()), index));
  ActivationEmitter emitter{e, x.getType()};
  return gelu.getTanh() ? emitter.geluByTanh(x) : emitter.gelu(x);
}

Value emitSwish(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto swish = cast<graph::SwishOp>(op);
  Value x = e.element(swish.getX(), e.broadcastIndex(swish.getX(), graph::getDims(swish.getResult()), index));
  ActivationEmitter emitter{e, x.getType()};
  return emitLogisticProduct(e, x, emitter.mul(x, emitter.n(swish.getAlpha().convertToDouble())));
}

} // namespace

void registerActivations(llvm::StringMap<OpElementFn> &table) {
  table["graph.gelu"] = emitGelu;
  table["graph.swish"] = emitSwish;
}

} // namespace onager
