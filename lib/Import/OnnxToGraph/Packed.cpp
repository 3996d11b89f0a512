// Packed texts: convolutions along each text, with what came before it.
#include "lib/Import/OnnxToGraph/Packed.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

PackedTexts::PackedTexts(Emitter &e, Value cumulative, AffineExpr tokens) : e(e), tokens(tokens) {
  if (!cumulative)
    return;
  if (Emitter::rankOf(cumulative) != 1) {
    e.fail("cumulative lengths have rank " + Twine(Emitter::rankOf(cumulative)) + ", expected 1");
    return;
  }
  texts = normalize(Emitter::dimsOf(cumulative)[0] - 1);
  cumulative = e.cast(cumulative, e.i64());
  first = e.sliceAxis(cumulative, 0, e.number(0), texts);
  Value ends = e.sliceAxis(cumulative, 0, e.number(1), texts);
  lengths = e.sub(ends, first);
  Value number = e.iota({tokens}, 0, e.i64()), isBehind = e.compare<LessEqualOp>(e.unsqueeze(ends, {0}), e.unsqueeze(number, {1}));
  Value last = e.indexTensor({normalize(texts - 1)}, {}, e.i64());
  textOf = isBehind ? e.minimum(e.reduce(ReduceKind::sum, e.cast(isBehind, e.i64()), {1}, /*keepDims=*/false), last) : Value();
  placeOf = e.sub(number, e.gather(first, textOf, 0));
}

Value PackedTexts::take(Value x, Value history, Value places, Value of) {
  if (!x || !places || !of)
    return {};
  Value zero = e.integerScalar(0, e.i64()), last = e.indexTensor({normalize(tokens - 1)}, {}, e.i64());
  Value at = e.add(e.gather(first, of, 0), e.maximum(places, zero));
  Value own = e.gather(x, e.maximum(e.minimum(at, last), zero), 0);
  if (!history || !own)
    return own;
  Dims dims = Emitter::dimsOf(history), flat = dims;
  flat.erase(flat.begin());
  flat[0] = normalize(dims[0] * dims[1]);
  Value count = e.indexTensor({dims[1]}, {}, e.i64());
  Value before = e.maximum(e.minimum(e.add(places, count), e.addNumber(count, -1)), zero);
  Value past = e.gather(e.reshape(history, flat), e.add(e.mul(of, count), before), 0), isOwn = e.compare<LessEqualOp>(zero, places);
  Ints behind;
  for (int64_t k = Emitter::rankOf(places); k < Emitter::rankOf(own); ++k)
    behind.push_back(k);
  return e.select(e.unsqueeze(isOwn, behind), own, past);
}

Value PackedTexts::takeLast(Value x, Value history, AffineExpr count) {
  Value offsets = e.sub(e.iota({e.number(1), count}, 1, e.i64()), e.indexTensor({count}, {}, e.i64()));
  Value places = e.add(e.unsqueeze(lengths, {1}), offsets);
  return places ? take(x, history, places, e.iota({texts, count}, 0, e.i64())) : Value();
}

Value readCaptured(Node &node, PackedTexts &packed, unsigned index, int64_t capacity) {
  Emitter &e = node.e;
  if (capacity < 0 || capacity > 8)
    return e.fail("state_update_capacity is " + Twine(capacity) + ", expected 0 to 8");
  if (!node.has(index))
    return e.fail("capture_count is missing, which state_update_capacity asks for");
  Value count = e.minimum(e.cast(node.in(index), e.i64()), packed.lengths);
  return count ? e.compare<LessOp>(e.iota({e.number(1), e.number(capacity)}, 1, e.i64()), e.unsqueeze(count, {1})) : Value();
}

namespace {

/// A convolution of each channel along each text; what lies before a text is its state [texts, channels, places].
void importVarlenConvolution(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), filter = node.in(1), bias = node.opt(3), state = node.in(4);
  std::string activation = node.getString("activation", "none");
  int64_t dilation = node.getInt("dilation", 1), capacity = node.getInt("state_update_capacity", 0);
  if (!x || !filter || !state || !checkRanks(node, {{0, 2}, {1, 3}, {2, 1}, {3, 1}, {4, 3}}))
    return;
  std::optional<int64_t> taps = graph::getConstant(Emitter::dimsOf(filter)[2]);
  if (!taps || *taps < 1 || dilation < 1 || (activation != "none" && activation != "silu" && activation != "swish"))
    return void(e.fail("expected a filter of known size, found dilation " + Twine(dilation) + ", activation '" + activation + "'"));
  if (node.has(6) || node.has(7))
    return void(e.fail("kernel_delta and previous_mask are not supported"));
  Dims dims = Emitter::dimsOf(x);
  AffineExpr places = e.number((*taps - 1) * dilation), channels = dims[1];
  e.unify(Emitter::dimsOf(filter)[0], channels, "the channels of the data and the filter");
  e.unify(Emitter::dimsOf(state)[2], places, "the positions of the past state");
  PackedTexts packed(e, node.in(2), dims[0]);
  Value history = graph::isConstant(places, 0) ? Value() : e.transpose(state, {0, 2, 1}), sum;
  for (int64_t tap = 0; tap < *taps && !e.hasFailed(); ++tap) {
    Value at = e.addNumber(packed.placeOf, static_cast<double>((tap - *taps + 1) * dilation));
    Value weights = e.reshape(e.sliceAxis(filter, 2, tap, 1), {channels});
    Value product = e.mul(e.cast(packed.take(x, history, at, packed.textOf), e.f32()), e.cast(weights, e.f32()));
    sum = sum ? e.add(sum, product) : product;
  }
  sum = bias && sum ? e.add(sum, e.cast(bias, e.f32())) : sum;
  if (activation != "none" && sum)
    sum = e.mul(sum, e.unary<SigmoidOp>(sum));
  node.set(0, e.cast(sum, Emitter::elementOf(x)));
  node.set(1, history ? e.transpose(packed.takeLast(x, history, places), {0, 2, 1}) : state);
  if (!node.wants(2) || e.hasFailed())
    return;
  Dims slots{packed.texts, e.number(capacity)};
  Value isCaptured = readCaptured(node, packed, 5, capacity), own = packed.take(x, {}, e.iota(slots, 1, e.i64()), e.iota(slots, 0, e.i64()));
  node.set(2, isCaptured ? e.select(e.unsqueeze(isCaptured, {2}), own, e.zero(Emitter::elementOf(x))) : Value());
}

} // namespace

void addPacked(OperatorTable &table) { table.addIn("com.microsoft", "VarlenCausalConvWithState", importVarlenConvolution); }

} // namespace onager::frontend
