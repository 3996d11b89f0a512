// Attention of the domain com.microsoft, written out in matrix products and a softmax.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// [B, S, heads * H] -> [B, heads, S, H].
Value splitHeads(Emitter &e, Value x, int64_t heads) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  if (dims.size() != 3 || heads < 1)
    return e.fail("expected rank 3 and at least one head, found rank " + Twine(dims.size()) + " and " + Twine(heads) + " heads");
  return e.transpose(e.reshape(x, {dims[0], dims[1], e.number(heads), e.truncDiv(dims[2], e.number(heads))}), {0, 2, 1, 3});
}

/// [B, heads, S, H] -> [B, S, heads * H].
Value mergeHeads(Emitter &e, Value x) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  return e.reshape(e.transpose(x, {0, 2, 1, 3}), {dims[0], dims[2], normalize(dims[1] * dims[3])});
}

/// Rotates pairs of the first `width` elements of x [B, heads, S, H] by angles [B or 1, 1, S, width / 2].
Value rotate(Emitter &e, Value x, Value cosines, Value sines, AffineExpr width, bool isInterleaved) {
  if (!x || !cosines || !sines)
    return {};
  Dims dims = Emitter::dimsOf(x);
  AffineExpr half = normalize(width.floorDiv(2)), zero = e.number(0);
  Value turned = e.sliceAxis(x, 3, zero, width), first, second;
  Dims pairs{dims[0], dims[1], dims[2], half, e.number(2)};
  if (isInterleaved) {
    Value split = e.reshape(turned, pairs);
    first = e.squeeze(e.sliceAxis(split, 4, 0, 1), {4});
    second = e.squeeze(e.sliceAxis(split, 4, 1, 1), {4});
  } else {
    first = e.sliceAxis(turned, 3, zero, half);
    second = e.sliceAxis(turned, 3, half, half);
  }
  Value real = e.sub(e.mul(first, cosines), e.mul(second, sines)), imaginary = e.add(e.mul(first, sines), e.mul(second, cosines));
  if (!real || !imaginary)
    return {};
  Value result = isInterleaved ? e.reshape(e.concat({e.unsqueeze(real, {4}), e.unsqueeze(imaginary, {4})}, 4), {dims[0], dims[1], dims[2], width})
                               : e.concat({real, imaginary}, 3);
  return areEqual(width, dims[3]) ? result : e.concat({result, e.sliceAxis(x, 3, width, normalize(dims[3] - width))}, 3);
}

/// Rows of a cache [positions, W] at positions [B, S] as [B, 1, S, W].
Value pickAngles(Emitter &e, Value cache, Value positions) {
  Value rows = cache && positions ? e.gather(cache, positions, 0) : Value();
  return rows ? e.unsqueeze(rows, {1}) : Value();
}

void importRotaryEmbedding(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), positions = node.in(1), cosines = node.in(2), sines = node.in(3);
  if (!x || !positions || !cosines || !sines)
    return;
  if (node.getInt("is_packed_batching", 0))
    return void(e.fail("packed batches are not supported"));
  bool hasHeads = Emitter::rankOf(x) == 4;
  AffineExpr width = normalize(Emitter::dimsOf(cosines)[1] * 2);
  std::optional<int64_t> known = graph::getConstant(width), hidden = graph::getConstant(Emitter::dimsOf(x).back());
  int64_t heads = node.getInt("num_heads", 0), rotary = node.getInt("rotary_embedding_dim", 0);
  if (!hasHeads && heads == 0 && rotary == 0 && known && hidden && *known > 0)
    heads = *hidden / *known;
  Value split = hasHeads ? x : splitHeads(e, x, heads);
  if (!split)
    return;
  AffineExpr length = Emitter::dimsOf(split)[2];
  positions = e.cast(positions, e.i64());
  // One number is the offset of the first position.
  if (positions && Emitter::rankOf(positions) <= 1)
    positions = e.add(e.iota({e.number(1), length}, 1, e.i64()), e.reshape(positions, {}));
  Value y = rotate(e, split, pickAngles(e, cosines, positions), pickAngles(e, sines, positions), width, node.getInt("interleaved", 0) != 0);
  node.set(0, hasHeads ? y : mergeHeads(e, y));
}

/// How scores become weights.
struct Scores {
  double scale = 0;     ///< 0: 1 / sqrt(H)
  double softcap = 0;   ///< limits scores to +-softcap, by tanh
  Value bias;           ///< added to the scores where given
  Value allowed;        ///< positions that count, where given
  double masked = -INFINITY; ///< added to the scores of the others
};

/// softmax(scale * q k^T + bias) v for q [..., S, H], k [..., T, H], v [..., T, V], in f32 for shorter floats.
Value attend(Emitter &e, Value q, Value k, Value v, const Scores &how) {
  if (!q || !k || !v)
    return {};
  Type type = Emitter::elementOf(q), wide = type.getIntOrFloatBitWidth() < 32 ? e.f32() : type;
  std::optional<int64_t> size = graph::getConstant(Emitter::dimsOf(q).back());
  if (how.scale == 0 && !size)
    return e.fail("the size of a head is not known");
  double scale = how.scale != 0 ? how.scale : 1 / std::sqrt(static_cast<double>(*size));
  Value scores = e.mulNumber(e.matmul(e.cast(q, wide), e.transposeLast(e.cast(k, wide))), scale);
  if (how.softcap > 0)
    scores = e.mulNumber(e.unary<TanhOp>(e.divNumber(scores, how.softcap)), how.softcap);
  if (how.bias)
    scores = e.add(scores, e.cast(how.bias, wide));
  if (how.allowed)
    scores = std::isinf(how.masked) ? e.select(how.allowed, scores, e.lowest(wide))
                                    : e.add(scores, e.select(how.allowed, e.scalar(0, wide), e.scalar(how.masked, wide)));
  return e.cast(e.matmul(e.softmax(scores, scores ? Emitter::rankOf(scores) - 1 : 0), e.cast(v, wide)), type);
}

Value both(Emitter &e, Value a, Value b) { return a && b ? e.binary<AndOp>(a, b) : a ? a : b; }

/// Positions [S, T] that a causal query sees: column <= row + T - S.
Value makeCausal(Emitter &e, AffineExpr queries, AffineExpr keys) {
  Value rows = e.iota({queries, e.number(1)}, 0, e.i64()), columns = e.iota({e.number(1), keys}, 1, e.i64());
  return e.compare<LessEqualOp>(columns, e.add(rows, e.indexTensor({normalize(keys - queries)}, {}, e.i64())));
}

/// What a mask of com.microsoft allows, as something that broadcasts to [B, heads, S, T]; its meaning follows from its shape.
Value readMask(Emitter &e, Value mask, AffineExpr batch, AffineExpr keys) {
  if (!mask)
    return {};
  Dims dims = Emitter::dimsOf(mask);
  Value columns = e.iota({e.number(1), e.number(1), e.number(1), keys}, 3, Emitter::elementOf(mask));
  Dims column{batch, e.number(1), e.number(1), e.number(1)};
  if (dims.size() == 1 && areEqual(dims[0], batch))
    return e.compare<LessOp>(columns, e.reshape(mask, column));
  if (dims.size() == 1 && areEqual(dims[0], normalize(batch * 2))) {
    Value ends = e.reshape(e.sliceAxis(mask, 0, e.number(0), batch), column), starts = e.reshape(e.sliceAxis(mask, 0, batch, batch), column);
    return both(e, e.compare<LessOp>(columns, ends), e.compare<LessEqualOp>(starts, columns));
  }
  Value flags = e.cast(mask, e.i1());
  if (dims.size() == 2)
    return e.unsqueeze(flags, {1, 2});
  if (dims.size() == 3)
    return e.unsqueeze(flags, {1});
  return e.fail("a mask of rank " + Twine(dims.size()) + " is not supported");
}

/// Keys or values behind those of earlier runs.
Value appendPast(Emitter &e, Value past, Value now) { return past && now ? e.concat({past, now}, 2) : now; }

/// Sets output 0 of Attention or MultiHeadAttention, whose attributes and bias mean the same; `mask` stands at another input.
void setAttended(Node &node, const Value (&parts)[3], Value mask) {
  Emitter &e = node.e;
  Dims queries = Emitter::dimsOf(parts[0]), keys = Emitter::dimsOf(parts[1]);
  Scores how;
  how.scale = node.getFloat("scale", 0);
  how.bias = node.opt(5);
  how.masked = node.getFloat("mask_filter_value", -10000);
  how.allowed = readMask(e, mask, queries[0], keys[2]);
  if (node.getInt("unidirectional", 0)) {
    how.allowed = both(e, how.allowed, makeCausal(e, queries[2], keys[2]));
    how.masked = -INFINITY;
  }
  node.set(0, mergeHeads(e, attend(e, parts[0], parts[1], parts[2], how)));
}

/// Attention over one projection of the input to queries, keys and values.
void importAttention(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), weights = node.in(1);
  int64_t heads = node.getInt("num_heads", 0);
  if (!x || !weights)
    return;
  if (node.getInt("do_rotary", 0) || node.has(6))
    return void(e.fail("do_rotary and a shared past buffer are not supported"));
  Value all = e.matmul(x, weights);
  all = node.has(2) ? e.add(all, node.in(2)) : all;
  if (!all)
    return;
  AffineExpr third = e.truncDiv(Emitter::dimsOf(all)[2], e.number(3));
  Ints sizes = node.getInts("qkv_hidden_sizes").value_or(Ints());
  AffineExpr start = e.number(0);
  Value parts[3];
  for (size_t k = 0; k < 3; ++k) {
    AffineExpr size = sizes.size() == 3 ? e.number(sizes[k]) : third;
    parts[k] = splitHeads(e, e.sliceAxis(all, 2, start, size), heads);
    start = normalize(start + size);
  }
  if (node.has(4))
    for (int64_t k = 1; k < 3; ++k)
      parts[k] = appendPast(e, e.squeeze(e.sliceAxis(node.in(4), 0, k - 1, 1), {0}), parts[k]);
  if (!parts[0] || !parts[1] || !parts[2])
    return;
  setAttended(node, parts, node.opt(3));
  if (node.wants(1))
    node.set(1, e.concat({e.unsqueeze(parts[1], {0}), e.unsqueeze(parts[2], {0})}, 0));
}

/// Queries, keys and values of MultiHeadAttention as [B, heads, length, H], whatever form they come in.
bool readProjections(Node &node, int64_t heads, Value (&parts)[3]) {
  Emitter &e = node.e;
  Value query = node.in(0);
  if (!query)
    return false;
  // Packed: [B, S, heads, 3, H], or keys and values as [B, T, heads, 2, H].
  auto unpack = [&](Value packed, int64_t at) { return e.transpose(e.squeeze(e.sliceAxis(packed, 3, at, 1), {3}), {0, 2, 1, 3}); };
  if (Emitter::rankOf(query) == 5) {
    for (int64_t k = 0; k < 3; ++k)
      parts[k] = unpack(query, k);
    return !node.has(3) || e.fail("a bias with packed projections is not supported");
  }
  Value bias = node.opt(3), inputs[3] = {query, node.opt(1), node.opt(2)};
  AffineExpr start = e.number(0);
  for (int64_t k = 0; k < 3; ++k) {
    if (k > 0 && inputs[1] && Emitter::rankOf(inputs[1]) == 5) {
      parts[k] = unpack(inputs[1], k - 1);
      continue;
    }
    if (!inputs[k])
      return e.fail("keys or values are missing") != nullptr;
    bool hasHeads = Emitter::rankOf(inputs[k]) == 4;
    AffineExpr size = hasHeads ? normalize(Emitter::dimsOf(inputs[k])[1] * Emitter::dimsOf(inputs[k])[3]) : Emitter::dimsOf(inputs[k])[2];
    if (bias && !hasHeads)
      inputs[k] = e.add(inputs[k], e.sliceAxis(bias, 0, start, size));
    start = normalize(start + size);
    parts[k] = hasHeads ? inputs[k] : splitHeads(e, inputs[k], heads);
  }
  return parts[0] && parts[1] && parts[2];
}

void importMultiHeadAttention(Node &node) {
  Emitter &e = node.e;
  Value parts[3];
  if (node.has(8) || node.has(9))
    return void(e.fail("a shared past buffer and cache_indirection are not supported"));
  if (!readProjections(node, node.getInt("num_heads", 0), parts))
    return;
  parts[1] = appendPast(e, node.opt(6), parts[1]);
  parts[2] = appendPast(e, node.opt(7), parts[2]);
  if (!parts[1] || !parts[2])
    return;
  setAttended(node, parts, node.opt(4));
  for (unsigned k = 1; k < 3; ++k)
    if (node.wants(k))
      node.set(k, parts[k]);
}

/// A cache of keys or values: `past` up to pastLength[b], then what is new, then zeros; [B, heads, total, H].
Value updateCache(Emitter &e, Value past, Value now, Value pastLength, AffineExpr total) {
  if (!now || !pastLength)
    return {};
  Dims dims = Emitter::dimsOf(now);
  AffineExpr one = e.number(1), length = dims[2];
  dims[2] = total;
  Value columns = e.iota({one, one, total, one}, 2, e.i64()), offset = e.sub(columns, e.reshape(pastLength, {dims[0], one, one, one}));
  Value last = e.indexTensor({normalize(length - 1)}, {}, e.i64()), zero = e.integerScalar(0, e.i64());
  Value index = e.maximum(e.minimum(offset, last), zero);
  Value fresh = e.gatherElements(now, e.broadcast(index, dims), 2);
  Value isNew = both(e, e.compare<LessEqualOp>(zero, offset), e.compare<LessEqualOp>(offset, last));
  Value kept = e.scalar(0, Emitter::elementOf(now));
  if (past) {
    Exprs none(4, e.number(0)), behind = none;
    behind[2] = normalize(total - Emitter::dimsOf(past)[2]);
    Value padded = e.pad(past, none, behind, kept);
    kept = e.select(e.compare<LessOp>(offset, zero), padded, kept);
  }
  return e.select(isNew, fresh, kept);
}

/// What GroupQueryAttention works on.
struct GroupedQuery {
  Value query, key, value;      ///< [B, heads or kv heads, S, H]
  Value pastLength, positions;  ///< [B], [B, S] i64
  AffineExpr total;             ///< extent of the caches that come out
};

bool readGroupedQuery(Node &node, int64_t heads, int64_t kvHeads, GroupedQuery &q) {
  Emitter &e = node.e;
  Value query = node.in(0), lengths = e.cast(node.in(5), e.i64()), total = node.in(6);
  if (!query || !lengths || !total)
    return false;
  if (heads < 1 || kvHeads < 1 || heads % kvHeads)
    return e.fail(Twine(heads) + " heads for " + Twine(kvHeads) + " of keys and values") != nullptr;
  if (node.has(1)) {
    q.key = splitHeads(e, node.in(1), kvHeads);
    q.value = splitHeads(e, node.in(2), kvHeads);
    q.query = splitHeads(e, query, heads);
  } else {
    Value all = splitHeads(e, query, heads + 2 * kvHeads);
    q.query = e.sliceAxis(all, 1, 0, heads);
    q.key = e.sliceAxis(all, 1, heads, kvHeads);
    q.value = e.sliceAxis(all, 1, heads + kvHeads, kvHeads);
  }
  Exprs known = e.contentsOrBind(e.reshape(total, {}));
  if (!q.query || !q.key || !q.value || known.size() != 1)
    return false;
  Dims dims = Emitter::dimsOf(q.query);
  q.total = e.maxOf(known[0], e.number(0));
  if (Value past = node.opt(3))
    q.total = e.maxOf(q.total, Emitter::dimsOf(past)[2]);
  // seqlens_k is the length after this run, less one; a prompt (all of the total is new) starts at 0.
  Value length = e.indexTensor({dims[2]}, {}, e.i64()), after = e.addNumber(e.reshape(lengths, {dims[0]}), 1);
  Value isPrompt = e.compare<EqualOp>(length, e.cast(e.reshape(total, {}), e.i64()));
  q.pastLength = e.select(isPrompt, e.integerScalar(0, e.i64()), e.sub(after, length));
  q.positions = e.add(e.reshape(q.pastLength, {dims[0], e.number(1)}), e.iota({e.number(1), dims[2]}, 1, e.i64()));
  return !e.hasFailed();
}

/// [B, kv heads, ..] and queries as [B, kv heads, group, S, H], so that each group meets its keys by broadcasting.
Value attendGrouped(Emitter &e, const GroupedQuery &q, Value keys, Value values, int64_t heads, int64_t kvHeads, const Scores &how) {
  Dims dims = Emitter::dimsOf(q.query);
  Value grouped = e.reshape(q.query, {dims[0], e.number(kvHeads), e.number(heads / kvHeads), dims[2], dims[3]});
  Value y = attend(e, grouped, e.unsqueeze(keys, {2}), e.unsqueeze(values, {2}), how);
  return y ? mergeHeads(e, e.reshape(y, {dims[0], e.number(heads), dims[2], Emitter::dimsOf(y)[4]})) : Value();
}

void importGroupQueryAttention(Node &node) {
  Emitter &e = node.e;
  int64_t heads = node.getInt("num_heads", 0), kvHeads = node.getInt("kv_num_heads", 0), window = node.getInt("local_window_size", -1);
  if (node.getInt("smooth_softmax", 0) > 0 || node.has(10) || node.has(11) || node.getInt("qk_output", 0))
    return void(e.fail("smooth_softmax, an attention bias, head_sink and qk_output are not supported"));
  GroupedQuery q;
  if (!readGroupedQuery(node, heads, kvHeads, q))
    return;
  if (node.getInt("do_rotary", 0)) {
    Value positions = node.has(9) ? e.cast(node.in(9), e.i64()) : q.positions, cosines = node.in(7), sines = node.in(8);
    if (!cosines || !sines)
      return;
    AffineExpr width = normalize(Emitter::dimsOf(cosines)[1] * 2), rows = Emitter::dimsOf(cosines)[0];
    positions = e.minimum(positions, e.indexTensor({normalize(rows - 1)}, {}, e.i64()));
    bool isInterleaved = node.getInt("rotary_interleaved", 0) != 0;
    cosines = pickAngles(e, cosines, positions);
    sines = pickAngles(e, sines, positions);
    q.query = rotate(e, q.query, cosines, sines, width, isInterleaved);
    q.key = rotate(e, q.key, cosines, sines, width, isInterleaved);
  }
  Value keys = updateCache(e, node.opt(3), q.key, q.pastLength, q.total), values = updateCache(e, node.opt(4), q.value, q.pastLength, q.total);
  if (!keys || !values || !q.query)
    return;
  // A query at position p sees the columns up to p, of a window the last ones.
  Value rows = e.unsqueeze(q.positions, {1, 2, 4}), columns = e.iota({e.number(1), e.number(1), e.number(1), e.number(1), q.total}, 4, e.i64());
  Scores how;
  how.scale = node.getFloat("scale", 0);
  how.softcap = node.getFloat("softcap", 0);
  how.allowed = e.compare<LessEqualOp>(columns, rows);
  if (window > 0)
    how.allowed = both(e, how.allowed, e.compare<LessOp>(e.addNumber(rows, static_cast<double>(-window)), columns));
  node.set(0, attendGrouped(e, q, keys, values, heads, kvHeads, how));
  if (node.wants(1))
    node.set(1, keys);
  if (node.wants(2))
    node.set(2, values);
}

} // namespace

void addMicrosoftAttention(OperatorTable &table) {
  table.addIn("com.microsoft", "RotaryEmbedding", importRotaryEmbedding);
  table.addIn("com.microsoft", "Attention", importAttention);
  table.addIn("com.microsoft", "MultiHeadAttention", importMultiHeadAttention);
  table.addIn("com.microsoft", "GroupQueryAttention", importGroupQueryAttention);
}

} // namespace onager::frontend
