// Convolutions as products.
#include "lib/Compress/Prune/Unfold.h"
#include "lib/Compress/Prune/Coupling.h"
#include <array>

namespace onager::compress {

static bool isConv(const Layer &layer) { return layer.node->op_type() == "Conv"; }

size_t countTerms(const Layer &layer) {
  size_t terms = 1;
  for (size_t k = 0; k < layer.dims.size(); ++k)
    terms *= k == static_cast<size_t>(layer.channelAxis) ? 1 : static_cast<size_t>(layer.dims[k]);
  return terms;
}

size_t countGroups(const Layer &layer) { return layer.isConvolution() ? static_cast<size_t>(std::max<int64_t>(1, getInt(*layer.node, "group", 1))) : 1; }

namespace {

/// One spatial dim of a convolution.
struct Window {
  int64_t extent = 1, kernel = 1, stride = 1, dilation = 1, pad = 0, out = 1;
};

/// Three spatial dims, of which the first may be missing.
std::array<Window, 3> makeWindows(const Layer &layer, const std::vector<int64_t> &dims) {
  std::array<Window, 3> windows;
  const onnx::NodeProto &node = *layer.node;
  std::vector<int64_t> strides = getInts(node, "strides"), dilations = getInts(node, "dilations"), pads = getInts(node, "pads");
  std::string automatic = "NOTSET";
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == "auto_pad")
      automatic = attribute.s();
  size_t rank = dims.size() - 2;
  for (size_t k = 0; k < rank; ++k) {
    Window &own = windows[3 - rank + k];
    own.extent = dims[k + 2];
    own.kernel = layer.dims[k + 2];
    own.stride = k < strides.size() ? strides[k] : 1;
    own.dilation = k < dilations.size() ? dilations[k] : 1;
    int64_t span = (own.kernel - 1) * own.dilation + 1, both = 0;
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      both = std::max<int64_t>(0, ((own.extent + own.stride - 1) / own.stride - 1) * own.stride + span - own.extent);
      own.pad = automatic == "SAME_UPPER" ? both / 2 : both - both / 2;
    } else if (automatic == "NOTSET" && pads.size() == 2 * rank) {
      own.pad = pads[k];
      both = pads[k] + pads[k + rank];
    }
    own.out = (own.extent + both - span) / own.stride + 1;
  }
  return windows;
}

class Unfolding {
public:
  Unfolding(const Layer &layer, const std::vector<int64_t> &dims, const float *input, size_t group)
      : windows(makeWindows(layer, dims)), input(input), channels(layer.dims[1]), allChannels(dims[1]), first(static_cast<int64_t>(group) * layer.dims[1]), images(dims[0]) {}

  int64_t countRows() const { return images * countPixels(); }

  void addRow(int64_t row, std::vector<float> &values) const {
    int64_t image = row / countPixels(), pixel = row % countPixels(), plane = windows[0].extent * windows[1].extent * windows[2].extent;
    std::array<int64_t, 3> at = {pixel / (windows[1].out * windows[2].out), pixel / windows[2].out % windows[1].out, pixel % windows[2].out};
    for (int64_t channel = 0; channel < channels; ++channel)
      addPatch(input + (image * allChannels + first + channel) * plane, at, values);
  }

private:
  int64_t countPixels() const { return windows[0].out * windows[1].out * windows[2].out; }

  void addPatch(const float *plane, const std::array<int64_t, 3> &at, std::vector<float> &values) const {
    auto place = [&](size_t k, int64_t tap) { return at[k] * windows[k].stride - windows[k].pad + tap * windows[k].dilation; };
    auto isInside = [&](size_t k, int64_t position) { return position >= 0 && position < windows[k].extent; };
    for (int64_t i = 0; i < windows[0].kernel; ++i)
      for (int64_t j = 0; j < windows[1].kernel; ++j)
        for (int64_t k = 0; k < windows[2].kernel; ++k) {
          int64_t z = place(0, i), y = place(1, j), x = place(2, k);
          values.push_back(isInside(0, z) && isInside(1, y) && isInside(2, x) ? plane[(z * windows[1].extent + y) * windows[2].extent + x] : 0.0f);
        }
  }

  std::array<Window, 3> windows;
  const float *input;
  int64_t channels, allChannels, first, images;
};

} // namespace

Rows unfold(const Layer &layer, const std::vector<int64_t> &dims, const float *input, size_t group, size_t step) {
  Rows rows{0, countTerms(layer), {}};
  if (isConv(layer)) {
    if (dims.size() < 3 || dims.size() > 5 || dims.size() != layer.dims.size())
      return rows;
    Unfolding unfolding(layer, dims, input, group);
    for (int64_t row = 0; row < unfolding.countRows(); row += static_cast<int64_t>(step), ++rows.count)
      unfolding.addRow(row, rows.values);
    return rows;
  }
  if (getInt(*layer.node, "transA", 0) || dims.empty() || dims.back() != static_cast<int64_t>(rows.terms))
    return rows;
  size_t count = 1;
  for (size_t k = 0; k + 1 < dims.size(); ++k)
    count *= static_cast<size_t>(dims[k]);
  for (size_t row = 0; row < count; row += step, ++rows.count)
    rows.values.insert(rows.values.end(), input + row * rows.terms, input + (row + 1) * rows.terms);
  return rows;
}

Rows listOutputs(const Layer &layer, const std::vector<int64_t> &dims, const float *output, size_t step) {
  size_t channelAxis = isConv(layer) ? 1 : dims.size() - 1, inner = 1, count = 1;
  Rows rows{0, static_cast<size_t>(dims[channelAxis]), {}};
  for (size_t k = channelAxis + 1; k < dims.size(); ++k)
    inner *= static_cast<size_t>(dims[k]);
  for (size_t k = 0; k < channelAxis; ++k)
    count *= static_cast<size_t>(dims[k]);
  for (size_t row = 0; row < count * inner; row += step, ++rows.count)
    for (size_t channel = 0; channel < rows.terms; ++channel)
      rows.values.push_back(output[(row / inner * rows.terms + channel) * inner + row % inner]);
  return rows;
}

size_t countInner(const Layer &layer) {
  size_t inner = 1;
  for (size_t k = static_cast<size_t>(layer.channelAxis) + 1; k < layer.dims.size(); ++k)
    inner *= static_cast<size_t>(layer.dims[k]);
  return inner;
}

Rows readMatrix(const ModelGraph &model, const Layer &layer) {
  Weights weights = *model.readWeights(layer.weights);
  size_t terms = countTerms(layer), outputs = static_cast<size_t>(layer.dims[static_cast<size_t>(layer.channelAxis)]), inner = countInner(layer);
  if (layer.channelAxis == 0)
    return {outputs, terms, std::move(weights.values)};
  Rows rows{outputs, terms, std::vector<float>(weights.values.size())};
  for (size_t k = 0; k < weights.values.size(); ++k)
    rows.values[findInRows(k, outputs, terms, inner)] = weights.values[k];
  return rows;
}

void writeConstant(ModelGraph &model, const std::string &name, const std::vector<float> &values) {
  onnx::TensorProto &tensor = *model.findTensor(name);
  tensor.clear_float_data();
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
}

void writeMatrix(ModelGraph &model, const Layer &layer, const Rows &rows) {
  if (layer.channelAxis == 0)
    return writeConstant(model, layer.weights, rows.values);
  std::vector<float> values(rows.values.size());
  size_t inner = countInner(layer);
  for (size_t k = 0; k < values.size(); ++k)
    values[k] = rows.values[findInRows(k, rows.count, rows.terms, inner)];
  writeConstant(model, layer.weights, values);
}

} // namespace onager::compress
