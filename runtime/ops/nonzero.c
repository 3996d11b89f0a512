/* nonzero(flags) -> [rank, count] i64, the coordinates of true elements in row-major order; binds count. */
#include "runtime/ops/ops.h"

ONAGER_KERNEL(nonzero) {
  (void)run, (void)ins, (void)outs, (void)params;
  const uint8_t *flags = in[0].data;
  int64_t *result = out[0].data, total = product(in[0].dims, 0, in[0].rank), count = 0;
  for (int64_t k = 0; k < total; ++k)
    count += flags[k] != 0;
  int64_t found = 0;
  for (int64_t k = 0; k < total && found < count; ++k) {
    if (!flags[k])
      continue;
    int64_t rest = k;
    for (int32_t d = in[0].rank; d-- > 0;) {
      result[d * count + found] = rest % in[0].dims[d];
      rest /= in[0].dims[d];
    }
    ++found;
  }
  symbols[0] = count;
  return 0;
}
