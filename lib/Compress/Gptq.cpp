// GPTQ in blocks of columns: within a block errors go to its own columns at once, to those behind it when the block is done.
#include "lib/Compress/Gptq.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

namespace {

/// Rounds one output's weights.
class Row {
public:
  Row(float *weights, const std::vector<float> &errorRows, size_t terms, const IntegerForm &form) : weights(weights), errorRows(errorRows), terms(terms), form(form), errors(terms) {}

  /// Rounds the columns of a block.
  void roundBlock(size_t begin, size_t end, std::vector<RoundedGroup> &groups) {
    for (size_t k = begin; k < end; ++k) {
      if (k % form.size == 0) {
        // The scale fits the weights as they are by now.
        groups.push_back(roundToForm(weights + k, std::min(form.size, terms - k), form));
        groups.back().integers.clear();
      }
      RoundedGroup &group = groups.back();
      float level = std::clamp(std::nearbyint(weights[k] / group.scale + group.zero), form.getLeast(), form.getMost());
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
  size_t terms;
  IntegerForm form;
  std::vector<float> errors;
};

} // namespace

RoundedGroup roundToForm(const float *weights, size_t count, const IntegerForm &form) {
  if (!form.isSymmetric)
    return roundGroup(weights, count, form.bits, RoundingMethod::mse);
  std::vector<int8_t> integers(count);
  RoundedGroup group;
  group.scale = roundChannel(weights, count, 1, RoundingMethod::mse, integers.data());
  group.zero = kByteZero;
  for (int8_t integer : integers)
    group.integers.push_back(static_cast<uint8_t>(integer + kByteZero));
  return group;
}

std::vector<RoundedGroup> roundToForms(const std::vector<float> &weights, size_t terms, const IntegerForm &form) {
  std::vector<RoundedGroup> groups;
  for (size_t begin = 0; begin < weights.size(); begin += terms)
    for (size_t k = 0; k < terms; k += form.size)
      groups.push_back(roundToForm(weights.data() + begin + k, std::min(form.size, terms - k), form));
  return groups;
}

/// Outputs that go through a matrix of terms together, so that its rows are read once for all of them.
constexpr size_t kTogether = 16;

/// Adds left times right, or times its transpose, to out: [rows, size] and [size, size].
static void addProduct(const std::vector<float> &left, const std::vector<float> &right, size_t size, bool isTransposed, std::vector<float> &out) {
  size_t together = kTogether * size;
  llvm::parallelFor(0, llvm::divideCeil(left.size(), together), [&](size_t part) {
    for (size_t k = 0; k < size; ++k)
      for (size_t begin = part * together; begin < std::min(left.size(), (part + 1) * together); begin += size) {
        const float *row = right.data() + k * size;
        if (isTransposed) {
          out[begin + k] += multiply(row, left.data() + begin, size);
          continue;
        }
        float factor = left[begin + k];
        for (size_t j = 0; j < size; ++j)
          out[begin + j] += factor * row[j];
      }
  });
}

/// Terms for each row.
static double getShare(size_t terms, size_t rows) { return static_cast<double>(terms) / static_cast<double>(std::max<size_t>(rows, 1)); }

double chooseDamping(size_t terms, size_t rows) { return 0.001 + 0.02 * getShare(terms, rows); }

GramRounding::GramRounding(Gram own, size_t rows)
    : gram(std::move(own)), damping(chooseDamping(gram.terms, rows)), trust(static_cast<float>(std::max(0.0, 1 - 2 * getShare(gram.terms, rows)))) {}

const std::vector<float> &GramRounding::getErrorRows() {
  if (errorRows.empty())
    errorRows = makeErrorRows(gram, damping);
  return errorRows;
}

void GramRounding::fitToOtherRows(std::vector<float> &weights, const Gram &cross) {
  size_t size = gram.terms;
  if (trust == 0)
    return;
  std::vector<float> gap(size * size), part(weights.size()), scaled(weights.size());
  for (size_t k = 0; k < gap.size(); ++k)
    gap[k] = trust * static_cast<float>(cross.values[k] - gram.values[k]);
  addProduct(weights, gap, size, false, part);
  addProduct(part, getErrorRows(), size, true, scaled);
  addProduct(scaled, getErrorRows(), size, false, weights);
}

std::vector<RoundedGroup> GramRounding::round(const std::vector<float> &weights, const Gram *cross, const IntegerForm &form, RoundingMethod method) {
  std::vector<float> wanted = weights;
  if (cross)
    fitToOtherRows(wanted, *cross);
  for (size_t k = 0; k < wanted.size(); ++k)
    wanted[k] = weights[k] == 0 ? 0 : wanted[k];
  bool isInTurn = method == RoundingMethod::gptq;
  std::vector<RoundedGroup> all = isInTurn ? roundInTurn(wanted, form) : roundToForms(weights, gram.terms, form);
  descend(wanted, gram, damping, form, isInTurn, all);
  return all;
}

std::vector<RoundedGroup> GramRounding::roundInTurn(std::vector<float> weights, const IntegerForm &form) {
  // A block holds whole groups, or a part of a whole row.
  size_t terms = gram.terms, outputs = weights.size() / terms, blockSize = form.size > 256 ? 128 : std::max<size_t>(128, form.size);
  std::vector<Row> rows;
  for (size_t n = 0; n < outputs; ++n)
    rows.emplace_back(weights.data() + n * terms, getErrorRows(), terms, form);
  std::vector<std::vector<RoundedGroup>> groups(outputs);
  // All outputs take a block before the next: its rows of the factor stay in the cache.
  for (size_t begin = 0; begin < terms; begin += blockSize)
    llvm::parallelFor(0, outputs, [&](size_t n) {
      size_t end = std::min(begin + blockSize, terms);
      rows[n].roundBlock(begin, end, groups[n]);
      rows[n].passOn(begin, end);
    });
  std::vector<RoundedGroup> all;
  for (std::vector<RoundedGroup> &own : groups)
    std::move(own.begin(), own.end(), std::back_inserter(all));
  return all;
}

} // namespace onager::compress
