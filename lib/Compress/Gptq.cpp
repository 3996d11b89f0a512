// GPTQ in blocks of columns: within a block errors go to its own columns at once, to those behind it when the block is done.
#include "lib/Compress/Gptq.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

namespace {

/// Rounds one output's weights.
class Row {
public:
  Row(float *weights, const std::vector<float> &errorRows, size_t terms, size_t size, int bits) : weights(weights), errorRows(errorRows), terms(terms), size(size), bits(bits), errors(terms) {}

  /// Rounds the columns of a block.
  void roundBlock(size_t begin, size_t end, std::vector<RoundedGroup> &groups) {
    auto most = static_cast<float>((1 << bits) - 1);
    for (size_t k = begin; k < end; ++k) {
      if (k % size == 0) {
        // The scale fits the weights as they are by now.
        groups.push_back(roundGroup(weights + k, std::min(size, terms - k), bits, RoundingMethod::mse));
        groups.back().integers.clear();
      }
      RoundedGroup &group = groups.back();
      float level = std::clamp(std::nearbyint(weights[k] / group.scale + group.zero), 0.0f, most);
      group.integers.push_back(static_cast<uint8_t>(level));
      const float *row = errorRows.data() + k * terms;
      errors[k] = (weights[k] - group.scale * (level - group.zero)) / row[k];
      for (size_t j = k + 1; j < end; ++j)
        weights[j] -= errors[k] * row[j];
    }
  }

  /// Makes up for a block's errors behind it.
  void passOn(size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) {
      const float *row = errorRows.data() + k * terms;
      for (size_t j = end; j < terms; ++j)
        weights[j] -= errors[k] * row[j];
    }
  }

private:
  float *weights;
  const std::vector<float> &errorRows;
  size_t terms, size;
  int bits;
  std::vector<float> errors;
};

} // namespace

std::vector<RoundedGroup> roundByGram(std::vector<float> weights, size_t outputs, const Gram &gram, size_t size, int bits) {
  size_t terms = gram.terms, blockSize = std::max<size_t>(128, size);
  std::vector<float> errorRows = makeErrorRows(gram);
  std::vector<Row> rows;
  for (size_t n = 0; n < outputs; ++n)
    rows.emplace_back(weights.data() + n * terms, errorRows, terms, size, bits);
  std::vector<std::vector<RoundedGroup>> groups(outputs);
  // All outputs take a block before the next: its rows of the factor stay in the cache.
  for (size_t begin = 0; begin < terms; begin += blockSize)
    for (size_t n = 0; n < outputs; ++n) {
      size_t end = std::min(begin + blockSize, terms);
      rows[n].roundBlock(begin, end, groups[n]);
      rows[n].passOn(begin, end);
    }
  std::vector<RoundedGroup> all;
  for (std::vector<RoundedGroup> &own : groups)
    std::move(own.begin(), own.end(), std::back_inserter(all));
  return all;
}

} // namespace onager::compress
