// Reductions along dims other than the last: blocks of neighbouring columns are swept together.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_COLUMNS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_COLUMNS_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// True where the unit's reduction, softmax or normalisation leaves the last dim, and lines of it are long enough to be swept.
bool reducesColumns(kernel::UnitOp unit);
/// Fills such a unit's function. Work items: blocks of columns, a number of them for each index of the outer dims.
void emitColumns(UnitEmitter &e);
WorkInfo getColumnWork(kernel::UnitOp unit);

} // namespace onager

#endif
