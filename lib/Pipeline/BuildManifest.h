// The manifest of a planned module.
#ifndef ONAGER_PIPELINE_BUILDMANIFEST_H
#define ONAGER_PIPELINE_BUILDMANIFEST_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/core/manifest.h"

namespace onager {

/// Collects signature, symbols, slots and launches. REQUIRES: the module is planned and not yet lowered.
rt::Manifest buildManifest(mlir::ModuleOp module);
/// Adds what is known after lowering: error messages and the size of the weight section.
void finishManifest(mlir::ModuleOp module, rt::Manifest &manifest);

} // namespace onager

#endif
