// Shifting biases, and models that show what to shift them by.
#include "lib/Compress/BiasShift.h"
#include "lib/Compress/Prune/Refit.h"
#include "lib/Compress/Prune/Unfold.h"
#include <algorithm>
#include <numeric>

namespace onager::compress {

namespace {

class Shifter {
public:
  explicit Shifter(ModelGraph &model) : model(model) {}

  void run(const std::map<std::string, const LayerRecipe *> &entries) {
    std::vector<onnx::NodeProto> nodes;
    for (const onnx::NodeProto &node : model.graph().node()) {
      nodes.push_back(node);
      std::optional<Layer> layer = findLayer(model, node);
      if (auto found = layer ? entries.find(layer->name) : entries.end(); found != entries.end())
        shift(*layer, found->second->shift, nodes);
    }
    model.setNodes(std::move(nodes));
    model.clean();
  }

private:
  void shift(const Layer &layer, const std::vector<float> &numbers, std::vector<onnx::NodeProto> &nodes) {
    ShiftPlace place = findShiftPlace(model, layer);
    bool hasBias = layer.node->op_type() != "MatMul";
    std::optional<Weights> shared = layer.bias.empty() ? std::nullopt : model.readWeights(layer.bias);
    if (place.kind != ShiftPlace::Kind::none)
      writeConstant(model, place.constant, add(model.readWeights(place.constant)->values, numbers, place.kind == ShiftPlace::Kind::mean ? -1.0f : 1.0f));
    else if (hasBias && layer.bias.empty())
      nodes.back().add_input(addLine(layer, numbers));
    else if (hasBias && shared && shared->dims.size() == 1 && shared->values.size() == numbers.size())
      nodes.back().set_input(2, addLine(layer, add(shared->values, numbers, 1)));
    else
      addBehind(layer, numbers, nodes);
  }

  static std::vector<float> add(std::vector<float> values, const std::vector<float> &numbers, float factor) {
    for (size_t k = 0; k < values.size(); ++k)
      values[k] += factor * numbers[k];
    return values;
  }

  std::string addLine(const Layer &layer, const std::vector<float> &numbers) {
    return model.addConstant(layer.weights + "_bias", {static_cast<int64_t>(numbers.size())}, onnx::TensorProto::FLOAT, toBytes(numbers));
  }

  void addBehind(const Layer &layer, const std::vector<float> &numbers, std::vector<onnx::NodeProto> &nodes) {
    onnx::NodeProto &node = nodes.back(), sum;
    std::vector<int64_t> dims{static_cast<int64_t>(numbers.size())};
    if (layer.isConvolution())
      dims.resize(layer.dims.size() - 1, 1);
    sum.set_op_type("Add");
    sum.set_name(model.makeName(layer.name + "_shift"));
    sum.add_input(model.makeName(layer.name + "_unshifted"));
    sum.add_input(model.addConstant(layer.weights + "_bias", dims, onnx::TensorProto::FLOAT, toBytes(numbers)));
    sum.add_output(node.output(0));
    node.set_name(layer.name);
    node.set_output(0, sum.input(0));
    nodes.push_back(std::move(sum));
  }

  ModelGraph &model;
};

/// Appends what shifts the layers' values and takes their means.
class Shiftable {
public:
  Shiftable(const ModelGraph &model, bool hasInput) : model(model), hasInput(hasInput), copy(model.proto()) { graph().clear_node(); }

  std::string run(const std::vector<ShiftedLayer> &layers) {
    std::map<std::string, const ShiftedLayer *> byValue;
    std::map<std::string, int64_t> begins;
    int64_t total = 0;
    for (const ShiftedLayer &layer : layers) {
      byValue[layer.value] = &layer;
      begins[layer.value] = total;
      total += layer.channels;
      graph().add_output()->set_name(layer.value + " mean");
    }
    for (const onnx::NodeProto &node : model.graph().node()) {
      onnx::NodeProto *own = graph().add_node();
      *own = node;
      for (const std::string &output : node.output())
        if (auto found = byValue.find(output); found != byValue.end()) {
          if (hasInput)
            addShift(*own, *found->second, begins[output]);
          addMean(*found->second);
        }
    }
    if (hasInput)
      addInput(total);
    return copy.SerializeAsString();
  }

private:
  onnx::GraphProto &graph() { return *copy.mutable_graph(); }

  onnx::NodeProto *addNode(const char *op, std::initializer_list<std::string> inputs, const std::string &output) {
    onnx::NodeProto *node = graph().add_node();
    node->set_op_type(op);
    for (const std::string &input : inputs)
      node->add_input(input);
    node->add_output(output);
    return node;
  }

  std::string addIntegers(const std::string &name, const std::vector<int64_t> &values) {
    onnx::TensorProto *tensor = graph().add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(static_cast<int64_t>(values.size()));
    for (int64_t value : values)
      tensor->add_int64_data(value);
    return name;
  }

  void addShift(onnx::NodeProto &node, const ShiftedLayer &layer, int64_t begin) {
    const std::string &value = layer.value;
    std::replace(node.mutable_output()->begin(), node.mutable_output()->end(), value, value + " unshifted");
    std::vector<int64_t> dims{layer.channels};
    dims.resize(layer.rank > 1 ? layer.rank - 1 : 1, 1);
    std::vector<int64_t> places(static_cast<size_t>(layer.channels));
    std::iota(places.begin(), places.end(), begin);
    // Slice would have other forms before operator set 10.
    addNode("Gather", {kShifts, addIntegers(value + " places", places)}, value + " own shifts");
    addNode("Reshape", {value + " own shifts", addIntegers(value + " channels", dims)}, value + " shifts");
    addNode("Add", {value + " unshifted", value + " shifts"}, value);
  }

  void addMean(const ShiftedLayer &layer) {
    std::string value = layer.value, rows = value;
    if (layer.rank)
      addNode("GlobalAveragePool", {value}, rows = value + " pooled");
    addNode("Reshape", {rows, addIntegers(value + " rows", {-1, layer.channels})}, value + " matrix");
    onnx::NodeProto *mean = addNode("ReduceMean", {value + " matrix"}, value + " mean");
    if (model.getOpset() >= 18)
      return mean->add_input(addIntegers(value + " axes", {0}));
    onnx::AttributeProto *axes = mean->add_attribute();
    axes->set_name("axes");
    axes->set_type(onnx::AttributeProto::INTS);
    axes->add_ints(0);
  }

  void addInput(int64_t total) {
    onnx::ValueInfoProto *input = graph().add_input();
    input->set_name(kShifts);
    onnx::TypeProto::Tensor *type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_value(total);
  }

  const ModelGraph &model;
  bool hasInput;
  onnx::ModelProto copy;
};

} // namespace

void shiftBiases(ModelGraph &model, const Recipe &recipe) {
  std::map<std::string, const LayerRecipe *> entries;
  for (const LayerRecipe &entry : recipe.layers)
    if (!entry.shift.empty() && entry.scheme != Scheme::keep)
      entries[entry.node] = &entry;
  if (!entries.empty())
    Shifter(model).run(entries);
}

std::string serializeShiftable(const ModelGraph &model, const std::vector<ShiftedLayer> &layers, bool hasInput) { return Shiftable(model, hasInput).run(layers); }

} // namespace onager::compress
