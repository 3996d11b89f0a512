// The operators that search for texts: their inputs are read into a plan, and the steps of network and choice become a loop.
#include "lib/Import/OnnxToGraph/MicrosoftGeneration.h"
#include "lib/Import/OnnxToGraph/Control.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

Value SearchPlan::expandRows(Value x, int64_t axis) const {
  if (!x || graph::isConstant(beams, 1))
    return x;
  Dims dims = Emitter::dimsOf(x), joined = dims;
  if (axis >= static_cast<int64_t>(dims.size()))
    return e.fail("a value of the network has rank " + Twine(dims.size()) + ", expected " + Twine(axis + 1) + " or more");
  dims.insert(dims.begin() + axis + 1, beams);
  joined[axis] = rows;
  return e.reshape(e.broadcast(e.unsqueeze(x, {axis + 1}), dims), joined);
}

namespace {

/// The logits [rows, words] in f32 behind the last token.
Value readLogits(const SearchPlan &plan, Value logits) {
  Emitter &e = plan.e;
  if (!logits)
    return {};
  if (Emitter::rankOf(logits) != 3)
    return e.fail("the network's logits have rank " + Twine(Emitter::rankOf(logits)) + ", expected 3");
  Dims dims = Emitter::dimsOf(logits);
  Value last = e.reshape(e.sliceAxis(logits, 1, normalize(dims[1] - 1), e.number(1)), {dims[0], dims[2]});
  return e.cast(plan.words > 0 ? e.sliceAxis(last, 1, 0, plan.words) : last, e.f32());
}

/// A search as a loop: the states of the choice, the tokens, then the caches.
class SearchLoop {
public:
  SearchLoop(SearchPlan &plan, Network &network, Choice &choice) : plan(plan), e(plan.e), network(network), choice(choice) {}

  void build() {
    Value prompt = network.readPrompt();
    NetworkStep first = network.begin();
    network.prepare();
    Exprs none(2, e.number(0)), rest{e.number(0), normalize(plan.most - plan.prompt)};
    Value sequences = prompt ? e.pad(plan.expandRows(prompt, 0), none, rest, e.integerScalar(plan.padding, e.i32())) : Value();
    Value logits = plan.expandRows(readLogits(plan, first.logits), 0);
    if (e.hasFailed() || !sequences || !logits)
      return poisonOutputs(plan.node);
    Chosen chosen = choice.choose(logits, choice.begin(sequences), plan.prompt, /*isFirst=*/true);
    inits = chosen.states;
    inits.push_back(chosen.tokens);
    states = chosen.states.size();
    for (Value cache : first.caches) {
      if (Emitter::rankOf(cache) <= network.timeAxis)
        e.fail("a cache of the network has rank " + Twine(Emitter::rankOf(cache)) + ", expected " + Twine(network.timeAxis + 2));
      inits.push_back(plan.expandRows(cache, network.rowAxis));
    }
    if (e.hasFailed() || llvm::is_contained(inits, Value()))
      return poisonOutputs(plan.node);
    buildLoop(chosen);
  }

private:
  /// Dims of value `k` of the loop where the caches hold `length` tokens.
  Dims getDims(size_t k, AffineExpr length) {
    Dims dims = Emitter::dimsOf(inits[k]);
    if (k > states)
      dims[network.timeAxis] = length;
    return dims;
  }

  std::vector<Datum> step(Block &block, AffineExpr past) {
    Values values(block.getArguments().drop_front(2));
    ArrayRef<Value> all = values;
    AffineExpr length = normalize(past + 1);
    e.iterations.push_back(block.getArgument(0));
    NetworkStep given = network.next(all[states], all[0], length, block.getArgument(0), all.drop_front(states + 1));
    Chosen chosen = choice.choose(readLogits(plan, given.logits), all.take_front(states), length, /*isFirst=*/false);
    e.iterations.pop_back();
    Values results = chosen.states;
    results.push_back(chosen.tokens);
    for (Value cache : given.caches)
      results.push_back(chosen.rows ? e.gather(cache, chosen.rows, network.rowAxis) : cache);
    std::vector<Datum> outputs{Datum::of(chosen.goesOn)};
    for (auto [k, value] : llvm::enumerate(results))
      outputs.push_back(Datum::of(value ? e.reshape(value, getDims(k, length)) : value));
    for (Value value : chosen.stacked)
      outputs.push_back(Datum::of(value));
    return outputs;
  }

  void buildLoop(const Chosen &first) {
    AffineExpr past = e.symbols.fresh();
    SmallVector<Type> arguments{RankedTensorType::get({}, e.i64()), RankedTensorType::get({}, e.i1())};
    for (size_t k = 0; k < inits.size(); ++k)
      arguments.push_back(e.tensorType(getDims(k, past), Emitter::elementOf(inits[k])));
    Body body;
    fillBody(plan.node, arguments, [&](Scope &, Block &block) { return step(block, past); }, body);
    if (!body.isWhole)
      return poisonOutputs(plan.node);
    flattenBody(plan.node, body, std::vector<Form>(body.outputs.size()));
    closeBody(plan.node, body, body.values);
    AffineExpr last = e.symbols.fresh(), count = e.symbols.fresh();
    SmallVector<Type> types;
    for (size_t k = 0; k < inits.size(); ++k)
      types.push_back(e.tensorType(getDims(k, last), Emitter::elementOf(inits[k])));
    for (Value value : first.stacked) {
      Dims dims = Emitter::dimsOf(value);
      dims.insert(dims.begin(), count);
      types.push_back(e.tensorType(dims, Emitter::elementOf(value)));
    }
    Value trips = e.indexTensor({normalize(plan.most - plan.prompt - 1)}, {}, e.i64());
    if (e.hasFailed())
      return;
    auto position = [](AffineExpr symbol) { return static_cast<int64_t>(cast<AffineSymbolExpr>(symbol).getPosition()); };
    auto op = LoopOp::create(e.builder, e.location, types, trips, first.goesOn, inits, ArrayRef<int64_t>{position(past)}, e.exprs({plan.prompt}), e.exprs({normalize(past + 1)}),
                             ArrayRef<int64_t>{position(last), position(count)}, e.exprs({}));
    op.getBody().takeBody(body.region);
    finish(first, Values(op.getResults()), last, count);
  }

  void finish(const Chosen &first, ArrayRef<Value> results, AffineExpr last, AffineExpr count) {
    Values stacked;
    for (auto [before, after] : llvm::zip(first.stacked, results.drop_front(inits.size()))) {
      Value all = e.concat({e.unsqueeze(before, {0}), after}, 0);
      if (!all)
        return;
      Exprs low(static_cast<size_t>(Emitter::rankOf(all)), e.number(0)), high = low;
      high[0] = normalize(plan.most - plan.prompt - count - 1);
      stacked.push_back(e.pad(all, low, high, e.zero(Emitter::elementOf(all))));
    }
    choice.finish(results.take_front(states), normalize(last + 1), stacked);
  }

  SearchPlan &plan;
  Emitter &e;
  Network &network;
  Choice &choice;
  Values inits;
  size_t states = 0;
};

/// A count that an input holds, at least 1; `otherwise` without the input.
AffineExpr readCount(Node &node, unsigned index, int64_t otherwise, StringRef name) {
  Emitter &e = node.e;
  if (!node.has(index))
    return e.number(otherwise);
  Exprs given = e.contentsOrBind(e.reshape(node.in(index), {}));
  if (given.size() != 1)
    return e.number(otherwise);
  e.requireAtLeast(given[0], e.number(1), name);
  return e.maxOf(given[0], e.number(1));
}

/// A scalar in f32; null without the input, and where it is a constant that changes nothing.
Value readFactor(Node &node, unsigned index, double neutral) {
  Emitter &e = node.e;
  Value x = node.has(index) ? e.reshape(e.cast(node.in(index), e.f32()), {}) : Value();
  std::optional<std::vector<double>> known = x ? e.constantNumbers(x) : std::nullopt;
  return known && known->size() == 1 && (*known)[0] == neutral ? Value() : x;
}

/// Where a search's inputs stand: `least` and `repetition`, then three masks.
struct Places {
  unsigned most, least, repetition, firstMask;
};

void readAttributes(SearchPlan &plan) {
  Node &node = plan.node;
  plan.end = node.getInt("eos_token_id", -1);
  plan.padding = node.getInt("pad_token_id", -1);
  plan.start = node.getInt("decoder_start_token_id", -1);
  plan.ngram = node.getInt("no_repeat_ngram_size", 0);
  plan.words = std::max<int64_t>(node.getInt("vocab_size", -1), 0);
  if (plan.end < 0 || plan.padding < 0)
    node.e.fail("eos_token_id is " + Twine(plan.end) + ", pad_token_id " + Twine(plan.padding) + ", expected 0 or more");
}

/// Reads what all searches have; false after a failure.
bool readInputs(SearchPlan &plan, Places places) {
  Node &node = plan.node;
  Emitter &e = plan.e;
  Value ids = node.in(0);
  int64_t rank = plan.model == 2 ? 3 : 2;
  if (!ids || !checkRanks(node, {{0, rank}, {places.firstMask, 1}, {places.firstMask + 1, 2}, {places.firstMask + 2, rank}}))
    return false;
  plan.texts = Emitter::dimsOf(ids)[0];
  plan.rows = normalize(plan.texts * plan.beams);
  plan.prompt = plan.model == 0 ? Emitter::dimsOf(ids)[1] : plan.prefixIds ? Emitter::dimsOf(plan.prefixIds)[1] : e.number(1);
  AffineExpr most = readCount(node, places.most, 4096, "max_length");
  if (e.hasFailed())
    return false;
  e.requireAtLeast(most, normalize(plan.prompt + 1), "max_length, which exceeds the length of the prompt");
  plan.most = e.maxOf(most, normalize(plan.prompt + 1));
  plan.leastLength = node.has(places.least) ? e.cast(e.reshape(node.in(places.least), {}), e.i64()) : Value();
  plan.repetition = readFactor(node, places.repetition, 1);
  plan.wordMask = node.opt(places.firstMask);
  plan.prefixMask = node.opt(places.firstMask + 1);
  plan.mask = node.opt(places.firstMask + 2);
  return !e.hasFailed();
}

/// Reads logits_processor: 1 asks for Whisper's rules of timestamps.
void readProcessor(SearchPlan &plan, bool isWhisper) {
  Emitter &e = plan.e;
  Value kind = plan.node.has(11) ? e.reshape(plan.node.in(11), {}) : Value();
  if (!kind)
    return;
  std::optional<Ints> known = e.constants(kind);
  if (known && (*known)[0] == 0)
    return;
  if (isWhisper && plan.node.hasAttribute("beginning_timestamp_token_id"))
    plan.hasTimestamps = e.compare<EqualOp>(kind, e.integerScalar(1, Emitter::elementOf(kind)));
  else
    e.unify(e.contentsOrBind(kind)[0], e.number(0), "logits_processor without beginning_timestamp_token_id");
}

void generate(SearchPlan &plan, Choice &choice) {
  if (plan.e.hasFailed())
    return;
  if (std::unique_ptr<Network> network = makeNetwork(plan))
    SearchLoop(plan, *network, choice).build();
}

void importBeams(Node &node, bool isWhisper) {
  Emitter &e = node.e;
  SearchPlan plan(node);
  plan.model = node.getInt("model_type", isWhisper ? 2 : 0);
  if (plan.model < 0 || plan.model > 2)
    return void(e.fail("model_type is " + Twine(plan.model) + ", expected 0, 1 or 2"));
  readAttributes(plan);
  plan.beams = readCount(node, 3, 1, "num_beams");
  if (!checkRanks(node, {{10, 2}}))
    return;
  plan.prefixIds = node.opt(10);
  if (plan.prefixIds && plan.model != 2)
    return void(e.fail("decoder_input_ids are read by models of type 2 alone"));
  if (!readInputs(plan, {1, 2, 6, 7}))
    return;
  readProcessor(plan, isWhisper);
  if (isWhisper && (node.wants(3) || node.has(12) || node.has(13) || node.getInt("decoder_output_cross_qk", 0)))
    return void(e.fail("products of queries and keys of cross attention are not supported: decoder_output_cross_qk, cross_qk_layer_head, extra_decoding_ids, cross_qk"));
  plan.temperature = isWhisper ? readFactor(node, 14, 1) : Value();
  generate(plan, *makeBeamChoice(plan));
}

void importBeamSearch(Node &node) { importBeams(node, false); }
void importWhisperBeamSearch(Node &node) { importBeams(node, true); }

/// Prepares a search with one beam; false after a failure.
bool readGreedy(SearchPlan &plan) {
  Node &node = plan.node;
  if (node.getInt("model_type", 0) != 0) {
    node.e.fail("model_type is " + Twine(node.getInt("model_type", 0)) + ", expected 0");
    return false;
  }
  readAttributes(plan);
  plan.beams = node.e.number(1);
  return readInputs(plan, {1, 2, 3, 4});
}

void importGreedySearch(Node &node) {
  SearchPlan plan(node);
  if (readGreedy(plan))
    generate(plan, *makeGreedyChoice(plan));
}

void importSampling(Node &node) {
  Emitter &e = node.e;
  SearchPlan plan(node);
  if (!checkRanks(node, {{7, 2}}) || !readGreedy(plan))
    return;
  double temperature = node.getFloat("temperature", 1);
  plan.temperature = temperature > 0 && temperature != 1 ? e.scalar(temperature, e.f32()) : Value();
  if (Value presence = node.opt(7))
    plan.presence = e.mulNumber(e.cast(presence, e.f32()), node.getFloat("presence_penalty", 0));
  generate(plan, *makeSamplingChoice(plan));
}

} // namespace

void addMicrosoftGeneration(OperatorTable &table) {
  auto add = [&](StringRef op, ImportFunction function) { table.addIn("com.microsoft", op, function); };
  add("BeamSearch", importBeamSearch);
  add("WhisperBeamSearch", importWhisperBeamSearch);
  add("GreedySearch", importGreedySearch);
  add("Sampling", importSampling);
}

} // namespace onager::frontend
