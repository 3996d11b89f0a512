/* det(x [rows, n, n]) -> y [rows]. f32 or f64; computes in f64, by elimination with the largest pivot of each column. */
#include "runtime/ops/ops.h"

static double magnitude(double x) { return x < 0 ? -x : x; }

/* The determinant of a (n x n), which is overwritten. */
static double eliminate(double *a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t row = k + 1; row < n; ++row)
      if (magnitude(a[row * n + k]) > magnitude(a[pivot * n + k]))
        pivot = row;
    if (pivot != k) {
      for (int64_t column = k; column < n; ++column) {
        double swap = a[k * n + column];
        a[k * n + column] = a[pivot * n + column];
        a[pivot * n + column] = swap;
      }
      result = -result;
    }
    result *= a[k * n + k];
    if (a[k * n + k] == 0)
      return result;
    for (int64_t row = k + 1; row < n; ++row) {
      double factor = a[row * n + k] / a[k * n + k];
      for (int64_t column = k + 1; column < n; ++column)
        a[row * n + column] -= factor * a[k * n + column];
    }
  }
  return result;
}

ONAGER_KERNEL(det) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  int64_t rows = in[0].dims[0], n = in[0].dims[1];
  if (in[0].dims[2] != n)
    return 1;
  double *a = run->host->allocate(run, (size_t)(n * n + 1) * sizeof(double));
  if (!a)
    return 1;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < n * n; ++k)
      a[k] = read_float(&in[0], row * n * n + k);
    write_float(&out[0], row, eliminate(a, n));
  }
  run->host->release(run, a);
  return 0;
}
