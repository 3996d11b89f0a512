// Compiled with exceptions: ONNX's schema functions throw, nothing leaves this file.
#include "lib/Import/Reader/Schemas.h"
#include "onnx/defs/function.h"
#include "onnx/defs/schema.h"
#include <set>

namespace onager::frontend {

static const onnx::OpSchema *findSchema(const std::string &domain, const std::string &op, int64_t opset) {
  return onnx::OpSchemaRegistry::Schema(op, static_cast<int>(opset), domain == "ai.onnx" ? "" : domain);
}

/// "tensor(float)" and "seq(tensor(float))" are of element type float.
static std::string getElementName(const std::string &type) {
  size_t begin = type.rfind('('), end = type.find(')', begin == std::string::npos ? 0 : begin);
  return begin == std::string::npos || end == std::string::npos ? type : type.substr(begin + 1, end - begin - 1);
}

std::vector<SchemaInfo> listSchemas() {
  std::vector<SchemaInfo> list;
  try {
    for (const onnx::OpSchema &schema : onnx::OpSchemaRegistry::get_all_schemas_with_history()) {
      SchemaInfo info{schema.domain(), schema.Name(), schema.SinceVersion(), schema.HasFunction() || schema.HasContextDependentFunction(), {}};
      std::set<std::string> types;
      for (const auto &input : schema.inputs())
        for (const std::string *type : input.GetTypes())
          types.insert(getElementName(*type));
      info.types.assign(types.begin(), types.end());
      list.push_back(std::move(info));
    }
  } catch (const std::exception &) {
    return list;
  }
  return list;
}

bool hasSchema(const std::string &domain, const std::string &op, int64_t opset) {
  try {
    return findSchema(domain, op, opset) != nullptr;
  } catch (const std::exception &) {
    return false;
  }
}

std::string checkNode(const onnx::NodeProto &node, int64_t opset) {
  try {
    const onnx::OpSchema *schema = findSchema(node.domain(), node.op_type(), opset);
    if (!schema)
      return "";
    for (const auto &attribute : node.attribute())
      if (!schema->attributes().count(attribute.name()))
        return "attribute '" + attribute.name() + "' is not known";
    if (node.input_size() > schema->max_input())
      return std::to_string(node.input_size()) + " inputs, expected at most " + std::to_string(schema->max_input());
    if (node.output_size() > schema->max_output())
      return std::to_string(node.output_size()) + " outputs, expected at most " + std::to_string(schema->max_output());
  } catch (const std::exception &) {
    return "";
  }
  return "";
}

/// Contributed operators have no schema here; those that move elements move strings, one splits them, and one hashes them.
static bool takesContributedStrings(const onnx::NodeProto &node) {
  static const std::set<std::string> names{"ExpandDims", "GatherND", "MurmurHash3", "Tokenizer", "UnfoldTensor"};
  return node.domain() == "com.microsoft" && names.count(node.op_type());
}

bool acceptsStrings(const onnx::NodeProto &node, int64_t opset, int input) {
  if (takesContributedStrings(node))
    return input == 0;
  try {
    const onnx::OpSchema *schema = findSchema(node.domain(), node.op_type(), opset);
    if (!schema || schema->inputs().empty())
      return false;
    // The last formal input stands for all behind it where it is variadic.
    const auto &formal = schema->inputs()[std::min(static_cast<size_t>(input), schema->inputs().size() - 1)];
    for (const std::string *type : formal.GetTypes())
      if (type->find("string") != std::string::npos)
        return true;
    return false;
  } catch (const std::exception &) {
    return false;
  }
}

int64_t getNewestOpset() {
  try {
    return onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second;
  } catch (const std::exception &) {
    return 0;
  }
}

bool getFunctionBody(const onnx::NodeProto &node, int64_t opset, const std::vector<onnx::TypeProto> &inputTypes, onnx::NodeProto &filled,
                     onnx::FunctionProto &body) {
  try {
    const onnx::OpSchema *schema = findSchema(node.domain(), node.op_type(), opset);
    if (!schema)
      return false;
    filled = node;
    for (const auto &[name, attribute] : schema->attributes()) {
      bool isGiven = false;
      for (const auto &given : node.attribute())
        isGiven |= given.name() == name;
      if (!isGiven && attribute.default_value.type() != onnx::AttributeProto::UNDEFINED) {
        auto *added = filled.add_attribute();
        *added = attribute.default_value;
        added->set_name(name);
      }
    }
    if (schema->HasContextDependentFunction()) {
      onnx::FunctionBodyBuildContextImpl context(filled, inputTypes);
      if (schema->BuildContextDependentFunction(context, body, static_cast<int>(opset)))
        return true;
    }
    if (!schema->HasFunction())
      return false;
    const onnx::FunctionProto *found = schema->GetFunction(static_cast<int>(opset));
    if (found)
      body = *found;
    return found != nullptr;
  } catch (const std::exception &) {
    return false;
  }
}

} // namespace onager::frontend
