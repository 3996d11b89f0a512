// Nodes of custom operators: the application's functions tell the results' types, and compute them while the model runs.
//
// A node becomes two calls. "operator_infer" binds the extents that were not known while compiling, and is left out where there are none;
// "operator_run" gives the results. Their parameter is the number of the node's record in the attribute `graph.operators` of @main:
//
//   record    := {domain, type, node, version, inputs = element types (0: absent), results = [result], attributes = [attribute]}
//   result    := {dtype, dims}                          dims as ResultInfo has them
//   attribute := {name, type, ints, floats, strings}    as AttributeInfo
//
// with ONNX's numbers of element types and of types of attributes.
#include "lib/Import/OnnxToGraph/CustomOperators.h"
#include "runtime/core/operatornode.h"
#include <deque>
#include <memory>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

const onager_operator *findCustomOperator(ArrayRef<const onager_operator *> operators, StringRef domain, StringRef type, int64_t opset) {
  const onager_operator *found = nullptr;
  for (const onager_operator *op : operators)
    if (domain == (StringRef(op->domain) == "ai.onnx" ? "" : op->domain) && type == op->type && op->since <= opset && (!found || found->since < op->since))
      found = op;
  return found;
}

namespace {

/// The first of the negative numbers that stand for extents which are no constants; -1 is an extent that only a run tells.
constexpr int64_t kFirstExtent = -2;

/// One question to an operator: what it is called with, and what it owns until it has answered.
class Inference {
public:
  Inference(Node &node, const onager_operator &op) : node(node), op(op), results(node.numOutputs()) {}
  /// Describes the inputs; fails where one is no tensor.
  void addInputs();
  void addAttributes();
  /// Asks; fails with the operator's reason.
  void ask();
  /// Returns the results' types; `found` gets the symbols of the extents that only a run tells. Fails where an answer makes no sense.
  SmallVector<Type> makeTypes(SmallVectorImpl<AffineExpr> &found);

  Values values; ///< of the inputs that are there
  rt::CustomNodeInfo info;

private:
  struct Call : onager_call {
    std::string reason;
    std::vector<std::unique_ptr<char[]>> memory;
  };
  static void *allocate(onager_call *call, size_t bytes);
  static void fail(onager_call *call, const char *message) { static_cast<Call *>(call)->reason = message ? message : ""; }
  void addInput(Value value);
  void addAttribute(const onnx::AttributeProto &given, const std::string &name);
  bool addTensor(const onnx::TensorProto &proto, rt::AttributeInfo &attribute);
  Type makeType(const onager_result &result, unsigned index, SmallVectorImpl<AffineExpr> &found);

  Node &node;
  const onager_operator &op;
  std::vector<onager_result> results;
  SmallVector<AffineExpr> extents;
  std::vector<onager_tensor> inputs;
  std::deque<std::vector<int64_t>> dims, contents; ///< of inputs; do not move
};

void *Inference::allocate(onager_call *call, size_t bytes) {
  auto &memory = static_cast<Call *>(call)->memory;
  memory.emplace_back(new char[bytes + ONAGER_ALIGNMENT]);
  return reinterpret_cast<void *>(llvm::alignAddr(memory.back().get(), llvm::Align(ONAGER_ALIGNMENT)));
}

void Inference::addInput(Value value) {
  dims.emplace_back();
  for (AffineExpr dim : Emitter::dimsOf(value)) {
    if (std::optional<int64_t> extent = graph::getConstant(dim)) {
      dims.back().push_back(*extent);
      continue;
    }
    auto *known = llvm::find(extents, dim);
    dims.back().push_back(kFirstExtent - (known - extents.begin()));
    if (known == extents.end())
      extents.push_back(dim);
  }
  int32_t dtype = toOnnxElementType(Emitter::elementOf(value));
  onager_tensor tensor{sizeof(onager_tensor), dtype, static_cast<int32_t>(dims.back().size()), 0, nullptr, dims.back().data(), 0};
  if (std::optional<Ints> known = dtype == ONAGER_I64 ? node.e.constants(value) : std::nullopt) {
    contents.emplace_back(known->begin(), known->end());
    tensor.data = contents.back().data();
    tensor.bytes = contents.back().size() * sizeof(int64_t);
  }
  info.inputs.push_back(dtype);
  inputs.push_back(tensor);
  values.push_back(value);
}

void Inference::addInputs() {
  for (unsigned k = 0; k < node.numInputs(); ++k) {
    if (!node.has(k)) {
      inputs.push_back({sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0});
      info.inputs.push_back(0);
    } else if (Value value = node.in(k)) {
      addInput(value);
    }
  }
}

bool Inference::addTensor(const onnx::TensorProto &proto, rt::AttributeInfo &attribute) {
  Value value = node.importer.importTensor(proto);
  if (!value || isa<StringType>(Emitter::elementOf(value)))
    return false;
  attribute.ints.assign(1, proto.data_type());
  attribute.ints.insert(attribute.ints.end(), proto.dims().begin(), proto.dims().end());
  SmallVector<char> storage;
  ArrayRef<char> bytes = getConstantBytes(getConstantValue(value), storage);
  attribute.strings.emplace_back(bytes.begin(), bytes.end());
  return true;
}

void Inference::addAttribute(const onnx::AttributeProto &given, const std::string &name) {
  rt::AttributeInfo attribute;
  attribute.name = name;
  attribute.type = given.type();
  attribute.ints.assign(given.ints().begin(), given.ints().end());
  attribute.floats.assign(given.floats().begin(), given.floats().end());
  attribute.strings.assign(given.strings().begin(), given.strings().end());
  switch (given.type()) {
  case onnx::AttributeProto::INT:
    attribute.ints.assign(1, given.i());
    break;
  case onnx::AttributeProto::FLOAT:
    attribute.floats.assign(1, given.f());
    break;
  case onnx::AttributeProto::STRING:
    attribute.strings.assign(1, given.s());
    break;
  case onnx::AttributeProto::TENSOR:
    if (addTensor(given.t(), attribute))
      break;
    return void(node.e.fail("attribute '" + name + "': expected a tensor of numbers"));
  case onnx::AttributeProto::INTS:
  case onnx::AttributeProto::FLOATS:
  case onnx::AttributeProto::STRINGS:
    break;
  default:
    return void(node.e.fail("attribute '" + name + "': expected numbers, strings or a tensor"));
  }
  info.attributes.push_back(std::move(attribute));
}

void Inference::addAttributes() {
  for (const auto &attribute : node.proto.attribute())
    if (const onnx::AttributeProto *given = node.resolve(attribute))
      addAttribute(*given, attribute.name());
}

void Inference::ask() {
  if (node.e.hasFailed())
    return;
  info.domain = op.domain;
  info.type = op.type;
  info.node = node.e.nodeName;
  info.version = static_cast<uint64_t>(node.opset);
  rt::OperatorNode described(info, op);
  Call call{};
  call.size = sizeof(onager_call);
  call.is_compiling = 1;
  call.user = op.user;
  call.node = &described.node;
  call.inputs = inputs.data();
  call.input_count = inputs.size();
  call.results = results.data();
  call.output_count = results.size();
  call.allocate = allocate;
  call.fail = fail;
  if (op.infer(&call))
    node.e.fail(call.reason.empty() ? "the operator has failed" : call.reason);
}

Type Inference::makeType(const onager_result &result, unsigned index, SmallVectorImpl<AffineExpr> &found) {
  Type element = convertElementType(result.dtype, node.e.context());
  if (!element || result.rank < 0 || result.rank > ONAGER_MAX_RANK) {
    node.e.fail("the operator gives output " + Twine(index) + " element type " + Twine(result.dtype) + " and rank " + Twine(result.rank));
    return {};
  }
  Dims exprs;
  rt::ResultInfo recorded{static_cast<uint64_t>(result.dtype), {}};
  for (int64_t extent : ArrayRef(result.dims, static_cast<size_t>(result.rank))) {
    if (kFirstExtent - extent >= static_cast<int64_t>(extents.size())) {
      node.e.fail("the operator gives output " + Twine(index) + " an extent of " + Twine(extent) + ", which no input has");
      return {};
    }
    bool isFound = extent == rt::ResultInfo::kFound;
    if (isFound)
      found.push_back(node.e.symbols.fresh());
    exprs.push_back(isFound ? found.back() : extent >= 0 ? node.e.number(extent) : extents[static_cast<size_t>(kFirstExtent - extent)]);
    recorded.dims.push_back(std::max(extent, isFound ? rt::ResultInfo::kFound : rt::ResultInfo::kKnown));
  }
  info.results.push_back(std::move(recorded));
  return node.e.tensorType(exprs, element);
}

SmallVector<Type> Inference::makeTypes(SmallVectorImpl<AffineExpr> &found) {
  SmallVector<Type> types;
  for (unsigned k = 0; k < results.size() && !node.e.hasFailed(); ++k)
    types.push_back(makeType(results[k], k, found));
  return types;
}

} // namespace

static Attribute makeAttribute(Builder &b, const rt::AttributeInfo &attribute) {
  SmallVector<StringRef> strings(attribute.strings.begin(), attribute.strings.end());
  return b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(attribute.name)), b.getNamedAttr("type", b.getI64IntegerAttr(static_cast<int64_t>(attribute.type))),
                              b.getNamedAttr("ints", b.getDenseI64ArrayAttr(attribute.ints)), b.getNamedAttr("floats", b.getDenseF32ArrayAttr(attribute.floats)),
                              b.getNamedAttr("strings", b.getStrArrayAttr(strings))});
}

static DictionaryAttr makeRecord(Builder &b, const rt::CustomNodeInfo &info) {
  SmallVector<Attribute> results, attributes;
  for (const rt::ResultInfo &result : info.results)
    results.push_back(b.getDictionaryAttr({b.getNamedAttr("dtype", b.getI64IntegerAttr(static_cast<int64_t>(result.dtype))), b.getNamedAttr("dims", b.getDenseI64ArrayAttr(result.dims))}));
  for (const rt::AttributeInfo &attribute : info.attributes)
    attributes.push_back(makeAttribute(b, attribute));
  return b.getDictionaryAttr({b.getNamedAttr("domain", b.getStringAttr(info.domain)), b.getNamedAttr("type", b.getStringAttr(info.type)),
                              b.getNamedAttr("node", b.getStringAttr(info.node)), b.getNamedAttr("version", b.getI64IntegerAttr(static_cast<int64_t>(info.version))),
                              b.getNamedAttr("inputs", b.getDenseI64ArrayAttr(info.inputs)), b.getNamedAttr("results", b.getArrayAttr(results)),
                              b.getNamedAttr("attributes", b.getArrayAttr(attributes))});
}

DictionaryAttr importCustomOperator(Node &node, const onager_operator &op, int64_t index) {
  Emitter &e = node.e;
  Inference inference(node, op);
  inference.addInputs();
  inference.addAttributes();
  inference.ask();
  SmallVector<AffineExpr> found;
  SmallVector<Type> types = inference.makeTypes(found);
  if (e.hasFailed())
    return {};
  // A run asks again only for what is not known now.
  if (!found.empty())
    CallOp::create(e.builder, e.location, TypeRange{}, inference.values, "operator_infer", ArrayRef<int64_t>{index},
                   llvm::map_to_vector(found, [](AffineExpr symbol) { return static_cast<int64_t>(cast<AffineSymbolExpr>(symbol).getPosition()); }),
                   graph::makeExprs(e.context(), {}));
  CallOp call = e.callMany("operator_run", inference.values, {index}, types);
  for (unsigned k = 0; call && k < node.numOutputs(); ++k)
    node.set(k, call->getResult(k));
  return makeRecord(e.builder, inference.info);
}

} // namespace onager::frontend
