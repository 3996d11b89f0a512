// The `kernel` dialect in C++: units, launches and buffers that TableGen makes from KernelOps.td.
#ifndef ONAGER_DIALECTS_KERNEL_IR_KERNEL_H
#define ONAGER_DIALECTS_KERNEL_IR_KERNEL_H

#include "dialects/Graph/IR/Graph.h"
#include "mlir/IR/SymbolTable.h"

#include "dialects/Kernel/IR/KernelDialect.h.inc"
#include "dialects/Kernel/IR/KernelEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/IR/KernelAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/IR/KernelOps.h.inc"

namespace onager::kernel {

/// Columns of one panel of a packed gemm operand.
inline constexpr int64_t kPanelWidth = 16;
/// Most rows of dot_rows' left operand.
inline constexpr int64_t kMostDotRows = 8;
/// Elements of windows whose places of the largest are straight code of a map; more have the hero pool_indices.
inline constexpr int64_t kMostStraightTaps = 4;
/// Numbers along K that block_pack puts into four bytes of a column.
inline constexpr int64_t getBlockStep(int64_t bits) { return bits == 8 ? 4 : 8; }

/// Name of the module attribute that lists all buffers (array of #kernel.buffer).
inline constexpr llvm::StringLiteral kBuffersAttr = "kernel.buffers";
/// Name of the module attribute that lists the constants of the weight section, by weight index.
inline constexpr llvm::StringLiteral kWeightsAttr = "kernel.weights";
/// Name of the module attribute of a variant that holds, by weight index, the offset of the weight in the generic form's section, or -1 for one of its own.
inline constexpr llvm::StringLiteral kSharedWeightsAttr = "kernel.shared_weights";

/// Name of the attribute of a constant whose form must not depend on dims that only a variant knows, since the artifact has no other.
inline constexpr llvm::StringLiteral kGenericFormAttr = "kernel.generic_form";

/// Rows of a tile pair, terms of a step and parts of a number where products of f32 are made of numbers of bf16; see Bf16x3.h.
inline constexpr int64_t kBf16x3Rows = 32, kBf16x3Terms = 32, kBf16x3Parts = 3;
/// Rows from which on splitting both operands of a product of f32 into parts of bf16 costs less than tiles save: measured on Sapphire Rapids.
inline constexpr int64_t kFewestBf16x3Rows = 48;

/// Name of the attribute by which graph-mark-sparse tells of the zeros among a product's weights.
inline constexpr llvm::StringLiteral kSparseAttr = "sparse";

/// Returns the indices of the weights that a planned program reads while it runs; others are only steps towards them.
llvm::DenseSet<int64_t> findReadWeights(mlir::Operation *program);

/// Prints what decides a unit's code: hero, types and operations, without names and locations.
std::string describeUnit(UnitOp unit);

/// True where an operation inside of this one multiplies tiles of bytes, or of bf16.
bool usesAmx(mlir::Operation *root);
bool usesAmxBf16(mlir::Operation *root);
/// True where one of them is of parts of f32.
bool usesBf16x3(mlir::Operation *root);

} // namespace onager::kernel

#endif
