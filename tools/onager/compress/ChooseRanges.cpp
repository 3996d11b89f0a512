// Ranges by what the model's outputs lose with them.
#include "Calibrate.h"
#include "lib/Compress/Adjustable.h"
#include "lib/Compress/Apply.h"
#include "tools/onager/Metrics.h"
#include "tools/onager/Session.h"
#include <cmath>
#include <cstring>
#include <numeric>

namespace onager::cli {

namespace {

using compress::Activation;

/// A range for each value, as an index among its candidates.
using Choices = std::vector<size_t>;

/// Runs one compiled model with any ranges.
class RangeRuns {
public:
  RangeRuns(const std::string &bytes, const ScaleCandidates &candidates, std::vector<AnsweredSample> samples, const SampleRuns &runs)
      : candidates(candidates), samples(std::move(samples)), artifact(runs.compileFor(bytes, (this->samples.size() + candidates.size()) * std::size(compress::kRangeMethods), 2)),
        session(artifact.path, runs.getThreads()) {
    auto count = static_cast<int64_t>(candidates.size());
    for (AnsweredSample &sample : this->samples) {
      sample.inputs.push_back(makeTensor(ONAGER_F32, {count}));
      sample.inputs.push_back(makeTensor(ONAGER_U8, {count}));
    }
  }

  size_t countSamples() const { return samples.size(); }

  /// Signal to noise in dB, the mean over outputs of floats, over the first one of some samples, the first two, and so on; up to where that is less than `least` has there.
  std::vector<double> measure(const Choices &choices, const std::vector<size_t> &chosen, const std::vector<double> &least = {}) {
    OutputErrors errors(samples[0].expected.size(), false);
    std::vector<double> found;
    for (size_t index : chosen) {
      AnsweredSample &sample = samples[index];
      setRanges(choices, sample);
      session.bind(sample.inputs);
      session.run();
      errors.add(session.copyOutputs(), sample.expected);
      found.push_back(errors.getSqnr());
      if (!least.empty() && found.back() < least[found.size() - 1])
        break;
    }
    return found;
  }

private:
  void setRanges(const Choices &choices, AnsweredSample &sample) const {
    auto *scales = reinterpret_cast<float *>(sample.inputs[sample.inputs.size() - 2].data.data());
    auto *zeros = reinterpret_cast<uint8_t *>(sample.inputs.back().data.data());
    size_t at = 0;
    for (const auto &[value, ranges] : candidates) {
      scales[at] = ranges[choices[at]].scale;
      zeros[at] = static_cast<uint8_t>(ranges[choices[at]].zeroPoint);
      ++at;
    }
  }

  const ScaleCandidates &candidates;
  std::vector<AnsweredSample> samples;
  Artifact artifact;
  Session session;
};

class RangeChoice {
public:
  RangeChoice(RangeRuns &runs, const ScaleCandidates &candidates, double elements) : runs(runs), candidates(candidates), all(runs.countSamples()), elements(elements) { std::iota(all.begin(), all.end(), 0); }

  Choices run() {
    Choices best = chooseMethod();
    splitSamples();
    if (judges.empty())
      return best;
    Choices refined = refine(best);
    // What refined does not judge: ranges must not fit a few samples alone.
    return runs.measure(refined, judges).back() > runs.measure(best, judges).back() ? refined : best;
  }

private:
  /// One method for all values. A method that is two decibels behind is given up.
  Choices chooseMethod() {
    constexpr double kBehind = 2;
    Choices best;
    std::vector<double> most;
    for (size_t method = 0; method < std::size(compress::kRangeMethods); ++method) {
      showProgress("ranges: method " + std::to_string(method + 1) + " of " + std::to_string(std::size(compress::kRangeMethods)));
      Choices choices(candidates.size(), method);
      std::vector<double> least = most;
      for (double &sqnr : least)
        sqnr -= kBehind;
      std::vector<double> found = runs.measure(choices, all, least);
      if (best.empty() || (found.size() == all.size() && found.back() > most.back())) {
        best = choices;
        most = found;
      }
    }
    return best;
  }

  /// As many samples refine as a fixed number of rounded elements allows, up to a half of them; the others judge. Fewer than two say too little.
  void splitSamples() {
    constexpr double kElements = 4e9;
    double trials = static_cast<double>(candidates.size() * (std::size(compress::kRangeMethods) - 1)) / 2;
    auto count = std::min({static_cast<size_t>(kElements / (elements * trials + 1)), all.size() / 2, size_t(8)});
    if (count < 2)
      return;
    for (size_t k = 0; k < all.size(); ++k)
      (k * count / all.size() != (k + 1) * count / all.size() ? refiners : judges).push_back(k);
  }

  /// True where two ranges are the same to a hundredth.
  static bool areAlike(const Activation &a, const Activation &b) { return std::abs(a.scale - b.scale) <= 0.01f * std::max(a.scale, b.scale) && std::abs(a.zeroPoint - b.zeroPoint) <= 2; }

  /// One value after the other, with all others as they are by then. What gains less than a fiftieth of a decibel is noise; what is behind on the first samples is given up.
  Choices refine(Choices choices) {
    constexpr double kGain = 0.02;
    std::vector<double> most = runs.measure(choices, refiners);
    size_t at = 0;
    for (const auto &[value, ranges] : candidates) {
      showProgress("ranges: value " + std::to_string(at + 1) + " of " + std::to_string(candidates.size()));
      std::vector<Activation> tried{ranges[choices[at]]};
      for (size_t k = 0; k < ranges.size(); ++k) {
        if (std::any_of(tried.begin(), tried.end(), [&](const Activation &other) { return areAlike(other, ranges[k]); }))
          continue;
        tried.push_back(ranges[k]);
        Choices other = choices;
        other[at] = k;
        std::vector<double> found = runs.measure(other, refiners, most);
        if (found.size() == refiners.size() && found.back() > most.back() + kGain) {
          most = std::move(found);
          choices = std::move(other);
        }
      }
      ++at;
    }
    return choices;
  }

  RangeRuns &runs;
  const ScaleCandidates &candidates;
  std::vector<size_t> all, refiners, judges;
  double elements;
};

} // namespace

void chooseRanges(const compress::ModelGraph &model, compress::Recipe &recipe, const ScaleCandidates &candidates, std::vector<AnsweredSample> samples, double elements, const SampleRuns &runs) {
  compress::ModelGraph rewritten = model;
  compress::Recipe copy = recipe;
  std::string error;
  if (!compress::applyRecipe(rewritten, copy, error))
    throw Failure(Status::internal, error);
  std::vector<std::string> values;
  for (const auto &[value, ranges] : candidates)
    values.push_back(value);
  compress::makeAdjustable(rewritten, values);
  RangeRuns ranged(rewritten.serialize(), candidates, std::move(samples), runs);
  Choices choices = RangeChoice(ranged, candidates, elements).run();
  for (size_t k = 0; k < values.size(); ++k)
    recipe.activations[values[k]] = candidates.at(values[k])[choices[k]];
}

} // namespace onager::cli
