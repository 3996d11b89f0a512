// Recurrences of the domain com.microsoft: LSTMs over quantised weights or with attention, and linear attention, as loops over their steps.
#include "lib/Import/OnnxToGraph/Control.h"
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include "lib/Import/OnnxToGraph/Recurrent.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What one direction of an LSTM works on.
struct Direction {
  int64_t index = 0;
  bool isReversed = false;
  Value x, hidden, cell;     ///< [S, B, I], [B, H]
  Value lengths, peephole;   ///< i32 [B] and [3 * H], or null
  AffineExpr size;           ///< H
  ArrayRef<StringRef> names; ///< of the three activations
  ArrayRef<double> alphas, betas;
};

/// The part of one direction; a tensor with fewer is no such.
Value takeDirection(Emitter &e, Value x, int64_t d) {
  if (!x)
    return {};
  if (Emitter::rankOf(x) < 1)
    return e.fail("a scalar has no directions");
  e.requireAtLeast(Emitter::dimsOf(x)[0], e.number(d + 1), "the number of directions");
  return e.squeeze(e.sliceAxis(x, 0, d, 1), {0});
}

/// The steps of each sequence in reverse.
Value reverseSteps(Emitter &e, Value x, Value lengths) {
  if (!x || !lengths)
    return x ? e.reverse(x, 0) : x;
  return e.make<ReverseSequenceOp>(Emitter::dimsOf(x), Emitter::elementOf(x), x, e.cast(lengths, e.i64()), 1, 0);
}

/// The next hidden and cell state from the sums [B, 4 * H] of the gates i, o, f and c.
std::pair<Value, Value> stepCell(Node &node, const Direction &how, Value gates, Value cell) {
  Emitter &e = node.e;
  double clip = node.getFloat("clip", 0);
  auto gate = [&](int64_t k) { return e.sliceAxis(gates, 1, normalize(how.size * k), how.size); };
  auto peep = [&](Value sum, Value state, int64_t k) {
    return how.peephole ? e.add(sum, e.mul(state, e.sliceAxis(how.peephole, 0, normalize(how.size * k), how.size))) : sum;
  };
  auto apply = [&](size_t k, Value x) {
    if (clip > 0 && x && k < 2)
      x = e.minimum(e.maximum(x, e.scalar(-clip, Emitter::elementOf(x))), e.scalar(clip, Emitter::elementOf(x)));
    return activate(e, how.names[k], {how.alphas[k], how.betas[k]}, x);
  };
  if (!gates)
    return {};
  e.unify(Emitter::dimsOf(gates)[1], normalize(how.size * 4), "the gates of a cell");
  Value in = apply(0, peep(gate(0), cell, 0)), candidate = apply(1, gate(3));
  Value forget = node.getInt("input_forget", 0) && in ? e.sub(e.scalar(1, Emitter::elementOf(in)), in) : apply(0, peep(gate(2), cell, 2));
  Value next = e.add(e.mul(forget, cell), e.mul(in, candidate));
  Value out = apply(0, peep(gate(1), next, 1));
  return {e.mul(out, apply(2, next)), next};
}

/// `next` where the step lies inside its sequence, else `otherwise`.
Value insideSequence(Emitter &e, const Direction &how, Value step, Value next, Value otherwise) {
  if (!how.lengths || !next)
    return next;
  Value isInside = e.compare<LessOp>(step, e.cast(how.lengths, e.i64()));
  Dims column(Emitter::rankOf(next), e.number(1));
  column[0] = Emitter::dimsOf(next)[0];
  return e.select(e.reshape(isInside, column), next, otherwise);
}

/// Sets the outputs of an LSTM: `run` gives all hidden states [S, B, H], the last one and the last cell state of a direction.
void importDirections(Node &node, function_ref<Values(const Direction &)> run) {
  Emitter &e = node.e;
  std::string direction = node.getString("direction", "forward");
  int64_t directions = direction == "bidirectional" ? 2 : 1;
  if (direction != "forward" && direction != "reverse" && directions == 1)
    return void(e.fail("direction is '" + direction + "'"));
  std::optional<CellActivations> names = readActivations(node, {"Sigmoid", "Tanh", "Tanh"}, directions);
  Value x = node.in(0), lengths = node.opt(4);
  std::optional<int64_t> size = node.getInt("hidden_size", 0);
  if (!x || !names || !size || *size < 1 || Emitter::rankOf(x) != 3)
    return void(e.fail("expected a sequence of rank 3 and a hidden_size of at least 1"));
  if (!checkRanks(node, {{1, 3}, {2, 3}, {3, 2}, {4, 1}, {5, 3}, {6, 3}, {7, 2}}))
    return;
  constexpr std::pair<unsigned, int64_t> kExtents[] = {{3, 8}, {7, 3}};
  for (auto [index, gates] : kExtents)
    if (Value given = node.opt(index))
      e.unify(Emitter::dimsOf(given)[1], e.number(gates * *size), "the length of a bias or of peepholes");
  Values states, hidden, cells;
  for (int64_t d = 0; d < directions; ++d) {
    Value zeros = e.splat(e.scalar(0, Emitter::elementOf(x)), {Emitter::dimsOf(x)[1], e.number(*size)});
    bool isReversed = direction == "reverse" || d == 1;
    auto first = static_cast<size_t>(3 * d);
    Direction how{d, isReversed, isReversed ? reverseSteps(e, x, lengths) : x, node.has(5) ? takeDirection(e, node.in(5), d) : zeros,
                  node.has(6) ? takeDirection(e, node.in(6), d) : zeros, lengths, takeDirection(e, node.opt(7), d), e.number(*size),
                  ArrayRef(names->names).slice(first, 3), ArrayRef(names->alphas).slice(first, 3), ArrayRef(names->betas).slice(first, 3)};
    Values parts = run(how);
    if (parts.size() < 3 || !parts[0])
      return;
    states.push_back(e.unsqueeze(isReversed ? reverseSteps(e, parts[0], lengths) : parts[0], {1}));
    hidden.push_back(e.unsqueeze(parts[1], {0}));
    cells.push_back(e.unsqueeze(parts[2], {0}));
  }
  node.set(0, e.concat(states, 1));
  node.set(1, e.concat(hidden, 0));
  node.set(2, e.concat(cells, 0));
}

/// The biases of both products of a direction, added.
Value addBiases(Node &node, const Direction &how, Value gates) {
  Emitter &e = node.e;
  Value all = takeDirection(e, node.opt(3), how.index);
  AffineExpr half = normalize(how.size * 4);
  return all ? e.add(gates, e.add(e.sliceAxis(all, 0, e.number(0), half), e.sliceAxis(all, 0, half, half))) : gates;
}

/// The part of a weight [directions, rows, 4 * H] with scale and zero point per direction, or per direction and gate.
Quantised takeWeight(Node &node, unsigned weight, unsigned scale, int64_t d) {
  Emitter &e = node.e;
  return {takeDirection(e, node.in(weight), d), takeDirection(e, node.in(scale), d), takeDirection(e, node.in(scale + 1), d)};
}

/// The input is quantised as a whole, the hidden state in each step.
void importDynamicQuantizeLSTM(Node &node) {
  Emitter &e = node.e;
  if (!checkRanks(node, {{1, 3}, {2, 3}}) || !node.in(8) || !node.in(9) || !node.in(10) || !node.in(11))
    return;
  importDirections(node, [&](const Direction &how) {
    Quantised input = takeWeight(node, 1, 8, how.index), recurrence = takeWeight(node, 2, 10, how.index);
    Value gates = addBiases(node, how, multiplyQuantised(e, quantizeDynamically(node, how.x), input));
    Values all = scanOver(node, {how.hidden, how.cell}, {gates}, [&](Value step, ArrayRef<Value> states, ArrayRef<Value> slices) -> Values {
      Value sums = e.add(slices[0], multiplyQuantised(e, quantizeDynamically(node, states[0]), recurrence));
      auto [hidden, cell] = stepCell(node, how, sums, states[1]);
      Value zero = e.scalar(0, e.f32());
      return {insideSequence(e, how, step, hidden, states[0]), insideSequence(e, how, step, cell, states[1]), insideSequence(e, how, step, hidden, zero)};
    });
    return all.size() == 3 ? Values{all[2], all[0], all[1]} : Values();
  });
}

/// An LSTM whose input is joined with what it attended to in the step before: Bahdanau's attention over a memory.
void importAttnLSTM(Node &node) {
  Emitter &e = node.e;
  if (!checkRanks(node, {{8, 3}, {9, 3}, {10, 2}, {11, 3}, {12, 1}, {13, 3}}))
    return;
  importDirections(node, [&](const Direction &how) -> Values {
    auto take = [&](unsigned k) { return takeDirection(e, node.opt(k), how.index); };
    Value weights = take(1), recurrence = take(2), queries = take(8), memoryWeights = take(9), vector = take(10), memory = node.opt(11), layer = take(13);
    if (!weights || !recurrence || !queries || !memoryWeights || !vector || !memory)
      return {e.fail("the weights of the attention or its memory are missing")};
    Type type = Emitter::elementOf(how.x);
    Dims dims = Emitter::dimsOf(memory);
    AffineExpr inputs = Emitter::dimsOf(how.x)[2], attended = normalize(Emitter::dimsOf(weights)[1] - inputs);
    Value valid;
    if (node.has(12)) {
      valid = e.compare<LessOp>(e.iota({e.number(1), dims[1]}, 1, e.i64()), e.unsqueeze(e.cast(node.in(12), e.i64()), {1}));
      memory = e.select(e.unsqueeze(valid, {2}), memory, e.scalar(0, type));
    }
    Value keys = e.matmul(memory, memoryWeights);
    Value gates = addBiases(node, how, e.matmul(how.x, e.transposeLast(e.sliceAxis(weights, 1, e.number(0), inputs))));
    Value back = e.transposeLast(e.sliceAxis(weights, 1, inputs, attended)), recurrent = e.transposeLast(recurrence);
    Value nothing = e.splat(e.scalar(0, type), {dims[0], attended});
    Values all = scanOver(node, {how.hidden, how.cell, nothing}, {gates}, [&](Value step, ArrayRef<Value> states, ArrayRef<Value> slices) -> Values {
      Value sums = e.add(slices[0], e.add(e.matmul(states[2], back), e.matmul(states[0], recurrent)));
      auto [hidden, cell] = stepCell(node, how, sums, states[1]);
      Value query = hidden ? e.unsqueeze(e.matmul(hidden, queries), {1}) : Value();
      Value scores = query ? e.reduce(ReduceKind::sum, e.mul(e.unary<TanhOp>(e.add(keys, query)), vector), {2}, false) : Value();
      scores = valid ? e.select(valid, scores, e.lowest(type)) : scores;
      Value context = scores ? e.squeeze(e.matmul(e.unsqueeze(e.softmax(scores, 1), {1}), memory), {1}) : Value();
      Value next = layer ? e.matmul(e.concat({hidden, context}, 1), layer) : context;
      return {insideSequence(e, how, step, hidden, states[0]), insideSequence(e, how, step, cell, states[1]), next,
              insideSequence(e, how, step, hidden, e.scalar(0, type))};
    });
    return all.size() == 4 ? Values{all[3], all[0], all[1]} : Values();
  });
}

/// [B, T, heads * W] -> [T, B, heads, W].
Value stepHeads(Emitter &e, Value x, int64_t heads) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  if (dims.size() != 3)
    return e.fail("expected rank 3, found rank " + Twine(dims.size()));
  return e.transpose(e.reshape(x, {dims[0], dims[1], e.number(heads), e.truncDiv(dims[2], e.number(heads))}), {1, 0, 2, 3});
}

/// A state per head, which decays, learns the outer product of key and value (or what it lacks of it), and answers the query.
void importLinearAttention(Node &node) {
  Emitter &e = node.e;
  int64_t queryHeads = node.getInt("q_num_heads", 0), heads = node.getInt("kv_num_heads", 0);
  std::string rule = node.getString("update_rule", "gated_delta");
  bool isGated = rule == "gated" || rule == "gated_delta", isDelta = rule == "delta" || rule == "gated_delta";
  if (queryHeads < 1 || heads < 1 || (queryHeads % heads && heads % queryHeads) || (!isGated && !isDelta && rule != "linear") || node.getInt("state_window", 0))
    return void(e.fail(Twine(queryHeads) + " heads of queries, " + Twine(heads) + " of keys, update_rule '" + rule + "'"));
  Value query = stepHeads(e, node.in(0), queryHeads), key = stepHeads(e, node.in(1), heads), value = stepHeads(e, node.in(2), heads);
  if (!query || !key || !value || !checkRanks(node, {{3, 4}, {5, 3}}))
    return;
  Type type = Emitter::elementOf(query), wide = e.f32();
  Dims dims = Emitter::dimsOf(query), values = Emitter::dimsOf(value);
  double scale = node.getFloat("scale", 0);
  Value size = e.cast(e.indexTensor({dims[3]}, {}, e.i64()), wide);
  query = scale != 0 ? e.mulNumber(e.cast(query, wide), scale) : e.div(e.cast(query, wide), e.unary<SqrtOp>(size));
  Values sequences{query, e.cast(key, wide), e.cast(value, wide)};
  if (isGated)
    sequences.push_back(e.unary<ExpOp>(e.cast(stepHeads(e, node.in(4), heads), wide)));
  if (isDelta) {
    Value beta = e.cast(node.in(5), wide);
    sequences.push_back(beta ? e.unsqueeze(e.transpose(beta, {1, 0, 2}), {3}) : Value());
  }
  Dims shape{dims[1], e.number(heads), dims[3], values[3]};
  Value state = node.has(3) ? e.cast(node.in(3), wide) : e.splat(e.scalar(0, wide), shape);
  int64_t group = std::max<int64_t>(queryHeads / heads, 1), repeats = std::max<int64_t>(heads / queryHeads, 1);
  Values all = scanOver(node, {state}, sequences, [&](Value, ArrayRef<Value> states, ArrayRef<Value> now) -> Values {
    Value memory = isGated ? e.mul(states[0], e.unsqueeze(now[3], {3})) : states[0], row = e.unsqueeze(now[1], {2}), learnt = e.unsqueeze(now[2], {2});
    if (isDelta)
      learnt = e.mul(e.sub(learnt, e.matmul(row, memory)), e.unsqueeze(now.back(), {3}));
    memory = e.add(memory, e.mul(e.unsqueeze(now[1], {3}), learnt));
    // Queries of a group meet its state as rows; a query of several states is repeated.
    Value asked = e.reshape(now[0], {dims[1], e.number(queryHeads / group), e.number(1), e.number(group), dims[3]});
    asked = e.broadcast(asked, {dims[1], e.number(queryHeads / group), e.number(repeats), e.number(group), dims[3]});
    Value answer = e.matmul(e.reshape(asked, {dims[1], e.number(heads), e.number(group), dims[3]}), memory);
    return {memory, answer ? e.reshape(answer, {dims[1], normalize(values[3] * (heads * group))}) : Value()};
  });
  if (all.size() != 2)
    return;
  node.set(0, e.cast(e.transpose(all[1], {1, 0, 2}), type));
  node.set(1, e.cast(all[0], node.has(3) ? Emitter::elementOf(node.in(3)) : type));
}

/// x / sqrt(sum of squares + epsilon) over the last dim.
Value normalizeLength(Emitter &e, Value x) {
  if (!x)
    return {};
  Value sum = e.reduce(ReduceKind::sum_square, x, {Emitter::rankOf(x) - 1});
  return e.div(x, e.unary<SqrtOp>(e.addNumber(sum, 1e-6)));
}

/// A bias of one number for each head, or for each element of a head, as it fits decays per key [..., heads, width].
Value spreadBias(Emitter &e, Value bias, AffineExpr heads, AffineExpr width) {
  AffineExpr count = Emitter::product(Emitter::dimsOf(bias), e.context()), whole = normalize(heads * width);
  if (areEqual(count, heads))
    return e.reshape(bias, {heads, e.number(1)});
  if (areEqual(count, whole) || (graph::getConstant(count) && graph::getConstant(heads)))
    return e.reshape(bias, {heads, width});
  // Which of both it is is known only while running.
  e.require(e.selectEqual(count, heads, whole, count), whole, "the number of elements of the bias");
  Value stride = e.indexTensor({e.selectEqual(count, heads, e.number(1), width)}, {}, e.i64());
  Value step = e.indexTensor({e.selectEqual(count, heads, e.number(0), e.number(1))}, {}, e.i64());
  return e.gather(e.flatten(bias), e.add(e.mul(e.iota({heads, width}, 0, e.i64()), stride), e.mul(e.iota({heads, width}, 1, e.i64()), step)), 0);
}

/// The logarithm of the decay, as gate_activation says.
Value activateDecay(Node &node, Value decay, Value rates, Value bias, AffineExpr heads) {
  Emitter &e = node.e;
  std::string kind = node.getString("gate_activation", "none");
  if (!decay || kind == "none")
    return decay;
  if (!rates)
    return e.fail("a_log is missing");
  Dims dims = Emitter::dimsOf(decay);
  bool isPerKey = dims.size() == 4;
  if (bias)
    decay = e.add(decay, isPerKey ? spreadBias(e, bias, heads, dims[3]) : e.reshape(bias, {heads}));
  Value rate = e.unary<ExpOp>(e.reshape(rates, isPerKey ? Dims{heads, e.number(1)} : Dims{heads}));
  if (kind == "softplus" || kind == "qwen")
    return e.unary<NegOp>(e.mul(rate, activate(e, "Softplus", {}, decay)));
  if (kind == "sigmoid" || kind == "kda")
    return e.mulNumber(e.unary<SigmoidOp>(e.mul(rate, decay)), node.getFloat("gate_lower_bound", -5));
  return e.fail("gate_activation is '" + kind + "'");
}

/// What GatedDeltaNet works on: [B, S, heads, width] of each operand in f32.
struct DeltaNet {
  Value query, key, value, decay, beta, state; ///< the last two may be null; the state is [B, heads, width of values, width of keys]
  AffineExpr heads, repeats;                   ///< of values, and how many of them share a head of queries and keys
};

/// Reads the operands, which may be packed in the query and have batch and sequence in one dim.
bool readDeltaNet(Node &node, DeltaNet &net) {
  Emitter &e = node.e;
  Value query = node.in(0), state = node.in(6);
  if (!query || !state || !checkRanks(node, {{6, 4}}))
    return false;
  Dims shape = Emitter::dimsOf(state), tokens;
  AffineExpr heads = shape[1], valueWidth = shape[2], width = shape[3];
  bool isPacked = !node.has(1);
  int64_t rank = Emitter::rankOf(query), leading = rank - (isPacked ? 1 : 2);
  if (leading != 1 && leading != 2)
    return e.fail("the query has rank " + Twine(rank) + ", expected " + Twine(isPacked ? 2 : 3) + " or one more") != nullptr;
  AffineExpr length = leading == 2 ? Emitter::dimsOf(query)[1] : e.truncDiv(Emitter::dimsOf(query)[0], shape[0]);
  AffineExpr all = isPacked ? Emitter::dimsOf(query).back() : Emitter::dimsOf(query)[rank - 2];
  AffineExpr own = isPacked ? e.truncDiv(normalize(all - heads * valueWidth), normalize(width * 2)) : all;
  net.heads = heads, net.repeats = e.truncDiv(heads, e.maxOf(own, e.number(1)));
  e.unify(normalize(net.repeats * own), heads, "the heads of values, which those of queries share");
  if (e.hasFailed())
    return false;
  auto read = [&](Value x, ArrayRef<AffineExpr> trailing) {
    Dims dims{shape[0], length};
    dims.append(trailing.begin(), trailing.end());
    return e.reshape(e.cast(x, e.f32()), dims);
  };
  if (isPacked) {
    AffineExpr part = normalize(own * width), behind = normalize(part * 2);
    net.query = read(e.sliceAxis(query, -1, e.number(0), part), {own, width});
    net.key = read(e.sliceAxis(query, -1, part, part), {own, width});
    net.value = read(e.sliceAxis(query, -1, behind, normalize(heads * valueWidth)), {heads, valueWidth});
  } else {
    net.query = read(query, {own, width});
    net.key = read(node.in(1), {own, width});
    net.value = read(node.in(2), {heads, valueWidth});
  }
  Value decay = node.opt(4), bias = node.opt(8);
  Dims perHead{heads};
  if (decay && Emitter::rankOf(decay) == leading + 2)
    perHead.push_back(width);
  if (decay)
    net.decay = activateDecay(node, read(decay, perHead), node.opt(7), bias, heads);
  net.beta = node.has(5) ? read(node.in(5), {heads}) : Value();
  net.state = state;
  return !e.hasFailed();
}

/// Linear attention over packed tokens, whose gates may come raw and whose state lies with values in front.
void importGatedDeltaNet(Node &node) {
  Emitter &e = node.e;
  std::string rule = node.getString("update_rule", "gated_delta");
  bool isGated = rule == "gated" || rule == "gated_delta", isDelta = rule == "delta" || rule == "gated_delta";
  DeltaNet net;
  if (node.has(3) || node.getInt("state_update_capacity", 0) || (!isGated && !isDelta && rule != "linear"))
    return void(e.fail("sequences of several lengths, captured updates and update_rule '" + rule + "' are not supported"));
  if (!readDeltaNet(node, net))
    return;
  if ((isGated && !net.decay) || (isDelta && !net.beta))
    return void(e.fail("update_rule '" + rule + "' without its decay or its beta"));
  if (node.getInt("qk_l2_norm", 0)) {
    net.query = normalizeLength(e, net.query);
    net.key = normalizeLength(e, net.key);
  }
  Dims dims = Emitter::dimsOf(net.query);
  double scale = node.getFloat("scale", 0);
  net.query = scale != 0 ? e.mulNumber(net.query, scale) : e.div(net.query, e.unary<SqrtOp>(e.cast(e.indexTensor({dims[3]}, {}, e.i64()), e.f32())));
  // [B, S, ...] -> [S, B, ...]; heads of queries and keys are repeated for the values that share them.
  auto steps = [&](Value x) {
    Ints perm(llvm::to_vector(llvm::seq<int64_t>(0, Emitter::rankOf(x))));
    std::swap(perm[0], perm[1]);
    return e.transpose(x, perm);
  };
  auto repeat = [&](Value x) {
    Dims own = Emitter::dimsOf(x), spread{own[0], own[1], own[2], net.repeats, own[3]};
    return e.reshape(e.broadcast(e.unsqueeze(x, {3}), spread), {own[0], own[1], net.heads, own[3]});
  };
  Values sequences{steps(repeat(net.query)), steps(repeat(net.key)), steps(net.value)};
  if (isGated)
    sequences.push_back(steps(e.unary<ExpOp>(net.decay)));
  if (isDelta)
    sequences.push_back(steps(node.getString("beta_activation", "none") == "sigmoid" ? e.unary<SigmoidOp>(net.beta) : net.beta));
  Values all = scanOver(node, {net.state}, sequences, [&](Value, ArrayRef<Value> states, ArrayRef<Value> now) -> Values {
    Value memory = states[0], column = e.unsqueeze(now[1], {3}), learnt = e.unsqueeze(now[2], {3});
    if (isGated)
      memory = e.mul(memory, Emitter::rankOf(now[3]) == 3 ? e.unsqueeze(now[3], {2}) : e.unsqueeze(now[3], {2, 3}));
    if (isDelta)
      learnt = e.mul(e.sub(learnt, e.matmul(memory, column)), e.unsqueeze(now.back(), {2, 3}));
    memory = e.add(memory, e.mul(learnt, e.unsqueeze(now[1], {2})));
    Value answer = e.matmul(memory, e.unsqueeze(now[0], {3}));
    return {memory, answer ? e.squeeze(answer, {3}) : Value()};
  });
  if (all.size() != 2)
    return;
  Value y = steps(all[1]);
  Dims shape = Emitter::dimsOf(y);
  if (Emitter::rankOf(node.in(0)) == (node.has(1) ? 3 : 2))
    y = e.reshape(y, {Emitter::dimsOf(node.in(0))[0], shape[2], shape[3]});
  node.set(0, e.cast(y, Emitter::elementOf(node.in(0))));
  node.set(1, all[0]);
}

} // namespace

void addMicrosoftRecurrent(OperatorTable &table) {
  table.addIn("com.microsoft", "DynamicQuantizeLSTM", importDynamicQuantizeLSTM);
  table.addIn("com.microsoft", "AttnLSTM", importAttnLSTM);
  table.addIn("com.microsoft", "LinearAttention", importLinearAttention);
  table.addIn("com.microsoft", "GatedDeltaNet", importGatedDeltaNet);
}

} // namespace onager::frontend
