// Mixtures of experts of the domain com.microsoft: every expert sees every token, and the routing weighs what they give.
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// One layer of all experts: weights [experts, outputs, inputs], a bias [experts, outputs] or null.
struct Layer {
  Value weights, bias;
};

/// x [1 or experts, tokens, inputs] through the layer of each expert.
Value applyLayer(Emitter &e, Value x, const Layer &layer) {
  if (!x || !layer.weights)
    return {};
  Value y = e.matmul(x, e.transposeLast(layer.weights));
  return layer.bias ? e.add(y, e.unsqueeze(layer.bias, {1})) : y;
}

/// (alpha-swish of the gate, from above limited) * (beta + the linear part, limited).
Value activateGated(Node &node, Value gate, Value linear) {
  Emitter &e = node.e;
  if (!gate || !linear)
    return {};
  Type type = Emitter::elementOf(gate);
  double limit = node.getFloat("swiglu_limit", INFINITY);
  if (std::isfinite(limit)) {
    gate = e.minimum(gate, e.scalar(limit, type));
    linear = e.maximum(e.minimum(linear, e.scalar(limit, type)), e.scalar(-limit, type));
  }
  Value swish = e.mul(gate, e.unary<SigmoidOp>(e.mulNumber(gate, node.getFloat("activation_alpha", 1))));
  return e.mul(swish, e.addNumber(linear, node.getFloat("activation_beta", 0)));
}

Value approximateGelu(Emitter &e, Value x) {
  Value inner = e.mulNumber(e.add(x, e.mulNumber(e.mul(e.mul(x, x), x), 0.044715)), std::sqrt(2 / M_PI));
  return e.mul(e.mulNumber(x, 0.5), e.addNumber(e.unary<TanhOp>(inner), 1));
}

/// The activation between the two layers; `gated` is what the third gives, or null.
Value activate(Node &node, Value x, Value gated) {
  Emitter &e = node.e;
  std::string name = node.getString("activation_type", "relu");
  int64_t fusion = node.getInt("swiglu_fusion", 0);
  if (!x)
    return {};
  if (name == "swiglu" && fusion > 0) {
    Dims dims = Emitter::dimsOf(x);
    int64_t last = static_cast<int64_t>(dims.size()) - 1;
    AffineExpr half = e.truncDiv(dims[last], e.number(2));
    if (fusion == 2)
      return activateGated(node, e.sliceAxis(x, last, e.number(0), half), e.sliceAxis(x, last, half, half));
    dims[last] = half;
    dims.push_back(e.number(2));
    Value pairs = e.reshape(x, dims);
    auto part = [&](int64_t k) { return e.squeeze(e.sliceAxis(pairs, last + 1, k, 1), {last + 1}); };
    return activateGated(node, part(0), part(1));
  }
  if (name == "swiglu")
    return gated ? activateGated(node, x, gated) : e.fail("swiglu without a third layer and not fused");
  Value y = x;
  if (name == "relu")
    y = e.unary<ReluOp>(x);
  else if (name == "gelu")
    y = approximateGelu(e, x);
  else if (name == "silu")
    y = e.mul(x, e.unary<SigmoidOp>(x));
  else if (name != "identity")
    return e.fail("activation_type is '" + name + "'");
  return gated ? e.mul(y, gated) : y;
}

/// The k highest scores [tokens, experts] of each token and where they stand.
std::pair<Value, Value> chooseExperts(Node &node, Value scores) {
  Emitter &e = node.e;
  int64_t k = node.getInt("k", 1);
  if (!scores || Emitter::rankOf(scores) != 2 || k < 1)
    return {e.fail("expected scores of rank 2 and a k of at least 1"), {}};
  e.requireAtLeast(Emitter::dimsOf(scores)[1], e.number(k), "the number of experts");
  Dims dims{Emitter::dimsOf(scores)[0], e.number(k)};
  CallOp call = e.callMany("topk", {scores}, {1, 1, 1}, {e.tensorType(dims, Emitter::elementOf(scores)), e.tensorType(dims, e.i64())});
  return call ? std::pair(call->getResult(0), call->getResult(1)) : std::pair(Value(), Value());
}

/// Sets output 0: the layers of each expert over all tokens, weighed by `shares` [tokens, k] at the experts `chosen`.
void mixExperts(Node &node, Value shares, Value chosen, AffineExpr experts, const Layer (&layers)[3]) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x || !shares || !chosen)
    return;
  if (Emitter::rankOf(x) < 1)
    return void(e.fail("expected tokens of rank 1 or more"));
  Type type = Emitter::elementOf(x), wide = Emitter::elementOf(shares);
  Dims dims = Emitter::dimsOf(x);
  AffineExpr tokens = Emitter::dimsOf(shares)[0];
  Value rows = e.reshape(e.cast(x, wide), {e.number(1), tokens, dims.back()});
  Value gated = layers[2].weights ? applyLayer(e, rows, layers[2]) : Value();
  Value y = applyLayer(e, activate(node, applyLayer(e, rows, layers[0]), gated), layers[1]);
  Value none = e.splat(e.scalar(0, wide), {tokens, experts});
  Value weights = e.transpose(e.scatterElements(none, chosen, shares, 1, ScatterKind::none), {1, 0});
  Value sum = e.reduce(ReduceKind::sum, e.mul(y, e.unsqueeze(weights, {2})), {0}, false);
  node.set(0, e.cast(e.reshape(sum, dims), type));
}

/// Shares that sum to 1 where the node asks for it.
Value normalizeShares(Node &node, Value shares) {
  Emitter &e = node.e;
  return shares && node.getInt("normalize_routing_weights", 0) ? e.div(shares, e.reduce(ReduceKind::sum, shares, {1})) : shares;
}

void importMoE(Node &node) {
  if (!checkRanks(node, {{1, 2}, {2, 3}, {3, 2}, {4, 3}, {5, 2}, {6, 3}, {7, 2}}))
    return;
  Value scores = node.e.softmax(node.in(1), -1);
  auto [shares, chosen] = chooseExperts(node, scores);
  if (!chosen)
    return;
  const Layer layers[3] = {{node.in(2), node.opt(3)}, {node.in(4), node.opt(5)}, {node.opt(6), node.opt(7)}};
  mixExperts(node, normalizeShares(node, shares), chosen, Emitter::dimsOf(scores)[1], layers);
}

/// A layer from weights of `bits` bits [experts, outputs, packed inputs] with scales per output or per block of inputs.
Layer readQuantised(Node &node, unsigned first, unsigned zeroPoint, int64_t bits, Type wide) {
  Emitter &e = node.e;
  if (!node.has(first))
    return {};
  if (!checkRanks(node, {{first, 3}, {first + 2, 2}}) || !node.in(first + 1) || Emitter::rankOf(node.in(first + 1)) < 2)
    return {e.fail("expected weights of rank 3, scales of rank 2 or 3 and a bias of rank 2"), {}};
  Value numbers = unpackBits(e, node.in(first), bits), scales = e.cast(node.in(first + 1), wide), bias = e.cast(node.opt(first + 2), wide);
  if (!numbers || !scales)
    return {};
  Dims dims = Emitter::dimsOf(numbers), shape = Emitter::dimsOf(scales);
  bool hasBlocks = shape.size() == 3;
  Value offset = e.scalar(static_cast<double>(1 << (bits - 1)), wide);
  if (node.has(zeroPoint)) {
    Value all = unpackBits(e, node.in(zeroPoint), bits);
    if (!all)
      return {};
    e.requireAtLeast(Emitter::dimsOf(all).back(), shape.back(), "the number of zero points");
    offset = e.cast(e.sliceAxis(all, -1, e.number(0), shape.back()), wide);
    offset = e.unsqueeze(offset, {hasBlocks ? 3 : 2});
  }
  Dims split = dims;
  if (hasBlocks) {
    split[2] = shape[2];
    split.push_back(e.truncDiv(dims[2], shape[2]));
  }
  Value centred = e.sub(e.reshape(e.cast(numbers, wide), split), offset);
  return {e.reshape(e.mul(centred, e.unsqueeze(scales, {hasBlocks ? 3 : 2})), dims), bias};
}

void importQMoE(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scores = node.in(1);
  if (!x || !scores)
    return;
  if (node.getString("quant_type", "int") != "int")
    return void(e.fail("quant_type is '" + node.getString("quant_type", "int") + "'"));
  int64_t bits = node.getInt("expert_weight_bits", 4);
  constexpr const char *kBits[3] = {"fc1_expert_weight_bits", "fc2_expert_weight_bits", "fc3_expert_weight_bits"};
  Type wide = e.f32();
  Layer layers[3];
  for (unsigned k = 0; k < 3; ++k) {
    int64_t own = node.getInt(kBits[k], bits);
    if (own != 2 && own != 4 && own != 8)
      return void(e.fail("weights of " + Twine(own) + " bits are not supported"));
    layers[k] = readQuantised(node, 2 + 3 * k, 11 + k, own, wide);
  }
  scores = e.cast(scores, wide);
  auto [highest, chosen] = chooseExperts(node, scores);
  if (!chosen)
    return;
  Value shares = node.has(14) ? normalizeShares(node, e.gatherElements(e.cast(node.in(14), wide), chosen, 1)) : e.softmax(highest, 1);
  mixExperts(node, shares, chosen, Emitter::dimsOf(scores)[1], layers);
}

} // namespace

void addMicrosoftExperts(OperatorTable &table) {
  table.addIn("com.microsoft", "MoE", importMoE);
  table.addIn("com.microsoft", "QMoE", importQMoE);
}

} // namespace onager::frontend
