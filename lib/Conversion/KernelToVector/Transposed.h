// Maps of transposed operands; see Transposed.cpp.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_TRANSPOSED_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_TRANSPOSED_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// Emits the unit if all that it transposes can go through tiles; false where the map's own loops must do.
bool emitTransposed(UnitEmitter &e);
/// Returns the work items of such a unit, nothing of another.
std::optional<mlir::AffineExpr> getTransposedItems(kernel::UnitOp unit);

} // namespace onager

#endif
