// Finding layers.
#include "lib/Compress/Layer.h"
#include <algorithm>

namespace onager::compress {

static bool isDequantized(const ModelGraph &model, const std::string &name) {
  const onnx::NodeProto *producer = model.findProducer(name);
  return producer && (producer->op_type() == "DequantizeLinear" || producer->op_type() == "DynamicQuantizeLinear");
}

static bool isStandard(const onnx::NodeProto &node) { return node.domain().empty() || node.domain() == "ai.onnx"; }

static std::string nameLayer(const onnx::NodeProto &node) { return node.name().empty() ? node.output(0) : node.name(); }

/// True for a Transpose that swaps two dims.
static bool isSwap(const onnx::NodeProto &node) {
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == "perm")
      return attribute.ints_size() == 2 && attribute.ints(0) == 1;
  return true;
}

/// A constant's dims where it can be the weights of a layer.
static std::optional<std::vector<int64_t>> findWeights(const ModelGraph &model, const std::string &name, bool isConv) {
  std::optional<std::vector<int64_t>> dims = model.findDims(name);
  if (!dims || std::find(dims->begin(), dims->end(), 0) != dims->end() || dims->size() < 2 || (!isConv && dims->size() != 2))
    return std::nullopt;
  return dims;
}

static std::optional<Layer> findTable(const ModelGraph &model, const onnx::NodeProto &node) {
  if (node.input_size() != 2 || getInt(node, "axis", 0) != 0 || model.isConstant(node.input(1)))
    return std::nullopt;
  std::optional<std::vector<int64_t>> dims = findWeights(model, node.input(0), false);
  // A shorter row is a record of few numbers, such as a box, rather than an embedding.
  return dims && (*dims)[1] >= 16 ? std::optional(Layer{&node, nameLayer(node), node.input(1), node.input(0), "", std::move(*dims), 0, nullptr}) : std::nullopt;
}

/// The node that turns rows of constant weights into columns.
static const onnx::NodeProto *findTranspose(const ModelGraph &model, const std::string &name) {
  const onnx::NodeProto *node = model.findProducer(name);
  return node && isStandard(*node) && node->op_type() == "Transpose" && model.findDims(node->input(0)).value_or(std::vector<int64_t>()).size() == 2 && isSwap(*node) ? node : nullptr;
}

std::optional<Layer> findLayer(const ModelGraph &model, const onnx::NodeProto &node) {
  if (isStandard(node) && node.op_type() == "Gather")
    return findTable(model, node);
  bool isTransposed = node.op_type() == "ConvTranspose", isConv = isTransposed || node.op_type() == "Conv", isGemm = node.op_type() == "Gemm", isMatMul = node.op_type() == "MatMul";
  if ((!isConv && !isGemm && !isMatMul) || !isStandard(node) || node.input_size() < 2 || model.isConstant(node.input(0)) || isDequantized(model, node.input(0)))
    return std::nullopt;
  const onnx::NodeProto *transpose = isMatMul ? findTranspose(model, node.input(1)) : nullptr;
  std::string weights = transpose ? transpose->input(0) : node.input(1);
  std::optional<std::vector<int64_t>> dims = findWeights(model, weights, isConv);
  if (!dims)
    return std::nullopt;
  Layer layer{&node, nameLayer(node), node.input(0), weights, node.input_size() > 2 ? node.input(2) : "", std::move(*dims), 0, transpose};
  bool hasOutputsFirst = isTransposed ? getInt(node, "group", 1) > 1 : isConv || transpose || (isGemm && getInt(node, "transB", 0));
  layer.channelAxis = hasOutputsFirst ? 0 : 1;
  return layer;
}

int64_t countOutputs(const Layer &layer) {
  return layer.isTransposedConv() ? layer.dims[1] * getInt(*layer.node, "group", 1) : layer.dims[static_cast<size_t>(layer.channelAxis)];
}

bool isGroup(int64_t group) { return group >= 16 && group <= 256 && (group & (group - 1)) == 0; }

static std::string explainUnfitConvolution(const Layer &layer, Scheme scheme) {
  if (scheme == Scheme::int8Dynamic)
    return "activations are rounded by what they hold in products, not in convolutions";
  if (hasCodebook(scheme))
    return "convolutions have no form of 16 levels";
  if (layer.isTransposedConv() && !hasGroups(scheme))
    return "transposed convolutions take weights alone";
  if (hasGroups(scheme) && std::all_of(layer.dims.begin() + 1, layer.dims.end(), [](int64_t extent) { return extent == 1; }))
    return "each weight would have a scale of its own";
  return {};
}

std::string explainUnfit(const ModelGraph &model, const Layer &layer, Scheme scheme) {
  bool isGemm = layer.node->op_type() == "Gemm", isBytes = isQuantised(scheme);
  if (hasByteInputs(scheme) && layer.isTable())
    return "a table has no activations";
  if (hasCodebook(scheme) && layer.isTable())
    return "tables have no form of 16 levels";
  if (scheme == Scheme::int8Dynamic && model.getOpset() < 11)
    return "operators before set 11 know no DynamicQuantizeLinear";
  if (scheme == Scheme::int4 && layer.isTable() && layer.dims[1] % 2)
    return "rows of an odd number of elements";
  if (scheme == Scheme::bf16 && !model.getQuantizeDomain().empty())
    return "operators before set 13 know no bfloat16";
  if (isGemm && isBytes && getInt(*layer.node, "transA", 0))
    return "the left operand is transposed";
  if (isGemm && isBytes && (getFloat(*layer.node, "alpha", 1) != 1 || getFloat(*layer.node, "beta", 1) != 1))
    return "the product has factors";
  return layer.isConvolution() ? explainUnfitConvolution(layer, scheme) : "";
}

std::string explainUnfit(const Layer &layer, RoundingMethod rounding) {
  bool isSimple = rounding == RoundingMethod::rtn || rounding == RoundingMethod::mse;
  if (layer.isTable() && !isSimple)
    return "tables are rounded by rtn or mse";
  if (layer.isTransposedConv() && !isSimple)
    return "transposed convolutions are rounded by rtn or mse";
  return layer.isConvolution() && rounding == RoundingMethod::hqq ? "zero points of convolutions are integers, those of hqq are not" : "";
}

} // namespace onager::compress
