// What a compression came to: sizes, errors on data that it has not seen, time.
#ifndef ONAGER_TOOLS_COMPRESS_REPORT_H
#define ONAGER_TOOLS_COMPRESS_REPORT_H

#include "Prune.h"
#include "Scale.h"
#include "Search.h"
#include "lib/Compress/Recipe.h"
#include "llvm/Support/JSON.h"

namespace onager::cli {

/// How far one output of the compressed model lies from the plain one's, over all samples; rows agree where their largest element is the same.
struct OutputError {
  std::string name;
  Metrics metrics;
};

/// Seconds of a run, medians of runs in turns.
struct Speed {
  double plain = 0, compressed = 0;
};

/// Runs both models on some of the samples, in their order, and shows their outputs. `what` is the line of progress.
using VisitPair = std::function<void(const rt::Manifest &manifest, const std::vector<Tensor> &expected, const std::vector<Tensor> &found)>;
void visitPairs(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs, const std::vector<size_t> &chosen, const std::string &what, const VisitPair &visit);

/// Runs both models on some of the samples, one at least, and compares their outputs.
std::vector<OutputError> compareModels(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs, const std::vector<size_t> &chosen);

/// Runs both models in turns on one sample.
Speed measureSpeed(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs);

/// What became of a budget on the held-out samples.
struct BudgetOutcome {
  std::string text;
  double value = 0; ///< of the metric
  bool holds = true;
};

struct CompressReport {
  compress::Recipe recipe;
  compress::Pruning pruning;
  compress::Scalings scalings;
  size_t calibrationSamples = 0, judgingSamples = 0, heldOutSamples = 0; ///< those that judge are between those that choose and those that are held out
  uint64_t bytesBefore = 0, bytesAfter = 0; ///< of the ONNX model
  std::vector<OutputError> errors;
  Speed speed;
  SearchResult search;         ///< empty where one scheme was asked for
  std::vector<BudgetOutcome> budgets;
  std::vector<std::string> notes;
};

llvm::json::Value printReport(const CompressReport &report);
/// The same as a page of HTML; `model` is what it calls the model.
std::string printHtml(const CompressReport &report, const std::string &model);
/// The same for people, in short.
std::string describeReport(const CompressReport &report);

} // namespace onager::cli

#endif
