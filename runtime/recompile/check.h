// Does a variant give what the generic form gives?
#ifndef ONAGER_RUNTIME_RECOMPILE_CHECK_H
#define ONAGER_RUNTIME_RECOMPILE_CHECK_H

#include "runtime/core/variants.h"

namespace onager::rt {

class Session;

/// Runs a variant and the generic form, on one thread, on inputs of a shape that its guard allows: numbers drawn from [-1, 1), integers 0 or 1. Fails with the
/// output and the difference where floats differ by more than a thousandth of the largest magnitude, those of 16 bits by more than a hundredth, integers of 8
/// bits by more than one, or other integers and bools at all; where one has an infinity or NaN the other has the same. Strings and types of less than 16 bits
/// other than these are not compared. Runs that the model itself ends (an index out of range) must end alike.
Outcome checkVariant(Session &session, const Variant &variant);

} // namespace onager::rt

#endif
