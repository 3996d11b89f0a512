// reduce over the last dims and others apart from them -> reduce over the last, then over the others. Test: graph-split-reduce.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"

#define DEBUG_TYPE "graph-split-reduce"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHSPLITREDUCE
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// True where partial results of the reduction are as exact as what they are made of.
bool keepsPartialResults(ReduceOp op) {
  Type element = getElement(op.getX());
  if (op.getKind() == ReduceKind::max || op.getKind() == ReduceKind::min)
    return true;
  return element.isF32() || element.isF64() || (isa<IntegerType>(element) && op.getKind() != ReduceKind::mean);
}

/// How partial results go together.
ReduceKind getKindOfResults(ReduceKind kind) { return kind == ReduceKind::sum_square || kind == ReduceKind::sum_abs ? ReduceKind::sum : kind; }

struct SplitReduce : impl::GraphSplitReduceBase<SplitReduce> {
  void runOnOperation() override {
    SmallVector<ReduceOp> reductions;
    getOperation().walk([&](ReduceOp op) { reductions.push_back(op); });
    for (ReduceOp op : reductions) {
      SmallVector<int64_t> others(op.getAxes()), last;
      llvm::sort(others);
      for (int64_t dim = static_cast<int64_t>(getDims(op.getX()).size()) - 1; !others.empty() && others.back() == dim; --dim)
        last.insert(last.begin(), others.pop_back_val());
      if (last.empty() || others.empty() || !keepsPartialResults(op))
        continue;
      OpBuilder b(op);
      Dims dims = getDims(op.getX());
      for (int64_t axis : last)
        dims[axis] = b.getAffineConstantExpr(1);
      Value partial = ReduceOp::create(b, op.getLoc(), makeTensor(dims, getElement(op.getX())), op.getX(), op.getKind(), last);
      op.replaceAllUsesWith(ReduceOp::create(b, op.getLoc(), op.getType(), partial, getKindOfResults(op.getKind()), others).getResult());
      op.erase();
      ++numSplit;
    }
  }
};

} // namespace
} // namespace onager::graph
