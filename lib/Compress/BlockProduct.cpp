// Products with weights of few bits, in groups along the sum: com.microsoft's MatMulNBits.
//
// B           := for each output, for each group: group * bits / 8 bytes, the first of two nibbles in the low half
// scales      := for each output, for each group: f32
// zero_points := for each output: bits / 8 bytes for each group, the last byte filled up; or f32 like the scales
#include "lib/Compress/Apply.h"
#include <cstring>

namespace onager::compress {

namespace {

/// The product's parts as MatMulNBits takes them.
struct Blocks {
  std::string weights, packedZeros;
  std::vector<float> scales, zeros;
};

/// Appends integers of a group, which is filled up with zero points.
void packGroup(const RoundedGroup &group, size_t size, int bits, std::string &out) {
  auto get = [&](size_t k) { return k < group.integers.size() ? group.integers[k] : uint8_t(0); };
  for (size_t k = 0; k < size; k += bits == 4 ? 2 : 1)
    out += static_cast<char>(bits == 4 ? get(k) | get(k + 1) << 4 : get(k));
}

/// Appends an output's zero points.
void packZeros(const std::vector<float> &zeros, size_t first, int bits, std::string &out) {
  for (size_t k = first; k < zeros.size(); k += bits == 4 ? 2 : 1) {
    auto low = static_cast<uint8_t>(zeros[k]), high = static_cast<uint8_t>(bits == 4 && k + 1 < zeros.size() ? zeros[k + 1] : 0);
    out += static_cast<char>(bits == 4 ? low | high << 4 : low);
  }
}

} // namespace

std::vector<float> readRows(const ModelGraph &model, const Layer &layer, size_t &outputs, size_t &terms) {
  Weights weights = *model.readWeights(layer.weights);
  bool isTransposed = layer.channelAxis == 0;
  outputs = static_cast<size_t>(weights.dims[isTransposed ? 0 : 1]);
  terms = static_cast<size_t>(weights.dims[isTransposed ? 1 : 0]);
  if (isTransposed)
    return weights.values;
  std::vector<float> rows(weights.values.size());
  for (size_t k = 0; k < terms; ++k)
    for (size_t n = 0; n < outputs; ++n)
      rows[n * terms + k] = weights.values[k * outputs + n];
  return rows;
}

/// The bias of a Gemm: MatMulNBits has one of one dim alone, so that it is added behind.
static onnx::NodeProto makeBias(const Layer &layer, const std::string &product) {
  onnx::NodeProto add;
  add.set_op_type("Add");
  add.set_name(layer.name + "_bias");
  add.add_input(product);
  add.add_input(layer.bias);
  add.add_output(layer.node->output(0));
  return add;
}

std::vector<onnx::NodeProto> makeBlockProduct(ModelGraph &model, const Layer &layer, LayerRecipe &entry) {
  const int bits = entry.scheme == Scheme::int4 ? 4 : 8;
  size_t outputs, terms, size = static_cast<size_t>(entry.group);
  std::vector<float> rows = readRows(model, layer, outputs, terms), rounded(rows.size());
  size_t groups = (terms + size - 1) / size;
  Blocks blocks;
  for (size_t n = 0; n < outputs; ++n) {
    size_t first = blocks.zeros.size();
    for (size_t g = 0; g < groups; ++g) {
      size_t begin = n * terms + g * size, count = std::min(size, terms - g * size);
      RoundedGroup group = entry.groups.empty() ? roundGroup(rows.data() + begin, count, bits, entry.rounding) : entry.groups[n * groups + g];
      packGroup(group, size, bits, blocks.weights);
      blocks.scales.push_back(group.scale);
      blocks.zeros.push_back(group.zero);
      for (size_t k = 0; k < count; ++k)
        rounded[begin + k] = group.scale * (static_cast<float>(group.integers[k]) - group.zero);
    }
    packZeros(blocks.zeros, first, bits, blocks.packedZeros);
  }
  auto toBytes = [](const std::vector<float> &values) { return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)); };
  auto count = static_cast<int64_t>(outputs), groupCount = static_cast<int64_t>(groups);
  bool hasFloatZeros = entry.rounding == RoundingMethod::hqq;
  int64_t zeroBytes = static_cast<int64_t>(blocks.packedZeros.size()) / count;
  onnx::NodeProto node;
  node.set_op_type("MatMulNBits");
  node.set_domain("com.microsoft");
  node.set_name(layer.name);
  node.add_input(layer.input);
  node.add_input(model.addConstant(layer.weights + "_blocks", {count, groupCount, static_cast<int64_t>(size) * bits / 8}, onnx::TensorProto::UINT8, blocks.weights));
  node.add_input(model.addConstant(layer.weights + "_scales", {count, groupCount}, onnx::TensorProto::FLOAT, toBytes(blocks.scales)));
  node.add_input(hasFloatZeros ? model.addConstant(layer.weights + "_zeros", {count, groupCount}, onnx::TensorProto::FLOAT, toBytes(blocks.zeros))
                               : model.addConstant(layer.weights + "_zeros", {count, zeroBytes}, onnx::TensorProto::UINT8, blocks.packedZeros));
  for (auto [name, value] : {std::pair("K", static_cast<int64_t>(terms)), {"N", count}, {"bits", int64_t(bits)}, {"block_size", entry.group}})
    setInt(node, name, value);
  entry.weightSqnr = measureSqnr(rows, rounded);
  entry.bytesAfter = blocks.weights.size() + blocks.scales.size() * sizeof(float) + (hasFloatZeros ? blocks.zeros.size() * sizeof(float) : blocks.packedZeros.size());
  if (layer.bias.empty()) {
    node.add_output(layer.node->output(0));
    return {node};
  }
  std::string product = model.makeName(layer.name + "_product");
  node.add_output(product);
  return {node, makeBias(layer, product)};
}

} // namespace onager::compress
