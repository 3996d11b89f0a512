/* nonzero(flags) -> [rank, count] i64, the coordinates of true elements in row-major order; binds count. */
#include "runtime/ops/ops.h"

enum { BLOCK = 256 };

/* Fills `places` with those of the true flags, and returns their number. */
static int64_t find_true(const uint8_t *flags, int64_t count, int32_t *places) {
  int64_t found = 0;
  for (int64_t k = 0; k < count; ++k) {
    places[found] = (int32_t)k;
    found += flags[k] != 0;
  }
  return found;
}

/* Writes the coordinates of `some` elements at `places` behind element `start`, all in one line of the last dim. */
static void write_places(const onager_view *in, int64_t start, const int32_t *places, int64_t some, int64_t *result, int64_t count) {
  int32_t last = in->rank - 1;
  int64_t first = start % in->dims[last], rest = start / in->dims[last], *target = result + last * count;
  for (int64_t k = 0; k < some; ++k)
    target[k] = first + places[k];
  for (int32_t d = last; d-- > 0;) {
    int64_t coordinate = rest % in->dims[d];
    rest /= in->dims[d];
    target = result + d * count;
    for (int64_t k = 0; k < some; ++k)
      target[k] = coordinate;
  }
}

ONAGER_KERNEL(nonzero) {
  (void)run, (void)ins, (void)outs, (void)params;
  const uint8_t *flags = in[0].data;
  int64_t *result = out[0].data, total = product(in[0].dims, 0, in[0].rank), count = 0, found = 0;
  for (int64_t k = 0; k < total; ++k)
    count += flags[k] != 0;
  int64_t width = in[0].rank && total ? in[0].dims[in[0].rank - 1] : 0;
  int32_t places[BLOCK];
  for (int64_t line = 0; width && line < total; line += width)
    for (int64_t start = line; start < line + width; start += BLOCK) {
      int64_t some = find_true(flags + start, line + width - start < BLOCK ? line + width - start : BLOCK, places);
      if (some)
        write_places(&in[0], start, places, some, result + found, count);
      found += some;
    }
  symbols[0] = count;
  return 0;
}
