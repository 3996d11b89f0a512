// Fourier transforms and what goes with them: the kernel `dft` transforms rows of complex numbers; what is around it is data movement.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Transforms x [..., n, 2] along its last dim but one.
Value transform(Emitter &e, Value x, bool isInverse) {
  if (!x)
    return {};
  Type type = Emitter::elementOf(x), wide = type.isF64() ? type : Type(e.f32());
  Dims dims = Emitter::dimsOf(x);
  AffineExpr length = dims[dims.size() - 2], rows = Emitter::product(ArrayRef(dims).drop_back(2), e.context());
  Value flat = e.cast(e.reshape(x, {rows, length, e.number(2)}), wide);
  Value y = flat ? e.call("dft", {flat}, {isInverse}, Emitter::dimsOf(flat), wide) : Value();
  return y ? e.cast(e.reshape(y, dims), type) : Value();
}

/// Cuts or fills with zeros up to `length` along an axis.
Value resizeAxis(Emitter &e, Value x, int64_t axis, AffineExpr length) {
  if (!x)
    return {};
  Exprs none(Emitter::rankOf(x), e.number(0)), behind = none;
  behind[axis] = normalize(length - Emitter::dimsOf(x)[axis]);
  return e.pad(x, none, behind, e.scalar(0, Emitter::elementOf(x)));
}

/// Real numbers [..., 1] become complex ones [..., 2].
Value makeComplex(Emitter &e, Value x) {
  if (!x)
    return {};
  Dims dims = Emitter::dimsOf(x);
  std::optional<int64_t> parts = graph::getConstant(dims.back());
  if (parts == 2)
    return x;
  // Whether there is an imaginary part may be known only while running: padding adds the one that is missing.
  return resizeAxis(e, x, static_cast<int64_t>(dims.size()) - 1, e.number(2));
}

/// The full spectrum [..., n, 2] of which x holds the first n / 2 + 1 numbers; the others are their conjugates.
Value mirrorSpectrum(Emitter &e, Value x, AffineExpr length) {
  if (!x)
    return {};
  int64_t axis = Emitter::rankOf(x) - 2;
  AffineExpr half = normalize(length.floorDiv(2) + 1);
  Value bins = e.iota({length}, 0, e.i64()), mirrored = e.sub(e.indexTensor({length}, {}, e.i64()), bins);
  Value isMirrored = e.compare<LessEqualOp>(e.indexTensor({half}, {}, e.i64()), bins);
  Value all = e.gather(resizeAxis(e, x, axis, half), e.select(isMirrored, mirrored, bins), axis);
  Value signs = e.tensor({1, -1}, {2}, Emitter::elementOf(x));
  return all ? e.select(e.unsqueeze(isMirrored, {1}), e.mul(all, signs), all) : Value();
}

/// Transforms x [..., n, 1 or 2] along its last dim but one, as the node's attributes and dft_length say.
Value transformRows(Node &node, Value x) {
  Emitter &e = node.e;
  if (!x)
    return {};
  bool isInverse = node.getInt("inverse", 0) != 0, isOneSided = node.getInt("onesided", 0) != 0;
  int64_t rank = Emitter::rankOf(x);
  AffineExpr length = Emitter::dimsOf(x)[rank - 2];
  if (isInverse && isOneSided)
    length = normalize(length * 2 - 2);
  if (node.has(1)) {
    Exprs given = e.contentsOrBind(e.reshape(node.in(1), {}));
    length = given.size() == 1 ? e.sizeOf(given[0], "the length") : length;
  }
  if (e.hasFailed())
    return {};
  Value whole = makeComplex(e, x);
  Value y = transform(e, isInverse && isOneSided ? mirrorSpectrum(e, whole, length) : resizeAxis(e, whole, rank - 2, length), isInverse);
  if (isOneSided && isInverse)
    return e.sliceAxis(y, rank - 1, 0, 1);
  return isOneSided ? e.sliceAxis(y, rank - 2, e.number(0), normalize(length.floorDiv(2) + 1)) : y;
}

/// Transforms along an axis that is known while running: the dims before and behind it become one each, whose extents depend on it.
void transformAlong(Node &node, Value x, ArrayRef<AffineExpr> axis) {
  Emitter &e = node.e;
  if (e.hasFailed())
    return;
  Dims dims = Emitter::dimsOf(x);
  auto rank = static_cast<int64_t>(dims.size());
  if (axis.size() != 1 || rank < 2)
    return void(e.fail("expected one axis and rank 2 or more"));
  AffineExpr length = dims[rank - 2], before = Emitter::product(ArrayRef(dims).drop_back(2), e.context()), behind = e.number(1);
  for (int64_t k = rank - 3; k >= 0; --k) {
    auto choose = [&](AffineExpr here, AffineExpr otherwise) {
      return e.selectEqual(axis[0], e.number(k), here, e.selectEqual(axis[0], e.number(k - rank), here, otherwise));
    };
    length = choose(dims[k], length);
    before = choose(Emitter::product(ArrayRef(dims).take_front(k), e.context()), before);
    behind = choose(Emitter::product(ArrayRef(dims).slice(k + 1, rank - 2 - k), e.context()), behind);
  }
  Value moved = e.transpose(e.reshape(x, {before, length, behind, dims.back()}), {0, 2, 1, 3}), y = transformRows(node, moved);
  if (!y)
    return;
  Dims out = Emitter::dimsOf(y);
  for (int64_t k = 0; k < rank - 1; ++k) {
    AffineExpr here = e.selectEqual(axis[0], e.number(k), out[2], dims[k]);
    dims[k] = e.selectEqual(axis[0], e.number(k - rank), out[2], here);
  }
  dims.back() = out.back();
  node.set(0, e.reshape(e.transpose(y, {0, 2, 1, 3}), dims));
}

/// com.microsoft's transforms of real numbers along the last dim, and back; numbers of a spectrum are pairs.
template <bool isInverse> void importRealTransform(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  int64_t rank = Emitter::rankOf(x), axis = isInverse ? rank - 2 : rank - 1;
  if (node.getInt("signal_ndim", 1) != 1 || !node.getInt("onesided", 1) || node.getInt("normalized", 0) || axis < 0)
    return void(e.fail("expected a signal_ndim of 1, onesided and not normalized, and data of rank " + Twine(rank - axis) + " or more"));
  AffineExpr extent = Emitter::dimsOf(x)[axis];
  if (!isInverse)
    return node.set(0, e.sliceAxis(transform(e, makeComplex(e, e.unsqueeze(x, {rank})), false), axis, e.number(0), normalize(extent.floorDiv(2) + 1)));
  AffineExpr length = normalize(extent * 2 - 2);
  e.unify(Emitter::dimsOf(x)[rank - 1], e.number(2), "the parts of a complex number");
  node.set(0, e.squeeze(e.sliceAxis(transform(e, mirrorSpectrum(e, x, length), true), rank - 1, 0, 1), {rank - 1}));
}

/// Triangles between equally spaced places on the mel scale, as weights of the bins of a spectrum.
void importMelWeights(Node &node) {
  Emitter &e = node.e;
  Exprs bins = e.contentsOrBind(e.reshape(node.in(0), {})), length = e.contentsOrBind(e.reshape(node.in(1), {}));
  Value rate = node.in(2), low = node.in(3), high = node.in(4);
  auto dtype = static_cast<int32_t>(node.getInt("output_datatype", 1));
  Type type = convertNumberType(dtype, e.context());
  if (!type)
    e.fail("output_datatype " + describeElementType(dtype) + " is not supported");
  if (e.hasFailed() || bins.size() != 1 || length.size() != 1)
    return;
  Type f64 = e.builder.getF64Type();
  AffineExpr triangles = e.sizeOf(bins[0], "the number of bins");
  auto toMel = [&](Value hertz) {
    Value x = e.addNumber(e.divNumber(e.cast(e.reshape(hertz, {}), f64), 700), 1);
    return e.mulNumber(e.unary<LogOp>(x), 2595 / std::log(10.0));
  };
  Value first = toMel(low), spaces = e.cast(e.indexTensor({normalize(triangles + 2)}, {}, e.i64()), f64), step = e.div(e.sub(toMel(high), first), spaces);
  Value mel = e.add(e.mul(e.iota({normalize(triangles + 2)}, 0, f64), step), first);
  Value hertz = e.mulNumber(e.addNumber(e.unary<ExpOp>(e.mulNumber(mel, std::log(10.0) / 2595)), -1), 700);
  Value places = e.mul(e.cast(e.indexTensor({normalize(length[0] + 1)}, {}, e.i64()), f64), hertz);
  places = e.unary<FloorOp>(e.div(places, e.cast(e.reshape(rate, {}), f64)));
  auto from = [&](int64_t k) { return e.sliceAxis(places, 0, e.number(k), triangles); };
  Value left = from(0), center = from(1), right = from(2);
  Value bin = e.iota({e.maxOf(normalize(e.truncDiv(length[0], e.number(2)) + 1), e.number(0)), e.number(1)}, 0, f64), zero = e.scalar(0, f64), one = e.scalar(1, f64);
  Value rise = e.sub(center, left), fall = e.sub(right, center), isFlat = e.compare<EqualOp>(rise, zero);
  auto both = [&](Value a, Value b) { return e.binary<AndOp>(a, b); };
  Value up = e.div(e.sub(bin, left), e.select(isFlat, one, rise)), isCenter = e.compare<EqualOp>(bin, center);
  Value isUp = both(e.compare<LessEqualOp>(left, bin), e.compare<LessEqualOp>(bin, center));
  Value weights = e.select(isFlat, e.select(isCenter, one, zero), e.select(isUp, up, zero));
  Value isDown = both(e.compare<LessEqualOp>(center, bin), e.compare<LessOp>(bin, right));
  node.set(0, e.cast(e.select(isDown, e.div(e.sub(right, bin), e.maximum(fall, one)), weights), type));
}

void importDft(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  int64_t rank = Emitter::rankOf(x), axis = node.opset < 20 ? node.getInt("axis", 1) : -2;
  if (node.opset >= 20 && node.has(2)) {
    std::optional<Ints> given = e.constants(node.in(2));
    if (!given)
      return transformAlong(node, x, e.contentsOrBind(e.reshape(node.in(2), {})));
    axis = given->size() == 1 ? (*given)[0] : rank - 1;
  }
  axis = e.axisOf(axis, rank);
  if (!e.hasFailed() && (rank < 2 || axis == rank - 1))
    e.fail("axis " + Twine(axis) + " of rank " + Twine(rank) + " holds real and imaginary parts");
  if (e.hasFailed())
    return;
  Ints perm(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  std::swap(perm[axis], perm[rank - 2]);
  node.set(0, e.transpose(transformRows(node, e.transpose(x, perm)), perm));
}

/// Short-time transform: overlapping frames of the signal, times a window.
void importStft(Node &node) {
  Emitter &e = node.e;
  Value signal = node.in(0), step = node.in(1), window = node.opt(2);
  if (!signal || !step)
    return;
  if (Emitter::rankOf(signal) == 2)
    signal = e.unsqueeze(signal, {2});
  Exprs hop = e.contentsOrBind(e.reshape(step, {})), size;
  if (node.has(3))
    size = e.contentsOrBind(e.reshape(node.in(3), {}));
  else if (window)
    size = {Emitter::dimsOf(window)[0]};
  if (e.hasFailed() || hop.size() != 1 || size.size() != 1 || Emitter::rankOf(signal) != 3)
    return void(e.fail("expected a signal of rank 2 or 3 and a frame_length or a window"));
  Dims dims = Emitter::dimsOf(signal);
  AffineExpr frames = e.maxOf(normalize(e.truncDiv(normalize(dims[1] - size[0]), hop[0]) + 1), e.number(0)), length = e.maxOf(size[0], e.number(0));
  Value starts = e.mul(e.iota({frames, e.number(1)}, 0, e.i64()), e.indexTensor({hop[0]}, {}, e.i64()));
  Value framed = e.gather(signal, e.add(starts, e.iota({e.number(1), length}, 1, e.i64())), 1);
  if (window)
    framed = e.mul(framed, e.unsqueeze(e.cast(window, Emitter::elementOf(signal)), {1}));
  Value y = transform(e, makeComplex(e, framed), /*isInverse=*/false);
  if (node.getInt("onesided", 1))
    y = e.sliceAxis(y, 2, e.number(0), normalize(length.floorDiv(2) + 1));
  node.set(0, y);
}

} // namespace

void addSignal(OperatorTable &table) {
  table.addIn("com.microsoft", "Rfft", importRealTransform<false>);
  table.addIn("com.microsoft", "Irfft", importRealTransform<true>);
  table.add("DFT", importDft);
  table.add("STFT", importStft);
  table.add("MelWeightMatrix", importMelWeights);
}

} // namespace onager::frontend
