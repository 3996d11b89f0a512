// What changes the scores of the next tokens of a search, in the order that ONNX Runtime gives it.
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include "lib/Import/OnnxToGraph/MicrosoftGeneration.h"
#include <limits>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

Value makeBanned(Emitter &e) { return e.scalar(-static_cast<double>(std::numeric_limits<float>::max()), e.f32()); }

/// Scores of tokens that were there: negative ones times the penalty, others divided by it.
Value punishRepetition(const SearchPlan &plan, Value scores, Value ids) {
  Emitter &e = plan.e;
  Value have = e.gatherElements(scores, ids, 1);
  if (!have)
    return {};
  Value changed = e.select(e.compare<LessOp>(have, e.scalar(0, e.f32())), e.mul(have, plan.repetition), e.div(have, plan.repetition));
  return e.scatterElements(scores, ids, changed, 1, ScatterKind::none);
}

Value banMasked(Emitter &e, Value scores, Value mask) {
  return mask ? e.select(e.compare<EqualOp>(mask, e.zero(Emitter::elementOf(mask))), makeBanned(e), scores) : Value();
}

/// Texts of less than the least length do not end.
Value banEnd(const SearchPlan &plan, Value scores, AffineExpr length) {
  Emitter &e = plan.e;
  Value isShort = e.compare<LessOp>(e.indexTensor({length}, {}, e.i64()), plan.leastLength);
  Value isEnd = e.compare<EqualOp>(e.iota({Emitter::dimsOf(scores)[1]}, 0, e.i64()), e.integerScalar(plan.end, e.i64()));
  return e.select(isShort && isEnd ? e.binary<AndOp>(isShort, isEnd) : Value(), makeBanned(e), scores);
}

/// Rules of Whisper's timestamps, which are the tokens from `begin` on: they stand in pairs, do not decrease, and one is taken where all of them
/// together are more probable than any other token.
class Timestamps {
public:
  Timestamps(const SearchPlan &plan, Value scores, Value ids, AffineExpr length) : e(plan.e), node(plan.node), scores(scores), ids(ids), length(length) {
    words = Emitter::dimsOf(scores)[1];
    numbers = e.unsqueeze(e.iota({words}, 0, e.i64()), {0});
    begin = node.getInt("beginning_timestamp_token_id", -1);
    end = plan.end;
    start = plan.start;
  }

  Value apply() {
    if (begin < 1 || (graph::getConstant(words) && begin >= *graph::getConstant(words)))
      return e.fail("beginning_timestamp_token_id is " + Twine(begin) + ", expected a token of the vocabulary behind the first");
    readTexts();
    if (e.hasFailed())
      return {};
    Value isBanned = either(equals("no_timestamps_token_id"), equals("start_of_lm_token_id"));
    Value isTask = either(either(equals("translate_token_id"), equals("transcribe_token_id")), e.compare<EqualOp>(numbers, number(start)));
    isBanned = either(isBanned, both(isTask, e.compare<LessOp>(opening, count)));
    isBanned = either(isBanned, both(isPair, isStamp()));
    isBanned = either(isBanned, both(isSingle, e.compare<LessOp>(numbers, number(end))));
    isBanned = either(isBanned, both(isStamp(), e.compare<LessOp>(numbers, least)));
    isBanned = either(isBanned, both(e.compare<EqualOp>(opening, count), e.compare<LessOp>(number(begin + kLatestStart), numbers)));
    scores = e.select(isBanned, makeBanned(e), scores);
    return preferStamps();
  }

private:
  /// The first timestamp is at most this far behind the first of all.
  static constexpr int64_t kLatestStart = 50;

  Value number(int64_t value) { return e.integerScalar(value, e.i64()); }
  Value both(Value a, Value b) { return a && b ? e.binary<AndOp>(a, b) : Value(); }
  Value either(Value a, Value b) { return a && b ? e.binary<OrOp>(a, b) : Value(); }
  Value equals(StringRef attribute) { return e.compare<EqualOp>(numbers, number(node.getInt(attribute, -1))); }
  Value isStamp() { return e.compare<LessEqualOp>(number(begin), numbers); }
  Value isStampAt(AffineExpr place) { return e.compare<LessEqualOp>(number(begin), e.sliceAxis(ids, 1, place, e.number(1))); }

  /// What the rules need of each text; all [rows, 1].
  void readTexts() {
    Value stamps = e.compare<LessEqualOp>(number(begin), ids);
    Value flags = stamps ? e.cast(stamps, e.i32()) : Value();
    Value hasAny = flags ? e.compare<LessOp>(e.integerScalar(0, e.i32()), e.reduce(ReduceKind::max, flags, {1})) : Value();
    count = e.indexTensor({length}, {}, e.i64());
    opening = e.select(hasAny, e.addNumber(e.argReduce(flags, true, 1, true, /*last=*/false), 1), count);
    Value isLast = isStampAt(normalize(length - 1));
    Value isBefore = either(e.compare<LessEqualOp>(count, opening), isStampAt(e.maxOf(normalize(length - 2), e.number(0))));
    isPair = both(isLast, isBefore);
    isSingle = isBefore ? both(isLast, e.unary<NotOp>(isBefore)) : Value();
    Value latest = e.gatherElements(ids, e.argReduce(flags, true, 1, true, /*last=*/true), 1);
    least = latest ? e.select(hasAny, e.select(isSingle, latest, e.addNumber(latest, 1)), number(0)) : Value();
  }

  Value preferStamps() {
    Value stamps = e.sliceAxis(scores, 1, e.number(begin), normalize(words - begin)), most = e.reduce(ReduceKind::max, stamps, {1});
    Value parts = e.select(e.compare<LessOp>(makeBanned(e), stamps), e.unary<ExpOp>(e.sub(stamps, most)), e.scalar(0, e.f32()));
    Value sum = e.add(e.unary<LogOp>(e.reduce(ReduceKind::sum, parts, {1})), most);
    Value isPreferred = e.compare<LessOp>(e.reduce(ReduceKind::max, e.sliceAxis(scores, 1, 0, begin), {1}), sum);
    return e.select(both(isPreferred, e.compare<LessOp>(numbers, number(begin))), makeBanned(e), scores);
  }

  Emitter &e;
  Node &node;
  Value scores, ids, numbers;
  AffineExpr length, words;
  int64_t begin = -1, end = -1, start = -1;
  Value count, opening; ///< tokens, and those up to the first timestamp
  Value isPair, isSingle, least;
};

} // namespace

Value processScores(const SearchPlan &plan, Value scores, Value sequences, AffineExpr length, bool isFirst) {
  Emitter &e = plan.e;
  Value ids = e.cast(e.sliceAxis(sequences, 1, e.number(0), length), e.i64());
  if (plan.repetition && scores && ids)
    scores = punishRepetition(plan, scores, ids);
  if (plan.ngram > 0 && scores && ids)
    scores = banRepeats(e, ids, scores, plan.ngram, makeBanned(e));
  if (plan.wordMask && scores)
    scores = banMasked(e, scores, plan.wordMask);
  if (plan.prefixMask && isFirst && scores)
    scores = banMasked(e, scores, plan.expandRows(plan.prefixMask, 0));
  if (plan.leastLength && scores)
    scores = banEnd(plan, scores, length);
  if (plan.temperature && scores)
    scores = e.div(scores, plan.temperature);
  if (plan.presence && scores)
    scores = e.sub(scores, plan.expandRows(plan.presence, 0));
  if (plan.hasTimestamps && scores && ids)
    scores = e.select(plan.hasTimestamps, Timestamps(plan, scores, ids, length).apply(), scores);
  return scores;
}

} // namespace onager::frontend
