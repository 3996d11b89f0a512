// Streaming histograms and the ranges that follow from them.
#include "lib/Compress/Histogram.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace onager::compress {

void Histogram::add(const float *values, size_t count) {
  double low = least, high = most;
  for (size_t k = 0; k < count; ++k)
    if (std::isfinite(values[k])) {
      low = std::min(low, static_cast<double>(values[k]));
      high = std::max(high, static_cast<double>(values[k]));
    }
  least = low;
  most = high;
  widen(std::max(-low, high));
  for (size_t k = 0; k < count; ++k)
    if (std::isfinite(values[k])) {
      double place = width > 0 ? std::floor(values[k] / width) + kBins / 2.0 : kBins / 2.0;
      ++bins[static_cast<size_t>(std::clamp(place, 0.0, kBins - 1.0))];
      ++total;
    }
}

void Histogram::widen(double magnitude) {
  if (width == 0) {
    width = magnitude / (kBins / 2);
    return;
  }
  while (magnitude > width * (kBins / 2)) {
    std::array<uint64_t, kBins> merged{};
    for (size_t k = 0; k < kBins; ++k)
      merged[kBins / 4 + k / 2] += bins[k];
    bins = merged;
    width *= 2;
  }
}

Range Histogram::choose(RangeMethod method) const {
  Range range{least, most};
  if (total && width > 0 && method == RangeMethod::percentile)
    range = choosePercentile();
  if (total && width > 0 && method == RangeMethod::entropy)
    range = chooseEntropy();
  if (total && width > 0 && (method == RangeMethod::mse || method == RangeMethod::best))
    range = chooseMse();
  return {std::min(0.0, std::max(range.least, least)), std::max(0.0, std::min(range.most, most))};
}

Range Histogram::choosePercentile() const {
  const auto tail = static_cast<uint64_t>(static_cast<double>(total) * 1e-4);
  Range range;
  uint64_t seen = 0;
  for (size_t k = 0; k < kBins && seen <= tail; seen += bins[k++])
    range.least = getCentre(k) - width / 2;
  seen = 0;
  for (size_t k = kBins; k > 0 && seen <= tail; seen += bins[--k])
    range.most = getCentre(k - 1) + width / 2;
  return range;
}

/// The squared error of rounding to 256 steps of a range, what lies outside included.
double Histogram::measureError(Range range) const {
  double step = (range.most - range.least) / 255, zero = std::nearbyint(-range.least / step), sum = 0;
  for (size_t k = 0; k < kBins; ++k) {
    if (!bins[k])
      continue;
    double x = getCentre(k), level = std::clamp(std::nearbyint(x / step) + zero, 0.0, 255.0), error = x - (level - zero) * step;
    // Within a bin numbers are spread: a bin that is wider than a step has the error of a step all the same.
    sum += static_cast<double>(bins[k]) * (error * error + std::min(width, step) * std::min(width, step) / 12);
  }
  return sum;
}

Range Histogram::chooseMse() const {
  Range best{least, most};
  double smallest = measureError(best);
  // Both ends move together, then each alone.
  for (int pass = 0; pass < 3; ++pass)
    for (int k = 1; k <= 40; ++k) {
      double share = 1 - 0.02 * k;
      Range range{pass == 2 ? best.least : best.least * share, pass == 1 ? best.most : best.most * share};
      if (pass == 0)
        range = {least * share, most * share};
      if (range.most - range.least <= 0)
        continue;
      if (double error = measureError(range); error < smallest) {
        smallest = error;
        best = range;
      }
    }
  return best;
}

/// The divergence of what 128 steps of the range can say from what was seen, outliers counted at its ends.
double Histogram::measureDivergence(Range range) const {
  auto first = static_cast<size_t>(std::clamp(std::floor(range.least / width) + kBins / 2.0, 0.0, kBins - 1.0));
  auto last = static_cast<size_t>(std::clamp(std::ceil(range.most / width) + kBins / 2.0 - 1, 0.0, kBins - 1.0));
  if (last <= first)
    return HUGE_VAL;
  std::vector<double> seen(last - first + 1);
  for (size_t k = 0; k < kBins; ++k)
    seen[std::clamp(k, first, last) - first] += static_cast<double>(bins[k]);
  constexpr size_t kSteps = 128;
  double divergence = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    size_t begin = step * seen.size() / kSteps, end = (step + 1) * seen.size() / kSteps;
    // What lies inside of the range alone decides the step's level; outliers do not.
    double sum = 0;
    size_t used = 0;
    for (size_t k = begin; k < end; ++k) {
      sum += static_cast<double>(bins[first + k]);
      used += bins[first + k] != 0;
    }
    for (size_t k = begin; k < end; ++k) {
      double p = seen[k] / static_cast<double>(total), q = bins[first + k] && used ? sum / static_cast<double>(used) / static_cast<double>(total) : 1e-12;
      if (p > 0)
        divergence += p * std::log(p / std::max(q, 1e-12));
    }
  }
  return divergence;
}

Range Histogram::chooseEntropy() const {
  Range best{least, most};
  double smallest = measureDivergence(best);
  for (int k = 1; k <= 45; ++k) {
    Range range{least * (1 - 0.02 * k), most * (1 - 0.02 * k)};
    if (double divergence = measureDivergence(range); divergence < smallest) {
      smallest = divergence;
      best = range;
    }
  }
  return best;
}

} // namespace onager::compress
