// Compiling and running forms of a model.
#include "SampleRuns.h"
#include "tools/onager/Session.h"
#include "llvm/ADT/StringRef.h"
#include <cmath>

namespace onager::cli {

SampleRuns::SampleRuns(std::string shown, const std::string &folder, const InputArguments &random, int threads) : shown(std::move(shown)), random(random), threads(threads) {
  if (folder.empty())
    return;
  if (llvm::StringRef number(folder); number.consume_front("batch-norm") && (number.empty() || number.consume_front(":"))) {
    constexpr double kDeviations = 6; // as published
    double deviations = kDeviations;
    if ((!number.empty() && number.getAsDouble(deviations)) || !(deviations > 0 && deviations <= 100))
      throw Failure(Status::badOption, "samples: expected batch-norm:K with K above 0 and up to 100, found '" + folder + "'");
    normDeviations = deviations;
  } else if (number.consume_front("self:")) {
    if (number.getAsInteger(10, toDraw) || toDraw == 0 || toDraw > 10'000)
      throw Failure(Status::badOption, "samples: expected self:N with N from 1 to 10000, found '" + folder + "'");
  } else {
    samples.emplace(folder, this->random);
  }
  for (size_t k = 0; k < (samples ? samples->size() : toDraw); ++k)
    (k % 5 == 4 ? heldOut : calibration).push_back(k);
}

void SampleRuns::appointJudges() {
  if (calibration.size() < 12)
    return;
  SampleSplit split = splitSamples(calibration, calibration.size());
  calibration = std::move(split.makers);
  judges = std::move(split.judges);
}

std::vector<Tensor> SampleRuns::load(size_t index, const rt::Manifest &manifest) const {
  if (toDraw) {
    std::vector<Tensor> inputs;
    for (const rt::TensorInfo &info : manifest.inputs)
      inputs.push_back(drawn.at(index).at(info.name));
    return inputs;
  }
  return samples ? samples->load(index, manifest) : random.collectRandom(manifest, index);
}

Artifact SampleRuns::compile(ModelSource source, int optLevel) const {
  CompileOptions options;
  options.optLevel = optLevel;
  options.recompile = false;
  return compileSource(std::move(source), options);
}

/// Scalar operations of a run on inputs of such dims.
static double countOperations(const rt::Manifest &manifest, const std::vector<Tensor> &inputs) {
  std::vector<int64_t> symbols(manifest.symbols.size(), 1);
  for (size_t k = 0; k < inputs.size(); ++k)
    for (size_t d = 0; d < inputs[k].dims.size(); ++d)
      if (int64_t symbol = 0; manifest.inputs[k].dims[d].isSymbol(symbol))
        symbols[static_cast<size_t>(symbol)] = inputs[k].dims[d];
  bool bad = false;
  auto operations = static_cast<double>(manifest.work.evaluate(symbols.data(), bad));
  return bad ? HUGE_VAL : operations;
}

Artifact SampleRuns::compileFor(const std::string &bytes, size_t count, size_t others) const {
  if (effort.isSurelyWorthIt(count))
    return compile(bytes);
  Artifact quick = compile({"", bytes, shown, false}, 1);
  rt::Manifest manifest = readManifest(quick.path), own = manifest;
  own.inputs.resize(own.inputs.size() - others);
  std::vector<Tensor> inputs = manifest.symbols.empty() || calibration.empty() ? std::vector<Tensor>() : load(calibration[0], own);
  return effort.isWorthIt({countOperations(manifest, inputs), manifest.launches.size()}, count) ? compile(bytes) : quick;
}

SampleSplit splitSamples(const std::vector<size_t> &all, size_t most) {
  SampleSplit split;
  size_t count = std::min(all.size() - all.size() / 4, most);
  for (size_t k = 0; k < all.size(); ++k)
    (k * count / all.size() != (k + 1) * count / all.size() ? split.makers : split.judges).push_back(all[k]);
  if (split.judges.empty())
    split.judges = split.makers;
  return split;
}

void SampleRuns::run(const std::string &bytes, const std::vector<size_t> &chosen, const std::string &what, const Visit &visit) const {
  Artifact artifact = compileFor(bytes, chosen.size());
  rt::Manifest manifest = readManifest(artifact.path);
  Session session(artifact.path, threads);
  for (size_t k = 0; k < chosen.size(); ++k) {
    showProgress(what + ": sample " + std::to_string(k + 1) + " of " + std::to_string(chosen.size()));
    std::vector<Tensor> inputs = load(chosen[k], manifest);
    session.bind(inputs);
    session.run();
    visit(manifest, inputs, session.copyOutputs());
  }
}

} // namespace onager::cli
