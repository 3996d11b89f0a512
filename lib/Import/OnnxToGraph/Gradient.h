// Derivatives of graph operations, for the operator Gradient.
//
// Reverse mode: each value that depends on the variables gets the derivative of the sum of the target's elements by its own elements. An operation's rule takes
// that of its result and gives those of its operands, as graph operations, which have rules themselves: gradients of gradients need nothing more.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_GRADIENT_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_GRADIENT_H

#include "lib/Import/OnnxToGraph/Emitter.h"

namespace onager::frontend {

/// The derivatives found so far, while operations are walked from the target to the variables.
class Backward {
public:
  Backward(Emitter &e, const llvm::DenseSet<mlir::Value> &dependent) : e(e), dependent(dependent) {}

  Emitter &e;
  /// True where a derivative by the value is needed: it depends on the variables, and is of floats.
  bool wants(mlir::Value value) const { return dependent.contains(value) && Emitter::isFloat(value); }
  /// Adds to the derivative by a value, where it is wanted. `gradient` may have the shape that the value was broadcast to.
  void add(mlir::Value value, mlir::Value gradient);
  /// Returns the derivative by a value; null where nothing depends on it.
  mlir::Value find(mlir::Value value) const { return found.lookup(value); }

private:
  const llvm::DenseSet<mlir::Value> &dependent;
  llvm::DenseMap<mlir::Value, mlir::Value> found;
};

/// Gives an operation's operands their derivatives from that of its result.
using Derivative = void (*)(Backward &, mlir::Operation *, mlir::Value gradient);

/// The rules by name of the operation.
using DerivativeTable = llvm::StringMap<Derivative>;

/// One per family file.
void addElementwiseDerivatives(DerivativeTable &table);
void addMovementDerivatives(DerivativeTable &table);
void addWindowDerivatives(DerivativeTable &table);
void addReductionDerivatives(DerivativeTable &table);

/// Sums a tensor over what a value of the given dims was repeated along to get its shape.
mlir::Value sumTo(Emitter &e, mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> dims);
/// A tensor of zeros like x.
mlir::Value makeZeros(Emitter &e, mlir::Value x);

} // namespace onager::frontend

#endif
