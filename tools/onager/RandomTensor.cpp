// Random contents of tensors.
#include "Tensor.h"
#include <bit>
#include <cmath>
#include <cstring>

namespace onager::cli {

/// SplitMix64.
static uint64_t draw(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/// A multiple of 2^-23 in [-1, 1).
static double drawUnit(uint64_t &state) { return static_cast<double>(draw(state) >> 40) / (1 << 23) - 1; }

/// The nearest half to a value of drawUnit, cut towards zero.
static uint16_t encodeHalf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  int exponent = 0;
  double fraction = std::frexp(std::abs(value), &exponent);
  if (exponent < -13 || fraction == 0)
    return sign | static_cast<uint16_t>(std::ldexp(std::abs(value), 24));
  return sign | static_cast<uint16_t>((exponent + 14) << 10 | (static_cast<int>(std::ldexp(fraction, 11)) & 1023));
}

/// The bits of one element; for the small floats codes that stand for magnitudes of about one.
static uint64_t drawBits(int32_t dtype, uint64_t &state) {
  switch (dtype) {
  case ONAGER_F32: return std::bit_cast<uint32_t>(static_cast<float>(drawUnit(state)));
  case ONAGER_F64: return std::bit_cast<uint64_t>(drawUnit(state));
  case ONAGER_F16: return encodeHalf(drawUnit(state));
  case ONAGER_BF16: return std::bit_cast<uint32_t>(static_cast<float>(drawUnit(state))) >> 16;
  case ONAGER_BOOL: return draw(state) & 1;
  case ONAGER_I8: case ONAGER_U8: return draw(state) & 255;
  case ONAGER_U4: case ONAGER_F4E2M1: return draw(state) & 15;
  case ONAGER_U2: return draw(state) & 3;
  case ONAGER_I4: return draw(state) % 16 - 8;
  case ONAGER_I2: return draw(state) % 4 - 2;
  case ONAGER_F8E4M3FN: case ONAGER_F8E4M3FNUZ: return (draw(state) & 0x80) | (0x20 + draw(state) % 0x18);
  case ONAGER_F8E5M2: case ONAGER_F8E5M2FNUZ: return (draw(state) & 0x80) | (0x30 + draw(state) % 0x0c);
  case ONAGER_F8E8M0: return 124 + draw(state) % 4;
  default: return draw(state) % 10;
  }
}

void fillRandom(Tensor &tensor, uint64_t &state) {
  for (std::string &text : tensor.texts)
    text = std::string(draw(state) % 4, static_cast<char>('a' + draw(state) % 26));
  for (size_t k = 0, count = tensor.texts.empty() ? tensor.size() : 0; k < count; ++k) {
    // The low bytes come first on the machines that artifacts run on.
    uint64_t bits = drawBits(tensor.dtype, state);
    std::memcpy(tensor.data.data() + k * tensor.elementBytes, &bits, tensor.elementBytes);
  }
}

} // namespace onager::cli
