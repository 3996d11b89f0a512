// Types, dims and symbols.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;

namespace onager::import {

Type Importer::elementType(int64_t dataType) {
  MLIRContext *context = b.getContext();
  auto unsignedType = [&](unsigned width) { return IntegerType::get(context, width, IntegerType::Unsigned); };
  switch (dataType) {
  case onnx::TensorProto::FLOAT: return b.getF32Type();
  case onnx::TensorProto::UINT8: return unsignedType(8);
  case onnx::TensorProto::INT8: return b.getIntegerType(8);
  case onnx::TensorProto::UINT16: return unsignedType(16);
  case onnx::TensorProto::INT16: return b.getIntegerType(16);
  case onnx::TensorProto::INT32: return b.getI32Type();
  case onnx::TensorProto::INT64: return b.getI64Type();
  case onnx::TensorProto::BOOL: return b.getI1Type();
  case onnx::TensorProto::FLOAT16: return b.getF16Type();
  case onnx::TensorProto::DOUBLE: return b.getF64Type();
  case onnx::TensorProto::UINT32: return unsignedType(32);
  case onnx::TensorProto::UINT64: return unsignedType(64);
  case onnx::TensorProto::BFLOAT16: return b.getBF16Type();
  case onnx::TensorProto::FLOAT8E4M3FN: return Float8E4M3FNType::get(context);
  case onnx::TensorProto::FLOAT8E4M3FNUZ: return Float8E4M3FNUZType::get(context);
  case onnx::TensorProto::FLOAT8E5M2: return Float8E5M2Type::get(context);
  case onnx::TensorProto::FLOAT8E5M2FNUZ: return Float8E5M2FNUZType::get(context);
  case onnx::TensorProto::UINT4: return unsignedType(4);
  case onnx::TensorProto::INT4: return b.getIntegerType(4);
  case onnx::TensorProto::FLOAT4E2M1: return Float4E2M1FNType::get(context);
  case 24: return Float8E8M0FNUType::get(context);
  case 25: return unsignedType(2);
  case 26: return b.getIntegerType(2);
  default:
    refuse("element type " + std::to_string(dataType) + " is not supported (strings and complex numbers are not)");
  }
}

/// A name that says nothing: each is a symbol of its own.
static bool isAnonymous(const std::string &name) { return name.empty() || name == "?" || name == "None" || name.rfind("unk__", 0) == 0; }

namespace {
/// Reads dim_param expressions: sums, differences, products, quotients, names and numbers.
struct DimParser {
  Importer &importer;
  std::map<std::string, AffineExpr> &names;
  const std::string &text;
  size_t at = 0;
  bool bad = false;

  char peek() {
    while (at < text.size() && text[at] == ' ')
      ++at;
    return at < text.size() ? text[at] : '\0';
  }
  AffineExpr sum() {
    AffineExpr value = product();
    while (!bad && (peek() == '+' || peek() == '-')) {
      bool plus = text[at++] == '+';
      AffineExpr next = product();
      if (!bad)
        value = plus ? value + next : value - next;
    }
    return value;
  }
  AffineExpr product() {
    AffineExpr value = atom();
    while (!bad && (peek() == '*' || peek() == '/')) {
      bool times = text[at++] == '*';
      if (!times && peek() == '/')
        ++at;
      AffineExpr next = atom();
      if (!bad)
        value = times ? value * next : value.floorDiv(next);
    }
    return value;
  }
  AffineExpr atom() {
    char first = peek();
    size_t start = at;
    if (first == '(') {
      ++at;
      AffineExpr value = sum();
      bad |= peek() != ')';
      ++at;
      return value;
    }
    if (std::isdigit(static_cast<unsigned char>(first))) {
      while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])))
        ++at;
      bad |= at - start > 15;
      return bad ? importer.c(0) : importer.c(std::stoll(text.substr(start, at - start)));
    }
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_' || text[at] == '.'))
      ++at;
    bad |= at == start;
    if (bad)
      return importer.c(0);
    auto [entry, isNew] = names.try_emplace(text.substr(start, at - start));
    if (isNew)
      entry->second = importer.newSymbol(entry->first);
    return entry->second;
  }
};
} // namespace

AffineExpr Importer::parseDim(const std::string &text, std::map<std::string, AffineExpr> &names) {
  if (isAnonymous(text))
    return newSymbol();
  if (auto found = names.find(text); found != names.end())
    return found->second;
  size_t symbolsBefore = symbols.size();
  std::map<std::string, AffineExpr> namesBefore = names;
  DimParser parser{*this, names, text};
  AffineExpr value = parser.sum();
  if (!parser.bad && parser.peek() == '\0')
    return value;
  // Not an expression: the whole text is a name.
  symbols.resize(symbolsBefore);
  names = namesBefore;
  return names[text] = newSymbol(text);
}

RankedTensorType Importer::tensorOf(const onnx::TypeProto &type, std::map<std::string, AffineExpr> &names) {
  if (!type.has_tensor_type())
    refuse("only tensors are supported, found a sequence, optional, map or sparse tensor");
  if (!type.tensor_type().has_shape())
    refuse("its rank is not given");
  Dims dims;
  for (const auto &dim : type.tensor_type().shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() > (int64_t(1) << 40))
      refuse("dim " + std::to_string(dim.dim_value()) + " is too large");
    dims.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? c(dim.dim_value()) : parseDim(dim.dim_param(), names));
  }
  return tensor(dims, elementType(type.tensor_type().elem_type()));
}

static int64_t dataTypeOf(Type type) {
  static const std::pair<StringRef, int64_t> names[] = {
      {"f32", 1}, {"ui8", 2}, {"i8", 3}, {"ui16", 4}, {"i16", 5}, {"i32", 6}, {"i64", 7}, {"i1", 9}, {"f16", 10}, {"f64", 11}, {"ui32", 12}, {"ui64", 13},
      {"bf16", 16}, {"f8E4M3FN", 17}, {"f8E4M3FNUZ", 18}, {"f8E5M2", 19}, {"f8E5M2FNUZ", 20}, {"ui4", 21}, {"i4", 22}, {"f4E2M1FN", 23}, {"f8E8M0FNU", 24},
      {"ui2", 25}, {"i2", 26}};
  std::string text;
  llvm::raw_string_ostream(text) << type;
  for (auto [name, number] : names)
    if (name == text)
      return number;
  return 0;
}

onnx::TypeProto Importer::typeProtoOf(Value value) {
  onnx::TypeProto type;
  type.mutable_tensor_type()->set_elem_type(static_cast<int32_t>(dataTypeOf(elementOf(value))));
  auto *shape = type.mutable_tensor_type()->mutable_shape();
  for (AffineExpr dim : graph::getDims(value)) {
    auto *out = shape->add_dim();
    if (std::optional<int64_t> constant = graph::getConstant(dim))
      out->set_dim_value(*constant);
  }
  return type;
}

AffineExpr Importer::newSymbol(const std::string &name) {
  symbols.push_back(name);
  return b.getAffineSymbolExpr(symbols.size() - 1);
}

AffineExpr Importer::define(graph::DefineKind kind, ArrayRef<AffineExpr> exprs) {
  AffineExpr symbol = newSymbol();
  graph::DefineOp::create(b, static_cast<int64_t>(symbols.size() - 1), kind, graph::makeExprs(b.getContext(), exprs));
  return symbol;
}

AffineExpr Importer::maxOf(AffineExpr x, AffineExpr y) {
  std::optional<int64_t> a = graph::getConstant(x), d = graph::getConstant(y);
  if (a && d)
    return c(std::max(*a, *d));
  return x == y ? x : define(graph::DefineKind::max, {x, y});
}

AffineExpr Importer::minOf(AffineExpr x, AffineExpr y) {
  std::optional<int64_t> a = graph::getConstant(x), d = graph::getConstant(y);
  if (a && d)
    return c(std::min(*a, *d));
  return x == y ? x : define(graph::DefineKind::min, {x, y});
}

void Importer::requireEqual(AffineExpr x, AffineExpr y, const std::string &what) {
  if (x == y)
    return;
  std::optional<int64_t> a = graph::getConstant(x), d = graph::getConstant(y);
  if (a && d)
    refuse(what + ": " + std::to_string(*a) + " and " + std::to_string(*d) + " differ");
  std::string node = isa<NameLoc>(b.getLoc()) ? cast<NameLoc>(b.getLoc()).getName().str() : "";
  graph::RequireOp::create(b, graph::makeExprs(b.getContext(), {x, y}), "node '" + node + "': " + what + " differ");
}

AffineExpr Importer::broadcastDim(AffineExpr x, AffineExpr y) {
  std::optional<int64_t> a = graph::getConstant(x), d = graph::getConstant(y);
  if (x == y || d == 1)
    return x;
  if (a == 1)
    return y;
  if (a && d)
    refuse("dims " + std::to_string(*a) + " and " + std::to_string(*d) + " do not broadcast");
  // A number above one wins; the symbol is then 1 or that number.
  if (a)
    return x;
  if (d)
    return y;
  return define(graph::DefineKind::broadcast, {x, y});
}

Dims Importer::broadcastDims(ArrayRef<Dims> shapes) {
  size_t rank = 0;
  for (const Dims &shape : shapes)
    rank = std::max(rank, shape.size());
  Dims out(rank, c(1));
  for (const Dims &shape : shapes)
    for (size_t k = 0; k < shape.size(); ++k) {
      AffineExpr &dim = out[rank - shape.size() + k];
      dim = broadcastDim(dim, shape[k]);
    }
  return out;
}

int64_t Importer::axisOf(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    refuse("axis " + std::to_string(axis) + " is outside rank " + std::to_string(rank));
  return axis < 0 ? axis + rank : axis;
}

} // namespace onager::import
