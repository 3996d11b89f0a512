// Factors by what layers make of the calibration data.
#include "lib/Compress/Cholesky.h"
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Scaling/Scaling.h"
#include "llvm/Support/MathExtras.h"
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
    rows[k].resize(countGroups(site.readers[k]));
    for (size_t g = 0; g < rows[k].size(); ++g) {
      Rows more = unfold(site.readers[k], dims, values, g, step), &own = rows[k][g];
      own.terms = more.terms;
      own.count += more.count;
      own.values.insert(own.values.end(), more.values.begin(), more.values.end());
    }
  }
}

namespace {

/// One group of a layer that reads the value: some of its outputs, on the rows.
struct ReaderGroup {
  const Rows &rows;
  Rows weights;
  size_t first = 0; ///< of the value's channels
  std::vector<float> expected;

  std::vector<float> multiplyAll(const std::vector<float> &x, const std::vector<float> &w) const {
    std::vector<float> products;
    products.reserve(rows.count * weights.count);
    for (size_t r = 0; r < rows.count; ++r)
      for (size_t n = 0; n < weights.count; ++n)
        products.push_back(multiply(x.data() + r * weights.terms, w.data() + n * weights.terms, weights.terms));
    return products;
  }
};

/// One layer that reads the value.
class ReaderError {
public:
  ReaderError(const ModelGraph &model, const SiteSamples &samples, size_t reader, const LayerRecipe &form, RangeMethod range) : samples(samples), form(form), range(range) {
    constexpr size_t kMostOutputs = 128; // of all groups together, but one of each at least
    const Layer &layer = samples.site.readers[reader];
    const std::vector<Rows> &rows = isConv(layer) ? samples.rows[reader] : samples.rows[0];
    Rows all = readMatrix(model, layer);
    size_t channels = isConv(layer) ? static_cast<size_t>(layer.dims[1]) : all.terms, outputs = all.count / rows.size();
    size_t step = llvm::divideCeil(outputs, std::max<size_t>(1, kMostOutputs / rows.size()));
    taps = all.terms / channels;
    for (size_t g = 0; g < rows.size(); ++g) {
      ReaderGroup group{rows[g], {0, all.terms, {}}, g * channels, {}};
      for (size_t n = g * outputs; n < (g + 1) * outputs; n += step, ++group.weights.count)
        group.weights.values.insert(group.weights.values.end(), all.values.begin() + static_cast<std::ptrdiff_t>(n * all.terms), all.values.begin() + static_cast<std::ptrdiff_t>((n + 1) * all.terms));
      group.expected = group.multiplyAll(group.rows.values, group.weights.values);
      groups.push_back(std::move(group));
    }
  }

  /// Widens each channel's range to the weights that read it.
  void addRanges(std::vector<double> &ranges) const {
    for (const ReaderGroup &group : groups)
      for (size_t k = 0; k < group.weights.values.size(); ++k) {
        double &range = ranges[getChannel(group, k)];
        range = std::max(range, std::abs(static_cast<double>(group.weights.values[k])));
      }
  }

  double getSignal() const {
    double sum = 0;
    for (const ReaderGroup &group : groups)
      for (float value : group.expected)
        sum += static_cast<double>(value) * value;
    return sum;
  }

  double measure(const std::vector<float> &factors) const {
    std::vector<std::vector<float>> rounded = roundRows(factors);
    double sum = 0;
    for (size_t g = 0; g < groups.size(); ++g) {
      std::vector<float> found = groups[g].multiplyAll(rounded[g], roundWeights(groups[g], factors));
      for (size_t k = 0; k < found.size(); ++k) {
        double gap = static_cast<double>(found[k]) - groups[g].expected[k];
        sum += gap * gap;
      }
    }
    return sum;
  }

private:
  /// The value's channel that an element of a group's rows or weights belongs to.
  size_t getChannel(const ReaderGroup &group, size_t element) const { return group.first + element % group.weights.terms / taps; }

  /// What each group reads, divided by the factors.
  std::vector<std::vector<float>> roundRows(const std::vector<float> &factors) const {
    std::vector<std::vector<float>> all;
    for (const ReaderGroup &group : groups) {
      all.push_back(group.rows.values);
      for (size_t k = 0; k < all.back().size(); ++k)
        all.back()[k] /= factors[getChannel(group, k)];
    }
    if (!hasByteInputs(form.scheme))
      return all;
    auto [least, most] = form.scheme == Scheme::int8 ? chooseRange(all) : findExtremes(factors);
    auto step = static_cast<float>((most - least) / 255);
    if (!std::isnormal(step))
      return all;
    float zero = std::nearbyint(static_cast<float>(-least) / step);
    for (std::vector<float> &values : all)
      for (float &value : values)
        value = (std::clamp(std::nearbyint(value / step) + zero, 0.0f, 255.0f) - zero) * step;
    return all;
  }

  /// The range that calibration would fix for the rows.
  Range chooseRange(const std::vector<std::vector<float>> &all) const {
    Histogram histogram;
    for (const std::vector<float> &values : all)
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

  std::vector<float> roundWeights(const ReaderGroup &group, const std::vector<float> &factors) const {
    const Rows &weights = group.weights;
    std::vector<float> values = weights.values;
    for (size_t k = 0; k < values.size(); ++k)
      values[k] *= factors[getChannel(group, k)];
    for (size_t n = 0; n < weights.count; ++n)
      roundRow(form, values.data() + n * weights.terms, weights.terms);
    return values;
  }

  const SiteSamples &samples;
  const LayerRecipe &form;
  RangeMethod range;
  size_t taps = 1; ///< of a channel
  std::vector<ReaderGroup> groups;
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
