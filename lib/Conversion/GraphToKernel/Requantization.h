// The operations that make bytes of a sum again: scale, bias, activation, rounding, zero point.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_REQUANTIZATION_H
#define ONAGER_CONVERSION_GRAPHTOKERNEL_REQUANTIZATION_H

#include "dialects/Graph/Transforms/Match.h"

namespace onager {

/// bytes = clamp(round(steps(sum + bias)) + zeroPoint, low, high), read from a chain of operations.
struct Requantization {
  enum class Kind { multiply, divide, add, subtract };
  struct Step {
    Kind kind;
    mlir::Value operand; ///< made of constants, one number or one per channel
  };
  mlir::SmallVector<mlir::Operation *> ops; ///< all of the chain, in order
  mlir::Value bias;                         ///< of i32; null where none is added to the sum
  mlir::SmallVector<Step> steps;
  int64_t zeroPoint = 0, low = 0, high = 0;

  /// What the chain leaves.
  mlir::Value getResult() const { return ops.back()->getResult(0); }
  /// Makes the factor and the summand [channels] of f32 that the steps are together.
  std::pair<mlir::Value, mlir::Value> makeAffine(mlir::PatternRewriter &rewriter, mlir::Location loc, mlir::AffineExpr channels) const;
};

/// Reads the chain behind a sum of i32 whose dim `channel` is that of its channels. Nothing where something else reads a part of it, or where it is more
/// than bytes can tell.
std::optional<Requantization> matchRequantization(mlir::Value sum, size_t channel);

/// Brings numbers of channels to one dim; a single one has no dim.
mlir::Value makeLine(mlir::PatternRewriter &rewriter, mlir::Location loc, mlir::Value value);

/// A scalar of i32.
mlir::Value makeInteger(mlir::PatternRewriter &rewriter, mlir::Location loc, int64_t value);

/// The sums of weights of i32 over all dims but `channel`, times a number: a line of channels.
mlir::Value makeWeightSums(mlir::PatternRewriter &rewriter, mlir::Location loc, mlir::Value weights, size_t channel, mlir::Value factor);

} // namespace onager

#endif
