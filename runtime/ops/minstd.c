/* minstd(state [] i64) -> the next state [] i64, numbers [n] f64 from [0, 1): the generator x = 16807 x modulo 2^31 - 1, two draws for a number. */
#include "runtime/ops/ops.h"

enum { FACTOR = 16807, PRIME = 2147483647 };

ONAGER_KERNEL(minstd) {
  (void)run, (void)ins, (void)outs, (void)params, (void)symbols;
  int64_t state = *(const int64_t *)in[0].data, count = out[1].dims[0];
  double *numbers = out[1].data;
  if (state < 1 || state >= PRIME)
    return 1;
  for (int64_t k = 0; k < count; ++k) {
    int64_t low = state = state * FACTOR % PRIME, high = state = state * FACTOR % PRIME;
    double range = PRIME - 1, number = ((double)(low - 1) + (double)(high - 1) * range) / (range * range);
    numbers[k] = number < 1 ? number : 0x1.fffffffffffffp-1;
  }
  *(int64_t *)out[0].data = state;
  return 0;
}
