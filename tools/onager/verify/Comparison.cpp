// Batches of samples through both sides.
#include "Comparison.h"
#include "llvm/ADT/STLExtras.h"

namespace onager::cli {

static bool isSmall(int32_t dtype) { return dtype == ONAGER_F16 || dtype == ONAGER_BF16 || dtype >= ONAGER_F8E4M3FN; }

static bool isFloat(int32_t dtype) { return dtype == ONAGER_F32 || dtype == ONAGER_F64 || isSmall(dtype); }

Tolerance Judge::getTolerance(int32_t dtype) const {
  bool isWide = !isSmall(dtype);
  return {rtol.value_or(isWide ? 1e-3 : 1e-2), atol.value_or(isWide ? 1e-4 : 1e-2)};
}

bool Judge::accepts(const Metrics &metrics) const {
  if (thresholds.empty())
    return metrics.outside == 0;
  return llvm::all_of(thresholds, [&](const Threshold &threshold) { return threshold.holds(metrics); });
}

Judge Judge::forValuesInside() const {
  Judge judge = *this;
  llvm::erase_if(judge.thresholds, [](const Threshold &threshold) { return threshold.metric == "kl" || threshold.metric == "top_k"; });
  return judge;
}

namespace {
/// A value that both sides have, and its sums.
struct Pair {
  size_t found, expected;
  ValueErrors errors;
  std::optional<ErrorSums> sums;

  void add(const Tensor &mine, Tensor &wanted, const Judge &judge, bool isInside);
};

/// Remembers the outputs of a single sample.
class KeptSide : public Side {
public:
  explicit KeptSide(std::unique_ptr<Side> side) : side(std::move(side)) { outputs = this->side->getOutputs(); }
  Batch run(Batch &inputs) override {
    if (kept.empty())
      kept = side->run(inputs);
    return kept;
  }

private:
  std::unique_ptr<Side> side;
  Batch kept;
};
} // namespace

std::unique_ptr<Side> keepOutputs(std::unique_ptr<Side> side) { return std::make_unique<KeptSide>(std::move(side)); }

/// Values inside of two models may be floats of different types.
void Pair::add(const Tensor &mine, Tensor &wanted, const Judge &judge, bool isInside) {
  adaptType(wanted, mine.dtype, "output '" + errors.name + "' of the reference");
  errors.dtype = mine.dtype;
  errors.dims = mine.dims;
  bool isSameKind = mine.dtype == wanted.dtype || (isInside && isFloat(mine.dtype) && isFloat(wanted.dtype));
  if (!isSameKind || mine.dims != wanted.dims) {
    errors.mismatch = std::string(getTypeName(mine.dtype)) + " " + describeDims(mine.dims) + ", expected " + getTypeName(wanted.dtype) + " " + describeDims(wanted.dims);
    return;
  }
  if (!sums)
    sums.emplace(judge.getTolerance(isSmall(wanted.dtype) ? wanted.dtype : mine.dtype), judge.k);
  sums->add(mine, wanted);
}

static std::vector<Pair> pairOutputs(const Side &found, const Side &expected) {
  std::vector<Pair> pairs;
  for (size_t k = 0; k < found.getOutputs().size(); ++k) {
    const std::string &name = found.getOutputs()[k];
    auto place = llvm::find(expected.getOutputs(), name);
    if (place != expected.getOutputs().end())
      pairs.push_back({k, static_cast<size_t>(place - expected.getOutputs().begin()), {name, 0, {}, "", {}, true}, std::nullopt});
  }
  return pairs;
}

std::vector<ValueErrors> compareSides(CompiledSide &found, Side &expected, const Data &data, const Judge &judge) {
  std::vector<Pair> pairs = pairOutputs(found, expected);
  for (size_t begin = 0; begin < data.size(); begin += expected.getBatch()) {
    Batch inputs;
    for (size_t index = begin; index < std::min(begin + expected.getBatch(), data.size()); ++index)
      inputs.push_back(data.load(index, found.getManifest()));
    if (data.size() > 1)
      showProgress("samples " + std::to_string(begin + 1) + " to " + std::to_string(begin + inputs.size()) + " of " + std::to_string(data.size()));
    Batch mine = found.run(inputs), wanted = expected.run(inputs);
    for (size_t k = 0; k < inputs.size(); ++k)
      for (Pair &pair : pairs)
        pair.add(mine[k][pair.found], wanted[k][pair.expected], judge, found.exposesValues());
  }
  std::vector<ValueErrors> errors;
  for (Pair &pair : pairs) {
    if (pair.sums)
      pair.errors.metrics = pair.sums->finish();
    pair.errors.isFine = pair.errors.mismatch.empty() && (pair.errors.dtype == ONAGER_STRING ? pair.errors.metrics.outside == 0 : judge.accepts(pair.errors.metrics));
    errors.push_back(std::move(pair.errors));
  }
  return errors;
}

bool areFine(const std::vector<ValueErrors> &errors) {
  return llvm::all_of(errors, [](const ValueErrors &value) { return value.isFine; });
}

} // namespace onager::cli
