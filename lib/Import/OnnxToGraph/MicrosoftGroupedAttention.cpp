// Attention of com.microsoft whose heads share keys and values, over caches that it updates.
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
Value quantizeNew(Emitter &e, Value now, Value scale, Value past) {
  Value scaled = now && scale ? e.div(e.cast(now, e.f32()), scale) : Value();
  return scaled && past ? requantize(e, scaled, {}, Emitter::elementOf(past), true) : Value();
}

/// A cache as reals of the queries' type.
Value dequantizeCache(Emitter &e, Value cache, Value scale, Type type) {
  return scale ? e.cast(e.mul(e.cast(cache, e.f32()), scale), type) : cache;
}

/// Sets the result and the caches: queries meet the keys and values of their group by broadcasting.
void setGrouped(Node &node, const GroupedQuery &q, Value pastKey, Value pastValue, Scores &how) {
  Emitter &e = node.e;
  Value keyScale = q.isQuantised ? node.in(12) : Value(), valueScale = q.isQuantised ? node.in(13) : Value();
  Value newKey = q.isQuantised ? quantizeNew(e, q.key, keyScale, pastKey) : q.key, newValue = q.isQuantised ? quantizeNew(e, q.value, valueScale, pastValue) : q.value;
  Value keyCache = updateCache(e, q, pastKey, newKey), valueCache = updateCache(e, q, pastValue, newValue);
  if (!keyCache || !valueCache || !q.query)
    return;
  Type type = Emitter::elementOf(q.query);
  Value keys = dequantizeCache(e, keyCache, keyScale, type), values = dequantizeCache(e, valueCache, valueScale, type);
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

void importGroupQueryAttention(Node &node) {
  Emitter &e = node.e;
  GroupedQuery q;
  if (!checkRanks(node, {{10, 4}}))
    return;
  q.isQuantised = node.has(12) || node.has(13);
  if (node.getInt("sliding_window_cache", 0) || (q.isQuantised && (node.getInt("kv_cache_bit_width", 8) != 8 || !node.has(3))))
    return void(e.fail("sliding_window_cache and caches of less than 8 bits are not supported"));
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
  how.allowed = seeColumns(node, q, lengths);
  if (Value bias = node.opt(10)) {
    Exprs none(4, e.number(0)), behind = none;
    behind[3] = normalize(q.extent - Emitter::dimsOf(bias)[3]);
    how.bias = splitGroups(e, q, e.pad(bias, none, behind, e.scalar(0, Emitter::elementOf(bias))));
  }
  if (Value sink = node.opt(11))
    how.sink = e.reshape(sink, e.numbers({1, q.kvHeads, q.heads / q.kvHeads, 1, 1}));
  else if (node.getInt("smooth_softmax", 0) > 0)
    how.sink = e.scalar(0, e.f32());
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
  std::optional<int64_t> layouts = blocks ? graph::getConstant(Emitter::dimsOf(blocks)[0]) : std::nullopt;
  if (!layouts || *layouts < 1 || q.heads % *layouts)
    return void(e.fail("the number of layouts is not known or does not divide that of heads"));
  AffineExpr last = normalize(Emitter::dimsOf(blocks)[1] - 1);
  auto blockOf = [&](Value at) { return e.minimum(e.div(at, e.integerScalar(size, e.i64())), e.indexTensor({last}, {}, e.i64())); };
  Value columns = e.gather(blocks, blockOf(e.iota({q.extent}, 0, e.i64())), 2);
  Value seen = e.transpose(e.gather(columns, blockOf(q.positions), 1), {1, 0, 2, 3});
  Value turns = e.mod(e.iota({e.number(q.heads)}, 0, e.i64()), e.integerScalar(*layouts, e.i64()), false);
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
