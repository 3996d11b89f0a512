// Embeddings, crops and pools of the domain com.microsoft.
#include "lib/Import/OnnxToGraph/Quantization.h"
#include "lib/Import/OnnxToGraph/Window.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What a BERT embedding is made of; segments and positions may be null.
struct Embedding {
  Value words, segments, positions;
  Value wordTable, positionTable, segmentTable, gamma, beta;
};

/// Sets output 0 to the normalised sum of the embeddings and returns the sum.
Value embed(Node &node, const Embedding &from) {
  Emitter &e = node.e;
  if (e.hasFailed())
    return {};
  Dims dims = Emitter::dimsOf(from.words);
  if (dims.size() != 2)
    return e.fail("expected ids of rank 2, found rank " + Twine(dims.size()));
  auto pick = [&](Value table, Value ids) { return table && ids ? e.gather(table, e.cast(ids, e.i64()), 0) : Value(); };
  Value positions = pick(from.positionTable, from.positions);
  if (!from.positions && from.positionTable) {
    if (Emitter::rankOf(from.positionTable) != 2)
      return e.fail("expected positions of rank 2");
    e.requireAtLeast(Emitter::dimsOf(from.positionTable)[0], dims[1], "the number of positions");
    positions = e.sliceAxis(from.positionTable, 0, e.number(0), dims[1]);
  }
  Value sum = e.add(pick(from.wordTable, from.words), positions);
  if (from.segments)
    sum = e.add(sum, pick(from.segmentTable, from.segments));
  Value y = e.normalizeOver(sum, {2}, node.getFloat("epsilon", 1e-12), /*rms=*/false);
  node.set(0, e.add(e.mul(y, from.gamma), from.beta));
  return sum;
}

/// The number of ones of each row of the mask; 0 without a mask.
void setMaskIndex(Node &node, Value mask, Value words) {
  Emitter &e = node.e;
  if (!words || !node.wants(1) || e.hasFailed())
    return;
  Value zeros = e.splat(e.integerScalar(0, e.i32()), {Emitter::dimsOf(words)[0]});
  Value ones = mask ? e.cast(e.compare<EqualOp>(mask, e.integerScalar(1, Emitter::elementOf(mask))), e.i32()) : Value();
  node.set(1, mask ? e.reduce(ReduceKind::sum, ones, {1}, false) : zeros);
}

void importEmbedLayerNormalization(Node &node) {
  Value words = node.in(0);
  Value sum = embed(node, {words, node.opt(1), node.opt(8), node.in(2), node.in(3), node.opt(4), node.in(5), node.in(6)});
  setMaskIndex(node, node.opt(7), words);
  if (node.wants(2))
    node.set(2, sum);
}

void importQEmbedLayerNormalization(Node &node) {
  Emitter &e = node.e;
  auto real = [&](unsigned table, unsigned scale, unsigned zeroPoint) {
    return e.mul(e.cast(centre(e, node.in(table), e.reshape(node.in(zeroPoint), {})), e.f32()), e.reshape(node.in(scale), {}));
  };
  Value words = node.in(0), segments = node.opt(1);
  embed(node, {words, segments, {}, real(2, 8, 13), real(3, 9, 14), segments ? real(4, 10, 15) : Value(), real(5, 11, 16), real(6, 12, 17)});
  setMaskIndex(node, node.opt(7), words);
}

/// Places of samples along one dim: evenly from start to end, corners included; the middle for one sample. [regions, samples].
Value placeSamples(Emitter &e, Value start, Value end, AffineExpr extent, AffineExpr samples) {
  Type type = Emitter::elementOf(start);
  Value last = e.cast(e.indexTensor({normalize(extent - 1)}, {}, e.i64()), type), first = e.mul(start, last), final = e.mul(end, last);
  Value steps = e.cast(e.maximum(e.indexTensor({normalize(samples - 1)}, {}, e.i64()), e.integerScalar(1, e.i64())), type);
  Value index = e.iota({e.number(1), samples}, 1, type);
  Value at = e.add(first, e.mul(index, e.div(e.mul(e.sub(end, start), last), steps)));
  at = e.select(e.compare<EqualOp>(index, steps), final, at);
  Value isSingle = e.compare<EqualOp>(e.indexTensor({samples}, {}, e.i64()), e.integerScalar(1, e.i64()));
  return e.select(isSingle, e.mulNumber(e.mul(e.add(start, end), last), 0.5), at);
}

/// Regions of images, resized to one size.
void importCropAndResize(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), regions = node.in(1), images = node.in(2);
  Exprs size = e.contentsOrBind(node.in(3));
  std::string mode = node.getString("mode", "bilinear");
  if (!x || !regions || !images || e.hasFailed())
    return;
  if (size.size() != 2 || Emitter::rankOf(x) != 4 || Emitter::rankOf(regions) != 2 || (mode != "bilinear" && mode != "nearest"))
    return void(e.fail("expected an image of rank 4, regions of rank 2, two sizes, and not mode '" + mode + "'"));
  Dims dims = Emitter::dimsOf(x);
  e.unify(Emitter::dimsOf(regions)[1], e.number(4), "the numbers of a region");
  if (e.hasFailed())
    return;
  AffineExpr count = Emitter::dimsOf(regions)[0], height = e.sizeOf(size[0], "a size"), width = e.sizeOf(size[1], "a size"), one = e.number(1);
  auto corner = [&](int64_t k) { return e.sliceAxis(regions, 1, k, 1); };
  Value y = e.reshape(placeSamples(e, corner(0), corner(2), dims[2], height), {count, height, one});
  Value at = e.reshape(placeSamples(e, corner(1), corner(3), dims[3], width), {count, one, width});
  Type type = Emitter::elementOf(x);
  auto limit = [&](AffineExpr extent) { return e.indexTensor({normalize(extent - 1)}, {}, e.i64()); };
  auto isInside = [&](Value place, AffineExpr extent) {
    return e.binary<AndOp>(e.compare<LessEqualOp>(e.scalar(0, type), place), e.compare<LessEqualOp>(place, e.cast(limit(extent), type)));
  };
  auto index = [&](Value place, AffineExpr extent) { return e.maximum(e.minimum(e.cast(place, e.i64()), limit(extent)), e.integerScalar(0, e.i64())); };
  // Rows of channels, picked by image, row and column.
  Value rows = e.reshape(e.transpose(x, {0, 2, 3, 1}), {normalize(dims[0] * dims[2] * dims[3]), dims[1]});
  Value image = e.mul(e.reshape(e.cast(images, e.i64()), {count, one, one}), e.indexTensor({dims[2]}, {}, e.i64()));
  auto pick = [&](Value row, Value column) {
    Value line = e.mul(e.add(image, index(row, dims[2])), e.indexTensor({dims[3]}, {}, e.i64()));
    return e.gather(rows, e.add(line, index(column, dims[3])), 0);
  };
  Value result;
  if (mode == "nearest") {
    auto nearest = [&](Value place) { return e.unary<FloorOp>(e.addNumber(place, 0.5)); };
    result = pick(nearest(y), nearest(at));
  } else {
    Value top = e.unary<FloorOp>(y), left = e.unary<FloorOp>(at), bottom = e.unary<CeilOp>(y), right = e.unary<CeilOp>(at);
    Value down = e.unsqueeze(e.sub(y, top), {3}), across = e.unsqueeze(e.sub(at, left), {3});
    auto blend = [&](Value a, Value b, Value by) { return e.add(a, e.mul(e.sub(b, a), by)); };
    result = blend(blend(pick(top, left), pick(top, right), across), blend(pick(bottom, left), pick(bottom, right), across), down);
  }
  Value inside = e.unsqueeze(e.binary<AndOp>(isInside(y, dims[2]), isInside(at, dims[3])), {3});
  node.set(0, e.transpose(e.select(inside, result, e.scalar(node.getFloat("extrapolation_value", 0), type)), {0, 3, 1, 2}));
}

/// Words of characters: the largest tanh of a convolution over the windows inside each word; 0 for empty words. Characters count up to the
/// first that is not positive at the start, and shorter words fill one window.
void importWordConvEmbedding(Node &node) {
  Emitter &e = node.e;
  Value words = node.in(0), filter = node.in(1), bias = node.in(2), table = node.in(3);
  if (!words || !filter || !bias || !table)
    return;
  if (Emitter::rankOf(words) != 2 || Emitter::rankOf(filter) != 4 || Emitter::rankOf(table) != 2)
    return void(e.fail("expected words of rank 2, a filter of rank 4 and characters of rank 2"));
  words = e.cast(words, e.i64());
  Dims dims = Emitter::dimsOf(words), weights = Emitter::dimsOf(filter);
  e.requireAtLeast(dims[1], e.number(1), "the letters of a word");
  AffineExpr windows = e.maxOf(normalize(dims[1] - weights[2] + 1), e.number(0)), one = e.number(1);
  Value zero = e.integerScalar(0, Emitter::elementOf(words));
  // Windows as rows of a matrix product: [words, windows, window * size].
  Value at = e.add(e.iota({windows, one}, 0, e.i64()), e.iota({one, weights[2]}, 1, e.i64()));
  AffineExpr inner = normalize(weights[2] * weights[3]);
  Value letters = e.gather(table, e.gather(words, at, 1), 0);
  Value rows = e.reshape(letters, {dims[0], windows, inner}), columns = e.transposeLast(e.reshape(filter, {weights[0], inner}));
  Value y = e.unary<TanhOp>(e.add(e.matmul(rows, columns), bias));
  Value isLetter = e.compare<LessOp>(zero, words), hasAny = e.sliceAxis(isLetter, 1, 0, 1);
  Value length = e.reduce(ReduceKind::sum, e.cast(isLetter, e.i64()), {1});
  Value used = e.maximum(e.sub(length, e.indexTensor({normalize(weights[2] - 1)}, {}, e.i64())), e.integerScalar(1, e.i64()));
  Value isUsed = e.unsqueeze(e.compare<LessOp>(e.iota({one, windows}, 1, e.i64()), used), {2});
  Value best = e.reduce(ReduceKind::max, e.select(isUsed, y, e.lowest(e.f32())), {1}, false);
  node.set(0, e.select(hasAny, best, e.scalar(0, e.f32())));
}

/// A max pool over channels last.
void importNhwcMaxPool(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  if (Emitter::rankOf(x) != 4)
    return void(e.fail("expected rank 4, found rank " + Twine(Emitter::rankOf(x))));
  Value y = importAs(node, "MaxPool", 12, {e.transpose(x, {0, 3, 1, 2})})[0];
  node.set(0, e.transpose(y, {0, 2, 3, 1}));
}

/// The places that windows cover along one spatial dim [windows, kernel], and whether they lie inside.
struct Places {
  Value index, isInside;
};

Places placeWindows(Emitter &e, const Window &window, size_t k, AffineExpr extent) {
  AffineExpr one = e.number(1);
  Value start = e.mul(e.iota({window.out[k], one}, 0, e.i64()), e.integerScalar(window.strides[k], e.i64()));
  Value at = e.sub(e.add(start, e.iota({one, window.kernel[k]}, 1, e.i64())), e.indexTensor({window.low[k]}, {}, e.i64()));
  Value zero = e.integerScalar(0, e.i64()), last = e.indexTensor({normalize(extent - 1)}, {}, e.i64());
  Value isInside = e.binary<AndOp>(e.compare<LessEqualOp>(zero, at), e.compare<LessEqualOp>(at, last));
  return {e.maximum(e.minimum(at, last), zero), isInside};
}

/// A max pool whose windows end, in each row of their last dim, before the first element that a mask hides. The first element of a plane counts
/// always. Windows over nothing give the lowest number.
void importMaxPoolWithMask(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), mask = node.in(1);
  std::optional<Window> window = readWindow(node, x);
  if (!window || !mask)
    return;
  size_t count = window->kernel.size();
  if (Emitter::rankOf(mask) != Emitter::rankOf(x))
    return void(e.fail("a mask of rank " + Twine(Emitter::rankOf(mask)) + " for data of rank " + Twine(Emitter::rankOf(x))));
  for (size_t k = 2; k < 2 + count; ++k)
    e.unify(Emitter::dimsOf(mask)[k], Emitter::dimsOf(x)[k], "a dim of the mask and the data");
  Value isShown = e.cast(mask, e.i1()), isInside;
  if (count > 1) {
    Dims plane(ArrayRef(Emitter::dimsOf(x)).drop_front(2));
    Value flat = e.iota({Emitter::product(plane, e.context())}, 0, e.i64());
    isShown = e.binary<OrOp>(isShown, e.reshape(e.compare<EqualOp>(flat, e.integerScalar(0, e.i64())), plane));
  }
  Ints axes;
  for (size_t k = 0; k < count && isShown; ++k) {
    auto axis = static_cast<int64_t>(2 + 2 * k);
    Places places = placeWindows(e, *window, k, Emitter::dimsOf(x)[axis]);
    x = e.gather(x, places.index, axis);
    isShown = e.gather(isShown, places.index, axis);
    if (!places.isInside || !x)
      return;
    Dims own(2 * count, e.number(1));
    llvm::copy(Emitter::dimsOf(places.isInside), own.begin() + static_cast<int64_t>(2 * k));
    Value inside = e.reshape(places.isInside, own);
    isInside = isInside ? e.binary<AndOp>(isInside, inside) : inside;
    axes.push_back(axis + 1);
  }
  if (!isShown || !isInside)
    return;
  Value counts = e.cast(e.binary<OrOp>(isShown, e.unary<NotOp>(isInside)), e.i32());
  Value goesOn = e.make<CumulateOp>(Emitter::dimsOf(counts), e.i32(), counts, ReduceKind::prod, Emitter::rankOf(counts) - 1, false, false);
  Value isUsed = e.binary<AndOp>(e.cast(goesOn, e.i1()), isInside);
  node.set(0, e.reduce(ReduceKind::max, e.select(isUsed, x, e.scalar(std::numeric_limits<float>::lowest(), Emitter::elementOf(x))), axes, false));
}

} // namespace

void addMicrosoftEmbedding(OperatorTable &table) {
  auto add = [&](StringRef op, ImportFunction function) { table.addIn("com.microsoft", op, function); };
  add("EmbedLayerNormalization", importEmbedLayerNormalization);
  add("QEmbedLayerNormalization", importQEmbedLayerNormalization);
  add("CropAndResize", importCropAndResize);
  add("WordConvEmbedding", importWordConvEmbedding);
  add("NhwcMaxPool", importNhwcMaxPool);
  add("MaxpoolWithMask", importMaxPoolWithMask);
}

} // namespace onager::frontend
