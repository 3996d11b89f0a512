// What a compression learns from the calibration samples.
#ifndef ONAGER_TOOLS_COMPRESS_CALIBRATE_H
#define ONAGER_TOOLS_COMPRESS_CALIBRATE_H

#include "SampleRuns.h"
#include "lib/Compress/Recipe.h"

namespace onager::cli {

/// Finds scales for the values that become bytes and have none in the recipe; true where data was needed. Fails without data, and for values that hold no number.
bool calibrate(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs);

/// A calibration sample and what the plain model makes of it.
struct AnsweredSample {
  std::vector<Tensor> inputs, expected; ///< `expected` are the first of a model's outputs
};

/// As many samples as fit into 512 MiB, at most 64.
class AnsweredSamples {
public:
  void add(const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs, size_t count);
  std::vector<AnsweredSample> samples;

private:
  uint64_t held = 0;
};

/// Scales of one value by each of kRangeMethods.
using ScaleCandidates = std::map<std::string, std::vector<compress::Activation>>;

/// Chooses among the candidates, by what the outputs of the model that the recipe makes lose on the samples: first one method for all values, then another for single ones. All ranges are inputs of one
/// compiled model (Adjustable.h). `elements` is how many numbers of the values a sample has: the fewer, the more samples are looked at.
void chooseRanges(const compress::ModelGraph &model, compress::Recipe &recipe, const ScaleCandidates &candidates, std::vector<AnsweredSample> samples, double elements, const SampleRuns &runs);

/// What rounding by data looks at.
struct RoundingSamples {
  std::vector<size_t> samples;
  bool isCareful = false; ///< layers of which the samples have fewer than two rows for a term, or whose sums are very long, are rounded to the nearest instead
};

/// Rounds the weights of layers with the rounding gptq or adaround by the inputs that they meet; true where any were rounded. What a recipe has moved already stays. Fails without data.
bool roundByData(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs, const RoundingSamples &samples);

/// Rounds layers of int8 by adaround, and with `correctsBiases` corrects biases then. False, and the recipe is as it was, where the outputs, on calibration samples that did not round, would not be nearer to the plain model's by a decibel.
bool improveRounding(const compress::ModelGraph &model, compress::Recipe &recipe, bool correctsBiases, const SampleRuns &runs);

} // namespace onager::cli

#endif
