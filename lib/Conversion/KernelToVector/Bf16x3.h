// Products of f32 in the tile registers of AMX, which multiply numbers of bf16: each number is the sum of three of these.
//
//   x = high + middle + low     high: x without the lower 16 bits; middle: what is left, cut likewise; low: the rest, which has 8 significant bits
//   x y = high low' + middle middle' + low high' + middle high' + high middle' + high high'      each part of both, summed in f32
//
// Left out are middle low', low middle' and low low', which are below 2^-20 |x y| together. Source: G. Henry, P. Tang, A. Heinecke, "Leveraging the
// bfloat16 Artificial Intelligence Datatype for Higher-Precision Computations" (2019). Parts that are denormal count as 0. What is infinite or no number
// has no parts: those that split an operand tell where it holds any, and it is for their callers to multiply that in another way.
//
//   operand := for each step of 32 terms: for high, middle, low: two tiles       6 KiB; terms behind the last are 0
//   tile    := of rows: 16 rows of 32 terms  |  of panels: for each pair of terms, 16 columns of both      1 KiB
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_BF16X3_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_BF16X3_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

using kernel::kBf16x3Rows;
using kernel::kBf16x3Terms;
/// The bytes of a step, and the columns of a product.
inline constexpr int64_t kBf16x3StepBytes = 6144, kBf16x3Columns = 32;
/// Most steps of a block: its panels stay in the first-level cache while all rows are multiplied with them.
inline constexpr int64_t kBf16x3BlockSteps = 4;
/// Bytes that a product fetches ahead in each step.
inline constexpr int64_t kBf16x3AheadBytes = 1024;

/// Splits up to 32 rows, `stride` numbers apart, of `depth` terms. Sets the i64 at `isSpecial` to 1 where one is not finite, else leaves it.
void callSplitRows(UnitEmitter &e, mlir::Value rows, mlir::Value stride, mlir::Value count, mlir::Value depth, mlir::Value operand, mlir::Value isSpecial);
/// Splits two panels of 16 columns, `stride` numbers apart, likewise. The columns of a term lie `pitch` numbers behind those of the one before.
void callSplitPanels(UnitEmitter &e, mlir::Value panels, mlir::Value stride, mlir::Value pitch, mlir::Value depth, mlir::Value operand, mlir::Value isSpecial);
/// Puts the parts of 32 rows together again, `depth` terms of each.
void callJoinRows(UnitEmitter &e, mlir::Value operand, mlir::Value depth, mlir::Value rows);

struct Bf16x3Operands {
  mlir::Value rows, panels; ///< operands, split
  mlir::Value sums;         ///< of f32, 32 for each row
  mlir::Value steps;
  mlir::Value ahead;        ///< kBf16x3AheadBytes for each step are fetched from here to the second-level cache
};
/// Multiplies `tiles` tiles of rows, one or two, and adds what lies in sums where `accumulates`. Must hold: tile registers are configured.
void callBf16x3Product(UnitEmitter &e, int64_t tiles, bool accumulates, const Bf16x3Operands &operands);

} // namespace onager

#endif
