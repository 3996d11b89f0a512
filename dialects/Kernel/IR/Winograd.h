// Winograd's F(4x4, 3x3): the transforms' numbers, and how an image is cut into blocks of tiles.
//
// Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015. A tile of 6 x 6 inputs gives 4 x 4 outputs:
//   output = A' ((G filter G') * (B' input B)) A        * is element by element, ' transposes
// The points of the polynomials are 0, +-5/8, +-3/2 and infinity. They round less than +-1, +-2 or +-1/2, and their squares are exact in f32.
#ifndef ONAGER_DIALECTS_KERNEL_IR_WINOGRAD_H
#define ONAGER_DIALECTS_KERNEL_IR_WINOGRAD_H

#include <cstdint>

namespace onager::kernel {

/// The two finite points that are not 0, each with both signs.
inline constexpr double kWinogradA = 0.625, kWinogradB = 1.5;
/// Outputs and inputs along one side of a tile.
inline constexpr int64_t kWinogradOutputs = 4, kWinogradInputs = 6, kWinogradPositions = kWinogradInputs * kWinogradInputs;

/// Returns G, rows by position: row p of a finite point x is (1, x, x^2) / prod(x - other points), the last is (0, 0, 1).
struct WinogradFilterMatrix {
  double rows[kWinogradInputs][3];
};
WinogradFilterMatrix getWinogradFilterMatrix();

/// What the plan of a convolution depends on; extents in pixels, `tileRows` the rows of a register tile.
struct WinogradSize {
  int64_t channels, outChannels, height, width, tileRows, l2Bytes;
};

/// Tiles whose transformed inputs stay in the second-level cache, at least a vector of them.
int64_t getMostWinogradTiles(int64_t channels, int64_t l2Bytes);

/// Blocks of tiles: the transformed input of one stays in the second-level cache while all filters sweep over it.
struct WinogradBlocks {
  int64_t tileRows, tileColumns;   ///< tiles of an image
  int64_t rowBlocks, columnBlocks; ///< blocks of an image
  int64_t rows, columns;           ///< tiles of the largest block; all column blocks but the last have `columns`
  double cycles;                   ///< estimate for an image on one thread, in fused multiply-adds of a 16-lane vector

  /// First tile row of a block, from 0 to rowBlocks: blocks differ by a row at most, symmetrically, so that two threads get halves.
  int64_t getFirstRow(int64_t block) const { return (2 * block * tileRows + rowBlocks) / (2 * rowBlocks); }
};
WinogradBlocks planWinograd(const WinogradSize &size);

/// True where this form is expected to be faster than a direct convolution.
bool isWinogradFaster(const WinogradSize &size);

} // namespace onager::kernel

#endif
