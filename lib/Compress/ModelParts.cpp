// Cutting by what was computed so far and what is still to be read.
#include "lib/Compress/ModelParts.h"
#include <algorithm>

namespace onager::compress {

/// Operators by which exporters compute with dims.
static bool isDimArithmetic(const onnx::NodeProto &node) {
  static const std::set<std::string> operators{"Shape", "Size", "Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast", "Add", "Sub", "Mul", "Div", "Floor", "Identity", "Min", "Max", "ReduceProd"};
  return operators.count(node.op_type()) != 0;
}

/// Values that are no tensors cannot be kept.
static bool givesTensors(const onnx::NodeProto &node) {
  const std::string &op = node.op_type();
  return op.find("Sequence") == std::string::npos && op.find("Optional") == std::string::npos && op != "If" && op != "Loop";
}

PartPlan::PartPlan(const ModelGraph &model) : model(model) {
  for (const onnx::NodeProto &node : model.graph().node())
    for (const std::string &name : listReads(node))
      readers[name].push_back(&node);
}

PartPlan::Nodes PartPlan::findNodes(const std::string &value, std::set<std::string> &inputs) const {
  Nodes nodes;
  std::vector<std::string> open{value};
  while (!open.empty()) {
    std::string name = std::move(open.back());
    open.pop_back();
    const onnx::NodeProto *producer = model.findProducer(name);
    if (kept.count(name))
      inputs.insert(name);
    else if (producer && nodes.insert(producer).second)
      for (const std::string &read : listReads(*producer))
        open.push_back(read);
  }
  return nodes;
}

/// True where a node that has not run reads the value, or what others make of its dims.
bool PartPlan::isRead(const std::string &value, bool throughDims) const {
  auto found = readers.find(value);
  return found != readers.end() && std::any_of(found->second.begin(), found->second.end(), [&](const onnx::NodeProto *reader) {
           if (!done.count(reader))
             return true;
           bool isDim = reader->op_type() == "Shape" || reader->op_type() == "Size" || (throughDims && isDimArithmetic(*reader));
           return isDim && std::any_of(reader->output().begin(), reader->output().end(), [&](const std::string &output) { return isRead(output, true); });
         });
}

ModelPart PartPlan::advance(const std::string &value) {
  ModelPart part{value, {}, {}, {}};
  std::set<std::string> inputs;
  Nodes nodes = findNodes(value, inputs);
  if (!kept.count(value)) {
    done.insert(nodes.begin(), nodes.end());
    part.inputs.assign(inputs.begin(), inputs.end());
    part.outputs.push_back(value);
    for (const onnx::NodeProto &node : model.graph().node())
      for (const std::string &output : node.output())
        if (nodes.count(&node) && givesTensors(node) && node.op_type() != "Constant" && output != value && isRead(output, false))
          part.outputs.push_back(output);
  }
  for (auto at = kept.begin(); at != kept.end();) {
    bool isOver = *at != value && !isRead(*at, false);
    if (isOver)
      part.dropped.push_back(*at);
    at = isOver ? kept.erase(at) : std::next(at);
  }
  return part;
}

} // namespace onager::compress
