// Numbers of f32 that bf16 can hold, as models of bf16 and models with layers of that precision write them.
#ifndef ONAGER_DIALECTS_GRAPH_TRANSFORMS_MATCHBF16_H
#define ONAGER_DIALECTS_GRAPH_TRANSFORMS_MATCHBF16_H

#include "dialects/Graph/Transforms/Match.h"

namespace onager::graph {

/// True for a tensor of f32 that is cast from bf16, a constant that bf16 holds as well, or what moves either.
bool holdsBf16(mlir::Value value);
/// Makes the tensor of bf16 for what holdsBf16 holds.
mlir::Value makeBf16(mlir::OpBuilder &builder, mlir::Value value);

/// True for products whose right operand is one matrix of constants of bf16, of a size that is worth an emitter of its own. It may be of bf16, or f32 that
/// holds it; nothing is asked of the left one.
bool hasBf16Weights(MatmulOp op);

} // namespace onager::graph

#endif
