// Factors of channels and shifts of biases as steps of `onager compress`.
#ifndef ONAGER_TOOLS_COMPRESS_SCALE_H
#define ONAGER_TOOLS_COMPRESS_SCALE_H

#include "SampleRuns.h"
#include "lib/Compress/Scaling/Scaling.h"

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace onager::cli {

struct ScaleArguments {
  std::vector<std::string> methods;
  std::optional<double> alpha;
  std::optional<bool> correctsBiases; ///< nothing where the scheme decides
  /// Declares the options that choose, which a recipe leaves no room for.
  void addOptions(CLI::App &app, CLI::Option *recipe);
};

/// Scales channels by one method after the other. `planned` is what becomes of the layers: it decides what smoothquant and awq look at. Runs samples for these, and fails without.
void scaleChannels(compress::ModelGraph &model, const ScaleArguments &arguments, const compress::Recipe &planned, const SampleRuns &runs, compress::Scalings &scalings);

/// Finds, one layer after the other, by how much the mean of each output channel changes by what the recipe does so far, and writes the opposite into it. A change of less than twice its own standard
/// error, as samples differ, stays. False, and the recipe is as it was, where the model's outputs on the samples would be no nearer. Fails without data.
bool correctBiases(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs);

llvm::json::Value printScaleReport(const compress::Scalings &scalings);
/// The same for people.
std::string describeScaling(const compress::Scalings &scalings);

} // namespace onager::cli

#endif
