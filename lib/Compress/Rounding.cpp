// Weights as small integers: plain rounding, clipped ranges, half-quadratic quantisation.
#include "lib/Compress/Rounding.h"
#include <algorithm>
#include <bit>
#include <cmath>

namespace onager::compress {

/// Rounds to the integers of a scale and a zero point and returns the squared error.
static double apply(const float *weights, size_t count, float most, RoundedGroup &group) {
  double error = 0;
  group.integers.resize(count);
  for (size_t k = 0; k < count; ++k) {
    float level = std::clamp(std::nearbyint(weights[k] / group.scale + group.zero), 0.0f, most);
    group.integers[k] = static_cast<uint8_t>(level);
    double gap = weights[k] - group.scale * (level - group.zero);
    error += gap * gap;
  }
  return error;
}

/// Drops the lower half of a positive number's bits, after adding to them.
static float addAndDrop(float number, uint32_t added) {
  constexpr uint32_t kLower = 0xffff;
  return std::bit_cast<float>((std::bit_cast<uint32_t>(number) + added) & ~kLower);
}

float roundScale(float scale) { return addAndDrop(scale, 0x8000); }
/// The smallest scale of bf16 that is not below one: the range stays covered.
static float roundScaleUp(float scale) { return addAndDrop(scale, 0xffff); }

/// The scale and the integer zero point of a range that holds 0.
static RoundedGroup makeGroup(float least, float most, float levels) {
  RoundedGroup group;
  group.scale = roundScaleUp((most - least) / levels);
  if (!(group.scale > 0) || !std::isnormal(group.scale))
    group.scale = 1;
  group.zero = std::clamp(std::nearbyint(-least / group.scale), 0.0f, levels);
  return group;
}

/// Moves the zero point so that the weights' errors become sparse: in turns, the part of each error that a p-norm forgives is taken out, and the zero point is the mean of what
/// the rest asks for. p = 0.7, penalty 10, growing by 1 % in 20 turns, as published.
static void refineZero(const float *weights, size_t count, float levels, RoundedGroup &group) {
  constexpr float kNorm = 0.7f;
  RoundedGroup best = group;
  double smallest = HUGE_VAL;
  float penalty = 10;
  for (int turn = 0; turn < 20; ++turn, penalty *= 1.01f) {
    apply(weights, count, levels, group);
    double sum = 0, error = 0;
    for (size_t k = 0; k < count; ++k) {
      float gap = weights[k] - group.scale * (static_cast<float>(group.integers[k]) - group.zero), size = std::abs(gap);
      error += std::pow(size, kNorm);
      float forgiven = size > 0 ? std::copysign(std::max(0.0f, size - std::pow(size, kNorm - 1) / penalty), gap) : 0;
      sum += static_cast<float>(group.integers[k]) - (weights[k] - forgiven) / group.scale;
    }
    if (error >= smallest)
      break;
    smallest = error;
    best = group;
    group.zero = static_cast<float>(sum / static_cast<double>(count));
  }
  group = best;
}

RoundedGroup roundGroup(const float *weights, size_t count, int bits, RoundingMethod method) {
  auto levels = static_cast<float>((1 << bits) - 1);
  float least = std::min(0.0f, *std::min_element(weights, weights + count)), most = std::max(0.0f, *std::max_element(weights, weights + count));
  RoundedGroup best = makeGroup(least, most, levels);
  double smallest = apply(weights, count, levels, best);
  for (int k = 1; method != RoundingMethod::rtn && k <= 25; ++k) {
    float share = 1 - 0.02f * static_cast<float>(k);
    RoundedGroup group = makeGroup(least * share, most * share, levels);
    if (double error = apply(weights, count, levels, group); error < smallest) {
      smallest = error;
      best = std::move(group);
    }
  }
  if (method == RoundingMethod::hqq) {
    refineZero(weights, count, levels, best);
    apply(weights, count, levels, best);
  }
  return best;
}

RoundedGroup roundToCodebook(const float *weights, size_t count, const float *levels, RoundingMethod method) {
  constexpr size_t kLevels = 16;
  float most = 0;
  for (size_t k = 0; k < count; ++k)
    most = std::max(most, std::abs(weights[k]));
  RoundedGroup best;
  double smallest = HUGE_VAL;
  for (int step = 0; step <= (method == RoundingMethod::rtn ? 0 : 25); ++step) {
    RoundedGroup group;
    group.scale = most * (1 - 0.02f * static_cast<float>(step));
    double error = 0;
    for (size_t k = 0; k < count; ++k) {
      auto getGap = [&](size_t level) { return std::abs(weights[k] - group.scale * levels[level]); };
      size_t nearest = 0;
      for (size_t level = 1; level < kLevels; ++level)
        nearest = getGap(level) < getGap(nearest) ? level : nearest;
      group.integers.push_back(static_cast<uint8_t>(nearest));
      error += static_cast<double>(getGap(nearest)) * getGap(nearest);
    }
    if (error < smallest) {
      smallest = error;
      best = std::move(group);
    }
  }
  return best;
}

float roundChannel(const float *weights, size_t count, size_t stride, RoundingMethod method, int8_t *integers) {
  float most = 0;
  for (size_t k = 0; k < count; ++k)
    most = std::max(most, std::abs(weights[k * stride]));
  auto measure = [&](float scale, bool isFinal) {
    double sum = 0;
    for (size_t k = 0; k < count; ++k) {
      float level = std::clamp(std::nearbyint(weights[k * stride] / scale), -127.0f, 127.0f);
      double gap = weights[k * stride] - level * scale;
      sum += gap * gap;
      if (isFinal)
        integers[k * stride] = static_cast<int8_t>(level);
    }
    return sum;
  };
  float best = most / 127;
  if (!std::isnormal(best))
    best = 1;
  double smallest = measure(best, false);
  for (int k = 1; method != RoundingMethod::rtn && k <= 25; ++k) {
    float scale = most / 127 * (1 - 0.02f * static_cast<float>(k));
    if (!std::isnormal(scale))
      break;
    if (double error = measure(scale, false); error < smallest) {
      smallest = error;
      best = scale;
    }
  }
  measure(best, true);
  return best;
}

} // namespace onager::compress
