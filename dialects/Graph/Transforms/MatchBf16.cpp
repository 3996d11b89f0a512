// Numbers that bf16 can hold; see MatchBf16.h.
#include "dialects/Graph/Transforms/MatchBf16.h"

using namespace mlir;

namespace onager::graph {

/// Operations between a product and where its operand becomes bf16, at most.
static constexpr int kLongestChain = 4;
/// Below these a product is mostly padding.
static constexpr int64_t kFewestColumns = 16, kShortestSum = 16;

/// What moves numbers without changing them, from its first operand alone.
static bool isMovement(Operation *op) { return isa_and_nonnull<ReshapeOp, TransposeOp, SliceOp>(op); }

static bool isCastFromBf16(Operation *op) {
  auto cast = dyn_cast_if_present<CastOp>(op);
  return cast && getElement(cast.getX()).isBF16() && getElement(cast.getResult()).isF32();
}

static bool holdsBf16(Value value, int steps) {
  Operation *op = value.getDefiningOp();
  if (isCastFromBf16(op) || isBf16Constant(value))
    return true;
  // What others read as well would be moved twice; a view is no work.
  return steps > 0 && isMovement(op) && (value.hasOneUse() || isa<ReshapeOp>(op)) && holdsBf16(op->getOperand(0), steps - 1);
}

bool holdsBf16(Value value) { return getElement(value).isF32() && holdsBf16(value, kLongestChain); }

Value makeBf16(OpBuilder &builder, Value value) {
  Operation *op = value.getDefiningOp();
  if (isCastFromBf16(op))
    return op->getOperand(0);
  RankedTensorType type = makeTensor(getDims(value), builder.getBF16Type());
  if (isa<ConstantOp>(op))
    return CastOp::create(builder, value.getLoc(), type, value);
  Value source = makeBf16(builder, op->getOperand(0));
  Operation *moved = builder.clone(*op);
  moved->setOperand(0, source);
  moved->getResult(0).setType(type);
  return moved->getResult(0);
}

/// True for constants of bf16, as they are or as f32, and what moves them.
static bool isWeights(Value value) {
  for (int steps = 0; steps <= kLongestChain; ++steps) {
    if (getConstantValue(value))
      return getElement(value).isBF16() || isBf16Constant(value);
    Operation *op = value.getDefiningOp();
    if (!isCastFromBf16(op) && !isMovement(op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

bool hasBf16Weights(MatmulOp op) {
  auto rhs = cast<RankedTensorType>(op.getRhs().getType());
  bool isKnown = rhs.getRank() == 2 && rhs.hasStaticShape() && cast<RankedTensorType>(op.getLhs().getType()).getRank() >= 2;
  return isKnown && rhs.getDimSize(0) >= kShortestSum && rhs.getDimSize(1) >= kFewestColumns && isWeights(op.getRhs());
}

} // namespace onager::graph
