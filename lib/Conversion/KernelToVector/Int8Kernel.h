// The register-tiled inner kernel of convolutions and products of bytes, or of bf16, and what stores its tiles.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_INT8KERNEL_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_INT8KERNEL_H

#include "lib/Conversion/KernelToVector/Int8Tile.h"

namespace onager {

/// What an inner kernel computes.
struct Int8KernelKind {
  bool isGemm;         ///< rows are bytes of x and the panel has the weights; else rows are packed weights and the panel has the bytes
  bool isScaled;       ///< results are bytes, else sums of i32, or of f32 for bf16
  bool isSigned;       ///< bytes of the result are i8
  bool flipsRows = false; ///< rows of x are i8
};

/// Where it reads and writes. Strides are in bytes.
struct Int8Operands {
  mlir::Value rows, rowStride; ///< packed weights lie densely
  mlir::Value panel;           ///< quad q, step s, vector v at ((q * steps + s) * 4 + v) vectors
  mlir::Value quads;
  mlir::Value start, scale, offset; ///< one for each row, or for each column of a gemm; scale and offset may be null where sums are results
  mlir::Value result, resultStride;
  int64_t zeroPoint = 0, low = 0, high = 0;
};

/// Calls the shared function for a tile of `rows` rows.
void callInt8Kernel(UnitEmitter &e, const kernel::Int8Layout &layout, const Int8KernelKind &kind, int64_t rows, const Int8Operands &operands);

/// A product of rows with packed weights: kernel.int8_gemm or kernel.bf16_gemm.
struct PackedProduct {
  mlir::Value x, packed, start, scale, offset, result; ///< scale and offset may be null
  int64_t zeroPoint = 0, low = 0, high = 0;
  bool isBf16 = false;
  bool hasDot = false; ///< of pairs of bf16

  /// Bytes of a number of x.
  int64_t getTermBytes() const { return isBf16 ? kernel::kQuad / kernel::kBf16Pair : 1; }
  /// True where numbers of x are i8.
  bool isSigned() const { return mlir::cast<mlir::RankedTensorType>(x.getType()).getElementType().isSignlessInteger(8); }
};
/// The product in a unit.
PackedProduct getPackedProduct(kernel::UnitOp unit);

/// The layout that a packed tensor of this element type has on the target.
kernel::Int8Layout getInt8Layout(UnitEmitter &e, mlir::Value packed);
kernel::Int8Layout getInt8Layout(const EmitOptions &options, mlir::Value packed);

/// Writes results of a hero, and what follows it, from runs in a buffer.
class Int8Results {
public:
  Int8Results(UnitEmitter &e, mlir::Value result);
  /// Bytes of one element of the hero's result.
  int64_t elementBytes;
  /// True where nothing follows the hero: its result is the unit's.
  bool isPlain() const { return isAlone; }
  /// Writes `count` elements whose row-major positions start at `linear`; `index` gives the index of element i of the run.
  void store(mlir::Value from, mlir::Value count, mlir::Value linear, llvm::function_ref<UnitEmitter::Index(mlir::Value i)> index);

private:
  UnitEmitter &e;
  mlir::Value result;
  mlir::Type element;
  bool isAlone;
};

} // namespace onager

#endif
