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

/// Name of the module attribute that lists all buffers (array of #kernel.buffer).
inline constexpr llvm::StringLiteral kBuffersAttr = "kernel.buffers";
/// Name of the module attribute that lists the constants of the weight section, by weight index.
inline constexpr llvm::StringLiteral kWeightsAttr = "kernel.weights";

} // namespace onager::kernel

#endif
