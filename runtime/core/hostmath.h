// The math library that compiled code calls through onager_host.
#ifndef ONAGER_RUNTIME_CORE_HOSTMATH_H
#define ONAGER_RUNTIME_CORE_HOSTMATH_H

#include "onager-rt/abi.h"

namespace onager::rt {

extern double (*const kHostMath[ONAGER_MATH_COUNT])(double);
extern double (*const kHostMath2[ONAGER_MATH2_COUNT])(double, double);

} // namespace onager::rt

#endif
