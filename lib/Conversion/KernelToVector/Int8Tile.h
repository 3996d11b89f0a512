// Vectors of bytes and of their sums: what the emitters of products of bytes are made of. The order of sums in a tile is that of Int8.h. Vectors of bf16 count
// as vectors of their bytes.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_INT8TILE_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_INT8TILE_H

#include "dialects/Kernel/IR/Int8.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Byte that turns i8 into the number 128 above it, as unsigned.
inline constexpr int64_t kSignFlip = 0x80;

/// Emits operations on vectors of one width.
class Int8Vectors {
public:
  using Vectors = llvm::SmallVector<mlir::Value, 4>;

  Int8Vectors(mlir::ImplicitLocOpBuilder &b, kernel::Int8Layout layout);

  // ---- memory; offsets are in bytes ---------------------------------------------------------------------------------
  mlir::Value at(mlir::Value base, mlir::Value offset);
  mlir::Value at(mlir::Value base, int64_t offset) { return offset ? at(base, number(offset)) : base; }
  mlir::Value load(mlir::Type type, mlir::Value address, unsigned alignment = 1);
  void store(mlir::Value value, mlir::Value address);
  mlir::Value number(int64_t value);

  // ---- vectors ------------------------------------------------------------------------------------------------------
  /// Bytes with every sign flipped.
  mlir::Value flipSigns(mlir::Value bytes);
  /// Four rows of bytes -> the quads of a tile, by vector.
  Vectors interleave(llvm::ArrayRef<mlir::Value> rows);
  /// Four bytes, `dilation` apart, for each of a tile's elements, which lie `stride` apart from `address` on. Reads `getSlideBytes` at most. Vectors are in
  /// the order of tiles where neighbours are read, else in that of their elements.
  Vectors slide(mlir::Value address, int64_t stride, int64_t dilation);
  /// Quads -> the operands of each step: themselves, or two vectors of pairs.
  Vectors widen(mlir::Value quads);
  /// A step's weights, or pairs of a row, in all lanes; `word` is of i32.
  mlir::Value spread(mlir::Value word);
  /// sums + bytes * weights, for a step. `bytes` count as unsigned, `weights` as signed. Of widened bf16, `half` says which number of each pair is taken.
  mlir::Value multiplyAdd(mlir::Value sums, mlir::Value bytes, mlir::Value weights, int64_t half = 0);
  /// A number in all lanes of a vector of `type`.
  mlir::Value splat(mlir::VectorType type, mlir::Value scalar);
  /// f32 -> i32, rounded to the nearest, halves to even, as the processor does by default. What does not fit becomes the lowest integer.
  mlir::Value toIntegers(mlir::Value numbers);
  /// Sums of a tile -> bytes in order: clamp(round(sum * scale + offset) + zero, low, high).
  struct Rounding {
    mlir::Value zero;      ///< i16 in all lanes
    mlir::Value low, high; ///< bytes in all lanes
    bool isSigned;
    bool isInOrder = false; ///< vectors follow each other: they were not interleaved
  };
  mlir::Value toBytes(llvm::ArrayRef<mlir::Value> sums, llvm::ArrayRef<mlir::Value> scales, llvm::ArrayRef<mlir::Value> offsets, const Rounding &rounding);
  /// Vectors of a tile -> one long vector of its elements in order.
  mlir::Value putInOrder(llvm::ArrayRef<mlir::Value> vectors, bool isInOrder = false);
  /// Elements of a tile, loaded in order -> vectors.
  Vectors loadTile(mlir::Type element, mlir::Value address);

  mlir::ImplicitLocOpBuilder &b;
  kernel::Int8Layout layout;
  mlir::VectorType bytes, sums, floats;
  mlir::VectorType totals; ///< what sums are: `floats` for bf16, else `sums`

private:
  mlir::Value takeHalf(mlir::Value pairs, int64_t half);
  mlir::Value call(llvm::StringRef name, mlir::Type result, mlir::ValueRange operands);
  llvm::StringRef pick(llvm::StringRef narrow, llvm::StringRef middle, llvm::StringRef wide) const;
  mlir::Value shuffle(mlir::Value a, mlir::Value b, llvm::function_ref<int64_t(int64_t)> element, int64_t count);
  mlir::Value unpack(mlir::Value a, mlir::Value b, int64_t unit, bool isHigh);
  int64_t getPackedPlace(int64_t k) const;
  int64_t width;
};

/// True where `slide` reads neighbours.
inline bool readsNeighbours(int64_t stride, int64_t dilation) { return stride == 1 && dilation == 1; }
/// Bytes that `slide` reads, at most.
inline int64_t getSlideBytes(const kernel::Int8Layout &layout, int64_t stride) { return layout.getTile() * (stride + 1); }

/// Emits an address that many bytes behind `base`.
mlir::Value getByteAddress(UnitEmitter &e, mlir::Value base, mlir::Value offset);
/// Copies `count` bytes; `flip` flips the sign of each.
void copyBytes(UnitEmitter &e, mlir::Value to, mlir::Value from, mlir::Value count, bool flip = false);
/// Copies `count` bytes that lie `stride` apart.
void copyStridedBytes(UnitEmitter &e, mlir::Value to, mlir::Value from, mlir::Value count, int64_t stride, bool flip);
/// Sets `count` bytes, rounded up to a multiple of 64.
void fillBytes(UnitEmitter &e, mlir::Value to, mlir::Value count, int64_t byte);

/// A plane of the input: dense rows of bytes, with padding before the first row and column.
struct BytePlane {
  mlir::Value base, rows, columns, top, left;
};
/// Copies one phase of a plane to rows of `pitch` bytes, the first of which is row `first` of the phase; what lies outside of the input stays as it is.
void copyPhase(UnitEmitter &e, mlir::Value to, mlir::Value rows, mlir::Value pitch, const BytePlane &plane, const kernel::Int8Window &window, int64_t phase,
               mlir::Value first, bool flip);

} // namespace onager

#endif
