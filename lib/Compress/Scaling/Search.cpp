// Factors by what layers make of the calibration data.
#include "lib/Compress/Cholesky.h"
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Scaling/Scaling.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

static bool isConv(const Layer &layer) { return layer.node->op_type() == "Conv"; }

void SiteSamples::add(const std::vector<int64_t> &dims, const float *values, size_t count) {
  size_t axis = isConv(site.readers[0]) ? 1 : dims.size() - 1, channels = least.size(), inner = 1, total = 1;
  if (dims.size() <= axis || dims[axis] != site.channels)
    return;
  for (size_t k = 0; k < dims.size(); ++k) {
    total *= static_cast<size_t>(dims[k]);
    inner *= k > axis ? static_cast<size_t>(dims[k]) : 1;
  }
  for (size_t k = 0; k < total; ++k) {
    size_t c = k / inner % channels;
    double value = std::isfinite(values[k]) ? values[k] : 0;
    least[c] = std::min(least[c], value);
    most[c] = std::max(most[c], value);
    sums[c] += std::abs(value);
  }
  counted += total / channels;
  rows.resize(site.readers.size());
  for (size_t k = 0; k < rows.size(); ++k) {
    // Products of one value multiply by the same rows.
    if (k > 0 && !isConv(site.readers[k]))
      break;
    size_t step = std::max<size_t>(1, total / channels / std::max<size_t>(count, 1));
    Rows more = unfold(site.readers[k], dims, values, 0, step);
    rows[k].terms = more.terms;
    rows[k].count += more.count;
    rows[k].values.insert(rows[k].values.end(), more.values.begin(), more.values.end());
  }
}

namespace {

/// One layer that reads the value: some of its outputs, on the rows.
class ReaderError {
public:
  ReaderError(const ModelGraph &model, const SiteSamples &samples, size_t reader, const LayerRecipe &form, RangeMethod range)
      : samples(samples), rows(isConv(samples.site.readers[reader]) ? samples.rows[reader] : samples.rows[0]), form(form), range(range) {
    constexpr size_t kMostOutputs = 128;
    const Layer &layer = samples.site.readers[reader];
    Rows all = readMatrix(model, layer);
    size_t outputs = all.count / countGroups(layer), step = (outputs + kMostOutputs - 1) / kMostOutputs;
    taps = isConv(layer) ? all.terms / static_cast<size_t>(layer.dims[1]) : 1;
    weights.terms = all.terms;
    for (size_t n = 0; n < outputs; n += step, ++weights.count)
      weights.values.insert(weights.values.end(), all.values.begin() + static_cast<std::ptrdiff_t>(n * all.terms), all.values.begin() + static_cast<std::ptrdiff_t>((n + 1) * all.terms));
    expected = multiplyAll(rows.values, weights.values);
  }

  /// Widens each channel's range to the weights that read it.
  void addRanges(std::vector<double> &ranges) const {
    for (size_t k = 0; k < weights.values.size(); ++k) {
      double &range = ranges[k % weights.terms / taps];
      range = std::max(range, std::abs(static_cast<double>(weights.values[k])));
    }
  }

  double getSignal() const {
    double sum = 0;
    for (float value : expected)
      sum += static_cast<double>(value) * value;
    return sum;
  }

  double measure(const std::vector<float> &factors) const {
    std::vector<float> found = multiplyAll(roundRows(factors), roundWeights(factors));
    double sum = 0;
    for (size_t k = 0; k < found.size(); ++k) {
      double gap = static_cast<double>(found[k]) - expected[k];
      sum += gap * gap;
    }
    return sum;
  }

private:
  std::vector<float> multiplyAll(const std::vector<float> &x, const std::vector<float> &w) const {
    std::vector<float> products;
    products.reserve(rows.count * weights.count);
    for (size_t r = 0; r < rows.count; ++r)
      for (size_t n = 0; n < weights.count; ++n)
        products.push_back(multiply(x.data() + r * weights.terms, w.data() + n * weights.terms, weights.terms));
    return products;
  }

  std::vector<float> roundRows(const std::vector<float> &factors) const {
    std::vector<float> values = rows.values;
    for (size_t k = 0; k < values.size(); ++k)
      values[k] /= factors[k % rows.terms / taps];
    if (!hasByteInputs(form.scheme))
      return values;
    auto [least, most] = form.scheme == Scheme::int8 ? chooseRange(values) : findExtremes(factors);
    auto step = static_cast<float>((most - least) / 255);
    if (!std::isnormal(step))
      return values;
    float zero = std::nearbyint(static_cast<float>(-least) / step);
    for (float &value : values)
      value = (std::clamp(std::nearbyint(value / step) + zero, 0.0f, 255.0f) - zero) * step;
    return values;
  }

  /// The range that calibration would fix for the rows.
  Range chooseRange(const std::vector<float> &values) const {
    Histogram histogram;
    histogram.add(values.data(), values.size());
    return histogram.choose(range);
  }

  /// The range of all that was seen.
  Range findExtremes(const std::vector<float> &factors) const {
    Range extremes;
    for (size_t c = 0; c < factors.size(); ++c) {
      extremes.least = std::min(extremes.least, samples.least[c] / static_cast<double>(factors[c]));
      extremes.most = std::max(extremes.most, samples.most[c] / static_cast<double>(factors[c]));
    }
    return extremes;
  }

  std::vector<float> roundWeights(const std::vector<float> &factors) const {
    std::vector<float> values = weights.values;
    for (size_t k = 0; k < values.size(); ++k)
      values[k] *= factors[k % weights.terms / taps];
    for (size_t n = 0; n < weights.count; ++n)
      roundRow(form, values.data() + n * weights.terms, weights.terms);
    return values;
  }

  const SiteSamples &samples;
  const Rows &rows;
  const LayerRecipe &form;
  RangeMethod range;
  Rows weights;
  size_t taps = 1;
  std::vector<float> expected;
};

std::vector<float> makeFactors(const SiteSamples &samples, const std::vector<double> &ranges, ScalingMethod method, double alpha) {
  constexpr double kFloor = 1e-5;
  std::vector<double> factors;
  double least = HUGE_VAL, most = 0;
  for (size_t c = 0; c < ranges.size(); ++c) {
    double extreme = std::max(samples.most[c], -samples.least[c]), mean = samples.sums[c] / static_cast<double>(samples.counted);
    bool isDead = extreme < kFloor || ranges[c] < kFloor;
    double factor = method == ScalingMethod::awq ? std::pow(mean, alpha) : std::pow(extreme, alpha) / std::pow(ranges[c], 1 - alpha);
    factors.push_back(isDead || !std::isnormal(factor) ? 0 : factor);
    if (factors.back() == 0)
      continue;
    least = std::min(least, factor);
    most = std::max(most, factor);
  }
  // Around 1, so that neither weights nor values leave the numbers that floats hold well.
  double middle = std::sqrt(least * most);
  std::vector<float> around;
  for (double factor : factors)
    around.push_back(factor == 0 ? 1.0f : static_cast<float>(factor / middle));
  return around;
}

} // namespace

std::optional<Scaling> chooseFactors(const ModelGraph &model, const SiteSamples &samples, const std::map<std::string, LayerRecipe> &forms, RangeMethod range, ScalingMethod method,
                                     std::optional<double> fixedAlpha) {
  constexpr size_t kSteps = 10;
  const ScalingSite &site = samples.site;
  std::vector<ReaderError> readers;
  std::vector<double> ranges(static_cast<size_t>(site.channels));
  double signal = 0;
  for (size_t k = 0; k < site.readers.size(); ++k)
    if (auto form = forms.find(site.readers[k].name); form != forms.end() && isQuantised(form->second.scheme)) {
      readers.emplace_back(model, samples, k, form->second, range);
      readers.back().addRanges(ranges);
      signal += readers.back().getSignal();
    }
  if (readers.empty() || !(signal > 0))
    return std::nullopt;
  // Without factors; then alpha by alpha.
  std::vector<std::vector<float>> trials{std::vector<float>(ranges.size(), 1)};
  std::vector<double> alphas{0};
  for (size_t k = 0; k <= (fixedAlpha ? 0 : kSteps); ++k) {
    alphas.push_back(fixedAlpha.value_or(static_cast<double>(k) / kSteps));
    trials.push_back(makeFactors(samples, ranges, method, alphas.back()));
  }
  std::vector<double> errors(trials.size());
  llvm::parallelFor(0, trials.size(), [&](size_t k) {
    for (const ReaderError &reader : readers)
      errors[k] += reader.measure(trials[k]);
  });
  auto best = static_cast<size_t>(std::min_element(errors.begin() + 1, errors.end()) - errors.begin());
  bool isInserted = !site.obstacle.empty();
  if (!fixedAlpha && !(errors[best] < (isInserted ? 0.9 : 1.0) * errors[0]))
    return std::nullopt;
  return Scaling{method, site.value, alphas[best], isInserted, std::move(trials[best]), errors[0] / signal, errors[best] / signal};
}

} // namespace onager::compress
