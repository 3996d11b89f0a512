// Values inside @main become results of it. Test: graph-expose-values.mlir
//
//   %0 = graph.tanh %x  loc("first")           %0 = graph.tanh %x
//   %1 = graph.exp %0                    ->    %1 = graph.exp %0
//   return %1                                  return %1, %0          named "y" and "0:first"
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/Transforms/Passes.h"

#define DEBUG_TYPE "graph-expose-values"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHEXPOSEVALUES
#include "dialects/Graph/Transforms/Passes.h.inc"

/// True for results that a run computes and that main does not return already.
static bool isHidden(Value value, Operation *terminator) {
  Operation *op = value.getDefiningOp();
  return isa<RankedTensorType>(value.getType()) && !op->hasTrait<OpTrait::ConstantLike>() && op->getNumOperands() &&
         llvm::none_of(value.getUsers(), [&](Operation *user) { return user == terminator; });
}

namespace {
struct GraphExposeValues : impl::GraphExposeValuesBase<GraphExposeValues> {
  using GraphExposeValuesBase::GraphExposeValuesBase;

  void runOnOperation() override {
    func::FuncOp main = getOperation();
    if (main.getName() != "main")
      return;
    Operation *terminator = main.getBody().front().getTerminator();
    int64_t position = 0;
    SmallVector<Value> exposed;
    SmallVector<std::string> names;
    for (Operation &op : main.getBody().front().without_terminator())
      for (Value result : op.getResults()) {
        if (!isHidden(result, terminator))
          continue;
        if (positions.empty() || llvm::is_contained(positions, position)) {
          exposed.push_back(result);
          names.push_back(std::to_string(position) + ":" + getNodeName(&op));
        }
        ++position;
      }
    unsigned first = main.getNumResults();
    terminator->insertOperands(first, exposed);
    SmallVector<Type> results(terminator->getOperandTypes());
    main.setType(FunctionType::get(&getContext(), main.getArgumentTypes(), results));
    for (auto [k, name] : llvm::enumerate(names))
      main.setResultAttr(first + k, "graph.name", StringAttr::get(&getContext(), name));
    exposedValues += exposed.size();
  }
};
} // namespace
} // namespace onager::graph
