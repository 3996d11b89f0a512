/* Order of elements of every type, and a stable merge sort of indices. */
#include "runtime/ops/ops.h"

static float half_to_float(uint16_t bits) {
  union {
    uint32_t u;
    float f;
  } value;
  uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) {
    value.u = 0x7f800000u | (magnitude & 0x3ffu) << 13;
  } else {
    value.u = magnitude << 13;
    value.f *= 0x1p112f;
  }
  value.u |= (uint32_t)(bits & 0x8000u) << 16;
  return value.f;
}

static float bfloat_to_float(uint16_t bits) {
  union {
    uint32_t u;
    float f;
  } value = {(uint32_t)bits << 16};
  return value.f;
}

static int compare_numbers(double a, double b) {
  int nan_a = a != a, nan_b = b != b;
  if (nan_a || nan_b)
    return nan_a - nan_b;
  return (a > b) - (a < b);
}

#define COMPARE_AS(type)                                                                                                                             \
  {                                                                                                                                                  \
    type x = *(const type *)a, y = *(const type *)b;                                                                                                 \
    return (x > y) - (x < y);                                                                                                                        \
  }

int compare_elements(const void *a, const void *b, int32_t dtype) {
  switch (dtype) {
  case 1: return compare_numbers(*(const float *)a, *(const float *)b);
  case 11: return compare_numbers(*(const double *)a, *(const double *)b);
  case 10: return compare_numbers(half_to_float(*(const uint16_t *)a), half_to_float(*(const uint16_t *)b));
  case 16: return compare_numbers(bfloat_to_float(*(const uint16_t *)a), bfloat_to_float(*(const uint16_t *)b));
  case 2: case 9: case 21: case 25: COMPARE_AS(uint8_t)
  case 4: COMPARE_AS(uint16_t)
  case 12: COMPARE_AS(uint32_t)
  case 13: COMPARE_AS(uint64_t)
  case 5: COMPARE_AS(int16_t)
  case 6: COMPARE_AS(int32_t)
  case 7: COMPARE_AS(int64_t)
  default: COMPARE_AS(int8_t)
  }
}

void sort_indices(int64_t *order, int64_t count, int64_t *scratch, int (*less)(const void *context, int64_t a, int64_t b), const void *context) {
  int64_t *from = order, *to = scratch;
  for (int64_t width = 1; width < count; width *= 2) {
    for (int64_t start = 0; start < count; start += 2 * width) {
      int64_t middle = start + width < count ? start + width : count, end = start + 2 * width < count ? start + 2 * width : count;
      int64_t i = start, j = middle;
      for (int64_t k = start; k < end; ++k)
        to[k] = i < middle && (j >= end || !less(context, from[j], from[i])) ? from[i++] : from[j++];
    }
    int64_t *swap = from;
    from = to;
    to = swap;
  }
  if (from != order)
    for (int64_t k = 0; k < count; ++k)
      order[k] = from[k];
}
