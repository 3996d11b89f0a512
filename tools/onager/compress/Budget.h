// How much accuracy a compression may cost.
#ifndef ONAGER_TOOLS_COMPRESS_BUDGET_H
#define ONAGER_TOOLS_COMPRESS_BUDGET_H

#include "MetricProgram.h"
#include "tools/onager/Metrics.h"
#include <memory>
#include <string>
#include <vector>

namespace onager::cli {

/// What one sample loses, 0 for nothing, and how many rows say so.
struct Loss {
  double amount = 0;
  size_t rows = 1;
};

/// A limit on a metric of the outputs, of which the worst counts: METRIC>=X for sqnr, cosine and top_k, with k = 1, METRIC<=X for kl, mean_abs, max_abs, mean_rel and max_rel (Metrics.h). Losses are noise over signal,
/// 1 - cosine, the share of rows that disagree, or the metric itself; their mean over samples counts, or the largest of max_abs and max_rel.
class Budget {
public:
  /// Reads a limit; throws Failure for others. `program`, if there is one, knows the metric `metric`: a number for each output of each sample, at least 0, and 0 (for >= 1) where nothing is lost.
  explicit Budget(const std::string &text, std::shared_ptr<MetricProgram> program = nullptr);

  const std::string &getText() const { return threshold.text; }
  /// What a sample's outputs lose against the plain model's. Texts count for nothing. `sample` is its number among all, which a program is told.
  Loss measure(const std::vector<Tensor> &found, const std::vector<Tensor> &expected, size_t sample) const;
  /// The loss of samples together.
  double combine(const std::vector<Loss> &losses) const;
  /// A loss that `others` further samples like these stay below in 999 of 1000 cases: by Student's distribution, and with no fewer disagreements than one more than were seen. `choosing` are
  /// losses of samples that the choice was made by: they say how much samples differ, too, but not what they lose on average, which the choice among many trials made small.
  double bound(const std::vector<Loss> &losses, size_t others, const std::vector<Loss> &choosing = {}) const;
  /// The largest loss that is within the limit.
  double getLimit() const { return toLoss(threshold.limit); }
  /// A loss as the metric that it stands for, such as decibels.
  double toMetric(double loss) const;

private:
  bool isMost() const { return threshold.metric == "max_abs" || threshold.metric == "max_rel"; }
  double toLoss(double metric) const;

  double getVariance(const std::vector<Loss> &losses, const std::vector<Loss> &choosing) const;
  double measureOutput(const Tensor &found, const Tensor &expected, size_t sample) const;

  Threshold threshold;
  std::shared_ptr<MetricProgram> program;
};

} // namespace onager::cli

#endif
