// The register-tiled inner kernel that gemm and convolution share.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_MICROKERNEL_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_MICROKERNEL_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Rows of the largest tile on this machine: accumulators fill the registers but for the operands.
int64_t getTileRows(const TargetInfo &target);
/// Panels of 16 columns that a tile spans.
int64_t getTilePanels(const TargetInfo &target);

/// Where a micro-kernel reads and writes. Strides are in elements.
struct TileOperands {
  mlir::Value a, rowStride;   ///< row i, sum index k at a[i * rowStride + k]
  mlir::Value b, panelStride; ///< panel j, sum index k, lane l at b[j * panelStride + k * 16 + l]
  mlir::Value c, columnStride; ///< row i, column n at c[i * columnStride + n]
  mlir::Value depth;          ///< length of the sum
  mlir::Value step = {};      ///< elements from one k to the next in b; a panel's width where null
  bool isTransposed = false;  ///< row i, sum index k lies at a[k * rowStride + i]
  bool accumulates = false;   ///< sums start with what lies in c, not with 0
  mlir::Value ahead = {};     ///< where set, k prefetches ahead[k * aheadStep] to the second-level cache, and panels are not prefetched
  mlir::Value aheadStep = {};
  bool looksAtPanels = false; ///< prefetches ahead[j * panelStride + k * aheadStep] for each panel j

  /// A single row takes its panels one after the other, each in several chains whose sums are added: weights come from memory in one stream. Goes with none
  /// of the above but strides.
  bool isOneStream = false;

  /// Where b is planes, `step` apart: prefetches what tiles further on read of each, so far ahead that memory has answered when they come. A tile has `width`
  /// pixels and takes `operations` multiply-adds of vectors.
  void lookAtPlanes(UnitEmitter &e, int64_t width, int64_t operations);
};

/// Calls the shared function that computes a tile of `rows` x (`lanes` * `panels`): one chain of fused multiply-adds per element. Fewer lanes than
/// a panel has columns leave the others out.
void callMicroKernel(UnitEmitter &e, int64_t rows, int64_t panels, const TileOperands &operands, int64_t lanes = kernel::kPanelWidth);
/// What a tile of a convolution reads under its windows. Strides are in elements.
struct WindowOperands {
  mlir::Value filter, filterPitch; ///< of output channel i, channel c, line k and tap t at filter[i * filterPitch + (c * lines + k) * taps + t]
  mlir::Value planes, planePitch, linePitch; ///< pixel p under it at planes[c * planePitch + k * linePitch + t * dilation + p]
  mlir::Value tile;                ///< output channel i, pixel p at tile[i * tileWidth + p]
  mlir::Value channels, lines;
  int64_t taps, dilation;          ///< of a line
  int64_t tileWidth;
};
/// As callMicroKernel for a sum over the channels, lines and taps of windows.
void callWindowKernel(UnitEmitter &e, int64_t rows, int64_t panels, const WindowOperands &operands);
/// Stores the unit's results where `result`, a product, lies in a tile on the stack: row i, column j at tile[i * width + j]. `indexOf` gives the index of
/// the first column of row i.
void storeTile(UnitEmitter &e, mlir::Value result, mlir::Value tile, int64_t width, mlir::Value rows, mlir::Value columns,
               llvm::function_ref<UnitEmitter::Index(mlir::Value i)> indexOf);
/// Rows this far apart share few sets of a cache of 4 KiB a way, which has fewer ways than the largest tiles have rows; copies of them are `kApart` floats
/// further apart than they are long.
inline constexpr int64_t kAliasedBytes = 4096, kApart = kernel::kPanelWidth;
/// True where rows of so many floats are copied before tiles read them.
bool hasAliasedRows(int64_t length, const TargetInfo &target);
/// Copies rows, `kApart` floats apart.
void copyRowsApart(UnitEmitter &e, mlir::Value to, mlir::Value from, mlir::Value count, mlir::Value length);
/// Emits the tiles of `rows` rows (dynamic): full ones of `most` rows, up to 16, then the rest by halves, or, where their number is known, in one or two; `tile` gets the first row and the (static) size.
void forRowTiles(UnitEmitter &e, int64_t most, mlir::Value rows, llvm::function_ref<void(mlir::Value first, int64_t size)> tile);

} // namespace onager

#endif
