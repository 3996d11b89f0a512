// How a search chooses its next tokens: the best beams, the best token, or one drawn by its probability.
#include "lib/Import/OnnxToGraph/MicrosoftGeneration.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

Value Choice::append(Value sequences, Value tokens, AffineExpr length) {
  if (!sequences || !tokens)
    return {};
  Value places = e.iota({Emitter::dimsOf(sequences)[1]}, 0, e.i64());
  return e.select(e.compare<EqualOp>(places, e.indexTensor({length}, {}, e.i64())), tokens, sequences);
}

namespace {

/// Beams and hypotheses by the kernel `beam_search`; the states are its operands of those names.
class BeamChoice : public Choice {
public:
  using Choice::Choice;
  enum State { sequences, sums, hypotheses, scores, lengths, done };

  Values begin(Value given) override {
    Node &node = plan.node;
    AffineExpr places = normalize(plan.most + 1);
    Value penalty = node.has(5) ? e.reshape(e.cast(node.in(5), e.f32()), {}) : e.scalar(1, e.f32());
    Value numbers = e.cast(e.iota({places}, 0, e.i64()), e.f32());
    if (!penalty || !numbers)
      return {};
    penalties = e.binary<PowOp>(numbers, penalty);
    // All beams of a text are alike at first: only the first one counts.
    Value isOther = e.compare<LessOp>(e.scalar(0, e.f32()), e.iota({plan.texts, plan.beams}, 1, e.f32()));
    Value first = e.reshape(e.select(isOther, e.scalar(-1e9, e.f32()), e.scalar(0, e.f32())), {plan.rows});
    Value zero = e.integerScalar(0, e.i32()), none = e.splat(zero, {plan.rows});
    return {given, first, e.splat(zero, {plan.rows, plan.most}), e.splat(e.scalar(0, e.f32()), {plan.rows}), none, e.splat(zero, {plan.texts})};
  }

  Chosen choose(Value logits, ArrayRef<Value> states, AffineExpr length, bool isFirst) override {
    if (isFirst)
      silence(logits);
    if (states.size() != done + 1)
      return {};
    Value next = processScores(plan, e.softmax(logits, 1, /*log=*/true), states[sequences], length, isFirst);
    next = next ? e.add(next, e.unsqueeze(states[sums], {1})) : Value();
    if (!next)
      return {};
    Type i32 = e.i32();
    Type rowNumbers = e.tensorType({plan.rows}, e.f32()), texts = e.tensorType({plan.rows, plan.most}, i32);
    CallOp call = e.callMany("beam_search", {next, states[sequences], e.indexTensor({length}, {}, e.i64()), states[hypotheses], states[scores], states[lengths], states[done], penalties},
                             {plan.end, plan.padding, plan.node.getInt("early_stopping", 0) == 1},
                             {texts, rowNumbers, e.tensorType({plan.rows, e.number(1)}, i32), e.tensorType({plan.rows}, e.i64()), texts, rowNumbers,
                              e.tensorType({plan.rows}, i32), e.tensorType({plan.texts}, i32), e.tensorType({}, e.i1())});
    if (!call)
      return {};
    Values all(call.getResults());
    Chosen chosen{{all[0], all[1], all[4], all[5], all[6], all[7]}, all[2], graph::isConstant(plan.beams, 1) ? Value() : all[3], all[8], {}};
    if (plan.node.wants(2))
      chosen.stacked.push_back(e.reshape(next, {plan.texts, plan.beams, Emitter::dimsOf(next)[1]}));
    return chosen;
  }

  void finish(ArrayRef<Value> states, AffineExpr length, ArrayRef<Value> stacked) override {
    Node &node = plan.node;
    Exprs wanted = node.has(4) ? e.contentsOrBind(e.reshape(node.in(4), {})) : Exprs{e.number(1)};
    if (wanted.size() != 1)
      return;
    e.requireAtLeast(plan.beams, wanted[0], "num_beams, which num_return_sequences does not exceed");
    AffineExpr count = e.maxOf(wanted[0], e.number(0));
    Type texts = e.tensorType({plan.rows, plan.most}, e.i32());
    CallOp call = e.callMany("beam_search_end", {states[sequences], e.indexTensor({length}, {}, e.i64()), states[sums], states[hypotheses], states[scores], states[lengths], states[done], penalties},
                             {plan.padding}, {e.tensorType({plan.texts, count, plan.most}, e.i32()), e.tensorType({plan.texts, count}, e.f32()), texts,
                              e.tensorType({plan.rows}, e.f32()), e.tensorType({plan.rows}, e.i32())});
    if (!call)
      return;
    Type type = getScoreType();
    node.set(0, call->getResult(0));
    node.set(1, e.cast(call->getResult(1), type));
    if (node.wants(2) && !stacked.empty())
      node.set(2, e.cast(stacked[0], type));
    if (node.wants(4))
      node.set(4, e.cast(silent, type));
  }

private:
  /// The type T of the node, which its penalties have; f32 without them.
  Type getScoreType() {
    for (unsigned k : {5, 6, 14})
      if (plan.node.has(k) && plan.node.in(k))
        return Emitter::elementOf(plan.node.in(k));
    return e.f32();
  }

  /// The probability of the token that says that there is no speech.
  void silence(Value logits) {
    int64_t token = plan.node.getInt("no_speech_token_id", -1);
    if (!plan.node.wants(4))
      return;
    if (token < 0)
      return void(e.fail("no_speech_token_id is " + Twine(token) + ", expected 0 or more"));
    Value column = e.sliceAxis(e.softmax(logits, 1), 1, token, 1);
    Value each = e.reshape(column, {plan.texts, plan.beams});
    silent = e.reshape(e.sliceAxis(each, 1, 0, 1), {plan.texts});
  }

  Value penalties, silent;
};

/// The best token of each row; rows that have ended are padded.
class GreedyChoice : public Choice {
public:
  using Choice::Choice;

  Values begin(Value given) override { return {given, e.splat(e.cast(e.integerScalar(0, e.i32()), e.i1()), {plan.rows, e.number(1)})}; }

  Chosen choose(Value logits, ArrayRef<Value> states, AffineExpr length, bool isFirst) override {
    Value scores = processScores(plan, logits, states[0], length, isFirst);
    return takeTokens(e.cast(e.argReduce(scores, /*isMax=*/true, 1, /*keepDims=*/true, /*last=*/false), e.i32()), states, length);
  }

  void finish(ArrayRef<Value> states, AffineExpr, ArrayRef<Value>) override { plan.node.set(0, states[0]); }

protected:
  Chosen takeTokens(Value tokens, ArrayRef<Value> states, AffineExpr length) {
    if (!tokens)
      return {};
    Value hasEnded = e.binary<OrOp>(states[1], e.compare<EqualOp>(tokens, e.integerScalar(plan.end, e.i32())));
    tokens = e.select(hasEnded, e.integerScalar(plan.padding, e.i32()), tokens);
    Value open = hasEnded ? e.reduce(ReduceKind::max, e.cast(e.unary<NotOp>(hasEnded), e.i32()), {0, 1}, /*keepDims=*/false) : Value();
    Value goesOn = open ? e.compare<LessOp>(e.integerScalar(0, e.i32()), open) : Value();
    return {{append(states[0], tokens, length), hasEnded}, tokens, {}, goesOn, {}};
  }
};

/// A token drawn from those that hold the most probable share `top_p`, by the generator that ONNX Runtime's builds for Linux have.
class SamplingChoice : public GreedyChoice {
public:
  using GreedyChoice::GreedyChoice;

  Values begin(Value given) override {
    Values states = GreedyChoice::begin(given);
    Type type = e.i64();
    constexpr int64_t prime = 2147483647;
    Value seed = plan.node.has(8) ? e.cast(e.reshape(plan.node.in(8), {}), type) : e.integerScalar(static_cast<int64_t>(llvm::xxh3_64bits(e.nodeName) % prime), type);
    Value rest = e.mod(seed, e.integerScalar(prime, type), /*fmod=*/false);
    states.push_back(rest ? e.maximum(rest, e.integerScalar(1, type)) : Value());
    return states;
  }

  Chosen choose(Value logits, ArrayRef<Value> states, AffineExpr length, bool isFirst) override {
    Value scores = filter(processScores(plan, logits, states[0], length, isFirst));
    CallOp call = e.callMany("minstd", {states[2]}, {}, {e.tensorType({}, e.i64()), e.tensorType({plan.rows}, e.builder.getF64Type())});
    if (!call || !scores)
      return {};
    Chosen chosen = takeTokens(draw(scores, e.unsqueeze(call->getResult(1), {1})), states, length);
    chosen.states.push_back(call->getResult(0));
    chosen.states.push_back(scores);
    return chosen;
  }

  void finish(ArrayRef<Value> states, AffineExpr length, ArrayRef<Value> stacked) override {
    GreedyChoice::finish(states, length, stacked);
    plan.node.set(1, states[3]);
  }

private:
  /// Gives all but the most probable tokens the filter's value.
  Value filter(Value scores) {
    Node &node = plan.node;
    if (!scores)
      return {};
    bool isCustom = node.getInt("custom", 0) != 0;
    double share = node.getFloat("top_p", 0), value = node.getFloat("filter_value", -1e20);
    Dims dims = Emitter::dimsOf(scores);
    CallOp sorted = e.callMany("topk", {scores}, {1, isCustom, 1}, {scores.getType(), e.tensorType(dims, e.i64())});
    if (!sorted)
      return {};
    Value shares = e.softmax(sorted->getResult(0), 1), places = e.iota({dims[1]}, 0, e.i64());
    Value sums = e.make<CumulateOp>(dims, e.f32(), shares, ReduceKind::sum, int64_t(1), /*exclusive=*/isCustom, false);
    Value isFiltered;
    if (isCustom) {
      isFiltered = e.compare<LessOp>(e.scalar(share, e.f32()), sums);
    } else {
      Value last = e.indexTensor({e.maxOf(normalize(dims[1] - node.getInt("min_tokens_to_keep", 0)), e.number(1))}, {}, e.i64());
      Value isBelow = e.compare<LessEqualOp>(sums, e.scalar(1 - static_cast<float>(share), e.f32()));
      isFiltered = isBelow ? e.binary<AndOp>(isBelow, e.compare<LessOp>(places, last)) : Value();
    }
    return e.scatterElements(scores, sorted->getResult(1), e.select(isFiltered, e.scalar(value, e.f32()), sorted->getResult(0)), 1, ScatterKind::none);
  }

  /// The first token whose probability and those before it exceed the drawn part of all.
  Value draw(Value scores, Value parts) {
    Type wide = e.builder.getF64Type();
    Dims dims = Emitter::dimsOf(scores);
    Value weights = e.unary<ExpOp>(e.cast(e.sub(scores, e.reduce(ReduceKind::max, scores, {1})), wide));
    if (!weights)
      return {};
    Value sums = e.make<CumulateOp>(dims, wide, weights, ReduceKind::sum, int64_t(1), false, false);
    Value all = e.sliceAxis(sums, 1, normalize(dims[1] - 1), e.number(1));
    Value isBefore = e.compare<LessEqualOp>(sums, e.mul(parts, all));
    Value place = isBefore ? e.reduce(ReduceKind::sum, e.cast(isBefore, e.i64()), {1}) : Value();
    return e.cast(place ? e.minimum(place, e.indexTensor({normalize(dims[1] - 1)}, {}, e.i64())) : Value(), e.i32());
  }
};

} // namespace

std::unique_ptr<Choice> makeBeamChoice(SearchPlan &plan) { return std::make_unique<BeamChoice>(plan); }
std::unique_ptr<Choice> makeGreedyChoice(SearchPlan &plan) { return std::make_unique<GreedyChoice>(plan); }
std::unique_ptr<Choice> makeSamplingChoice(SearchPlan &plan) { return std::make_unique<SamplingChoice>(plan); }

} // namespace onager::frontend
