// Products of bytes, or of bf16, in the tile registers of AMX: up to 32 rows times 64 columns of sums, by functions that units of a module share.
//
// Registers are named by number: 0 to 3 hold sums, 4 and 5 rows of bytes, 6 and 7 weights. How many rows each has is configured; a share configures whole
// tiles when it starts and releases the registers when it ends, since a thread that holds any is switched more slowly.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_AMXTILES_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_AMXTILES_H

#include "lib/Conversion/KernelToVector/Int8Tile.h"

namespace onager {

/// Rows and columns of the largest product.
inline constexpr int64_t kAmxMostRows = 2 * kernel::kAmxRows, kAmxColumns = 64;

/// Emits an instruction on tile registers, by the name of LLVM's intrinsic behind `llvm.x86.`: the numbers of its registers, then other operands.
void issueTile(mlir::ImplicitLocOpBuilder &b, llvm::StringRef name, llvm::ArrayRef<int64_t> registers, mlir::ValueRange operands = {});

/// The configuration of the tile registers in one share.
class AmxTiles {
public:
  /// Configures whole tiles.
  explicit AmxTiles(UnitEmitter &e);
  /// Configures products of `rows` rows, at most kAmxMostRows; whole tiles where null.
  void configure(mlir::Value rows);
  void release();

private:
  UnitEmitter &e;
  mlir::Value whole, partial; ///< 64 bytes each, as LDTILECFG reads them
};

/// Where a product reads and writes. Strides are in bytes.
struct AmxOperands {
  mlir::Value x, rowStride;     ///< rows of bytes
  mlir::Value rest;             ///< what lies behind the whole steps of each row, kAmxBytes apart; not read where all steps are whole
  mlir::Value wholeSteps, steps; ///< of kAmxBytes
  mlir::Value panels;           ///< two packed panels
  mlir::Value start;            ///< one for each column
  mlir::Value sums, sumStride;  ///< of i32, or of f32 for bf16
};
/// What rows are made of.
enum class AmxTerms { ui8, i8, bf16 };
/// Multiplies `tiles` tiles of rows, one or two.
void callAmxProduct(UnitEmitter &e, AmxTerms terms, int64_t tiles, const AmxOperands &operands);

/// Where sums become bytes.
struct AmxRequantization {
  mlir::Value sums, rows;          ///< kAmxColumns each, densely
  mlir::Value scale, offset;       ///< one for each column
  mlir::Value result, resultStride;
  int64_t zeroPoint, low, high;
};
/// Writes clamp(round(sum * scale + offset) + zeroPoint, low, high), of i8 where `isSigned`.
void callAmxRequantize(UnitEmitter &e, bool isSigned, const AmxRequantization &operands);

} // namespace onager

#endif
