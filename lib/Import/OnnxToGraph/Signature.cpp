// Inputs and outputs of the main graph.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace onager::frontend {

static std::string describeKind(const onnx::TypeProto &type) {
  switch (type.value_case()) {
  case onnx::TypeProto::kSequenceType: return "a sequence";
  case onnx::TypeProto::kOptionalType: return "an optional";
  case onnx::TypeProto::kMapType: return "a map";
  case onnx::TypeProto::kSparseTensorType: return "a sparse tensor";
  default: return "of no known type";
  }
}

/// Names that stand alone as a dim of some input: only they may occur in expressions.
static llvm::StringSet<> collectNames(const onnx::GraphProto &graph) {
  llvm::StringSet<> names;
  for (const auto &input : graph.input())
    for (const auto &dim : input.type().tensor_type().shape().dim())
      if (dim.has_dim_param() && Symbols::isName(dim.dim_param()) && !Symbols::isAnonymous(dim.dim_param()))
        names.insert(StringRef(dim.dim_param()).trim());
  return names;
}

bool Importer::isReadable(const onnx::ValueInfoProto &value) {
  bool isText = llvm::json::isUTF8(value.name());
  for (const auto &dim : value.type().tensor_type().shape().dim())
    isText &= llvm::json::isUTF8(dim.dim_param());
  if (!isText)
    reportFile("the name of '" + value.name() + "' or of one of its dims is not UTF-8");
  return isText;
}

Type Importer::importInputType(const onnx::ValueInfoProto &input, const llvm::StringSet<> &known) {
  if (!isReadable(input))
    return {};
  std::string what = "input '" + input.name() + "' ";
  if (!input.type().has_tensor_type()) {
    reportFile(what + "is " + describeKind(input.type()) + ", which is not supported");
    result.refused = true;
    return {};
  }
  const auto &tensor = input.type().tensor_type();
  Type element = convertElementType(tensor.elem_type(), &context);
  auto given = options.shapes.find(input.name());
  bool hasShape = tensor.has_shape() || given != options.shapes.end();
  if (!element || !hasShape) {
    reportFile(what + (element ? "has no known rank" : "has element type " + describeElementType(tensor.elem_type()) + ", which is not supported"));
    result.refused = true;
    return {};
  }
  Dims dims;
  for (const auto &dim : tensor.shape().dim()) {
    bool isNumber = dim.has_dim_value() && dim.dim_value() >= 0;
    dims.push_back(isNumber ? e.number(dim.dim_value()) : symbols.parseDim(dim.dim_param(), known));
  }
  if (given != options.shapes.end()) {
    if (tensor.has_shape() && given->second.size() != dims.size()) {
      reportFile(what + "has rank " + std::to_string(dims.size()) + ", the given shape has rank " + std::to_string(given->second.size()));
      return {};
    }
    dims = e.numbers(given->second);
  }
  Type type = e.tensorType(dims, element);
  if (!type)
    reportFile(what + "has a bad shape: " + e.takeReason());
  return type;
}

void Importer::fixNames(const onnx::GraphProto &graph) {
  for (const auto &input : graph.input()) {
    auto given = options.shapes.find(input.name());
    const auto &dims = input.type().tensor_type().shape().dim();
    if (given == options.shapes.end() || given->second.size() != static_cast<size_t>(dims.size()))
      continue;
    for (auto [dim, extent] : llvm::zip(dims, given->second)) {
      StringRef name = StringRef(dim.dim_param()).trim();
      bool fits = dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() == extent : !Symbols::isName(name) || Symbols::isAnonymous(name) || symbols.fix(name, extent);
      if (!fits)
        reportFile("input '" + input.name() + "': a dim that is " + (dim.has_dim_value() ? std::to_string(dim.dim_value()) : "'" + name.str() + "'") +
                   " cannot be " + std::to_string(extent));
    }
  }
}

bool Importer::importInputs(const onnx::GraphProto &graph, Scope &scope, func::FuncOp function) {
  llvm::StringSet<> known = collectNames(graph);
  size_t errors = countErrors();
  fixNames(graph);
  Block &block = function.front();
  SmallVector<DictionaryAttr> attributes;
  for (const auto &input : graph.input()) {
    if (auto it = scope.values.find(input.name()); it != scope.values.end()) {
      if (it->second.value && llvm::isa<BlockArgument>(it->second.value))
        reportFile("input '" + input.name() + "' is defined twice");
      continue; // an initialiser: its value is fixed
    }
    Type type = importInputType(input, known);
    if (!type) {
      scope.values[input.name()] = Datum::poison();
      continue;
    }
    scope.values[input.name()] = Datum::of(block.addArgument(type, NameLoc::get(builder.getStringAttr(input.name()))));
    attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr("graph.name", builder.getStringAttr(input.name()))));
  }
  for (const auto &[name, shape] : options.shapes)
    if (!llvm::is_contained(llvm::map_range(graph.input(), [](const auto &input) { return input.name(); }), name))
      reportFile("a shape is given for '" + name + "', which is no input");
  function.setType(builder.getFunctionType(block.getArgumentTypes(), {}));
  function.setAllArgAttrs(attributes);
  return countErrors() == errors;
}

/// Erases operations without use, last first.
static void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
      continue;
    }
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseDead(inner);
  }
}

void Importer::finish(const onnx::GraphProto &graph, Scope &scope, func::FuncOp function) {
  Values results;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  for (const auto &output : graph.output()) {
    if (!isReadable(output))
      continue;
    auto it = scope.values.find(output.name());
    if (it == scope.values.end()) {
      reportFile("output '" + output.name() + "' is not defined by any node");
      continue;
    }
    const Datum &datum = it->second;
    if (datum.kind == Datum::poisoned)
      continue;
    if (datum.kind != Datum::tensor) {
      reportFile("output '" + output.name() + "' is " + (datum.kind == Datum::sequence ? "a sequence" : "an empty optional") + ", which is not supported");
      result.refused = true;
      continue;
    }
    int32_t declared = output.type().tensor_type().elem_type();
    if (Type element = convertElementType(declared, &context); element && element != Emitter::elementOf(datum.value)) {
      reportFile("output '" + output.name() + "' is declared with element type " + describeElementType(declared) + ", the model computes " +
                 describeElementType(toOnnxElementType(Emitter::elementOf(datum.value))));
      result.refused = true;
      continue;
    }
    results.push_back(datum.value);
    types.push_back(datum.value.getType());
    attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr("graph.name", builder.getStringAttr(output.name()))));
  }
  if (graph.output_size() == 0)
    reportFile("the graph has no output");
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  function.setAllResultAttrs(attributes);
  SmallVector<Attribute> names;
  for (const std::string &name : symbols.getNames())
    names.push_back(builder.getStringAttr(name));
  function->setAttr("graph.symbols", builder.getArrayAttr(names));
  eraseDead(function.front());
}

} // namespace onager::frontend
