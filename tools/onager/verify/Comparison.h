// Running two sides on the same data, and judging what differs.
#ifndef ONAGER_TOOLS_VERIFY_COMPARISON_H
#define ONAGER_TOOLS_VERIFY_COMPARISON_H

#include "Side.h"
#include "tools/onager/Metrics.h"

namespace onager::cli {

/// What is allowed: the thresholds, or, without any, no element beyond the tolerance.
struct Judge {
  std::optional<double> rtol, atol; ///< of the tolerance; the defaults depend on the output's type
  size_t k = 1;                     ///< of top_k
  std::vector<Threshold> thresholds;

  Tolerance getTolerance(int32_t dtype) const;
  bool accepts(const Metrics &metrics) const;
  /// The judge of values inside a model, where orders and distributions mean nothing: the thresholds of other metrics, if there are some.
  Judge forValuesInside() const;
};

/// What was found of one value over all samples.
struct ValueErrors {
  std::string name;
  int32_t dtype = 0;
  std::vector<int64_t> dims; ///< in the last sample
  std::string mismatch;      ///< where types or shapes differ: "float32 [3], expected float32 [4]"
  Metrics metrics;
  bool isFine = true;
};

/// Runs both sides on all samples and compares the values that both have, by name, in the order in which `found` has them.
std::vector<ValueErrors> compareSides(CompiledSide &found, Side &expected, const Data &data, const Judge &judge);

bool areFine(const std::vector<ValueErrors> &errors);

/// The same outputs again and again, for a side that is compared with many others. REQUIRES: it runs on one sample alone, each time the same.
std::unique_ptr<Side> keepOutputs(std::unique_ptr<Side> side);

} // namespace onager::cli

#endif
