/* Steps of elimination in square matrices of f64. */
#ifndef ONAGER_RUNTIME_OPS_ELIMINATE_H
#define ONAGER_RUNTIME_OPS_ELIMINATE_H

#include "runtime/ops/ops.h"

/* The row from k on whose element in column k is the largest. */
static inline int64_t find_pivot(const double *a, int64_t n, int64_t k) {
  int64_t pivot = k;
  double best = a[k * n + k] < 0 ? -a[k * n + k] : a[k * n + k];
  for (int64_t row = k + 1; row < n; ++row) {
    double x = a[row * n + k], magnitude = x < 0 ? -x : x;
    if (magnitude > best) {
      best = magnitude;
      pivot = row;
    }
  }
  return pivot;
}

static inline void swap_rows(double *restrict a, double *restrict b, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    double swap = a[k];
    a[k] = b[k];
    b[k] = swap;
  }
}

/* row -= factor * other */
static inline void subtract_row(double *restrict row, const double *restrict other, double factor, int64_t n) {
  for (int64_t k = 0; k < n; ++k)
    row[k] -= factor * other[k];
}

#endif
