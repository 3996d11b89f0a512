// Bases of a stream, and constants written in them.
#ifndef ONAGER_LIB_COMPRESS_SLICE_ROTATION_H
#define ONAGER_LIB_COMPRESS_SLICE_ROTATION_H

#include "lib/Compress/Cholesky.h"
#include "lib/Compress/ModelGraph.h"

namespace onager::compress {

/// A matrix of f64, row-major.
struct Rotation {
  size_t rows = 0, columns = 0;
  std::vector<double> values;
  const double *row(size_t k) const { return values.data() + k * columns; }
};

/// The `kept` first principal components of what a Gram matrix sums up, as columns.
Rotation findComponents(const Gram &gram, size_t kept);
/// The share of the Gram matrix's energy that lies in the columns of an orthonormal rotation.
double measureEnergy(const Gram &gram, const Rotation &rotation);

Rotation transpose(const Rotation &a);
Rotation multiply(const Rotation &a, const Rotation &b);
/// (I - 1/n) Q: what is written by it has a mean of 0.
Rotation centre(Rotation rotation);

/// Multiplies a tensor along one axis, of extent rotation.rows, which becomes rotation.columns.
Weights rotate(const Weights &weights, size_t axis, const Rotation &rotation);

/// So many columns stay of `width` if the share `share` goes: at least as many, and of 32 or more a multiple of 8, of 256 or more one of 16.
int64_t countKept(int64_t width, double share);

} // namespace onager::compress

#endif
