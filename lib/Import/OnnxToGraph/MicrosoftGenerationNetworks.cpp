// The networks of a search: what goes into them at each step, and what comes out.
//
//   GPT            (ids, positions, mask, caches [2, rows, heads, past, size])         -> logits, caches
//   encoder        (ids, mask, start ids)  or  Whisper's (features, ids)               -> logits, hidden states, own caches, crossed caches
//   encoder alone  (ids, mask)                                                         -> crossed caches
//   decoder        (ids, mask of the source but Whisper's, hidden states where it has such an input, own and crossed caches) -> logits, own caches
//
// Caches of decoders are [rows, heads, past, size], a key and a value for each layer.
#include "lib/Import/OnnxToGraph/MicrosoftGeneration.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

Values Network::run(const onnx::GraphProto &graph, Scope &scope, ArrayRef<Value> feeds) {
  Scope inner;
  inner.parent = &scope;
  inner.frame = scope.frame;
  inner.splits = scope.splits;
  for (auto [input, feed] : llvm::zip(graph.input(), feeds)) {
    Type type = convertElementType(input.type().tensor_type().elem_type(), e.context());
    inner.values[input.name()] = Datum::of(type ? e.cast(feed, type) : feed);
  }
  Values results;
  for (const Datum &datum : plan.node.importer.importWithoutWeights(graph, inner)) {
    if (datum.kind != Datum::tensor && datum.kind != Datum::poisoned)
      e.fail("the network gives a value that is no tensor");
    results.push_back(datum.value);
  }
  return results;
}

Value Network::makeEmptyCache(const onnx::ValueInfoProto &input, ArrayRef<AffineExpr> given) {
  const auto &type = input.type().tensor_type();
  Type element = convertElementType(type.elem_type(), e.context());
  Dims dims(given);
  if (!element || type.shape().dim_size() != static_cast<int>(dims.size()))
    return e.fail("input '" + input.name() + "' of the network has no type of rank " + Twine(dims.size()));
  for (size_t k : {dims.size() - 3, dims.size() - 1}) {
    const auto &dim = type.shape().dim(static_cast<int>(k));
    if (!dim.has_dim_value())
      return e.fail("dim " + Twine(k) + " of the network's input '" + input.name() + "' must be a number");
    dims[k] = e.number(dim.dim_value());
  }
  return e.splat(e.zero(element), dims);
}

namespace {

/// Takes the first result as the logits and `count` ones from `first` on as caches.
NetworkStep readStep(Emitter &e, const Values &results, size_t first, size_t count) {
  if (results.size() < first + count)
    e.fail("the network has " + Twine(results.size()) + " outputs, expected " + Twine(first + count));
  if (e.hasFailed() || llvm::is_contained(results, Value()))
    return {};
  return {results[0], Values(results.begin() + static_cast<int64_t>(first), results.begin() + static_cast<int64_t>(first + count))};
}

Value countAlong(Emitter &e, Value flags) {
  return flags ? e.make<CumulateOp>(Emitter::dimsOf(flags), e.i32(), flags, ReduceKind::sum, int64_t(1), false, false) : Value();
}

class Gpt : public Network {
public:
  Gpt(SearchPlan &plan, const onnx::GraphProto &decoder, const onnx::GraphProto *opening) : Network(plan), decoder(decoder), opening(opening) {
    rowAxis = 1;
    timeAxis = 3;
    for (auto [graph, scope] : {std::pair(&decoder, &weights), std::pair(opening, &openingWeights)})
      if (graph) {
        scope->parent = &plan.node.scope;
        scope->frame = plan.node.scope.frame;
        plan.node.importer.importWeights(*graph, *scope);
      }
  }

  Value readPrompt() override {
    ids = e.cast(plan.node.in(0), e.i32());
    isText = ids ? e.cast(e.unary<NotOp>(e.compare<EqualOp>(ids, e.integerScalar(plan.padding, e.i32()))), e.i32()) : Value();
    mask = plan.mask ? e.cast(plan.mask, e.i32()) : isText;
    return ids;
  }

  NetworkStep begin() override {
    // Positions skip padding, whatever a mask says that is given.
    Value counted = countAlong(e, isText);
    if (!counted)
      return {};
    Value zero = e.integerScalar(0, e.i32());
    Value positions = e.select(e.compare<EqualOp>(isText, zero), zero, e.addNumber(counted, -1));
    Values feeds{ids, positions, mask};
    Dims dims{e.number(2), plan.texts, AffineExpr(), e.number(0), AffineExpr()};
    for (int k = 3; k < decoder.input_size(); ++k)
      feeds.push_back(makeEmptyCache(decoder.input(k), dims));
    if (e.hasFailed())
      return {};
    return readStep(e, opening ? run(*opening, openingWeights, feeds) : run(decoder, weights, feeds), 1, static_cast<size_t>(decoder.input_size() - 3));
  }

  void prepare() override {
    Value length = isText ? e.reduce(ReduceKind::sum, isText, {1}) : Value();
    position = plan.expandRows(length, 0);
    Value ones = e.splat(e.integerScalar(1, e.i32()), {plan.rows, normalize(plan.most - plan.prompt)});
    mask = e.concat({plan.expandRows(mask, 0), ones}, 1);
  }

  NetworkStep next(Value tokens, Value, AffineExpr length, Value iteration, ArrayRef<Value> caches) override {
    Values feeds{tokens, e.add(position, e.cast(iteration, e.i32())), e.sliceAxis(mask, 1, e.number(0), length)};
    feeds.append(caches.begin(), caches.end());
    return readStep(e, run(decoder, weights, feeds), 1, caches.size());
  }

private:
  const onnx::GraphProto &decoder, *opening;
  Scope weights, openingWeights;
  Value ids, isText, mask, position;
};

class EncoderDecoder : public Network {
public:
  EncoderDecoder(SearchPlan &plan, const onnx::GraphProto &encoder, const onnx::GraphProto &decoder) : Network(plan), encoder(encoder), decoder(decoder) {
    for (auto [graph, scope] : {std::pair(&encoder, &encoderWeights), std::pair(&decoder, &weights)}) {
      scope->parent = &plan.node.scope;
      scope->frame = plan.node.scope.frame;
      plan.node.importer.importWeights(*graph, *scope);
    }
    isMasked = plan.model == 1;
    unsigned hiddenAt = isMasked ? 2 : 1;
    hasHidden = decoder.input_size() > static_cast<int>(hiddenAt) && decoder.input(static_cast<int>(hiddenAt)).name() == "encoder_hidden_states";
    firstPast = static_cast<int>(hiddenAt) + hasHidden;
    own = static_cast<size_t>(decoder.output_size() - 1);
    const auto &shape = decoder.input(0).type().tensor_type().shape();
    takesAll = shape.dim_size() != 2 || shape.dim(1).dim_value() != 1;
  }

  Value readPrompt() override {
    if (plan.prefixIds)
      return prompt = e.cast(plan.prefixIds, e.i32());
    if (plan.start < 0)
      return e.fail("decoder_start_token_id is missing");
    return prompt = e.splat(e.integerScalar(plan.start, e.i32()), {plan.texts, e.number(1)});
  }

  NetworkStep begin() override {
    if (decoder.input_size() != firstPast + 2 * static_cast<int>(own))
      return e.fail("the decoder has " + Twine(decoder.input_size()) + " inputs, expected " + Twine(firstPast) + " and four caches for each layer"), NetworkStep();
    Value source = plan.node.in(0);
    Values feeds{source};
    if (isMasked)
      feeds.push_back(readMask(source));
    bool startsAlone = encoder.input_size() > static_cast<int>(feeds.size());
    if (startsAlone)
      feeds.push_back(prompt);
    if (e.hasFailed() || encoder.input_size() != static_cast<int>(feeds.size()))
      return e.fail("the encoder has " + Twine(encoder.input_size()) + " inputs, expected " + Twine(feeds.size())), NetworkStep();
    Values results = run(encoder, encoderWeights, feeds);
    size_t want = startsAlone ? 2 + 2 * own : own;
    if (results.size() != want)
      return e.fail("the encoder has " + Twine(results.size()) + " outputs, expected " + Twine(want)), NetworkStep();
    crossed.assign(results.end() - static_cast<int64_t>(own), results.end());
    if (startsAlone) {
      hidden = results[1];
      return readStep(e, results, 2, own);
    }
    if (hasHidden)
      return e.fail("the decoder takes hidden states that the encoder does not give"), NetworkStep();
    return beginDecoder();
  }

  void prepare() override {
    if (isMasked)
      mask = plan.expandRows(mask, 0);
    if (hasHidden)
      hidden = plan.expandRows(hidden, 0);
    for (Value &cache : crossed)
      cache = plan.expandRows(cache, 0);
  }

  NetworkStep next(Value tokens, Value sequences, AffineExpr length, Value, ArrayRef<Value> caches) override {
    return decode(takesAll ? e.sliceAxis(sequences, 1, e.number(0), length) : tokens, caches);
  }

private:
  /// Tokens of the source that count: all but padding before the first other token, where no mask is given.
  Value readMask(Value source) {
    if (plan.mask)
      return mask = plan.mask;
    Value isText = source ? e.unary<NotOp>(e.compare<EqualOp>(source, e.integerScalar(plan.padding, Emitter::elementOf(source)))) : Value();
    Value counted = isText ? countAlong(e, e.cast(isText, e.i32())) : Value();
    return mask = counted ? e.minimum(counted, e.integerScalar(1, e.i32())) : Value();
  }

  /// The first step of a decoder whose encoder does not take it.
  NetworkStep beginDecoder() {
    Values caches;
    for (size_t k = 0; k < own; ++k)
      caches.push_back(makeEmptyCache(decoder.input(firstPast + static_cast<int>(k)), {plan.texts, AffineExpr(), e.number(0), AffineExpr()}));
    return e.hasFailed() ? NetworkStep() : decode(prompt, caches);
  }

  NetworkStep decode(Value ids, ArrayRef<Value> caches) {
    Values feeds{ids};
    if (isMasked)
      feeds.push_back(mask);
    if (hasHidden)
      feeds.push_back(hidden);
    feeds.append(caches.begin(), caches.end());
    feeds.append(crossed.begin(), crossed.end());
    return readStep(e, run(decoder, weights, feeds), 1, own);
  }

  const onnx::GraphProto &encoder, &decoder;
  Scope encoderWeights, weights;
  bool isMasked = false, hasHidden = false, takesAll = false;
  int firstPast = 0;
  size_t own = 0; ///< caches of the decoder's own tokens, as many as crossed ones
  Value prompt, mask, hidden;
  Values crossed;
};

} // namespace

std::unique_ptr<Network> makeNetwork(SearchPlan &plan) {
  Emitter &e = plan.e;
  const onnx::GraphProto *decoder = plan.node.getGraph("decoder"), *encoder = plan.node.getGraph("encoder"), *opening = plan.node.getGraph("init_decoder");
  if (!decoder || decoder->input_size() == 0 || decoder->output_size() < 2 || (plan.model != 0 && !encoder)) {
    e.fail(plan.model != 0 && !encoder ? "the encoder is missing" : "the decoder is missing, or has no caches");
    return nullptr;
  }
  if (plan.model != 0)
    return std::make_unique<EncoderDecoder>(plan, *encoder, *decoder);
  for (const onnx::GraphProto *graph : {decoder, opening})
    if (graph && graph->input_size() != graph->output_size() + 2) {
      e.fail("the network has " + Twine(graph->input_size()) + " inputs and " + Twine(graph->output_size()) +
             " outputs, expected two inputs more than outputs: buffers that past and present share are not supported");
      return nullptr;
    }
  return std::make_unique<Gpt>(plan, *decoder, opening);
}

} // namespace onager::frontend
