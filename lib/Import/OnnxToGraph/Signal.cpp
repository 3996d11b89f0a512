// Fourier transforms: the kernel `dft` transforms rows of complex numbers; what is around it is data movement.
#include "lib/Import/OnnxToGraph/Importer.h"

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

void importDft(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  int64_t rank = Emitter::rankOf(x), axis = node.opset < 20 ? node.getInt("axis", 1) : -2;
  if (node.opset >= 20 && node.has(2)) {
    std::optional<Ints> given = e.constants(node.in(2));
    if (!given || given->size() != 1)
      return void(e.fail("the axis is not known when the model is compiled"));
    axis = (*given)[0];
  }
  axis = e.axisOf(axis, rank);
  if (!e.hasFailed() && (rank < 2 || axis == rank - 1))
    e.fail("axis " + Twine(axis) + " of rank " + Twine(rank) + " holds real and imaginary parts");
  bool isInverse = node.getInt("inverse", 0) != 0, isOneSided = node.getInt("onesided", 0) != 0;
  AffineExpr length = Emitter::dimsOf(x)[axis];
  if (isInverse && isOneSided)
    length = normalize(length * 2 - 2);
  if (node.has(1)) {
    Exprs given = e.contentsOrBind(e.reshape(node.in(1), {}));
    length = given.size() == 1 ? e.maxOf(given[0], e.number(0)) : length;
  }
  if (e.hasFailed())
    return;
  Ints perm(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  std::swap(perm[axis], perm[rank - 2]);
  Value moved = makeComplex(e, e.transpose(x, perm));
  Value y = isInverse && isOneSided ? mirrorSpectrum(e, moved, length) : resizeAxis(e, moved, rank - 2, length);
  y = transform(e, y, isInverse);
  if (isOneSided && isInverse)
    y = e.sliceAxis(y, rank - 1, 0, 1);
  else if (isOneSided)
    y = e.sliceAxis(y, rank - 2, e.number(0), normalize(length.floorDiv(2) + 1));
  node.set(0, e.transpose(y, perm));
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
  table.add("DFT", importDft);
  table.add("STFT", importStft);
}

} // namespace onager::frontend
