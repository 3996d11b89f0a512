// Passes that turn `graph` operations into launch units.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_PASSES_H
#define ONAGER_CONVERSION_GRAPHTOKERNEL_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace onager {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lib/Conversion/GraphToKernel/Passes.h.inc"
} // namespace onager

#endif
