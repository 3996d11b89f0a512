// Contents of small tensors and constants of the emitter.
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "llvm/ADT/APFloat.h"
#include <cmath>
#include <cstring>

using namespace mlir;

namespace onager::frontend {

static bool isSmall(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.hasStaticShape() && type.getNumElements() <= kMaxContents;
}

std::optional<Exprs> Emitter::contents(Value value) {
  if (!value || !isSmall(value) || !isa<IntegerType>(elementOf(value)))
    return std::nullopt;
  if (auto index = value.getDefiningOp<graph::IndexTensorOp>())
    return Exprs(index.getExprs().getResults());
  std::optional<Ints> known = constants(value);
  if (!known)
    return std::nullopt;
  return Exprs(numbers(*known));
}

std::optional<Ints> Emitter::constants(Value value) {
  if (!value || !isSmall(value) || !isa<IntegerType>(elementOf(value)))
    return std::nullopt;
  Ints result;
  if (mlir::cast<RankedTensorType>(value.getType()).getNumElements() == 0)
    return result;
  if (auto index = value.getDefiningOp<graph::IndexTensorOp>()) {
    for (AffineExpr expr : index.getExprs().getResults()) {
      if (!isa<AffineConstantExpr>(expr))
        return std::nullopt;
      result.push_back(mlir::cast<AffineConstantExpr>(expr).getValue());
    }
    return result;
  }
  ElementsAttr attribute = graph::getConstantValue(value);
  if (!attribute)
    return std::nullopt;
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(attribute, storage);
  for (int64_t k = 0, count = mlir::cast<RankedTensorType>(value.getType()).getNumElements(); k < count; ++k)
    result.push_back(graph::readInteger(elementOf(value), bytes, k));
  return result;
}

std::optional<std::vector<double>> Emitter::constantNumbers(Value value) {
  if (!value || !isSmall(value) || !elementOf(value).isIntOrFloat())
    return std::nullopt;
  if (std::optional<Ints> known = constants(value))
    return std::vector<double>(known->begin(), known->end());
  ElementsAttr attribute = graph::getConstantValue(value);
  if (!attribute)
    return std::nullopt;
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(attribute, storage);
  std::vector<double> result;
  for (int64_t k = 0, count = mlir::cast<RankedTensorType>(value.getType()).getNumElements(); k < count; ++k)
    result.push_back(graph::readNumber(elementOf(value), bytes, k));
  return result;
}

Exprs Emitter::contentsOrBind(Value value) {
  if (!value)
    return {};
  if (std::optional<Exprs> known = contents(value))
    return *known;
  auto type = mlir::cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape() || type.getNumElements() > kMaxContents || !isa<IntegerType>(type.getElementType())) {
    fail("needs the elements of a tensor whose number of elements is not known");
    return {};
  }
  int64_t count = type.getNumElements();
  for (RegionScope &scope : scopes)
    if (auto it = scope.bound.find(value); it != scope.bound.end()) {
      Exprs result;
      for (int64_t k = 0; k < count; ++k)
        result.push_back(getAffineSymbolExpr(it->second + k, context()));
      return result;
    }
  unsigned first = symbols.size();
  Exprs result;
  for (int64_t k = 0; k < count; ++k)
    result.push_back(symbols.freshSigned());
  if (count)
    graph::BindOp::create(builder, location, value, first);
  scopes.back().bound[value] = first;
  return result;
}

Value Emitter::ofLength(Value list, int64_t count, const Twine &what) {
  if (!list || rankOf(list) != 1 || graph::getConstant(dimsOf(list)[0]))
    return list;
  unify(dimsOf(list)[0], number(count), what);
  return reshape(list, {number(count)});
}

int64_t wrapInteger(int64_t value, Type element) {
  unsigned width = cast<IntegerType>(element).getWidth();
  if (width >= 64)
    return value;
  uint64_t low = static_cast<uint64_t>(value) & ((uint64_t(1) << width) - 1);
  if (element.isUnsignedInteger() || width == 1 || !(low >> (width - 1)))
    return static_cast<int64_t>(low);
  return static_cast<int64_t>(low | ~((uint64_t(1) << width) - 1));
}

Value Emitter::indexTensor(ArrayRef<AffineExpr> list, ArrayRef<int64_t> shape, Type element) {
  if (hasFailed())
    return {};
  Exprs normal;
  bool isConstant = true;
  for (AffineExpr expr : list) {
    normal.push_back(normalize(expr));
    isConstant &= isa<AffineConstantExpr>(normal.back());
  }
  auto type = RankedTensorType::get(shape, element);
  if (!isConstant)
    return graph::IndexTensorOp::create(builder, location, type, exprs(normal));
  SmallVector<APInt> numbers;
  unsigned width = mlir::cast<IntegerType>(element).getWidth();
  for (AffineExpr expr : normal)
    numbers.emplace_back(width, static_cast<uint64_t>(mlir::cast<AffineConstantExpr>(expr).getValue()), false, /*implicitTrunc=*/true);
  return constant(DenseElementsAttr::get(type, numbers));
}

Value Emitter::indexVector(ArrayRef<AffineExpr> list) { return indexTensor(list, {static_cast<int64_t>(list.size())}, i64()); }

Value Emitter::constant(ElementsAttr value) {
  if (hasFailed())
    return {};
  return graph::ConstantOp::create(builder, location, mlir::cast<RankedTensorType>(value.getType()), value);
}

/// Rounds a number to a float type, saturating nothing.
static APFloat toFloat(double value, FloatType type) {
  APFloat number(value);
  bool inexact = false;
  number.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &inexact);
  return number;
}

static APInt toInteger(double value, IntegerType type) {
  bool isUnsigned = type.isUnsigned();
  uint64_t word = 0;
  if (std::isfinite(value)) {
    if (isUnsigned || value >= 9223372036854775808.0)
      word = value <= 0 ? 0 : value >= 18446744073709551616.0 ? UINT64_MAX : static_cast<uint64_t>(value);
    else
      word = static_cast<uint64_t>(static_cast<int64_t>(std::max(value, -9223372036854775808.0)));
  }
  return APInt(type.getWidth(), word, false, /*implicitTrunc=*/true);
}

Value Emitter::tensor(ArrayRef<double> values, ArrayRef<int64_t> shape, Type element) {
  if (hasFailed())
    return {};
  auto type = RankedTensorType::get(shape, element);
  if (auto floating = dyn_cast<FloatType>(element)) {
    SmallVector<APFloat> list;
    for (double value : values)
      list.push_back(toFloat(value, floating));
    return constant(DenseElementsAttr::get(type, list));
  }
  SmallVector<APInt> list;
  for (double value : values)
    list.push_back(toInteger(value, mlir::cast<IntegerType>(element)));
  return constant(DenseElementsAttr::get(type, list));
}

Value Emitter::scalar(double value, Type element) { return tensor({value}, {}, element); }

Value Emitter::integerScalar(int64_t value, Type element) {
  if (isa<FloatType>(element))
    return scalar(static_cast<double>(value), element);
  return indexTensor({number(value)}, {}, element);
}

Value Emitter::zero(Type element) {
  if (!isa<graph::StringType>(element))
    return integerScalar(0, element);
  return constant(DenseStringElementsAttr::get(RankedTensorType::get({}, element), {StringRef()}));
}

Value Emitter::strings(ArrayRef<std::string> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, graph::StringType::get(context()));
  return constant(DenseStringElementsAttr::get(type, SmallVector<StringRef>(values.begin(), values.end())));
}

Value Emitter::ints(ArrayRef<int64_t> values) { return indexVector(numbers(values)); }

Value Emitter::splat(Value value, ArrayRef<AffineExpr> dims) {
  if (!value)
    return {};
  return broadcast(value, dims);
}

Value Emitter::lowest(Type element) {
  if (auto floating = dyn_cast<FloatType>(element))
    return constant(DenseElementsAttr::get(RankedTensorType::get({}, element), APFloat::getInf(floating.getFloatSemantics(), true)));
  auto type = mlir::cast<IntegerType>(element);
  bool isUnsigned = type.isUnsigned() || type.getWidth() == 1;
  APInt value = isUnsigned ? APInt::getMinValue(type.getWidth()) : APInt::getSignedMinValue(type.getWidth());
  return constant(DenseElementsAttr::get(RankedTensorType::get({}, element), value));
}

Value Emitter::highest(Type element) {
  if (auto floating = dyn_cast<FloatType>(element))
    return constant(DenseElementsAttr::get(RankedTensorType::get({}, element), APFloat::getInf(floating.getFloatSemantics(), false)));
  auto type = mlir::cast<IntegerType>(element);
  bool isUnsigned = type.isUnsigned() || type.getWidth() == 1;
  APInt value = isUnsigned ? APInt::getMaxValue(type.getWidth()) : APInt::getSignedMaxValue(type.getWidth());
  return constant(DenseElementsAttr::get(RankedTensorType::get({}, element), value));
}

} // namespace onager::frontend
