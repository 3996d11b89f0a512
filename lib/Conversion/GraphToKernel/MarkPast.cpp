// attention over concat(past, now) -> the same, knowing `past`. Test: graph-mark-past.mlir
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "graph-mark-past"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_GRAPHMARKPAST
#include "lib/Conversion/GraphToKernel/Passes.h.inc"

namespace {

/// The concatenation of rows that an argument of the function or of a loop begins, which keys or values are a view of; null where there is none.
graph::ConcatOp findAppend(Value rows) {
  auto concat = graph::lookThroughViews(rows).getDefiningOp<graph::ConcatOp>();
  bool appends = concat && concat.getInputs().size() == 2 && concat.getAxis() + 2 == static_cast<uint64_t>(concat.getType().getRank());
  if (!appends || !isa<BlockArgument>(concat.getInputs().front()))
    return nullptr;
  graph::Dims seen = graph::getDims(rows), stored = graph::getDims(concat.getResult());
  return seen.size() >= 2 && ArrayRef(seen).take_back(2) == ArrayRef(stored).take_back(2) ? concat : nullptr;
}

AffineExpr getPastRows(graph::ConcatOp concat) { return graph::getDims(concat.getInputs().front()).end()[-2]; }

/// The past of keys or values, with the leading dims of these.
Value viewPast(graph::AttentionOp op, Value rows, graph::ConcatOp concat) {
  Value past = concat.getInputs().front();
  graph::Dims dims = graph::getDims(rows);
  dims[dims.size() - 2] = getPastRows(concat);
  RankedTensorType type = graph::makeTensor(dims, concat.getType().getElementType());
  OpBuilder builder(op);
  return past.getType() == type ? past : graph::ReshapeOp::create(builder, op.getLoc(), type, past).getResult();
}

int64_t countWeightBytes(func::FuncOp function) {
  int64_t bytes = 0;
  function.walk([&](graph::ConstantOp constant) {
    auto type = cast<RankedTensorType>(constant.getType());
    bytes += type.getNumElements() * graph::getElementBytes(type.getElementType());
  });
  return bytes;
}

/// True where attention that has the past is all that reads keys or values, or views of them, beside the end of the function.
bool isReadLater(Value rows) {
  return llvm::all_of(rows.getUsers(), [](Operation *user) {
    if (isa<graph::ReshapeOp>(user))
      return isReadLater(user->getResult(0));
    auto attention = dyn_cast<graph::AttentionOp>(user);
    return isa<func::ReturnOp>(user) || (attention && attention.getPastK());
  });
}

bool isResult(graph::ConcatOp concat) {
  return llvm::any_of(concat->getUsers(), [](Operation *user) { return isa<func::ReturnOp>(user); });
}

struct MarkPast : impl::GraphMarkPastBase<MarkPast> {
  using GraphMarkPastBase::GraphMarkPastBase;

  void runOnOperation() override {
    SmallVector<graph::ConcatOp> appends;
    getOperation().walk([&](graph::AttentionOp op) {
      graph::ConcatOp k = findAppend(op.getK()), v = findAppend(op.getV());
      if (!k || !v || op.getPastK() || getPastRows(k) != getPastRows(v))
        return;
      op.getPastKMutable().assign(viewPast(op, op.getK(), k));
      op.getPastVMutable().assign(viewPast(op, op.getV(), v));
      appends.append({k, v});
      ++numMarked;
    });
    if (appends.empty() || countWeightBytes(getOperation()) < l3Bytes)
      return;
    for (graph::ConcatOp concat : appends)
      if (isResult(concat) && isReadLater(concat))
        concat.setNontemporal(true);
  }
};

} // namespace
} // namespace onager
