// What unit formation asks about operations.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_UNITSHAPE_H
#define ONAGER_CONVERSION_GRAPHTOKERNEL_UNITSHAPE_H

#include "dialects/Kernel/IR/Kernel.h"

namespace onager {

/// The part that an operation can play in a unit.
enum class Role {
  program,     ///< stays in the program: views, constants, calls, control flow, symbols
  elementwise, ///< joins units of its shape
  movement,    ///< reads each operand element at most once
  opaque,      ///< a map that reads operand elements many times: takes no prologue
  hero         ///< has an emitter of its own
};

/// Returns the part of `op`. With `fuse` false nothing is a hero but what has no other form.
Role getRole(mlir::Operation *op, bool fuse);
/// Returns the emitter for a unit around `op`.
kernel::Hero getHero(mlir::Operation *op, bool fuse);
/// True where a unit around `op` may compute operations of its result shape behind it.
bool takesEpilogue(mlir::Operation *op);
/// True where a unit around `op` may compute operand `number` while reading it.
bool takesPrologue(mlir::Operation *op, unsigned number);
/// True where the unit of `op` may write the caches that it reads: keys and values of f32, in rows of whole vectors, that are results of the function with a
/// past that the unit gets, which nothing else reads, and one matrix of them for each of queries, of which there is one row or an unknown number.
bool takesCaches(graph::AttentionOp op);
/// True where `op` can read through `producer`. Attention reads rows from memory, in any order and as shorter floats, scatters what is cheap; other
/// prologues are not restricted.
bool takesProducer(mlir::Operation *op, mlir::Operation *producer);
/// True where the results, computed at compile time, may stand in the artifact for what `op` reads: packed filters, or not much larger than the operands.
bool staysSmall(mlir::Operation *op);
/// True where the value is computed at compile time: a constant, or few operations behind constants whose results stay small.
bool isComputedFromConstants(mlir::Value value);
/// True where a constant that the value is computed from has a form already, which dims that are known now must not change.
bool hasGenericForm(mlir::Value value);
/// True where a product, or a convolution, may be made of parts of bf16 with a gain: it has enough rows or pixels, or an unknown number, columns and terms.
bool takesBf16x3(graph::MatmulOp op);
bool takesBf16x3(graph::ConvOp op);
/// True where the operation costs little enough to be computed more than once.
bool isCheap(mlir::Operation *op);

} // namespace onager

#endif
