// ONNX's shape inference on a copy of the model without large constants.
#include "lib/Compress/Prune/Shapes.h"
#include "onnx/shape_inference/implementation.h"
#include <algorithm>

namespace onager::compress {

namespace {

class Inference {
public:
  Inference(const ModelGraph &model, const Shapes &inputs) : given(inputs) {
    const onnx::ModelProto &proto = model.proto();
    copy.set_ir_version(proto.ir_version());
    *copy.mutable_opset_import() = proto.opset_import();
    *copy.mutable_functions() = proto.functions();
    onnx::GraphProto &graph = *copy.mutable_graph();
    graph.set_name("shapes");
    *graph.mutable_node() = proto.graph().node();
    for (const onnx::TensorProto &tensor : proto.graph().initializer())
      addConstant(tensor);
    for (const onnx::ValueInfoProto &input : proto.graph().input())
      if (!constants.count(input.name()))
        *graph.add_input() = bindDims(input);
    for (const onnx::ValueInfoProto &output : proto.graph().output()) {
      onnx::ValueInfoProto *own = graph.add_output();
      own->set_name(output.name());
      own->mutable_type()->mutable_tensor_type()->set_elem_type(output.type().tensor_type().elem_type());
    }
  }

  Shapes run() {
    // A node without a schema ends the inference behind it: what is known of it is added, and what follows inferred again.
    do
      infer();
    while (addContributed());
    for (const onnx::TensorProto &tensor : copy.graph().initializer())
      shapes[tensor.name()] = {tensor.dims().begin(), tensor.dims().end()};
    for (const onnx::NodeProto &node : copy.graph().node())
      if (node.op_type() == "Constant" && node.attribute_size() == 1 && node.attribute(0).name() == "value")
        shapes[node.output(0)] = {node.attribute(0).t().dims().begin(), node.attribute(0).t().dims().end()};
    return std::move(shapes);
  }

private:
  void addConstant(const onnx::TensorProto &tensor) {
    constexpr int64_t kLarge = 1024;
    int64_t count = 1;
    for (int64_t extent : tensor.dims()) {
      count *= extent;
      extents.insert(extent);
    }
    constants.insert(tensor.name());
    if (count <= kLarge) {
      *copy.mutable_graph()->add_initializer() = tensor;
      return;
    }
    onnx::ValueInfoProto *input = copy.mutable_graph()->add_input();
    input->set_name(tensor.name());
    auto *type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(tensor.data_type());
    for (int64_t extent : tensor.dims())
      type->mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::ValueInfoProto bindDims(onnx::ValueInfoProto input) {
    if (!input.type().has_tensor_type() || !input.type().tensor_type().has_shape())
      return input;
    auto found = given.find(input.name());
    auto *shape = input.mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int axis = 0; axis < shape->dim_size(); ++axis) {
      auto *dim = shape->mutable_dim(axis);
      if (dim->has_dim_value())
        continue;
      std::string symbol = dim->has_dim_param() ? dim->dim_param() : input.name() + " " + std::to_string(axis);
      bool isGiven = found != given.end() && axis < static_cast<int>(found->second.size());
      dim->set_dim_value(isGiven ? found->second[static_cast<size_t>(axis)] : getPrime(symbol));
    }
    return input;
  }

  int64_t getPrime(const std::string &symbol) {
    auto [found, isNew] = primes.try_emplace(symbol, 0);
    for (int64_t k = 37; isNew && !found->second; k += 2) {
      bool isFree = !extents.count(k);
      for (int64_t d = 3; d * d <= k; d += 2)
        isFree &= k % d != 0;
      if (isFree) {
        extents.insert(k);
        found->second = k;
      }
    }
    return found->second;
  }

  void infer() {
    try {
      onnx::shape_inference::InferShapes(copy, onnx::OpSchemaRegistry::Instance(), onnx::ShapeInferenceOptions(false, 0, true));
    } catch (const std::exception &) {
      // What was found until then is used; the rest has no shape.
    }
    for (const auto *infos : {&copy.graph().value_info(), &copy.graph().input(), &copy.graph().output()})
      for (const onnx::ValueInfoProto &info : *infos)
        if (info.type().tensor_type().has_shape()) {
          std::vector<int64_t> dims;
          for (const auto &dim : info.type().tensor_type().shape().dim())
            dims.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
          shapes[info.name()] = std::move(dims);
        }
  }

  const std::vector<int64_t> *find(const onnx::NodeProto &node, int input) const {
    auto found = node.input_size() > input ? shapes.find(node.input(input)) : shapes.end();
    return found == shapes.end() ? nullptr : &found->second;
  }

  std::optional<std::vector<int64_t>> inferContributed(const onnx::NodeProto &node) const {
    static const std::set<std::string> kSame = {"BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization"};
    const std::vector<int64_t> *first = find(node, 0);
    if (!first)
      return std::nullopt;
    if (kSame.count(node.op_type()))
      return *first;
    bool isAttention = node.op_type() == "Attention", isMany = node.op_type() == "MultiHeadAttention" || node.op_type() == "GroupQueryAttention";
    const std::vector<int64_t> *second = isAttention ? find(node, 1) : isMany ? find(node, 2) : nullptr;
    if (!second || first->size() != 3 || second->empty())
      return std::nullopt;
    std::vector<int64_t> dims = *first;
    bool isPlain = std::none_of(node.attribute().begin(), node.attribute().end(), [](const auto &attribute) { return attribute.name() == "qkv_hidden_sizes"; });
    if (isAttention)
      dims[2] = isPlain ? second->back() / 3 : -1;
    return dims;
  }

  void addShape(const std::string &value, const std::vector<int64_t> &dims) {
    onnx::ValueInfoProto *info = copy.mutable_graph()->add_value_info();
    info->set_name(value);
    auto *type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape();
    for (int64_t extent : dims) {
      auto *dim = type->mutable_shape()->add_dim();
      if (extent >= 0)
        dim->set_dim_value(extent);
    }
    shapes[value] = dims;
  }

  bool addContributed() {
    bool isAny = false;
    for (const onnx::NodeProto &node : copy.graph().node()) {
      if (node.domain() != "com.microsoft" && node.op_type() != "SimplifiedLayerNormalization")
        continue;
      if (node.output_size() == 0 || shapes.count(node.output(0)))
        continue;
      std::optional<std::vector<int64_t>> dims = inferContributed(node);
      if (!dims)
        continue;
      // Where a norm adds first, the sum is the fourth output.
      if (node.op_type().compare(0, 4, "Skip") == 0 && node.output_size() > 3 && !node.output(3).empty())
        addShape(node.output(3), *dims);
      addShape(node.output(0), *dims);
      isAny = true;
    }
    return isAny;
  }

  const Shapes &given;
  onnx::ModelProto copy;
  Shapes shapes;
  std::set<std::string> constants;
  std::set<int64_t> extents;
  std::map<std::string, int64_t> primes;
};

} // namespace

Shapes inferShapes(const ModelGraph &model, const Shapes &inputs) { return Inference(model, inputs).run(); }

} // namespace onager::compress
