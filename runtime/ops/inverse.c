/* inverse(x [rows, n, n]) -> y [rows, n, n]. f32 or f64; computes in f64, by elimination with the largest pivot of each column. A matrix without an
 * inverse gives infinities or what is no number. */
#include "runtime/ops/ops.h"

static double magnitude(double x) { return x < 0 ? -x : x; }

/* a (n x 2n) holds a matrix beside the identity; leaves the identity beside its inverse. */
static void eliminate(double *a, int64_t n) {
  int64_t width = 2 * n;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t row = k + 1; row < n; ++row)
      if (magnitude(a[row * width + k]) > magnitude(a[pivot * width + k]))
        pivot = row;
    double divisor = a[pivot * width + k];
    for (int64_t column = 0; column < width; ++column) {
      double swap = a[k * width + column];
      a[k * width + column] = a[pivot * width + column] / divisor;
      if (pivot != k)
        a[pivot * width + column] = swap;
    }
    for (int64_t row = 0; row < n; ++row) {
      double factor = a[row * width + k];
      if (row == k || factor == 0)
        continue;
      for (int64_t column = k; column < width; ++column)
        a[row * width + column] -= factor * a[k * width + column];
    }
  }
}

ONAGER_KERNEL(inverse) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  int64_t rows = in[0].dims[0], n = in[0].dims[1];
  if (in[0].dims[2] != n)
    return 1;
  double *a = run->host->allocate(run, (size_t)(2 * n * n + 1) * sizeof(double));
  if (!a)
    return 1;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < 2 * n * n; ++k) {
      int64_t line = k / (2 * n), column = k % (2 * n);
      a[k] = column < n ? read_float(&in[0], (row * n + line) * n + column) : column - n == line;
    }
    eliminate(a, n);
    for (int64_t k = 0; k < n * n; ++k)
      write_float(&out[0], row * n * n + k, a[k / n * 2 * n + n + k % n]);
  }
  run->host->release(run, a);
  return 0;
}
