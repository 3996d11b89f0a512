// Resize and Upsample. Output extents follow from scales or sizes; antialiased resampling becomes a product with a matrix of weights per dim.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What a resize does, for all dims of x.
struct ResizePlan {
  Value x;
  Dims dims;                                      ///< of the result
  Value scales, roi;                              ///< one number, two numbers per dim
  std::optional<std::vector<double>> knownScales; ///< the scales where they are constant
};

/// floor(extent * scale) for an extent that is not known: the scale as the simplest fraction that rounds to it.
AffineExpr scaleExtent(AffineExpr extent, float scale) {
  for (int64_t q = 1; q <= 4096; ++q) {
    auto p = static_cast<int64_t>(std::llround(static_cast<double>(scale) * static_cast<double>(q)));
    if (p > 0 && static_cast<float>(p) / static_cast<float>(q) == scale)
      return normalize((extent * p).floorDiv(q));
  }
  constexpr int64_t kOne = int64_t(1) << 24;
  return normalize((extent * static_cast<int64_t>(static_cast<double>(scale) * kOne)).floorDiv(kOne));
}

/// Extents times scales beyond this are no sizes of tensors.
constexpr double kMostExtent = double(int64_t(1) << 48);

AffineExpr applyScale(Emitter &e, AffineExpr extent, double scale) {
  std::optional<int64_t> known = graph::getConstant(extent);
  if (!(std::abs(scale) * static_cast<double>(known.value_or(1)) < kMostExtent)) {
    e.fail("a dim times its scale, " + Twine(std::to_string(scale)) + ", is no size");
    return extent;
  }
  if (scale <= 0)
    return e.number(0);
  if (!known)
    return scaleExtent(extent, static_cast<float>(scale));
  return e.number(static_cast<int64_t>(std::floor(static_cast<float>(*known) * static_cast<float>(scale))));
}

/// Spreads values given for some axes over all dims.
Value spreadOverDims(Emitter &e, Value given, const Ints &axes, int64_t rank, double otherwise) {
  Value column = e.reshape(given, {e.number(static_cast<int64_t>(axes.size()))});
  Value base = e.tensor(std::vector<double>(static_cast<size_t>(rank), otherwise), {rank}, Emitter::elementOf(given));
  return e.scatterElements(base, e.ints(axes), column, 0, ScatterKind::none);
}

Value getScalesFromDims(Emitter &e, ArrayRef<AffineExpr> from, ArrayRef<AffineExpr> to) {
  Type f64 = e.builder.getF64Type();
  return e.div(e.cast(e.indexVector(to), f64), e.cast(e.indexVector(from), f64));
}

/// Replaces the extents of `axes` by those of one scale for all, the smallest or largest that they ask for.
void keepAspectRatio(Emitter &e, ResizePlan &plan, bool isNotLarger, const Ints &axes) {
  Dims have = Emitter::dimsOf(plan.x);
  Exprs from, to;
  for (int64_t axis : axes) {
    from.push_back(have[axis]);
    to.push_back(plan.dims[axis]);
  }
  Value scale = e.reduce(isNotLarger ? ReduceKind::min : ReduceKind::max, getScalesFromDims(e, from, to), {0});
  Value extents = scale ? e.mul(e.cast(e.indexVector(from), Emitter::elementOf(scale)), scale) : Value();
  Exprs kept = e.contentsOrBind(e.cast(e.unary<FloorOp>(e.addNumber(extents, 0.5)), e.i64()));
  for (auto [k, axis] : llvm::enumerate(axes))
    if (!e.hasFailed())
      plan.dims[axis] = e.maxOf(kept[k], e.number(0));
  plan.scales = scale ? spreadOverDims(e, e.broadcast(scale, {e.number(static_cast<int64_t>(axes.size()))}), axes, Emitter::rankOf(plan.x), 1) : Value();
}

/// Extents and scales from the input `sizes`.
void planBySizes(Node &node, ResizePlan &plan, Value sizes, const Ints &axes) {
  Emitter &e = node.e;
  Dims have = Emitter::dimsOf(plan.x);
  Exprs wanted = e.contentsOrBind(e.ofLength(sizes, static_cast<int64_t>(axes.size()), "the number of sizes"));
  std::string policy = node.getString("keep_aspect_ratio_policy", "stretch");
  if (!e.hasFailed() && wanted.size() != axes.size())
    e.fail(Twine(wanted.size()) + " sizes for " + Twine(axes.size()) + " axes");
  if (e.hasFailed())
    return;
  plan.dims = have;
  for (auto [k, axis] : llvm::enumerate(axes))
    plan.dims[axis] = e.sizeOf(wanted[k], "a size");
  if (policy == "stretch") {
    plan.scales = getScalesFromDims(e, have, plan.dims);
    return;
  }
  keepAspectRatio(e, plan, policy == "not_larger", axes);
}

void planByScales(Node &node, ResizePlan &plan, Value scales, const Ints &axes, bool crops) {
  Emitter &e = node.e;
  Dims have = Emitter::dimsOf(plan.x);
  auto rank = static_cast<int64_t>(have.size());
  bool isAll = static_cast<int64_t>(axes.size()) == rank;
  plan.scales = isAll ? scales : spreadOverDims(e, scales, axes, rank, 1);
  plan.dims = have;
  std::optional<std::vector<double>> known = e.constantNumbers(scales), region = crops ? e.constantNumbers(plan.roi) : std::vector<double>();
  if (known && known->size() == axes.size() && region) {
    for (auto [k, axis] : llvm::enumerate(axes)) {
      double share = crops ? (*region)[static_cast<size_t>(rank + axis)] - (*region)[static_cast<size_t>(axis)] : 1;
      plan.dims[axis] = applyScale(e, have[axis], (*known)[k] * share);
    }
    return;
  }
  if (Emitter::rankOf(plan.scales) != 1)
    return void(e.fail("the scales are not a vector"));
  Value factor = plan.scales;
  if (crops)
    factor = e.mul(factor, e.sub(e.sliceAxis(plan.roi, 0, rank, rank), e.sliceAxis(plan.roi, 0, 0, rank)));
  Exprs extents = e.contentsOrBind(e.cast(e.unary<FloorOp>(e.mul(e.cast(e.indexVector(have), Emitter::elementOf(factor)), factor)), e.i64()));
  for (int64_t axis : axes)
    if (!e.hasFailed())
      plan.dims[axis] = e.maxOf(extents[axis], e.number(0));
}

/// Weights that are computed at compile time, at most: more would swell the artifact.
constexpr int64_t kMostWeights = 1 << 20;

/// Position in the input of output position i, as graph.resize has it.
double mapCoordinate(StringRef kind, double i, double scale, int64_t in, int64_t out) {
  if (kind == "asymmetric")
    return i / scale;
  if (kind == "align_corners")
    return out > 1 ? i * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  if (kind == "pytorch_half_pixel" && out <= 1)
    return 0;
  double half = (i + 0.5) / scale - 0.5;
  if (kind == "half_pixel_symmetric") {
    double adjustment = static_cast<double>(out) / (scale * static_cast<double>(in));
    return static_cast<double>(in) / 2 * (1 - adjustment) + half;
  }
  return half;
}

double kernelAt(ResizeMode mode, double a, double t) {
  t = std::abs(t);
  if (mode == ResizeMode::linear)
    return std::max(0.0, 1 - t);
  if (t <= 1)
    return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

/// Weights of an antialiased resampling of one dim: the kernel is stretched by the scale where that shrinks.
std::vector<double> makeWeights(Node &node, ResizeMode mode, StringRef kind, double scale, int64_t in, int64_t out) {
  if (!in || !out)
    return {};
  double a = node.getFloat("cubic_coeff_a", -0.75), stretch = std::min(scale, 1.0);
  bool isExcluding = node.getInt("exclude_outside", 0) != 0;
  auto reach = static_cast<int64_t>(std::floor(-(mode == ResizeMode::linear ? 1 : 2) / stretch)) + 1;
  std::vector<double> weights(static_cast<size_t>(in * out));
  for (int64_t i = 0; i < out; ++i) {
    double x = mapCoordinate(kind, static_cast<double>(i), scale, in, out), base = std::ceil(x) - 1, sum = 0;
    for (int64_t k = reach; k <= 1 - reach; ++k) {
      auto position = static_cast<int64_t>(base) + k;
      if (isExcluding && (position < 0 || position >= in))
        continue;
      double weight = kernelAt(mode, a, (static_cast<double>(k) - (x - base)) * stretch);
      weights[static_cast<size_t>(i * in + std::clamp<int64_t>(position, 0, in - 1))] += weight;
      sum += weight;
    }
    for (int64_t k = 0; k < in && sum != 0; ++k)
      weights[static_cast<size_t>(i * in + k)] /= sum;
  }
  return weights;
}

/// mapCoordinate of the positions i, as graph operations in f64.
Value mapCoordinates(Emitter &e, StringRef kind, Value i, Value scale, AffineExpr in, AffineExpr out) {
  if (!i || !scale)
    return {};
  auto number = [&](AffineExpr expr) { return e.cast(e.indexTensor({expr}, {}, e.i64()), Emitter::elementOf(i)); };
  auto isPoint = [&] { return e.compare<LessOp>(number(out), e.scalar(1.5, Emitter::elementOf(i))); };
  Value zero = e.scalar(0, Emitter::elementOf(i));
  if (kind == "asymmetric")
    return e.div(i, scale);
  if (kind == "align_corners")
    return e.select(isPoint(), zero, e.div(e.mul(i, number(normalize(in - 1))), number(e.maxOf(normalize(out - 1), e.number(1)))));
  Value half = e.addNumber(e.div(e.addNumber(i, 0.5), scale), -0.5);
  if (kind == "pytorch_half_pixel")
    return e.select(isPoint(), zero, half);
  if (kind == "half_pixel_symmetric") {
    Value adjustment = e.div(number(out), e.mul(scale, number(in)));
    return e.add(e.mul(e.mulNumber(number(in), 0.5), e.sub(e.scalar(1, Emitter::elementOf(i)), adjustment)), half);
  }
  return half;
}

/// kernelAt as graph operations.
Value applyKernel(Emitter &e, ResizeMode mode, double a, Value t) {
  if (!t)
    return {};
  t = e.unary<AbsOp>(t);
  Value zero = e.scalar(0, Emitter::elementOf(t)), one = e.scalar(1, Emitter::elementOf(t)), two = e.scalar(2, Emitter::elementOf(t));
  if (mode == ResizeMode::linear)
    return e.maximum(zero, e.sub(one, t));
  Value near = e.addNumber(e.mul(e.mul(e.addNumber(e.mulNumber(t, a + 2), -(a + 3)), t), t), 1);
  Value far = e.addNumber(e.mul(e.addNumber(e.mul(e.addNumber(e.mulNumber(t, a), -5 * a), t), 8 * a), t), -4 * a);
  return e.select(e.compare<LessEqualOp>(t, one), near, e.select(e.compare<LessOp>(t, two), far, zero));
}

/// The weights [in, out] of makeWeights where extents or the scale are known only while running; x is padded by its edge so that every tap lies
/// inside, and the weights' rows then belong to the padded dim.
Value computeWeights(Node &node, Value &x, ResizeMode mode, StringRef kind, Value scale, int64_t axis, AffineExpr out) {
  Emitter &e = node.e;
  if (!x || !scale)
    return {};
  AffineExpr in = Emitter::dimsOf(x)[axis];
  Type f64 = e.builder.getF64Type(), element = Emitter::elementOf(x);
  scale = e.cast(scale, f64);
  Value stretch = e.minimum(scale, e.scalar(1, f64));
  Value reach = e.addNumber(e.unary<CeilOp>(e.div(e.scalar(mode == ResizeMode::linear ? 1 : 2, f64), stretch)), 1);
  Exprs margin = e.contentsOrBind(e.reshape(e.cast(reach, e.i64()), {}));
  if (e.hasFailed())
    return {};
  // Nothing has no edge.
  AffineExpr apart = e.selectEqual(in, e.number(0), e.number(0), e.maxOf(margin[0], e.number(0))), padded = normalize(in + apart * 2);
  Exprs around(static_cast<size_t>(Emitter::rankOf(x)), e.number(0));
  around[static_cast<size_t>(axis)] = apart;
  x = e.pad(x, around, around, e.scalar(0, element), PadMode::edge);
  Value center = mapCoordinates(e, kind, e.iota({e.number(1), out}, 1, f64), scale, in, out);
  Value first = e.cast(e.indexTensor({normalize(-apart)}, {}, e.i64()), f64);
  Value place = e.add(e.iota({padded, e.number(1)}, 0, f64), first);
  Value weights = applyKernel(e, mode, node.getFloat("cubic_coeff_a", -0.75), e.mul(e.sub(place, center), stretch));
  if (node.getInt("exclude_outside", 0)) {
    Value size = e.cast(e.indexTensor({in}, {}, e.i64()), f64);
    Value inside = e.binary<AndOp>(e.compare<LessEqualOp>(e.scalar(0, f64), place), e.compare<LessOp>(place, size));
    weights = e.select(inside, weights, e.scalar(0, f64));
  }
  Value sum = e.reduce(ReduceKind::sum, weights, {0});
  Value divisor = sum ? e.select(e.compare<EqualOp>(sum, e.scalar(0, f64)), e.scalar(1, f64), sum) : Value();
  return e.cast(e.div(weights, divisor), element);
}

Value resizeWithMatrices(Node &node, const ResizePlan &plan, ResizeMode mode, StringRef kind) {
  Emitter &e = node.e;
  std::optional<std::vector<double>> scales = e.constantNumbers(plan.scales);
  Value x = plan.x;
  Type element = Emitter::elementOf(x);
  x = e.cast(x, isa<FloatType>(element) ? element : e.f32());
  for (int64_t axis = 0, rank = Emitter::rankOf(x); axis < rank && !e.hasFailed(); ++axis) {
    std::optional<int64_t> in = graph::getConstant(Emitter::dimsOf(x)[axis]), out = graph::getConstant(plan.dims[axis]);
    if (areEqual(Emitter::dimsOf(x)[axis], plan.dims[axis]) && (!scales || (*scales)[static_cast<size_t>(axis)] == 1))
      continue;
    e.require(e.selectEqual(Emitter::dimsOf(x)[axis], e.number(0), plan.dims[axis], e.number(0)), e.number(0), "a dim without elements cannot be resized to some");
    Value matrix;
    if (in && out && scales && *in * *out <= kMostWeights) {
      std::vector<double> weights = makeWeights(node, mode, kind, (*scales)[static_cast<size_t>(axis)], *in, *out);
      matrix = e.transpose(e.tensor(weights, {*out, *in}, Emitter::elementOf(x)), {1, 0});
    } else {
      matrix = computeWeights(node, x, mode, kind, e.reshape(e.sliceAxis(plan.scales, 0, axis, 1), {}), axis, plan.dims[axis]);
    }
    Ints perm(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
    std::swap(perm[static_cast<size_t>(axis)], perm.back());
    x = e.transpose(e.matmul(e.transpose(x, perm), matrix), perm);
  }
  return isa<FloatType>(element) ? x : e.cast(e.unary<RoundOp>(x), element);
}

void finishResize(Node &node, const ResizePlan &plan, StringRef kind, StringRef rounding) {
  Emitter &e = node.e;
  std::string name = node.getString("mode", "nearest");
  std::optional<ResizeMode> mode = name == "bilinear" ? ResizeMode::linear : symbolizeResizeMode(name);
  if (!mode)
    e.fail("mode is '" + name + "'");
  if (e.hasFailed())
    return;
  bool isAntialiased = node.getInt("antialias", 0) != 0 && *mode != ResizeMode::nearest;
  if (isAntialiased && kind != "tf_crop_and_resize")
    return node.set(0, resizeWithMatrices(node, plan, *mode, kind));
  if (isAntialiased)
    return void(e.fail("antialiasing together with tf_crop_and_resize"));
  node.set(0, e.make<ResizeOp>(plan.dims, Emitter::elementOf(plan.x), plan.x, plan.scales, plan.roi, *mode, kind, rounding,
                               APFloat(node.getFloat("cubic_coeff_a", -0.75)), APFloat(node.getFloat("extrapolation_value", 0)), false,
                               node.getInt("exclude_outside", 0) != 0));
}

bool isEmptyInput(Node &node, unsigned k) {
  if (!node.has(k))
    return true;
  Dims dims = Emitter::dimsOf(node.in(k));
  return dims.size() == 1 && graph::isConstant(dims[0], 0);
}

void importResize(Node &node) {
  Emitter &e = node.e;
  ResizePlan plan{node.in(0), {}, {}, {}, {}};
  if (!plan.x)
    return;
  int64_t rank = Emitter::rankOf(plan.x);
  Ints axes = node.getInts("axes").value_or(Ints(llvm::to_vector(llvm::seq<int64_t>(0, rank))));
  for (int64_t &axis : axes)
    axis = e.axisOf(axis, rank);
  std::string kind = node.getString("coordinate_transformation_mode", "half_pixel");
  bool crops = kind == "tf_crop_and_resize";
  if (crops && isEmptyInput(node, 1))
    e.fail("tf_crop_and_resize without a region of interest");
  if (e.hasFailed())
    return;
  if (crops) {
    plan.roi = e.cast(node.in(1), e.f32());
    auto count = static_cast<int64_t>(axes.size());
    Value starts = spreadOverDims(e, e.sliceAxis(plan.roi, 0, 0, count), axes, rank, 0);
    plan.roi = e.concat({starts, spreadOverDims(e, e.sliceAxis(plan.roi, 0, count, count), axes, rank, 1)}, 0);
  }
  if (!isEmptyInput(node, 3))
    planBySizes(node, plan, node.in(3), axes);
  else if (!isEmptyInput(node, 2))
    planByScales(node, plan, node.in(2), axes, crops);
  else
    e.fail("neither scales nor sizes are given");
  finishResize(node, plan, kind, node.getString("nearest_mode", "round_prefer_floor"));
}

/// Resize of opset 10 and Upsample: positions i / scale, rounded down.
void importScaling(Node &node) {
  Emitter &e = node.e;
  ResizePlan plan{node.in(0), {}, {}, {}, {}};
  std::optional<std::vector<double>> list = node.getFloats("scales");
  // Version 1 has images alone, and an attribute for each of their dims.
  if (!list && node.hasAttribute("height_scale"))
    list = std::vector<double>{1, 1, node.getFloat("height_scale", 1), node.getFloat("width_scale", 1)};
  if (list && plan.x && static_cast<int64_t>(list->size()) != Emitter::rankOf(plan.x))
    return void(e.fail(Twine(list->size()) + " scales for rank " + Twine(Emitter::rankOf(plan.x))));
  Value scales = list ? e.tensor(*list, {static_cast<int64_t>(list->size())}, e.f32()) : node.in(1);
  if (!plan.x || !scales)
    return;
  planByScales(node, plan, scales, Ints(llvm::to_vector(llvm::seq<int64_t>(0, Emitter::rankOf(plan.x)))), false);
  finishResize(node, plan, "asymmetric", "floor");
}

} // namespace

void addResize(OperatorTable &table) {
  table.add("Resize", importScaling, 10);
  table.add("Resize", importResize, 11);
  table.add("Upsample", importScaling);
}

} // namespace onager::frontend
