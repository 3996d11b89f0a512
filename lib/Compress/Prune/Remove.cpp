// Smaller constants, and nodes that say how large things are.
#include "lib/Compress/Prune/Remove.h"
#include <cstring>

namespace onager::compress {

namespace {

class Remover {
public:
  Remover(ModelGraph &model, const Coupling &coupling, const std::set<int32_t> &classes, std::vector<Slice> &slices) : model(model), coupling(coupling), classes(classes), slices(slices) {}

  void run() {
    // Nodes are read through the coupling's view of the model: constants are cut when all of them are done.
    for (int k = 0; k < model.graph().node_size(); ++k)
      adapt(*model.graph().mutable_node(k));
    for (const auto &[name, axes] : coupling.getValues())
      if (model.isConstant(name))
        cutConstant(name, axes);
    std::vector<onnx::NodeProto> nodes;
    for (onnx::NodeProto &node : *model.graph().mutable_node()) {
      for (auto at = inserted.find(&node); at != inserted.end(); at = inserted.end())
        for (onnx::NodeProto &own : at->second)
          nodes.push_back(std::move(own));
      nodes.push_back(node);
    }
    model.setNodes(std::move(nodes));
    model.graph().clear_value_info();
    model.clean();
  }

private:
  bool isLive(const Axis &axis, int64_t index) const { return !axis.isKnown() || !classes.count(coupling.getClass(axis.at(index))); }

  int64_t countLive(const Axis &axis, int64_t end) const {
    int64_t count = 0;
    for (int64_t k = 0; k < end; ++k)
      count += isLive(axis, k);
    return count;
  }
  bool isCut(const Axis &axis) const { return axis.isKnown() && countLive(axis, axis.extent) != axis.extent; }

  void cutConstant(const std::string &name, const std::vector<Axis> &axes) {
    std::optional<Weights> weights;
    for (size_t k = 0; k < axes.size(); ++k) {
      if (!isCut(axes[k]))
        continue;
      if (!weights)
        weights = model.readWeights(name);
      cutAxis(*weights, k, axes[k]);
      slices.push_back({name, k, {}});
      for (int64_t index = 0; index < axes[k].extent; ++index)
        if (!isLive(axes[k], index))
          slices.back().removed.push_back(index);
    }
    if (!weights)
      return;
    onnx::TensorProto &tensor = *model.findTensor(name);
    tensor.clear_float_data();
    tensor.set_raw_data(weights->values.data(), weights->values.size() * sizeof(float));
    for (size_t k = 0; k < axes.size(); ++k)
      tensor.set_dims(static_cast<int>(k), weights->dims[k]);
    // An initializer that is an input as well has its dims twice.
    for (onnx::ValueInfoProto &input : *model.graph().mutable_input())
      if (input.name() == name)
        for (size_t k = 0; k < axes.size(); ++k)
          input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(static_cast<int>(k))->set_dim_value(weights->dims[k]);
  }

  void cutAxis(Weights &weights, size_t at, const Axis &axis) const {
    size_t outer = 1, inner = 1;
    for (size_t k = 0; k < weights.dims.size(); ++k)
      (k < at ? outer : inner) *= k == at ? 1 : static_cast<size_t>(weights.dims[k]);
    std::vector<float> kept;
    auto extent = static_cast<size_t>(axis.extent);
    for (size_t o = 0; o < outer; ++o)
      for (size_t k = 0; k < extent; ++k)
        if (isLive(axis, static_cast<int64_t>(k)))
          kept.insert(kept.end(), weights.values.begin() + static_cast<std::ptrdiff_t>((o * extent + k) * inner), weights.values.begin() + static_cast<std::ptrdiff_t>((o * extent + k + 1) * inner));
    weights.values = std::move(kept);
    weights.dims[at] = countLive(axis, axis.extent);
  }

  void adapt(onnx::NodeProto &node) {
    const std::string &op = node.op_type();
    const std::vector<Axis> *x = node.input_size() ? coupling.find(node.input(0)) : nullptr, *y = node.output_size() ? coupling.find(node.output(0)) : nullptr;
    if (!x || !y)
      return;
    if (op == "Conv" && getInt(node, "group", 1) > 1 && isCut((*x)[1]))
      replaceInt(node, "group", countLive((*x)[1], (*x)[1].extent) / ((*x)[1].extent / getInt(node, "group", 1)));
    else if (op == "GroupNormalization")
      scaleInt(node, "num_groups", (*x)[1]);
    else if (op == "MultiHeadAttention" || op == "GroupQueryAttention" || op == "Attention") {
      if (y->size() == 3 && isCut((*y)[2])) {
        scaleInt(node, "num_heads", (*y)[2]);
        if (op == "GroupQueryAttention")
          scaleInt(node, "kv_num_heads", (*y)[2]);
      }
    } else if (op == "Reshape" || op == "Expand")
      adaptTarget(node, 1, *y);
    else if (op == "Resize" && !getInput(node, 3).empty())
      adaptTarget(node, 3, *y);
    else if (op == "Split")
      adaptSplit(node, *x);
    else if (op == "Slice")
      adaptSlice(node, *x, *y);
  }

  static void replaceInt(onnx::NodeProto &node, const std::string &name, int64_t value) {
    for (onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.name() == name)
        attribute.set_i(value);
  }

  void scaleInt(onnx::NodeProto &node, const std::string &name, const Axis &axis) const {
    if (isCut(axis))
      replaceInt(node, name, getInt(node, name, 1) * countLive(axis, axis.extent) / axis.extent);
  }

  std::string addIntegers(const std::string &base, const std::vector<int64_t> &values) {
    return model.addConstant(base, {static_cast<int64_t>(values.size())}, onnx::TensorProto::INT64, {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(int64_t)});
  }

  /// Other nodes may read the same dims: the node gets its own.
  void adaptTarget(onnx::NodeProto &node, int operand, const std::vector<Axis> &y) {
    std::string target = node.input(operand);
    std::vector<int64_t> change(y.size());
    bool isAny = false;
    for (size_t k = 0; k < y.size(); ++k)
      if (isCut(y[k]) && coupling.traceElement(target, k) == y[k].extent) {
        change[k] = countLive(y[k], y[k].extent) - y[k].extent;
        isAny = true;
      }
    if (!isAny)
      return;
    if (std::optional<std::vector<int64_t>> dims = model.readIntegers(target)) {
      for (size_t k = 0; k < dims->size(); ++k)
        (*dims)[k] += change[k];
      node.set_input(operand, addIntegers(target + "_pruned", *dims));
      return;
    }
    onnx::NodeProto sum;
    sum.set_op_type("Add");
    sum.set_name(model.makeName(target + "_Add"));
    sum.add_input(target);
    sum.add_input(addIntegers(target + "_change", change));
    sum.add_output(model.makeName(target + "_pruned"));
    node.set_input(operand, sum.output(0));
    inserted[&node].push_back(std::move(sum));
  }

  void adaptSplit(onnx::NodeProto &node, const std::vector<Axis> &x) {
    int64_t at = getInt(node, "axis", 0);
    const Axis &axis = x[static_cast<size_t>(at < 0 ? at + static_cast<int64_t>(x.size()) : at)];
    if (!isCut(axis))
      return;
    std::vector<int64_t> sizes;
    int64_t begin = 0;
    for (const std::string &output : node.output()) {
      int64_t extent = (*coupling.find(output))[static_cast<size_t>(at < 0 ? at + static_cast<int64_t>(x.size()) : at)].extent;
      sizes.push_back(countLive(axis, begin + extent) - countLive(axis, begin));
      begin += extent;
    }
    auto *attributes = node.mutable_attribute();
    attributes->erase(std::remove_if(attributes->begin(), attributes->end(), [](const auto &attribute) { return attribute.name() == "split" || attribute.name() == "num_outputs"; }), attributes->end());
    if (model.getOpset() >= 13) {
      if (node.input_size() < 2)
        node.add_input();
      node.set_input(1, addIntegers(node.output(0) + "_sizes", sizes));
      return;
    }
    onnx::AttributeProto *split = node.add_attribute();
    split->set_name("split");
    split->set_type(onnx::AttributeProto::INTS);
    for (int64_t size : sizes)
      split->add_ints(size);
  }

  void adaptSlice(onnx::NodeProto &node, const std::vector<Axis> &x, const std::vector<Axis> &y) {
    std::optional<std::vector<int64_t>> starts = model.readIntegers(getInput(node, 1)), ends = model.readIntegers(getInput(node, 2));
    if (!starts || !ends)
      return;
    std::optional<std::vector<int64_t>> axes = findAxes(model, node, 3, x.size());
    bool isAny = false;
    for (size_t k = 0; k < starts->size(); ++k) {
      size_t d = axes ? static_cast<size_t>((*axes)[k]) : k;
      if (!isCut(x[d]))
        continue;
      int64_t start = (*starts)[k] < 0 ? (*starts)[k] + x[d].extent : (*starts)[k];
      (*starts)[k] = countLive(x[d], start);
      (*ends)[k] = countLive(x[d], start + y[d].extent);
      isAny = true;
    }
    if (!isAny)
      return;
    node.set_input(1, addIntegers(node.output(0) + "_starts", *starts));
    node.set_input(2, addIntegers(node.output(0) + "_ends", *ends));
    // Operands of one node have one type.
    for (int k = 3; k < node.input_size(); ++k)
      if (std::optional<std::vector<int64_t>> values = model.readIntegers(node.input(k)))
        node.set_input(k, addIntegers(node.input(k) + "_wide", *values));
  }

  ModelGraph &model;
  const Coupling &coupling;
  const std::set<int32_t> &classes;
  std::vector<Slice> &slices;
  std::map<const onnx::NodeProto *, std::vector<onnx::NodeProto>> inserted;
};

} // namespace

bool removeClasses(ModelGraph &model, const Coupling &coupling, const std::set<int32_t> &classes, std::vector<Slice> &slices, std::string &error) {
  std::map<std::string, std::vector<int64_t>> expected;
  for (const auto &[name, axes] : coupling.getValues()) {
    std::vector<int64_t> &dims = expected[name];
    for (const Axis &axis : axes) {
      dims.push_back(axis.extent);
      for (int64_t k = 0; axis.isKnown() && k < axis.extent; ++k)
        dims.back() -= classes.count(coupling.getClass(axis.at(k)));
    }
  }
  Shapes inputs;
  for (const onnx::ValueInfoProto &input : model.graph().input())
    if (auto found = expected.find(input.name()); found != expected.end())
      inputs.insert(*found);
  Remover(model, coupling, classes, slices).run();
  auto isSame = [](const std::vector<int64_t> &found, const std::vector<int64_t> &wanted) {
    return std::equal(found.begin(), found.end(), wanted.begin(), wanted.end(), [](int64_t a, int64_t b) { return a == b || a < 0 || b < 0; });
  };
  for (const auto &[name, dims] : inferShapes(model, inputs))
    if (auto found = expected.find(name); found != expected.end() && !isSame(dims, found->second)) {
      error = "value '" + name + "' would not have the shape that pruning expects";
      return false;
    }
  return true;
}

} // namespace onager::compress
