// Small questions about graph values; see Match.h.
#include "dialects/Graph/Transforms/Match.h"
#include <cmath>

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

Value makeSlice(OpBuilder &builder, Location loc, Value x, size_t axis, int64_t start, int64_t count) {
  Dims dims = getDims(x), starts(dims.size(), builder.getAffineConstantExpr(0));
  dims[axis] = builder.getAffineConstantExpr(count);
  starts[axis] = builder.getAffineConstantExpr(start);
  SmallVector<int64_t> steps(dims.size(), 1);
  return SliceOp::create(builder, loc, makeTensor(dims, getElement(x)), x, makeExprs(builder.getContext(), starts), builder.getDenseI64ArrayAttr(steps));
}

static void collectFactors(Value value, bool isRoot, Product &product) {
  bool isInner = isRoot || value.hasOneUse();
  if (std::optional<double> number = getScalar(value)) {
    product.scale *= *number;
  } else if (auto mul = value.getDefiningOp<MulOp>(); mul && isInner) {
    collectFactors(mul.getLhs(), false, product);
    collectFactors(mul.getRhs(), false, product);
  } else if (auto div = value.getDefiningOp<DivOp>(); div && isInner && getScalar(div.getRhs())) {
    product.scale /= *getScalar(div.getRhs());
    collectFactors(div.getLhs(), false, product);
  } else {
    product.values.push_back(value);
  }
}

Product splitProduct(Value value) {
  Product product;
  collectFactors(value, /*isRoot=*/true, product);
  return product;
}

bool isConstantTree(Value value, int depth) {
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0)
    return false;
  if (isa<ConstantOp>(op))
    return true;
  bool cheap = op->hasTrait<ElementwiseOp>() || isa<ReshapeOp>(op);
  return cheap && llvm::all_of(op->getOperands(), [&](Value operand) { return isConstantTree(operand, depth - 1); });
}

bool isPerChannel(Value scale, size_t rank, size_t channel, AffineExpr channels) {
  Dims dims = getDims(scale);
  for (size_t k = 0; k < dims.size() && dims.size() <= rank; ++k) {
    bool isChannel = k + rank - dims.size() == channel;
    if (!isConstant(dims[k], 1) && !(isChannel && dims[k] == channels))
      return false;
  }
  return dims.size() <= rank;
}

bool isNear(double number, double expected, Type element) {
  double tolerance = element.isF64() ? 1e-12 : element.isF32() ? 1e-6 : 4e-3;
  return std::abs(number - expected) <= tolerance * std::abs(expected);
}

} // namespace onager::graph
