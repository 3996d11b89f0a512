// What a compression came to: sizes, errors on data that it has not seen, time.
#ifndef ONAGER_TOOLS_COMPRESS_REPORT_H
#define ONAGER_TOOLS_COMPRESS_REPORT_H

#include "Prune.h"
#include "SampleRuns.h"
#include "lib/Compress/Recipe.h"
#include "llvm/Support/JSON.h"

namespace onager::cli {

/// How far one output of the compressed model lies from the plain one's, over all samples.
struct OutputError {
  std::string name;
  double cosine = 1;   ///< of all elements together
  double sqnr = 0;     ///< signal to noise, in dB
  double most = 0;     ///< largest absolute difference
  double mean = 0;     ///< mean absolute difference
  double agreement = 1; ///< share of rows along the last dim whose largest element is the same
};

/// Seconds of a run, medians of runs in turns.
struct Speed {
  double plain = 0, compressed = 0;
};

/// Runs both models on some of the samples and compares their outputs.
std::vector<OutputError> compareModels(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs, const std::vector<size_t> &chosen);

/// Runs both models in turns on one sample.
Speed measureSpeed(const Artifact &plain, const Artifact &compressed, const SampleRuns &runs);

struct CompressReport {
  compress::Recipe recipe;
  compress::Pruning pruning;
  size_t calibrationSamples = 0, heldOutSamples = 0;
  uint64_t bytesBefore = 0, bytesAfter = 0; ///< of the ONNX model
  std::vector<OutputError> errors;
  Speed speed;
  std::vector<std::string> notes;
};

llvm::json::Value printReport(const CompressReport &report);
/// The same for people.
std::string describeReport(const CompressReport &report);

} // namespace onager::cli

#endif
