// Rounding by data where nobody asked for a rounding: of layers that the data say enough of, if it brings the outputs nearer.
#include "Calibrate.h"
#include "Report.h"
#include "lib/Compress/Apply.h"
#include "tools/onager/Metrics.h"

namespace onager::cli {

namespace {

using compress::Recipe;

class RoundingChoice {
public:
  RoundingChoice(const compress::ModelGraph &model, const SampleRuns &runs) : model(model), runs(runs), split(splitSamples(runs.getCalibration(), kMostSamples)) {
    if (split.judges.size() > kMostSamples)
      split.judges.resize(kMostSamples);
  }

  bool run(Recipe &recipe, bool correctsBiases) const {
    Recipe candidate = recipe;
    for (compress::LayerRecipe &entry : candidate.layers) {
      entry.shift.clear();
      if (entry.scheme == compress::Scheme::int8)
        entry.rounding = compress::RoundingMethod::adaround;
    }
    if (!roundByData(model, candidate, runs, {split.makers, /*isCareful=*/true}))
      return false;
    if (correctsBiases)
      correctBiases(model, candidate, runs);
    Artifact plain = runs.compileFor(model.serialize(), 2 * split.judges.size());
    // Less is as often chance as not.
    constexpr double kGain = 1;
    if (!(measure(plain, candidate) > measure(plain, recipe) + kGain))
      return false;
    recipe = std::move(candidate);
    return true;
  }

private:
  static constexpr size_t kMostSamples = 64;

  /// Signal to noise on the samples that judge.
  double measure(const Artifact &plain, Recipe copy) const {
    compress::ModelGraph rewritten = model;
    std::string error;
    if (!compress::applyRecipe(rewritten, copy, error))
      throw Failure(Status::internal, error);
    std::optional<OutputErrors> errors;
    visitPairs(plain, runs.compileFor(rewritten.serialize(), split.judges.size()), runs, split.judges, "rounding: sample", [&](const rt::Manifest &, const std::vector<Tensor> &expected, const std::vector<Tensor> &found) {
      if (!errors)
        errors.emplace(expected.size(), false);
      errors->add(found, expected);
    });
    return errors->getSqnr();
  }

  const compress::ModelGraph &model;
  const SampleRuns &runs;
  SampleSplit split;
};

} // namespace

bool improveRounding(const compress::ModelGraph &model, Recipe &recipe, bool correctsBiases, const SampleRuns &runs) { return RoundingChoice(model, runs).run(recipe, correctsBiases); }

} // namespace onager::cli
