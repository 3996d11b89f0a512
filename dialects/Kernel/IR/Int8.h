// Layouts of 8-bit weights: what packing and the emitters of products of bytes agree on. Weights of bf16 lie alike, two numbers in the place of a quad.
//
// A sum of 32 bits takes four products at a time: the bytes of a quad times its weights. Vectors hold L sums, tiles 4 L of them. Bytes are interleaved and
// packed within lanes of 128 bits, so that neither takes a step across lanes; the sums of a tile are therefore out of order between the two:
//
//   sum 4 b + i of vector v   belongs to element   16 b + 4 v + i     of the tile, b < L / 4, v < 4, i < 4
#ifndef ONAGER_DIALECTS_KERNEL_IR_INT8_H
#define ONAGER_DIALECTS_KERNEL_IR_INT8_H

#include "llvm/ADT/ArrayRef.h"
#include <array>
#include <cstdint>
#include <vector>

namespace onager::kernel {

/// Weights of a quad, vectors of a tile, sums in 128 bits, and numbers of bf16 in the place of a quad.
inline constexpr int64_t kQuad = 4, kTileVectors = 4, kLaneSums = 4, kBf16Pair = 2;

/// Tile registers of AMX have 16 rows of 64 bytes. Weights for them lie in panels of two tiles.
inline constexpr int64_t kAmxRows = 16, kAmxBytes = 64, kAmxPanelTiles = 2;

/// How the target multiplies bytes.
struct Int8Layout {
  int64_t lanes;  ///< sums of a vector
  bool isPaired;  ///< quads are widened to two pairs of 16-bit numbers
  bool hasAmx = false; ///< products of tiles, too
  bool isBf16 = false; ///< a quad's place holds two numbers of bf16; sums are f32
  bool hasDot = false; ///< the processor multiplies those as they are; else they are widened
  int64_t getRows() const { return lanes >= 16 ? 6 : 3; }         ///< rows of a register tile
  int64_t getTile() const { return lanes * kTileVectors; }        ///< elements of a tile
  int64_t getSteps() const { return isPaired ? 2 : 1; }           ///< products of vectors for a quad
  int64_t getHalves() const { return isBf16 && !hasDot ? 2 : 1; } ///< multiply-adds of vectors that such a product is
  int64_t getStepWeights() const { return kQuad / getSteps(); }   ///< weights that meet one sum in a step
};

/// The element of a tile that sum `lane` of vector `vector` belongs to.
inline int64_t getLaneColumn(int64_t vector, int64_t lane) { return lane / kLaneSums * kLaneSums * kTileVectors + vector * kLaneSums + lane % kLaneSums; }

/// Windows over the two dims of a plane.
struct Int8Window {
  std::array<int64_t, 2> kernel{1, 1}, strides{1, 1}, dilations{1, 1};
};

/// A window from the attributes of one or two spatial dims; a single one is that of columns.
Int8Window makeInt8Window(llvm::ArrayRef<int64_t> kernel, llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> dilations);

/// Where a tap reads. Rows and columns of the input are dealt out by the strides: phase p of a dim has the positions p, p + stride, ...
struct TapPosition {
  int64_t phase;       ///< row phase * column stride + column phase
  int64_t row, column; ///< in the plane of the phase, from the result's position on
};
TapPosition getTapPosition(const Int8Window &window, int64_t row, int64_t column);

/// Up to four taps of one row of a window.
struct TapQuad {
  int64_t phase, row;              ///< of the rows alone: columns lie together
  int64_t column;                  ///< of the first, dilated
  std::array<int64_t, kQuad> taps; ///< row-major number of each tap, -1 for none
};
/// Groups all taps of a window, row by row.
std::vector<TapQuad> getTapQuads(const Int8Window &window);
/// True where the quads under neighbouring results lie within one vector for each vector of sums.
bool canSlide(const Int8Window &window, const Int8Layout &layout);

} // namespace onager::kernel

#endif
