// Scales and zero points as inputs.
#include "lib/Compress/Adjustable.h"

namespace onager::compress {

namespace {

class Adjuster {
public:
  Adjuster(ModelGraph &model, const std::vector<std::string> &values) : model(model) {
    for (size_t k = 0; k < values.size(); ++k)
      places[values[k]] = k;
  }

  void run() {
    for (const onnx::NodeProto &node : model.graph().node()) {
      onnx::NodeProto copy = node;
      if (node.op_type() == "QuantizeLinear" && places.count(node.input(0)))
        adjustRounding(copy);
      else if (auto found = rounded.find(node.op_type() == "DequantizeLinear" ? node.input(0) : ""); found != rounded.end())
        setOperands(copy, found->second);
      nodes.push_back(std::move(copy));
    }
    model.setNodes(std::move(nodes));
    addInput(kScales, onnx::TensorProto::FLOAT);
    addInput(kZeroPoints, onnx::TensorProto::UINT8);
    model.clean();
  }

private:
  struct Operands {
    std::string scale, zero;
  };

  static void setOperands(onnx::NodeProto &node, const Operands &operands) {
    node.set_input(1, operands.scale);
    node.set_input(2, operands.zero);
  }

  void adjustRounding(onnx::NodeProto &node) {
    auto place = static_cast<int64_t>(places.at(node.input(0)));
    std::string index = model.addConstant("place", {}, onnx::TensorProto::INT64, std::string(reinterpret_cast<const char *>(&place), sizeof(place)));
    Operands operands{gather(kScales, index), gather(kZeroPoints, index)};
    setOperands(node, operands);
    rounded[node.output(0)] = operands;
  }

  std::string gather(const std::string &input, const std::string &index) {
    onnx::NodeProto &node = nodes.emplace_back();
    node.set_op_type("Gather");
    node.add_input(input);
    node.add_input(index);
    node.add_output(model.makeName("gathered"));
    return node.output(0);
  }

  void addInput(const char *name, int32_t dtype) {
    onnx::ValueInfoProto *input = model.graph().add_input();
    input->set_name(name);
    onnx::TypeProto::Tensor *type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(dtype);
    type->mutable_shape()->add_dim()->set_dim_value(static_cast<int64_t>(places.size()));
  }

  ModelGraph &model;
  std::map<std::string, size_t> places;
  std::map<std::string, Operands> rounded; ///< by the bytes' name
  std::vector<onnx::NodeProto> nodes;
};

} // namespace

void makeAdjustable(ModelGraph &model, const std::vector<std::string> &values) { Adjuster(model, values).run(); }

} // namespace onager::compress
