// Few rows times weights of few bits, in integers: x as fixed-point numbers of three digits.
//
// A chunk is a block, or a part of at most 128 numbers of a longer one. 2^e is the smallest quantum that leaves the largest |x| of the chunk 23 bits:
//
//   x[k] = 2^e (2^16 d2[k] + 2^8 d1[k] + d0[k])      -128 <= d <= 127, rounded to the nearest: off by about 2^-23 of the chunk's largest |x| at most
//   s_i = sum over the chunk of d_i[k] (q[k] - z)    in 32 bits, exact: |s_i| <= 128 * 128 * 255
//   total += (2^8 (2^8 s2 + s1) + s0) 2^e scale      2^8 s2 + s1 in 32 bits, exact; the rest in f32
//
// Processors multiply four bytes at a time and add them up, so that three digits take less than widening a weight to f32 does; and products are not rounded
// at all. Zero points that are no bytes are taken off behind the sum instead, as z times the sum of x.
//
// Quanta are kept relative to the power of two of the largest |x| of a row, by which the total is multiplied at the end: neither tiny nor huge rows leave
// what f32 holds on the way, and denormal numbers are exact. Chunks whose largest |x| is 2^-104 of the row's and less share the lowest quantum.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_BLOCKDIGITS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_BLOCKDIGITS_H

#include "lib/Conversion/KernelToVector/BlockPanels.h"
#include "lib/Conversion/KernelToVector/Int8Tile.h"

namespace onager {

/// Rows of x, where each follows the last after `stride` elements; a whole number of chunks is readable.
struct BlockRows {
  mlir::Value base, count;
  int64_t stride;
};

/// Emits the conversion of rows and the products with them.
class BlockDigits {
public:
  /// `scratch` has room for getScratchBytes of the most rows.
  BlockDigits(UnitEmitter &e, const BlockShape &shape, BlockPanels &weights, mlir::Value scratch, int64_t mostRows);
  static int64_t getScratchBytes(const BlockShape &shape, int64_t mostRows);

  /// Converts rows. Returns an i1: all numbers are finite. If not, there is nothing to multiply.
  mlir::Value convert(const BlockRows &x);
  /// Writes the products of `rows` rows from `row` on with a panel to tile[row][16], whose rows are `width` floats. One panel is read at a time: weights, which
  /// follow each other in memory, come in one stream.
  void multiply(mlir::Value row, int64_t rows, mlir::Value panel, mlir::Value tile, int64_t width);

private:
  using Values = llvm::SmallVector<mlir::Value>;
  struct Tile;

  int64_t getChunks() const { return s.getPaddedDepth() / chunk; }
  mlir::Value word(int64_t value);
  mlir::Value asFloat(mlir::Value bits);
  mlir::Value getMagnitude(mlir::Value x);
  mlir::Value getPlace(mlir::Value row, mlir::Value number);
  mlir::Value findLargest(mlir::Value x, int64_t count);
  void convertChunk(mlir::Value x, mlir::Value row, mlir::Value number, mlir::Value rowExponent);
  mlir::Value getDigits(mlir::Value row, int64_t digit, mlir::Value number);
  Values startSums(const Tile &tile, mlir::Value number, mlir::Value block);
  void advance(const Tile &tile, mlir::Value number, mlir::Value step, Values &sums);
  Values sumChunk(const Tile &tile, mlir::Value number, mlir::Value block);
  Values addChunk(const Tile &tile, mlir::Value number, mlir::ValueRange totals);

  UnitEmitter &e;
  const BlockShape &s;
  BlockPanels &weights;
  Int8Vectors vectors;
  int64_t chunk;
  mlir::Value digits, numbers, rowScales;
};

} // namespace onager

#endif
