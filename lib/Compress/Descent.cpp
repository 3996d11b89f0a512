// Rounded weights, improved: integers one by one, scales together, each step to the least error that the others leave.
#include "lib/Compress/Gptq.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

namespace {

/// One output's weights and what its groups stand for; the error is e^T H e, e being the difference.
class Output {
public:
  Output(const float *weights, const std::vector<float> &hessian, size_t terms, size_t size, int bits, RoundedGroup *groups)
      : weights(weights), hessian(hessian), terms(terms), size(size), most(static_cast<float>((1 << bits) - 1)), groups(groups), slope(terms) {
    updateSlope();
  }

  void improve() {
    for (int turn = 0; turn < 3; ++turn) {
      moveIntegers();
      fitScales();
    }
    moveIntegers();
  }

private:
  float *getRow(size_t k) const { return const_cast<float *>(hessian.data()) + k * terms; }
  float getBase(size_t k) const { return static_cast<float>(groups[k / size].integers[k % size]) - groups[k / size].zero; }

  /// slope := H e
  void updateSlope() {
    std::fill(slope.begin(), slope.end(), 0.0f);
    for (size_t k = 0; k < terms; ++k)
      addToSlope(k, weights[k] - groups[k / size].scale * getBase(k));
  }

  void addToSlope(size_t k, float error) {
    const float *row = getRow(k);
    for (size_t j = 0; j < terms; ++j)
      slope[j] += error * row[j];
  }

  /// Each integer goes where the error is least; twice, since those behind change what those before should be.
  void moveIntegers() {
    for (int sweep = 0; sweep < 2; ++sweep)
      for (size_t k = 0; k < terms; ++k) {
        RoundedGroup &group = groups[k / size];
        uint8_t &integer = group.integers[k % size];
        float wish = static_cast<float>(integer) + slope[k] / (getRow(k)[k] * group.scale), level = std::clamp(std::nearbyint(wish), 0.0f, most);
        if (level == static_cast<float>(integer))
          continue;
        addToSlope(k, -group.scale * (level - static_cast<float>(integer)));
        integer = static_cast<uint8_t>(level);
      }
  }

  /// Least squares for the scales of all groups, by turns: each to its best beside the others.
  void fitScales() {
    for (size_t begin = 0; begin < terms; begin += size) {
      size_t end = std::min(begin + size, terms);
      double square = 0, product = 0;
      for (size_t k = begin; k < end; ++k) {
        double along = 0;
        for (size_t j = begin; j < end; ++j)
          along += getRow(k)[j] * getBase(j);
        square += along * getBase(k);
        product += static_cast<double>(slope[k]) * getBase(k);
      }
      RoundedGroup &group = groups[begin / size];
      auto scale = static_cast<float>(group.scale + product / square);
      if (!(square > 0) || !std::isnormal(scale) || scale <= 0)
        continue;
      float change = scale - group.scale;
      group.scale = scale;
      for (size_t k = begin; k < end; ++k)
        addToSlope(k, -change * getBase(k));
    }
  }

  const float *weights;
  const std::vector<float> &hessian;
  size_t terms, size;
  float most;
  RoundedGroup *groups;
  std::vector<float> slope;
};

} // namespace

void descend(const std::vector<float> &weights, size_t outputs, const Gram &gram, size_t size, int bits, std::vector<RoundedGroup> &groups) {
  size_t terms = gram.terms, perOutput = (terms + size - 1) / size;
  std::vector<float> hessian(gram.values.begin(), gram.values.end());
  for (size_t k = 0; k < terms; ++k)
    hessian[k * terms + k] += static_cast<float>(gram.getDamping());
  for (size_t n = 0; n < outputs; ++n)
    Output(weights.data() + n * terms, hessian, terms, size, bits, groups.data() + n * perOutput).improve();
}

} // namespace onager::compress
