// What passes rows on.
#include "lib/Compress/Prune/Coupling.h"
#include "lib/Compress/Slice/Stream.h"
#include <algorithm>

namespace onager::compress {

static bool isOneOf(const onnx::NodeProto &node, std::initializer_list<const char *> ops) { return std::any_of(ops.begin(), ops.end(), [&](const char *op) { return node.op_type() == op; }); }

int64_t RowRules::getWidth(const std::string &value) const {
  auto found = shapes.find(value);
  return found == shapes.end() || found->second.empty() ? -1 : found->second.back();
}

std::optional<LastDim> findLastDim(const ModelGraph &model, const onnx::NodeProto &reshape) {
  if (std::optional<std::vector<int64_t>> values = model.readIntegers(getInput(reshape, 1)); values && !values->empty())
    return LastDim{reshape.output(0), 1, *values};
  const onnx::NodeProto *concat = model.findProducer(getInput(reshape, 1));
  if (!concat || concat->op_type() != "Concat")
    return std::nullopt;
  int last = concat->input_size() - 1;
  std::optional<std::vector<int64_t>> values = model.readIntegers(concat->input(last));
  return values && !values->empty() ? std::optional(LastDim{concat->output(0), last, *values}) : std::nullopt;
}

bool RowRules::keepsLastDim(const onnx::NodeProto &node, int64_t width) const {
  auto dims = shapes.find(node.op_type() == "Concat" ? node.output(0) : node.input(0));
  if (dims == shapes.end() || dims->second.empty())
    return false;
  int64_t rank = static_cast<int64_t>(dims->second.size());
  if (node.op_type() == "Reshape") {
    std::optional<LastDim> last = findLastDim(model, node);
    return last && (last->values.back() == width || (last->values.back() == -1 && getWidth(node.output(0)) == width));
  }
  if (node.op_type() == "Slice") {
    std::optional<std::vector<int64_t>> axes = findAxes(model, node, 3, static_cast<size_t>(rank));
    if (axes)
      return std::find(axes->begin(), axes->end(), rank - 1) == axes->end();
    auto starts = shapes.find(getInput(node, 1));
    return getInput(node, 3).empty() && starts != shapes.end() && starts->second.size() == 1 && starts->second[0] >= 0 && starts->second[0] < rank;
  }
  int64_t axis = getInt(node, "axis", 0);
  return (axis < 0 ? axis + rank : axis) != rank - 1;
}

bool RowRules::isMove(const onnx::NodeProto &node, int64_t width) const {
  if (!node.domain().empty() || node.input_size() == 0 || node.output_size() == 0 || getWidth(node.input(0)) != width)
    return false;
  return isOneOf(node, {"Identity", "Dropout"}) || (isOneOf(node, {"Gather", "Slice", "Reshape"}) && keepsLastDim(node, width));
}

std::vector<int> RowRules::listOperands(const onnx::NodeProto &node, int64_t width) const {
  if (!node.domain().empty() || node.output_size() == 0)
    return {};
  if (node.op_type() == "Add")
    return {0, 1};
  if (node.op_type() == "Concat" && keepsLastDim(node, width)) {
    std::vector<int> all;
    for (int k = 0; k < node.input_size(); ++k)
      all.push_back(k);
    return all;
  }
  if (isOneOf(node, {"Mul", "Div"}) && isNumber(model, node.input(1)))
    return {0};
  if (node.op_type() == "Mul" && isNumber(model, node.input(0)))
    return {1};
  return isMove(node, width) ? std::vector<int>{0} : std::vector<int>{};
}

bool RowRules::ignoresWidth(const onnx::NodeProto &node, const Readers &readers) const {
  auto dims = shapes.find(node.input(0));
  if (node.op_type() != "Shape" || dims == shapes.end())
    return false;
  int64_t rank = static_cast<int64_t>(dims->second.size()), end = getInt(node, "end", rank);
  if ((end < 0 ? end + rank : end) < rank)
    return true;
  const auto &nodes = readers.list(node.output(0));
  return !readers.isOutput(node.output(0)) && getInt(node, "start", 0) == 0 && std::all_of(nodes.begin(), nodes.end(), [&](const onnx::NodeProto *reader) {
           std::optional<std::vector<int64_t>> indices = reader->op_type() == "Gather" ? model.readIntegers(reader->input(1)) : std::nullopt;
           return indices && std::all_of(indices->begin(), indices->end(), [&](int64_t index) { return (index < 0 ? index + rank : index) < rank - 1; });
         });
}

std::optional<Layer> findProduct(const ModelGraph &model, const onnx::NodeProto &node) {
  std::optional<Layer> layer = findLayer(model, node);
  if (!layer || layer->isTable() || layer->isConvolution() || getInt(node, "transA", 0) || getFloat(node, "alpha", 1) != 1 || getFloat(node, "beta", 1) != 1)
    return std::nullopt;
  if (layer->bias.empty())
    return layer;
  std::optional<std::vector<int64_t>> bias = model.findDims(layer->bias);
  return bias && *bias == std::vector<int64_t>{layer->dims[static_cast<size_t>(layer->channelAxis)]} ? layer : std::nullopt;
}

} // namespace onager::compress
