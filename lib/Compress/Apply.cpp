// Rewriting the model node by node.
#include "lib/Compress/Apply.h"
#include "lib/Compress/BiasShift.h"
#include "lib/Compress/LayerForms.h"

namespace onager::compress {

namespace {

class Rewriter {
public:
  Rewriter(ModelGraph &model, Recipe &recipe) : model(model), recipe(recipe), flow(findByteFlow(model, recipe)), bytes(model, recipe), dynamic(model), filters(model) {}

  bool run(std::string &error) {
    quantised.insert(flow.values.begin(), flow.values.end());
    for (const std::string &value : flow.values)
      if (!recipe.activations.count(value)) {
        error = "value '" + value + "' has no scale: it needs calibration data";
        return false;
      }
    for (LayerRecipe &entry : recipe.layers)
      entries[entry.node] = &entry;
    for (const onnx::ValueInfoProto &input : model.graph().input())
      round(input.name());
    // The graph's nodes are read until all of the new ones are there.
    for (const onnx::NodeProto &node : model.graph().node()) {
      addNode(node);
      for (const std::string &output : node.output())
        round(output);
    }
    model.setNodes(std::move(nodes));
    model.clean();
    return true;
  }

private:
  void round(const std::string &value) {
    if (quantised.count(value))
      bytes.addRounding(value, nodes);
  }

  void addNode(const onnx::NodeProto &node) {
    std::optional<Layer> layer = findLayer(model, node);
    auto found = layer ? entries.find(layer->name) : entries.end();
    Scheme scheme = found == entries.end() ? Scheme::keep : found->second->scheme;
    if (scheme == Scheme::int8)
      return bytes.addLayer(*layer, *found->second, nodes);
    if (scheme == Scheme::int8Dynamic)
      return dynamic.addLayer(*layer, *found->second, nodes);
    if (hasGroups(scheme) && layer->isConvolution())
      return filters.addLayer(*layer, *found->second, nodes);
    if (scheme != Scheme::keep) {
      for (onnx::NodeProto &made : hasGroups(scheme) ? makeBlockNodes(model, *layer, *found->second) : makeNarrowNodes(model, *layer, *found->second))
        nodes.push_back(std::move(made));
      return;
    }
    onnx::NodeProto copy = node;
    if (flow.nodes.count(&node))
      for (std::string &input : *copy.mutable_input())
        bytes.redirect(input);
    nodes.push_back(std::move(copy));
  }

  ModelGraph &model;
  Recipe &recipe;
  ByteFlow flow;
  ByteForms bytes;
  DynamicForms dynamic;
  FilterForms filters;
  std::set<std::string> quantised;
  std::map<std::string, LayerRecipe *> entries;
  std::vector<onnx::NodeProto> nodes;
};

} // namespace

bool applyRecipe(ModelGraph &model, Recipe &recipe, std::string &error) {
  shiftBiases(model, recipe);
  return Rewriter(model, recipe).run(error);
}

} // namespace onager::compress
