// f16 and bf16 operations -> f32 between casts at the borders. Test: graph-widen-floats.mlir
#include "dialects/Graph/Transforms/MatchBf16.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

#define DEBUG_TYPE "graph-widen-floats"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHWIDENFLOATS
#include "dialects/Graph/Transforms/Passes.h.inc"

static bool isNarrow(Type type) { return type.isF16() || type.isBF16(); }
static bool isNarrow(Value value) { return isa<RankedTensorType>(value.getType()) && isNarrow(getElement(value)); }

/// True where the operation means the same on wider floats: it computes, or moves elements.
static bool isWidenable(Operation &op) {
  if (isa<CastOp, BitcastOp, ConstantOp, CallOp, IotaOp, RecurrentOp>(op) || op.getNumRegions() || op.getNumResults() == 0 || !isPure(&op))
    return false;
  return llvm::any_of(op.getResults(), [](Value result) { return isNarrow(result); });
}

/// Operations of a block that move narrow elements, of which none is computed or computed with: they stay as they are.
static llvm::SmallPtrSet<Operation *, 16> getMovements(Block &block) {
  llvm::SmallPtrSet<Operation *, 16> staying;
  for (Operation &op : block)
    if (isWidenable(op) && movesElements(&op))
      staying.insert(&op);
  auto isWidened = [&](Operation *op) { return op && isWidenable(*op) && !staying.contains(op); };
  for (bool changes = true; changes;) {
    changes = false;
    for (Operation &op : block) {
      bool meets = llvm::any_of(op.getOperands(), [&](Value operand) { return isNarrow(operand) && isWidened(operand.getDefiningOp()); }) ||
                   llvm::any_of(op.getUsers(), isWidened);
      changes |= meets && staying.erase(&op);
    }
  }
  return staying;
}

/// The type with elements of f32.
static RankedTensorType widen(Type type) { return makeTensor(getDims(type), Float32Type::get(type.getContext())); }

namespace {
struct WidenFloats : impl::GraphWidenFloatsBase<WidenFloats> {
  using GraphWidenFloatsBase::GraphWidenFloatsBase;
  void runOnOperation() override {
    getOperation().walk([&](Block *block) { widenBlock(*block); });
  }

  /// 1. Each widenable operation is cloned on wide operands. 2. Readers that stay narrow get a cast back. 3. What nobody reads goes.
  void widenBlock(Block &block) {
    IRMapping wide;
    SmallVector<Operation *> replaced;
    llvm::SmallPtrSet<Operation *, 16> staying = getMovements(block);
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!isWidenable(op) || staying.contains(&op))
        continue;
      OpBuilder builder(&op);
      IRMapping operands;
      for (Value operand : op.getOperands())
        if (isNarrow(operand))
          operands.map(operand, getWide(operand, wide));
      if (auto product = dyn_cast<MatmulOp>(op); bf16 && product && getElement(product.getLhs()).isBF16() && hasBf16Weights(product))
        operands.map(product.getLhs(), round(builder, operands.lookup(product.getLhs()), product.getLhs().getType()));
      Operation *clone = builder.clone(op, operands);
      for (auto [result, widened] : llvm::zip(op.getResults(), clone->getResults()))
        if (isNarrow(result)) {
          widened.setType(widen(result.getType()));
          wide.map(result, widened);
        } else {
          result.replaceAllUsesWith(widened);
        }
      replaced.push_back(&op);
      ++numWidened;
    }
    llvm::SmallPtrSet<Operation *, 16> gone(replaced.begin(), replaced.end());
    for (Operation *op : replaced)
      narrowReaders(op, wide, gone);
    for (Operation *op : llvm::reverse(replaced))
      op->erase();
  }

  /// The wide form of a narrow value: that of its operation, or one cast behind it.
  Value getWide(Value value, IRMapping &wide) {
    if (Value known = wide.lookupOrNull(value))
      return known;
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    Value cast = CastOp::create(builder, value.getLoc(), widen(value.getType()), value);
    wide.map(value, cast);
    return cast;
  }

  /// The wide value rounded to its narrow type.
  static Value round(OpBuilder &builder, Value value, Type narrow) {
    if (holdsBf16(value))
      return value;
    Value rounded = CastOp::create(builder, value.getLoc(), narrow, value);
    return CastOp::create(builder, value.getLoc(), value.getType(), rounded);
  }

  void narrowReaders(Operation *op, IRMapping &wide, const llvm::SmallPtrSetImpl<Operation *> &gone) {
    for (Value result : op->getResults()) {
      bool isRead = llvm::any_of(result.getUsers(), [&](Operation *user) { return !gone.contains(user); });
      if (!isRead)
        continue;
      Value widened = wide.lookup(result);
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfterValue(widened);
      Value narrow = CastOp::create(builder, op->getLoc(), result.getType(), widened);
      result.replaceUsesWithIf(narrow, [&](OpOperand &use) { return !gone.contains(use.getOwner()); });
    }
  }
};
} // namespace
} // namespace onager::graph
