// Householder and QL, with eigenvectors as rows: rotations then run along contiguous memory.
#include "lib/Compress/Slice/Eigen.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace onager::compress {

namespace {

double multiplyRows(const double *a, const double *b, size_t count) {
  double sum = 0;
  for (size_t k = 0; k < count; ++k)
    sum += a[k] * b[k];
  return sum;
}

class Decomposition {
public:
  Decomposition(std::vector<double> matrix, size_t size) : size(size), matrix(std::move(matrix)), rows(size * size), diagonal(size), beside(size) {}

  EigenSystem run() {
    reduce();
    for (size_t k = 0; k < size; ++k)
      iterate(k);
    return sort();
  }

private:
  double *row(size_t k) { return matrix.data() + k * size; }

  /// A -> H A H with H = I - v v^T, v of squared length 2, so that column k below the first subdiagonal becomes 0. Returns v, from element k + 1 on; empty where the column is 0 there already.
  std::vector<double> reflect(size_t k) {
    size_t count = size - k - 1;
    std::vector<double> v(count), p(count);
    for (size_t i = 0; i < count; ++i)
      v[i] = row(k + 1 + i)[k];
    double rest = multiplyRows(v.data() + 1, v.data() + 1, count - 1);
    beside[k] = v[0];
    if (rest == 0)
      return {};
    double length = std::sqrt(v[0] * v[0] + rest);
    beside[k] = v[0] > 0 ? -length : length;
    v[0] -= beside[k];
    double scale = std::sqrt(2 / (v[0] * v[0] + rest));
    for (double &element : v)
      element *= scale;
    llvm::parallelFor(0, count, [&](size_t i) { p[i] = multiplyRows(row(k + 1 + i) + k + 1, v.data(), count); });
    double half = multiplyRows(v.data(), p.data(), count) / 2;
    for (size_t i = 0; i < count; ++i)
      p[i] -= half * v[i];
    llvm::parallelFor(0, count, [&](size_t i) {
      double *own = row(k + 1 + i) + k + 1, vi = v[i], pi = p[i];
      for (size_t j = 0; j < count; ++j)
        own[j] -= vi * p[j] + pi * v[j];
    });
    return v;
  }

  /// Leaves the tridiagonal matrix in `diagonal` and `beside`, and in `rows` the basis that it is written in.
  void reduce() {
    std::vector<std::vector<double>> reflections;
    for (size_t k = 0; k + 1 < size; ++k)
      reflections.push_back(reflect(k));
    for (size_t k = 0; k < size; ++k)
      diagonal[k] = row(k)[k];
    llvm::parallelFor(0, size, [&](size_t r) {
      double *own = rows.data() + r * size;
      own[r] = 1;
      for (size_t k = reflections.size(); k-- > 0;)
        if (const std::vector<double> &v = reflections[k]; !v.empty()) {
          double factor = multiplyRows(own + k + 1, v.data(), v.size());
          for (size_t j = 0; j < v.size(); ++j)
            own[k + 1 + j] -= factor * v[j];
        }
    });
  }

  /// The end of the block that begins at k: behind it the matrix falls apart.
  size_t findEnd(size_t k) const {
    size_t end = k;
    while (end + 1 < size && std::abs(beside[end]) > std::numeric_limits<double>::epsilon() * (std::abs(diagonal[end]) + std::abs(diagonal[end + 1])))
      ++end;
    return end;
  }

  void iterate(size_t k) {
    constexpr int kMost = 64; // two or three do in practice
    for (int step = 0; step < kMost; ++step) {
      size_t end = findEnd(k);
      if (end == k)
        return;
      double g = (diagonal[k + 1] - diagonal[k]) / (2 * beside[k]), r = std::hypot(g, 1.0);
      chase(k, end, diagonal[end] - diagonal[k] + beside[k] / (g + std::copysign(r, g)));
    }
  }

  /// One QL step from row `end` up to row `begin`; `g` is the last diagonal element less the shift.
  void chase(size_t begin, size_t end, double g) {
    double s = 1, c = 1, p = 0;
    for (size_t i = end; i-- > begin;) {
      double f = s * beside[i], b = c * beside[i], r = std::hypot(f, g);
      beside[i + 1] = r;
      if (r == 0) {
        diagonal[i + 1] -= p;
        beside[end] = 0;
        return;
      }
      s = f / r;
      c = g / r;
      g = diagonal[i + 1] - p;
      double q = (diagonal[i] - g) * s + 2 * c * b;
      p = s * q;
      diagonal[i + 1] = g + p;
      g = c * q - b;
      double *low = rows.data() + i * size, *high = low + size;
      for (size_t j = 0; j < size; ++j) {
        double x = high[j];
        high[j] = s * low[j] + c * x;
        low[j] = c * low[j] - s * x;
      }
    }
    diagonal[begin] -= p;
    beside[begin] = g;
    beside[end] = 0;
  }

  EigenSystem sort() const {
    std::vector<size_t> order(size);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return diagonal[a] > diagonal[b]; });
    EigenSystem system;
    for (size_t k : order) {
      system.values.push_back(diagonal[k]);
      system.vectors.insert(system.vectors.end(), rows.begin() + static_cast<std::ptrdiff_t>(k * size), rows.begin() + static_cast<std::ptrdiff_t>((k + 1) * size));
    }
    return system;
  }

  size_t size;
  std::vector<double> matrix, rows, diagonal, beside; ///< beside[k]: between k and k + 1
};

} // namespace

EigenSystem decompose(std::vector<double> matrix, size_t size) { return Decomposition(std::move(matrix), size).run(); }

} // namespace onager::compress
