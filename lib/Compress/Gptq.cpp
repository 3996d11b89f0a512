// GPTQ in blocks of columns: within a block errors go to its own columns at once, to those behind it when the block is done.
#include "lib/Compress/Gptq.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace onager::compress {

void Gram::add(const float *product, size_t count) {
  if (values.empty()) {
    values.resize(count);
    terms = static_cast<size_t>(std::llround(std::sqrt(static_cast<double>(count))));
  }
  for (size_t k = 0; k < values.size() && count == values.size(); ++k)
    values[k] += product[k];
}

double Gram::getDamping() const {
  double mean = 0;
  for (size_t k = 0; k < terms; ++k)
    mean += values[k * terms + k] / static_cast<double>(terms);
  return mean > 0 ? 0.001 * mean : 1;
}

namespace {

/// A square matrix, row-major.
struct Matrix {
  explicit Matrix(size_t size) : size(size), values(size * size) {}
  double *row(size_t k) { return values.data() + k * size; }
  size_t size;
  std::vector<double> values;
};

/// The sum of products, in eight parts: one sum would wait for each addition before the next.
double multiply(const double *a, const double *b, size_t count) {
  double parts[8] = {}, sum = 0;
  size_t k = 0;
  for (; k + 8 <= count; k += 8)
    for (size_t p = 0; p < 8; ++p)
      parts[p] += a[k + p] * b[k + p];
  for (; k < count; ++k)
    sum += a[k] * b[k];
  for (double part : parts)
    sum += part;
  return sum;
}

/// Turns a symmetric positive definite matrix into its lower Cholesky factor; what lies above the diagonal becomes 0.
void factorize(Matrix &a) {
  for (size_t k = 0; k < a.size; ++k) {
    double *row = a.row(k);
    for (size_t j = 0; j <= k; ++j) {
      const double *other = a.row(j);
      double sum = row[j] - multiply(row, other, j);
      row[j] = j == k ? std::sqrt(std::max(sum, 1e-300)) : sum / other[j];
    }
    std::fill(row + k + 1, row + a.size, 0.0);
  }
}

/// Inverts a lower triangular matrix, row by row.
Matrix invertLower(Matrix &lower) {
  Matrix inverse(lower.size);
  for (size_t k = 0; k < lower.size; ++k) {
    double *row = inverse.row(k), scale = 1 / lower.row(k)[k];
    for (size_t t = 0; t < k; ++t) {
      const double *other = inverse.row(t), factor = -lower.row(k)[t] * scale;
      for (size_t j = 0; j <= t; ++j)
        row[j] += factor * other[j];
    }
    row[k] = scale;
  }
  return inverse;
}

/// The upper factor U of the inverse of H, with U^T U = H^-1. Reversing rows and columns turns the one triangular factor of a matrix into that of its inverse: with J H J = L L^T
/// it is J L^-1 J.
std::vector<float> makeErrorRows(const Gram &gram) {
  size_t size = gram.terms;
  double damping = gram.getDamping();
  Matrix reversed(size);
  for (size_t k = 0; k < size; ++k) {
    for (size_t j = 0; j < size; ++j)
      reversed.row(size - 1 - k)[size - 1 - j] = gram.values[k * size + j];
    reversed.row(k)[k] += damping;
  }
  // The diagonal was added to by position; it is the same in either order.
  factorize(reversed);
  Matrix inverse = invertLower(reversed);
  std::vector<float> rows(size * size);
  for (size_t k = 0; k < size; ++k)
    for (size_t j = k; j < size; ++j)
      rows[k * size + j] = static_cast<float>(inverse.row(size - 1 - k)[size - 1 - j]);
  return rows;
}

/// Rounds one output's weights.
class Row {
public:
  Row(float *weights, const std::vector<float> &errorRows, size_t terms, size_t size, int bits) : weights(weights), errorRows(errorRows), terms(terms), size(size), bits(bits), errors(terms) {}

  /// Rounds the columns of a block.
  void roundBlock(size_t begin, size_t end, std::vector<RoundedGroup> &groups) {
    auto most = static_cast<float>((1 << bits) - 1);
    for (size_t k = begin; k < end; ++k) {
      if (k % size == 0) {
        // The scale fits the weights as they are by now.
        groups.push_back(roundGroup(weights + k, std::min(size, terms - k), bits, RoundingMethod::mse));
        groups.back().integers.clear();
      }
      RoundedGroup &group = groups.back();
      float level = std::clamp(std::nearbyint(weights[k] / group.scale + group.zero), 0.0f, most);
      group.integers.push_back(static_cast<uint8_t>(level));
      const float *row = errorRows.data() + k * terms;
      errors[k] = (weights[k] - group.scale * (level - group.zero)) / row[k];
      for (size_t j = k + 1; j < end; ++j)
        weights[j] -= errors[k] * row[j];
    }
  }

  /// Makes up for a block's errors behind it.
  void passOn(size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) {
      const float *row = errorRows.data() + k * terms;
      for (size_t j = end; j < terms; ++j)
        weights[j] -= errors[k] * row[j];
    }
  }

private:
  float *weights;
  const std::vector<float> &errorRows;
  size_t terms, size;
  int bits;
  std::vector<float> errors;
};

} // namespace

/// Adds left times right, or times its transpose, to out: [rows, size] and [size, size].
static void addProduct(const std::vector<float> &left, const std::vector<float> &right, size_t size, bool isTransposed, std::vector<float> &out) {
  for (size_t begin = 0; begin < left.size(); begin += size)
    for (size_t k = 0; k < size; ++k) {
      if (isTransposed) {
        out[begin + k] += static_cast<float>(std::inner_product(right.begin() + static_cast<std::ptrdiff_t>(k * size), right.begin() + static_cast<std::ptrdiff_t>((k + 1) * size), left.begin() + static_cast<std::ptrdiff_t>(begin), 0.0));
        continue;
      }
      float factor = left[begin + k];
      for (size_t j = 0; j < size; ++j)
        out[begin + j] += factor * right[k * size + j];
    }
}

void fitToOtherRows(std::vector<float> &weights, size_t outputs, const Gram &gram, const Gram &cross) {
  size_t size = gram.terms;
  std::vector<float> gap(size * size), inverseRows = makeErrorRows(gram), part(outputs * size), scaled(outputs * size);
  for (size_t k = 0; k < gap.size(); ++k)
    gap[k] = static_cast<float>(cross.values[k] - gram.values[k]);
  addProduct(weights, gap, size, false, part);
  addProduct(part, inverseRows, size, true, scaled);
  addProduct(scaled, inverseRows, size, false, weights);
}

std::vector<RoundedGroup> roundByGram(std::vector<float> weights, size_t outputs, const Gram &gram, size_t size, int bits) {
  size_t terms = gram.terms, blockSize = std::max<size_t>(128, size);
  std::vector<float> errorRows = makeErrorRows(gram), wanted = weights;
  std::vector<Row> rows;
  for (size_t n = 0; n < outputs; ++n)
    rows.emplace_back(weights.data() + n * terms, errorRows, terms, size, bits);
  std::vector<std::vector<RoundedGroup>> groups(outputs);
  // All outputs take a block before the next: its rows of the factor stay in the cache.
  for (size_t begin = 0; begin < terms; begin += blockSize)
    for (size_t n = 0; n < outputs; ++n) {
      size_t end = std::min(begin + blockSize, terms);
      rows[n].roundBlock(begin, end, groups[n]);
      rows[n].passOn(begin, end);
    }
  std::vector<RoundedGroup> all;
  for (std::vector<RoundedGroup> &own : groups)
    std::move(own.begin(), own.end(), std::back_inserter(all));
  descend(wanted, outputs, gram, size, bits, all);
  return all;
}

} // namespace onager::compress
