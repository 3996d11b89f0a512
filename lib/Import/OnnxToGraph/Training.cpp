// One step of an optimiser (domain ai.onnx.preview.training): formulas over each tensor and its gradient.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// The inputs of one step: rate R, step number T, then tensors X1 ... Xn, their gradients, and n of each state.
struct Step {
  Value rate, number;
  int64_t tensors = 0;
  Value cast(Emitter &e, Value scalar, Value like) const { return scalar && like ? e.cast(scalar, Emitter::elementOf(like)) : Value(); }
};

std::optional<Step> readStep(Node &node, unsigned perTensor) {
  Step step{node.e.reshape(node.in(0), {}), node.e.reshape(node.in(1), {}), (static_cast<int64_t>(node.numInputs()) - 2) / perTensor};
  if (!node.e.hasFailed() && (step.tensors < 1 || (node.numInputs() - 2) % perTensor))
    node.e.fail(Twine(node.numInputs()) + " inputs, expected 2 and " + Twine(perTensor) + " for each tensor");
  return node.e.hasFailed() ? std::nullopt : std::optional(step);
}

/// Input `kind` of tensor k: 0 the tensor, 1 the gradient, then the states.
Value read(Node &node, const Step &step, unsigned kind, int64_t k) { return node.in(static_cast<unsigned>(2 + kind * step.tensors + k)); }

/// The gradient with the norm of the tensor added.
Value regularize(Node &node, Value x, Value gradient) { return node.e.add(node.e.mulNumber(x, node.getFloat("norm_coefficient", 0)), gradient); }

void importAdagrad(Node &node) {
  Emitter &e = node.e;
  std::optional<Step> step = readStep(node, 3);
  for (int64_t k = 0; step && k < step->tensors && !e.hasFailed(); ++k) {
    Value x = read(node, *step, 0, k), gradient = regularize(node, x, read(node, *step, 1, k)), sum = read(node, *step, 2, k);
    Value decayed = e.addNumber(e.mulNumber(step->cast(e, step->number, x), node.getFloat("decay_factor", 0)), 1);
    Value rate = e.div(step->cast(e, step->rate, x), decayed);
    sum = e.add(sum, e.mul(gradient, gradient));
    Value root = sum ? e.addNumber(e.unary<SqrtOp>(sum), node.getFloat("epsilon", 1e-6)) : Value();
    node.set(static_cast<unsigned>(k), e.sub(x, e.div(e.mul(rate, gradient), root)));
    node.set(static_cast<unsigned>(step->tensors + k), sum);
  }
}

/// base to the power of the step's number.
Value raise(Emitter &e, double base, Value number) { return number ? e.binary<PowOp>(e.scalar(base, Emitter::elementOf(number)), number) : Value(); }

void importAdam(Node &node) {
  Emitter &e = node.e;
  double alpha = node.getFloat("alpha", 0.9), beta = node.getFloat("beta", 0.999);
  std::optional<Step> step = readStep(node, 4);
  for (int64_t k = 0; step && k < step->tensors && !e.hasFailed(); ++k) {
    Value x = read(node, *step, 0, k), gradient = regularize(node, x, read(node, *step, 1, k));
    Value mean = e.add(e.mulNumber(read(node, *step, 2, k), alpha), e.mulNumber(gradient, 1 - alpha));
    Value square = e.add(e.mulNumber(read(node, *step, 3, k), beta), e.mulNumber(e.mul(gradient, gradient), 1 - beta));
    Value rate = step->cast(e, step->rate, x), number = step->cast(e, step->number, x);
    if (e.hasFailed())
      return;
    // The averages start at 0: early steps make up for that.
    Value one = e.scalar(1, Emitter::elementOf(x)), zero = e.scalar(0, Emitter::elementOf(x));
    Value corrected = e.div(e.unary<SqrtOp>(e.sub(one, raise(e, beta, number))), e.sub(one, raise(e, alpha, number)));
    rate = e.select(e.compare<LessOp>(zero, number), e.mul(rate, corrected), rate);
    Value moved = e.sub(x, e.div(e.mul(rate, mean), e.addNumber(e.unary<SqrtOp>(square), node.getFloat("epsilon", 1e-6))));
    node.set(static_cast<unsigned>(k), e.mulNumber(moved, 1 - node.getFloat("norm_coefficient_post", 0)));
    node.set(static_cast<unsigned>(step->tensors + k), mean);
    node.set(static_cast<unsigned>(2 * step->tensors + k), square);
  }
}

void importMomentum(Node &node) {
  Emitter &e = node.e;
  std::string mode = node.getString("mode", "standard");
  if (mode != "standard" && mode != "nesterov")
    e.fail("mode is '" + mode + "', expected standard or nesterov");
  double alpha = node.getFloat("alpha", 0), beta = node.getFloat("beta", 0);
  std::optional<Step> step = readStep(node, 3);
  for (int64_t k = 0; step && k < step->tensors && !e.hasFailed(); ++k) {
    Value x = read(node, *step, 0, k), gradient = regularize(node, x, read(node, *step, 1, k)), rate = step->cast(e, step->rate, x);
    Value number = step->cast(e, step->number, x);
    if (e.hasFailed())
      return;
    Type type = Emitter::elementOf(x);
    Value share = e.select(e.compare<LessOp>(e.scalar(0, type), number), e.scalar(beta, type), e.scalar(1, type));
    Value momentum = e.add(e.mulNumber(read(node, *step, 2, k), alpha), e.mul(share, gradient));
    Value direction = mode == "standard" ? momentum : e.add(gradient, e.mulNumber(momentum, alpha));
    node.set(static_cast<unsigned>(k), e.sub(x, e.mul(rate, direction)));
    node.set(static_cast<unsigned>(step->tensors + k), momentum);
  }
}

} // namespace

void addTraining(OperatorTable &table) {
  table.addIn("ai.onnx.preview.training", "Adagrad", importAdagrad);
  table.addIn("ai.onnx.preview.training", "Adam", importAdam);
  table.addIn("ai.onnx.preview.training", "Momentum", importMomentum);
}

} // namespace onager::frontend
