// The balance of compiling and running.
#include "CompileEffort.h"
#include <algorithm>

namespace onager::cli {

/// Of convolutional networks with means of their values: a second of quickly compiled code is 4e9 operations, and better code of a launch takes 0.03 s longer to make.
static constexpr double kBalance = 4e9 * 0.03;

bool CompileEffort::isWorthIt(const FormCost &cost, size_t runs) {
  double density = cost.operations / static_cast<double>(std::max<size_t>(cost.launches, 1));
  leastDensity = std::min(leastDensity.value_or(density), density);
  return static_cast<double>(runs) * density > kBalance;
}

bool CompileEffort::isSurelyWorthIt(size_t runs) const {
  constexpr double kFar = 4;
  return leastDensity && static_cast<double>(runs) * *leastDensity > kFar * kBalance;
}

} // namespace onager::cli
