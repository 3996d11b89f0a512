// Losses of samples and their bounds.
#include "Budget.h"
#include "tools/onager/Cli.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <cmath>

using llvm::StringRef;

namespace onager::cli {

Budget::Budget(const std::string &text) : text(text) {
  struct Known {
    const char *name;
    Kind kind;
    bool isAtLeast;
  };
  static constexpr Known kKnown[] = {{"sqnr", Kind::sqnr, true}, {"cosine", Kind::cosine, true}, {"top1_agreement", Kind::agreement, true},
                                     {"kl", Kind::kl, false},    {"mean_error", Kind::meanError, false}, {"max_error", Kind::maxError, false}};
  for (const Known &known : kKnown) {
    StringRef rest(text);
    double value;
    if (!rest.consume_front(known.name) || !rest.consume_front(known.isAtLeast ? ">=" : "<=") || rest.getAsDouble(value) || !std::isfinite(value))
      continue;
    kind = known.kind;
    limit = kind == Kind::sqnr ? std::pow(10, -value / 10) : known.isAtLeast ? 1 - value : value;
    if (limit < 0)
      throw Failure(Status::badOption, "option 'budget': no model is within '" + text + "'");
    return;
  }
  throw Failure(Status::badOption, "option 'budget': expected sqnr>=DB, cosine>=X, top1_agreement>=X, kl<=X, mean_error<=X or max_error<=X, found '" + text + "'");
}

/// The divergence between the softmaxes of two rows.
static double measureDivergence(const Tensor &found, const Tensor &expected, size_t begin, size_t width) {
  double mostFound = -HUGE_VAL, mostExpected = -HUGE_VAL, sumFound = 0, sumExpected = 0, divergence = 0;
  auto get = [&](const Tensor &tensor, size_t k) { return static_cast<double>(getElement(tensor, begin + k)); };
  for (size_t k = 0; k < width; ++k) {
    mostFound = std::max(mostFound, get(found, k));
    mostExpected = std::max(mostExpected, get(expected, k));
  }
  for (size_t k = 0; k < width; ++k) {
    sumFound += std::exp(get(found, k) - mostFound);
    sumExpected += std::exp(get(expected, k) - mostExpected);
  }
  for (size_t k = 0; k < width; ++k) {
    double own = get(expected, k) - mostExpected - std::log(sumExpected), other = get(found, k) - mostFound - std::log(sumFound);
    if (std::exp(own) > 0)
      divergence += std::exp(own) * (own - other);
  }
  return std::max(0.0, divergence);
}

static size_t findLargest(const Tensor &tensor, size_t begin, size_t width) {
  size_t best = begin;
  for (size_t k = begin; k < begin + width; ++k)
    best = getElement(tensor, k) > getElement(tensor, best) ? k : best;
  return best;
}

Loss Budget::measureOutput(const Tensor &found, const Tensor &expected) const {
  size_t width = expected.dims.empty() ? 1 : static_cast<size_t>(std::max<int64_t>(expected.dims.back(), 1)), rows = expected.size() / width;
  Loss loss{0, 1, std::max<size_t>(rows, 1)};
  if (kind == Kind::kl || kind == Kind::agreement) {
    for (size_t row = 0; row < rows; ++row)
      loss.amount += kind == Kind::kl ? measureDivergence(found, expected, row * width, width) : findLargest(found, row * width, width) != findLargest(expected, row * width, width);
    loss.amount /= static_cast<double>(loss.rows);
    return loss;
  }
  long double product = 0, signal = 0, own = 0, noise = 0, distance = 0, most = 0;
  for (size_t k = 0; k < expected.size(); ++k) {
    long double a = getElement(found, k), b = getElement(expected, k), gap = a == b ? 0 : std::abs(a - b);
    product += a * b;
    own += a * a;
    signal += b * b;
    noise += gap * gap;
    distance += gap;
    most = std::max(most, std::isnan(gap) ? HUGE_VALL : gap);
  }
  if (kind == Kind::sqnr)
    return {static_cast<double>(noise), static_cast<double>(signal), 1};
  if (kind == Kind::cosine)
    loss.amount = signal > 0 && own > 0 ? static_cast<double>(1 - product / std::sqrt(signal * own)) : signal != own;
  else
    loss.amount = static_cast<double>(kind == Kind::maxError ? most : distance / std::max<long double>(1, static_cast<long double>(expected.size())));
  return loss;
}

Loss Budget::measure(const std::vector<Tensor> &found, const std::vector<Tensor> &expected) const {
  Loss worst{0, 1, 1};
  double ratio = -1;
  for (size_t k = 0; k < expected.size(); ++k) {
    if (!expected[k].texts.empty() || expected[k].size() == 0)
      continue;
    // An output of another shape, as of detections by number, is lost.
    Loss loss = found[k].dims == expected[k].dims ? measureOutput(found[k], expected[k]) : Loss{1, 1, 1};
    double own = loss.scale > 0 ? loss.amount / loss.scale : loss.amount > 0 ? HUGE_VAL : 0;
    if (std::isnan(own) || own > ratio) {
      ratio = own;
      worst = loss;
    }
  }
  return std::isnan(ratio) ? Loss{HUGE_VAL, 1, 1} : worst;
}

double Budget::combine(const std::vector<Loss> &losses) const {
  double amount = 0, scale = 0, most = 0;
  for (const Loss &loss : losses) {
    amount += loss.amount;
    scale += loss.scale;
    most = std::max(most, loss.amount);
  }
  return kind == Kind::maxError ? most : amount > 0 ? amount / scale : 0;
}

double Budget::bound(const std::vector<Loss> &losses, size_t others) const {
  auto count = static_cast<double>(losses.size());
  double mean = combine(losses), scale = 0, variance = 0, rows = 0, disagreements = 0;
  for (const Loss &loss : losses) {
    scale += loss.scale / count;
    rows += static_cast<double>(loss.rows);
    disagreements += loss.amount * static_cast<double>(loss.rows);
  }
  if (!std::isfinite(mean) || losses.size() < 2)
    return 2 * mean;
  for (const Loss &loss : losses)
    variance += std::pow(loss.amount / (kind == Kind::sqnr && scale > 0 ? scale : 1) - mean, 2) / (count - 1);
  if (kind == Kind::agreement) {
    double share = (disagreements + 1) / (rows + 2);
    variance = std::max(variance, share * (1 - share) * count / rows);
  }
  // The 99.9th percentile of Student's distribution, to a tenth from 8 samples on.
  double student = 3.09 * (1 + 3 / (count - 1));
  return mean + student * std::sqrt(variance * (kind == Kind::maxError ? 1 : 1 / count + 1 / static_cast<double>(std::max<size_t>(others, 1))));
}

double Budget::toMetric(double loss) const {
  if (kind == Kind::sqnr)
    return loss > 0 ? std::min(200.0, -10 * std::log10(loss)) : 200;
  return kind == Kind::cosine || kind == Kind::agreement ? 1 - loss : loss;
}

} // namespace onager::cli
