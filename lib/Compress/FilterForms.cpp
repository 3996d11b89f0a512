// Convolutions with weights alone quantised, which any runtime restores before it convolves:
//
//   int8: filters = DequantizeLinear(bytes of the filters' dims, scales), with a scale for each channel
//   int4: filters = Reshape(DequantizeLinear(nibbles [parts, size], scales [parts], zero points [parts]), dims), with parts of as many consecutive weights of the constant
//
// Nibbles are uint4, the first of two in the low half of a byte.
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Prune/Unfold.h"

namespace onager::compress {

/// Puts two integers of 4 bits into each byte.
static std::string pack(const std::vector<uint8_t> &integers) {
  std::string bytes((integers.size() + 1) / 2, '\0');
  for (size_t k = 0; k < integers.size(); ++k)
    bytes[k / 2] = static_cast<char>(static_cast<uint8_t>(bytes[k / 2]) | integers[k] << (k % 2 ? 4 : 0));
  return bytes;
}

onnx::NodeProto FilterForms::makeRestoring(const Layer &layer, const std::string &domain, std::initializer_list<std::string> inputs, const std::string &output) {
  if (!domain.empty())
    model.useDomain(domain, 1);
  onnx::NodeProto node;
  node.set_op_type("DequantizeLinear");
  node.set_domain(domain);
  node.set_name(model.makeName(layer.weights + "_DequantizeLinear"));
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

FilterForms::Filters FilterForms::addBytes(const Layer &layer, const LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes) {
  ByteMatrix matrix = roundToBytes(model, layer, entry);
  Filters filters{model.makeName(layer.weights + "_dequantized"), matrix.integers.size() + matrix.scales.size() * sizeof(float), matrix.sqnr};
  std::string bytes = model.addConstant(layer.weights + "_quantized", layer.dims, onnx::TensorProto::INT8, matrix.arrange(countInner(layer)));
  std::string scales = model.addConstant(layer.weights + "_scale", {static_cast<int64_t>(matrix.scales.size())}, onnx::TensorProto::FLOAT, toBytes(matrix.scales));
  nodes.push_back(makeRestoring(layer, model.getQuantizeDomain(), {bytes, scales}, filters.name));
  setInt(nodes.back(), "axis", layer.channelAxis);
  return filters;
}

FilterForms::Filters FilterForms::addNibbles(const Layer &layer, const LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes) {
  std::vector<float> weights = model.readWeights(layer.weights)->values, rounded, scales;
  size_t size = getForm(entry, weights.size() / static_cast<size_t>(layer.dims[0])).size;
  std::vector<uint8_t> integers, zeros;
  for (size_t begin = 0; begin < weights.size(); begin += size) {
    RoundedGroup group = entry.groups.empty() ? roundGroup(weights.data() + begin, size, 4, entry.rounding) : entry.groups[begin / size];
    integers.insert(integers.end(), group.integers.begin(), group.integers.end());
    scales.push_back(group.scale);
    zeros.push_back(static_cast<uint8_t>(group.zero));
    for (uint8_t integer : group.integers)
      rounded.push_back(group.scale * (static_cast<float>(integer) - group.zero));
  }
  constexpr int64_t kFirstWithNibbles = 21;
  model.useFourBits();
  auto parts = static_cast<int64_t>(scales.size()), rank = static_cast<int64_t>(layer.dims.size());
  std::string nibbles = pack(integers), packedZeros = pack(zeros), flat = model.makeName(layer.weights + "_parts");
  Filters filters{model.makeName(layer.weights + "_dequantized"), nibbles.size() + packedZeros.size() + scales.size() * sizeof(float), measureSqnr(weights, rounded)};
  std::string quantized = model.addConstant(layer.weights + "_quantized", {parts, static_cast<int64_t>(size)}, onnx::TensorProto::UINT4, nibbles);
  std::string scale = model.addConstant(layer.weights + "_scale", {parts}, onnx::TensorProto::FLOAT, toBytes(scales));
  std::string zero = model.addConstant(layer.weights + "_zero_point", {parts}, onnx::TensorProto::UINT4, packedZeros);
  nodes.push_back(makeRestoring(layer, model.getOpset() >= kFirstWithNibbles ? "" : "com.microsoft", {quantized, scale, zero}, flat));
  setInt(nodes.back(), "axis", 0);
  onnx::NodeProto reshape;
  reshape.set_op_type("Reshape");
  reshape.set_name(model.makeName(layer.weights + "_Reshape"));
  reshape.add_input(flat);
  reshape.add_input(model.addConstant(layer.weights + "_dims", {rank}, onnx::TensorProto::INT64, toBytes(layer.dims)));
  reshape.add_output(filters.name);
  nodes.push_back(std::move(reshape));
  return filters;
}

void FilterForms::addLayer(const Layer &layer, LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes) {
  std::string key = layer.weights + " " + printScheme(entry.scheme);
  auto shared = made.find(key);
  if (shared == made.end())
    shared = made.emplace(key, entry.scheme == Scheme::int4 ? addNibbles(layer, entry, nodes) : addBytes(layer, entry, nodes)).first;
  entry.bytesAfter = shared->second.bytesAfter;
  entry.weightSqnr = shared->second.sqnr;
  onnx::NodeProto node = *layer.node;
  node.set_input(1, shared->second.name);
  nodes.push_back(std::move(node));
}

} // namespace onager::compress
