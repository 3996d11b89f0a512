/* inverse(x [rows, n, n]) -> y [rows, n, n]. f32 or f64; computes in f64, by elimination with the largest pivot of each column. A matrix without an
 * inverse gives infinities or what is no number. Shares take matrices. */
#include "runtime/ops/eliminate.h"

/* Replaces a (n x n) by its inverse, whose columns are in the order of `rows`: the rows of a where the pivots were.
 *
 * Step k divides row k by the pivot and takes its multiples from all other rows. Column k, which becomes that of the identity, makes room for the
 * column of the inverse that the step begins. */
static void invert(double *a, int64_t n, int64_t *rows) {
  for (int64_t k = 0; k < n; ++k)
    rows[k] = k;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = find_pivot(a, n, k);
    double *row = a + k * n, divisor = a[pivot * n + k];
    if (pivot != k) {
      swap_rows(row, a + pivot * n, n);
      int64_t swap = rows[k];
      rows[k] = rows[pivot];
      rows[pivot] = swap;
    }
    row[k] = 1;
    for (int64_t column = 0; column < n; ++column)
      row[column] /= divisor;
    for (int64_t other = 0; other < n; ++other) {
      double factor = a[other * n + k];
      if (other == k || factor == 0)
        continue;
      a[other * n + k] = 0;
      subtract_row(a + other * n, row, factor, n);
    }
  }
}

ONAGER_SHARED_KERNEL(inverse) {
  (void)params;
  int64_t count = in[0].dims[0], n = in[0].dims[1];
  if (in[0].dims[2] != n)
    return 1;
  double *a = run->host->allocate(run, (size_t)(n * n + n + 1) * sizeof(double));
  if (!a)
    return 1;
  int64_t *rows = (int64_t *)(a + n * n);
  for (int64_t matrix = share_start(count, share, shares); matrix < share_start(count, share + 1, shares); ++matrix) {
    for (int64_t k = 0; k < n * n; ++k)
      a[k] = read_float(&in[0], matrix * n * n + k);
    invert(a, n, rows);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t k = 0; k < n; ++k)
        write_float(&out[0], (matrix * n + row) * n + rows[k], a[row * n + k]);
  }
  run->host->release(run, a);
  return 0;
}
