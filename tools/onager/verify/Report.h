// What verify tells, for people and as JSON.
#ifndef ONAGER_TOOLS_VERIFY_REPORT_H
#define ONAGER_TOOLS_VERIFY_REPORT_H

#include "Comparison.h"

namespace onager::cli {

/// "y: float32 [3, 20]  max abs error 0, max rel error 0  ok", and a line of the other metrics.
std::string describeValue(const ValueErrors &value, const Judge &judge, size_t samples);
llvm::json::Array printValues(const std::vector<ValueErrors> &values);

} // namespace onager::cli

#endif
