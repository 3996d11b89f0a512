// The `graph` dialect in C++: operations, enums and attributes that TableGen makes from GraphOps.td.
#ifndef ONAGER_DIALECTS_GRAPH_IR_GRAPH_H
#define ONAGER_DIALECTS_GRAPH_IR_GRAPH_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace onager::graph {

/// Checks one elementwise operation: operands broadcast to the result, element types fit (elementwise_c1 to elementwise_c4).
mlir::LogicalResult verifyElementwise(mlir::Operation *op);

/// Marks operations that compute each element from the elements at the same (broadcast) position.
template <typename ConcreteType>
class ElementwiseOp : public mlir::OpTrait::TraitBase<ConcreteType, ElementwiseOp> {
public:
  static mlir::LogicalResult verifyTrait(mlir::Operation *op) { return verifyElementwise(op); }
};

} // namespace onager::graph

#include "dialects/Graph/IR/GraphDialect.h.inc"
#include "dialects/Graph/IR/GraphEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Graph/IR/GraphAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Graph/IR/GraphTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Graph/IR/GraphOps.h.inc"

namespace onager::graph {

/// Returns the value whose buffer `value` looks at: what stands before reshapes.
mlir::Value lookThroughViews(mlir::Value value);
/// True for operations whose result holds elements of their operands as they are, and nothing else.
bool movesElements(mlir::Operation *op);
/// Returns the name of the node that an operation was imported from, the first where there are several; the operation's own where there is none.
std::string getNodeName(mlir::Operation *op);

} // namespace onager::graph

#endif
