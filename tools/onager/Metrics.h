// How far two computations of the same values lie apart, over any number of samples, and what is allowed.
#ifndef ONAGER_TOOLS_METRICS_H
#define ONAGER_TOOLS_METRICS_H

#include "Tensor.h"
#include "llvm/Support/JSON.h"

namespace onager::cli {

/// How far apart two numbers may be: |found - expected| <= absolute + relative * |expected|.
struct Tolerance {
  double relative = 1e-3, absolute = 1e-4;
};

/// What is told of one output. Elements that both sides have as the same infinity or NaN count as equal, and stand in no sum.
struct Metrics {
  double maxAbs = 0;  ///< largest absolute difference; infinite where one side alone has a number
  double meanAbs = 0; ///< mean absolute difference
  double maxRel = 0;  ///< largest |found - expected| / |expected|
  double meanRel = 0; ///< sum of |found - expected| over sum of |expected|
  double cosine = 1;  ///< of all elements together
  double sqnr = 0;    ///< 10 log10 of the expected squares over those of the differences, cut to -200 .. 200 dB
  double kl = 0;      ///< Kullback-Leibler divergence in nats, the mean over rows along the last dim: of what is expected from what is found
  double topK = 1;    ///< share of the k greatest elements of each row that are the same, the mean over rows
  uint64_t elements = 0, outside = 0; ///< beyond the tolerance
  uint64_t nonFinite = 0;             ///< infinities and NaN that were found
};

/// Sums over the elements of one output, from which all metrics follow.
class ErrorSums {
public:
  /// Without rows `kl` and `topK` are not computed, which takes longer than the rest.
  explicit ErrorSums(Tolerance tolerance = {}, size_t k = 1, bool hasRows = true) : tolerance(tolerance), k(k), hasRows(hasRows) {}

  /// Adds a sample. Tensors of strings have `outside` alone. REQUIRES: both have the same dims.
  /// Rows are distributions for `kl` where no element of them is negative and both sum up to one; others are logits, of which softmax is taken.
  void add(const Tensor &found, const Tensor &expected);
  Metrics finish() const;

private:
  void addElement(long double found, long double expected);
  void addRow(const std::vector<long double> &found, const std::vector<long double> &expected);

  Tolerance tolerance;
  size_t k;
  bool hasRows;
  long double product = 0, foundSquares = 0, expectedSquares = 0, noise = 0, distance = 0, magnitude = 0, maxAbs = 0, maxRel = 0, divergence = 0, agreeing = 0;
  uint64_t elements = 0, rows = 0, outside = 0, nonFinite = 0, mismatched = 0;
};

/// Sums of the first outputs of a model, over any number of samples. Texts, and outputs whose dims differ, stand in no sum.
class OutputErrors {
public:
  OutputErrors(size_t count, bool hasRows) : sums(count, ErrorSums({}, 1, hasRows)) {}

  /// Adds a sample. REQUIRES: both have `count` outputs at least.
  void add(const std::vector<Tensor> &found, const std::vector<Tensor> &expected);
  std::vector<Metrics> finish() const;
  /// Signal to noise in dB, the mean over outputs.
  double getSqnr() const;

private:
  std::vector<ErrorSums> sums;
};

/// A bound that a metric must keep, as "sqnr>=30".
struct Threshold {
  std::string text, metric;
  double limit = 0;
  bool isLeast = false; ///< the metric may not be less
  bool isStrict = false;

  bool holds(const Metrics &metrics) const;
};

/// Reads NAME followed by >=, <=, > or < and a number. False and a reason for others. `another` is a name that is known besides those of the list.
bool readThreshold(const std::string &text, Threshold &threshold, std::string &error, const std::string &another = "");

/// The names of the metrics, as thresholds and reports have them.
const std::vector<std::string> &listMetrics();
/// Returns a metric by its name, which must be one of the list.
double getMetric(const Metrics &metrics, const std::string &name);
/// All metrics by name; infinities and NaN, which JSON lacks, as text.
llvm::json::Object printMetrics(const Metrics &metrics);

} // namespace onager::cli

#endif
