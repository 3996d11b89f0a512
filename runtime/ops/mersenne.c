/* mersenne() -> y [n] f64 in [0, 1); params: seed.
 *
 * MT19937 (M. Matsumoto, T. Nishimura, 1998), two outputs to a number of 53 bits: the numbers of NumPy's RandomState of the same seed, by which ONNX's
 * reference implementation draws. */
#include "runtime/ops/ops.h"

enum { kWords = 624, kShift = 397 };

struct mersenne {
  uint32_t words[kWords];
  int next;
};

static void refill(struct mersenne *m) {
  for (int k = 0; k < kWords; ++k) {
    uint32_t y = (m->words[k] & 0x80000000u) | (m->words[(k + 1) % kWords] & 0x7fffffffu);
    m->words[k] = m->words[(k + kShift) % kWords] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
  m->next = 0;
}

static uint32_t draw(struct mersenne *m) {
  if (m->next == kWords)
    refill(m);
  uint32_t y = m->words[m->next++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

ONAGER_KERNEL(mersenne) {
  (void)in, (void)ins, (void)outs, (void)symbols;
  struct mersenne *m = run->host->allocate(run, sizeof *m);
  if (!m)
    return 1;
  m->words[0] = (uint32_t)params[0];
  for (uint32_t k = 1; k < kWords; ++k)
    m->words[k] = 1812433253u * (m->words[k - 1] ^ m->words[k - 1] >> 30) + k;
  m->next = kWords;
  double *y = out[0].data;
  for (int64_t k = 0, count = product(out[0].dims, 0, out[0].rank); k < count; ++k) {
    uint32_t high = draw(m) >> 5, low = draw(m) >> 6;
    y[k] = ((double)high * 67108864.0 + (double)low) / 9007199254740992.0;
  }
  run->host->release(run, m);
  return 0;
}
