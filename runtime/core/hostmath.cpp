// libm in the order of enum onager_math.
#include "runtime/core/hostmath.h"
#include <math.h>

namespace onager::rt {

double (*const kHostMath[ONAGER_MATH_COUNT])(double) = {acos, acosh, asin, asinh, atan, atanh, cbrt, cos, cosh, erf, exp, expm1,
                                                       lgamma, log, log1p, log2, log10, sin, sinh, tan, tanh, tgamma, exp2};
double (*const kHostMath2[ONAGER_MATH2_COUNT])(double, double) = {atan2, fmod, pow};

} // namespace onager::rt
