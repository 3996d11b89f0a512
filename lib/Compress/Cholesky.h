// Least squares by what inputs look like: Gram matrices and their Cholesky factors.
#ifndef ONAGER_LIB_COMPRESS_CHOLESKY_H
#define ONAGER_LIB_COMPRESS_CHOLESKY_H

#include <cstddef>
#include <vector>

namespace onager::compress {

/// X^T X of all rows that a layer read: terms x terms, row-major.
struct Gram {
  size_t terms = 0;
  std::vector<double> values;
  void add(const float *product, size_t count);
  /// The mean of the diagonal, or 1 where it is 0.
  double getMean() const;
  /// Adds the product of rows of so many terms.
  void addRows(const float *rows, size_t count, size_t width);
};

/// Adds X^T Y of `count` rows to `sums`, [xWidth, yWidth]. Symmetric: X is Y.
void addProduct(const float *x, size_t xWidth, const float *y, size_t yWidth, size_t count, std::vector<double> &sums, bool isSymmetric = false);

/// The upper factor U of the inverse of H, with U^T U = H^-1. Reversing rows and columns turns the one triangular factor of a matrix into that of its inverse: with J H J = L L^T
/// it is J L^-1 J.
/// `damping` times the mean of the diagonal is added to it; terms that were always 0 count for as much as that.
std::vector<float> makeErrorRows(const Gram &gram, double damping = 0.01);

/// The sum of products, in parts: one sum would wait for each addition before the next.
float multiply(const float *a, const float *b, size_t count);

/// Solves (G + d I) B = M for M, [terms, outputs], where d is `damping` times the mean of the diagonal.
std::vector<double> solveRidge(const Gram &gram, std::vector<double> moments, size_t outputs, double damping);

} // namespace onager::compress

#endif
