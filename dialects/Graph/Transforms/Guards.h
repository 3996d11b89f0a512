// The guard that @main carries, as the attribute `graph.guard`: four numbers (kind, symbol, a, b) for each atom of runtime/core/guard.h.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_GUARDS_H
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_GUARDS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/core/guard.h"

namespace onager::graph {

/// Returns the guard of a function; the empty one where it has none.
rt::Guard getGuard(mlir::func::FuncOp main);
void setGuard(mlir::func::FuncOp main, const rt::Guard &guard);
/// An element of an input whose values decide, and the symbol that stands for it: a triple of the attribute `graph.values` of @main.
struct InputElement {
  unsigned symbol, input, element;
};
/// Returns them by input and element.
llvm::SmallVector<InputElement> getInputElements(mlir::func::FuncOp main);
void setInputElements(mlir::func::FuncOp main, llvm::ArrayRef<InputElement> elements);

/// Reads a guard's text. As rt::parseGuard, but its reasons tell inputs from names that nothing has.
bool readGuard(mlir::func::FuncOp main, const std::string &text, rt::Guard &guard, std::string &error);
/// Returns the names of a function's symbols, "" for those without.
std::vector<std::string> getSymbolNames(mlir::func::FuncOp main);

} // namespace onager::graph

#endif
