// Failure, axes and shape expressions of the emitter.
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace onager::frontend {

/// A bound at least this far out never cuts a dim.
static constexpr int64_t kBeyondAnyDim = (int64_t(1) << 31) - 1;

Value Emitter::fail(const Twine &text) {
  if (reason.empty())
    reason = text.str();
  return {};
}

std::string Emitter::takeReason() { return std::exchange(reason, {}); }

Type Emitter::elementOf(Value value) { return mlir::cast<RankedTensorType>(value.getType()).getElementType(); }
int64_t Emitter::rankOf(Value value) { return mlir::cast<RankedTensorType>(value.getType()).getRank(); }
Dims Emitter::dimsOf(Value value) { return graph::getDims(value); }

int64_t Emitter::axisOf(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    fail("axis " + Twine(axis) + " is outside rank " + Twine(rank));
    return 0;
  }
  return axis < 0 ? axis + rank : axis;
}

Ints Emitter::axesOf(ArrayRef<int64_t> axes, int64_t rank) {
  Ints result;
  for (int64_t axis : axes)
    result.push_back(axisOf(axis, rank));
  llvm::sort(result);
  if (llvm::adjacent_find(result) != result.end())
    fail("an axis is given twice");
  return result;
}

Dims Emitter::numbers(ArrayRef<int64_t> values) const {
  Dims dims;
  for (int64_t value : values)
    dims.push_back(number(value));
  return dims;
}

AffineExpr Emitter::product(ArrayRef<AffineExpr> dims, MLIRContext *context) { return normalize(graph::getNumElements(context, dims)); }

AffineExpr Emitter::define(graph::DefineKind kind, ArrayRef<AffineExpr> list, bool isNonNegative) {
  AffineMapAttr attribute = graph::makeExprs(context(), list);
  std::pair<unsigned, Attribute> key(static_cast<unsigned>(kind), attribute);
  for (RegionScope &scope : scopes)
    if (auto it = scope.defined.find(key); it != scope.defined.end())
      return it->second;
  AffineExpr symbol = isNonNegative ? symbols.fresh() : symbols.freshSigned();
  graph::DefineOp::create(builder, location, symbols.size() - 1, kind, attribute.getValue());
  scopes.back().defined[key] = symbol;
  definitions[symbol] = {kind, Dims(list)};
  return symbol;
}

AffineExpr Emitter::maxOf(AffineExpr a, AffineExpr b) {
  if (std::optional<int64_t> difference = getDifference(a, b))
    return *difference >= 0 ? a : b;
  for (auto [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    std::optional<int64_t> bound = graph::getConstant(y);
    if ((bound && *bound <= -kBeyondAnyDim) || symbols.isNonNegative(x - y))
      return x;
  }
  AffineExpr symbol = define(graph::DefineKind::max, {a, b}, symbols.isNonNegative(a) || symbols.isNonNegative(b));
  symbols.addFact(symbol - a);
  symbols.addFact(symbol - b);
  return symbol;
}

AffineExpr Emitter::minOf(AffineExpr a, AffineExpr b) {
  if (std::optional<int64_t> difference = getDifference(a, b))
    return *difference <= 0 ? a : b;
  for (auto [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    std::optional<int64_t> bound = graph::getConstant(y);
    if ((bound && *bound >= kBeyondAnyDim) || symbols.isNonNegative(y - x))
      return x;
  }
  AffineExpr symbol = define(graph::DefineKind::min, {a, b}, symbols.isNonNegative(a) && symbols.isNonNegative(b));
  symbols.addFact(a - symbol);
  symbols.addFact(b - symbol);
  return symbol;
}

AffineExpr Emitter::sizeOf(AffineExpr value, const Twine &what) {
  std::optional<int64_t> known = graph::getConstant(value);
  if (known && *known < 0) {
    fail(what + ": expected 0 or more, found " + Twine(*known));
    return number(0);
  }
  AffineExpr size = maxOf(value, number(0));
  if (size != value)
    require(size, value, what + ": expected 0 or more");
  return size;
}

AffineExpr Emitter::truncDiv(AffineExpr a, AffineExpr b) {
  std::optional<int64_t> x = graph::getConstant(a), y = graph::getConstant(b);
  if (y == 0)
    return number(0);
  if (x && y)
    return number(*y == -1 ? static_cast<int64_t>(-static_cast<uint64_t>(*x)) : *x / *y);
  bool isSimple = symbols.isNonNegative(a) && symbols.isNonNegative(b);
  if (isSimple) {
    AffineExpr quotient = normalize(a.floorDiv(b));
    bool hasDivision = false;
    quotient.walk([&](AffineExpr part) { hasDivision |= part.getKind() == AffineExprKind::FloorDiv; });
    if (!hasDivision || (y && *y > 0))
      return quotient;
  }
  return define(graph::DefineKind::trunc_div, {a, b}, isSimple);
}

AffineExpr Emitter::selectEqual(AffineExpr a, AffineExpr b, AffineExpr c, AffineExpr d) {
  if (std::optional<int64_t> difference = getDifference(a, b))
    return *difference == 0 ? c : d;
  if (areEqual(c, d) || (areEqual(a, d) && areEqual(b, c)))
    return d;
  if (symbols.isNonNegative(a - b - 1) || symbols.isNonNegative(b - a - 1))
    return d;
  return define(graph::DefineKind::select_equal, {a, b, c, d}, symbols.isNonNegative(c) && symbols.isNonNegative(d));
}

bool Emitter::absorbs(AffineExpr whole, AffineExpr part) const {
  if (areEqual(whole, part))
    return true;
  // A dim that came out of a broadcast with `part` is 1 only where `part` is.
  if (auto found = definitions.find(whole); found != definitions.end() && found->second.first == graph::DefineKind::broadcast)
    return llvm::any_of(found->second.second, [&](AffineExpr operand) { return absorbs(operand, part); });
  // The smaller of `whole` and a positive number is 0 or 1 where `whole` is.
  auto found = definitions.find(part);
  if (found == definitions.end() || found->second.first != graph::DefineKind::min)
    return false;
  return llvm::all_of(found->second.second, [&](AffineExpr operand) {
    std::optional<int64_t> bound = graph::getConstant(operand);
    return bound ? *bound > 0 : areEqual(operand, whole);
  });
}

AffineExpr Emitter::broadcastDim(AffineExpr a, AffineExpr b) {
  std::optional<int64_t> x = graph::getConstant(a), y = graph::getConstant(b);
  if (x == 1 || areEqual(a, b))
    return b;
  if (y == 1)
    return a;
  if (x && y) {
    fail("dims " + Twine(*x) + " and " + Twine(*y) + " do not broadcast");
    return a;
  }
  for (auto [whole, part] : {std::pair(a, b), std::pair(b, a)})
    if (absorbs(whole, part)) {
      require(selectEqual(part, number(1), whole, part), whole, "dims do not broadcast");
      return whole;
    }
  // One of them is not known: it must turn out to be 1 or the same.
  AffineExpr result = x ? a : y ? b : define(graph::DefineKind::broadcast, {a, b}, /*isNonNegative=*/true);
  AffineExpr other = x ? b : y ? a : b;
  require(selectEqual(other, number(1), result, other), result, "dims do not broadcast");
  return result;
}

void Emitter::require(AffineExpr a, AffineExpr b, const Twine &what) {
  for (RegionScope &scope : scopes)
    if (scope.required.contains({a, b}))
      return;
  scopes.back().required.insert({a, b});
  graph::RequireOp::create(builder, location, exprs({a, b}), "node '" + nodeName + "': " + what.str());
}

Dims Emitter::broadcastDims(ArrayRef<AffineExpr> a, ArrayRef<AffineExpr> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Dims result(a);
  size_t offset = a.size() - b.size();
  for (size_t k = 0; k < b.size(); ++k)
    result[offset + k] = broadcastDim(a[offset + k], b[k]);
  return result;
}

void Emitter::requireAtLeast(AffineExpr extent, AffineExpr least, const Twine &what) { unify(maxOf(extent, least), extent, what); }

static size_t countTerms(AffineExpr expr) {
  size_t count = 0;
  expr.walk([&](AffineExpr) { ++count; });
  return count;
}

AffineExpr Emitter::unify(AffineExpr a, AffineExpr b, const Twine &what) {
  if (areEqual(a, b))
    return a;
  std::optional<int64_t> x = graph::getConstant(a), y = graph::getConstant(b);
  if (x && y) {
    fail(what + ": " + Twine(*x) + " and " + Twine(*y) + " differ");
    return a;
  }
  require(a, b, what);
  if (x)
    return a;
  if (y)
    return b;
  return countTerms(b) < countTerms(a) ? b : a;
}

RankedTensorType Emitter::tensorType(ArrayRef<AffineExpr> dims, Type element) {
  int64_t total = 1;
  Dims normal;
  for (AffineExpr dim : dims) {
    normal.push_back(normalize(dim));
    std::optional<int64_t> extent = graph::getConstant(normal.back());
    if (!extent || *extent == 0)
      continue;
    if (*extent < 0) {
      fail("a dim would be " + Twine(*extent));
      return {};
    }
    if (*extent > kMaxElements / total) {
      fail("a tensor would have more than 2^46 elements");
      return {};
    }
    total *= *extent;
  }
  return graph::makeTensor(normal, element);
}

} // namespace onager::frontend
