// The exit contract of the graph stage. Tests: verify-graph.mlir, verify-graph-error.mlir
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Passes.h"

#define DEBUG_TYPE "verify-graph"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_VERIFYGRAPH
#include "dialects/Graph/Transforms/Passes.h.inc"

/// True where each dim is a number or has an expression.
static bool hasKnownDims(RankedTensorType type) {
  if (type.hasStaticShape())
    return true;
  auto exprs = dyn_cast_or_null<AffineMapAttr>(type.getEncoding());
  if (!exprs || exprs.getValue().getNumDims() != 0 || exprs.getValue().getNumResults() != type.getRank())
    return false;
  for (auto [extent, expr] : llvm::zip(type.getShape(), exprs.getValue().getResults()))
    if (!ShapedType::isDynamic(extent) && !isConstant(expr, extent))
      return false;
  return true;
}

namespace {
struct VerifyGraph : impl::VerifyGraphBase<VerifyGraph> {
  void runOnOperation() override {
    auto names = getOperation()->getAttrOfType<ArrayAttr>("graph.symbols");
    symbols = names ? names.size() : 0;
    WalkResult result = getOperation().walk([&](Operation *op) {
      bool isFine = op == getOperation() || (verifyDialect(op) && llvm::all_of(op->getResultTypes(), [&](Type type) { return verifyType(op, type); }));
      for (Region &region : op->getRegions())
        for (BlockArgument argument : region.getArguments())
          isFine = isFine && verifyType(op, argument.getType());
      return isFine ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  bool verifyDialect(Operation *op) {
    if (isa_and_nonnull<GraphDialect>(op->getDialect()) || isa<func::ReturnOp>(op))
      return true;
    op->emitOpError("[verify_graph_c1] an operation of another dialect is left").attachNote() << "the importer builds operations of the graph dialect alone";
    return false;
  }

  bool verifyType(Operation *op, Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !hasKnownDims(tensor)) {
      InFlightDiagnostic error = op->emitOpError("[verify_graph_c2] a dim of ") << type << " is neither a number nor an expression of symbols";
      error.attachNote() << "the importer's shape inference gives every dim";
      return false;
    }
    for (AffineExpr dim : getDims(type)) {
      bool isNamed = true;
      forEachSymbol(dim, [&](unsigned symbol) { isNamed &= symbol < symbols; });
      if (isNamed)
        continue;
      InFlightDiagnostic error = op->emitOpError("[verify_graph_c3] a dim of ")
                                 << type << " uses a symbol beyond the " << symbols << " that the function names";
      error.attachNote() << "the importer lists every symbol in graph.symbols";
      return false;
    }
    return true;
  }

  unsigned symbols = 0;
};
} // namespace
} // namespace onager::graph
