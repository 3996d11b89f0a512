// Convolutions, forward and transposed.
#include "lib/Import/OnnxToGraph/Quantization.h"
#include "lib/Import/OnnxToGraph/Window.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

/// Fails where the groups do not divide the channels that they share out: a group would reach beyond the data.
static bool checkGroup(Emitter &e, int64_t group, AffineExpr channels) {
  std::optional<int64_t> known = graph::getConstant(channels);
  if (group >= 1 && (!known || *known % group == 0)) {
    if (!known && group > 1)
      e.unify(normalize(channels % group), e.number(0), "channels modulo group");
    return true;
  }
  e.fail("group is " + Twine(group) + (known ? " for " + Twine(*known) + " channels" : Twine()));
  return false;
}

/// The kernel's extents: those of the filter, each 1 at least.
static std::optional<Exprs> getKernel(Node &node, Value x, Value filter) {
  Emitter &e = node.e;
  if (!x || !filter)
    return std::nullopt;
  Dims dims = Emitter::dimsOf(filter);
  if (static_cast<int64_t>(dims.size()) != Emitter::rankOf(x) || dims.size() < 3) {
    e.fail("a filter of rank " + Twine(dims.size()) + " for data of rank " + Twine(Emitter::rankOf(x)));
    return std::nullopt;
  }
  Exprs kernel;
  std::optional<Ints> stated = node.getInts("kernel_shape");
  for (auto [k, dim] : llvm::enumerate(ArrayRef(dims).drop_front(2))) {
    bool isStated = !graph::getConstant(dim) && stated && k < stated->size();
    kernel.push_back(isStated ? e.unify(dim, e.number((*stated)[k]), "a dim of the filter and kernel_shape") : dim);
    e.requireAtLeast(kernel.back(), e.number(1), "a spatial dim of the filter");
  }
  return e.hasFailed() ? std::nullopt : std::optional(kernel);
}

Value convolve(Node &node, Value x, Value filter, Type element) {
  Emitter &e = node.e;
  std::optional<Exprs> kernel = getKernel(node, x, filter);
  std::optional<Window> window = kernel ? readWindow(node, x, kernel) : std::nullopt;
  int64_t group = node.getInt("group", 1);
  if (!window || !checkGroup(e, group, Emitter::dimsOf(filter)[0]))
    return {};
  Dims have = Emitter::dimsOf(x), weights = Emitter::dimsOf(filter);
  AffineExpr channels = e.unify(have[1], weights[1] * group, "channels of the data and the filter");
  // Kernels are chosen by the number of channels, which the filter may be the only one to know.
  if (!graph::getConstant(have[1]) && graph::getConstant(channels)) {
    have[1] = channels;
    x = e.reshape(x, have);
  }
  Dims dims{have[0], weights[0]};
  dims.append(window->out.begin(), window->out.end());
  return e.make<ConvOp>(dims, element, x, filter, window->strides, e.exprs(window->low), window->dilations, group);
}

static void importConv(Node &node) {
  Value x = node.in(0), filter = node.in(1);
  if (!x || !filter)
    return;
  if (Emitter::elementOf(x) != Emitter::elementOf(filter)) {
    node.e.fail("data and filter differ in element type");
    return;
  }
  Value y = convolve(node, x, filter, Emitter::elementOf(x));
  node.set(0, node.has(2) ? addChannelBias(node.e, y, node.in(2)) : y);
}

/// Geometry of a transposed convolution: out = stride * (in - 1) + output_padding + extent - low - high.
static bool transposeWindow(Node &node, Window &window, ArrayRef<AffineExpr> spatial, const Exprs &pads) {
  Emitter &e = node.e;
  size_t count = spatial.size();
  std::optional<Ints> extra = readSpatial(node, "output_padding", count, 0);
  std::optional<Ints> shape = node.getInts("output_shape");
  if (shape && shape->size() == count + 2)
    shape = Ints(shape->begin() + 2, shape->end());
  std::string autoPad = node.getString("auto_pad", "NOTSET");
  bool isSame = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER";
  if (!extra || pads.size() != 2 * count || (shape && shape->size() != count)) {
    e.fail("pads, output_padding and output_shape must have one entry per spatial dim");
    return false;
  }
  for (size_t k = 0; k < count; ++k) {
    AffineExpr full = normalize((spatial[k] - 1) * window.strides[k] + window.extentOf(k) + (*extra)[k]);
    if (!shape && !isSame) {
      window.low.push_back(autoPad == "VALID" ? e.number(0) : pads[k]);
      window.high.push_back(autoPad == "VALID" ? e.number(0) : pads[k + count]);
      window.out.push_back(normalize(full - window.low[k] - window.high[k]));
      continue;
    }
    AffineExpr out = shape ? e.number((*shape)[k]) : normalize(spatial[k] * window.strides[k]);
    AffineExpr total = e.maxOf(normalize(full - out), e.number(0)), half = normalize(total.floorDiv(2)), rest = normalize(total - half);
    window.low.push_back(autoPad == "SAME_UPPER" ? half : rest);
    window.high.push_back(autoPad == "SAME_UPPER" ? rest : half);
    window.out.push_back(out);
  }
  return true;
}

/// A transposed convolution whose pads are an attribute, or, in com.microsoft, the third input.
template <bool hasDynamicPads> static void importConvTranspose(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), filter = node.in(1);
  std::optional<Exprs> kernel = getKernel(node, x, filter);
  if (!kernel)
    return;
  size_t count = kernel->size();
  int64_t group = node.getInt("group", 1);
  std::optional<Ints> strides = readSpatial(node, "strides", count, 1), dilations = readSpatial(node, "dilations", count, 1);
  if (!strides || !dilations || !checkGroup(e, group, Emitter::dimsOf(filter)[0]) || !e.checkBinary(x, filter))
    return;
  Window window{*kernel, *strides, *dilations, {}, {}, {}, false};
  Dims have = Emitter::dimsOf(x), weights = Emitter::dimsOf(filter);
  Exprs pads(e.numbers(node.getInts("pads").value_or(Ints(2 * count, 0))));
  if (hasDynamicPads && node.has(2))
    pads = e.contentsOrBind(node.in(2));
  if (!transposeWindow(node, window, ArrayRef(have).drop_front(2), pads))
    return;
  e.unify(have[1], weights[0], "channels of the data and the filter");
  Dims dims{have[0], weights[1] * group};
  for (AffineExpr extent : window.out)
    dims.push_back(e.maxOf(extent, e.number(0)));
  Value y = e.make<ConvTransposeOp>(dims, Emitter::elementOf(x), x, filter, window.strides, e.exprs(window.low), window.dilations, group);
  constexpr unsigned bias = hasDynamicPads ? 3 : 2;
  node.set(0, node.has(bias) ? addChannelBias(e, y, node.in(bias)) : y);
}

/// A convolution [B, C, S] of each channel with a filter of its own [C, 1, K]. How many there are may be known only while the model runs.
static Value convolveChannels(Emitter &e, Value x, Value filter, AffineExpr length, int64_t dilation) {
  AffineExpr channels = Emitter::dimsOf(filter)[0], taps = Emitter::dimsOf(filter)[2], one = e.number(1);
  if (std::optional<int64_t> group = graph::getConstant(channels); group && *group > 0)
    return e.make<ConvOp>(Dims{Emitter::dimsOf(x)[0], channels, length}, Emitter::elementOf(x), x, filter, Ints{1}, e.exprs(e.numbers({0})), Ints{dilation}, *group);
  Type element = Emitter::elementOf(x), wide = element.isF64() ? element : e.f32();
  Value tap = e.mul(e.iota({one, taps}, 1, e.i64()), e.integerScalar(dilation, e.i64()));
  Value windows = e.gather(e.cast(x, wide), e.add(e.iota({length, one}, 0, e.i64()), tap), 2);
  return e.cast(e.reduce(ReduceKind::sum, e.mul(windows, e.reshape(e.cast(filter, wide), {channels, one, taps})), {3}, /*keepDims=*/false), element);
}

/// A convolution per channel over what came before and the input; the last positions are the state of the next call.
static void importCausalConvolution(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), filter = node.in(1);
  std::string activation = node.getString("activation", "none");
  int64_t dilation = node.getInt("dilation", 1);
  if (!x || !filter || !checkRanks(node, {{1, 3}, {2, 1}}))
    return;
  if (node.getInt("ndim", 1) != 1 || node.getInt("state_window", 0) || dilation < 1 || (activation != "none" && activation != "silu" && activation != "swish"))
    return void(e.fail("ndim is " + Twine(node.getInt("ndim", 1)) + ", dilation " + Twine(dilation) + ", activation '" + activation + "'"));
  bool isLast = node.getInt("channels_last", 0) != 0;
  Dims dims = Emitter::dimsOf(x), shape = Emitter::dimsOf(filter);
  AffineExpr channels = shape[0], state = normalize((shape[2] - 1) * dilation);
  if (Emitter::rankOf(x) < 3 || (!isLast && Emitter::rankOf(x) != 3))
    return void(e.fail("data of rank " + Twine(Emitter::rankOf(x)) + ", expected 3"));
  e.unify(shape[1], e.number(1), "the channels of a filter for one");
  e.requireAtLeast(shape[2], e.number(1), "the taps of the filter");
  if (!isLast)
    e.unify(dims[1], channels, "the channels of the data and the filter");
  // [B, S, ...] as [B, C, S], and back.
  auto toFront = [&](Value y, AffineExpr length) { return isLast ? e.transpose(e.reshape(y, {dims[0], length, channels}), {0, 2, 1}) : y; };
  auto toBack = [&](Value y, AffineExpr length) {
    Dims back = dims;
    back[1] = length;
    return isLast ? e.reshape(e.transpose(y, {0, 2, 1}), back) : y;
  };
  AffineExpr length = isLast ? dims[1] : dims[2];
  Value past = node.has(3) ? toFront(node.in(3), state) : e.splat(e.scalar(0, Emitter::elementOf(x)), {dims[0], channels, state});
  if (past && Emitter::rankOf(past) == 3)
    e.unify(Emitter::dimsOf(past)[2], state, "the positions of the past state");
  Value all = e.concat({past, toFront(x, length)}, 2);
  if (!all || !e.checkBinary(x, filter))
    return;
  Value y = convolveChannels(e, all, filter, length, dilation);
  y = node.has(2) ? e.add(y, e.reshape(node.in(2), {channels, e.number(1)})) : y;
  if (activation != "none" && y)
    y = e.mul(y, e.unary<SigmoidOp>(y));
  node.set(0, toBack(y, length));
  node.set(1, toBack(e.sliceAxis(all, 2, length, state), state));
}

void addConvolutions(OperatorTable &table) {
  table.add("Conv", importConv);
  table.add("ConvTranspose", importConvTranspose<false>);
  table.add("CausalConvWithState", importCausalConvolution, /*since=*/27);
  table.addIn("com.microsoft", "CausalConvWithState", importCausalConvolution);
  table.addIn("com.microsoft", "ConvTransposeWithDynamicPads", importConvTranspose<true>);
}

} // namespace onager::frontend
