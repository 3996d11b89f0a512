// What the forms of a matrix product have in common.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_GEMM_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_GEMM_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Rows of one work item at most: several tiles, so that a panel pair is reused from cache.
inline constexpr int64_t kGemmRowBlock = 96;

/// The extents of a product.
struct GemmShape {
  kernel::GemmOp op;
  graph::Dims batch;           ///< of the result; empty where leading dims are rows
  graph::Dims rowDims;         ///< dims whose product is the number of rows
  mlir::AffineExpr rows, columns, depth, panels;
};
GemmShape getGemmShape(kernel::UnitOp unit);

/// Emits all items of a product whose operands are split into parts of bf16. Must hold: kFewestBf16x3Rows rows or more, one matrix.
void emitBf16x3Gemm(UnitEmitter &e, GemmShape shape);
/// Bytes of scratch that it takes for each thread; 0 for a product in vectors.
mlir::AffineExpr getBf16x3ScratchBytes(GemmShape shape);
/// Items whose rows are split together.
int64_t getBf16x3Grain();

} // namespace onager

#endif
