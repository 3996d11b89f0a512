/* dtw(cost [rows, columns] f32) -> path [2, steps] i32; binds steps. The path from the first to the last element of the lowest cost, by steps
 * down, right or both; of equally good ones that to the right is taken, of others the one that is strictly better. */
#include "runtime/ops/ops.h"

enum { diagonal, down, right };

/* Fills `trace` (rows x columns, by columns) with the step that leads to each element. `before` and `now` are sums over columns, with one place
 * more in front that stands outside. */
static void accumulate(const float *cost, int64_t rows, int64_t columns, float *before, float *now, uint8_t *trace) {
  const float outside = __builtin_inff();
  for (int64_t row = 0; row <= rows; ++row)
    before[row] = outside;
  before[0] = 0;
  for (int64_t column = 0; column < columns; ++column) {
    now[0] = outside;
    for (int64_t row = 1; row <= rows; ++row) {
      float both = before[row - 1], above = now[row - 1], left = before[row], best = left;
      uint8_t step = right;
      if (both < above && both < left)
        step = diagonal, best = both;
      else if (above < both && above < left)
        step = down, best = above;
      now[row] = best + cost[(row - 1) * columns + column];
      trace[column * rows + row - 1] = step;
    }
    float *swap = before;
    before = now;
    now = swap;
  }
}

/* Walks back from the last element and returns the number of elements passed; writes rows, then columns, where `path` is given. */
static int64_t walk(const uint8_t *trace, int64_t rows, int64_t columns, int32_t *path, int64_t steps) {
  int64_t row = rows - 1, column = columns - 1, count = 0;
  while (row >= 0 && column >= 0) {
    ++count;
    if (path) {
      path[steps - count] = (int32_t)row;
      path[2 * steps - count] = (int32_t)column;
    }
    uint8_t step = trace[column * rows + row];
    row -= step != right;
    column -= step != down;
  }
  return count;
}

ONAGER_KERNEL(dtw) {
  (void)ins, (void)outs, (void)params;
  int64_t rows = in[0].dims[0], columns = in[0].dims[1];
  float *sums = run->host->allocate(run, (size_t)(rows + 1) * 2 * sizeof(float) + (size_t)(rows * columns));
  if (!sums)
    return 1;
  uint8_t *trace = (uint8_t *)(sums + 2 * (rows + 1));
  accumulate(in[0].data, rows, columns, sums, sums + rows + 1, trace);
  symbols[0] = walk(trace, rows, columns, 0, 0);
  walk(trace, rows, columns, out[0].data, symbols[0]);
  run->host->release(run, sums);
  return 0;
}
