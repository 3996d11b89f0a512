// Passes of the `graph` dialect and the stage that runs them.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_PASSES_H
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace onager::graph {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "dialects/Graph/Transforms/Passes.h.inc"

/// Adds the passes of the graph stage; with `exact` (-O0) none that rewrites.
void addGraphStage(mlir::OpPassManager &passes, bool exact, bool int8 = true, bool bf16 = true);

} // namespace onager::graph

#endif
