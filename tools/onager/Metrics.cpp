// Sums, metrics, thresholds.
#include "Metrics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace json = llvm::json;

namespace onager::cli {

/// Where there is no noise, or nothing but noise.
static constexpr double kMostDecibels = 200;

void ErrorSums::addElement(long double found, long double expected) {
  nonFinite += !std::isfinite(found);
  if (!std::isfinite(found) || !std::isfinite(expected)) {
    bool isSame = found == expected || (std::isnan(found) && std::isnan(expected));
    mismatched += !isSame;
    outside += !isSame;
    return;
  }
  long double gap = std::abs(found - expected);
  product += found * expected;
  foundSquares += found * found;
  expectedSquares += expected * expected;
  noise += gap * gap;
  distance += gap;
  magnitude += std::abs(expected);
  maxAbs = std::max(maxAbs, gap);
  if (gap > 0)
    maxRel = std::max(maxRel, expected == 0 ? std::numeric_limits<long double>::infinity() : gap / std::abs(expected));
  outside += gap > tolerance.absolute + tolerance.relative * std::abs(expected);
}

/// Turns a row into a distribution by softmax, unless both rows are some already; infinities and NaN make it useless.
static std::vector<long double> normalize(const std::vector<long double> &row, bool isDistribution) {
  std::vector<long double> shares = row;
  if (isDistribution)
    return shares;
  long double most = *llvm::max_element(row), sum = 0;
  for (long double &share : shares)
    sum += share = std::exp(share - most);
  for (long double &share : shares)
    share /= sum;
  return shares;
}

static bool isDistribution(const std::vector<long double> &row) {
  return llvm::all_of(row, [](long double value) { return value >= 0; }) && std::abs(std::accumulate(row.begin(), row.end(), 0.0L) - 1) < 1e-3L;
}

/// Kullback-Leibler divergence of `expected` from `found`. What is found to be impossible counts as rare, so that the sum stays finite.
static long double diverge(const std::vector<long double> &found, const std::vector<long double> &expected) {
  bool areDistributions = isDistribution(found) && isDistribution(expected);
  std::vector<long double> q = normalize(found, areDistributions), p = normalize(expected, areDistributions);
  long double sum = 0;
  for (size_t at = 0; at < p.size(); ++at)
    if (p[at] > 0)
      sum += p[at] * std::log(p[at] / std::max(q[at], 1e-12L));
  return std::max(sum, 0.0L);
}

/// The places of the greatest elements; the first of equal ones come first.
static std::vector<size_t> findGreatest(const std::vector<long double> &row, size_t count) {
  std::vector<size_t> places(row.size());
  std::iota(places.begin(), places.end(), 0);
  auto middle = places.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(places.begin(), middle, places.end(), [&](size_t a, size_t b) { return row[a] > row[b] || (row[a] == row[b] && a < b); });
  places.erase(middle, places.end());
  return places;
}

void ErrorSums::addRow(const std::vector<long double> &found, const std::vector<long double> &expected) {
  auto isFinite = [](long double value) { return std::isfinite(value); };
  ++rows;
  if (!llvm::all_of(found, isFinite) || !llvm::all_of(expected, isFinite)) {
    // No order and no distribution: equal rows agree, others do not at all.
    bool isSame = llvm::equal(found, expected, [](long double a, long double b) { return a == b || (std::isnan(a) && std::isnan(b)); });
    agreeing += isSame;
    divergence += isSame ? 0 : std::numeric_limits<long double>::infinity();
    return;
  }
  divergence += diverge(found, expected);
  size_t count = std::min(k, found.size());
  std::vector<size_t> mine = findGreatest(found, count), wanted = findGreatest(expected, count);
  auto common = llvm::count_if(wanted, [&](size_t place) { return llvm::is_contained(mine, place); });
  agreeing += static_cast<long double>(common) / static_cast<long double>(count);
}

void ErrorSums::add(const Tensor &found, const Tensor &expected) {
  for (size_t at = 0; at < expected.texts.size(); ++at)
    outside += found.texts[at] != expected.texts[at];
  elements += expected.texts.empty() ? expected.size() : expected.texts.size();
  if (!expected.texts.empty())
    return;
  auto width = static_cast<size_t>(expected.dims.empty() ? 1 : std::max<int64_t>(expected.dims.back(), 1));
  std::vector<long double> foundRow(width), expectedRow(width);
  for (size_t begin = 0; begin + width <= expected.size(); begin += width) {
    for (size_t at = 0; at < width; ++at) {
      foundRow[at] = getElement(found, begin + at);
      expectedRow[at] = getElement(expected, begin + at);
      addElement(foundRow[at], expectedRow[at]);
    }
    if (hasRows)
      addRow(foundRow, expectedRow);
  }
}

Metrics ErrorSums::finish() const {
  Metrics metrics;
  bool isBroken = mismatched > 0;
  double infinity = std::numeric_limits<double>::infinity();
  metrics.elements = elements;
  metrics.outside = outside;
  metrics.nonFinite = nonFinite;
  metrics.maxAbs = isBroken ? infinity : static_cast<double>(maxAbs);
  metrics.maxRel = isBroken ? infinity : static_cast<double>(maxRel);
  metrics.meanAbs = isBroken ? infinity : elements ? static_cast<double>(distance / static_cast<long double>(elements)) : 0;
  metrics.meanRel = isBroken ? infinity : magnitude > 0 ? static_cast<double>(distance / magnitude) : distance > 0 ? infinity : 0;
  // Equal sums of zeros are the same direction.
  metrics.cosine = isBroken ? 0 : expectedSquares > 0 && foundSquares > 0 ? static_cast<double>(product / std::sqrt(foundSquares * expectedSquares)) : foundSquares == expectedSquares;
  double decibels = noise > 0 ? expectedSquares > 0 ? static_cast<double>(10 * std::log10(expectedSquares / noise)) : -kMostDecibels : kMostDecibels;
  metrics.sqnr = isBroken ? -kMostDecibels : std::clamp(decibels, -kMostDecibels, kMostDecibels);
  metrics.kl = rows ? static_cast<double>(divergence / static_cast<long double>(rows)) : 0;
  metrics.topK = rows ? static_cast<double>(agreeing / static_cast<long double>(rows)) : 1;
  return metrics;
}

void OutputErrors::add(const std::vector<Tensor> &found, const std::vector<Tensor> &expected) {
  for (size_t k = 0; k < sums.size(); ++k)
    if (expected[k].texts.empty() && found[k].dims == expected[k].dims)
      sums[k].add(found[k], expected[k]);
}

std::vector<Metrics> OutputErrors::finish() const {
  std::vector<Metrics> metrics;
  for (const ErrorSums &sum : sums)
    metrics.push_back(sum.finish());
  return metrics;
}

double OutputErrors::getSqnr() const {
  double sqnr = 0;
  for (const Metrics &metrics : finish())
    sqnr += metrics.sqnr / static_cast<double>(sums.size());
  return sqnr;
}

const std::vector<std::string> &listMetrics() {
  static const std::vector<std::string> names{"max_abs", "mean_abs", "max_rel", "mean_rel", "cosine", "sqnr", "kl", "top_k", "outside", "nonfinite"};
  return names;
}

double getMetric(const Metrics &metrics, const std::string &name) {
  const double values[] = {metrics.maxAbs, metrics.meanAbs, metrics.maxRel,  metrics.meanRel, metrics.cosine,
                           metrics.sqnr,   metrics.kl,      metrics.topK, static_cast<double>(metrics.outside), static_cast<double>(metrics.nonFinite)};
  return values[llvm::find(listMetrics(), name) - listMetrics().begin()];
}

bool Threshold::holds(const Metrics &metrics) const {
  double value = getMetric(metrics, metric);
  // NaN keeps no bound.
  if (isLeast)
    return isStrict ? value > limit : value >= limit;
  return isStrict ? value < limit : value <= limit;
}

bool readThreshold(const std::string &text, Threshold &threshold, std::string &error, const std::string &another) {
  llvm::StringRef rest(text);
  threshold.text = text;
  threshold.metric = rest.take_until([](char c) { return c == '<' || c == '>' || c == '='; }).str();
  rest = rest.drop_front(threshold.metric.size());
  if (threshold.metric.empty() || (threshold.metric != another && !llvm::is_contained(listMetrics(), threshold.metric))) {
    error = "option 'metric': unknown metric '" + threshold.metric + "'; expected one of " + llvm::join(listMetrics(), ", ");
    return false;
  }
  threshold.isLeast = rest.starts_with(">");
  bool hasOrder = rest.consume_front(">") || rest.consume_front("<");
  threshold.isStrict = !rest.consume_front("=");
  if (!hasOrder || rest.getAsDouble(threshold.limit)) {
    error = "option 'metric': expected a bound such as " + threshold.metric + ">=0.99 or " + threshold.metric + "<=0.01, found '" + text + "'";
    return false;
  }
  return true;
}

json::Object printMetrics(const Metrics &metrics) {
  json::Object object;
  for (const std::string &name : listMetrics()) {
    double value = getMetric(metrics, name);
    object[name] = std::isfinite(value) ? json::Value(value) : json::Value(std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
  }
  object["elements"] = static_cast<int64_t>(metrics.elements);
  return object;
}

} // namespace onager::cli
