// Runs of a model part by part, so that its layers can change one after the other.
#ifndef ONAGER_TOOLS_COMPRESS_PARTRUNS_H
#define ONAGER_TOOLS_COMPRESS_PARTRUNS_H

#include "SampleRuns.h"
#include "lib/Compress/ModelParts.h"
#include "tools/onager/Session.h"

namespace onager::cli {

/// One model's way through the parts of a plan: begin(), run() for each calibration sample, end(). Values of floats that later parts read lie in temporary files, so that memory does not grow with the samples.
class PartRuns {
public:
  /// Changes a part before it is compiled.
  using Rewrite = std::function<void(compress::ModelGraph &part)>;

  /// `model` and `runs` must outlive the object.
  PartRuns(const compress::ModelGraph &model, const SampleRuns &runs, Rewrite rewrite = {}) : model(model), runs(runs), rewrite(std::move(rewrite)), folder(TemporaryPath::folder, "parts") {}

  void begin(const compress::ModelPart &part);
  /// The part's value.
  Tensor run(size_t sample);
  /// Returns the names of what was kept.
  std::vector<std::string> end();

private:
  struct Kept {
    size_t number = 0; ///< in files' names
    int32_t dtype = 0;
    std::map<size_t, std::vector<int64_t>> dims; ///< by sample
  };

  std::vector<onnx::ValueInfoProto> declareInputs() const;
  std::string getPath(const Kept &value, size_t sample) const { return folder.get() + "/" + std::to_string(value.number) + "-" + std::to_string(sample); }
  Tensor read(const Kept &value, size_t sample) const;

  const compress::ModelGraph &model;
  const SampleRuns &runs;
  Rewrite rewrite;
  TemporaryPath folder;
  std::map<std::string, Kept> kept;
  size_t count = 0;
  compress::ModelPart part;
  std::optional<Artifact> artifact;
  std::optional<Session> session;
  rt::Manifest manifest, own; ///< of the part; without the inputs that were kept
};

} // namespace onager::cli

#endif
