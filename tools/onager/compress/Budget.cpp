// Losses of samples and their bounds.
#include "Budget.h"
#include "tools/onager/Cli.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

namespace onager::cli {

Budget::Budget(const std::string &text, std::shared_ptr<MetricProgram> program) : program(std::move(program)) {
  static const std::string most[] = {"kl", "mean_abs", "max_abs", "mean_rel", "max_rel", "metric"}, least[] = {"sqnr", "cosine", "top_k", "metric"};
  std::string error;
  bool isKnown = readThreshold(text, threshold, error, "metric") && !threshold.isStrict && llvm::is_contained(threshold.isLeast ? llvm::ArrayRef(least) : llvm::ArrayRef(most), threshold.metric);
  if (!isKnown)
    throw Failure(Status::badOption, "option 'budget': expected sqnr>=DB, cosine>=X, top_k>=X, kl<=X, mean_abs<=X, max_abs<=X, mean_rel<=X, max_rel<=X or, of --metric-program, metric<=X or metric>=X, found '" + text + "'");
  if (threshold.metric == "metric" && !this->program)
    throw Failure(Status::badOption, "option 'budget': '" + text + "' needs --metric-program");
  if (!(getLimit() >= 0))
    throw Failure(Status::badOption, "option 'budget': no model is within '" + text + "'");
}

double Budget::toLoss(double metric) const {
  if (threshold.metric == "sqnr")
    return std::pow(10, -metric / 10);
  return threshold.isLeast ? 1 - metric : metric;
}

double Budget::toMetric(double loss) const {
  if (threshold.metric == "sqnr")
    return loss > 0 ? std::min(200.0, -10 * std::log10(loss)) : 200;
  return threshold.isLeast ? 1 - loss : loss;
}

double Budget::measureOutput(const Tensor &found, const Tensor &expected, size_t sample) const {
  if (threshold.metric == "metric")
    return program->measure(found, expected, sample);
  ErrorSums sums({}, 1, threshold.metric == "kl" || threshold.metric == "top_k");
  sums.add(found, expected);
  return getMetric(sums.finish(), threshold.metric);
}

Loss Budget::measure(const std::vector<Tensor> &found, const std::vector<Tensor> &expected, size_t sample) const {
  Loss worst;
  for (size_t k = 0; k < expected.size(); ++k) {
    if (!expected[k].texts.empty() || expected[k].size() == 0)
      continue;
    Loss loss{1, 1}; // an output of another shape, as of detections by number, is lost
    if (found[k].dims == expected[k].dims) {
      double amount = toLoss(measureOutput(found[k], expected[k], sample));
      auto width = static_cast<size_t>(expected[k].dims.empty() ? 1 : expected[k].dims.back());
      loss = {std::isnan(amount) ? HUGE_VAL : std::max(0.0, amount), expected[k].size() / width};
    }
    if (loss.amount >= worst.amount)
      worst = loss;
  }
  return worst;
}

double Budget::combine(const std::vector<Loss> &losses) const {
  double sum = 0, most = 0;
  for (const Loss &loss : losses) {
    sum += loss.amount;
    most = std::max(most, loss.amount);
  }
  return isMost() || losses.empty() ? most : sum / static_cast<double>(losses.size());
}

/// The 99.9th percentile of Student's distribution, to a tenth from 8 samples on.
static double getStudent(size_t count) { return 3.09 * (1 + 3 / (static_cast<double>(count) - 1)); }

/// How much samples differ, each set around its own mean.
double Budget::getVariance(const std::vector<Loss> &losses, const std::vector<Loss> &choosing) const {
  double squares = 0, freedom = 0, count = 0, rows = 0, disagreements = 0;
  for (const std::vector<Loss> *set : {&losses, &choosing}) {
    double mean = 0;
    for (const Loss &loss : *set) {
      mean += loss.amount / static_cast<double>(set->size());
      rows += static_cast<double>(loss.rows);
      disagreements += loss.amount * static_cast<double>(loss.rows);
    }
    for (const Loss &loss : *set)
      squares += std::pow(loss.amount - mean, 2);
    count += static_cast<double>(set->size());
    freedom += set->empty() ? 0 : static_cast<double>(set->size()) - 1;
  }
  if (threshold.metric != "top_k")
    return squares / freedom;
  double share = (disagreements + 1) / (rows + 2);
  return std::max(squares / freedom, share * (1 - share) * count / rows);
}

double Budget::bound(const std::vector<Loss> &losses, size_t others, const std::vector<Loss> &choosing) const {
  double base = combine(losses);
  if (!std::isfinite(base) || losses.size() < 2)
    return 2 * base;
  auto judges = static_cast<double>(losses.size());
  return base + getStudent(losses.size() + choosing.size()) * std::sqrt(getVariance(losses, choosing) * (isMost() ? 1 : 1 / judges + 1 / static_cast<double>(std::max<size_t>(others, 1))));
}

} // namespace onager::cli
