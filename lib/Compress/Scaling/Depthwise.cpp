// Ranges of channels as factors.
#include "lib/Compress/Scaling/Scaling.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

std::optional<Scaling> chooseRanges(const SiteSamples &samples) {
  // A channel that hardly moves in the samples may do so elsewhere.
  constexpr double kFloor = 1.0 / 1024;
  size_t channels = samples.least.size();
  double least = *std::min_element(samples.least.begin(), samples.least.end()), most = *std::max_element(samples.most.begin(), samples.most.end());
  double whole = most - least, below = 0, above = 0, bits = 0;
  if (!std::isnormal(static_cast<float>(whole)))
    return std::nullopt;
  std::vector<float> factors;
  for (size_t c = 0; c < channels; ++c) {
    factors.push_back(static_cast<float>(std::max(samples.most[c] - samples.least[c], kFloor * whole) / whole));
    below = std::min(below, samples.least[c] / static_cast<double>(factors.back()));
    above = std::max(above, samples.most[c] / static_cast<double>(factors.back()));
  }
  for (float factor : factors)
    bits += std::log2(whole / ((above - below) * static_cast<double>(factor))) / static_cast<double>(channels);
  bool isInserted = !samples.site.obstacle.empty();
  if (bits < (isInserted ? 1 : 0.1))
    return std::nullopt;
  return Scaling{ScalingMethod::depthwise, samples.site.value, 1, isInserted, std::move(factors)};
}

} // namespace onager::compress
