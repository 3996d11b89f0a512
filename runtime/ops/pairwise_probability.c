/* pairwise_probability(chances) -> p: probabilities of k classes from those of class i against j, i < j, in rows of k (k - 1) / 2.
 *
 * Source: T.-F. Wu, C.-J. Lin, R. Weng, Probability estimates for multi-class classification by pairwise coupling, 2004, the second method, with the
 * bounds of LIBSVM: at most max(100, k) steps, until the error is below 0.005 / k. */
#include "runtime/ops/ops.h"

/* Fills in Q [k, k] and begins with equal probabilities. r [k, k] holds the chance of i against j. */
static void prepare(int64_t k, const double *r, double *q, double *p) {
  for (int64_t t = 0; t < k; ++t) {
    p[t] = 1.0 / (double)k;
    q[t * k + t] = 0;
    for (int64_t j = 0; j < k; ++j) {
      if (j == t)
        continue;
      q[t * k + t] += r[j * k + t] * r[j * k + t];
      q[t * k + j] = j < t ? q[j * k + t] : -r[j * k + t] * r[t * k + j];
    }
  }
}

/* One step of the iteration; 0 once the error is small. */
static int improve(int64_t k, const double *q, double *qp, double *p) {
  double pqp = 0, error = 0;
  for (int64_t t = 0; t < k; ++t) {
    qp[t] = 0;
    for (int64_t j = 0; j < k; ++j)
      qp[t] += q[t * k + j] * p[j];
    pqp += p[t] * qp[t];
  }
  for (int64_t t = 0; t < k; ++t) {
    double gap = qp[t] > pqp ? qp[t] - pqp : pqp - qp[t];
    error = gap > error ? gap : error;
  }
  if (error < 0.005 / (double)k)
    return 0;
  for (int64_t t = 0; t < k; ++t) {
    double step = (pqp - qp[t]) / q[t * k + t];
    p[t] += step;
    pqp = (pqp + step * (step * q[t * k + t] + 2 * qp[t])) / (1 + step) / (1 + step);
    for (int64_t j = 0; j < k; ++j) {
      qp[j] = (qp[j] + step * q[t * k + j]) / (1 + step);
      p[j] /= 1 + step;
    }
  }
  return 1;
}

ONAGER_KERNEL(pairwise_probability) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  const float *chances = in[0].data;
  int64_t rows = out[0].dims[0], k = out[0].dims[1];
  double *r = run->host->allocate(run, (size_t)(2 * k * k + 2 * k) * sizeof(double)), *q = r + k * k, *p = q + k * k, *qp = p + k;
  if (!r)
    return 1;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = i + 1; j < k; ++j) {
        double chance = *chances++;
        chance = chance < 1e-7 ? 1e-7 : chance > 1 - 1e-7 ? 1 - 1e-7 : chance;
        r[i * k + j] = chance;
        r[j * k + i] = 1 - chance;
      }
    prepare(k, r, q, p);
    for (int64_t step = 0, most = k > 100 ? k : 100; step < most && improve(k, q, qp, p); ++step) {
    }
    for (int64_t t = 0; t < k; ++t)
      ((float *)out[0].data)[row * k + t] = (float)p[t];
  }
  run->host->release(run, r);
  return 0;
}
