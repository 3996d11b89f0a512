/* dft(x [rows, n, 2]) -> y [rows, n, 2]; params: inverse (divides by n). f32 or f64; computes in f64.
 *
 * Powers of two by Cooley and Tukey; other lengths by Bluestein: with w = e^(-i pi k^2 / n), y[k] = w[k] * (conj(w) convolved with x w)[k], and the
 * convolution is a product of transforms of a power of two of at least 2 n - 1 elements. */
#include "runtime/ops/ops.h"

struct complex {
  double re, im;
};

static inline struct complex multiply(struct complex a, struct complex b) {
  return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* roots[k] = e^(-2 pi i k / m) for k below m / 2. */
static void fill_roots(const onager_run *run, struct complex *roots, int64_t m) {
  for (int64_t k = 0; k < m / 2; ++k) {
    double angle = -6.283185307179586476925286766559 * (double)k / (double)m;
    roots[k] = (struct complex){run->host->math[ONAGER_COS](angle), run->host->math[ONAGER_SIN](angle)};
  }
}

/* Transforms m elements, a power of two, in place. */
static void transform(struct complex *x, const struct complex *roots, int64_t m) {
  for (int64_t k = 1, j = 0; k < m; ++k) {
    int64_t bit = m >> 1;
    for (; j & bit; bit >>= 1)
      j ^= bit;
    j ^= bit;
    if (k < j) {
      struct complex swap = x[k];
      x[k] = x[j];
      x[j] = swap;
    }
  }
  for (int64_t width = 1; width < m; width *= 2)
    for (int64_t start = 0; start < m; start += 2 * width)
      for (int64_t k = 0; k < width; ++k) {
        struct complex a = x[start + k], b = multiply(x[start + k + width], roots[k * (m / (2 * width))]);
        x[start + k] = (struct complex){a.re + b.re, a.im + b.im};
        x[start + k + width] = (struct complex){a.re - b.re, a.im - b.im};
      }
}

/* The chirp w and the transform of its conjugate, wrapped around m elements. */
static void fill_chirp(const onager_run *run, struct complex *w, struct complex *filter, const struct complex *roots, int64_t n, int64_t m) {
  for (int64_t k = 0; k < m; ++k)
    filter[k] = (struct complex){0, 0};
  int64_t square = 0; /* k^2 mod 2 n */
  for (int64_t k = 0; k < n; ++k) {
    double angle = -3.1415926535897932384626433832795 * (double)square / (double)n;
    w[k] = (struct complex){run->host->math[ONAGER_COS](angle), run->host->math[ONAGER_SIN](angle)};
    filter[k] = filter[(m - k) % m] = (struct complex){w[k].re, -w[k].im};
    square = (square + 2 * k + 1) % (2 * n);
  }
  transform(filter, roots, m);
}

/* Transforms x[0, n) with room for m elements by Bluestein's convolution. */
static void convolve(struct complex *x, const struct complex *w, const struct complex *filter, const struct complex *roots, int64_t n, int64_t m) {
  for (int64_t k = 0; k < m; ++k)
    x[k] = k < n ? multiply(x[k], w[k]) : (struct complex){0, 0};
  transform(x, roots, m);
  for (int64_t k = 0; k < m; ++k) {
    struct complex y = multiply(x[k], filter[k]);
    x[k] = (struct complex){y.re, -y.im}; /* the inverse transform is the conjugate of the transform of the conjugate */
  }
  transform(x, roots, m);
  for (int64_t k = 0; k < n; ++k)
    x[k] = multiply((struct complex){x[k].re / (double)m, -x[k].im / (double)m}, w[k]);
}

ONAGER_KERNEL(dft) {
  (void)ins, (void)outs, (void)symbols;
  int64_t rows = in[0].dims[0], n = in[0].dims[1], m = 1;
  int is_power = n > 0 && (n & (n - 1)) == 0;
  if (n == 0)
    return 0;
  while (m < (is_power ? n : 2 * n - 1))
    m *= 2;
  struct complex *memory = run->host->allocate(run, (size_t)(3 * m + n) * sizeof(struct complex));
  if (!memory)
    return 1;
  struct complex *x = memory, *roots = x + m, *filter = roots + m, *w = filter + m;
  fill_roots(run, roots, m);
  if (!is_power)
    fill_chirp(run, w, filter, roots, n, m);
  /* The inverse is the transform with real and imaginary parts exchanged, before and after. */
  int64_t swap = params[0] != 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < n; ++k)
      x[k] = (struct complex){read_float(&in[0], (row * n + k) * 2 + swap), read_float(&in[0], (row * n + k) * 2 + 1 - swap)};
    if (is_power)
      transform(x, roots, m);
    else
      convolve(x, w, filter, roots, n, m);
    for (int64_t k = 0; k < n; ++k) {
      write_float(&out[0], (row * n + k) * 2 + swap, swap ? x[k].re / (double)n : x[k].re);
      write_float(&out[0], (row * n + k) * 2 + 1 - swap, swap ? x[k].im / (double)n : x[k].im);
    }
  }
  run->host->release(run, memory);
  return 0;
}
