// How much accuracy a compression may cost.
#ifndef ONAGER_TOOLS_COMPRESS_BUDGET_H
#define ONAGER_TOOLS_COMPRESS_BUDGET_H

#include "tools/onager/Tensor.h"
#include <string>
#include <vector>

namespace onager::cli {

/// What one sample loses: the mean over samples of `amount` over the mean of `scale` is the loss, 0 where nothing is lost. `rows` is how many rows were judged.
struct Loss {
  double amount = 0, scale = 1;
  size_t rows = 1;
};

/// A limit on a metric of the outputs, of which the worst counts.
///
/// metric := sqnr>=DECIBELS | cosine>=X | top1_agreement>=SHARE | kl<=NATS | mean_error<=X | max_error<=X
///
/// kl is the mean over rows along the last dim of the Kullback-Leibler divergence between their softmaxes. Losses are: noise over signal; 1 - cosine; share of rows that disagree; or the metric itself.
class Budget {
public:
  /// Reads a limit; throws Failure for others.
  explicit Budget(const std::string &text);

  const std::string &getText() const { return text; }
  /// What a sample's outputs lose against the plain model's. Outputs of other types than numbers count for nothing.
  Loss measure(const std::vector<Tensor> &found, const std::vector<Tensor> &expected) const;
  /// The loss of samples together.
  double combine(const std::vector<Loss> &losses) const;
  /// A loss that `others` further samples like these stay below in 999 of 1000 cases, since the choice among many trials takes what these samples happen to favour: by Student's distribution,
  /// and with no fewer disagreements than one more than were seen.
  double bound(const std::vector<Loss> &losses, size_t others) const;
  /// The largest loss that is within the limit.
  double getLimit() const { return limit; }
  /// A loss as the metric that it stands for, such as decibels.
  double toMetric(double loss) const;

private:
  enum class Kind { sqnr, cosine, agreement, kl, meanError, maxError };
  Loss measureOutput(const Tensor &found, const Tensor &expected) const;

  std::string text;
  Kind kind = Kind::sqnr;
  double limit = 0;
};

} // namespace onager::cli

#endif
