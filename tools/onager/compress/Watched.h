// A compiled form of a model whose values are looked at sample by sample.
#ifndef ONAGER_TOOLS_COMPRESS_WATCHED_H
#define ONAGER_TOOLS_COMPRESS_WATCHED_H

#include "SampleRuns.h"
#include "tools/onager/Session.h"

namespace onager::cli {

/// Its outputs are found by name. One thread at a time; `runs` must outlive the object. `count` is about how many runs there will be.
class Watched {
public:
  Watched(const SampleRuns &runs, const std::string &bytes, size_t count) : runs(runs), artifact(runs.compileFor(bytes, count)), manifest(readManifest(artifact.path)), session(artifact.path, runs.getThreads()) {}

  std::vector<Tensor> run(size_t sample) {
    inputs = runs.load(sample, manifest);
    session.bind(inputs);
    session.run();
    return session.copyOutputs();
  }
  const Tensor &find(const std::vector<Tensor> &outputs, const std::string &name) const {
    for (size_t k = 0; k < outputs.size(); ++k)
      if (manifest.outputs[k].name == name)
        return outputs[k];
    throw Failure(Status::internal, "value '" + name + "' is no output");
  }

private:
  const SampleRuns &runs;
  Artifact artifact;
  rt::Manifest manifest;
  Session session;
  std::vector<Tensor> inputs;
};

inline const float *getFloats(const Tensor &tensor) { return reinterpret_cast<const float *>(tensor.data.data()); }

/// Of very many rows every so-manieth is taken: eight for each term over all samples, and 256 a sample at least.
inline size_t chooseStep(size_t rows, size_t terms, size_t samples) {
  size_t wanted = std::max<size_t>(256, 8 * terms / std::max<size_t>(samples, 1));
  return std::max<size_t>(1, rows / wanted);
}

inline size_t countRows(const Tensor &tensor, size_t channels) { return tensor.size() / std::max<size_t>(channels, 1); }

} // namespace onager::cli

#endif
