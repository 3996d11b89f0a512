// Products that leave out weights of 0: how the others are cut into runs, and when that is faster.
//
// Vectors run over rows of the left operand (or pixels), weights are numbers that are spread: for each weight that is not 0, one load, which the multiply-add
// takes in, per vector of rows. A dense tile shares its loads between columns, and so computes a vector in each cycle as well; but each weight costs a sparse one
// the spread and its place besides, and each list of weights a start and an end that the processor cannot foresee.
#ifndef ONAGER_DIALECTS_KERNEL_IR_SPARSE_H
#define ONAGER_DIALECTS_KERNEL_IR_SPARSE_H

#include <cstdint>

namespace onager::kernel {

/// Numbers of the sums whose rows, a block of them, lie in the first-level cache together.
inline constexpr int64_t kSparseRun = 128;
/// Vectors of 16 rows whose sums are in registers: their chains hide the latency of multiply-adds.
inline constexpr int64_t kSparseVectors = 4;

/// Returns the runs of sums of so many products.
constexpr int64_t getSparseRuns(int64_t depth) { return (depth + kSparseRun - 1) / kSparseRun; }

/// A product: outputs of `depth` products each for so many rows, with `nonzeros` of the outputs * depth weights.
struct SparseSize {
  int64_t outputs, depth, rows, nonzeros;
  bool isWindowed = false; ///< rows are pixels under windows of several taps
};

/// Estimates of one thread's time, in fused multiply-adds of a vector of 16 numbers.
double getSparseCycles(const SparseSize &size);
double getDenseCycles(const SparseSize &size);

/// How many times faster a form must be than the dense one to be taken.
inline constexpr double kLeastSparseGain = 1.1;

} // namespace onager::kernel

#endif
