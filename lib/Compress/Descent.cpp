// Rounded weights, improved: integers one by one, scales together, each step to the least error that the others leave.
#include "lib/Compress/Gptq.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

namespace {

/// One output's error e^T H e, e being the differences of its weights, where H is at hand.
class MatrixError {
public:
  explicit MatrixError(const std::vector<float> &hessian, size_t terms) : hessian(hessian), slope(terms) {}

  void add(size_t k, float difference) {
    const float *row = getRow(k);
    for (size_t j = 0; j < slope.size(); ++j)
      slope[j] += difference * row[j];
  }
  float getCurvature(size_t k) const { return getRow(k)[k]; }
  /// (H e)_k
  float getSlope(size_t k) const { return slope[k]; }
  /// b^T H b of a direction that has no terms but those from `begin` to `end`.
  template <typename GetTerm>
  double measure(size_t begin, size_t end, GetTerm getTerm) const {
    double sum = 0;
    for (size_t k = begin; k < end; ++k) {
      double along = 0;
      for (size_t j = begin; j < end; ++j)
        along += getRow(k)[j] * getTerm(j);
      sum += along * getTerm(k);
    }
    return sum;
  }

private:
  const float *getRow(size_t k) const { return hessian.data() + k * slope.size(); }

  const std::vector<float> &hessian;
  std::vector<float> slope;
};

/// The same where H is X^T X + damping and X has few rows: what costs `terms` there costs a number for each row here.
class RowError {
public:
  RowError(const RowRounding::Columns &columns, size_t terms) : columns(columns), residual(columns.rows), differences(terms) {}

  void add(size_t k, float difference) {
    differences[k] += difference;
    addColumn(k, difference, residual);
  }
  float getCurvature(size_t k) const { return columns.squares[k] + columns.damping; }
  float getSlope(size_t k) const { return multiply(columns.get(k), residual.data(), columns.rows) + columns.damping * differences[k]; }
  template <typename GetTerm>
  double measure(size_t begin, size_t end, GetTerm getTerm) const {
    std::vector<float> products(columns.rows);
    double sum = 0;
    for (size_t k = begin; k < end; ++k) {
      addColumn(k, getTerm(k), products);
      sum += static_cast<double>(columns.damping) * getTerm(k) * getTerm(k);
    }
    return sum + static_cast<double>(multiply(products.data(), products.data(), columns.rows));
  }

private:
  void addColumn(size_t k, float factor, std::vector<float> &sums) const {
    const float *column = columns.get(k);
    for (size_t r = 0; r < columns.rows; ++r)
      sums[r] += factor * column[r];
  }

  const RowRounding::Columns &columns;
  std::vector<float> residual; ///< X e
  std::vector<float> differences;
};

/// One output's weights and what its groups stand for.
template <typename Error>
class Output {
public:
  Output(const float *weights, Error error, size_t terms, const IntegerForm &form, RoundedGroup *groups)
      : weights(weights), error(std::move(error)), terms(terms), size(form.size), least(form.getLeast()), most(form.getMost()), groups(groups) {}

  /// To be called for each term before it moves.
  void addError(size_t k) { error.add(k, weights[k] - groups[k / size].scale * getBase(k)); }

  /// The integer of a term goes where the error is least. A weight of 0 stays what it is: masks are made of these.
  void moveInteger(size_t k) {
    if (weights[k] == 0)
      return;
    RoundedGroup &group = groups[k / size];
    uint8_t &integer = group.integers[k % size];
    float wish = static_cast<float>(integer) + error.getSlope(k) / (error.getCurvature(k) * group.scale), level = std::clamp(std::nearbyint(wish), least, most);
    if (level == static_cast<float>(integer))
      return;
    error.add(k, -group.scale * (level - static_cast<float>(integer)));
    integer = static_cast<uint8_t>(level);
  }

  /// The scale of the group that begins at a term goes where the error is least.
  void fitScale(size_t begin) {
    size_t end = std::min(begin + size, terms);
    double square = error.measure(begin, end, [&](size_t k) { return getBase(k); }), product = 0;
    for (size_t k = begin; k < end; ++k)
      product += static_cast<double>(error.getSlope(k)) * getBase(k);
    RoundedGroup &group = groups[begin / size];
    float scale = roundScale(static_cast<float>(group.scale + product / square));
    if (!(square > 0) || !std::isnormal(scale) || scale <= 0)
      return;
    float step = scale - group.scale;
    // The best scale lies between two that can be stored; the next one may be worse than the present.
    if (step * (2 * product - step * square) <= 0)
      return;
    change = step;
    group.scale = scale;
  }

  /// Follows what the last fitScale changed, after a call for each term of the group.
  void followScale(size_t k) {
    if (change != 0)
      error.add(k, -change * getBase(k));
  }

  void endScale() { change = 0; }

private:
  float getBase(size_t k) const { return static_cast<float>(groups[k / size].integers[k % size]) - groups[k / size].zero; }

  const float *weights;
  Error error;
  size_t terms, size;
  float least, most, change = 0;
  RoundedGroup *groups;
};

/// Improves some outputs in step: each row of H, or column of X, is read once for all of them.
template <typename Error>
void improve(std::vector<Output<Error>> &outputs, size_t terms, size_t size, bool movesScales) {
  auto each = [&](size_t begin, size_t end, auto step) {
    for (size_t k = begin; k < end; ++k)
      for (Output<Error> &output : outputs)
        step(output, k);
  };
  // Twice, since the integers behind change what those before should be.
  auto moveIntegers = [&] {
    for (int sweep = 0; sweep < 2; ++sweep)
      each(0, terms, [](Output<Error> &output, size_t k) { output.moveInteger(k); });
  };
  each(0, terms, [](Output<Error> &output, size_t k) { output.addError(k); });
  for (int turn = 0; turn < 3; ++turn) {
    moveIntegers();
    for (size_t begin = 0; movesScales && begin < terms; begin += size) {
      for (Output<Error> &output : outputs)
        output.fitScale(begin);
      each(begin, std::min(begin + size, terms), [](Output<Error> &output, size_t k) { output.followScale(k); });
      for (Output<Error> &output : outputs)
        output.endScale();
    }
  }
  moveIntegers();
}

/// Improves all outputs, each by an error that starts as a copy of `none`.
template <typename Error>
void improveAll(const std::vector<float> &weights, size_t terms, const Error &none, const IntegerForm &form, bool movesScales, std::vector<RoundedGroup> &groups) {
  constexpr size_t kTogether = 16;
  size_t perOutput = llvm::divideCeil(terms, form.size), count = weights.size() / terms;
  llvm::parallelFor(0, llvm::divideCeil(count, kTogether), [&](size_t part) {
    std::vector<Output<Error>> outputs;
    for (size_t n = part * kTogether; n < std::min(count, (part + 1) * kTogether); ++n)
      outputs.emplace_back(weights.data() + n * terms, none, terms, form, groups.data() + n * perOutput);
    improve(outputs, terms, form.size, movesScales);
  });
}

} // namespace

void descend(const std::vector<float> &weights, const Gram &gram, double damping, const IntegerForm &form, bool movesScales, std::vector<RoundedGroup> &groups) {
  size_t terms = gram.terms;
  std::vector<float> hessian(gram.values.begin(), gram.values.end());
  auto added = static_cast<float>(damping * gram.getMean());
  for (size_t k = 0; k < terms; ++k)
    hessian[k * terms + k] += added;
  improveAll(weights, terms, MatrixError(hessian, terms), form, movesScales, groups);
}

RowRounding::RowRounding(const Rows &rows) : terms(rows.terms) {
  columns.rows = rows.count;
  columns.values.resize(rows.values.size());
  columns.squares.resize(terms);
  double sum = 0;
  for (size_t k = 0; k < terms; ++k) {
    float *column = columns.values.data() + k * rows.count;
    for (size_t r = 0; r < rows.count; ++r)
      column[r] = rows.values[r * terms + k];
    columns.squares[k] = multiply(column, column, rows.count);
    sum += columns.squares[k];
  }
  columns.damping = static_cast<float>(chooseDamping(terms, rows.count) * (sum > 0 ? sum / static_cast<double>(terms) : 1));
}

std::vector<RoundedGroup> RowRounding::round(const std::vector<float> &weights, const IntegerForm &form, RoundingMethod method) const {
  std::vector<RoundedGroup> groups = roundToForms(weights, terms, form);
  improveAll(weights, terms, RowError(columns, terms), form, method == RoundingMethod::gptq, groups);
  return groups;
}

} // namespace onager::compress
