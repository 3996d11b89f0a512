// Products with weights among 16 levels: com.microsoft's MatMulBnb4, as bitsandbytes stores them (QLoRA, Dettmers et al. 2023).
//
// B      := the weights [outputs, terms] as one line of codes, the first of two in the high half of a byte
// absmax := for each run of `block_size` codes of that line: f32, the factor of its levels
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Prune/Unfold.h"
#include "lib/Import/OnnxToGraph/Codebooks.h"
#include <array>

namespace onager::compress {

static std::array<float, 16> narrow(const double (&levels)[16]) {
  std::array<float, 16> floats{};
  for (size_t k = 0; k < floats.size(); ++k)
    floats[k] = static_cast<float>(levels[k]);
  return floats;
}

const float *getCodebook(Scheme scheme) {
  static const std::array<float, 16> kNormal = narrow(frontend::kNormal4), kFloat = narrow(frontend::kFloat4);
  return scheme == Scheme::nf4 ? kNormal.data() : kFloat.data();
}

std::vector<onnx::NodeProto> makeCodebookNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry) {
  size_t size = static_cast<size_t>(entry.group);
  auto [outputs, terms, rows] = readMatrix(model, layer);
  std::vector<float> rounded(rows.size()), scales;
  const float *levels = getCodebook(entry.scheme);
  std::string codes((rows.size() + 1) / 2, '\0');
  // Runs go on from one row to the next where a row is not made of whole ones.
  for (size_t begin = 0; begin < rows.size(); begin += size) {
    RoundedGroup group = roundToCodebook(rows.data() + begin, std::min(size, rows.size() - begin), levels, entry.rounding);
    scales.push_back(group.scale);
    for (size_t k = 0; k < group.integers.size(); ++k) {
      size_t at = begin + k;
      codes[at / 2] = static_cast<char>(static_cast<uint8_t>(codes[at / 2]) | group.integers[k] << (at % 2 ? 0 : 4));
      rounded[at] = group.scale * levels[group.integers[k]];
    }
  }
  entry.weightSqnr = measureSqnr(rows, rounded);
  entry.bytesAfter = codes.size() + scales.size() * sizeof(float);
  model.useDomain("com.microsoft", 1);
  onnx::NodeProto node;
  node.set_op_type("MatMulBnb4");
  node.set_domain("com.microsoft");
  node.set_name(layer.name);
  node.add_input(layer.input);
  node.add_input(model.addConstant(layer.weights + "_codes", {static_cast<int64_t>(codes.size())}, onnx::TensorProto::UINT8, codes));
  node.add_input(model.addConstant(layer.weights + "_absmax", {static_cast<int64_t>(scales.size())}, onnx::TensorProto::FLOAT, toBytes(scales)));
  node.add_output(layer.bias.empty() ? layer.node->output(0) : model.makeName(layer.name + "_product"));
  setInt(node, "K", static_cast<int64_t>(terms));
  setInt(node, "N", static_cast<int64_t>(outputs));
  setInt(node, "block_size", entry.group);
  setInt(node, "quant_type", entry.scheme == Scheme::nf4);
  if (layer.bias.empty())
    return {node};
  return {node, makeBias(layer, node.output(0))};
}

} // namespace onager::compress
