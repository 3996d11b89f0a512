// Passes of the `kernel` dialect.
#ifndef ONAGER_DIALECTS_KERNEL_TRANSFORMS_PASSES_H
#define ONAGER_DIALECTS_KERNEL_TRANSFORMS_PASSES_H

#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace onager::kernel {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "dialects/Kernel/Transforms/Passes.h.inc"
} // namespace onager::kernel

#endif
