// Hashes of the n-grams that end at each token, of the domain com.microsoft: of texts of one length, and of packed ones.
#include "lib/Import/OnnxToGraph/Packed.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What both operators say.
struct Grams {
  Node &node;
  Emitter &e;
  int64_t most, heads;
  Value multipliers, sizes, offsets, end, filler; ///< offsets and end may be null; filler stands where there is no token

  /// Reads attributes and the inputs at their places; false after a failure.
  static std::optional<Grams> read(Node &node, unsigned offsetsAt, unsigned endAt) {
    Emitter &e = node.e;
    Grams grams{node, e, node.getInt("max_ngram_size", 0), node.getInt("n_head_per_ngram", 0), node.in(1), node.in(2), node.opt(offsetsAt), {}, {}};
    if (!node.in(0) || !grams.multipliers || !grams.sizes || !checkRanks(node, {{1, 1}, {2, 1}}))
      return std::nullopt;
    if (!isa<IntegerType>(Emitter::elementOf(node.in(0)))) {
      e.fail("expected tokens of an integer type");
      return std::nullopt;
    }
    if (grams.most < 2 || grams.most > 64 || grams.heads < 1) {
      e.fail("max_ngram_size is " + Twine(grams.most) + ", n_head_per_ngram " + Twine(grams.heads));
      return std::nullopt;
    }
    e.requireAtLeast(Emitter::dimsOf(grams.multipliers)[0], e.number(grams.most), "the number of multipliers");
    e.unify(Emitter::dimsOf(grams.sizes)[0], e.number((grams.most - 1) * grams.heads), "the number of tables");
    grams.end = node.has(endAt) ? e.reshape(node.in(endAt), {}) : Value();
    grams.filler = grams.end ? grams.end : e.integerScalar(node.getInt("pad_id", 0), Emitter::elementOf(node.in(0)));
    return e.hasFailed() ? std::nullopt : std::optional<Grams>(grams);
  }

  /// Products of tokens with multipliers, joined by exclusive or, modulo the size of each head's table. `shift(k)` gives the tokens k places before;
  /// `parts(k)`, or null, tells where another segment begins one place behind them. Behind a segment's beginning and the end of a text nothing is seen.
  Value hash(function_ref<Value(int64_t)> shift, function_ref<Value(int64_t)> parts) {
    Value mix, isCut;
    Values hashes;
    for (int64_t k = 0; k < most && !e.hasFailed(); ++k) {
      Value tokens = shift(k);
      if (k > 0) {
        if (end && node.getInt("reset_on_eos", 0))
          isCut = either(isCut, e.compare<EqualOp>(tokens, end));
        isCut = either(isCut, parts(k));
        tokens = isCut ? e.select(isCut, filler, tokens) : tokens;
      }
      Value product = e.mul(tokens, e.reshape(e.sliceAxis(multipliers, 0, k, 1), {}));
      mix = mix ? e.binary<XorOp>(mix, product) : product;
      if (k > 0 && mix)
        hashes.push_back(e.mod(e.unsqueeze(mix, {Emitter::rankOf(mix)}), e.sliceAxis(sizes, 0, (k - 1) * heads, heads), /*fmod=*/false));
    }
    if (e.hasFailed())
      return {};
    Value all = e.concat(hashes, Emitter::rankOf(mix));
    return offsets ? e.add(all, offsets) : all;
  }

private:
  Value either(Value a, Value b) { return a && b ? e.binary<OrOp>(a, b) : a ? a : b; }
};

void importNGramHashMapping(Node &node) {
  Emitter &e = node.e;
  if (!checkRanks(node, {{0, 2}, {3, 2}, {6, 2}}))
    return;
  std::optional<Grams> grams = Grams::read(node, 4, 5);
  if (!grams)
    return;
  Value ids = node.in(0), segments = node.opt(6);
  Dims dims = Emitter::dimsOf(ids);
  AffineExpr before = e.number(grams->most - 1);
  if (node.has(3))
    e.unify(Emitter::dimsOf(node.in(3))[1], before, "the number of past ids");
  Value all = e.concat({node.has(3) ? node.in(3) : e.splat(grams->filler, {dims[0], before}), ids}, 1);
  auto shift = [&](int64_t k) { return e.sliceAxis(all, 1, e.number(grams->most - 1 - k), dims[1]); };
  Value zero = e.integerScalar(0, e.i64()), places = e.iota({dims[1]}, 0, e.i64());
  auto segmentBefore = [&](int64_t k) { return e.gather(segments, e.maximum(e.addNumber(places, static_cast<double>(-k)), zero), 1); };
  auto parts = [&](int64_t k) { return segments ? e.unary<NotOp>(e.compare<EqualOp>(segmentBefore(k), segmentBefore(k - 1))) : Value(); };
  node.set(0, grams->hash(shift, parts));
  node.set(1, e.sliceAxis(all, 1, dims[1], before));
}

void importVarlenNGramHashMapping(Node &node) {
  Emitter &e = node.e;
  if (!checkRanks(node, {{0, 1}, {3, 1}, {4, 2}, {7, 1}, {8, 2}}))
    return;
  std::optional<Grams> grams = Grams::read(node, 5, 6);
  if (!grams)
    return;
  Value ids = node.in(0), segments = node.opt(7), pastSegments = node.opt(8);
  PackedTexts packed(e, node.in(3), Emitter::dimsOf(ids)[0]);
  if (e.hasFailed())
    return;
  AffineExpr before = e.number(grams->most - 1);
  Value past = node.has(4) ? node.in(4) : e.splat(grams->filler, {packed.texts, before});
  if (past)
    e.unify(Emitter::dimsOf(past)[1], before, "the number of past ids");
  auto shiftOf = [&](Value x, Value history, int64_t k) { return packed.take(x, history, e.addNumber(packed.placeOf, static_cast<double>(-k)), packed.textOf); };
  auto parts = [&](int64_t k) {
    return segments ? e.unary<NotOp>(e.compare<EqualOp>(shiftOf(segments, pastSegments, k), shiftOf(segments, pastSegments, k - 1))) : Value();
  };
  node.set(0, grams->hash([&](int64_t k) { return shiftOf(ids, past, k); }, parts));
  node.set(1, packed.takeLast(ids, past, before));
  if (node.wants(2) && !segments)
    return void(e.fail("present_segment_ids are asked for without segment_ids"));
  if (node.wants(2))
    node.set(2, packed.takeLast(segments, pastSegments, before));
  if (!node.wants(3))
    return;
  int64_t capacity = node.getInt("state_update_capacity", 0);
  Dims slots{packed.texts, e.number(capacity), before};
  Value isCaptured = readCaptured(node, packed, 9, capacity);
  Value places = e.addNumber(e.add(e.iota(slots, 1, e.i64()), e.iota(slots, 2, e.i64())), static_cast<double>(2 - grams->most));
  Value states = packed.take(ids, past, places, e.iota(slots, 0, e.i64()));
  Value none = e.integerScalar(node.getInt("pad_id", 0), Emitter::elementOf(ids));
  node.set(3, isCaptured ? e.select(e.unsqueeze(isCaptured, {2}), states, none) : Value());
}

} // namespace

void addMicrosoftGrams(OperatorTable &table) {
  table.addIn("com.microsoft", "NGramHashMapping", importNGramHashMapping);
  table.addIn("com.microsoft", "VarlenNGramHashMapping", importVarlenNGramHashMapping);
}

} // namespace onager::frontend
