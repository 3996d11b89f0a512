// Runs of a model whose layers' schemes are inputs.
#ifndef ONAGER_TOOLS_COMPRESS_SELECTABLERUNS_H
#define ONAGER_TOOLS_COMPRESS_SELECTABLERUNS_H

#include "Budget.h"
#include "SampleRuns.h"
#include "tools/onager/Session.h"

namespace onager::cli {

/// Losses of choices against the plain model. Holds as many calibration samples, with the plain outputs, as fit into 512 MiB, at most 64.
class SelectableRuns {
public:
  /// `bytes` is what makeSelectable made of a model with so many layers.
  SelectableRuns(const std::string &bytes, size_t layers, const SampleRuns &runs);

  size_t countSamples() const { return samples.size(); }
  /// Seconds of one run.
  double getSeconds() const { return seconds; }
  /// What the first `count` samples lose by the choices, for each budget.
  std::vector<std::vector<Loss>> measure(const std::vector<int64_t> &choices, const std::vector<Budget> &budgets, size_t count);

private:
  struct Sample {
    size_t index = 0; ///< among all samples
    std::vector<Tensor> inputs, expected; ///< `inputs` end with the choices
  };

  Artifact artifact;
  Session session;
  std::vector<Sample> samples;
  double seconds = 0;
};

} // namespace onager::cli

#endif
