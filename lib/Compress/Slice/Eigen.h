// Eigenvectors of symmetric matrices, for principal components.
#ifndef ONAGER_LIB_COMPRESS_SLICE_EIGEN_H
#define ONAGER_LIB_COMPRESS_SLICE_EIGEN_H

#include <cstddef>
#include <vector>

namespace onager::compress {

struct EigenSystem {
  std::vector<double> values;  ///< the largest first
  std::vector<double> vectors; ///< row k belongs to value k; rows are orthonormal
};

/// Decomposes a symmetric matrix of `size` rows: Householder's reduction to a tridiagonal matrix, then implicit QL with Wilkinson's shift (Golub and Van Loan, Matrix Computations, 8.3). Rows are orthonormal whatever the
/// matrix holds, as long as it is finite: they are products of reflections and rotations.
EigenSystem decompose(std::vector<double> matrix, size_t size);

} // namespace onager::compress

#endif
