// The walk over a model: nodes in order, each through its import function or its function body.
#include "lib/Import/OnnxToGraph/CustomOperators.h"
#include "lib/Import/OnnxToGraph/Functions.h"
#include "lib/Import/OnnxToGraph/Values.h"
#include "lib/Import/Reader/Schemas.h"
#include "lib/Import/Reader/SortNodes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace onager::frontend {

/// More errors than this are not listed.
static constexpr size_t kMaxErrors = 1000;

static StringRef getDomain(StringRef domain) { return domain == "ai.onnx" ? "" : domain; }

Importer::Importer(LoadedModel &model, const ImportOptions &options, MLIRContext &context, ImportResult &result)
    : model(model), options(options), context(context), result(result), builder(&context), symbols(&context), e(builder, symbols) {}

void Importer::report(const onnx::NodeProto &node, int64_t opset, std::string reason, bool isMalformed) {
  result.refused = true;
  if (result.errors.size() >= kMaxErrors)
    return;
  ImportError error;
  error.node = e.nodeName;
  error.op = node.op_type();
  error.domain = getDomain(node.domain()).empty() ? "ai.onnx" : node.domain();
  error.opset = opset;
  error.reason = std::move(reason);
  error.isMalformed = isMalformed;
  result.errors.push_back(std::move(error));
}

void Importer::reportFile(std::string reason) {
  if (result.errors.size() >= kMaxErrors)
    return;
  ImportError error;
  error.reason = std::move(reason);
  result.errors.push_back(std::move(error));
}

bool Importer::hasMalformed(ErrorMark mark) const {
  return llvm::any_of(ArrayRef(result.errors).drop_front(mark.count), [](const ImportError &error) { return error.isMalformed; });
}

std::string Importer::withdrawErrors(ErrorMark mark) {
  std::string first = result.errors.size() > mark.count ? result.errors[mark.count].toString() : "";
  result.errors.resize(mark.count);
  result.refused = mark.refused;
  return first;
}

const onnx::FunctionProto *Importer::findModelFunction(const onnx::NodeProto &node) const {
  return functions.lookup(getFunctionKey(node.domain(), node.op_type(), node.overload()));
}

/// Gathers a node's inputs; false where one hangs on a node that failed.
static bool gatherInputs(Node &node, bool &isPoisoned) {
  for (const std::string &name : node.proto.input()) {
    if (name.empty()) {
      node.inputs.emplace_back();
      continue;
    }
    const Datum *datum = node.scope.find(name);
    if (!datum) {
      node.e.fail("input '" + name + "' is not defined by any node before it");
      return false;
    }
    isPoisoned |= datum->kind == Datum::poisoned;
    node.inputs.push_back(*datum);
  }
  while (!node.inputs.empty() && node.inputs.back().kind == Datum::absent)
    node.inputs.pop_back();
  return true;
}

static std::string describeName(const onnx::NodeProto &proto) {
  if (!proto.name().empty())
    return proto.name();
  for (const std::string &output : proto.output())
    if (!output.empty())
      return output;
  return proto.op_type();
}

/// Fails where an operator that has no meaning for strings is given some: their numbers must not be computed with.
static void checkStrings(Node &node) {
  for (unsigned k = 0; k < node.numInputs(); ++k) {
    const Datum &datum = node.datum(k);
    bool isText = datum.kind == Datum::tensor && isa<graph::StringType>(Emitter::elementOf(datum.value));
    if (isText && !acceptsStrings(node.proto, node.opset, static_cast<int>(k)))
      node.e.fail("input " + Twine(k) + " has element type STRING, which the operator does not take");
  }
}

bool Importer::importKnown(Node &node, bool isPoisoned) {
  const onnx::NodeProto &proto = node.proto;
  std::string domain = getDomain(proto.domain()).str();
  bool isKnown = findModelFunction(proto) || OperatorTable::get().find(domain, proto.op_type(), node.opset) ||
                 hasSchema(domain, proto.op_type(), node.opset);
  if (!isKnown)
    e.fail("the operator is not known");
  else if (std::string reason = findModelFunction(proto) ? "" : checkNode(proto, node.opset); !reason.empty())
    e.fail(reason);
  bool isValid = !e.hasFailed();
  if (isValid && !isPoisoned && !findModelFunction(proto))
    checkStrings(node);
  if (!e.hasFailed() && !isPoisoned)
    dispatch(node);
  return isValid;
}

void Importer::importCustom(Node &node, const onager_operator &op) {
  if (DictionaryAttr record = importCustomOperator(node, op, static_cast<int64_t>(operators.size())))
    operators.push_back(record);
}

void Importer::importNode(const onnx::NodeProto &proto, Scope &scope) {
  // Nodes of a function body speak under the name of the node that called it.
  if (!scope.frame->isFunction) {
    e.nodeName = llvm::json::fixUTF8(describeName(proto)); // it ends in messages and reports
    e.location = NameLoc::get(builder.getStringAttr(e.nodeName));
  }
  std::string domain = getDomain(proto.domain()).str();
  auto opset = scope.frame->opsets.find(domain);
  Node node(*this, e, proto, scope, opset == scope.frame->opsets.end() ? 0 : opset->second);
  bool isPoisoned = false;
  gatherInputs(node, isPoisoned);
  if (node.opset == 0 && !findModelFunction(proto))
    e.fail("the model imports no operator set of domain '" + domain + "'");
  const onager_operator *custom = findCustomOperator(options.operators, domain, proto.op_type(), node.opset);
  bool isValid = true;
  if (!custom)
    isValid = importKnown(node, isPoisoned);
  else if (!isPoisoned && !e.hasFailed())
    importCustom(node, *custom);
  if (node.isLast && !e.hasFailed())
    return;
  bool failed = e.hasFailed();
  if (failed)
    report(proto, node.opset, e.takeReason(), !isValid);
  for (int k = 0; k < proto.output_size(); ++k) {
    if (proto.output(k).empty())
      continue;
    bool isSet = static_cast<size_t>(k) < node.outputs.size() && !failed && !isPoisoned;
    Datum datum = isSet ? node.outputs[k] : failed || isPoisoned ? Datum::poison() : Datum();
    if (!scope.values.try_emplace(proto.output(k), datum).second)
      report(proto, node.opset, "output '" + proto.output(k) + "' is defined twice", /*isMalformed=*/true);
  }
}

static void describeForm(const Form &form, onnx::TypeProto &type) {
  if (form.kind == Datum::optional)
    return describeForm(form.inner[0], *type.mutable_optional_type()->mutable_elem_type());
  if (form.kind == Datum::ragged) {
    auto *element = type.mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type();
    return element->set_elem_type(form.element ? toOnnxElementType(form.element) : onnx::TensorProto::FLOAT);
  }
  if (form.kind != Datum::tensor)
    return;
  auto *tensor = type.mutable_tensor_type();
  tensor->set_elem_type(toOnnxElementType(form.element));
  auto *shape = tensor->mutable_shape();
  for (AffineExpr dim : form.dims) {
    auto *added = shape->add_dim();
    if (std::optional<int64_t> extent = graph::getConstant(dim))
      added->set_dim_value(*extent);
  }
}

static std::vector<onnx::TypeProto> describeInputs(Node &node) {
  std::vector<onnx::TypeProto> types(node.proto.input_size());
  for (auto [k, datum] : llvm::enumerate(node.inputs))
    describeForm(getForm(datum), types[k]);
  return types;
}

void Importer::dispatch(Node &node) {
  if (const onnx::FunctionProto *function = findModelFunction(node.proto))
    return importFunction(node, node.proto, *function);
  if (ImportFunction function = OperatorTable::get().find(getDomain(node.proto.domain()), node.proto.op_type(), node.opset)) {
    function(node);
    for (unsigned k = 0; !node.isLast && k < node.numOutputs() && !e.hasFailed(); ++k)
      if (node.wants(k) && k >= node.outputs.size())
        e.fail("output " + Twine(k) + " is not supported");
    return;
  }
  importBody(node);
}

void Importer::importBody(Node &node) {
  // Schemas build some bodies from attribute values: references to the caller's attributes are resolved first.
  onnx::NodeProto resolved = node.proto;
  resolved.clear_attribute();
  for (const auto &attribute : node.proto.attribute()) {
    const onnx::AttributeProto *given = node.resolve(attribute);
    if (!given)
      continue;
    onnx::AttributeProto &added = *resolved.add_attribute();
    added = *given;
    added.set_name(attribute.name());
  }
  auto call = std::make_shared<onnx::NodeProto>();
  auto body = std::make_shared<onnx::FunctionProto>();
  if (!getFunctionBody(resolved, node.opset, describeInputs(node), *call, *body)) {
    e.fail("the operator is not supported");
    return;
  }
  bodies.push_back(body);
  calls.push_back(call);
  importFunction(node, *call, *body);
}

void Importer::importFunction(Node &node, const onnx::NodeProto &call, const onnx::FunctionProto &body) {
  FunctionFrame frame;
  frame.isFunction = true;
  frame.depth = node.scope.frame->depth + 1;
  if (frame.depth > kMaxFunctionDepth) {
    e.fail("functions are nested more than " + Twine(kMaxFunctionDepth) + " deep");
    return;
  }
  frame.opsets = node.scope.frame->opsets;
  for (const auto &opset : body.opset_import())
    frame.opsets[getDomain(opset.domain())] = opset.version();
  for (const auto &attribute : body.attribute_proto())
    frame.attributes[attribute.name()] = &attribute;
  for (const auto &attribute : call.attribute())
    if (const onnx::AttributeProto *given = node.resolve(attribute))
      frame.attributes[attribute.name()] = given;
  Scope scope;
  scope.frame = &frame;
  for (int k = 0; k < body.input_size(); ++k)
    scope.values[body.input(k)] = static_cast<size_t>(k) < node.inputs.size() ? node.inputs[k] : Datum();
  scope.results.assign(body.output().begin(), body.output().end());
  size_t errors = countErrors();
  importNodes(body.node(), scope);
  bool isWhole = countErrors() == errors;
  for (int k = 0; k < body.output_size(); ++k) {
    auto it = scope.values.find(body.output(k));
    bool isFound = it != scope.values.end();
    if (!isFound && isWhole && node.wants(static_cast<unsigned>(k)))
      e.fail("the function does not define its output '" + body.output(k) + "'");
    node.setDatum(static_cast<unsigned>(k), isFound ? it->second : Datum::poison());
  }
}

void Importer::importNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, Scope &scope, int first) {
  scope.nodes = &nodes;
  for (scope.next = first; scope.next < nodes.size();) {
    Location location = e.location;
    std::string name = e.nodeName;
    importNode(nodes.Get(scope.next++), scope);
    e.location = location;
    e.nodeName = name;
  }
}

std::vector<Datum> Importer::importSubgraph(const onnx::GraphProto &graph, Scope &scope) {
  importWeights(graph, scope);
  return importWithoutWeights(graph, scope);
}

std::vector<Datum> Importer::importWithoutWeights(const onnx::GraphProto &graph, Scope &scope) {
  for (const auto &output : graph.output())
    scope.results.push_back(output.name());
  importNodes(graph.node(), scope);
  std::vector<Datum> outputs;
  if (scope.taker && scope.taker->isLast)
    return outputs;
  for (const auto &output : graph.output()) {
    const Datum *datum = scope.find(output.name());
    if (!datum)
      e.fail("subgraph output '" + output.name() + "' is not defined");
    outputs.push_back(datum ? *datum : Datum::poison());
  }
  return outputs;
}

void Importer::importInitializers(const onnx::GraphProto &graph, Scope &scope, bool isMain) {
  auto define = [&](const std::string &name, Value value) {
    bool failed = e.hasFailed();
    if (failed)
      reportFile("initializer '" + name + "': " + e.takeReason());
    else if (scope.values.count(name))
      reportFile("initializer '" + name + "' is defined twice");
    scope.values[name] = failed ? Datum::poison() : Datum::of(value);
  };
  for (int k = 0; k < graph.initializer_size(); ++k) {
    bool hasRaw = isMain && static_cast<size_t>(k) < model.rawData.size();
    const onnx::TensorProto &tensor = graph.initializer(k);
    e.location = NameLoc::get(builder.getStringAttr(llvm::json::fixUTF8(tensor.name())));
    // A type that ONNX knows is a model's right, and ours to refuse; others are damage.
    result.refused |= tensor.data_type() != onnx::TensorProto::UNDEFINED && onnx::TensorProto::DataType_IsValid(tensor.data_type()) &&
                      !convertElementType(tensor.data_type(), e.context());
    define(tensor.name(), importTensor(tensor, hasRaw ? model.rawData[k] : StringRef()));
  }
  for (const auto &sparse : graph.sparse_initializer())
    define(sparse.values().name(), importSparse(sparse));
}

/// Refuses models of versions that may mean what is not known yet.
void Importer::checkVersions(const FunctionFrame &frame) {
  int64_t newest = getNewestOpset();
  auto opset = frame.opsets.find("");
  if (opset != frame.opsets.end() && (opset->second < 1 || opset->second > newest))
    reportFile("the model uses operator set " + std::to_string(opset->second) + ", expected 1 to " + std::to_string(newest));
  if (model.proto.ir_version() > onnx::Version::IR_VERSION)
    reportFile("the model has IR version " + std::to_string(model.proto.ir_version()) + ", expected at most " + std::to_string(onnx::Version::IR_VERSION));
  result.refused |= !result.errors.empty();
}

std::optional<int64_t> Importer::findDeclaredRank(const Node &node) const {
  if (node.scope.frame->isFunction || node.numOutputs() == 0)
    return std::nullopt;
  return findDeclaredRank(node.proto.output(0));
}

std::optional<int64_t> Importer::findDeclaredRank(StringRef name) const {
  const onnx::GraphProto &graph = model.proto.graph();
  for (const auto *list : {&graph.output(), &graph.value_info()})
    for (const onnx::ValueInfoProto &value : *list)
      if (value.name() == name && value.type().tensor_type().has_shape())
        return value.type().tensor_type().shape().dim_size();
  return std::nullopt;
}

OwningOpRef<ModuleOp> Importer::run() {
  sortNodes(model.proto);
  const onnx::GraphProto &graph = model.proto.graph();
  FunctionFrame frame;
  for (const auto &opset : model.proto.opset_import())
    frame.opsets[getDomain(opset.domain())] = opset.version();
  // ONNX Runtime's tools fuse operators of its domain into models without importing it; the domain has one version.
  frame.opsets.try_emplace("com.microsoft", 1);
  for (const auto &function : model.proto.functions())
    functions[getFunctionKey(function.domain(), function.name(), function.overload())] = &function;
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(builder, builder.getUnknownLoc(), "main", builder.getFunctionType({}, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  checkVersions(frame);
  if (areFunctionsTooLarge(graph, functions)) {
    reportFile("the model's functions are more than 262,144 nodes when their calls are replaced by their bodies");
    result.refused = true;
    return nullptr;
  }
  Scope scope;
  scope.frame = &frame;
  importInitializers(graph, scope, /*isMain=*/true);
  importInputs(graph, scope, function);
  for (const auto &output : graph.output())
    scope.results.push_back(output.name());
  importNodes(graph.node(), scope);
  finish(graph, scope, function);
  if (!result.errors.empty())
    return nullptr;
  return module;
}

} // namespace onager::frontend
