// Shape arithmetic: contents of small integer tensors as expressions of symbols.
#include "lib/Import/OnnxToGraph/Importer.h"
#include <numeric>

using namespace mlir;

namespace onager::import {

/// Elements of the largest tensor whose contents are followed.
static constexpr int64_t kMostElements = 1024;

std::optional<Dims> Importer::contents(Value value) {
  if (!value)
    return std::nullopt;
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape() || type.getNumElements() > kMostElements || !isa<IntegerType>(type.getElementType()))
    return std::nullopt;
  if (auto found = known.find(value); found != known.end())
    return found->second;
  if (auto index = value.getDefiningOp<graph::IndexTensorOp>())
    return Dims(index.getExprs().getResults());
  ElementsAttr constant = graph::getConstantValue(value);
  if (!constant)
    return std::nullopt;
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(constant, storage);
  Dims elements;
  for (int64_t k = 0; k < type.getNumElements(); ++k)
    elements.push_back(c(graph::readInteger(type.getElementType(), bytes, k)));
  known[value] = elements;
  return elements;
}

Dims Importer::contentsOrBind(Value value) {
  if (std::optional<Dims> elements = contents(value))
    return *elements;
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape())
    refuse("the number of elements of a shape-like operand is not known");
  if (!isa<IntegerType>(type.getElementType()))
    refuse("a shape-like operand is not an integer tensor");
  Dims elements;
  int64_t first = symbols.size();
  for (int64_t k = 0; k < type.getNumElements(); ++k)
    elements.push_back(newSymbol());
  if (!elements.empty())
    graph::BindOp::create(b, value, first);
  known[value] = elements;
  return elements;
}

SmallVector<int64_t> Importer::constants(Value value, const std::string &what) {
  std::optional<Dims> elements = contents(value);
  SmallVector<int64_t> numbers;
  if (elements)
    for (AffineExpr element : *elements)
      if (std::optional<int64_t> constant = graph::getConstant(element))
        numbers.push_back(*constant);
  if (!elements || numbers.size() != elements->size())
    refuse(what + " must be constant");
  return numbers;
}

Value Importer::makeTensor(ArrayRef<AffineExpr> elements, ArrayRef<int64_t> shape, Type element) {
  auto type = RankedTensorType::get(shape, element);
  bool constant = llvm::all_of(elements, [](AffineExpr expr) { return isa<AffineConstantExpr>(expr); });
  if (!constant)
    return graph::IndexTensorOp::create(b, type, graph::makeExprs(b.getContext(), elements));
  SmallVector<char> bytes;
  for (AffineExpr expr : elements) {
    int64_t number = *graph::getConstant(expr);
    const char *raw = reinterpret_cast<const char *>(&number);
    bytes.append(raw, raw + graph::getElementBytes(element));
  }
  return graph::ConstantOp::create(b, type, graph::makeConstant(type, bytes));
}

namespace {

/// An operand of shape arithmetic.
struct Small {
  SmallVector<int64_t> shape;
  Dims elements;
  Type element;
};

struct Folder {
  Importer &im;
  Node &node;
  SmallVector<Small> in;
  SmallVector<int64_t> &shape;
  Type &element;

  using Result = std::optional<Dims>;

  Result keep(size_t k, ArrayRef<int64_t> newShape) {
    shape.assign(newShape.begin(), newShape.end());
    element = in[k].element;
    return in[k].elements;
  }

  /// Elementwise over broadcast operands.
  Result map(Type result, function_ref<std::optional<AffineExpr>(ArrayRef<AffineExpr>)> fn) {
    size_t rank = 0;
    for (const Small &operand : in)
      rank = std::max(rank, operand.shape.size());
    shape.assign(rank, 1);
    for (const Small &operand : in)
      for (size_t k = 0; k < operand.shape.size(); ++k) {
        int64_t &dim = shape[rank - operand.shape.size() + k];
        if (operand.shape[k] != 1 && dim != 1 && dim != operand.shape[k])
          return std::nullopt;
        dim = dim == 1 ? operand.shape[k] : dim;
      }
    int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
    if (count > kMostElements)
      return std::nullopt;
    element = result;
    Dims out;
    for (int64_t linear = 0; linear < count; ++linear) {
      Dims operands;
      for (const Small &operand : in) {
        int64_t rest = linear, position = 0, stride = 1;
        for (size_t k = rank; k-- > 0;) {
          int64_t at = rest % shape[k];
          rest /= shape[k];
          if (k < rank - operand.shape.size())
            continue;
          int64_t extent = operand.shape[k - (rank - operand.shape.size())];
          position += (extent == 1 ? 0 : at) * stride;
          stride *= extent;
        }
        operands.push_back(operand.elements[position]);
      }
      std::optional<AffineExpr> value = fn(operands);
      if (!value)
        return std::nullopt;
      out.push_back(*value);
    }
    return out;
  }

  Result integerMap(function_ref<std::optional<AffineExpr>(ArrayRef<AffineExpr>)> fn) {
    if (!in[0].element.isSignlessInteger(64) && !in[0].element.isSignlessInteger(32))
      return std::nullopt;
    return map(in[0].element, fn);
  }

  /// A relation that both operands decide.
  Result relation(function_ref<bool(int64_t, int64_t)> fn, bool equality = false) {
    return map(im.b.getI1Type(), [&](ArrayRef<AffineExpr> x) -> std::optional<AffineExpr> {
      std::optional<int64_t> a = graph::getConstant(x[0]), d = graph::getConstant(x[1]);
      if (a && d)
        return im.c(fn(*a, *d));
      if (equality && x[0] == x[1])
        return im.c(1);
      // A sum of extents is never negative, so it differs from -1.
      bool negative = (a && *a < 0 && graph::isNonNegative(x[1])) || (d && *d < 0 && graph::isNonNegative(x[0]));
      if (equality && negative)
        return im.c(0);
      return std::nullopt;
    });
  }

  Result divide() {
    return integerMap([&](ArrayRef<AffineExpr> x) -> std::optional<AffineExpr> {
      std::optional<int64_t> a = graph::getConstant(x[0]), d = graph::getConstant(x[1]);
      if (a && d)
        return *d == 0 || (*a == INT64_MIN && *d == -1) ? std::optional<AffineExpr>() : im.c(*a / *d);
      if (d && *d > 0 && graph::isNonNegative(x[0]))
        return x[0].floorDiv(*d);
      return im.define(graph::DefineKind::trunc_div, {x[0], x[1]});
    });
  }

  Result fold();
  Result foldElementwise(const std::string &op);
  Result foldStructure(const std::string &op);
  Result shapeOf();
  Result gather();
  Result slice();
  Result concat();
  Result reduce(bool product);
  Result range();
  Result fill();
};

Folder::Result Folder::shapeOf() {
  Dims dims = graph::getDims(node.in(0));
  int64_t rank = dims.size(), start = node.integer("start", 0), end = node.integer("end", rank);
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, start, rank);
  element = im.b.getI64Type();
  if (node.proto.op_type() == "Size") {
    shape.clear();
    return Dims{graph::getNumElements(im.b.getContext(), dims)};
  }
  shape = {end - start};
  return Dims(dims.begin() + start, dims.begin() + end);
}

Folder::Result Folder::gather() {
  if (in[0].shape.size() != 1)
    return std::nullopt;
  element = in[0].element;
  shape = in[1].shape;
  Dims out;
  for (AffineExpr index : in[1].elements) {
    std::optional<int64_t> at = graph::getConstant(index);
    int64_t size = in[0].shape[0];
    if (!at || *at < -size || *at >= size)
      return std::nullopt;
    out.push_back(in[0].elements[*at < 0 ? *at + size : *at]);
  }
  return out;
}

Folder::Result Folder::slice() {
  SmallVector<int64_t> starts, ends, axes{0}, steps{1};
  if (in[0].shape.size() != 1)
    return std::nullopt;
  auto numbers = [&](size_t k, SmallVector<int64_t> &out) {
    if (k >= in.size() || !node.has(k))
      return true;
    out.clear();
    for (AffineExpr expr : in[k].elements) {
      if (!graph::getConstant(expr))
        return false;
      out.push_back(*graph::getConstant(expr));
    }
    return true;
  };
  if (node.version < 10) {
    starts = *node.integers("starts");
    ends = *node.integers("ends");
  } else if (!numbers(1, starts) || !numbers(2, ends) || !numbers(4, steps)) {
    return std::nullopt;
  }
  if (starts.size() != 1 || ends.size() != 1 || steps.size() != 1 || steps[0] == 0)
    return std::nullopt;
  int64_t size = in[0].shape[0], step = steps[0];
  auto clampTo = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, step > 0 ? 0 : -1, step > 0 ? size : size - 1); };
  int64_t start = clampTo(starts[0]), end = ends[0] < -size && step < 0 ? -1 : clampTo(ends[0]);
  Dims out;
  for (int64_t at = start; step > 0 ? at < end : at > end; at += step)
    out.push_back(in[0].elements[at]);
  shape = {static_cast<int64_t>(out.size())};
  element = in[0].element;
  return out;
}

Folder::Result Folder::concat() {
  Dims out;
  for (const Small &operand : in) {
    if (operand.shape.size() != 1)
      return std::nullopt;
    out.append(operand.elements);
  }
  shape = {static_cast<int64_t>(out.size())};
  element = in[0].element;
  return out;
}

Folder::Result Folder::reduce(bool product) {
  bool keeps = node.integer("keepdims", 1);
  if (in[0].shape.size() != 1 || in.size() > 1)
    return std::nullopt;
  AffineExpr total = im.c(product ? 1 : 0);
  for (AffineExpr expr : in[0].elements)
    total = product ? total * expr : total + expr;
  shape.clear();
  if (keeps)
    shape.push_back(1);
  element = in[0].element;
  return Dims{total};
}

Folder::Result Folder::range() {
  std::optional<int64_t> numbers[3];
  for (size_t k = 0; k < 3; ++k)
    numbers[k] = in[k].elements.size() == 1 ? graph::getConstant(in[k].elements[0]) : std::nullopt;
  if (!numbers[0] || !numbers[1] || !numbers[2] || *numbers[2] == 0)
    return std::nullopt;
  int64_t step = *numbers[2], span = *numbers[1] - *numbers[0];
  int64_t count = std::max<int64_t>(0, (span + step - (step > 0 ? 1 : -1)) / step);
  if (count > kMostElements)
    return std::nullopt;
  Dims out;
  for (int64_t k = 0; k < count; ++k)
    out.push_back(im.c(*numbers[0] + k * step));
  shape = {count};
  element = in[0].element;
  return out;
}

Folder::Result Folder::fill() {
  SmallVector<int64_t> extents;
  int64_t count = 1;
  for (AffineExpr expr : in[0].elements) {
    std::optional<int64_t> extent = graph::getConstant(expr);
    if (!extent || *extent < 0 || *extent > kMostElements)
      return std::nullopt;
    extents.push_back(*extent);
    count *= *extent;
  }
  const onnx::AttributeProto *value = node.attribute("value");
  if (count > kMostElements || !value || !value->has_t())
    return std::nullopt;
  Value constant = im.constant(value->t());
  std::optional<Dims> number = im.contents(constant);
  if (!number || number->size() != 1)
    return std::nullopt;
  shape = extents;
  element = Importer::elementOf(constant);
  return Dims(count, number->front());
}

Folder::Result Folder::foldElementwise(const std::string &op) {
  auto pick = [](AffineExpr x) { return std::optional<AffineExpr>(x); };
  if (op == "Add")
    return integerMap([&](auto x) { return pick(x[0] + x[1]); });
  if (op == "Sub")
    return integerMap([&](auto x) { return pick(x[0] - x[1]); });
  if (op == "Mul")
    return integerMap([&](auto x) { return pick(x[0] * x[1]); });
  if (op == "Neg")
    return integerMap([&](auto x) { return pick(-x[0]); });
  if (op == "Div")
    return divide();
  if (op == "Max" && in.size() == 2)
    return integerMap([&](auto x) { return pick(im.maxOf(x[0], x[1])); });
  if (op == "Min" && in.size() == 2)
    return integerMap([&](auto x) { return pick(im.minOf(x[0], x[1])); });
  if (op == "Equal")
    return relation([](int64_t a, int64_t d) { return a == d; }, true);
  if (op == "Less")
    return relation([](int64_t a, int64_t d) { return a < d; });
  if (op == "Greater")
    return relation([](int64_t a, int64_t d) { return a > d; });
  if (op == "LessOrEqual")
    return relation([](int64_t a, int64_t d) { return a <= d; });
  if (op == "GreaterOrEqual")
    return relation([](int64_t a, int64_t d) { return a >= d; });
  if (op == "And" || op == "Or")
    return relation([&](int64_t a, int64_t d) { return op == "And" ? a && d : a || d; });
  if (op == "Not")
    return map(im.b.getI1Type(), [&](ArrayRef<AffineExpr> x) -> std::optional<AffineExpr> {
      std::optional<int64_t> a = graph::getConstant(x[0]);
      return a ? pick(im.c(!*a)) : std::nullopt;
    });
  if (op == "Where")
    return map(in[1].element, [&](ArrayRef<AffineExpr> x) -> std::optional<AffineExpr> {
      std::optional<int64_t> condition = graph::getConstant(x[0]);
      if (!condition)
        return x[1] == x[2] ? pick(x[1]) : std::nullopt;
      return *condition ? x[1] : x[2];
    });
  return std::nullopt;
}

Folder::Result Folder::foldStructure(const std::string &op) {
  if (op == "Identity")
    return keep(0, in[0].shape);
  if (op == "Cast") {
    Type target = im.elementType(node.integer("to", 0));
    bool wide = target.isSignlessInteger(64) || target.isSignlessInteger(32);
    if (!wide || !(in[0].element.isSignlessInteger(64) || in[0].element.isSignlessInteger(32) || in[0].element.isInteger(1)))
      return std::nullopt;
    shape = in[0].shape;
    element = target;
    return in[0].elements;
  }
  if (op == "Gather" && node.integer("axis", 0) == 0)
    return gather();
  if (op == "Slice")
    return slice();
  if (op == "Concat")
    return concat();
  if (op == "ReduceProd" || op == "ReduceSum")
    return reduce(op == "ReduceProd");
  if (op == "Range")
    return range();
  if (op == "Squeeze" && in[0].elements.size() == 1 && in[0].shape.size() == 1)
    return keep(0, {});
  if (op == "Unsqueeze" && in[0].shape.empty())
    return keep(0, {1});
  if (op == "Reshape" && in[1].elements.size() == 1)
    return keep(0, {static_cast<int64_t>(in[0].elements.size())});
  return std::nullopt;
}

Folder::Result Folder::fold() {
  const std::string &op = node.proto.op_type();
  if (op == "Shape" || op == "Size")
    return shapeOf();
  for (Value input : node.inputs) {
    std::optional<Dims> elements = im.contents(input);
    if (!elements)
      return std::nullopt;
    auto type = cast<RankedTensorType>(input.getType());
    in.push_back({SmallVector<int64_t>(type.getShape()), *elements, type.getElementType()});
  }
  if (in.empty())
    return std::nullopt;
  if (op == "ConstantOfShape")
    return fill();
  if (Result result = foldElementwise(op))
    return result;
  return foldStructure(op);
}

} // namespace

std::optional<Dims> Importer::foldContents(Node &node, SmallVector<int64_t> &shape, Type &element) {
  if (!node.proto.domain().empty() && node.proto.domain() != "ai.onnx")
    return std::nullopt;
  if (node.proto.output_size() != 1)
    return std::nullopt;
  return Folder{*this, node, {}, shape, element}.fold();
}

} // namespace onager::import
