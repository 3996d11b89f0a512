// Small questions about graph values; see Match.h.
#include "dialects/Graph/Transforms/Match.h"

using namespace mlir;

namespace onager::graph {

Type getElement(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// True for casts of f16 and bf16 to wider floats, which keep every number.
static bool isWidening(CastOp op) {
  Type from = getElement(op.getX()), to = getElement(op.getResult());
  return (from.isF16() || from.isBF16()) && (to.isF32() || to.isF64());
}

std::optional<double> getScalar(Value value) {
  value = lookThroughViews(value);
  if (auto op = value.getDefiningOp<CastOp>(); op && isWidening(op))
    value = lookThroughViews(op.getX());
  ElementsAttr constant = getConstantValue(value);
  auto type = cast<RankedTensorType>(value.getType());
  if (!constant || !type.hasStaticShape() || type.getNumElements() != 1)
    return std::nullopt;
  Type element = type.getElementType();
  if (!element.isF32() && !element.isF64() && !element.isF16() && !element.isBF16() && !isa<IntegerType>(element))
    return std::nullopt;
  SmallVector<char> storage;
  return readNumber(element, getConstantBytes(constant, storage), 0);
}

Value makeScalar(OpBuilder &builder, Location loc, RankedTensorType type, double number) {
  auto value = DenseElementsAttr::get(type, ArrayRef<Attribute>(builder.getFloatAttr(type.getElementType(), number)));
  return ConstantOp::create(builder, loc, type, value);
}

} // namespace onager::graph
