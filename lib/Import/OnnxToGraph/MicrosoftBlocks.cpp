// Parts of recent language models in the domain com.microsoft: gates, normalisations and streams, written out in what they fuse.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// x in f32, in which these operators compute.
Value widen(Emitter &e, Value x) { return e.cast(x, e.f32()); }

/// x [..., C * H] as [..., C, H], where num_branches tells C; else it is so already.
Value groupBranches(Node &node, Value x) {
  Emitter &e = node.e;
  int64_t branches = node.getInt("num_branches", 0);
  if (!x || Emitter::rankOf(x) < (branches < 1 ? 2 : 1))
    return x ? e.fail("expected branches of rank 2 or more") : x;
  if (branches < 1)
    return x;
  Dims dims = Emitter::dimsOf(x);
  AffineExpr width = e.truncDiv(dims.back(), e.number(branches));
  dims.back() = e.number(branches);
  dims.push_back(width);
  return e.reshape(x, dims);
}

/// Factors of streams [..., C, H]: given so, as [..., C] or [..., C, 1], or flattened like streams that were.
Value groupFactors(Node &node, Value factors, Value streams) {
  Emitter &e = node.e;
  if (!factors || !streams)
    return {};
  Dims dims = Emitter::dimsOf(streams), have = Emitter::dimsOf(factors);
  if (have.size() == dims.size())
    return factors;
  if (have.size() + 1 != dims.size())
    return e.fail("factors of rank " + Twine(have.size()) + " for streams of rank " + Twine(dims.size()));
  AffineExpr branches = dims[dims.size() - 2], width = dims.back(), whole = normalize(branches * width);
  if (node.getInt("num_branches", 0) < 1 || areEqual(have.back(), branches))
    return e.unsqueeze(factors, {static_cast<int64_t>(dims.size()) - 1});
  if (areEqual(have.back(), whole) || graph::getConstant(have.back()))
    return e.reshape(factors, dims);
  // Which of both they are is known only while running: the places of the elements of a branch follow from it.
  e.require(e.selectEqual(have.back(), branches, whole, have.back()), whole, "the number of factors");
  Value stride = e.indexTensor({e.selectEqual(have.back(), branches, e.number(1), width)}, {}, e.i64());
  Value step = e.indexTensor({e.selectEqual(have.back(), branches, e.number(0), e.number(1))}, {}, e.i64());
  Value places = e.add(e.mul(e.iota({branches, width}, 0, e.i64()), stride), e.mul(e.iota({branches, width}, 1, e.i64()), step));
  return e.gather(factors, places, static_cast<int64_t>(have.size()) - 1);
}

/// A scale of one row of H elements, which the branches share, or of C rows, as it fits streams [..., C, H].
Value groupScale(Emitter &e, Value scale, ArrayRef<AffineExpr> dims) {
  if (!scale || Emitter::rankOf(scale) != 1 || areEqual(Emitter::dimsOf(scale)[0], dims.back()))
    return scale;
  AffineExpr count = Emitter::dimsOf(scale)[0], branches = dims[dims.size() - 2], width = dims.back(), whole = normalize(branches * width);
  if (!areEqual(count, whole) && !(graph::getConstant(count) && graph::getConstant(whole))) {
    // Which of both it is is known only while running.
    e.require(e.selectEqual(count, width, whole, count), whole, "the length of the scale");
    scale = e.gather(scale, e.mod(e.iota({whole}, 0, e.i64()), e.indexTensor({e.maxOf(count, e.number(1))}, {}, e.i64()), /*fmod=*/false), 0);
  }
  return e.reshape(scale, {branches, width});
}

Value normalizeLast(Emitter &e, Value x, double epsilon) { return x ? e.normalizeOver(x, {Emitter::rankOf(x) - 1}, epsilon, /*rms=*/true) : x; }

void importBranchwiseRmsNorm(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), grouped = groupBranches(node, widen(e, x)), scale = widen(e, node.opt(1));
  if (!grouped)
    return;
  Dims dims = Emitter::dimsOf(grouped);
  Value y = normalizeLast(e, grouped, node.getFloat("epsilon", 1e-5));
  scale = groupScale(e, scale, dims);
  y = scale ? e.mul(y, scale) : y;
  node.set(0, e.cast(e.reshape(y, Emitter::dimsOf(x)), Emitter::elementOf(x)));
}

/// Root mean square over runs of the scale's length, times an activated gate.
void importGatedRmsNorm(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = widen(e, node.in(1)), gate = widen(e, node.in(2));
  std::string activation = node.getString("activation", "silu");
  if (!x || !scale || !gate || !checkRanks(node, {{1, 1}}))
    return;
  if (Emitter::rankOf(x) < 1)
    return void(e.fail("expected rank 1 or more"));
  if (activation != "silu" && activation != "swish" && activation != "sigmoid")
    return void(e.fail("activation is '" + activation + "'"));
  Dims dims = Emitter::dimsOf(x), split = dims;
  AffineExpr width = Emitter::dimsOf(scale)[0];
  split.back() = e.truncDiv(split.back(), width);
  split.push_back(width);
  Value y = e.mul(normalizeLast(e, e.reshape(widen(e, x), split), node.getFloat("epsilon", 1e-5)), scale);
  Value open = e.unary<SigmoidOp>(gate);
  node.set(0, e.cast(e.mul(e.reshape(y, dims), activation == "sigmoid" ? open : e.mul(gate, open)), Emitter::elementOf(x)));
}

void importGatedAdd(Node &node) {
  Emitter &e = node.e;
  if (node.has(3))
    return void(e.fail("a projected gate is not supported"));
  node.set(0, e.add(node.in(0), e.mul(node.in(1), node.in(2))));
}

void importScaledSilu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  Value scale = node.has(1) ? widen(e, e.reshape(node.in(1), {})) : e.scalar(node.getFloat("alpha", 1), e.f32());
  Value scaled = e.cast(e.mul(widen(e, x), scale), type);
  node.set(0, e.mul(scaled, scaled ? e.unary<SigmoidOp>(scaled) : scaled));
}

/// decay = scale * softplus(a + bias), beta = sigmoid(b).
void importLinearAttentionGate(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), sum = e.add(widen(e, a), node.in(1));
  if (!sum)
    return;
  Value softplus = importAs(node, "Softplus", 1, {sum})[0];
  node.set(0, e.cast(e.mul(softplus, node.in(2)), Emitter::elementOf(a)));
  if (node.wants(1) && node.in(3))
    node.set(1, e.cast(e.unary<SigmoidOp>(widen(e, node.in(3))), Emitter::elementOf(a)));
}

/// The sum of streams, each times its factor.
void importPreMix(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), streams = groupBranches(node, widen(e, x));
  Value mixed = e.mul(streams, groupFactors(node, widen(e, node.in(1)), streams));
  if (mixed)
    node.set(0, e.cast(e.mulNumber(e.reduce(ReduceKind::sum, mixed, {Emitter::rankOf(mixed) - 2}, false), node.getFloat("reduction_scale", 1)), Emitter::elementOf(x)));
}

/// Streams mixed by a matrix, and a branch's output added to each by a factor.
void importPostMix(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), streams = groupBranches(node, widen(e, x)), block = widen(e, node.in(1));
  if (!streams || !block)
    return;
  if (Emitter::rankOf(block) < 1)
    return void(e.fail("expected the output of a branch of rank 1 or more"));
  Value mixed = node.has(3) ? e.matmul(e.transposeLast(widen(e, node.in(3))), streams) : streams;
  Value added = e.mul(groupFactors(node, widen(e, node.in(2)), streams), e.unsqueeze(block, {Emitter::rankOf(block) - 1}));
  node.set(0, e.cast(e.reshape(e.add(mixed, added), Emitter::dimsOf(x)), Emitter::elementOf(x)));
}

/// A value opened as far as normalised keys and queries agree.
void importEngramGate(Node &node) {
  Emitter &e = node.e;
  Value key = node.in(0), query = node.in(1), value = node.in(2);
  double epsilon = node.getFloat("epsilon", 1e-5);
  if (!checkRanks(node, {{0, 4}, {1, 4}, {2, 3}}))
    return;
  auto normalized = [&](Value x, Value scale) { return e.mul(normalizeLast(e, widen(e, x), epsilon), widen(e, scale)); };
  Value product = e.mul(normalized(key, node.in(3)), normalized(query, node.in(4)));
  if (!product || !value)
    return;
  Type type = Emitter::elementOf(value);
  int64_t last = Emitter::rankOf(product) - 1;
  Value size = e.cast(e.indexTensor({Emitter::dimsOf(product)[last]}, {}, e.i64()), e.f32());
  Value dot = e.div(e.reduce(ReduceKind::sum, product, {last}), e.unary<SqrtOp>(size));
  Value root = e.unary<SqrtOp>(e.maximum(e.unary<AbsOp>(dot), e.scalar(1e-6, e.f32())));
  Value gate = e.unary<SigmoidOp>(e.mul(e.unary<SignOp>(dot), root));
  Value y = e.mul(gate, e.unsqueeze(widen(e, value), {last - 1}));
  node.set(0, e.cast(y, type));
  if (node.wants(1))
    node.set(1, e.cast(normalized(y, node.in(5)), type));
}

/// Marks the `count` largest of each row of scores [rows, n].
Value markLargest(Emitter &e, Value scores, int64_t count) {
  if (!scores)
    return {};
  Dims dims = Emitter::dimsOf(scores), chosen{dims[0], e.number(count)};
  CallOp call = e.callMany("topk", {scores}, {1, 1, 1}, {e.tensorType(chosen, Emitter::elementOf(scores)), e.tensorType(chosen, e.i64())});
  if (!call)
    return {};
  Value off = e.splat(e.integerScalar(0, e.i1()), dims), on = e.splat(e.integerScalar(1, e.i1()), chosen);
  return e.scatterElements(off, call->getResult(1), on, 1, ScatterKind::none);
}

/// The sum of the `count` largest of each group.
Value sumLargest(Emitter &e, Value scores, AffineExpr count) {
  Dims dims = Emitter::dimsOf(scores);
  dims[2] = count;
  CallOp call = e.callMany("topk", {scores}, {2, 1, 1}, {e.tensorType(dims, Emitter::elementOf(scores)), e.tensorType(dims, e.i64())});
  return call ? e.reduce(ReduceKind::sum, call->getResult(0), {2}, false) : Value();
}

/// Logarithms of the sigmoids of the experts that are best within the best groups; a low number elsewhere.
void importGroupRouter(Node &node) {
  Emitter &e = node.e;
  Value logits = node.in(0), bias = node.in(1);
  int64_t groups = node.getInt("n_group", 1), active = node.getInt("topk_group", 1), best = node.getInt("group_topk", 2), count = node.getInt("top_k", 0);
  if (!logits || !bias || !checkRanks(node, {{1, 1}, {2, 2}}))
    return;
  Type type = Emitter::elementOf(logits);
  Value rows = node.has(2) ? e.matmul(widen(e, logits), e.transposeLast(widen(e, node.in(2)))) : widen(e, logits);
  if (!rows || Emitter::rankOf(rows) < 1 || groups < 1 || active < 1 || active > groups || best < 1 || count < 1)
    return void(e.fail("n_group is " + Twine(groups) + ", topk_group " + Twine(active) + ", group_topk " + Twine(best) + ", top_k " + Twine(count)));
  Dims dims = Emitter::dimsOf(rows);
  AffineExpr inGroup = e.truncDiv(dims.back(), e.number(groups));
  e.unify(normalize(inGroup * groups), dims.back(), "the number of experts, which the groups share");
  e.requireAtLeast(dims.back(), e.number(count), "the number of experts");
  if (e.hasFailed())
    return;
  Dims flat{Emitter::product(ArrayRef(dims).drop_back(), e.context()), dims.back()};
  Value open = e.unary<SigmoidOp>(e.reshape(rows, flat)), scores = e.add(open, bias);
  if (node.wants(1))
    node.set(1, scores);
  if (node.wants(2))
    node.set(2, open);
  if (!node.wants(0) || !scores)
    return;
  Dims split{flat[0], e.number(groups), inGroup};
  Value inGroups = e.reshape(scores, split), isActive = markLargest(e, sumLargest(e, inGroups, e.minOf(e.number(best), inGroup)), active);
  Value limited = isActive ? e.select(e.unsqueeze(isActive, {2}), inGroups, e.lowest(e.f32())) : Value();
  Value isChosen = markLargest(e, e.reshape(limited, flat), count);
  if (!isChosen)
    return;
  // Groups that are not active have no chosen experts, even where the others have too few.
  isChosen = e.binary<AndOp>(isChosen, e.reshape(e.broadcast(e.unsqueeze(isActive, {2}), split), flat));
  Value logarithm = e.unary<LogOp>(e.maximum(open, e.scalar(1e-20, e.f32())));
  node.set(0, e.cast(e.select(isChosen, logarithm, e.scalar(node.getFloat("router_sentinel", -10000), e.f32())), type));
}

} // namespace

void addMicrosoftBlocks(OperatorTable &table) {
  auto add = [&](StringRef op, ImportFunction function) { table.addIn("com.microsoft", op, function); };
  add("BranchwiseRMSNorm", importBranchwiseRmsNorm);
  add("GatedRMSNorm", importGatedRmsNorm);
  add("GatedAdd", importGatedAdd);
  add("ScaledSiLU", importScaledSilu);
  add("LinearAttentionGate", importLinearAttentionGate);
  add("HyperConnectionPreMix", importPreMix);
  add("HyperConnectionPostMix", importPostMix);
  add("EngramGate", importEngramGate);
  add("MoEGroupRouter", importGroupRouter);
}

} // namespace onager::frontend
