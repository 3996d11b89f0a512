// Layers of bytes: QuantizeLinear and DequantizeLinear around values, weights and biases.
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Prune/Unfold.h"
#include <cmath>

namespace onager::compress {

double measureSqnr(const std::vector<float> &values, const std::vector<float> &rounded) {
  double signal = 0, noise = 0;
  for (size_t k = 0; k < values.size(); ++k) {
    double gap = static_cast<double>(values[k]) - rounded[k];
    signal += static_cast<double>(values[k]) * values[k];
    noise += gap * gap;
  }
  // Rounding that loses nothing has no finite ratio: 200 dB is beyond what floats tell apart.
  return noise > 0 && signal > 0 ? std::min(200.0, 10 * std::log10(signal / noise)) : 200;
}

void setWeights(ModelGraph &model, const Layer &layer, const std::string &weights, onnx::NodeProto &node, std::vector<onnx::NodeProto> &nodes) {
  node.set_input(1, weights);
  if (!layer.transpose)
    return;
  onnx::NodeProto transpose = *layer.transpose;
  transpose.set_name(model.makeName(layer.name + "_Transpose"));
  transpose.set_input(0, weights);
  transpose.set_output(0, model.makeName(weights + "_transposed"));
  node.set_input(1, transpose.output(0));
  nodes.push_back(std::move(transpose));
}

onnx::NodeProto ByteForms::makeNode(const char *op, const std::string &name, std::initializer_list<std::string> inputs, const std::string &output) {
  onnx::NodeProto node;
  node.set_op_type(op);
  node.set_domain(domain);
  node.set_name(model.makeName(name));
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

void ByteForms::addRounding(const std::string &value, std::vector<onnx::NodeProto> &nodes) {
  if (!domain.empty())
    model.useDomain(domain, 1);
  const Activation &activation = recipe.activations.at(value);
  std::string scale = model.addConstant(value + "_scale", {}, onnx::TensorProto::FLOAT, toBytes(std::vector<float>{activation.scale}));
  std::string zero = model.addConstant(value + "_zero_point", {}, onnx::TensorProto::UINT8, std::string(1, static_cast<char>(activation.zeroPoint)));
  std::string bytes = model.makeName(value + "_quantized"), floats = model.makeName(value + "_dequantized");
  nodes.push_back(makeNode("QuantizeLinear", value + "_QuantizeLinear", {value, scale, zero}, bytes));
  nodes.push_back(makeNode("DequantizeLinear", value + "_DequantizeLinear", {bytes, scale, zero}, floats));
  restored[value] = floats;
}

void ByteForms::redirect(std::string &input) const {
  if (auto found = restored.find(input); found != restored.end())
    input = found->second;
}

void ByteForms::addLayer(const Layer &layer, LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes) {
  onnx::NodeProto node = *layer.node;
  redirect(*node.mutable_input(0));
  auto shared = byteWeights.find(layer.weights);
  if (shared == byteWeights.end()) {
    ByteWeights made;
    nodes.push_back(makeWeights(layer, entry, made));
    shared = byteWeights.emplace(layer.weights, std::move(made)).first;
  }
  entry.bytesAfter = shared->second.bytesAfter;
  entry.weightSqnr = shared->second.sqnr;
  setWeights(model, layer, shared->second.name, node, nodes);
  if (!layer.bias.empty())
    addBias(layer, shared->second.scales, node, nodes);
  nodes.push_back(std::move(node));
}

/// The largest integer that a bias becomes.
constexpr double kMostBias = (1 << 30) - 1;

/// A bias becomes integers of 32 bits, whose scales are those of the products. One that such integers cannot hold stays as it is.
void ByteForms::addBias(const Layer &layer, const std::vector<float> &scales, onnx::NodeProto &node, std::vector<onnx::NodeProto> &nodes) {
  std::optional<Weights> bias = model.readWeights(layer.bias);
  if (!bias || bias->dims.size() != 1 || bias->values.size() != scales.size())
    return;
  float inputScale = recipe.activations.at(layer.input).scale;
  std::vector<float> steps;
  std::vector<int32_t> integers;
  for (size_t k = 0; k < scales.size(); ++k) {
    steps.push_back(inputScale * scales[k]);
    double level = std::nearbyint(static_cast<double>(bias->values[k]) / steps.back());
    if (!std::isnormal(steps.back()) || !(std::abs(level) <= kMostBias))
      return;
    integers.push_back(static_cast<int32_t>(level));
  }
  auto count = static_cast<int64_t>(scales.size());
  std::string rounded = model.addConstant(layer.bias + "_quantized", {count}, onnx::TensorProto::INT32, toBytes(integers));
  std::string scale = model.addConstant(layer.bias + "_scale", {count}, onnx::TensorProto::FLOAT, toBytes(steps));
  onnx::NodeProto restore = makeNode("DequantizeLinear", layer.bias + "_DequantizeLinear", {rounded, scale}, model.makeName(layer.bias + "_dequantized"));
  setInt(restore, "axis", 0);
  node.set_input(2, restore.output(0));
  nodes.push_back(std::move(restore));
}

ByteMatrix roundToBytes(const ModelGraph &model, const Layer &layer, const LayerRecipe &entry) {
  Rows rows = readMatrix(model, layer);
  ByteMatrix made;
  made.terms = rows.terms;
  made.integers.resize(rows.values.size());
  std::vector<float> rounded(rows.values.size());
  for (size_t n = 0; n < rows.count; ++n) {
    size_t first = n * rows.terms;
    if (entry.groups.empty())
      made.scales.push_back(roundChannel(rows.values.data() + first, rows.terms, 1, entry.rounding, made.integers.data() + first));
    else {
      made.scales.push_back(entry.groups[n].scale);
      for (size_t k = 0; k < rows.terms; ++k)
        made.integers[first + k] = static_cast<int8_t>(entry.groups[n].integers[k] - kByteZero);
    }
    for (size_t k = 0; k < rows.terms; ++k)
      rounded[first + k] = made.scales.back() * static_cast<float>(made.integers[first + k]);
  }
  made.sqnr = measureSqnr(rows.values, rounded);
  return made;
}

std::string ByteMatrix::arrange(size_t inner) const {
  std::string bytes(integers.size(), '\0');
  for (size_t k = 0; k < integers.size(); ++k)
    bytes[k] = static_cast<char>(integers[findInRows(k, scales.size(), terms, inner)]);
  return bytes;
}

/// Where weights are so small beside a bias that products in their steps could not hold it, as channels have that training has switched off, the steps become larger.
void ByteForms::widenSteps(const Layer &layer, ByteMatrix &matrix) const {
  std::optional<Weights> bias = layer.bias.empty() ? std::nullopt : model.readWeights(layer.bias);
  if (!bias || bias->values.size() != matrix.scales.size())
    return;
  double inputScale = recipe.activations.at(layer.input).scale;
  for (size_t n = 0; n < matrix.scales.size(); ++n) {
    auto least = static_cast<float>(1.001 * std::abs(static_cast<double>(bias->values[n])) / kMostBias / inputScale);
    if (!std::isnormal(least) || matrix.scales[n] >= least)
      continue;
    for (size_t k = n * matrix.terms; k < (n + 1) * matrix.terms; ++k)
      matrix.integers[k] = static_cast<int8_t>(std::nearbyint(static_cast<float>(matrix.integers[k]) * (matrix.scales[n] / least)));
    matrix.scales[n] = least;
  }
}

onnx::NodeProto ByteForms::makeWeights(const Layer &layer, const LayerRecipe &entry, ByteWeights &made) {
  ByteMatrix matrix = roundToBytes(model, layer, entry);
  widenSteps(layer, matrix);
  made.scales = matrix.scales;
  made.sqnr = matrix.sqnr;
  made.bytesAfter = matrix.integers.size() + made.scales.size() * sizeof(float);
  auto count = static_cast<int64_t>(made.scales.size());
  std::string bytes = model.addConstant(layer.weights + "_quantized", layer.dims, onnx::TensorProto::INT8, matrix.arrange(countInner(layer)));
  std::string scale = model.addConstant(layer.weights + "_scale", {count}, onnx::TensorProto::FLOAT, toBytes(made.scales));
  std::string zero = model.addConstant(layer.weights + "_zero_point", {count}, onnx::TensorProto::INT8, std::string(made.scales.size(), '\0'));
  made.name = model.makeName(layer.weights + "_dequantized");
  onnx::NodeProto node = makeNode("DequantizeLinear", layer.weights + "_DequantizeLinear", {bytes, scale, zero}, made.name);
  setInt(node, "axis", layer.channelAxis);
  return node;
}

} // namespace onager::compress
