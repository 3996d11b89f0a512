// Activation functions, written out in primitives.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// a where x < bound, else b.
Value selectBelow(Emitter &e, Value x, double bound, Value a, Value b) {
  return x ? e.select(e.compare<LessOp>(x, e.scalar(bound, Emitter::elementOf(x))), a, b) : Value();
}

void importLeakyRelu(Node &node) {
  Value x = node.in(0);
  node.set(0, selectBelow(node.e, x, 0, node.e.mulNumber(x, node.getFloat("alpha", 0.01)), x));
}

void importPRelu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), slope = node.in(1);
  if (!x || !slope)
    return;
  // Before opset 7 a slope per channel stood for dim 1.
  if (node.opset < 7 && Emitter::rankOf(slope) == 1 && Emitter::rankOf(x) > 2 && !graph::isConstant(Emitter::dimsOf(slope)[0], 1)) {
    Dims dims(Emitter::rankOf(x) - 1, e.number(1));
    dims[0] = Emitter::dimsOf(slope)[0];
    slope = e.reshape(slope, dims);
  }
  node.set(0, selectBelow(e, x, 0, e.mul(x, slope), x));
}

void importElu(Node &node) {
  Value x = node.in(0);
  node.set(0, selectBelow(node.e, x, 0, node.e.mulNumber(node.e.unary<Expm1Op>(x), node.getFloat("alpha", 1)), x));
}

void importCelu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  double alpha = node.getFloat("alpha", 1);
  node.set(0, selectBelow(e, x, 0, e.mulNumber(e.unary<Expm1Op>(e.divNumber(x, alpha)), alpha), x));
}

void importSelu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  double alpha = node.getFloat("alpha", node.opset < 6 ? 1.6732 : 1.67326319217681884765625);
  double gamma = node.getFloat("gamma", node.opset < 6 ? 1.0507 : 1.05070102214813232421875);
  Value negative = e.mulNumber(e.unary<Expm1Op>(x), alpha);
  node.set(0, e.mulNumber(selectBelow(e, x, 0, negative, x), gamma));
}

void importThresholdedRelu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Value bound = e.scalar(node.getFloat("alpha", 1), Emitter::elementOf(x));
  node.set(0, e.select(e.compare<LessOp>(bound, x), x, e.scalar(0, Emitter::elementOf(x))));
}

void importHardSigmoid(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  Value line = e.addNumber(e.mulNumber(x, node.getFloat("alpha", 0.2)), node.getFloat("beta", 0.5));
  node.set(0, e.maximum(e.minimum(line, e.scalar(1, type)), e.scalar(0, type)));
}

void importHardSwish(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  Value line = e.addNumber(e.mulNumber(x, 1.0 / 6), 0.5);
  node.set(0, e.mul(x, e.maximum(e.minimum(line, e.scalar(1, type)), e.scalar(0, type))));
}

/// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), which does not overflow.
Value softplus(Emitter &e, Value x) {
  Value tail = e.unary<Log1pOp>(e.unary<ExpOp>(e.unary<NegOp>(e.unary<AbsOp>(x))));
  return e.add(e.unary<ReluOp>(x), tail);
}

void importSoftplus(Node &node) { node.set(0, softplus(node.e, node.in(0))); }

void importMish(Node &node) {
  Value x = node.in(0);
  node.set(0, node.e.mul(x, node.e.unary<TanhOp>(softplus(node.e, x))));
}

void importSoftsign(Node &node) {
  Value x = node.in(0);
  node.set(0, node.e.div(x, node.e.addNumber(node.e.unary<AbsOp>(x), 1)));
}

void importSwish(Node &node) {
  Value x = node.in(0);
  double alpha = node.getFloat("alpha", 1);
  node.set(0, node.e.mul(x, node.e.unary<SigmoidOp>(alpha == 1 ? x : node.e.mulNumber(x, alpha))));
}

void importGelu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (node.getString("approximate", "none") == "tanh") {
    Value cube = e.mul(e.mul(x, x), x);
    Value inner = e.mulNumber(e.add(x, e.mulNumber(cube, 0.044715)), std::sqrt(2 / M_PI));
    node.set(0, e.mul(e.mulNumber(x, 0.5), e.addNumber(e.unary<TanhOp>(inner), 1)));
    return;
  }
  Value bell = e.addNumber(e.unary<ErfOp>(e.mulNumber(x, M_SQRT1_2)), 1);
  node.set(0, e.mul(e.mulNumber(x, 0.5), bell));
}

void importShrink(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  double lambda = node.getFloat("lambd", 0.5), bias = node.getFloat("bias", 0);
  // The bounds are f32 in the model: integers compare in f32, too.
  Value wide = isa<FloatType>(type) ? x : e.cast(x, e.f32());
  if (!wide)
    return;
  Value zero = e.scalar(0, type);
  Value low = e.compare<LessOp>(wide, e.scalar(-lambda, Emitter::elementOf(wide)));
  Value high = e.compare<LessOp>(e.scalar(lambda, Emitter::elementOf(wide)), wide);
  Value lifted = e.cast(e.addNumber(wide, bias), type), lowered = e.cast(e.addNumber(wide, -bias), type);
  node.set(0, e.select(low, lifted, e.select(high, lowered, zero)));
}

void importBiasGelu(Node &node) {
  Emitter &e = node.e;
  Value x = e.add(node.in(0), node.in(1));
  node.set(0, e.mul(e.mulNumber(x, 0.5), e.addNumber(e.unary<ErfOp>(e.mulNumber(x, M_SQRT1_2)), 1)));
}

void importFastGelu(Node &node) {
  Emitter &e = node.e;
  Value x = node.has(1) ? e.add(node.in(0), node.in(1)) : node.in(0);
  Value inner = e.mulNumber(e.add(x, e.mulNumber(e.mul(e.mul(x, x), x), 0.044715)), std::sqrt(2 / M_PI));
  node.set(0, e.mul(e.mulNumber(x, 0.5), e.addNumber(e.unary<TanhOp>(inner), 1)));
}

void importQuickGelu(Node &node) {
  Value x = node.in(0);
  node.set(0, node.e.mul(x, node.e.unary<SigmoidOp>(node.e.mulNumber(x, node.getFloat("alpha", 1.702)))));
}

/// Dropout at inference passes its input on; the mask holds true everywhere. In training mode, known or given while running, elements drop out.
void importDropout(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  if (node.opset < 7 && node.hasAttribute("is_test") && !node.getInt("is_test", 0))
    e.fail("dropout in training mode is not supported before opset 7");
  Value all = e.splat(e.scalar(1, node.opset < 10 ? Emitter::elementOf(x) : e.i1()), Emitter::dimsOf(x)), y = x, mask = all;
  Value training = node.opset >= 12 && node.has(2) ? e.reshape(node.in(2), {}) : Value();
  std::optional<Ints> known = e.constants(training);
  if (training && (!known || (*known)[0])) {
    y = dropElements(node, x, node.has(1) ? e.reshape(node.in(1), {}) : e.scalar(0.5, e.f32()), mask);
    y = known ? y : e.select(training, y, x);
    mask = known ? mask : e.select(training, mask, all);
  }
  node.set(0, y);
  if (node.wants(1))
    node.set(1, mask);
}

} // namespace

void addActivations(OperatorTable &table) {
  table.add("LeakyRelu", importLeakyRelu);
  table.add("PRelu", importPRelu);
  table.add("Elu", importElu);
  table.add("Celu", importCelu);
  table.add("Selu", importSelu);
  table.add("ThresholdedRelu", importThresholdedRelu);
  table.add("HardSigmoid", importHardSigmoid);
  table.add("HardSwish", importHardSwish);
  table.add("Softplus", importSoftplus);
  table.add("Mish", importMish);
  table.add("Softsign", importSoftsign);
  table.add("Swish", importSwish);
  table.add("Gelu", importGelu);
  table.add("Shrink", importShrink);
  table.add("Dropout", importDropout);
  table.addIn("com.microsoft", "Gelu", importGelu);
  table.addIn("com.microsoft", "BiasGelu", importBiasGelu);
  table.addIn("com.microsoft", "FastGelu", importFastGelu);
  table.addIn("com.microsoft", "QuickGelu", importQuickGelu);
}

} // namespace onager::frontend
