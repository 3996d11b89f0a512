// What the verifiers of the `graph` dialect share.
#ifndef ONAGER_DIALECTS_GRAPH_IR_VERIFY_H
#define ONAGER_DIALECTS_GRAPH_IR_VERIFY_H

#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"

namespace onager::graph {

/// Returns the rank of a tensor value.
inline int64_t getRank(mlir::Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()).getRank(); }
/// Returns the element type of a tensor value.
inline mlir::Type getElement(mlir::Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()).getElementType(); }

/// Begins the error of the check `id`.
mlir::InFlightDiagnostic complain(mlir::Operation *op, llvm::StringRef id);
/// Checks that an axis is a dim of a tensor of this rank.
mlir::LogicalResult verifyAxis(mlir::Operation *op, llvm::StringRef id, int64_t axis, int64_t rank);
/// Checks that two tensors have one element type.
mlir::LogicalResult verifySameElement(mlir::Operation *op, llvm::StringRef id, mlir::Value have, mlir::Value want);
/// Checks that two dims are equal where both are numbers.
mlir::LogicalResult verifyDim(mlir::Operation *op, llvm::StringRef id, mlir::AffineExpr have, mlir::AffineExpr want);

} // namespace onager::graph

#endif
