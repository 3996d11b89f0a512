// Attention of com.microsoft whose heads share keys and values, over caches that it updates.
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include "lib/Import/OnnxToGraph/MicrosoftAttention.h"
#include "lib/Import/OnnxToGraph/Quantization.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What grouped attention works on.
struct GroupedQuery {
  int64_t heads = 0, kvHeads = 0;
  Value query, key, value;      ///< [B, heads or kvHeads, S, H]
  Value pastLength, positions;  ///< [B], [B, S] i64
  Value valid;                  ///< [B] i64, how many of the S are no padding; null for all
  AffineExpr total, extent;     ///< positions that may be seen, and that of the caches
  bool isQuantised = false;     ///< whether caches hold integers, with scales at inputs 12 and 13
  int64_t bits = 8;             ///< of a quantised cache; numbers of 4 bits lie two in a byte, the first in the low bits, as n + 8
  bool keepsRest = false;       ///< whether caches keep what they hold behind the new positions
};

/// A cache of keys or values: `past` up to pastLength[b], then what is new, then zeros or the rest of the past; [B, heads, extent, H].
Value updateCache(Emitter &e, const GroupedQuery &q, Value past, Value now) {
  if (!now || !q.pastLength)
    return {};
  Dims dims = Emitter::dimsOf(now);
  AffineExpr one = e.number(1), length = dims[2];
  dims[2] = q.extent;
  Dims column{dims[0], one, one, one};
  Value columns = e.iota({one, one, q.extent, one}, 2, e.i64()), offset = e.sub(columns, e.reshape(q.pastLength, column));
  Value last = e.indexTensor({normalize(length - 1)}, {}, e.i64()), zero = e.integerScalar(0, e.i64());
  Value fresh = e.gatherElements(now, e.broadcast(e.maximum(e.minimum(offset, last), zero), dims), 2);
  Value isNew = both(e, e.compare<LessEqualOp>(zero, offset), e.compare<LessEqualOp>(offset, last));
  if (q.valid)
    isNew = both(e, isNew, e.compare<LessOp>(offset, e.reshape(q.valid, column)));
  Value kept = e.scalar(0, Emitter::elementOf(now));
  if (past) {
    Exprs none(4, e.number(0)), behind = none;
    behind[2] = normalize(q.extent - Emitter::dimsOf(past)[2]);
    Value padded = e.pad(past, none, behind, kept);
    kept = q.keepsRest ? padded : e.select(e.compare<LessOp>(offset, zero), padded, kept);
  }
  return e.select(isNew, fresh, kept);
}

/// Reads heads, projections (apart, or packed in the query) and lengths; `lengths` [B] counts all positions of each sequence after this run.
bool readGroupedQuery(Node &node, GroupedQuery &q, Value lengths, Value total) {
  Emitter &e = node.e;
  Value query = node.in(0);
  q.heads = node.getInt("num_heads", 0), q.kvHeads = node.getInt("kv_num_heads", 0);
  if (!query || !lengths || !total || !checkRanks(node, {{3, 4}, {4, 4}}))
    return false;
  if (q.heads < 1 || q.kvHeads < 1 || q.heads % q.kvHeads)
    return e.fail(Twine(q.heads) + " heads for " + Twine(q.kvHeads) + " of keys and values") != nullptr;
  if (node.has(1)) {
    q.key = splitHeads(e, node.in(1), q.kvHeads);
    q.value = splitHeads(e, node.in(2), q.kvHeads);
    q.query = splitHeads(e, query, q.heads);
  } else {
    Value all = splitHeads(e, query, q.heads + 2 * q.kvHeads);
    q.query = e.sliceAxis(all, 1, 0, q.heads);
    q.key = e.sliceAxis(all, 1, q.heads, q.kvHeads);
    q.value = e.sliceAxis(all, 1, q.heads + q.kvHeads, q.kvHeads);
  }
  Exprs known = e.contentsOrBind(e.reshape(total, {}));
  if (!q.query || !q.key || !q.value || known.size() != 1)
    return false;
  Dims dims = Emitter::dimsOf(q.query);
  q.total = q.extent = e.maxOf(known[0], e.number(0));
  if (Value past = node.opt(3))
    q.extent = e.maxOf(q.total, Emitter::dimsOf(past)[2]);
  // A prompt, where all of the total is new, starts at 0.
  Value length = e.indexTensor({dims[2]}, {}, e.i64()), zero = e.integerScalar(0, e.i64());
  lengths = e.reshape(e.cast(lengths, e.i64()), {dims[0]});
  Value isPrompt = e.compare<EqualOp>(length, e.indexTensor({known[0]}, {}, e.i64()));
  q.pastLength = q.valid ? e.sub(lengths, q.valid) : e.select(isPrompt, zero, e.sub(lengths, length));
  q.positions = e.add(e.reshape(q.pastLength, {dims[0], e.number(1)}), e.iota({e.number(1), dims[2]}, 1, e.i64()));
  return !e.hasFailed();
}

/// Rotates queries and keys by their positions, which stay inside the tables.
void rotateGrouped(Node &node, GroupedQuery &q, Value positions, Value cosines, Value sines) {
  Emitter &e = node.e;
  if (!positions || !cosines || !sines)
    return;
  if (Emitter::rankOf(cosines) != 2 || Emitter::rankOf(sines) != 2 || Emitter::rankOf(positions) != 2)
    return void(e.fail("expected tables and positions of rank 2"));
  AffineExpr width = normalize(Emitter::dimsOf(cosines)[1] * 2), rows = Emitter::dimsOf(cosines)[0];
  positions = e.minimum(positions, e.indexTensor({normalize(rows - 1)}, {}, e.i64()));
  bool isInterleaved = node.getInt("rotary_interleaved", 0) != 0;
  cosines = pickAngles(e, cosines, positions);
  sines = pickAngles(e, sines, positions);
  q.query = rotate(e, q.query, cosines, sines, width, isInterleaved);
  q.key = rotate(e, q.key, cosines, sines, width, isInterleaved);
}

/// [B or 1, heads or 1, ..] as [B or 1, kvHeads or 1, group or 1, ..].
Value splitGroups(Emitter &e, const GroupedQuery &q, Value x) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  bool isOne = graph::isConstant(dims[1], 1);
  if (!isOne) {
    dims[1] = e.number(q.heads);
    x = e.broadcast(x, dims);
  }
  Dims split = dims;
  split[1] = isOne ? e.number(1) : e.number(q.kvHeads);
  split.insert(split.begin() + 2, isOne ? e.number(1) : e.number(q.heads / q.kvHeads));
  return e.reshape(x, split);
}

/// [B, kvHeads, group, ..] as [B, heads, ..].
Value joinGroups(Emitter &e, const GroupedQuery &q, Value x) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  dims.erase(dims.begin() + 2);
  dims[1] = e.number(q.heads);
  return e.reshape(x, dims);
}

/// What is new in the numbers of a quantised cache.
Value quantizeNew(Emitter &e, const GroupedQuery &q, Value now, Value scale, Value past) {
  Value scaled = now && scale ? e.div(e.cast(now, e.f32()), scale) : Value();
  if (!scaled || !past)
    return {};
  Type type = Emitter::elementOf(past);
  if (q.bits == 8)
    return requantize(e, scaled, {}, type, true);
  Dims halves = Emitter::dimsOf(scaled), packed = halves;
  packed.back() = halves.back() = normalize(halves.back().floorDiv(2));
  halves.push_back(e.number(2));
  Value numbers = e.minimum(e.maximum(e.addNumber(e.unary<RoundOp>(scaled), 8), e.scalar(0, e.f32())), e.scalar(15, e.f32()));
  Value shifted = e.mul(e.reshape(numbers, halves), e.tensor({1, 16}, {2}, e.f32()));
  return e.reshape(e.cast(e.reduce(ReduceKind::sum, shifted, {4}), type), packed);
}

/// A cache as reals of the queries' type.
Value dequantizeCache(Emitter &e, const GroupedQuery &q, Value cache, Value scale, Type type) {
  if (!scale)
    return cache;
  Value numbers = q.bits == 8 ? e.cast(cache, e.f32()) : e.addNumber(e.cast(unpackBits(e, cache, 4), e.f32()), -8);
  return e.cast(e.mul(numbers, scale), type);
}

/// Sets the result and the caches of a node: queries meet the keys and values of their group by broadcasting. `update` gives, for a cache of before and
/// what is new, what is seen and what comes out.
void setGrouped(Node &node, const GroupedQuery &q, Value pastKey, Value pastValue, Scores &how, function_ref<std::pair<Value, Value>(Value, Value)> update) {
  Emitter &e = node.e;
  Value keyScale = q.isQuantised ? node.in(12) : Value(), valueScale = q.isQuantised ? node.in(13) : Value();
  Value newKey = q.isQuantised ? quantizeNew(e, q, q.key, keyScale, pastKey) : q.key, newValue = q.isQuantised ? quantizeNew(e, q, q.value, valueScale, pastValue) : q.value;
  auto [keys, keyCache] = update(pastKey, newKey);
  auto [values, valueCache] = update(pastValue, newValue);
  if (!keyCache || !valueCache || !q.query)
    return;
  Type type = Emitter::elementOf(q.query);
  keys = dequantizeCache(e, q, keys, keyScale, type), values = dequantizeCache(e, q, values, valueScale, type);
  how.scale = node.getFloat("scale", 0);
  Weights weights;
  node.set(0, mergeHeads(e, joinGroups(e, q, attend(e, splitGroups(e, q, q.query), e.unsqueeze(keys, {2}), e.unsqueeze(values, {2}), how, &weights))));
  node.set(1, keyCache);
  node.set(2, valueCache);
  if (!node.wants(3))
    return;
  // Scores that are hidden show as 0.
  Value hidden = weights.scores ? e.select(how.allowed, weights.scores, e.scalar(0, Emitter::elementOf(weights.scores))) : Value();
  Value shown = joinGroups(e, q, node.getInt("qk_output", 0) == 2 ? weights.weights : hidden);
  node.set(3, shown ? e.sliceAxis(shown, 3, e.number(0), q.total) : Value());
}

/// The same where the caches hold all positions, each at its own place.
void setGrouped(Node &node, const GroupedQuery &q, Value pastKey, Value pastValue, Scores &how) {
  setGrouped(node, q, pastKey, pastValue, how, [&](Value past, Value now) {
    Emitter &e = node.e;
    Value cache = updateCache(e, q, past, now);
    if (!cache || !q.keepsRest)
      return std::pair(cache, cache);
    // What lies behind the last position may be anything, which times a weight of 0 must stay 0.
    AffineExpr one = e.number(1);
    Value isHeld = e.compare<LessOp>(e.iota({one, one, q.extent, one}, 2, e.i64()), e.indexTensor({q.total}, {}, e.i64()));
    return std::pair(e.select(isHeld, cache, e.zero(Emitter::elementOf(cache))), cache);
  });
}

/// The root mean square of each head scaled by a weight, where one is given.
Value normalizeHeads(Node &node, Value x, Value weight, StringRef epsilon) {
  Emitter &e = node.e;
  if (!x || !weight)
    return x;
  Value y = e.normalizeOver(e.cast(x, e.f32()), {3}, node.getFloat(epsilon, node.getFloat("qk_norm_epsilon", 1e-6)), /*rms=*/true);
  return e.cast(e.mul(y, e.cast(weight, e.f32())), Emitter::elementOf(x));
}

/// Columns that the queries see: up to their position, of a window the last ones; without causality all of their sequence.
Value seeColumns(Node &node, const GroupedQuery &q, Value lengths) {
  Emitter &e = node.e;
  int64_t window = node.getInt("local_window_size", -1);
  AffineExpr one = e.number(1);
  Value rows = q.positions, columns = e.iota({one, one, one, one, q.extent}, 4, e.i64());
  if (lengths) {
    Value length = e.reshape(lengths, {Emitter::dimsOf(q.query)[0], one});
    if (!node.getInt("causal", 1))
      return e.compare<LessOp>(columns, e.unsqueeze(length, {2, 3, 4}));
    // Rows of padding see what the last one does that is none.
    rows = e.minimum(rows, e.addNumber(length, -1));
  }
  rows = rows ? e.unsqueeze(rows, {1, 2, 4}) : rows;
  Value allowed = e.compare<LessEqualOp>(columns, rows);
  return window > 0 ? both(e, allowed, e.compare<LessOp>(e.addNumber(rows, static_cast<double>(-window)), columns)) : allowed;
}

/// A cache that holds the last positions of each sequence alone, from its first row on. With a window of W in C rows, G = C - W + 1 positions leave at once:
/// of T positions the last T - G ceil((T - C) / G) stay, all where there are no more than C.
class WindowedCache {
public:
  WindowedCache(Node &node, const GroupedQuery &q, Value lengths) : e(node.e), q(q), window(node.getInt("local_window_size", -1)) {
    Value past = node.in(3);
    if (window < 1 || !node.getInt("causal", 1) || node.wants(3))
      e.fail("sliding_window_cache asks for a local_window_size and causality, and gives no scores; local_window_size is " + Twine(window));
    if (e.hasFailed())
      return;
    texts = Emitter::dimsOf(past)[0], rows = Emitter::dimsOf(past)[2];
    e.requireAtLeast(rows, e.number(window), "the rows of the cache, which hold local_window_size");
    column = {texts, e.number(1)};
    length = e.reshape(lengths, column);
    before = e.reshape(q.pastLength, column);
    firstBefore = e.sub(before, countKept(before));
    capacity = number(rows);
  }

  /// The positions of the rows of the cache, then of what is new, [B, C + S]; below 0 where there is none.
  Value readColumns() {
    AffineExpr fresh = Emitter::dimsOf(q.key)[2];
    Value places = e.unsqueeze(e.iota({rows}, 0, e.i64()), {0}), behind = e.unsqueeze(e.iota({fresh}, 0, e.i64()), {0});
    Value old = e.add(firstBefore, places), now = e.add(before, behind), none = e.integerScalar(-1, e.i64());
    old = e.select(e.compare<LessOp>(old, before), old, none);
    return e.concat({old, e.select(e.compare<LessOp>(now, length), now, none)}, 1);
  }

  /// What is seen, and the cache that comes out.
  std::pair<Value, Value> update(Value past, Value now) {
    if (!past || !now)
      return {};
    // Rows that hold no position may hold anything, which times a weight of 0 must stay 0.
    Value isHeld = e.compare<LessOp>(e.add(firstBefore, e.unsqueeze(e.iota({rows}, 0, e.i64()), {0})), before);
    past = isHeld ? e.select(e.unsqueeze(isHeld, {1, 3}), past, e.zero(Emitter::elementOf(past))) : Value();
    Value all = e.concat({past, now}, 2);
    Value positions = e.add(e.sub(length, countKept(length)), e.unsqueeze(e.iota({rows}, 0, e.i64()), {0}));
    Value isNew = e.compare<LessEqualOp>(before, positions);
    Value places = e.select(isNew, e.add(e.sub(positions, before), capacity), e.sub(positions, firstBefore));
    places = e.minimum(places, number(normalize(rows + Emitter::dimsOf(now)[2] - 1)));
    Dims dims = past ? Emitter::dimsOf(past) : Dims();
    return {all, e.gatherElements(all, e.broadcast(e.reshape(places, {texts, e.number(1), rows, e.number(1)}), dims), 2)};
  }

private:
  Value number(AffineExpr value) { return e.indexTensor({value}, {}, e.i64()); }

  /// How many of as many positions stay.
  Value countKept(Value positions) {
    Value size = number(rows), step = number(normalize(rows - window + 1));
    Value leaving = e.mul(e.div(e.add(e.sub(positions, size), e.addNumber(step, -1)), step), step);
    return e.select(e.compare<LessEqualOp>(positions, size), positions, e.sub(positions, leaving));
  }

  Emitter &e;
  const GroupedQuery &q;
  int64_t window;
  AffineExpr texts, rows;
  Dims column;
  Value length, before, firstBefore, capacity; ///< [B, 1]: positions after and before this run, and the first that the cache holds
};

/// The bias of positions, which are the last dim, at columns [B, C + S].
Value pickColumns(Emitter &e, const GroupedQuery &q, Value bias, Value columns) {
  Dims dims = Emitter::dimsOf(bias), at = Emitter::dimsOf(columns);
  Dims all{at[0], dims[1], dims[2], dims[3]}, places{at[0], dims[1], dims[2], at[1]};
  Value last = e.indexTensor({normalize(dims[3] - 1)}, {}, e.i64());
  Value index = e.minimum(e.maximum(columns, e.integerScalar(0, e.i64())), last);
  return splitGroups(e, q, e.gatherElements(e.broadcast(bias, all), e.broadcast(e.reshape(index, {at[0], e.number(1), e.number(1), at[1]}), places), 3));
}

/// Attention over a windowed cache and what is new, whose columns stand for positions in any order.
void setWindowed(Node &node, const GroupedQuery &q, Value lengths, Scores &how) {
  Emitter &e = node.e;
  WindowedCache cache(node, q, lengths);
  if (e.hasFailed())
    return;
  Value columns = cache.readColumns(), rows = e.minimum(q.positions, e.addNumber(e.reshape(lengths, {Emitter::dimsOf(q.query)[0], e.number(1)}), -1));
  if (!columns || !rows)
    return;
  Value at = e.unsqueeze(columns, {1, 2, 3}), row = e.unsqueeze(rows, {1, 2, 4});
  Value isNear = e.compare<LessOp>(e.addNumber(row, static_cast<double>(-node.getInt("local_window_size", -1))), at);
  how.allowed = both(e, both(e, e.compare<LessEqualOp>(e.integerScalar(0, e.i64()), at), e.compare<LessEqualOp>(at, row)), isNear);
  if (Value bias = node.opt(10))
    how.bias = pickColumns(e, q, bias, columns);
  setGrouped(node, q, node.in(3), node.in(4), how, [&](Value past, Value now) { return cache.update(past, now); });
}

/// Refuses what is not there, and reads how the caches are quantised; false after a failure.
bool readCacheForm(Node &node, GroupedQuery &q) {
  q.isQuantised = node.has(12) || node.has(13);
  q.bits = node.getInt("kv_cache_bit_width", 8);
  if (q.isQuantised && ((q.bits != 8 && q.bits != 4) || !node.has(3) || !node.in(3)))
    return node.e.fail("quantised caches need past_key and a kv_cache_bit_width of 4 or 8, found " + Twine(q.bits)) != nullptr;
  if (q.isQuantised && q.bits == 4 && !Emitter::elementOf(node.in(3)).isUnsignedInteger(8))
    return node.e.fail("caches of 4 bits lie in bytes, which are of type uint8") != nullptr;
  return true;
}

void importGroupQueryAttention(Node &node) {
  Emitter &e = node.e;
  GroupedQuery q;
  if (!checkRanks(node, {{10, 4}}) || !readCacheForm(node, q))
    return;
  q.valid = node.has(16) ? e.cast(node.in(16), e.i64()) : Value();
  Value lengths = node.in(5) ? e.addNumber(e.cast(node.in(5), e.i64()), 1) : Value();
  if (!readGroupedQuery(node, q, lengths, node.in(6)))
    return;
  q.query = normalizeHeads(node, q.query, node.opt(14), "q_norm_epsilon");
  q.key = normalizeHeads(node, q.key, node.opt(15), "k_norm_epsilon");
  if (node.getInt("do_rotary", 0))
    rotateGrouped(node, q, node.has(9) ? e.cast(node.in(9), e.i64()) : q.positions, node.in(7), node.in(8));
  if (!q.query || !q.key)
    return;
  Scores how;
  how.softcap = node.getFloat("softcap", 0);
  if (Value sink = node.opt(11))
    how.sink = e.reshape(sink, e.numbers({1, q.kvHeads, q.heads / q.kvHeads, 1, 1}));
  else if (node.getInt("smooth_softmax", 0) > 0)
    how.sink = e.scalar(0, e.f32());
  if (node.getInt("sliding_window_cache", 0))
    return setWindowed(node, q, lengths, how);
  how.allowed = seeColumns(node, q, lengths);
  if (Value bias = node.opt(10)) {
    Exprs none(4, e.number(0)), behind = none;
    behind[3] = normalize(q.extent - Emitter::dimsOf(bias)[3]);
    how.bias = splitGroups(e, q, e.pad(bias, none, behind, e.scalar(0, Emitter::elementOf(bias))));
  }
  setGrouped(node, q, node.opt(3), node.opt(4), how);
}

/// Which blocks of columns each block of rows sees, [layouts, rows, columns], from compressed rows.
Value expandBlocks(Emitter &e, Value starts, Value columns) {
  if (!starts || !columns)
    return {};
  Dims dims = Emitter::dimsOf(starts);
  AffineExpr one = e.number(1), blocks = normalize(dims[1] - 1), entries = Emitter::dimsOf(columns)[1];
  Value entry = e.iota({one, one, entries}, 2, Emitter::elementOf(starts));
  Value from = e.unsqueeze(e.sliceAxis(starts, 1, e.number(0), blocks), {2}), to = e.unsqueeze(e.sliceAxis(starts, 1, one, blocks), {2});
  Value isOfRow = both(e, e.compare<LessEqualOp>(from, entry), e.compare<LessOp>(entry, to));
  Value isOfColumn = e.compare<EqualOp>(e.unsqueeze(columns, {2}), e.iota({one, one, blocks}, 2, Emitter::elementOf(columns)));
  Value count = e.matmul(e.cast(isOfRow, e.f32()), e.cast(isOfColumn, e.f32()));
  return count ? e.compare<LessOp>(e.scalar(0, e.f32()), count) : Value();
}

/// Grouped attention where each query sees blocks of keys alone; layouts of blocks take turns over the heads.
void importSparseAttention(Node &node) {
  Emitter &e = node.e;
  GroupedQuery q;
  int64_t size = node.getInt("sparse_block_size", 0);
  if (size < 1)
    return void(e.fail("sparse_block_size is " + Twine(size)));
  if (!checkRanks(node, {{5, 2}, {6, 2}}))
    return;
  q.keepsRest = true;
  if (!readGroupedQuery(node, q, node.in(8), node.in(7)))
    return;
  if (node.getInt("do_rotary", 0))
    rotateGrouped(node, q, q.positions, node.in(9), node.in(10));
  Value blocks = expandBlocks(e, node.in(5), node.in(6));
  if (!blocks)
    return;
  AffineExpr layouts = e.maxOf(Emitter::dimsOf(blocks)[0], e.number(1));
  e.unify(normalize(e.truncDiv(e.number(q.heads), layouts) * layouts), e.number(q.heads), "the number of heads, which the layouts share");
  if (e.hasFailed())
    return;
  AffineExpr last = normalize(Emitter::dimsOf(blocks)[1] - 1);
  auto blockOf = [&](Value at) { return e.minimum(e.div(at, e.integerScalar(size, e.i64())), e.indexTensor({last}, {}, e.i64())); };
  Value columns = e.gather(blocks, blockOf(e.iota({q.extent}, 0, e.i64())), 2);
  Value seen = e.transpose(e.gather(columns, blockOf(q.positions), 1), {1, 0, 2, 3});
  Value turns = e.mod(e.iota({e.number(q.heads)}, 0, e.i64()), e.indexTensor({layouts}, {}, e.i64()), false);
  Scores how;
  how.allowed = both(e, seeColumns(node, q, {}), splitGroups(e, q, e.gather(seen, turns, 1)));
  if (how.allowed)
    setGrouped(node, q, node.in(3), node.in(4), how);
}

} // namespace

void addMicrosoftGroupedAttention(OperatorTable &table) {
  table.addIn("com.microsoft", "GroupQueryAttention", importGroupQueryAttention);
  table.addIn("com.microsoft", "SparseAttention", importSparseAttention);
}

} // namespace onager::frontend
