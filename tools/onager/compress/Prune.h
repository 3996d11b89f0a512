// Pruning as a step of `onager compress`, before anything is quantised.
#ifndef ONAGER_TOOLS_COMPRESS_PRUNE_H
#define ONAGER_TOOLS_COMPRESS_PRUNE_H

#include "SampleRuns.h"
#include "lib/Compress/Prune/Pruning.h"

namespace CLI {
class Option;
}

namespace onager::cli {

struct PruneArguments {
  std::vector<std::string> shares; ///< "channels=0.5", "heads=0.25", "flops=0.3", "hidden=0.25"
  std::string criterion, scope = "layer", rotation = "shared", mask, maskMethod;
  double floor = 0.125;
  bool isPlain = false; ///< no refit
  /// Declares the options that choose, which a recipe leaves no room for.
  void addOptions(CLI::App &app, CLI::Option *recipe);
  bool isAny() const { return !shares.empty() || !mask.empty(); }
};

/// Prunes the model as the options say or, with the text of a recipe, as that does; `kept` are nodes that keep their channels and get no mask. Runs samples where the criterion, the masks or the refit need them, and fails
/// without.
compress::Pruning prune(compress::ModelGraph &model, const PruneArguments &arguments, const std::string &recipe, const std::vector<std::string> &kept, const SampleRuns &runs);

/// Writes the model's residual streams in the basis of their principal components, and leaves out a share of them; the signals are those of the calibration samples. Fails where no stream can be rotated.
void sliceStreams(compress::ModelGraph &model, double share, bool hasOwnBases, const SampleRuns &runs, compress::Pruning &pruning);
/// The same for the streams and widths of a recipe.
void repeatStreams(compress::ModelGraph &model, const SampleRuns &runs, compress::Pruning &pruning);

/// Fits layers behind what was cut to what they gave in the plain model, one after the other, on the calibration samples.
void refit(compress::ModelGraph &model, const std::string &plain, compress::Pruning &pruning, const SampleRuns &runs);

/// Masks the layers that `pruning` lists, and fits what is left of them to what they gave in the plain model where it says so.
void applyMasks(compress::ModelGraph &model, const std::string &plain, compress::Pruning &pruning, const SampleRuns &runs);

/// Asks the compiler which kernels the masked layers of the compressed model get, and why.
void findKernels(const std::string &model, compress::Pruning &pruning);

llvm::json::Value printPruneReport(const compress::Pruning &pruning);
/// The same for people.
std::string describePruning(const compress::Pruning &pruning);

} // namespace onager::cli

#endif
