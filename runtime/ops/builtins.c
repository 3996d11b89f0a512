/* What LLVM may call on its own in compiled models: memory functions, and conversions of half-precision floats where the processor has none
 * (before x86-64-v3). Linked into every artifact that needs them. */
#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *memcpy(void *restrict target, const void *restrict source, size_t bytes) {
  void *result = target;
#if defined(__x86_64__)
  __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
#else
  char *t = target;
  const char *s = source;
  while (bytes--)
    *t++ = *s++;
#endif
  return result;
}

HIDDEN void *memset(void *target, int value, size_t bytes) {
  void *result = target;
#if defined(__x86_64__)
  __asm__ volatile("rep stosb" : "+D"(target), "+c"(bytes) : "a"(value) : "memory");
#else
  char *t = target;
  while (bytes--)
    *t++ = (char)value;
#endif
  return result;
}

HIDDEN void *memmove(void *target, const void *source, size_t bytes) {
  char *t = target;
  const char *s = source;
  if (t <= s || t >= s + bytes)
    return memcpy(target, source, bytes);
  while (bytes--)
    t[bytes] = s[bytes];
  return target;
}

static float to_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t to_bits(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

HIDDEN float __extendhfsf2(_Float16 half) {
  uint16_t bits;
  __builtin_memcpy(&bits, &half, sizeof bits);
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  if (exponent == 0)
    return to_float(sign | to_bits((float)fraction * 0x1p-24f));
  return to_float(sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | fraction << 13);
}

/* Rounds to nearest, ties to even. */
HIDDEN _Float16 __truncsfhf2(float value) {
  uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000, result;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) /* not a number: quiet, with what its fraction keeps */
    result = 0x7e00 | (bits >> 13 & 0x3ff);
  else if (bits >= 0x47800000) /* 65536 and infinity */
    result = 0x7c00;
  else if (bits < 0x38800000) /* below the least normal number: a unit of 0.5f is the least half */
    result = to_bits(to_float(bits) + 0.5f) - to_bits(0.5f);
  else
    result = (bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13;
  uint16_t narrow = (uint16_t)(sign | result);
  _Float16 half;
  __builtin_memcpy(&half, &narrow, sizeof half);
  return half;
}
