// Passes that turn launch units into loops.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_PASSES_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace onager {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lib/Conversion/KernelToVector/Passes.h.inc"
} // namespace onager

#endif
