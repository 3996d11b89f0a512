// Indexing, distances, hashes and searches of the domain com.microsoft.
#include "lib/Import/OnnxToGraph/Microsoft.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

static Value both(Emitter &e, Value a, Value b) { return a && b ? e.binary<AndOp>(a, b) : a ? a : b; }

Value banRepeats(Emitter &e, Value ids, Value scores, int64_t size, Value banned) {
  // n-grams begin at the first `count` places; what follows the last one's beginning is compared with each.
  AffineExpr length = Emitter::dimsOf(ids)[1], count = e.maxOf(normalize(length - size + 1), e.number(0)), one = e.minOf(count, e.number(1));
  Value isRepeated;
  for (int64_t k = 0; k < size - 1; ++k) {
    Value last = e.sliceAxis(ids, 1, e.minOf(normalize(count + k), length), one);
    isRepeated = both(e, isRepeated, e.compare<EqualOp>(e.sliceAxis(ids, 1, e.minOf(e.number(k), length), count), last));
  }
  Value tokens = e.sliceAxis(ids, 1, e.minOf(e.number(size - 1), length), count);
  if (!tokens)
    return {};
  banned = e.splat(banned, Emitter::dimsOf(tokens));
  Value updates = isRepeated ? e.select(isRepeated, banned, e.highest(Emitter::elementOf(scores))) : banned;
  return e.scatterElements(scores, tokens, updates, 1, ScatterKind::min);
}

namespace {

/// Adds a dim of extent 1. Where the axis is known only while the model runs, each dim is chosen by its value.
void importExpandDims(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Exprs axis = e.contentsOrBind(e.reshape(node.in(1), {}));
  if (!x || axis.size() != 1)
    return;
  int64_t rank = Emitter::rankOf(x) + 1;
  if (std::optional<int64_t> known = graph::getConstant(axis[0]))
    return node.set(0, e.unsqueeze(x, {*known}));
  Dims have = Emitter::dimsOf(x), dims = have;
  dims.push_back(e.number(1));
  for (int64_t at = 0; at < rank - 1; ++at)
    for (int64_t k = at; k < rank; ++k) {
      AffineExpr here = k == at ? e.number(1) : have[k - 1];
      dims[k] = e.selectEqual(axis[0], e.number(at), here, e.selectEqual(axis[0], e.number(at - rank), here, dims[k]));
    }
  node.set(0, e.reshape(x, dims));
}

/// All windows of `size` elements, `step` apart, along a dim; the places within a window become the last dim.
void importUnfoldTensor(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  int64_t size = node.getInt("size", 0), step = node.getInt("step", 1);
  if (!x)
    return;
  int64_t rank = Emitter::rankOf(x), axis = e.axisOf(node.getInt("dim", -1), rank);
  if (size < 1 || step < 1 || e.hasFailed())
    return void(e.fail("size is " + Twine(size) + ", step " + Twine(step)));
  AffineExpr count = e.maxOf(normalize((Emitter::dimsOf(x)[axis] - size).floorDiv(step) + 1), e.number(0));
  Value starts = e.mul(e.iota({count, e.number(1)}, 0, e.i64()), e.integerScalar(step, e.i64()));
  Value windows = e.gather(x, e.add(starts, e.iota({e.number(1), e.number(size)}, 1, e.i64())), axis);
  Ints perm;
  for (int64_t k = 0; k <= rank; ++k)
    if (k != axis + 1)
      perm.push_back(k);
  perm.push_back(axis + 1);
  node.set(0, e.transpose(windows, perm));
}

/// Distances between the rows of two matrices.
void importCDist(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(1);
  std::string metric = node.getString("metric", "sqeuclidean");
  if (!a || !b)
    return;
  if (Emitter::rankOf(a) != 2 || Emitter::rankOf(b) != 2)
    return void(e.fail("expected matrices, found ranks " + Twine(Emitter::rankOf(a)) + " and " + Twine(Emitter::rankOf(b))));
  if (metric != "euclidean" && metric != "sqeuclidean")
    return void(e.fail("metric is '" + metric + "'"));
  e.unify(Emitter::dimsOf(a)[1], Emitter::dimsOf(b)[1], "columns of the matrices");
  // The rows of b are walked side by side: the sums of neighbours in the result run at once.
  Value sum = e.reduce(ReduceKind::sum_square, e.sub(e.unsqueeze(a, {2}), e.unsqueeze(e.transpose(b, {1, 0}), {0})), {1}, false);
  node.set(0, metric == "euclidean" && sum ? e.unary<SqrtOp>(sum) : sum);
}

void importInverse(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), flat = flattenMatrices(node, x);
  if (!flat)
    return;
  Value y = e.call("inverse", {flat}, {}, Emitter::dimsOf(flat), Emitter::elementOf(flat));
  node.set(0, e.cast(e.reshape(y, Emitter::dimsOf(x)), Emitter::elementOf(x)));
}

/// One mixing step of MurmurHash3 for 32 bits: the key is scrambled, then joined with the hash.
Value mixHash(Emitter &e, Value hash, Value key) {
  Type type = e.builder.getIntegerType(32, false);
  auto number = [&](int64_t value) { return e.integerScalar(value, type); };
  auto rotate = [&](Value x, int64_t by) {
    return e.binary<OrOp>(e.binary<ShiftLeftOp>(x, number(by)), e.binary<ShiftRightOp>(x, number(32 - by)));
  };
  key = e.mul(rotate(e.mul(key, number(0xcc9e2d51)), 15), number(0x1b873593));
  return e.add(e.mul(rotate(e.binary<XorOp>(hash, key), 13), number(5)), number(0xe6546b64));
}

/// MurmurHash3 (x86, 32 bits) of each element's bytes.
void importMurmurHash3(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  if (isa<StringType>(type)) {
    Type word = e.builder.getIntegerType(32, false);
    Value hash = e.call("string_hash", {x}, {node.getInt("seed", 0)}, Emitter::dimsOf(x), word);
    return node.set(0, node.getInt("positive", 1) ? hash : e.cast(hash, e.i32()));
  }
  unsigned width = type.getIntOrFloatBitWidth();
  if (width != 32 && width != 64)
    return void(e.fail("expected elements of 32 or 64 bits"));
  Type word = e.builder.getIntegerType(32, false), whole = e.builder.getIntegerType(width, false);
  Value bits = type == whole ? x : e.make<BitcastOp>(Emitter::dimsOf(x), whole, x);
  auto number = [&](int64_t value) { return e.integerScalar(value, word); };
  Value hash = mixHash(e, number(node.getInt("seed", 0)), e.cast(bits, word));
  if (width == 64)
    hash = mixHash(e, hash, e.cast(e.binary<ShiftRightOp>(bits, e.integerScalar(32, whole)), word));
  auto fold = [&](Value value, int64_t by) { return e.binary<XorOp>(value, e.binary<ShiftRightOp>(value, number(by))); };
  hash = fold(e.binary<XorOp>(hash, number(width / 8)), 16);
  hash = fold(e.mul(hash, number(0x85ebca6b)), 13);
  hash = fold(e.mul(hash, number(0xc2b2ae35)), 16);
  node.set(0, node.getInt("positive", 1) ? hash : e.cast(hash, e.i32()));
}

/// Scores of tokens that would repeat an n-gram of the sequence become -infinity.
void importNGramRepeatBlock(Node &node) {
  Emitter &e = node.e;
  Value ids = node.in(0), scores = node.in(1);
  int64_t size = node.getInt("ngram_size", 0);
  if (!ids || !scores)
    return;
  if (size < 1 || Emitter::rankOf(ids) != 2 || Emitter::rankOf(scores) != 2)
    return void(e.fail("expected an ngram_size of at least 1 and operands of rank 2"));
  node.set(0, banRepeats(e, e.cast(ids, e.i64()), scores, size, e.lowest(Emitter::elementOf(scores))));
}

void importIdentity(Node &node) { node.set(0, node.in(0)); }

/// The cheapest way through a cost matrix, as rows and columns passed.
void importDynamicTimeWarping(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (x && Emitter::rankOf(x) == 3)
    x = e.squeeze(x, {0});
  if (!x || Emitter::rankOf(x) != 2)
    return void(e.fail("expected a matrix or one in a batch of 1"));
  x = e.cast(x, e.f32());
  Dims dims = Emitter::dimsOf(x);
  AffineExpr steps = e.symbols.fresh(), room = normalize((dims[0] + dims[1]) * 2);
  CallOp call = e.callMany("dtw", {x}, {}, {e.tensorType({e.number(2), steps}, e.i32())}, {steps}, {room});
  if (call)
    node.set(0, call->getResult(0));
}

/// Joins predicted tokens to those before up to where they leave the source, and looks for the new end in the source.
void importBifurcationDetector(Node &node) {
  Emitter &e = node.e;
  Value source = node.in(0), current = node.in(1), start = node.in(2), predicted = node.opt(3);
  int64_t least = node.getInt("min_ngram_size", 0), most = node.getInt("max_ngram_size", 0);
  if (!source || !current || !start || !checkRanks(node, {{3, 1}}))
    return;
  if (least < 1 || most < least || Emitter::rankOf(source) != 1 || Emitter::rankOf(current) != 1)
    return void(e.fail("min_ngram_size is " + Twine(least) + ", max_ngram_size " + Twine(most)));
  Value added = predicted ? predicted : e.splat(e.integerScalar(0, e.i64()), {e.number(0)});
  AffineExpr count = e.symbols.fresh(), room = normalize(Emitter::dimsOf(current)[0] + Emitter::dimsOf(added)[0]);
  CallOp call = e.callMany("bifurcation", {e.cast(source, e.i64()), e.cast(current, e.i64()), e.cast(e.reshape(start, {}), e.i64()), e.cast(added, e.i64())}, {least, most, predicted != nullptr},
                           {e.tensorType({count}, e.i64()), e.tensorType({}, e.i64())}, {count}, {room, e.number(1)});
  if (!call)
    return;
  node.set(0, call->getResult(0));
  node.set(1, e.reshape(call->getResult(1), Emitter::dimsOf(start)));
}

/// A matrix product whose left operand is a sparse initialiser, which is dense by now.
void importSparseToDenseMatMul(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(1);
  Value y = e.matmul(node.getInt("transA", 0) ? e.transposeLast(a) : a, node.getInt("transB", 0) ? e.transposeLast(b) : b);
  double alpha = node.getFloat("alpha", 1);
  node.set(0, alpha == 1 ? y : e.mulNumber(y, alpha));
}

} // namespace

void addMicrosoftTensors(OperatorTable &table) {
  auto add = [&](StringRef op, ImportFunction function) { table.addIn("com.microsoft", op, function); };
  add("ExpandDims", importExpandDims);
  add("UnfoldTensor", importUnfoldTensor);
  add("CDist", importCDist);
  add("Inverse", importInverse);
  add("MurmurHash3", importMurmurHash3);
  add("NGramRepeatBlock", importNGramRepeatBlock);
  add("DynamicTimeWarping", importDynamicTimeWarping);
  add("BifurcationDetector", importBifurcationDetector);
  add("SampleOp", importIdentity);
  add("SparseToDenseMatMul", importSparseToDenseMatMul);
}

} // namespace onager::frontend
