// The elements of small integer tensors, as far as they are known while a graph is specialised.
//
//   %0 = graph.constant dense<16000> : tensor<i64>
//   %1 = graph.equal %sr, %0                         with sr = 16000: [1]
//   %2 = graph.index_tensor {exprs = (s0, 64)}       with s0 not known: [?, 64]
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_EVALUATE_H
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_EVALUATE_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>
#include <optional>

namespace onager::graph {

/// Row-major elements, each as the number that it stands for; bool is 0 or 1.
using Elements = llvm::SmallVector<std::optional<int64_t>>;

/// True for element types of which elements may be known: bool and integers that fit i64.
bool isCountable(mlir::Type element);

/// True for operations that Evaluator computes where all operands are known: data movement, arithmetic and comparisons of countable elements, constants and
/// index tensors.
bool isEvaluable(mlir::Operation *op);

/// Computes elements of an operation's results from those of its operands. Tensors of more than so many elements are not followed, nor results that the element type
/// cannot tell (overflow wraps as it does while running).
class Evaluator {
public:
  /// `replace` turns a dim or an element's expression into what is known of it by now.
  explicit Evaluator(std::function<mlir::AffineExpr(mlir::AffineExpr)> replace, int64_t mostElements = 64) : replace(std::move(replace)), mostElements(mostElements) {}

  /// Returns the elements of a value; null where nothing is known of it.
  const Elements *find(mlir::Value value) const;
  void set(mlir::Value value, Elements elements);
  /// Computes what can be known of an operation's result.
  void run(mlir::Operation *op);
  /// All elements, where all are known.
  std::optional<llvm::SmallVector<int64_t>> getAll(mlir::Value value) const;
  /// Calls `use` with each value that is known in whole.
  void forEachKnown(llvm::function_ref<void(mlir::Value, llvm::ArrayRef<int64_t>)> use) const;

private:
  using Shape = llvm::SmallVector<int64_t>;
  std::optional<Shape> getShape(mlir::Value value) const;
  std::optional<Elements> compute(mlir::Operation *op, const Shape &shape) const;
  std::optional<Elements> computeEach(mlir::Operation *op, const Shape &shape) const;
  std::optional<Elements> move(mlir::Operation *op, const Shape &shape) const;
  std::optional<Elements> concatenate(mlir::Operation *op, const Shape &shape) const;
  std::optional<Elements> gather(mlir::Operation *op, const Shape &shape) const;
  std::optional<Elements> reduce(mlir::Operation *op, const Shape &shape) const;

  std::function<mlir::AffineExpr(mlir::AffineExpr)> replace;
  int64_t mostElements;
  llvm::DenseMap<mlir::Value, Elements> known;
  llvm::SmallVector<mlir::Value> order; ///< of `known`
};

/// Wraps a number to an integer type.
int64_t wrapToType(int64_t value, mlir::Type element);

} // namespace onager::graph

#endif
