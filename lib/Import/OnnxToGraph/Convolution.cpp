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

/// The kernel extents from the filter's shape, which must be known.
static std::optional<Ints> getKernel(Node &node, Value x, Value filter) {
  Emitter &e = node.e;
  if (!x || !filter)
    return std::nullopt;
  Dims dims = Emitter::dimsOf(filter);
  if (static_cast<int64_t>(dims.size()) != Emitter::rankOf(x) || dims.size() < 3) {
    e.fail("a filter of rank " + Twine(dims.size()) + " for data of rank " + Twine(Emitter::rankOf(x)));
    return std::nullopt;
  }
  Ints kernel;
  std::optional<Ints> stated = node.getInts("kernel_shape");
  for (auto [k, dim] : llvm::enumerate(ArrayRef(dims).drop_front(2))) {
    std::optional<int64_t> extent = graph::getConstant(dim);
    if (!extent && stated && k < stated->size()) {
      e.unify(dim, e.number((*stated)[k]), "a dim of the filter and kernel_shape");
      extent = (*stated)[k];
    }
    if (!extent || *extent < 1) {
      e.fail("the kernel's extents are not known");
      return std::nullopt;
    }
    kernel.push_back(*extent);
  }
  return kernel;
}

Value convolve(Node &node, Value x, Value filter, Type element) {
  Emitter &e = node.e;
  std::optional<Ints> kernel = getKernel(node, x, filter);
  std::optional<Window> window = kernel ? readWindow(node, x, kernel) : std::nullopt;
  int64_t group = node.getInt("group", 1);
  if (!window || !checkGroup(e, group, Emitter::dimsOf(filter)[0]))
    return {};
  Dims have = Emitter::dimsOf(x), weights = Emitter::dimsOf(filter);
  e.unify(have[1], weights[1] * group, "channels of the data and the filter");
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
    AffineExpr full = normalize((spatial[k] - 1) * window.strides[k] + ((*extra)[k] + window.extentOf(k)));
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
  std::optional<Ints> kernel = getKernel(node, x, filter);
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

void addConvolutions(OperatorTable &table) {
  table.add("Conv", importConv);
  table.add("ConvTranspose", importConvTranspose<false>);
  table.addIn("com.microsoft", "ConvTransposeWithDynamicPads", importConvTranspose<true>);
}

} // namespace onager::frontend
