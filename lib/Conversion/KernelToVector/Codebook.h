// A table of 16 numbers of f32 in registers, and lookups of 16 at a time.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_CODEBOOK_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_CODEBOOK_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Emits lookups as permutations of registers by variable indices where the target has them (AVX-512, AVX2), else as choices by the bits of an index.
class Codebook {
public:
  /// Loads the table from 64 bytes.
  Codebook(UnitEmitter &e, mlir::Value address);
  /// The numbers that the lowest four bits of 16 words choose; the other bits may be anything.
  mlir::Value lookUp(mlir::Value words);

private:
  mlir::Value permute(mlir::Value words);
  mlir::Value permuteHalves(mlir::Value words);
  mlir::Value choose(mlir::Value words);
  mlir::Value testBit(mlir::Value words, int64_t bit);

  UnitEmitter &e;
  mlir::Value table;
};

} // namespace onager

#endif
