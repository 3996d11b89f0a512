// Rounded weights, improved: integers one by one, scales together, each step to the least error that the others leave.
#include "lib/Compress/Gptq.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

namespace {

/// One output's weights and what its groups stand for; the error is e^T H e, e being the difference.
class Output {
public:
  Output(const float *weights, const std::vector<float> &hessian, size_t terms, const IntegerForm &form, RoundedGroup *groups)
      : weights(weights), hessian(hessian), terms(terms), size(form.size), least(form.getLeast()), most(form.getMost()), groups(groups), slope(terms) {}

  /// slope := H e, after a call for each term
  void addError(size_t k) { addToSlope(k, weights[k] - groups[k / size].scale * getBase(k)); }

  /// The integer of a term goes where the error is least.
  void moveInteger(size_t k) {
    RoundedGroup &group = groups[k / size];
    uint8_t &integer = group.integers[k % size];
    float wish = static_cast<float>(integer) + slope[k] / (getRow(k)[k] * group.scale), level = std::clamp(std::nearbyint(wish), least, most);
    if (level == static_cast<float>(integer))
      return;
    addToSlope(k, -group.scale * (level - static_cast<float>(integer)));
    integer = static_cast<uint8_t>(level);
  }

  /// The scale of the group that begins at a term goes where the error is least.
  void fitScale(size_t begin) {
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
    float scale = roundScale(static_cast<float>(group.scale + product / square));
    if (!(square > 0) || !std::isnormal(scale) || scale <= 0)
      return;
    float step = scale - group.scale;
    // The best scale lies between two that can be stored; the next one may be worse than the present.
    if (step * (2 * product - step * square) <= 0)
      return;
    change = step;
    group.scale = scale;
  }

  /// Follows what the last fitScale changed, after a call for each term of the group.
  void followScale(size_t k) {
    if (change != 0)
      addToSlope(k, -change * getBase(k));
  }

  void endScale() { change = 0; }

private:
  const float *getRow(size_t k) const { return hessian.data() + k * terms; }
  float getBase(size_t k) const { return static_cast<float>(groups[k / size].integers[k % size]) - groups[k / size].zero; }

  void addToSlope(size_t k, float error) {
    const float *row = getRow(k);
    for (size_t j = 0; j < terms; ++j)
      slope[j] += error * row[j];
  }

  const float *weights;
  const std::vector<float> &hessian;
  size_t terms, size;
  float least, most, change = 0;
  RoundedGroup *groups;
  std::vector<float> slope;
};

/// Improves some outputs in step: each row of H is read once for all of them.
void improve(std::vector<Output> &outputs, size_t terms, size_t size, bool movesScales) {
  auto each = [&](size_t begin, size_t end, auto step) {
    for (size_t k = begin; k < end; ++k)
      for (Output &output : outputs)
        step(output, k);
  };
  // Twice, since the integers behind change what those before should be.
  auto moveIntegers = [&] {
    for (int sweep = 0; sweep < 2; ++sweep)
      each(0, terms, [](Output &output, size_t k) { output.moveInteger(k); });
  };
  each(0, terms, [](Output &output, size_t k) { output.addError(k); });
  for (int turn = 0; turn < 3; ++turn) {
    moveIntegers();
    for (size_t begin = 0; movesScales && begin < terms; begin += size) {
      for (Output &output : outputs)
        output.fitScale(begin);
      each(begin, std::min(begin + size, terms), [](Output &output, size_t k) { output.followScale(k); });
      for (Output &output : outputs)
        output.endScale();
    }
  }
  moveIntegers();
}

} // namespace

void descend(const std::vector<float> &weights, const Gram &gram, double damping, const IntegerForm &form, bool movesScales, std::vector<RoundedGroup> &groups) {
  constexpr size_t kTogether = 16;
  size_t terms = gram.terms, perOutput = (terms + form.size - 1) / form.size, count = weights.size() / terms;
  std::vector<float> hessian(gram.values.begin(), gram.values.end());
  auto added = static_cast<float>(damping * gram.getMean());
  for (size_t k = 0; k < terms; ++k)
    hessian[k * terms + k] += added;
  llvm::parallelFor(0, llvm::divideCeil(count, kTogether), [&](size_t part) {
    std::vector<Output> outputs;
    for (size_t n = part * kTogether; n < std::min(count, (part + 1) * kTogether); ++n)
      outputs.emplace_back(weights.data() + n * terms, hessian, terms, form, groups.data() + n * perOutput);
    improve(outputs, terms, form.size, movesScales);
  });
}

} // namespace onager::compress
