// Weights as small integers.
#ifndef ONAGER_LIB_COMPRESS_ROUNDING_H
#define ONAGER_LIB_COMPRESS_ROUNDING_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace onager::compress {

/// How scales and zero points are chosen: the range as it is; the one with the smallest squared error; half-quadratic quantisation (HQQ, Badri and Shaji 2023),
/// which lets few weights be far off for the sake of the many, and is for 4 bits;
/// GPTQ, and the objective of AdaRound (Nagel et al. 2020), which need to know the inputs (Gptq.h).
enum class RoundingMethod { rtn, mse, hqq, gptq, adaround };

/// True for methods that need to know the inputs.
inline bool needsGram(RoundingMethod method) { return method == RoundingMethod::gptq || method == RoundingMethod::adaround; }

/// The integer that stands for 0 where bytes lie around it: 1 .. 255.
constexpr int kByteZero = 128;

/// One group of weights: each stands for scale * (integer - zero), with integers from 0 to 2^bits - 1.
struct RoundedGroup {
  float scale = 1, zero = 0;
  std::vector<uint8_t> integers;
};

/// The number of bf16 next to a positive scale: compiled products read half the bytes.
float roundScale(float scale);

/// Rounds a group. Its scale is a number of bf16. Zero points are integers, but for HQQ's.
RoundedGroup roundGroup(const float *weights, size_t count, int bits, RoundingMethod method);

/// Rounds a group to scale * levels[integer], 16 levels; the scale is the largest magnitude, as bitsandbytes has it, or, but for rtn, the part of it with the smallest squared error.
RoundedGroup roundToCodebook(const float *weights, size_t count, const float *levels, RoundingMethod method);

/// Rounds a channel to -127 .. 127 around 0 and returns the scale.
float roundChannel(const float *weights, size_t count, size_t stride, RoundingMethod method, int8_t *integers);

} // namespace onager::compress

#endif
