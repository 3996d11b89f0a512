// Inputs and outputs of the main graph.
#include "lib/Import/OnnxToGraph/Values.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace onager::frontend {

static std::string describeKind(const onnx::TypeProto &type) {
  switch (type.value_case()) {
  case onnx::TypeProto::kSequenceType: return "a sequence of what is no tensor or map";
  case onnx::TypeProto::kOptionalType: return "an optional of what is no tensor or sequence";
  case onnx::TypeProto::kMapType: return "a map of tensors";
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

bool Importer::importForm(const onnx::TypeProto &type, Form &form, SmallVectorImpl<Type> &leaves) {
  auto vector = [&](Type element) { return e.tensorType({symbols.fresh()}, element); };
  if (type.has_map_type() && type.map_type().value_type().has_tensor_type()) {
    form.kind = Datum::map;
    form.keys = convertElementType(type.map_type().key_type(), &context);
    form.element = convertElementType(type.map_type().value_type().tensor_type().elem_type(), &context);
    Dims dims{symbols.fresh()};
    if (form.keys && form.element)
      leaves.append({e.tensorType(dims, form.keys), e.tensorType(dims, form.element)});
    return form.keys && form.element;
  }
  if (type.has_sequence_type() && type.sequence_type().elem_type().has_tensor_type()) {
    const auto &tensor = type.sequence_type().elem_type().tensor_type();
    form.kind = Datum::ragged;
    form.element = convertElementType(tensor.elem_type(), &context);
    form.rank = tensor.has_shape() ? tensor.shape().dim_size() : -1;
    if (form.element)
      leaves.append({vector(e.i64()), vector(e.i64()), vector(form.element)});
    return static_cast<bool>(form.element);
  }
  if (type.has_sequence_type() && type.sequence_type().elem_type().has_map_type()) {
    bool isKnown = importForm(type.sequence_type().elem_type(), form, leaves);
    form.kind = Datum::maps;
    if (isKnown)
      leaves.back() = e.tensorType({symbols.fresh(), graph::getDims(leaves[leaves.size() - 2])[0]}, form.element);
    return isKnown;
  }
  if (type.has_optional_type()) {
    form.kind = Datum::optional;
    form.inner.emplace_back();
    leaves.push_back(RankedTensorType::get({}, e.i1()));
    return importForm(type.optional_type().elem_type(), form.inner[0], leaves);
  }
  if (!type.has_tensor_type() || !type.tensor_type().has_shape())
    return false;
  // A tensor inside an optional: where that is empty, its dims are, too.
  form.element = convertElementType(type.tensor_type().elem_type(), &context);
  form.rank = type.tensor_type().shape().dim_size();
  for (const auto &dim : type.tensor_type().shape().dim())
    form.dims.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? e.number(dim.dim_value()) : symbols.fresh());
  if (form.element)
    leaves.push_back(e.tensorType(form.dims, form.element));
  return form.element && leaves.back();
}

DictionaryAttr Importer::nameLeaf(StringRef name, const Form &form, StringRef suffix) {
  SmallVector<NamedAttribute> attributes{builder.getNamedAttr("graph.name", builder.getStringAttr(name + suffix))};
  if (form.kind != Datum::tensor) {
    attributes.push_back(builder.getNamedAttr("graph.value", builder.getStringAttr(name)));
    attributes.push_back(builder.getNamedAttr("graph.form", builder.getStringAttr(form.toString())));
  }
  return builder.getDictionaryAttr(attributes);
}

Datum Importer::importInput(const onnx::ValueInfoProto &input, const llvm::StringSet<> &known, Block &block, SmallVectorImpl<DictionaryAttr> &attributes) {
  Form form;
  SmallVector<Type> types;
  if (input.type().has_tensor_type()) {
    types.push_back(importInputType(input, known));
    if (!types[0])
      return Datum::poison();
  } else if (!isReadable(input)) {
    return Datum::poison();
  } else if (!importForm(input.type(), form, types)) {
    reportFile("input '" + input.name() + "' is " + describeKind(input.type()) + ", or of an element type or rank that is not known, which is not supported");
    result.refused = true;
    return Datum::poison();
  }
  Values leaves;
  for (auto [type, suffix] : llvm::zip(types, form.getSuffixes())) {
    leaves.push_back(block.addArgument(type, NameLoc::get(builder.getStringAttr(input.name() + suffix))));
    attributes.push_back(nameLeaf(input.name(), form, suffix));
  }
  ArrayRef<Value> rest = leaves;
  return rebuildDatum(form, rest);
}

bool Importer::importInputs(const onnx::GraphProto &graph, Scope &scope, func::FuncOp function) {
  llvm::StringSet<> known = collectNames(graph);
  size_t errors = countErrors();
  fixNames(graph);
  Block &block = function.front();
  SmallVector<DictionaryAttr> attributes;
  llvm::StringSet<> fed;
  for (const auto &input : graph.input()) {
    if (auto it = scope.values.find(input.name()); it != scope.values.end()) {
      if (fed.contains(input.name()))
        reportFile("input '" + input.name() + "' is defined twice");
      continue; // an initialiser: its value is fixed
    }
    scope.values[input.name()] = importInput(input, known, block, attributes);
    fed.insert(input.name());
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

bool Importer::checkDeclared(const onnx::ValueInfoProto &output, const Datum &datum) {
  if (datum.kind != Datum::tensor || !output.type().has_tensor_type())
    return true;
  int32_t declared = output.type().tensor_type().elem_type();
  Type element = convertElementType(declared, &context);
  if (!element || element == Emitter::elementOf(datum.value))
    return true;
  reportFile("output '" + output.name() + "' is declared with element type " + describeElementType(declared) + ", the model computes " +
             describeElementType(toOnnxElementType(Emitter::elementOf(datum.value))));
  result.refused = true;
  return false;
}

/// The form of an output: an optional where the model declares one, whatever is known of it.
static Form getOutputForm(const onnx::ValueInfoProto &output, const Datum &datum) {
  Form form = getForm(datum), empty;
  empty.kind = Datum::absent;
  return output.type().has_optional_type() ? *joinForms(form, empty) : form;
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
    if (it->second.kind == Datum::poisoned || !checkDeclared(output, it->second))
      continue;
    Form form = getOutputForm(output, it->second);
    Values leaves;
    flattenDatum(e, it->second, form, leaves);
    if (e.hasFailed()) {
      reportFile("output '" + output.name() + "': " + e.takeReason());
      result.refused = true;
      continue;
    }
    for (auto [leaf, suffix] : llvm::zip(leaves, form.getSuffixes())) {
      results.push_back(leaf);
      types.push_back(leaf.getType());
      attributes.push_back(nameLeaf(output.name(), form, suffix));
    }
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
  if (!operators.empty())
    function->setAttr("graph.operators", builder.getArrayAttr(operators));
  eraseDead(function.front());
}

} // namespace onager::frontend
