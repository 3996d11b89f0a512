// The walk: scopes, versions, functions, and what happens to nodes that cannot be imported.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <onnx/defs/function.h>
#include <onnx/defs/schema.h>

using namespace mlir;

namespace onager::import {

void refuse(const std::string &reason) { throw Refusal{reason}; }

Value Scope::find(const std::string &name) const {
  for (const Scope *scope = this; scope; scope = scope->parent) {
    if (auto found = scope->values.find(name); found != scope->values.end())
      return found->second;
    if (auto failed = scope->reasons.find(name); failed != scope->reasons.end())
      refuse(failed->second);
  }
  refuse("value '" + name + "' is not defined before its use");
}

Importer::Importer(MLIRContext &context, const std::string &folder) : b(UnknownLoc::get(&context), &context), folder(folder) {}

int Importer::versionOf(const std::string &domain, const std::string &op) {
  auto found = opsets.find(domain == "ai.onnx" ? "" : domain);
  return found == opsets.end() ? 0 : static_cast<int>(found->second);
}

static std::string normalDomain(const std::string &domain) { return domain == "ai.onnx" ? "" : domain; }

void Importer::importNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, Scope &scope) {
  // Exporters may leave nodes out of order: repeat over what waits for its operands.
  std::vector<const onnx::NodeProto *> waiting;
  for (const onnx::NodeProto &node : nodes)
    waiting.push_back(&node);
  auto isDefined = [&](const std::string &name) {
    for (const Scope *s = &scope; s; s = s->parent)
      if (s->values.count(name) || s->reasons.count(name))
        return true;
    return name.empty();
  };
  while (!waiting.empty()) {
    std::vector<const onnx::NodeProto *> later;
    for (const onnx::NodeProto *node : waiting) {
      bool ready = llvm::all_of(node->input(), isDefined);
      if (ready)
        importNode(*node, scope);
      else
        later.push_back(node);
    }
    if (later.size() == waiting.size()) {
      for (const onnx::NodeProto *node : later)
        importNode(*node, scope);
      return;
    }
    waiting = std::move(later);
  }
}

void Importer::importNode(const onnx::NodeProto &proto, Scope &scope) {
  std::string name = !proto.name().empty() ? proto.name() : proto.output_size() ? proto.output(0) : proto.op_type();
  Location outer = b.getLoc();
  b.setLoc(NameLoc::get(b.getStringAttr(name)));
  int version = versionOf(normalDomain(proto.domain()), proto.op_type());
  std::string reason;
  try {
    Node node(*this, proto, scope, version);
    importOperator(node);
    for (int k = 0; k < proto.output_size() && k < static_cast<int>(node.outputs.size()); ++k)
      if (!proto.output(k).empty() && node.outputs[k])
        scope.values[proto.output(k)] = node.outputs[k];
    for (const std::string &output : proto.output())
      if (!output.empty() && !scope.values.count(output))
        reason = "output '" + output + "' is not supported";
  } catch (const Refusal &refusal) {
    reason = refusal.reason;
  } catch (const std::exception &error) {
    reason = error.what();
  }
  b.setLoc(outer);
  if (reason.empty())
    return;
  for (const std::string &output : proto.output())
    if (!output.empty() && !scope.values.count(output))
      scope.reasons[output] = "\x01";
  // A node behind a refused one says nothing new.
  if (reason == "\x01")
    return;
  std::string domain = proto.domain().empty() ? "ai.onnx" : proto.domain();
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  errors.push_back("node '" + name + "' (" + proto.op_type() + ", domain " + domain + ", opset " + std::to_string(version) + "): " + reason);
}

void Importer::importOperator(Node &node) {
  if (++depth > 200) {
    depth = 0;
    refuse("functions are nested too deeply");
  }
  struct Leave {
    int &depth;
    ~Leave() { --depth; }
  } leave{depth};
  SmallVector<int64_t> shape;
  Type element;
  if (std::optional<Dims> folded = foldContents(node, shape, element)) {
    node.out(makeTensor(*folded, shape, element));
    return;
  }
  std::string domain = normalDomain(node.proto.domain());
  auto found = getTable().find({domain, node.proto.op_type()});
  bool local = functions.count({node.proto.domain(), node.proto.op_type()});
  if (!local && found != getTable().end())
    return found->second(node);
  if (!resolveFunction(node))
    refuse("the operator is not supported");
}

/// Attributes of the call, completed by the schema's defaults.
static onnx::NodeProto withDefaults(const onnx::NodeProto &node, const onnx::OpSchema &schema) {
  onnx::NodeProto complete = node;
  for (const auto &[name, attribute] : schema.attributes()) {
    bool present = llvm::any_of(node.attribute(), [&, &name = name](const onnx::AttributeProto &a) { return a.name() == name; });
    if (!present && attribute.default_value.type() != onnx::AttributeProto::UNDEFINED) {
      *complete.add_attribute() = attribute.default_value;
      complete.mutable_attribute(complete.attribute_size() - 1)->set_name(name);
    }
  }
  return complete;
}

bool Importer::resolveFunction(Node &node) {
  auto local = functions.find({node.proto.domain(), node.proto.op_type()});
  if (local != functions.end()) {
    node.outputs = inlineFunction(node, *local->second);
    return true;
  }
  std::string domain = normalDomain(node.proto.domain());
  const onnx::OpSchema *schema = onnx::OpSchemaRegistry::Schema(node.proto.op_type(), node.version, domain);
  if (!schema)
    return false;
  onnx::NodeProto complete = withDefaults(node.proto, *schema);
  onnx::FunctionProto body;
  if (schema->HasFunction()) {
    if (!schema->GetFunction(node.version) && !schema->GetFunction())
      return false;
    body = *(schema->GetFunction(node.version) ? schema->GetFunction(node.version) : schema->GetFunction());
  } else if (schema->HasContextDependentFunction()) {
    std::vector<onnx::TypeProto> types;
    for (Value input : node.inputs)
      types.push_back(input ? typeProtoOf(input) : onnx::TypeProto());
    onnx::FunctionBodyBuildContextImpl context(complete, types);
    if (!schema->BuildContextDependentFunction(context, body, node.version))
      return false;
  } else {
    return false;
  }
  Node call(*this, complete, node.scope, node.version);
  std::map<std::string, int64_t> outer = opsets;
  node.outputs = inlineFunction(call, body);
  opsets = outer;
  return true;
}

/// Replaces references to the function's attributes by the call's, in subgraphs, too.
static void substitute(onnx::NodeProto &node, const onnx::NodeProto &call, const onnx::FunctionProto &function) {
  google::protobuf::RepeatedPtrField<onnx::AttributeProto> attributes;
  for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
    if (attribute.has_g())
      for (onnx::NodeProto &inner : *attribute.mutable_g()->mutable_node())
        substitute(inner, call, function);
    if (attribute.ref_attr_name().empty()) {
      *attributes.Add() = attribute;
      continue;
    }
    const onnx::AttributeProto *value = nullptr;
    for (const onnx::AttributeProto &given : call.attribute())
      if (given.name() == attribute.ref_attr_name())
        value = &given;
    for (const onnx::AttributeProto &otherwise : function.attribute_proto())
      if (!value && otherwise.name() == attribute.ref_attr_name())
        value = &otherwise;
    if (!value)
      continue;
    *attributes.Add() = *value;
    attributes.Mutable(attributes.size() - 1)->set_name(attribute.name());
  }
  node.mutable_attribute()->Swap(&attributes);
}

SmallVector<Value> Importer::inlineFunction(Node &node, const onnx::FunctionProto &function) {
  std::map<std::string, int64_t> outer = opsets;
  for (const onnx::OperatorSetIdProto &import : function.opset_import())
    opsets[normalDomain(import.domain())] = import.version();
  Scope scope;
  for (int k = 0; k < function.input_size(); ++k)
    scope.values[function.input(k)] = static_cast<size_t>(k) < node.inputs.size() ? node.inputs[k] : Value();
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes = function.node();
  for (onnx::NodeProto &inner : nodes) {
    substitute(inner, node.proto, function);
    for (std::string &input : *inner.mutable_input())
      if (auto found = scope.values.find(input); found != scope.values.end() && !found->second)
        input.clear();
  }
  size_t before = errors.size();
  importNodes(nodes, scope);
  opsets = outer;
  if (errors.size() > before) {
    std::string reason = errors[before];
    errors.resize(before);
    refuse("in its function body: " + reason);
  }
  SmallVector<Value> results;
  for (int k = 0; k < function.output_size(); ++k)
    results.push_back(node.wants(k) ? scope.find(function.output(k)) : Value());
  return results;
}

void Importer::importInitializers(const onnx::GraphProto &graph, Scope &scope) {
  for (const onnx::TensorProto &tensor : graph.initializer())
    try {
      if (scope.values.count(tensor.name()))
        refuse("the name is defined twice");
      scope.values[tensor.name()] = constant(tensor);
    } catch (const Refusal &refusal) {
      scope.reasons[tensor.name()] = "\x01";
      errors.push_back("initializer '" + tensor.name() + "': " + refusal.reason);
    }
  for (const onnx::SparseTensorProto &sparse : graph.sparse_initializer())
    try {
      const onnx::TensorProto &values = sparse.values();
      Value data = constant(values), positions = constant(sparse.indices());
      Dims dims;
      for (int64_t dim : sparse.dims())
        dims.push_back(c(dim));
      AffineExpr count = graph::getNumElements(b.getContext(), dims);
      Value flat = broadcastTo(scalar(elementOf(data), 0), {count});
      if (rankOf(positions) == 2) {
        Value strides;
        Dims weights(dims.size(), c(1));
        for (size_t k = dims.size(); k-- > 1;)
          weights[k - 1] = weights[k] * dims[k];
        strides = makeTensor(weights, {static_cast<int64_t>(weights.size())}, b.getI64Type());
        positions = squeeze(reduce(mul(positions, strides), graph::ReduceKind::sum, {1}), {1});
      }
      Value filled = graph::ScatterElementsOp::create(b, flat.getType(), flat, positions, data, 0, graph::ScatterKind::none);
      scope.values[values.name()] = reshape(filled, dims);
    } catch (const Refusal &refusal) {
      scope.reasons[sparse.values().name()] = "\x01";
      errors.push_back("sparse initializer '" + sparse.values().name() + "': " + refusal.reason);
    }
}

OwningOpRef<ModuleOp> Importer::importModel(const onnx::ModelProto &model, const ImportOptions &options) {
  for (const onnx::OperatorSetIdProto &import : model.opset_import())
    opsets[normalDomain(import.domain())] = import.version();
  for (const onnx::FunctionProto &function : model.functions())
    functions[{function.domain(), function.name()}] = &function;
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(b.getContext()));
  const onnx::GraphProto &graph = model.graph();
  std::set<std::string> initialized;
  for (const onnx::TensorProto &tensor : graph.initializer())
    initialized.insert(tensor.name());
  std::map<std::string, AffineExpr> names;
  SmallVector<Type> types;
  std::vector<std::string> inputs;
  for (const onnx::ValueInfoProto &input : graph.input()) {
    if (initialized.count(input.name()))
      continue;
    try {
      RankedTensorType type = tensorOf(input.type(), names);
      if (auto fixed = options.shapes.find(input.name()); fixed != options.shapes.end()) {
        if (static_cast<int64_t>(fixed->second.size()) != type.getRank())
          refuse("option shape has " + std::to_string(fixed->second.size()) + " dims, the input has " + std::to_string(type.getRank()));
        type = RankedTensorType::get(fixed->second, type.getElementType());
      }
      types.push_back(type);
      inputs.push_back(input.name());
    } catch (const Refusal &refusal) {
      errors.push_back("input '" + input.name() + "': " + refusal.reason);
    }
  }
  if (!errors.empty())
    return {};
  b.setInsertionPointToEnd(module->getBody());
  auto main = func::FuncOp::create(b, "main", b.getFunctionType(types, {}));
  b.setInsertionPointToStart(main.addEntryBlock());
  Scope scope;
  for (auto [k, name] : llvm::enumerate(inputs)) {
    if (scope.values.count(name))
      errors.push_back("input '" + name + "': the name is defined twice");
    scope.values[name] = main.getArgument(k);
    main.setArgAttr(k, "graph.name", b.getStringAttr(name));
  }
  importInitializers(graph, scope);
  importNodes(graph.node(), scope);
  SmallVector<Value> results;
  for (const onnx::ValueInfoProto &output : graph.output())
    try {
      results.push_back(scope.find(output.name()));
    } catch (const Refusal &refusal) {
      if (refusal.reason != "\x01")
        errors.push_back("output '" + output.name() + "': " + refusal.reason);
    }
  if (!errors.empty())
    return {};
  func::ReturnOp::create(b, results);
  main.setType(b.getFunctionType(types, ValueRange(results).getTypes()));
  for (auto [k, output] : llvm::enumerate(graph.output()))
    main.setResultAttr(k, "graph.name", b.getStringAttr(output.name()));
  SmallVector<StringRef> symbolNames(symbols.begin(), symbols.end());
  main->setAttr("graph.symbols", b.getStrArrayAttr(symbolNames));
  return module;
}

const std::map<std::pair<std::string, std::string>, ImportFn> &getTable() {
  static const auto table = [] {
    std::map<std::pair<std::string, std::string>, ImportFn> entries;
    registerElementwise(entries);
    registerMovement(entries);
    registerIndexing(entries);
    registerReduction(entries);
    registerContraction(entries);
    registerWindow(entries);
    registerNormalization(entries);
    registerRecurrent(entries);
    registerQuantization(entries);
    registerControl(entries);
    return entries;
  }();
  return table;
}

} // namespace onager::import
