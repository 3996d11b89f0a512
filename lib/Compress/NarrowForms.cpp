// Layers of bf16 and f16: Cast to the narrow type and back in front of both operands.
#include "lib/Compress/LayerForms.h"
#include "llvm/ADT/APFloat.h"

namespace onager::compress {

/// A constant rounded to the narrow type, to the nearest and then even; `rounded` holds the same numbers as f32.
static std::string makeNarrowConstant(ModelGraph &model, const std::string &name, const llvm::fltSemantics &semantics, int32_t dtype, std::vector<float> &values,
                                      std::vector<float> &rounded) {
  Weights weights = *model.readWeights(name);
  std::string bytes;
  bytes.reserve(weights.values.size() * 2);
  for (float value : weights.values) {
    llvm::APFloat number(value);
    bool losesInfo;
    number.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    auto bits = static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue());
    bytes += {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
    rounded.push_back(static_cast<float>(number.convertToDouble()));
  }
  values = std::move(weights.values);
  return model.addConstant(name + (dtype == onnx::TensorProto::BFLOAT16 ? "_bf16" : "_f16"), weights.dims, dtype, std::move(bytes));
}

static onnx::NodeProto makeCast(ModelGraph &model, const std::string &from, const std::string &to, int32_t dtype) {
  onnx::NodeProto node;
  node.set_op_type("Cast");
  node.set_name(model.makeName(to + "_Cast"));
  node.add_input(from);
  node.add_output(to);
  setInt(node, "to", dtype);
  return node;
}

std::vector<onnx::NodeProto> makeNarrowNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry) {
  bool isBf16 = entry.scheme == Scheme::bf16;
  const llvm::fltSemantics &semantics = isBf16 ? llvm::APFloat::BFloat() : llvm::APFloat::IEEEhalf();
  int32_t dtype = isBf16 ? onnx::TensorProto::BFLOAT16 : onnx::TensorProto::FLOAT16;
  std::vector<float> values, rounded;
  std::string narrow = makeNarrowConstant(model, layer.weights, semantics, dtype, values, rounded);
  entry.weightSqnr = measureSqnr(values, rounded);
  entry.bytesAfter = values.size() * 2;
  onnx::NodeProto node = *layer.node;
  if (layer.isTable()) {
    std::string rows = model.makeName(layer.name + "_narrow");
    node.set_input(0, narrow);
    node.set_output(0, rows);
    return {node, makeCast(model, rows, layer.node->output(0), onnx::TensorProto::FLOAT)};
  }
  std::string input = model.makeName(layer.input + "_narrow"), wide = model.makeName(layer.input + "_rounded"), weights = model.makeName(layer.weights + "_rounded");
  std::vector<onnx::NodeProto> nodes{makeCast(model, layer.input, input, dtype), makeCast(model, input, wide, onnx::TensorProto::FLOAT), makeCast(model, narrow, weights, onnx::TensorProto::FLOAT)};
  node.set_input(0, wide);
  setWeights(model, layer, weights, node, nodes);
  nodes.push_back(std::move(node));
  return nodes;
}

} // namespace onager::compress
