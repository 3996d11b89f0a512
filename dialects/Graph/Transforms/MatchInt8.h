// Numbers that are bytes behind a zero point and a scale, as quantised models write them.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_MATCHINT8_H
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_MATCHINT8_H

#include "dialects/Graph/Transforms/Match.h"

namespace onager::graph {

/// A tensor of integers that is `bytes - zero`.
struct CentredBytes {
  mlir::Value bytes; ///< of i8 or ui8
  int64_t zero;      ///< a number of the same type
};
/// Splits a tensor of i32, or of bytes themselves, whose zero point is one constant.
std::optional<CentredBytes> matchCentredBytes(mlir::Value integers);

/// Integers times a scale that is made of constants.
struct Dequantized {
  mlir::Value integers, scale;
};
/// Splits a tensor of f32 that is such a product.
std::optional<Dequantized> matchDequantized(mlir::Value value);

/// True for constants of integers, and what their bytes less constant zero points are, where every number fits into 8 signed bits.
bool areByteWeights(mlir::Value integers);
/// Makes the tensor of i8 for what areByteWeights holds.
mlir::Value makeByteWeights(mlir::OpBuilder &builder, mlir::Value integers);

/// The largest sum of magnitudes of the weights of one entry of dim 0, of what areByteWeights or getExcess reads; nothing where they are no constants.
std::optional<int64_t> getLargestNorm(mlir::Value integers);

/// The number that constant integers beyond areByteWeights must lose to fit into 8 signed bits, such as 128 for bytes without a sign; nothing where their
/// range is too wide, or they fit.
std::optional<int64_t> getExcess(mlir::Value integers);
/// Makes the tensor of i8 for integers less their excess.
mlir::Value makeByteWeights(mlir::OpBuilder &builder, mlir::Value integers, int64_t excess);

/// True where products of bytes have an emitter for this convolution or matrix product, whatever its element types are. The sums fit into 32 bits.
bool hasInt8Form(ConvOp op);
bool hasInt8Form(MatmulOp op);

} // namespace onager::graph

#endif
