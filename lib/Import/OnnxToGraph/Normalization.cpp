// Normalisations, written as `normalize` with scale and bias.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

Ints range(int64_t from, int64_t to) { return Ints(llvm::to_vector(llvm::seq<int64_t>(from, std::max(from, to)))); }

/// Reshapes a vector over channels so that it broadcasts along dim 1.
Value alongChannels(Emitter &e, Value vector, int64_t rank) {
  if (!vector)
    return {};
  Dims dims(std::max<int64_t>(rank - 1, 1), e.number(1));
  dims[0] = Emitter::product(Emitter::dimsOf(vector), e.context());
  return e.reshape(vector, dims);
}

/// Type in which a normalisation computes: 16-bit floats in f32.
Type getStashType(Emitter &e, Type type) { return type.getIntOrFloatBitWidth() < 32 ? e.f32() : type; }

void importBatchNormInference(Node &node, Value x, Value scale, Value bias, Value mean, Value variance, double epsilon) {
  Emitter &e = node.e;
  Type type = Emitter::elementOf(x), wide = Emitter::elementOf(variance);
  // Before opset 9 there could be one parameter per element of a sample instead of one per channel.
  bool isPerElement = node.opset < 9 && !node.getInt("spatial", 1);
  auto spread = [&](Value vector) {
    return isPerElement ? e.reshape(vector, ArrayRef(Emitter::dimsOf(x)).drop_front()) : alongChannels(e, vector, Emitter::rankOf(x));
  };
  Value factor = e.div(e.cast(scale, wide), e.unary<SqrtOp>(e.addNumber(variance, epsilon)));
  Value offset = e.sub(e.cast(bias, wide), e.mul(mean, factor));
  if (!factor || !offset)
    return;
  node.set(0, e.cast(e.add(e.mul(e.cast(x, wide), spread(factor)), spread(offset)), type));
}

void importBatchNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1), bias = node.in(2), mean = node.in(3), variance = node.in(4);
  if (!x || !scale || !bias || !mean || !variance)
    return;
  if (!Emitter::isFloat(x) || !Emitter::isFloat(variance) || Emitter::elementOf(mean) != Emitter::elementOf(variance)) {
    e.fail("expected floats");
    return;
  }
  double epsilon = node.getFloat("epsilon", 1e-5);
  bool isTraining = node.opset >= 14 ? node.getInt("training_mode", 0) != 0 : node.opset < 7 && node.getInt("is_test", 0) == 0 && node.wants(1);
  if (!isTraining)
    return importBatchNormInference(node, x, scale, bias, mean, variance, epsilon);
  Ints axes = range(2, Emitter::rankOf(x));
  axes.insert(axes.begin(), 0);
  Type wide = Emitter::elementOf(variance);
  Value data = e.cast(x, wide), batchMean = e.reduce(ReduceKind::mean, data, axes);
  Value batchVariance = e.reduce(ReduceKind::mean, e.mul(e.sub(data, batchMean), e.sub(data, batchMean)), axes);
  Value flatMean = e.flatten(batchMean), flatVariance = e.flatten(batchVariance);
  if (!flatMean || !flatVariance)
    return;
  importBatchNormInference(node, x, scale, bias, flatMean, flatVariance, epsilon);
  double momentum = node.getFloat("momentum", 0.9);
  auto blend = [&](Value running, Value batch) { return e.add(e.mulNumber(running, momentum), e.mulNumber(batch, 1 - momentum)); };
  if (node.wants(1))
    node.set(1, blend(mean, flatMean));
  if (node.wants(2))
    node.set(2, blend(variance, flatVariance));
}

void importInstanceNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1), bias = node.in(2);
  if (!x)
    return;
  int64_t rank = Emitter::rankOf(x);
  Type type = Emitter::elementOf(x), wide = getStashType(e, type);
  Value y = e.normalizeOver(e.cast(x, wide), range(2, rank), node.getFloat("epsilon", 1e-5), false);
  y = e.mul(y, alongChannels(e, e.cast(scale, wide), rank));
  node.set(0, e.cast(e.add(y, alongChannels(e, e.cast(bias, wide), rank)), type));
}

void importGroupNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1), bias = node.in(2);
  int64_t groups = node.getInt("num_groups", 0);
  if (!x || !scale || !bias)
    return;
  if (Emitter::rankOf(x) < 2 || groups < 1) {
    e.fail("num_groups is " + Twine(groups) + " for rank " + Twine(Emitter::rankOf(x)));
    return;
  }
  Dims dims = Emitter::dimsOf(x), grouped{dims[0], e.number(groups), e.truncDiv(dims[1], e.number(groups))};
  grouped.append(dims.begin() + 2, dims.end());
  Type type = Emitter::elementOf(x), wide = node.getInt("stash_type", 1) == 1 ? getStashType(e, type) : type;
  Value y = e.normalizeOver(e.reshape(e.cast(x, wide), grouped), range(2, grouped.size()), node.getFloat("epsilon", 1e-5), false);
  auto rank = static_cast<int64_t>(dims.size());
  if (node.opset < 21) {
    // Scale and bias per group.
    y = e.add(e.mul(y, alongChannels(e, e.cast(scale, wide), rank + 1)), alongChannels(e, e.cast(bias, wide), rank + 1));
    node.set(0, e.cast(e.reshape(y, dims), type));
    return;
  }
  y = e.reshape(e.cast(y, type), dims);
  node.set(0, e.add(e.mul(y, alongChannels(e, scale, rank)), alongChannels(e, bias, rank)));
}

/// Mean and 1 / sqrt(variance + epsilon) of a layer normalisation, for its optional outputs.
void setStatistics(Node &node, Value x, const Ints &axes, double epsilon, unsigned first) {
  Emitter &e = node.e;
  if (!node.wants(first) && !node.wants(first + 1))
    return;
  Value mean = e.reduce(ReduceKind::mean, x, axes), centred = e.sub(x, mean);
  Value variance = e.reduce(ReduceKind::mean, e.mul(centred, centred), axes);
  // The schema has statistics of f32 and bfloat16 alone.
  auto set = [&](unsigned place, Value value) { node.set(place, value && Emitter::elementOf(value).isF64() ? e.cast(value, e.f32()) : value); };
  if (node.wants(first))
    set(first, mean);
  if (node.wants(first + 1))
    set(first + 1, e.unary<ReciprocalOp>(e.unary<SqrtOp>(e.addNumber(variance, epsilon))));
}

void importLayerNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1);
  if (!x || !scale)
    return;
  int64_t rank = Emitter::rankOf(x), axis = e.axisOf(node.getInt("axis", -1), rank);
  double epsilon = node.getFloat("epsilon", 1e-5);
  Type type = Emitter::elementOf(x), wide = node.getInt("stash_type", 1) == 1 ? getStashType(e, type) : type;
  Value data = e.cast(x, wide);
  Value y = e.cast(e.normalizeOver(data, range(axis, rank), epsilon, false), type);
  y = e.mul(y, scale);
  node.set(0, node.has(2) ? e.add(y, node.in(2)) : y);
  setStatistics(node, data, range(axis, rank), epsilon, 1);
}

/// RMSNormalization and com.microsoft's SimplifiedLayerNormalization.
void importRmsNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1);
  if (!x || !scale)
    return;
  int64_t rank = Emitter::rankOf(x), axis = e.axisOf(node.getInt("axis", -1), rank);
  double epsilon = node.getFloat("epsilon", 1e-5);
  Type type = Emitter::elementOf(x), wide = node.getInt("stash_type", 1) == 1 ? getStashType(e, type) : type;
  Value data = e.cast(x, wide);
  Value y = e.cast(e.normalizeOver(data, range(axis, rank), epsilon, true), type);
  node.set(0, e.cast(e.mul(e.cast(y, Emitter::elementOf(scale)), scale), Emitter::elementOf(scale)));
  if (node.wants(1)) {
    Value square = e.reduce(ReduceKind::mean, e.mul(data, data), range(axis, rank));
    node.set(1, e.unary<ReciprocalOp>(e.unary<SqrtOp>(e.addNumber(square, epsilon))));
  }
}

/// SkipLayerNormalization (bias input 3, output 3 is the sum) and its simplified form without mean and beta.
template <bool isSimple> void importSkipNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), skip = node.in(1), gamma = node.in(2);
  if (!x || !skip || !gamma)
    return;
  Value beta = isSimple ? Value() : node.opt(3), bias = node.opt(isSimple ? 3 : 4);
  Value sum = e.add(x, skip);
  sum = bias ? e.add(sum, bias) : sum;
  int64_t rank = Emitter::rankOf(x);
  double epsilon = node.getFloat("epsilon", 1e-12);
  Type type = Emitter::elementOf(x), wide = getStashType(e, type);
  Value y = e.mul(e.normalizeOver(e.cast(sum, wide), {rank - 1}, epsilon, isSimple), e.cast(gamma, wide));
  y = beta ? e.add(y, e.cast(beta, wide)) : y;
  node.set(0, e.cast(y, type));
  if (sum && !isSimple)
    setStatistics(node, e.cast(sum, wide), {rank - 1}, epsilon, 1);
  if (node.wants(3))
    node.set(3, sum);
}

void importLpNormalization(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  int64_t p = node.getInt("p", 2), axis = node.getInt("axis", -1);
  if (p != 1 && p != 2) {
    e.fail("p is " + Twine(p) + ", expected 1 or 2");
    return;
  }
  Value norm = p == 1 ? e.reduce(ReduceKind::sum_abs, x, {axis}) : e.unary<SqrtOp>(e.reduce(ReduceKind::sum_square, x, {axis}));
  if (!norm)
    return;
  // Where the norm is 0 so are the elements: the result is 0.
  Value isZero = e.compare<EqualOp>(norm, e.scalar(0, Emitter::elementOf(norm)));
  node.set(0, e.div(x, e.select(isZero, e.scalar(1, Emitter::elementOf(norm)), norm)));
}

void importMeanVariance(Node &node) {
  Value x = node.in(0);
  node.set(0, node.e.normalizeOver(x, node.getInts("axes").value_or(Ints{0, 2, 3}), 1e-9, false));
}

/// x / (bias + alpha / size * sum of squares over the channels around)^beta; the sum is an average pool over a dim for channels.
void importLrn(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  int64_t size = node.getInt("size", 0);
  if (size < 1 || Emitter::rankOf(x) < 2) {
    e.fail("size is " + Twine(size));
    return;
  }
  Dims dims = Emitter::dimsOf(x), rows{dims[0], e.number(1), dims[1], Emitter::product(ArrayRef(dims).drop_front(2), e.context())};
  Value squares = e.reshape(e.mul(x, x), rows);
  Type type = Emitter::elementOf(x);
  Value mean = e.make<PoolOp>(rows, type, squares, PoolKind::average, Ints{size, 1}, Ints{1, 1}, e.exprs(e.numbers({(size - 1) / 2, 0})),
                              e.exprs(e.numbers({size / 2, 0})), Ints{1, 1}, true, int64_t(2));
  Value base = e.addNumber(e.mulNumber(mean, node.getFloat("alpha", 1e-4)), node.getFloat("bias", 1));
  Value power = e.binary<PowOp>(base, e.scalar(node.getFloat("beta", 0.75), type));
  node.set(0, e.div(x, e.reshape(power, dims)));
}

} // namespace

void addNormalizations(OperatorTable &table) {
  table.add("BatchNormalization", importBatchNormalization);
  table.add("InstanceNormalization", importInstanceNormalization);
  table.add("GroupNormalization", importGroupNormalization);
  table.add("LayerNormalization", importLayerNormalization);
  table.add("RMSNormalization", importRmsNormalization);
  table.add("SimplifiedLayerNormalization", importRmsNormalization);
  table.add("LpNormalization", importLpNormalization);
  table.add("MeanVarianceNormalization", importMeanVariance);
  table.add("LRN", importLrn);
  table.addIn("com.microsoft", "SimplifiedLayerNormalization", importRmsNormalization);
  table.addIn("com.microsoft", "SkipLayerNormalization", importSkipNormalization<false>);
  table.addIn("com.microsoft", "SkipSimplifiedLayerNormalization", importSkipNormalization<true>);
}

} // namespace onager::frontend
