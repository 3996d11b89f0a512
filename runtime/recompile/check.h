// Does a variant give what the generic form gives?
#ifndef ONAGER_RUNTIME_RECOMPILE_CHECK_H
#define ONAGER_RUNTIME_RECOMPILE_CHECK_H

#include "runtime/core/variants.h"

namespace onager::rt {

class Session;

/// Runs a variant and the generic form, on one thread, on inputs of a shape that its guard allows: numbers drawn from [-1, 1), integers 0 or 1. Fails with the
/// output and the difference where outputs differ by more than one in a thousand of the largest magnitude. Runs that the model itself ends (an index out of
/// range) must end alike.
Outcome checkVariant(Session &session, const Variant &variant);

} // namespace onager::rt

#endif
