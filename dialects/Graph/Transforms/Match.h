// What patterns over graph operations ask again and again.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_MATCH_H
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_MATCH_H

#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "mlir/IR/PatternMatch.h"

namespace onager::graph {

/// Returns the element type of a tensor.
mlir::Type getElement(mlir::Value value);
/// Returns the number in a constant of one element, if `value` is one, as it is or cast from 16 bits.
std::optional<double> getScalar(mlir::Value value);
/// Makes a constant of one element of a float type, of the shape of `type`.
mlir::Value makeScalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::RankedTensorType type, double number);
/// Makes the slice of `count` positions from `start` on along a dim, all of the others.
mlir::Value makeSlice(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x, size_t axis, int64_t start, int64_t count);
/// Counts the operations of these kinds below `root`.
template <typename... Ops>
int64_t countOps(mlir::Operation *root) {
  int64_t count = 0;
  root->walk([&](mlir::Operation *op) { count += mlir::isa<Ops...>(op); });
  return count;
}
/// Splits a commutative operation into a constant of one element and the other operand.
template <typename Op>
std::optional<std::pair<mlir::Value, double>> splitScalar(mlir::Value value) {
  auto op = value.getDefiningOp<Op>();
  if (!op)
    return std::nullopt;
  if (std::optional<double> number = getScalar(op.getRhs()))
    return std::pair(op.getLhs(), *number);
  if (std::optional<double> number = getScalar(op.getLhs()))
    return std::pair(op.getRhs(), *number);
  return std::nullopt;
}
/// A product: constants of one element in `scale`, everything else in `values`.
struct Product {
  mlir::SmallVector<mlir::Value> values;
  double scale = 1;
};
/// Splits a tree of `mul`, and of `div` by constants, whose inner nodes nobody else reads.
Product splitProduct(mlir::Value value);
/// True for values made of constants alone, by a few cheap operations.
bool isConstantTree(mlir::Value value, int depth = 8);
/// True where `scale` has one value for each of dim `channel` of a tensor of rank `rank`, or a single one.
bool isPerChannel(mlir::Value scale, size_t rank, size_t channel, mlir::AffineExpr channels);
/// True where a constant is `expected`, to the precision of the floats that it was written in.
bool isNear(double number, double expected, mlir::Type element);

} // namespace onager::graph

#endif
