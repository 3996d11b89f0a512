// pool over several dims -> pools over fewer, one after the other. Test: graph-split-pool.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"

#define DEBUG_TYPE "graph-split-pool"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHSPLITPOOL
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Taps of a window over two dims that are cheaper in one operation.
constexpr int64_t kFewTaps = 4;

/// Spatial dims [first, first + count) of a pool.
struct Group {
  size_t first, count;
};

/// How many of the last spatial dims are pooled at once: planes of f32 have a form of their own.
size_t getPlaneRank(PoolOp op) { return getElement(op.getX()).isF32() ? 2 : 1; }

/// True where the window of the dim is one element that stays where it is.
bool isPlain(PoolOp op, size_t dim) {
  return op.getKernel()[dim] == 1 && op.getStrides()[dim] == 1 && isConstant(op.getPads().getResult(dim), 0) && getDims(op.getX())[2 + dim] == getDims(op.getResult())[2 + dim];
}

bool isWorthSplitting(PoolOp op) {
  size_t spatial = op.getKernel().size(), rank = getPlaneRank(op);
  Type element = getElement(op.getX());
  if (spatial <= rank || (op.getKind() != PoolKind::max && !element.isF32() && !element.isF64()))
    return false;
  int64_t taps = 1, most = 1;
  for (int64_t extent : op.getKernel()) {
    taps *= extent;
    most = std::max(most, extent);
  }
  return spatial > 2 || (taps > kFewTaps && taps > most);
}

/// Pools over one group of dims: dims before it join the channels, those behind it are one dim that windows do not reach over.
Value poolOver(OpBuilder &b, PoolOp op, Value x, Group group) {
  Dims have = getDims(x), out = getDims(op.getResult()), after = have;
  MLIRContext *context = b.getContext();
  size_t first = 2 + group.first, end = first + group.count;
  std::copy(out.begin() + first, out.begin() + end, after.begin() + first);
  bool hasRest = end < have.size();
  auto view = [&](ArrayRef<AffineExpr> dims) {
    Dims merged{dims[0], getNumElements(context, dims.slice(1, first - 1))};
    llvm::append_range(merged, dims.slice(first, group.count));
    if (hasRest)
      merged.push_back(getNumElements(context, dims.drop_front(end)));
    return merged;
  };
  auto take = [&](ArrayRef<int64_t> all) {
    SmallVector<int64_t> taken(all.slice(group.first, group.count));
    if (hasRest)
      taken.push_back(1);
    return taken;
  };
  auto takeExprs = [&](AffineMap all) {
    Dims taken(all.getResults().slice(group.first, group.count));
    if (hasRest)
      taken.push_back(b.getAffineConstantExpr(0));
    return makeExprs(context, taken).getValue();
  };
  Type element = getElement(x);
  Location loc = op.getLoc();
  Value flat = ReshapeOp::create(b, loc, makeTensor(view(have), element), x);
  Value pooled = PoolOp::create(b, loc, makeTensor(view(after), element), flat, op.getKind(), take(op.getKernel()), take(op.getStrides()), takeExprs(op.getPads()),
                                takeExprs(op.getPadsEnd()), take(op.getDilations()), op.getCountPadding(), op.getP());
  return ReshapeOp::create(b, loc, makeTensor(after, element), pooled);
}

struct SplitPool : impl::GraphSplitPoolBase<SplitPool> {
  void runOnOperation() override {
    SmallVector<PoolOp> pools;
    getOperation().walk([&](PoolOp op) {
      if (isWorthSplitting(op))
        pools.push_back(op);
    });
    for (PoolOp op : pools) {
      OpBuilder b(op);
      Value x = op.getX();
      // From the last dims on: strides leave less for the others, which vectors then run along.
      size_t rank = getPlaneRank(op);
      for (size_t end = op.getKernel().size(), count; end > 0; end -= count) {
        count = end == op.getKernel().size() ? rank : 1;
        // A norm of one element is its magnitude.
        if (op.getKind() == PoolKind::lp || !llvm::all_of(llvm::seq(end - count, end), [&](size_t dim) { return isPlain(op, dim); }))
          x = poolOver(b, op, x, {end - count, count});
      }
      op.replaceAllUsesWith(x);
      op.erase();
      ++numSplit;
    }
  }
};

} // namespace
} // namespace onager::graph
