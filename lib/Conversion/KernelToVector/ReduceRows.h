// Reductions of f32 along the last dims of an operand in memory: rows are swept in whole vectors.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_REDUCEROWS_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_REDUCEROWS_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// True where the unit reduces rows of more than a few floats that lie in memory.
bool reducesRows(kernel::UnitOp unit);
/// Fills such a unit's function. Work items: blocks of rows.
void emitReduceRows(UnitEmitter &e);
WorkInfo getReduceRowsWork(kernel::UnitOp unit);

} // namespace onager

#endif
