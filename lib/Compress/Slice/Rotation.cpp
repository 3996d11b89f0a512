// Products in f64, rounded once.
#include "lib/Compress/Slice/Rotation.h"
#include "lib/Compress/Prune/Pruning.h"
#include "lib/Compress/Slice/Eigen.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

Rotation findComponents(const Gram &gram, size_t kept) {
  EigenSystem system = decompose(gram.values, gram.terms);
  return transpose({kept, gram.terms, {system.vectors.begin(), system.vectors.begin() + static_cast<std::ptrdiff_t>(kept * gram.terms)}});
}

double measureEnergy(const Gram &gram, const Rotation &rotation) {
  Rotation product = multiply({gram.terms, gram.terms, gram.values}, rotation);
  double kept = 0;
  for (size_t k = 0; k < product.values.size(); ++k)
    kept += product.values[k] * rotation.values[k];
  return kept / (gram.getMean() * static_cast<double>(gram.terms));
}

Rotation transpose(const Rotation &a) {
  Rotation b{a.columns, a.rows, std::vector<double>(a.values.size())};
  for (size_t i = 0; i < a.rows; ++i)
    for (size_t j = 0; j < a.columns; ++j)
      b.values[j * a.rows + i] = a.values[i * a.columns + j];
  return b;
}

Rotation multiply(const Rotation &a, const Rotation &b) {
  Rotation c{a.rows, b.columns, std::vector<double>(a.rows * b.columns)};
  llvm::parallelFor(0, a.rows, [&](size_t i) {
    double *own = c.values.data() + i * c.columns;
    for (size_t k = 0; k < a.columns; ++k)
      for (size_t j = 0; j < b.columns; ++j)
        own[j] += a.row(i)[k] * b.row(k)[j];
  });
  return c;
}

Rotation centre(Rotation rotation) {
  for (size_t j = 0; j < rotation.columns; ++j) {
    double sum = 0;
    for (size_t k = 0; k < rotation.rows; ++k)
      sum += rotation.row(k)[j];
    for (size_t k = 0; k < rotation.rows; ++k)
      rotation.values[k * rotation.columns + j] -= sum / static_cast<double>(rotation.rows);
  }
  return rotation;
}

Weights rotate(const Weights &weights, size_t axis, const Rotation &rotation) {
  Weights rotated{weights.dims, {}};
  rotated.dims[axis] = static_cast<int64_t>(rotation.columns);
  size_t inner = 1;
  for (size_t k = axis + 1; k < weights.dims.size(); ++k)
    inner *= static_cast<size_t>(weights.dims[k]);
  size_t outer = weights.values.size() / std::max<size_t>(inner * rotation.rows, 1);
  rotated.values.resize(outer * rotation.columns * inner);
  // Of long inner dims a block at a time, so that sums stay small.
  constexpr size_t kBlock = 256;
  size_t blocks = llvm::divideCeil(inner, kBlock);
  llvm::parallelFor(0, outer * blocks, [&](size_t task) {
    size_t o = task / blocks, begin = task % blocks * kBlock, count = std::min(kBlock, inner - begin);
    std::vector<double> sums(rotation.columns * count);
    for (size_t k = 0; k < rotation.rows; ++k) {
      const float *x = weights.values.data() + (o * rotation.rows + k) * inner + begin;
      const double *factors = rotation.row(k);
      for (size_t j = 0; j < rotation.columns; ++j)
        for (size_t i = 0; i < count; ++i)
          sums[j * count + i] += factors[j] * static_cast<double>(x[i]);
    }
    for (size_t j = 0; j < rotation.columns; ++j)
      for (size_t i = 0; i < count; ++i)
        rotated.values[(o * rotation.columns + j) * inner + begin + i] = static_cast<float>(sums[j * count + i]);
  });
  return rotated;
}

int64_t countKept(int64_t width, double share) {
  int64_t multiple = getKeptMultiple(width), most = width - static_cast<int64_t>(std::floor(static_cast<double>(width) * share + 1e-9));
  return std::min(width, static_cast<int64_t>(llvm::alignTo(static_cast<uint64_t>(std::max<int64_t>(most, 1)), static_cast<uint64_t>(multiple))));
}

} // namespace onager::compress
