// Which values become bytes.
#include "lib/Compress/Apply.h"
#include <algorithm>

namespace onager::compress {

namespace {

bool isOneOf(const onnx::NodeProto &node, std::initializer_list<const char *> ops) {
  return (node.domain().empty() || node.domain() == "ai.onnx") && std::any_of(ops.begin(), ops.end(), [&](const char *op) { return node.op_type() == op; });
}

/// Finds the nodes that work on bytes: layers, and what lies between them.
class ByteNodes {
public:
  ByteNodes(const ModelGraph &model, const Recipe &recipe) : model(model) {
    std::set<std::string> layers;
    for (const LayerRecipe &entry : recipe.layers)
      if (entry.scheme == Scheme::int8)
        layers.insert(entry.node);
    for (const onnx::NodeProto &node : model.graph().node()) {
      if (std::optional<Layer> layer = findLayer(model, node); layer && layers.count(layer->name))
        nodes.insert(&node);
      else if (isBetween(node))
        candidates.insert(&node);
      for (const std::string &input : node.input())
        readers[input].push_back(&node);
    }
    nodes.insert(candidates.begin(), candidates.end());
    prune();
  }

  std::set<const onnx::NodeProto *> nodes;

  std::vector<std::string> listValues() const {
    std::vector<std::string> values;
    std::set<std::string> seen;
    for (const onnx::NodeProto &node : model.graph().node())
      for (const std::string &input : nodes.count(&node) ? listData(node) : std::vector<std::string>())
        if (seen.insert(input).second)
          values.push_back(input);
    return values;
  }

private:
  /// Operators that give bytes where they get bytes. An addition of a constant is a bias.
  bool isBetween(const onnx::NodeProto &node) const {
    bool hasConstant = std::any_of(node.input().begin(), node.input().end(), [&](const std::string &input) { return model.isConstant(input); });
    return (isOneOf(node, {"Add", "Concat"}) && !hasConstant) || isOneOf(node, {"MaxPool", "AveragePool", "GlobalAveragePool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"});
  }

  std::vector<std::string> listData(const onnx::NodeProto &node) const {
    if (isOneOf(node, {"Add", "Concat"}))
      return {node.input().begin(), node.input().end()};
    return {node.input(0)};
  }

  static bool isActivation(const onnx::NodeProto &node) { return isOneOf(node, {"Relu", "Clip", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "PRelu", "Elu", "Identity"}); }

  bool comesFromBytes(const onnx::NodeProto &node) const {
    for (const std::string &input : listData(node)) {
      const onnx::NodeProto *producer = model.findProducer(input);
      while (producer && isActivation(*producer))
        producer = model.findProducer(producer->input(0));
      if (producer && nodes.count(producer))
        return true;
    }
    return false;
  }

  bool goesToBytes(const std::string &value) const {
    auto found = readers.find(value);
    return found != readers.end() && std::any_of(found->second.begin(), found->second.end(), [&](const onnx::NodeProto *reader) {
             return nodes.count(reader) || (isActivation(*reader) && goesToBytes(reader->output(0)));
           });
  }

  /// Takes out what does not lie between layers, until all that is left does.
  void prune() {
    for (bool isChanged = true; isChanged;) {
      isChanged = false;
      for (auto at = candidates.begin(); at != candidates.end();) {
        const onnx::NodeProto *node = *at;
        bool isKept = comesFromBytes(*node) && std::any_of(node->output().begin(), node->output().end(), [&](const std::string &output) { return goesToBytes(output); });
        if (!isKept)
          nodes.erase(node);
        isChanged |= !isKept;
        at = isKept ? std::next(at) : candidates.erase(at);
      }
    }
  }

  const ModelGraph &model;
  std::set<const onnx::NodeProto *> candidates;
  std::map<std::string, std::vector<const onnx::NodeProto *>> readers;
};

} // namespace

ByteFlow findByteFlow(const ModelGraph &model, const Recipe &recipe) {
  ByteNodes found(model, recipe);
  return {found.nodes, found.listValues()};
}

} // namespace onager::compress
