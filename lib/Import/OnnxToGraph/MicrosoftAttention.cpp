// Attention of the domain com.microsoft, written out in matrix products and a softmax.
#include "lib/Import/OnnxToGraph/MicrosoftAttention.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

/// [B, S, heads * H] -> [B, S, heads, H].
static Value groupHeads(Emitter &e, Value x, int64_t heads) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  if (dims.size() != 3 || heads < 1)
    return e.fail("expected rank 3 and at least one head, found rank " + Twine(dims.size()) + " and " + Twine(heads) + " heads");
  return e.reshape(x, {dims[0], dims[1], e.number(heads), e.truncDiv(dims[2], e.number(heads))});
}

Value splitHeads(Emitter &e, Value x, int64_t heads) {
  Value grouped = groupHeads(e, x, heads);
  return grouped ? e.transpose(grouped, {0, 2, 1, 3}) : Value();
}

Value mergeHeads(Emitter &e, Value x) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  return e.reshape(e.transpose(x, {0, 2, 1, 3}), {dims[0], dims[2], normalize(dims[1] * dims[3])});
}

Value rotate(Emitter &e, Value x, Value cosines, Value sines, AffineExpr width, bool isInterleaved) {
  if (!x || !cosines || !sines)
    return {};
  Dims dims = Emitter::dimsOf(x);
  AffineExpr half = normalize(width.floorDiv(2)), zero = e.number(0);
  Value turned = e.sliceAxis(x, 3, zero, width), result;
  if (isInterleaved) {
    // Each element of a pair takes the other one: (a, b) cos + (b, a) (-sin, sin).
    Value pairs = e.reshape(turned, {dims[0], dims[1], dims[2], half, e.number(2)}), signs = e.tensor({-1, 1}, {2}, Emitter::elementOf(x));
    Value own = e.mul(pairs, e.unsqueeze(cosines, {4})), other = e.mul(e.reverse(pairs, 4), e.mul(e.unsqueeze(sines, {4}), signs));
    result = e.reshape(e.add(own, other), {dims[0], dims[1], dims[2], width});
  } else {
    Value first = e.sliceAxis(turned, 3, zero, half), second = e.sliceAxis(turned, 3, half, half);
    Value real = e.sub(e.mul(first, cosines), e.mul(second, sines)), imaginary = e.add(e.mul(first, sines), e.mul(second, cosines));
    result = e.concat({real, imaginary}, 3);
  }
  if (!result)
    return {};
  return areEqual(width, dims[3]) ? result : e.concat({result, e.sliceAxis(x, 3, width, normalize(dims[3] - width))}, 3);
}

Value pickAngles(Emitter &e, Value cache, Value positions, int64_t headAxis) {
  Value rows = cache && positions ? e.gather(cache, positions, 0) : Value();
  return rows ? e.unsqueeze(rows, {headAxis}) : Value();
}

/// x as [B, heads, S, H], or [B, S, heads, H] where it comes with its heads merged, for a rotation by tables of `width` / 2 angles.
static Value splitRotated(Node &node, Value x, AffineExpr width) {
  Emitter &e = node.e;
  if (Emitter::rankOf(x) == 4)
    return x;
  if (Emitter::rankOf(x) != 3)
    return e.fail("expected rank 3 or 4, found rank " + Twine(Emitter::rankOf(x)));
  if (int64_t heads = node.getInt("num_heads", 0); heads != 0 || node.getInt("rotary_embedding_dim", 0) != 0)
    return groupHeads(e, x, heads);
  Dims dims = Emitter::dimsOf(x);
  return e.reshape(x, {dims[0], dims[1], e.truncDiv(dims[2], width), width});
}

static void importRotaryEmbedding(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), positions = node.in(1), cosines = node.in(2), sines = node.in(3);
  if (!x || !positions || !cosines || !sines || !checkRanks(node, {{2, 2}, {3, 2}}))
    return;
  if (node.getInt("is_packed_batching", 0))
    return void(e.fail("packed batches are not supported"));
  AffineExpr width = normalize(Emitter::dimsOf(cosines)[1] * 2);
  Value split = splitRotated(node, x, width);
  if (!split)
    return;
  int64_t headAxis = Emitter::rankOf(x) == 4 ? 1 : 2;
  AffineExpr length = Emitter::dimsOf(split)[3 - headAxis];
  positions = e.cast(positions, e.i64());
  // One number is the offset of the first position.
  if (positions && Emitter::rankOf(positions) <= 1)
    positions = e.add(e.iota({e.number(1), length}, 1, e.i64()), e.reshape(positions, {}));
  Value y = rotate(e, split, pickAngles(e, cosines, positions, headAxis), pickAngles(e, sines, positions, headAxis), width, node.getInt("interleaved", 0) != 0);
  node.set(0, e.reshape(y, Emitter::dimsOf(x)));
}

/// Which of three streams of positions each angle follows: runs one behind the other, or the first with every third angle from the others.
static std::vector<double> assignStreams(const Ints &sections, bool isInterleaved) {
  std::vector<double> streams;
  if (!isInterleaved) {
    for (size_t k = 0; k < 3; ++k)
      streams.insert(streams.end(), static_cast<size_t>(sections[k]), static_cast<double>(k));
    return streams;
  }
  streams.assign(static_cast<size_t>(sections[0] + sections[1] + sections[2]), 0);
  for (size_t k = 1; k < 3; ++k)
    for (size_t at = k; at < std::min(streams.size(), static_cast<size_t>(3 * sections[k])); at += 3)
      streams[at] = static_cast<double>(k);
  return streams;
}

/// A rotation by positions in time, height and width [3, B, S], which share out the angles.
static void importMRotaryEmbedding(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), positions = node.in(1), cosines = node.in(2), sines = node.in(3);
  Ints sections = node.getInts("mrope_section").value_or(Ints());
  if (!x || !positions || !cosines || !sines || !checkRanks(node, {{1, 3}, {2, 2}, {3, 2}}))
    return;
  positions = e.cast(positions, e.i64());
  e.unify(Emitter::dimsOf(positions)[0], e.number(3), "the number of streams of positions");
  if (sections.size() != 3 || llvm::any_of(sections, [](int64_t size) { return size < 0 || size > kMaxContents; }) || node.getInt("is_packed_batching", 0))
    return void(e.fail("expected three sections that are not negative, and no packed batches"));
  std::vector<double> streams = assignStreams(sections, node.getInt("mrope_layout", 0) != 0);
  auto count = static_cast<int64_t>(streams.size());
  e.unify(Emitter::dimsOf(cosines)[1], e.number(count), "the number of angles and the sum of the sections");
  AffineExpr width = e.number(2 * count);
  Value split = splitRotated(node, x, width), stream = e.tensor(streams, {count}, e.i64());
  auto pick = [&](Value cache) {
    Value angles;
    for (int64_t k = 2; k >= 0; --k) {
      Value own = pickAngles(e, cache, e.squeeze(e.sliceAxis(positions, 0, k, 1), {0}), Emitter::rankOf(x) == 4 ? 1 : 2);
      angles = angles ? e.select(e.compare<EqualOp>(stream, e.integerScalar(k, e.i64())), own, angles) : own;
    }
    return angles;
  };
  Value y = rotate(e, split, pick(cosines), pick(sines), width, node.getInt("interleaved", 0) != 0);
  node.set(0, e.reshape(y, Emitter::dimsOf(x)));
}

Value both(Emitter &e, Value a, Value b) { return a && b ? e.binary<AndOp>(a, b) : a ? a : b; }

/// The weights of scores [..., S, T]; a sink takes a part of each row's.
static Value weigh(Emitter &e, Value scores, Value sink) {
  if (!scores)
    return {};
  int64_t last = Emitter::rankOf(scores) - 1;
  if (!sink)
    return e.softmax(scores, last);
  Dims column = Emitter::dimsOf(scores);
  AffineExpr keys = column.back();
  column.back() = e.number(1);
  Value all = e.concat({scores, e.broadcast(e.cast(sink, Emitter::elementOf(scores)), column)}, last);
  return e.sliceAxis(e.softmax(all, last), last, e.number(0), keys);
}

/// Scores times the scale, or by default over the root of a head's size.
static Value scaleScores(Emitter &e, Value scores, double scale, AffineExpr size) {
  if (!scores)
    return {};
  if (scale != 0)
    return e.mulNumber(scores, scale);
  if (std::optional<int64_t> known = graph::getConstant(size))
    return e.mulNumber(scores, 1 / std::sqrt(static_cast<double>(*known)));
  return e.div(scores, e.unary<SqrtOp>(e.cast(e.indexTensor({size}, {}, e.i64()), Emitter::elementOf(scores))));
}

Value attend(Emitter &e, Value q, Value k, Value v, const Scores &how, Weights *weights) {
  if (!q || !k || !v)
    return {};
  Type type = Emitter::elementOf(q), wide = type.getIntOrFloatBitWidth() < 32 ? e.f32() : type;
  Value scores = scaleScores(e, e.matmul(e.cast(q, wide), e.transposeLast(e.cast(k, wide))), how.scale, Emitter::dimsOf(q).back());
  if (how.softcap > 0)
    scores = e.mulNumber(e.unary<TanhOp>(e.divNumber(scores, how.softcap)), how.softcap);
  if (how.bias)
    scores = e.add(scores, e.cast(how.bias, wide));
  if (how.counted)
    scores = e.add(scores, e.select(how.counted, e.scalar(0, wide), e.scalar(how.padding, wide)));
  if (weights)
    weights->scores = e.cast(scores, type);
  if (how.allowed)
    scores = e.select(how.allowed, scores, e.lowest(wide));
  Value share = weigh(e, scores, how.sink);
  if (weights)
    weights->weights = e.cast(share, type);
  return e.cast(e.matmul(share, e.cast(v, wide)), type);
}

/// Positions [S, T] that a causal query sees: column <= row + T - S.
static Value makeCausal(Emitter &e, AffineExpr queries, AffineExpr keys) {
  Value rows = e.iota({queries, e.number(1)}, 0, e.i64()), columns = e.iota({e.number(1), keys}, 1, e.i64());
  return e.compare<LessEqualOp>(columns, e.add(rows, e.indexTensor({normalize(keys - queries)}, {}, e.i64())));
}

/// What a mask of com.microsoft allows, as something that broadcasts to [B, heads, S, T]; its meaning follows from its shape.
static Value readMask(Emitter &e, Value mask, ArrayRef<AffineExpr> queries, AffineExpr keys) {
  if (!mask)
    return {};
  AffineExpr batch = queries[0];
  Dims dims = Emitter::dimsOf(mask);
  Value columns = e.iota({e.number(1), e.number(1), e.number(1), keys}, 3, Emitter::elementOf(mask));
  if (dims.size() == 1) {
    // Ends [B], or ends and starts [2 * B]; which of them may be known only while the model runs.
    Dims column{batch, e.number(1), e.number(1), e.number(1)};
    AffineExpr twice = normalize(batch * 2);
    e.unify(e.selectEqual(dims[0], twice, twice, batch), dims[0], "the length of a mask of lengths, which is the batch or twice as much");
    Value isBelow = e.compare<LessOp>(columns, e.reshape(e.sliceAxis(mask, 0, e.number(0), batch), column));
    if (areEqual(dims[0], batch))
      return isBelow;
    AffineExpr offset = e.selectEqual(dims[0], twice, batch, e.number(0));
    Value hasStarts = e.compare<EqualOp>(e.indexTensor({dims[0]}, {}, e.i64()), e.indexTensor({twice}, {}, e.i64()));
    Value starts = e.reshape(e.sliceAxis(mask, 0, offset, batch), column);
    return both(e, isBelow, e.select(hasStarts, e.compare<LessEqualOp>(starts, columns), e.splat(e.integerScalar(1, e.i1()), {})));
  }
  Value flags = e.cast(mask, e.i1());
  if (dims.size() == 2)
    return e.unsqueeze(flags, {1, 2});
  if (dims.size() == 3)
    return e.unsqueeze(flags, {1});
  // Of a square of all positions, the rows of the queries.
  if (dims.size() == 4) {
    e.requireAtLeast(dims[2], keys, "the rows of a mask of all positions");
    e.requireAtLeast(dims[3], keys, "the columns of a mask of all positions");
    return e.sliceAxis(e.sliceAxis(flags, 2, normalize(keys - queries[2]), queries[2]), 3, e.number(0), keys);
  }
  return e.fail("a mask of rank " + Twine(dims.size()) + " is not supported");
}

/// Keys or values behind those of earlier runs.
static Value appendPast(Emitter &e, Value past, Value now) { return past && now ? e.concat({past, now}, 2) : now; }

/// Sets output 0 from queries, keys and values, and output 3 to the scores where it is wanted.
static void setAttended(Node &node, const Value (&parts)[3], Value mask, Value bias) {
  Emitter &e = node.e;
  Dims queries = Emitter::dimsOf(parts[0]), keys = Emitter::dimsOf(parts[1]);
  Scores how;
  how.scale = node.getFloat("scale", 0);
  how.bias = bias;
  how.padding = node.getFloat("mask_filter_value", -10000);
  how.counted = readMask(e, mask, queries, keys[2]);
  if (node.getInt("unidirectional", 0))
    how.allowed = makeCausal(e, queries[2], keys[2]);
  Weights weights;
  node.set(0, mergeHeads(e, attend(e, parts[0], parts[1], parts[2], how, &weights)));
  if (!node.wants(3) || !weights.scores)
    return;
  Value lowest = e.cast(e.scalar(std::numeric_limits<float>::lowest(), e.f32()), Emitter::elementOf(weights.scores));
  node.set(3, how.allowed ? e.select(how.allowed, weights.scores, lowest) : weights.scores);
}

void setProjected(Node &node, Value all, Value mask, Value past, Value bias) {
  Emitter &e = node.e;
  int64_t heads = node.getInt("num_heads", 0);
  if (!all)
    return;
  if (Emitter::rankOf(all) != 3)
    return void(e.fail("a projection of rank " + Twine(Emitter::rankOf(all)) + ", expected 3"));
  AffineExpr third = e.truncDiv(Emitter::dimsOf(all).back(), e.number(3));
  Ints sizes = node.getInts("qkv_hidden_sizes").value_or(Ints());
  AffineExpr start = e.number(0);
  Value parts[3];
  for (size_t k = 0; k < 3; ++k) {
    AffineExpr size = sizes.size() == 3 ? e.number(sizes[k]) : third;
    parts[k] = splitHeads(e, e.sliceAxis(all, -1, start, size), heads);
    start = normalize(start + size);
  }
  if (past)
    for (int64_t k = 1; k < 3; ++k)
      parts[k] = appendPast(e, e.squeeze(e.sliceAxis(past, 0, k - 1, 1), {0}), parts[k]);
  if (!parts[0] || !parts[1] || !parts[2])
    return;
  setAttended(node, parts, mask, bias);
  if (node.wants(1))
    node.set(1, e.concat({e.unsqueeze(parts[1], {0}), e.unsqueeze(parts[2], {0})}, 0));
}

/// Attention over one projection of the input to queries, keys and values.
static void importAttention(Node &node) {
  Emitter &e = node.e;
  if (node.getInt("do_rotary", 0) || node.has(6))
    return void(e.fail("do_rotary and a shared past buffer are not supported"));
  Value all = e.matmul(node.in(0), node.in(1));
  setProjected(node, node.has(2) ? e.add(all, node.in(2)) : all, node.opt(3), node.opt(4), node.opt(5));
}

/// Queries, keys and values as [B, heads, length, H], whatever form these inputs and their bias come in.
static bool readProjections(Node &node, Value (&inputs)[4], int64_t heads, Value (&parts)[3]) {
  Emitter &e = node.e;
  Value query = inputs[0], bias = inputs[3];
  if (!query)
    return false;
  // Packed: [B, S, heads, 3, H], or keys and values as [B, T, heads, 2, H].
  auto unpack = [&](Value packed, int64_t at) { return e.transpose(e.squeeze(e.sliceAxis(packed, 3, at, 1), {3}), {0, 2, 1, 3}); };
  if (Emitter::rankOf(query) == 5) {
    for (int64_t k = 0; k < 3; ++k)
      parts[k] = unpack(query, k);
    return !bias || e.fail("a bias with packed projections is not supported");
  }
  AffineExpr start = e.number(0);
  for (int64_t k = 0; k < 3; ++k) {
    if (k > 0 && inputs[1] && Emitter::rankOf(inputs[1]) == 5) {
      parts[k] = unpack(inputs[1], k - 1);
      continue;
    }
    if (!inputs[k])
      return e.fail("keys or values are missing") != nullptr;
    bool hasHeads = Emitter::rankOf(inputs[k]) == 4;
    if (!hasHeads && Emitter::rankOf(inputs[k]) != 3)
      return e.fail("queries, keys or values have rank " + Twine(Emitter::rankOf(inputs[k])) + ", expected 3 or 4") != nullptr;
    AffineExpr size = hasHeads ? normalize(Emitter::dimsOf(inputs[k])[1] * Emitter::dimsOf(inputs[k])[3]) : Emitter::dimsOf(inputs[k])[2];
    if (bias && !hasHeads)
      inputs[k] = e.add(inputs[k], e.sliceAxis(bias, 0, start, size));
    start = normalize(start + size);
    parts[k] = hasHeads ? inputs[k] : splitHeads(e, inputs[k], heads);
  }
  return parts[0] && parts[1] && parts[2];
}

/// A buffer of keys or values [B, heads, positions, H] in which the new ones stand behind `length` others.
static Value writeShared(Emitter &e, Value buffer, Value now, Value length) {
  if (!buffer || !now || !length)
    return {};
  Value at = e.add(e.iota({e.number(1), e.number(1), Emitter::dimsOf(now)[2], e.number(1)}, 2, e.i64()), length);
  return e.scatterElements(buffer, e.broadcast(at, Emitter::dimsOf(now)), now, 2, ScatterKind::none);
}

/// The first `count` rows of a shared buffer, each of the beam that `beams` [batch, width, positions] names.
static Value readShared(Emitter &e, Value buffer, Value beams, AffineExpr count) {
  e.requireAtLeast(Emitter::dimsOf(buffer)[2], count, "the positions of a shared buffer");
  Value rows = e.sliceAxis(buffer, 2, e.number(0), count);
  if (!rows || !beams)
    return rows;
  if (Emitter::rankOf(beams) != 3)
    return e.fail("cache_indirection has rank " + Twine(Emitter::rankOf(beams)) + ", expected 3");
  e.requireAtLeast(Emitter::dimsOf(beams)[2], count, "the positions of cache_indirection");
  Dims dims = Emitter::dimsOf(rows), all = Emitter::dimsOf(beams);
  AffineExpr one = e.number(1);
  // The last position is that of this run: it stands in its own row.
  Value before = e.sliceAxis(beams, 2, e.number(0), count);
  Value first = e.mul(e.iota({all[0], one, one}, 0, e.i64()), e.indexTensor({all[1]}, {}, e.i64()));
  Value isNow = e.compare<EqualOp>(e.iota({one, one, count}, 2, e.i64()), e.indexTensor({normalize(count - 1)}, {}, e.i64()));
  Value from = e.add(first, e.select(isNow, e.iota({one, all[1], one}, 1, e.i64()), e.cast(before, e.i64())));
  return e.gatherElements(rows, e.broadcast(e.reshape(from, {dims[0], one, count, one}), dims), 0);
}

/// Puts the new keys and values into buffers that hold all positions, attends to those up to now, and sets the buffers as outputs 1 and 2.
static void attendShared(Node &node, Value (&parts)[3], ArrayRef<Value> buffers, Value pastLength, Value beams, Value mask, Value bias) {
  Emitter &e = node.e;
  Exprs length = e.contentsOrBind(e.reshape(pastLength, {}));
  if (e.hasFailed() || length.size() != 1)
    return;
  Value at = e.indexTensor({length[0]}, {}, e.i64());
  AffineExpr total = e.maxOf(normalize(length[0] + Emitter::dimsOf(parts[1])[2]), e.number(0));
  for (unsigned k = 1; k < 3; ++k) {
    Value all = writeShared(e, buffers[k - 1], parts[k], at);
    parts[k] = all ? readShared(e, all, beams, total) : Value();
    if (node.wants(k))
      node.set(k, all);
  }
  if (parts[1] && parts[2])
    setAttended(node, parts, mask, bias);
}

static void importMultiHeadAttention(Node &node) {
  Emitter &e = node.e;
  Value parts[3], inputs[4] = {node.in(0), node.opt(1), node.opt(2), node.opt(3)};
  if (!readProjections(node, inputs, node.getInt("num_heads", 0), parts))
    return;
  if (node.has(8))
    return attendShared(node, parts, {node.in(6), node.in(7)}, node.in(8), node.opt(9), node.opt(4), node.opt(5));
  parts[1] = appendPast(e, node.opt(6), parts[1]);
  parts[2] = appendPast(e, node.opt(7), parts[2]);
  if (!parts[1] || !parts[2])
    return;
  setAttended(node, parts, node.opt(4), node.opt(5));
  for (unsigned k = 1; k < 3; ++k)
    if (node.wants(k))
      node.set(k, parts[k]);
}

/// One query per sequence: over the keys and values of another sequence, or over a shared buffer of its own.
static void importDecoderMaskedAttention(Node &node) {
  Emitter &e = node.e;
  Value parts[3], inputs[4] = {node.in(0), node.opt(1), node.opt(2), node.opt(10)};
  if (!readProjections(node, inputs, node.getInt("num_heads", 0), parts))
    return;
  if (!node.has(5))
    return setAttended(node, parts, node.opt(3), node.opt(4));
  bool hasBeams = node.has(8) && node.has(9);
  if (!node.has(7))
    return void(e.fail("a past without past_sequence_length is not supported"));
  attendShared(node, parts, {node.in(5), node.in(6)}, node.in(7), hasBeams ? node.in(9) : Value(), node.opt(3), node.opt(4));
}

void addMicrosoftAttention(OperatorTable &table) {
  table.addIn("com.microsoft", "RotaryEmbedding", importRotaryEmbedding);
  table.addIn("com.microsoft", "MRotaryEmbedding", importMRotaryEmbedding);
  table.addIn("com.microsoft", "Attention", importAttention);
  table.addIn("com.microsoft", "MultiHeadAttention", importMultiHeadAttention);
  table.addIn("com.microsoft", "DecoderMaskedMultiHeadAttention", importDecoderMaskedAttention);
}

} // namespace onager::frontend
