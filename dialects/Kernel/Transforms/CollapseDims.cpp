// tensor<4x5x6> with tensor<6> -> tensor<20x6> with tensor<1x6>, inside units of elementwise operations and a reduction. Test: kernel-collapse-dims.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/Transforms/Passes.h"

#define DEBUG_TYPE "kernel-collapse-dims"

using namespace mlir;

namespace onager::kernel {
#define GEN_PASS_DEF_KERNELCOLLAPSEDIMS
#include "dialects/Kernel/Transforms/Passes.h.inc"

namespace {

/// How a tensor extends along one dim of the iteration space.
enum class Extent { full, one, other };

/// Returns the extent of `dims` (trailing-aligned) along dim `k` of the space `space`.
Extent getExtent(ArrayRef<AffineExpr> dims, ArrayRef<AffineExpr> space, size_t k) {
  size_t missing = space.size() - dims.size();
  if (k < missing || graph::isConstant(dims[k - missing], 1))
    return Extent::one;
  return dims[k - missing] == space[k] ? Extent::full : Extent::other;
}

/// True where the unit has elementwise operations alone, beside at most one reduction, which is `reduction` then.
bool canCollapse(UnitOp unit, graph::ReduceOp &reduction) {
  if (unit.getHero() != Hero::map && unit.getHero() != Hero::reduce)
    return false;
  for (Operation &op : unit.getBody().front().without_terminator()) {
    if (op.hasTrait<graph::ElementwiseOp>() || isa<graph::ConstantOp>(op))
      continue;
    if (reduction || !isa<graph::ReduceOp>(op))
      return false;
    reduction = cast<graph::ReduceOp>(op);
  }
  return true;
}

SmallVector<Value> getTensors(UnitOp unit) {
  SmallVector<Value> tensors(unit.getBody().getArguments());
  for (Operation &op : unit.getBody().front().without_terminator())
    tensors.append(op.result_begin(), op.result_end());
  return tensors;
}

/// Groups the dims of the space: each group is a list of neighbours that all tensors walk alike.
SmallVector<SmallVector<size_t>> groupDims(ArrayRef<AffineExpr> space, ArrayRef<Value> tensors) {
  SmallVector<SmallVector<size_t>> groups;
  for (size_t k = 0; k < space.size(); ++k) {
    if (graph::isConstant(space[k], 1))
      continue;
    bool joins = !groups.empty() && llvm::all_of(tensors, [&](Value tensor) {
      graph::Dims dims = graph::getDims(tensor);
      Extent before = getExtent(dims, space, groups.back().back()), here = getExtent(dims, space, k);
      return before == here && here != Extent::other;
    });
    if (!joins)
      groups.emplace_back();
    groups.back().push_back(k);
  }
  return groups;
}

/// Returns the dims of a tensor by groups.
graph::Dims collapse(ArrayRef<AffineExpr> dims, ArrayRef<AffineExpr> space, ArrayRef<SmallVector<size_t>> groups, MLIRContext *context) {
  graph::Dims out;
  size_t missing = space.size() - dims.size();
  for (const SmallVector<size_t> &group : groups) {
    AffineExpr product = getAffineConstantExpr(1, context);
    for (size_t k : group)
      if (k >= missing)
        product = product * dims[k - missing];
    out.push_back(product);
  }
  return out;
}

/// The groups that a reduction runs over. Its result has extent 1 there and the space's elsewhere, so that no group has both.
SmallVector<int64_t> getReducedGroups(graph::ReduceOp reduction, ArrayRef<SmallVector<size_t>> groups) {
  SmallVector<int64_t> axes;
  for (auto [number, group] : llvm::enumerate(groups))
    if (reduction && llvm::is_contained(reduction.getAxes(), static_cast<int64_t>(group.front())))
      axes.push_back(static_cast<int64_t>(number));
  return axes;
}

struct CollapseDims : impl::KernelCollapseDimsBase<CollapseDims> {
  void runOnOperation() override {
    UnitOp unit = getOperation();
    graph::ReduceOp reduction;
    if (!canCollapse(unit, reduction))
      return;
    graph::Dims space = graph::getDims(reduction ? reduction.getX() : unit.getBody().front().getTerminator()->getOperand(0));
    SmallVector<Value> tensors = getTensors(unit);
    if (llvm::any_of(tensors, [&](Value tensor) { return graph::getDims(tensor).size() > space.size(); }))
      return;
    SmallVector<SmallVector<size_t>> groups = groupDims(space, tensors);
    SmallVector<int64_t> axes = getReducedGroups(reduction, groups);
    if (groups.size() == space.size() || (reduction && axes.empty()))
      return;
    if (reduction)
      reduction.setAxes(axes);
    for (Value tensor : tensors)
      retype(tensor, collapse(graph::getDims(tensor), space, groups, &getContext()));
    ++numCollapsed;
  }

  void retype(Value tensor, ArrayRef<AffineExpr> dims) {
    auto type = cast<RankedTensorType>(tensor.getType());
    RankedTensorType flat = graph::makeTensor(dims, type.getElementType());
    if (auto constant = tensor.getDefiningOp<graph::ConstantOp>()) {
      SmallVector<char> storage;
      constant.setValueAttr(graph::makeConstant(flat, graph::getConstantBytes(constant.getValue(), storage)));
    }
    tensor.setType(flat);
  }
};

} // namespace
} // namespace onager::kernel
