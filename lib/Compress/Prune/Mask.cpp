// Choosing weights that become 0.
#include "lib/Compress/Prune/Mask.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

static constexpr const char *kMethods[] = {"magnitude", "wanda", "sparsegpt"};

const char *printMaskMethod(MaskMethod method) { return kMethods[static_cast<int>(method)]; }

bool readMaskMethod(const std::string &name, MaskMethod &method) {
  for (int k = 0; k < 3; ++k)
    if (name == kMethods[k]) {
      method = static_cast<MaskMethod>(k);
      return true;
    }
  return false;
}

bool readMaskPattern(const std::string &text, MaskPattern &pattern) {
  auto [kept, of] = llvm::StringRef(text).split(':');
  if (!of.empty())
    return !kept.getAsInteger(10, pattern.kept) && !of.getAsInteger(10, pattern.of) && pattern.kept > 0 && pattern.kept < pattern.of && pattern.of <= 64;
  return !llvm::StringRef(text).getAsDouble(pattern.share) && pattern.share > 0 && pattern.share < 1;
}

namespace {

/// Marks the `count` indices with the smallest scores; of equal ones the first.
template <typename Score>
std::vector<size_t> findSmallest(size_t begin, size_t end, size_t count, const Score &score) {
  std::vector<size_t> order;
  for (size_t k = begin; k < end; ++k)
    order.push_back(k);
  count = std::min(count, order.size());
  auto isLess = [&](size_t a, size_t b) { return std::pair(score(a), a) < std::pair(score(b), b); };
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), isLess);
  order.resize(count);
  return order;
}

size_t countShare(double share, size_t of) { return static_cast<size_t>(std::floor(share * static_cast<double>(of) + 0.5)); }

/// Zeroes the weights with the smallest scores; `scores` are parallel to the weights.
void maskByScores(Rows &weights, const MaskPattern &pattern, const std::vector<double> &scores, bool isWhole) {
  size_t terms = weights.terms;
  auto clear = [&](size_t begin, size_t end, size_t count) {
    for (size_t k : findSmallest(begin, end, count, [&](size_t index) { return scores[index]; }))
      weights.values[k] = 0;
  };
  if (pattern.of == 0 && isWhole)
    return clear(0, weights.values.size(), countShare(pattern.share, weights.values.size()));
  for (size_t n = 0; n < weights.count; ++n) {
    if (pattern.of == 0) {
      clear(n * terms, (n + 1) * terms, countShare(pattern.share, terms));
      continue;
    }
    // What is left over at an output's end is no whole group, and stays.
    auto size = static_cast<size_t>(pattern.of);
    for (size_t k = 0; k + size <= terms; k += size)
      clear(n * terms + k, n * terms + k + size, static_cast<size_t>(pattern.of - pattern.kept));
  }
}

/// Goes through the terms in blocks; the errors of a block's removed weights are made up for by those behind each.
class ErrorSpreader {
public:
  ErrorSpreader(Rows &weights, const MaskPattern &pattern, const Gram &gram) : weights(weights), pattern(pattern), errorRows(makeErrorRows(gram)), terms(weights.terms) {}

  void run() {
    size_t size = pattern.of ? static_cast<size_t>(pattern.of) : 128;
    size_t block = pattern.of ? size * std::max<size_t>(1, 128 / size) : size;
    std::vector<bool> isRemoved(weights.values.size());
    for (size_t begin = 0; begin < terms; begin += block) {
      size_t end = std::min(terms, begin + block);
      if (!pattern.of)
        choose(begin, end, isRemoved);
      for (size_t n = 0; n < weights.count; ++n)
        spread(n, begin, end, isRemoved);
    }
  }

private:
  double score(size_t index) const {
    double weight = weights.values[index], scale = errorRows[index % terms * terms + index % terms];
    return weight * weight / (scale * scale);
  }

  /// A share of a block, compared over all outputs.
  void choose(size_t begin, size_t end, std::vector<bool> &isRemoved) const {
    size_t width = end - begin, count = width * weights.count;
    auto place = [&](size_t k) { return k / width * terms + begin + k % width; };
    for (size_t k : findSmallest(0, count, countShare(pattern.share, count), [&](size_t index) { return score(place(index)); }))
      isRemoved[place(k)] = true;
  }

  void spread(size_t n, size_t begin, size_t end, std::vector<bool> &isRemoved) {
    float *row = weights.values.data() + n * terms;
    auto size = static_cast<size_t>(pattern.of);
    for (size_t k = begin; k < end; ++k) {
      if (size && k % size == 0 && k + size <= terms)
        for (size_t j : findSmallest(n * terms + k, n * terms + k + size, static_cast<size_t>(pattern.of - pattern.kept), [&](size_t index) { return score(index); }))
          isRemoved[j] = true;
      if (!isRemoved[n * terms + k])
        continue;
      const float *factors = errorRows.data() + k * terms;
      float error = row[k] / factors[k];
      for (size_t j = k + 1; j < terms; ++j)
        row[j] -= error * factors[j];
      row[k] = 0;
    }
  }

  Rows &weights;
  const MaskPattern &pattern;
  std::vector<float> errorRows;
  size_t terms;
};

} // namespace

void maskRows(Rows &weights, const MaskPattern &pattern, MaskMethod method, const Gram &gram) {
  if (method == MaskMethod::sparsegpt)
    return ErrorSpreader(weights, pattern, gram).run();
  std::vector<double> scores(weights.values.size());
  for (size_t k = 0; k < scores.size(); ++k) {
    size_t term = k % weights.terms;
    scores[k] = std::abs(weights.values[k]) * (method == MaskMethod::wanda ? std::sqrt(std::max(0.0, gram.values[term * gram.terms + term])) : 1.0);
  }
  maskByScores(weights, pattern, scores, method == MaskMethod::magnitude);
}

std::string explainUnmaskable(const ModelGraph &model, const Layer &layer) {
  if (layer.isTransposedConv())
    return "transposed convolutions take no mask";
  if (countTerms(layer) < 4)
    return "its sums have fewer than four terms";
  if (layer.node->op_type() == "Conv" && layer.dims[1] == 1 && countGroups(layer) > 1)
    return "each channel has a filter of its own";
  if (model.countReaders(layer.weights) > 1)
    return "its weights are shared";
  if (getInt(*layer.node, "transA", 0))
    return "the left operand is transposed";
  return {};
}

} // namespace onager::compress
