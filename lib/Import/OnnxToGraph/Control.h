// Subgraphs under import: what If, Loop and Scan share.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_CONTROL_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_CONTROL_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// A subgraph imported into a region of its own.
struct Body {
  mlir::Region region;
  Values values;
  unsigned firstSymbol = 0; ///< symbols from this one on were bound inside
  bool isWhole = false;
};

/// True where every symbol of the expression is bound outside the body.
bool isOuter(mlir::AffineExpr expr, const Body &body);
/// Fills a body whose block has arguments of the given types with what `fill` imports in a scope below the node's, and keeps its outputs.
void fillBody(Node &node, llvm::ArrayRef<mlir::Type> arguments, llvm::function_ref<std::vector<Datum>(Scope &, mlir::Block &)> fill, Body &body);
/// Ends a body with the values that it gives.
void closeBody(Node &node, Body &body, llvm::ArrayRef<mlir::Value> values);
/// Marks outputs as hanging on a failure that was reported inside.
void poisonOutputs(Node &node);

/// Runs `step` over slices of the sequences along their first dim, from the first on. It gives the next states, whose extents stay, then what
/// is stacked. Returns the last states and the stacked values; nothing after a failure.
Values scanOver(Node &node, llvm::ArrayRef<mlir::Value> states, llvm::ArrayRef<mlir::Value> sequences,
                llvm::function_ref<Values(mlir::Value iteration, llvm::ArrayRef<mlir::Value> states, llvm::ArrayRef<mlir::Value> slices)> step);

/// Adds If (Branches.cpp).
void addBranches(OperatorTable &table);

} // namespace onager::frontend

#endif
