// Triangular factors, row by row: rows are contiguous, and most time is spent in products of two of them.
#include "lib/Compress/Cholesky.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

void Gram::add(const float *product, size_t count) {
  if (values.empty()) {
    values.resize(count);
    terms = static_cast<size_t>(std::llround(std::sqrt(static_cast<double>(count))));
  }
  for (size_t k = 0; k < values.size() && count == values.size(); ++k)
    values[k] += product[k];
}

void Gram::addRows(const float *rows, size_t count, size_t width) {
  terms = width;
  values.resize(width * width);
  addProduct(rows, width, rows, width, count, values, true);
}

void addProduct(const float *x, size_t xWidth, const float *y, size_t yWidth, size_t count, std::vector<double> &sums, bool isSymmetric) {
  constexpr size_t kTogether = 256; // so many products are added as floats before they join the sum
  std::vector<float> part(yWidth);
  for (size_t begin = 0; begin < count; begin += kTogether)
    for (size_t i = 0; i < xWidth; ++i) {
      size_t first = isSymmetric ? i : 0;
      std::fill(part.begin(), part.end(), 0.0f);
      for (size_t r = begin; r < std::min(count, begin + kTogether); ++r) {
        float factor = x[r * xWidth + i];
        if (factor == 0)
          continue;
        const float *row = y + r * yWidth;
        for (size_t j = first; j < yWidth; ++j)
          part[j] += factor * row[j];
      }
      for (size_t j = first; j < yWidth; ++j) {
        sums[i * yWidth + j] += part[j];
        if (isSymmetric && j > i)
          sums[j * yWidth + i] += part[j];
      }
    }
}

namespace {

/// A square matrix, row-major.
struct Matrix {
  explicit Matrix(size_t size) : size(size), values(size * size) {}
  double *row(size_t k) { return values.data() + k * size; }
  size_t size;
  std::vector<double> values;
};

template <typename T>
T multiplyInParts(const T *a, const T *b, size_t count) {
  constexpr size_t kParts = 64 / sizeof(T);
  T parts[kParts] = {}, sum = 0;
  size_t k = 0;
  for (; k + kParts <= count; k += kParts)
    for (size_t p = 0; p < kParts; ++p)
      parts[p] += a[k + p] * b[k + p];
  for (; k < count; ++k)
    sum += a[k] * b[k];
  for (T part : parts)
    sum += part;
  return sum;
}

constexpr size_t kBlock = 64; ///< columns that are done together

/// Calls `visit` for tiles of the numbers from `begin` to `end`, in parallel.
template <typename Visit>
void visitTiles(size_t begin, size_t end, size_t tile, Visit visit) {
  if (begin < end)
    llvm::parallelFor(0, llvm::divideCeil(end - begin, tile), [&](size_t k) { visit(begin + k * tile, std::min(end, begin + (k + 1) * tile)); });
}

/// Finishes columns of one row, those before them being done: `row` may lie in the block itself.
void finishRow(Matrix &a, size_t k, size_t begin, size_t end) {
  double *row = a.row(k);
  for (size_t j = begin; j < std::min(end, k + 1); ++j) {
    const double *other = a.row(j);
    double sum = row[j] - multiplyInParts(row + begin, other + begin, j - begin);
    row[j] = j == k ? std::sqrt(std::max(sum, 1e-300)) : sum / other[j];
  }
}

/// Turns a symmetric positive definite matrix into its lower Cholesky factor; what lies above the diagonal becomes 0. A block of columns is finished, then taken out of all that lie behind it.
void factorize(Matrix &a) {
  constexpr size_t kTile = 16;
  for (size_t begin = 0; begin < a.size; begin += kBlock) {
    size_t end = std::min(begin + kBlock, a.size);
    for (size_t k = begin; k < end; ++k)
      finishRow(a, k, begin, end);
    visitTiles(end, a.size, kTile, [&](size_t first, size_t last) {
      for (size_t k = first; k < last; ++k)
        finishRow(a, k, begin, end);
    });
    visitTiles(end, a.size, kTile, [&](size_t first, size_t last) {
      for (size_t j = end; j < last; ++j)
        for (size_t k = std::max(first, j); k < last; ++k)
          a.row(k)[j] -= multiplyInParts(a.row(k) + begin, a.row(j) + begin, end - begin);
    });
  }
  for (size_t k = 0; k < a.size; ++k)
    std::fill(a.row(k) + k + 1, a.row(k) + a.size, 0.0);
}

/// Inverts a lower triangular matrix: blocks of the inverse's columns do not need each other.
Matrix invertLower(Matrix &lower) {
  Matrix inverse(lower.size);
  visitTiles(0, lower.size, kBlock, [&](size_t begin, size_t end) {
    size_t width = end - begin;
    std::vector<double> block((lower.size - begin) * width);
    for (size_t k = begin; k < lower.size; ++k) {
      double *own = block.data() + (k - begin) * width;
      if (k < end)
        own[k - begin] = 1;
      for (size_t t = begin; t < k; ++t) {
        const double *other = block.data() + (t - begin) * width, factor = lower.row(k)[t];
        for (size_t j = 0; j < width; ++j)
          own[j] -= factor * other[j];
      }
      for (size_t j = 0; j < width; ++j)
        own[j] /= lower.row(k)[k];
      std::copy(own, own + width, inverse.row(k) + begin);
    }
  });
  return inverse;
}

} // namespace

float multiply(const float *a, const float *b, size_t count) { return multiplyInParts(a, b, count); }

double Gram::getMean() const {
  double mean = 0;
  for (size_t k = 0; k < terms; ++k)
    mean += values[k * terms + k] / static_cast<double>(terms);
  return mean > 0 ? mean : 1;
}

std::vector<float> makeErrorRows(const Gram &gram, double damping) {
  size_t size = gram.terms;
  Matrix reversed(size);
  for (size_t k = 0; k < size; ++k) {
    for (size_t j = 0; j < size; ++j)
      reversed.row(size - 1 - k)[size - 1 - j] = gram.values[k * size + j];
  }
  double added = damping * gram.getMean();
  for (size_t k = 0; k < size; ++k)
    reversed.row(k)[k] += added;
  factorize(reversed);
  Matrix inverse = invertLower(reversed);
  std::vector<float> rows(size * size);
  for (size_t k = 0; k < size; ++k)
    for (size_t j = k; j < size; ++j)
      rows[k * size + j] = static_cast<float>(inverse.row(size - 1 - k)[size - 1 - j]);
  return rows;
}

std::vector<double> solveRidge(const Gram &gram, std::vector<double> moments, size_t outputs, double damping) {
  size_t size = gram.terms;
  Matrix lower(size);
  lower.values = gram.values;
  double added = damping * gram.getMean();
  for (size_t k = 0; k < size; ++k)
    lower.row(k)[k] += added;
  factorize(lower);
  auto subtract = [&](size_t to, size_t from, double factor) {
    double *a = moments.data() + to * outputs;
    const double *b = moments.data() + from * outputs;
    for (size_t n = 0; factor != 0 && n < outputs; ++n)
      a[n] -= factor * b[n];
  };
  auto divide = [&](size_t k) {
    for (size_t n = 0; n < outputs; ++n)
      moments[k * outputs + n] /= lower.row(k)[k];
  };
  for (size_t k = 0; k < size; ++k) {
    for (size_t j = 0; j < k; ++j)
      subtract(k, j, lower.row(k)[j]);
    divide(k);
  }
  for (size_t k = size; k-- > 0;) {
    divide(k);
    for (size_t j = 0; j < k; ++j)
      subtract(j, k, lower.row(k)[j]);
  }
  return moments;
}

} // namespace onager::compress
