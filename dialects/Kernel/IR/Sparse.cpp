// The cost of sparse products; see Sparse.h.
#include "dialects/Kernel/IR/Sparse.h"
#include <algorithm>

namespace onager::kernel {

/// Rows in a vector.
static constexpr int64_t kLanes = 16;
/// Cycles beside the multiply-adds: of a weight, to spread it and to find its row; of a list of weights, to begin and to leave its loop, and per vector to fetch and
/// store its sums; to put 16 numbers of the rows, or of the results, in their places; to gather pixels, which may lie on two lines of a plane.
static constexpr double kWeightCycles = 1, kListCycles = 10, kSumCycles = 2, kMoveCycles = 4, kGatherCycles = 12;
/// Cycles of a weight at least: few vectors are few chains, whose multiply-adds wait for each other; the processor is at several lists at once.
static constexpr double kFewestCycles = 2.5;

/// Cycles of a block of so many vectors of rows.
static double getBlockCycles(const SparseSize &s, double vectors) {
  double products = static_cast<double>(s.nonzeros) * std::max(vectors + kWeightCycles, kFewestCycles);
  double lists = static_cast<double>(getSparseRuns(s.depth) * s.outputs) * (kListCycles + kSumCycles * vectors);
  double moves = static_cast<double>(s.depth) * (s.isWindowed ? kGatherCycles : kMoveCycles) + static_cast<double>(s.outputs) * kMoveCycles;
  return products + lists + moves * vectors;
}

double getSparseCycles(const SparseSize &s) {
  int64_t vectors = (s.rows + kLanes - 1) / kLanes, rest = vectors % kSparseVectors;
  double cycles = static_cast<double>(vectors / kSparseVectors) * getBlockCycles(s, kSparseVectors);
  return rest ? cycles + getBlockCycles(s, static_cast<double>(rest)) : cycles;
}

double getDenseCycles(const SparseSize &s) { return static_cast<double>(s.outputs * s.depth) * static_cast<double>(s.rows) / kLanes; }

} // namespace onager::kernel
