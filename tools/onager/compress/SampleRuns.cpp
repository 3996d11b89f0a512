// Compiling and running forms of a model.
#include "SampleRuns.h"
#include "tools/onager/Session.h"
#include "llvm/ADT/StringRef.h"

namespace onager::cli {

SampleRuns::SampleRuns(std::string shown, const std::string &folder, const InputArguments &random, int threads) : shown(std::move(shown)), random(random), threads(threads) {
  if (folder.empty())
    return;
  if (llvm::StringRef number(folder); number.consume_front("self:")) {
    if (number.getAsInteger(10, toDraw) || toDraw == 0 || toDraw > 10'000)
      throw Failure(Status::badOption, "samples: expected self:N with N from 1 to 10000, found '" + folder + "'");
  } else
    samples.emplace(folder, this->random);
  for (size_t k = 0; k < (samples ? samples->size() : toDraw); ++k)
    (k % 5 == 4 ? heldOut : calibration).push_back(k);
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

Artifact SampleRuns::compile(ModelSource source) const {
  CompileOptions options;
  options.recompile = false;
  return compileSource(std::move(source), options);
}

void SampleRuns::run(std::string bytes, const std::vector<size_t> &chosen, const std::string &what, const Visit &visit) const {
  Artifact artifact = compile(std::move(bytes));
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
