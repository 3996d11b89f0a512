// What the numbers of a tensor look like over any amount of data, and the range that 8 bits should stand for.
#ifndef ONAGER_LIB_COMPRESS_HISTOGRAM_H
#define ONAGER_LIB_COMPRESS_HISTOGRAM_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace onager::compress {

/// How a range is chosen: all that was seen; all but a ten-thousandth at each end; what loses the least information (Kullback-Leibler, over 128 bins as in
/// TensorRT's calibrator); what gives the smallest mean squared error; that of these with which the model's outputs lose the least.
enum class RangeMethod { minmax, percentile, entropy, mse, best };
/// Those that look at one value alone.
constexpr RangeMethod kRangeMethods[] = {RangeMethod::mse, RangeMethod::minmax, RangeMethod::percentile, RangeMethod::entropy};

struct Range {
  double least = 0, most = 0;
};

/// Counts numbers in bins of equal width around 0, which are merged in twos when a number lies outside: its memory does not grow with the data. Infinite
/// numbers and NaN count for nothing.
class Histogram {
public:
  void add(const float *values, size_t count);
  bool isEmpty() const { return total == 0; }
  /// The range for 256 steps. 0 lies in it. A histogram alone cannot tell what is best: that stands for mse.
  Range choose(RangeMethod method) const;

private:
  static constexpr size_t kBins = 4096; ///< half of them below 0

  void widen(double magnitude);
  double getCentre(size_t bin) const { return (static_cast<double>(bin) + 0.5 - kBins / 2.0) * width; }
  Range choosePercentile() const;
  Range chooseEntropy() const;
  Range chooseMse() const;
  double measureError(Range range) const;
  double measureDivergence(Range range) const;

  std::array<uint64_t, kBins> bins{};
  double width = 0, least = 0, most = 0;
  uint64_t total = 0;
};

} // namespace onager::compress

#endif
