// Finding layers.
#include "lib/Compress/Layer.h"
#include <algorithm>

namespace onager::compress {

static bool isDequantized(const ModelGraph &model, const std::string &name) {
  const onnx::NodeProto *producer = model.findProducer(name);
  return producer && (producer->op_type() == "DequantizeLinear" || producer->op_type() == "DynamicQuantizeLinear");
}

std::optional<Layer> findLayer(const ModelGraph &model, const onnx::NodeProto &node) {
  bool isConv = node.op_type() == "Conv", isGemm = node.op_type() == "Gemm", isMatMul = node.op_type() == "MatMul";
  if ((!isConv && !isGemm && !isMatMul) || !(node.domain().empty() || node.domain() == "ai.onnx") || node.input_size() < 2 || !model.isConstant(node.input(1)) ||
      model.isConstant(node.input(0)) || isDequantized(model, node.input(0)))
    return std::nullopt;
  std::optional<std::vector<int64_t>> dims = model.findDims(node.input(1));
  if (!dims || std::find(dims->begin(), dims->end(), 0) != dims->end() || dims->size() < 2 || (!isConv && dims->size() != 2))
    return std::nullopt;
  Layer layer{&node, node.name().empty() ? node.output(0) : node.name(), node.input(0), node.input(1), node.input_size() > 2 ? node.input(2) : "", std::move(*dims), 0};
  layer.channelAxis = isConv || (isGemm && getInt(node, "transB", 0)) ? 0 : 1;
  return layer;
}

bool isGroup(int64_t group) { return group >= 16 && group <= 256 && (group & (group - 1)) == 0; }

std::string explainUnfit(const Layer &layer, Scheme scheme) {
  bool isGemm = layer.node->op_type() == "Gemm";
  if (isGemm && getInt(*layer.node, "transA", 0))
    return "the left operand is transposed";
  if (isGemm && (getFloat(*layer.node, "alpha", 1) != 1 || getFloat(*layer.node, "beta", 1) != 1))
    return "the product has factors";
  if (scheme != Scheme::int8 && layer.node->op_type() == "Conv")
    return "weights alone are quantised in products, not in convolutions";
  return {};
}

} // namespace onager::compress
