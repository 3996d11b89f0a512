/* det(x [rows, n, n]) -> y [rows]. f32 or f64; computes in f64, by elimination with the largest pivot of each column. Shares take matrices. */
#include "runtime/ops/eliminate.h"

/* The determinant of a (n x n), which is overwritten. */
static double eliminate(double *a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = find_pivot(a, n, k), rest = n - k - 1;
    double *row = a + k * n + k;
    if (pivot != k) {
      swap_rows(row, a + pivot * n + k, n - k);
      result = -result;
    }
    result *= row[0];
    if (row[0] == 0)
      return result;
    for (int64_t other = k + 1; other < n; ++other)
      subtract_row(a + other * n + k + 1, row + 1, a[other * n + k] / row[0], rest);
  }
  return result;
}

ONAGER_SHARED_KERNEL(det) {
  (void)params;
  int64_t count = in[0].dims[0], n = in[0].dims[1];
  if (in[0].dims[2] != n)
    return 1;
  double *a = run->host->allocate(run, (size_t)(n * n + 1) * sizeof(double));
  if (!a)
    return 1;
  for (int64_t matrix = share_start(count, share, shares); matrix < share_start(count, share + 1, shares); ++matrix) {
    for (int64_t k = 0; k < n * n; ++k)
      a[k] = read_float(&in[0], matrix * n * n + k);
    write_float(&out[0], matrix, eliminate(a, n));
  }
  run->host->release(run, a);
  return 0;
}
