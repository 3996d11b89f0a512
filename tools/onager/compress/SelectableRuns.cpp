// Running choices.
#include "SelectableRuns.h"
#include <chrono>
#include <cstring>

namespace onager::cli {

static uint64_t countBytes(const std::vector<Tensor> &tensors) {
  uint64_t bytes = 0;
  for (const Tensor &tensor : tensors)
    bytes += tensor.data.size();
  return bytes;
}

SelectableRuns::SelectableRuns(const std::string &bytes, size_t layers, const SampleRuns &runs) : artifact(runs.compile(bytes)), session(artifact.path, runs.getThreads()) {
  constexpr uint64_t kMostBytes = uint64_t(512) << 20;
  constexpr size_t kMostSamples = 64;
  rt::Manifest manifest = readManifest(artifact.path), own = manifest;
  own.inputs.pop_back();
  uint64_t held = 0;
  for (size_t index : runs.getCalibration()) {
    showProgress("plain outputs: sample " + std::to_string(samples.size() + 1));
    Sample sample{index, runs.load(index, own), {}};
    sample.inputs.push_back(makeTensor(ONAGER_I64, {static_cast<int64_t>(layers)}));
    std::memset(sample.inputs.back().data.data(), 0, sample.inputs.back().data.size());
    session.bind(sample.inputs);
    auto start = std::chrono::steady_clock::now();
    session.run();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    sample.expected = session.copyOutputs();
    held += countBytes(sample.inputs) + countBytes(sample.expected);
    samples.push_back(std::move(sample));
    if (held > kMostBytes || samples.size() == kMostSamples)
      break;
  }
}

std::vector<std::vector<Loss>> SelectableRuns::measure(const std::vector<int64_t> &choices, const std::vector<Budget> &budgets, size_t count) {
  std::vector<std::vector<Loss>> losses(budgets.size());
  for (size_t k = 0; k < std::min(count, samples.size()); ++k) {
    Sample &sample = samples[k];
    std::memcpy(sample.inputs.back().data.data(), choices.data(), choices.size() * sizeof(int64_t));
    session.bind(sample.inputs);
    session.run();
    std::vector<Tensor> found = session.copyOutputs();
    for (size_t b = 0; b < budgets.size(); ++b)
      losses[b].push_back(budgets[b].measure(found, sample.expected, sample.index));
  }
  return losses;
}

} // namespace onager::cli
