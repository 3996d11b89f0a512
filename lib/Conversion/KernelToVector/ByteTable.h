// Functions of one byte that give bytes: looked up in a table that each share makes.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_BYTETABLE_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_BYTETABLE_H

#include "lib/Conversion/KernelToVector/UnitEmitter.h"

namespace onager {

/// The argument of bytes that every result of the unit is a function of, element by element, where computing it takes so long that 256 values and a
/// lookup for each element are faster; null where that does not hold. Other arguments are single elements.
mlir::Value getTableArgument(kernel::UnitOp unit);
/// Fills the function of a unit that has such an argument. Work items: the elements.
void emitByteTable(UnitEmitter &e, mlir::Value argument);
WorkInfo getByteTableWork(kernel::UnitOp unit);

} // namespace onager

#endif
