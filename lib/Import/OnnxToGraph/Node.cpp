// Operands and attributes of a node.
#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::import {

Node::Node(Importer &importer, const onnx::NodeProto &proto, const Scope &scope, int version) : importer(importer), proto(proto), scope(scope), version(version) {
  for (const std::string &name : proto.input())
    inputs.push_back(name.empty() ? Value() : scope.find(name));
  while (!inputs.empty() && !inputs.back())
    inputs.pop_back();
}

Value Node::in(size_t k) const {
  if (!has(k))
    refuse("operand " + std::to_string(k) + " is missing");
  return inputs[k];
}

const onnx::AttributeProto *Node::attribute(const std::string &name) const {
  for (const onnx::AttributeProto &attribute : proto.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

/// Refuses attributes of another type than expected; files without types (IR version 1) pass.
static void checkType(const onnx::AttributeProto &attribute, onnx::AttributeProto::AttributeType expected) {
  if (attribute.type() != onnx::AttributeProto::UNDEFINED && attribute.type() != expected)
    refuse("attribute '" + attribute.name() + "' has type " + onnx::AttributeProto::AttributeType_Name(attribute.type()) + ", expected " +
           onnx::AttributeProto::AttributeType_Name(expected));
}

int64_t Node::integer(const std::string &name, int64_t otherwise) const {
  const onnx::AttributeProto *found = attribute(name);
  if (!found)
    return otherwise;
  checkType(*found, onnx::AttributeProto::INT);
  return found->i();
}

double Node::real(const std::string &name, double otherwise) const {
  const onnx::AttributeProto *found = attribute(name);
  if (!found)
    return otherwise;
  checkType(*found, onnx::AttributeProto::FLOAT);
  return found->f();
}

std::string Node::text(const std::string &name, const std::string &otherwise) const {
  const onnx::AttributeProto *found = attribute(name);
  if (!found)
    return otherwise;
  checkType(*found, onnx::AttributeProto::STRING);
  return found->s();
}

std::optional<llvm::SmallVector<int64_t>> Node::integers(const std::string &name) const {
  const onnx::AttributeProto *found = attribute(name);
  if (!found)
    return std::nullopt;
  checkType(*found, onnx::AttributeProto::INTS);
  return llvm::SmallVector<int64_t>(found->ints().begin(), found->ints().end());
}

llvm::SmallVector<double> Node::reals(const std::string &name) const {
  const onnx::AttributeProto *found = attribute(name);
  if (!found)
    return {};
  return llvm::SmallVector<double>(found->floats().begin(), found->floats().end());
}

llvm::SmallVector<std::string> Node::texts(const std::string &name) const {
  const onnx::AttributeProto *found = attribute(name);
  if (!found)
    return {};
  return llvm::SmallVector<std::string>(found->strings().begin(), found->strings().end());
}

} // namespace onager::import
