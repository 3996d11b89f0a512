// Sums over the weights that are not 0: what sparse products and convolutions share.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_SPARSETILE_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_SPARSETILE_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Outputs of a work item: few enough that their sums stay in the caches, and enough for the panel that each item reads.
inline constexpr int64_t kSparseOutputs = 64;

/// Rows of a panel: row r of number k of the sums lies at panel[k * getSparseRows() + r].
int64_t getSparseRows(const TargetInfo &target);

/// Weights as kernel.sparse_pack stores them.
struct SparseWeights {
  mlir::Value starts, indices, values; ///< the unit's tensors
  int64_t outputs, depth;

  int64_t getBlocks() const;
  /// Products of one row.
  int64_t getProducts() const;
};

/// Computes the sums of the outputs [firstOutput, firstOutput + outputs) for the first `rows` rows of a panel, rounded up to whole vectors: row r of output j goes
/// to sums[j * getSparseRows() + r].
void emitSparseSums(UnitEmitter &e, const SparseWeights &weights, mlir::Value panel, mlir::Value rows, mlir::Value firstOutput, mlir::Value outputs, mlir::Value sums);

} // namespace onager

#endif
