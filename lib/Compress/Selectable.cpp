// Branches for layers: `If choices[k] == 1 then form 0 else If choices[k] == 2 ... else plain`.
#include "lib/Compress/Selectable.h"
#include "lib/Compress/LayerForms.h"

namespace onager::compress {

namespace {

class Rewriter {
public:
  Rewriter(ModelGraph &model, const std::map<std::string, Activation> &activations) : model(model) { recipe.activations = activations; }

  void run(std::vector<LayerOptions> &layers) {
    std::map<std::string, size_t> positions;
    for (size_t k = 0; k < layers.size(); ++k)
      positions[layers[k].node] = k;
    std::vector<onnx::NodeProto> nodes;
    for (const onnx::NodeProto &node : model.graph().node()) {
      std::optional<Layer> layer = findLayer(model, node);
      auto found = layer ? positions.find(layer->name) : positions.end();
      if (found != positions.end() && !layers[found->second].forms.empty())
        addChoice(*layer, found->second, layers[found->second].forms, nodes);
      else
        nodes.push_back(node);
    }
    model.setNodes(std::move(nodes));
    addInput(static_cast<int64_t>(layers.size()));
    model.clean();
  }

private:
  std::vector<onnx::NodeProto> makeForm(const Layer &layer, LayerRecipe &form) {
    std::vector<onnx::NodeProto> nodes;
    if (hasGroups(form.scheme) && layer.isConvolution()) {
      FilterForms(model).addLayer(layer, form, nodes);
      return nodes;
    }
    if (hasGroups(form.scheme))
      return makeBlockNodes(model, layer, form);
    if (!hasByteInputs(form.scheme))
      return makeNarrowNodes(model, layer, form);
    if (form.scheme == Scheme::int8Dynamic) {
      DynamicForms(model).addLayer(layer, form, nodes);
      return nodes;
    }
    ByteForms bytes(model, recipe);
    bytes.addRounding(layer.input, nodes);
    bytes.addLayer(layer, form, nodes);
    return nodes;
  }

  std::string addInteger(int64_t value) { return model.addConstant("choice", {}, onnx::TensorProto::INT64, std::string(reinterpret_cast<const char *>(&value), sizeof(value))); }

  static onnx::NodeProto makeNode(const char *op, std::initializer_list<std::string> inputs, const std::string &output) {
    onnx::NodeProto node;
    node.set_op_type(op);
    for (const std::string &input : inputs)
      node.add_input(input);
    node.add_output(output);
    return node;
  }

  /// A branch of nodes, of which the last gives the layer's value; its own output has another name, since names are not used twice.
  void fillBranch(onnx::NodeProto &node, const char *name, std::vector<onnx::NodeProto> nodes) {
    onnx::AttributeProto *attribute = node.add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::GRAPH);
    onnx::GraphProto *graph = attribute->mutable_g();
    std::string output = model.makeName(nodes.back().output(0) + "_chosen");
    nodes.back().set_output(0, output);
    for (onnx::NodeProto &inner : nodes)
      *graph->add_node() = std::move(inner);
    graph->set_name(model.makeName("branch"));
    graph->add_output()->set_name(output);
  }

  /// The layer's value by its forms from `first` on.
  std::vector<onnx::NodeProto> choose(const Layer &layer, const std::string &choice, std::vector<LayerRecipe> &forms, size_t first) {
    if (first == forms.size())
      return {*layer.node};
    std::string condition = model.makeName("chosen");
    onnx::NodeProto equal = makeNode("Equal", {choice, addInteger(static_cast<int64_t>(first) + 1)}, condition);
    onnx::NodeProto branches = makeNode("If", {condition}, layer.node->output(0));
    fillBranch(branches, "then_branch", makeForm(layer, forms[first]));
    fillBranch(branches, "else_branch", choose(layer, choice, forms, first + 1));
    return {equal, branches};
  }

  void addChoice(const Layer &layer, size_t position, std::vector<LayerRecipe> &forms, std::vector<onnx::NodeProto> &nodes) {
    std::string choice = model.makeName("choice");
    nodes.push_back(makeNode("Gather", {kChoices, addInteger(static_cast<int64_t>(position))}, choice));
    for (onnx::NodeProto &node : choose(layer, choice, forms, 0))
      nodes.push_back(std::move(node));
  }

  void addInput(int64_t count) {
    onnx::ValueInfoProto *input = model.graph().add_input();
    input->set_name(kChoices);
    onnx::TypeProto::Tensor *type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::INT64);
    type->mutable_shape()->add_dim()->set_dim_value(count);
  }

  ModelGraph &model;
  Recipe recipe; ///< for its activations
};

} // namespace

void makeSelectable(ModelGraph &model, const std::map<std::string, Activation> &activations, std::vector<LayerOptions> &layers) {
  Rewriter(model, activations).run(layers);
}

} // namespace onager::compress
