// Operators that draw random numbers: each element is a function of the node's seed, the iteration of the loops around, and its own position.
//
// So a run gives the same numbers again, on any number of threads. A node without a seed takes one from its name.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "llvm/Support/xxhash.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

/// The seed of the next draw of a node; several draws of one node differ.
static int64_t makeSeed(Node &node, StringRef attribute) {
  uint64_t draw = ++node.e.draws, seed = llvm::xxh3_64bits(node.e.nodeName) + draw;
  if (node.hasAttribute(attribute)) {
    auto given = static_cast<float>(node.getFloat(attribute, 0));
    uint32_t bits = 0;
    std::memcpy(&bits, &given, sizeof bits);
    seed = bits;
  }
  return static_cast<int64_t>(seed);
}

/// Numbers drawn evenly from (0, 1), f64 where `type` is, else f32.
static Value drawUniform(Node &node, ArrayRef<AffineExpr> dims, Type type, int64_t seed) {
  Emitter &e = node.e;
  Value stream;
  for (Value iteration : e.iterations)
    stream = stream ? e.add(e.mul(stream, e.integerScalar(1000003, e.i64())), iteration) : iteration;
  return e.make<RandomOp>(dims, type.isF64() ? type : e.f32(), stream, seed);
}

/// Numbers of the normal distribution, from two even ones (Box and Muller).
static Value drawNormal(Node &node, ArrayRef<AffineExpr> dims, Type type, int64_t seed) {
  Emitter &e = node.e;
  Value radius = drawUniform(node, dims, type, seed), angle = drawUniform(node, dims, type, seed ^ (int64_t(1) << 40));
  return e.mul(e.unary<SqrtOp>(e.mulNumber(e.unary<LogOp>(radius), -2)), e.unary<CosOp>(e.mulNumber(angle, 2 * M_PI)));
}

Value dropElements(Node &node, Value x, Value ratio, Value &mask) {
  Emitter &e = node.e;
  if (!x || !ratio)
    return {};
  Type type = Emitter::elementOf(x);
  // With a seed, the draw of ONNX's reference implementation.
  Value draw;
  if (node.hasAttribute("seed"))
    draw = e.call("mersenne", {}, {node.getInt("seed", 0)}, Emitter::dimsOf(x), e.builder.getF64Type());
  else
    draw = drawUniform(node, Emitter::dimsOf(x), e.f32(), makeSeed(node, "seed"));
  mask = draw ? e.compare<LessEqualOp>(e.cast(ratio, Emitter::elementOf(draw)), draw) : Value();
  Value scale = e.div(e.scalar(1, e.f32()), e.sub(e.scalar(1, e.f32()), e.cast(ratio, e.f32())));
  return e.select(mask, e.mul(x, e.cast(scale, type)), e.scalar(0, type));
}

namespace {

/// The element type that attribute dtype asks for.
Type readType(Node &node, Type otherwise) {
  int64_t number = node.getInt("dtype", 0);
  Type type = number ? convertNumberType(number, node.e.context()) : otherwise;
  if (!type)
    node.e.fail("dtype " + describeElementType(static_cast<int32_t>(number)) + " is not supported");
  return type;
}

template <bool isNormal> void draw(Node &node, ArrayRef<AffineExpr> dims, Type type) {
  Emitter &e = node.e;
  if (!type || e.hasFailed())
    return;
  if (!isa<FloatType>(type))
    return void(e.fail("expected a float type"));
  int64_t seed = makeSeed(node, "seed");
  double low = node.getFloat("low", 0), factor = isNormal ? node.getFloat("scale", 1) : node.getFloat("high", 1) - low;
  Value x = isNormal ? drawNormal(node, dims, type, seed) : drawUniform(node, dims, type, seed);
  node.set(0, e.cast(e.addNumber(e.mulNumber(x, factor), isNormal ? node.getFloat("mean", 0) : low), type));
}

template <bool isNormal> void importRandom(Node &node) {
  draw<isNormal>(node, node.e.numbers(node.getInts("shape").value_or(Ints())), readType(node, node.e.f32()));
}

template <bool isNormal> void importRandomLike(Node &node) {
  if (Value x = node.in(0))
    draw<isNormal>(node, Emitter::dimsOf(x), readType(node, Emitter::elementOf(x)));
}

void importBernoulli(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Type type = x ? readType(node, Emitter::elementOf(x)) : Type();
  if (!type)
    return;
  Type wide = Emitter::elementOf(x).isF64() ? Type(e.builder.getF64Type()) : e.f32();
  Value hit = e.compare<LessOp>(drawUniform(node, Emitter::dimsOf(x), wide, makeSeed(node, "seed")), e.cast(x, wide));
  node.set(0, e.cast(hit, type));
}

/// Classes drawn by unnormalised log-probabilities [B, C]: how many classes end below the drawn share of the total.
void importMultinomial(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Type type = x ? readType(node, e.i32()) : Type();
  if (!type)
    return;
  if (Emitter::rankOf(x) != 2)
    return void(e.fail("expected rank 2, found rank " + Twine(Emitter::rankOf(x))));
  Dims dims = Emitter::dimsOf(x), drawn{dims[0], e.number(node.getInt("sample_size", 1)), e.number(1)};
  Value shares = e.softmax(e.cast(x, e.f32()), 1);
  if (!shares)
    return;
  Value ends = e.make<CumulateOp>(dims, e.f32(), shares, ReduceKind::sum, int64_t(1), false, false);
  Value below = e.compare<LessEqualOp>(e.unsqueeze(ends, {1}), drawUniform(node, drawn, e.f32(), makeSeed(node, "seed")));
  Value count = e.reduce(ReduceKind::sum, e.cast(below, e.i64()), {2}, /*keepDims=*/false);
  node.set(0, e.cast(e.minimum(count, e.indexTensor({normalize(dims[1] - 1)}, {}, e.i64())), type));
}

} // namespace

void addRandom(OperatorTable &table) {
  table.add("RandomUniform", importRandom<false>);
  table.add("RandomNormal", importRandom<true>);
  table.add("RandomUniformLike", importRandomLike<false>);
  table.add("RandomNormalLike", importRandomLike<true>);
  table.add("Bernoulli", importBernoulli, 15);
  table.add("Multinomial", importMultinomial);
}

} // namespace onager::frontend
