// Weights of few bits in memory, as block_pack lays them out and products read them.
//
//   packed  := for each panel of 16 columns, for each block along K: block / S steps        S = 4 numbers of 8 bits, 8 of fewer
//   step    := for each of the 16 columns: 4 bytes                                          64 bytes, one for each line of the cache
//   byte j  := number k + j                                 of 8 bits, where k is the step's first
//            | number k + j, number k + 4 + j << 4          of fewer bits
//   scales  := for each panel, for each block, for each of the 16 columns: bf16 where the model says that it holds them, else f32
//   zeros   := as the scales: ui8 where all are such integers, else f32
//
//   levels  := of codebooks, instead of zero points: the 16 numbers of f32 that numbers stand for
//
// Four bytes of a column are what one 32-bit sum takes at a time. What a block lacks at the end of K meets zeros; columns behind N are never stored.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_BLOCKPANELS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_BLOCKPANELS_H

#include "dialects/Kernel/IR/Int8.h"
#include "lib/Conversion/KernelToVector/Codebook.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// The extents of a product with weights of few bits.
struct BlockShape {
  mlir::Value x, packed, scales, result;
  mlir::Value zeros, levels; ///< one of both
  bool hasDigits; ///< few rows become fixed-point numbers
  graph::Dims rowDims;
  mlir::AffineExpr rows, columns;
  int64_t depth, blocks, block, panels;
  int64_t bits;

  int64_t getStepNumbers() const { return kernel::getBlockStep(bits); }
  int64_t getBlockSteps() const { return block / getStepNumbers(); }
  int64_t getPaddedDepth() const { return blocks * block; }
  bool hasWholeBlocks() const { return depth == getPaddedDepth(); }
};

/// Emits what reads the weights and the numbers of blocks. Panels and blocks are given by number.
class BlockPanels {
public:
  BlockPanels(UnitEmitter &e, const BlockShape &shape);

  /// The first byte of a panel.
  mlir::Value getPanel(mlir::Value panel);
  int64_t getPanelBytes() const { return s.blocks * s.getBlockSteps() * kernel::kPanelWidth * kernel::kQuad; }
  /// The 64 bytes of a step at an address.
  mlir::Value loadStep(mlir::Value address);
  /// A step's quads of bytes: one number in each, k in order.
  llvm::SmallVector<mlir::Value, 2> split(mlir::Value step);
  /// A step's numbers in f32, or their levels, one vector of 16 columns for each k.
  llvm::SmallVector<mlir::Value, 8> widen(mlir::Value step);

  /// Scales and zero points of a block, 16 of f32.
  mlir::Value loadScales(mlir::Value panel, mlir::Value block);
  mlir::Value loadZeros(mlir::Value panel, mlir::Value block);
  bool hasByteZeros() const;
  /// Zero points that are bytes, as integers of 32 bits.
  mlir::Value loadByteZeros(mlir::Value panel, mlir::Value block);
  /// Asks for the scales and zero points `ahead` blocks behind the first of a panel.
  void prefetchNumbers(mlir::Value panel, mlir::Value ahead);

  mlir::Value splat(mlir::Value scalar);
  /// Asks for the line at an address, as it is read once.
  void prefetch(mlir::Value address, CacheLevel level);

  mlir::VectorType floats, words, bytes;

private:
  llvm::SmallVector<mlir::Value, 8> lookUp(mlir::Value step);
  mlir::Value getNumbers(mlir::Value numbers, mlir::Value base, mlir::Value panel, mlir::Value block);

  UnitEmitter &e;
  const BlockShape &s;
  mlir::Value packed, scales, zeros;
  std::optional<Codebook> codebook;
};

} // namespace onager

#endif
