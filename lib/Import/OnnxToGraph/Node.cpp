// Inputs, outputs and attributes of one node.
#include "lib/Import/OnnxToGraph/Values.h"

namespace onager::frontend {

const Datum *Scope::find(llvm::StringRef name) const {
  for (const Scope *scope = this; scope; scope = scope->parent)
    if (auto it = scope->values.find(name); it != scope->values.end())
      return &it->second;
  return nullptr;
}

mlir::Value Node::in(unsigned index) {
  if (!has(index))
    return e.fail("input " + llvm::Twine(index) + " is missing");
  if (inputs[index].kind != Datum::tensor && inputs[index].kind != Datum::poisoned)
    return e.fail("input " + llvm::Twine(index) + " is a " + getForm(inputs[index]).toString() + ", expected a tensor");
  return inputs[index].value;
}

Values Node::ins() {
  Values values;
  for (unsigned k = 0; k < numInputs(); ++k)
    values.push_back(in(k));
  return values;
}

void Node::set(unsigned index, mlir::Value value) { setDatum(index, Datum::of(value)); }

void Node::setDatum(unsigned index, Datum datum) {
  if (index >= outputs.size())
    outputs.resize(index + 1);
  outputs[index] = std::move(datum);
}

bool checkRanks(Node &node, llvm::ArrayRef<std::pair<unsigned, int64_t>> ranks) {
  for (auto [index, rank] : ranks)
    if (mlir::Value input = node.opt(index); input && Emitter::rankOf(input) != rank) {
      node.e.fail("input " + llvm::Twine(index) + " has rank " + llvm::Twine(Emitter::rankOf(input)) + ", expected " + llvm::Twine(rank));
      return false;
    }
  return !node.e.hasFailed();
}

Values importAs(Node &node, llvm::StringRef op, int64_t opset, llvm::ArrayRef<mlir::Value> inputs) {
  if (node.e.hasFailed())
    return {mlir::Value()};
  Node other(node.importer, node.e, node.proto, node.scope, opset);
  for (mlir::Value input : inputs)
    other.inputs.push_back(input ? Datum::of(input) : Datum());
  while (!other.inputs.empty() && other.inputs.back().kind == Datum::absent)
    other.inputs.pop_back();
  OperatorTable::get().find("", op, opset)(other);
  Values results;
  for (const Datum &output : other.outputs)
    results.push_back(output.value);
  results.resize(std::max<size_t>(results.size(), 1));
  return results;
}

static const onnx::AttributeProto *findNamed(const onnx::NodeProto &proto, llvm::StringRef name) {
  for (const auto &attribute : proto.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

const onnx::AttributeProto *Node::resolve(const onnx::AttributeProto &attribute) const {
  return attribute.ref_attr_name().empty() ? &attribute : scope.frame->attributes.lookup(attribute.ref_attr_name());
}

bool Node::hasAttribute(llvm::StringRef name) {
  const onnx::AttributeProto *attribute = findNamed(proto, name);
  return attribute && resolve(*attribute);
}

const onnx::AttributeProto *Node::find(llvm::StringRef name, onnx::AttributeProto::AttributeType type) {
  const onnx::AttributeProto *attribute = findNamed(proto, name);
  if (attribute)
    attribute = resolve(*attribute);
  if (!attribute)
    return nullptr;
  // Models from before IR version 2 leave the type out.
  if (attribute->type() != type && attribute->type() != onnx::AttributeProto::UNDEFINED) {
    e.fail("attribute '" + name + "' has the wrong type");
    return nullptr;
  }
  return attribute;
}

int64_t Node::getInt(llvm::StringRef name, int64_t otherwise) {
  const auto *attribute = find(name, onnx::AttributeProto::INT);
  return attribute ? attribute->i() : otherwise;
}

double Node::getFloat(llvm::StringRef name, double otherwise) {
  const auto *attribute = find(name, onnx::AttributeProto::FLOAT);
  return attribute ? attribute->f() : otherwise;
}

std::string Node::getString(llvm::StringRef name, llvm::StringRef otherwise) {
  const auto *attribute = find(name, onnx::AttributeProto::STRING);
  return attribute ? attribute->s() : otherwise.str();
}

std::optional<Ints> Node::getInts(llvm::StringRef name) {
  const auto *attribute = find(name, onnx::AttributeProto::INTS);
  if (!attribute)
    return std::nullopt;
  return Ints(attribute->ints().begin(), attribute->ints().end());
}

std::optional<std::vector<double>> Node::getFloats(llvm::StringRef name) {
  const auto *attribute = find(name, onnx::AttributeProto::FLOATS);
  if (!attribute)
    return std::nullopt;
  return std::vector<double>(attribute->floats().begin(), attribute->floats().end());
}

std::vector<std::string> Node::getStrings(llvm::StringRef name) {
  const auto *attribute = find(name, onnx::AttributeProto::STRINGS);
  if (!attribute)
    return {};
  return {attribute->strings().begin(), attribute->strings().end()};
}

const onnx::TensorProto *Node::getTensor(llvm::StringRef name) {
  const auto *attribute = find(name, onnx::AttributeProto::TENSOR);
  return attribute && attribute->has_t() ? &attribute->t() : nullptr;
}

const onnx::GraphProto *Node::getGraph(llvm::StringRef name) {
  const auto *attribute = find(name, onnx::AttributeProto::GRAPH);
  return attribute && attribute->has_g() ? &attribute->g() : nullptr;
}

} // namespace onager::frontend
