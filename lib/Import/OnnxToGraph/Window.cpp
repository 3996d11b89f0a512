// Window geometry: out = floor((in + low + high - extent) / stride) + 1.
#include "lib/Import/OnnxToGraph/Window.h"

using namespace mlir;

namespace onager::frontend {

std::optional<Ints> readSpatial(Node &node, StringRef name, size_t count, int64_t otherwise) {
  Ints list = node.getInts(name).value_or(Ints(count, otherwise));
  if (list.size() != count) {
    node.e.fail("attribute '" + name + "' has " + Twine(list.size()) + " entries for " + Twine(count) + " spatial dims");
    return std::nullopt;
  }
  constexpr int64_t limit = int64_t(1) << 31;
  for (int64_t number : list)
    if (number < otherwise || number >= limit) {
      node.e.fail("attribute '" + name + "' holds " + Twine(number));
      return std::nullopt;
    }
  return list;
}

/// Padding by auto_pad: SAME keeps ceil(in / stride) positions.
static void padSame(Emitter &e, Window &window, ArrayRef<AffineExpr> spatial, bool isUpper) {
  for (size_t k = 0; k < spatial.size(); ++k) {
    AffineExpr out = normalize(spatial[k].ceilDiv(window.strides[k]));
    AffineExpr total = e.maxOf(normalize((out - 1) * window.strides[k] + window.extentOf(k) - spatial[k]), e.number(0));
    AffineExpr small = normalize(total.floorDiv(2)), large = normalize(total - small);
    window.low.push_back(isUpper ? small : large);
    window.high.push_back(isUpper ? large : small);
    window.out.push_back(out);
  }
}

static void computeExtents(Emitter &e, Window &window, ArrayRef<AffineExpr> spatial) {
  for (size_t k = 0; k < spatial.size(); ++k) {
    AffineExpr span = normalize(spatial[k] + window.low[k] + window.high[k] - window.extentOf(k));
    AffineExpr out = window.ceil ? span.ceilDiv(window.strides[k]) + 1 : span.floorDiv(window.strides[k]) + 1;
    out = normalize(out);
    // The last window must start inside the input or the padding before it.
    if (window.ceil && window.strides[k] > 1)
      out = e.minOf(out, normalize((spatial[k] + window.low[k]).ceilDiv(window.strides[k])));
    window.out.push_back(e.maxOf(out, e.number(0)));
  }
}

Ints Window::getKernel() const {
  return llvm::map_to_vector(kernel, [](AffineExpr extent) { return *graph::getConstant(extent); });
}

std::optional<Window> readWindow(Node &node, Value x, std::optional<Exprs> kernel) {
  Emitter &e = node.e;
  if (!x)
    return std::nullopt;
  Dims dims = Emitter::dimsOf(x);
  if (dims.size() < 3) {
    e.fail("expected rank 3 or more, found rank " + Twine(dims.size()));
    return std::nullopt;
  }
  ArrayRef<AffineExpr> spatial = ArrayRef(dims).drop_front(2);
  size_t count = spatial.size();
  std::optional<Ints> strides = readSpatial(node, "strides", count, 1), dilations = readSpatial(node, "dilations", count, 1);
  if (std::optional<Ints> stated = kernel ? std::nullopt : readSpatial(node, "kernel_shape", count, 1))
    kernel = Exprs(e.numbers(*stated));
  if (!strides || !dilations || !kernel)
    return std::nullopt;
  Window window{*kernel, *strides, *dilations, {}, {}, {}, node.getInt("ceil_mode", 0) != 0};
  std::string autoPad = node.getString("auto_pad", "NOTSET");
  if (autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER") {
    padSame(e, window, spatial, autoPad == "SAME_UPPER");
    return window;
  }
  Ints pads = node.getInts("pads").value_or(Ints(2 * count, 0));
  if (autoPad == "VALID")
    pads.assign(2 * count, 0);
  else if (autoPad != "NOTSET" && !autoPad.empty())
    e.fail("auto_pad is '" + autoPad + "'");
  if (pads.size() != 2 * count) {
    e.fail(Twine(pads.size()) + " pads for " + Twine(count) + " spatial dims");
    return std::nullopt;
  }
  for (size_t k = 0; k < count; ++k) {
    window.low.push_back(e.number(pads[k]));
    window.high.push_back(e.number(pads[k + count]));
  }
  computeExtents(e, window, spatial);
  return e.hasFailed() ? std::nullopt : std::optional(window);
}

Value addChannelBias(Emitter &e, Value x, Value bias) {
  if (!x || !bias)
    return {};
  Dims dims(Emitter::rankOf(x) - 1, e.number(1));
  dims[0] = Emitter::dimsOf(x)[1];
  return e.add(x, e.reshape(bias, dims));
}

} // namespace onager::frontend
