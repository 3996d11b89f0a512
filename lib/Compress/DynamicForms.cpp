// Layers whose inputs are rounded to what they hold while the model runs:
//
//   x, s, z = DynamicQuantizeLinear(input), p = MatMulInteger(x, weights, z), output = Cast(p) * (s * scales) + bias
#include "lib/Compress/LayerForms.h"

namespace onager::compress {

static onnx::NodeProto makeNode(const char *op, const std::string &name, std::initializer_list<std::string> inputs, std::initializer_list<std::string> outputs) {
  onnx::NodeProto node;
  node.set_op_type(op);
  node.set_name(name);
  for (const std::string &input : inputs)
    node.add_input(input);
  for (const std::string &output : outputs)
    node.add_output(output);
  return node;
}

const DynamicForms::Rounded &DynamicForms::round(const std::string &value, std::vector<onnx::NodeProto> &nodes) {
  auto [found, isNew] = rounded.try_emplace(value);
  Rounded &own = found->second;
  if (!isNew)
    return own;
  own = {model.makeName(value + "_quantized"), model.makeName(value + "_scale"), model.makeName(value + "_zero_point")};
  nodes.push_back(makeNode("DynamicQuantizeLinear", model.makeName(value + "_DynamicQuantizeLinear"), {value}, {own.bytes, own.scale, own.zero}));
  return own;
}

void DynamicForms::addLayer(const Layer &layer, LayerRecipe &entry, std::vector<onnx::NodeProto> &nodes) {
  ByteMatrix matrix = roundToBytes(model, layer, entry);
  entry.weightSqnr = matrix.sqnr;
  entry.bytesAfter = matrix.integers.size() + matrix.scales.size() * sizeof(float);
  auto outputs = static_cast<int64_t>(matrix.scales.size()), terms = static_cast<int64_t>(matrix.terms);
  std::string weights = model.addConstant(layer.weights + "_quantized", {terms, outputs}, onnx::TensorProto::INT8, matrix.arrange(1));
  std::string scales = model.addConstant(layer.weights + "_scale", {outputs}, onnx::TensorProto::FLOAT, toBytes(matrix.scales));
  const Rounded &x = round(layer.input, nodes);
  std::string integers = model.makeName(layer.name + "_integers"), floats = model.makeName(layer.name + "_floats"), factors = model.makeName(layer.name + "_factors");
  std::string product = layer.bias.empty() ? layer.node->output(0) : model.makeName(layer.name + "_product");
  nodes.push_back(makeNode("MatMulInteger", layer.name, {x.bytes, weights, x.zero}, {integers}));
  nodes.push_back(makeNode("Cast", model.makeName(layer.name + "_Cast"), {integers}, {floats}));
  setInt(nodes.back(), "to", onnx::TensorProto::FLOAT);
  nodes.push_back(makeNode("Mul", model.makeName(layer.name + "_scales"), {x.scale, scales}, {factors}));
  nodes.push_back(makeNode("Mul", model.makeName(layer.name + "_Mul"), {floats, factors}, {product}));
  if (!layer.bias.empty())
    nodes.push_back(makeBias(layer, product));
}

} // namespace onager::compress
