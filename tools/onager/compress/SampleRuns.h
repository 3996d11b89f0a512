// Runs of any form of a model on the samples that it is compressed by.
#ifndef ONAGER_TOOLS_COMPRESS_SAMPLERUNS_H
#define ONAGER_TOOLS_COMPRESS_SAMPLERUNS_H

#include "CompileEffort.h"
#include "tools/onager/Artifact.h"
#include "tools/onager/Samples.h"
#include <functional>
#include <map>
#include <optional>

namespace onager::cli {

/// The samples, of which every fifth is held out: those say what the others made is worth. One thread at a time.
class SampleRuns {
public:
  /// `folder` is what --calibrate names, or "" without data; `self:N` stands for N samples that a language model draws, by drawFrom; `batch-norm` and `batch-norm:K` for none, but ranges from BatchNormalization; `shown` is what messages call the model. `random` must outlive the object.
  SampleRuns(std::string shown, const std::string &folder, const InputArguments &random, int threads);

  bool hasData() const { return samples || toDraw; }
  bool isDrawn() const { return toDraw; }
  /// How many deviations of BatchNormalization stand for data; nothing where that was not asked for.
  std::optional<double> getNormDeviations() const { return normDeviations; }
  /// Draws the samples where they are to come from the model itself; `path` is the plain model. Fails where that is no language model.
  void drawFrom(const std::string &path);
  bool isRandom() const { return samples && samples->isRandom(); }
  const std::vector<size_t> &getCalibration() const { return calibration; }
  /// Takes a quarter of the calibration samples, of twelve or more, to judge choices that the others make. Before they are used.
  void appointJudges();
  /// None where nobody appointed them, or of too few samples.
  const std::vector<size_t> &getJudges() const { return judges; }
  const std::vector<size_t> &getHeldOut() const { return heldOut; }
  int getThreads() const { return threads; }
  /// A sample's inputs in the signature's order; sample 0 is there without data, too, and random.
  std::vector<Tensor> load(size_t index, const rt::Manifest &manifest) const;

  /// Compiles a model in memory, or in a file.
  Artifact compile(std::string bytes) const { return compile({"", std::move(bytes), shown, false}); }
  Artifact compileFile(const std::string &path) const { return compile({path, "", shown, false}); }
  /// Compiles a form of the model for about so many runs on samples, as CompileEffort says. `others` is how many inputs the form has behind those of the samples.
  Artifact compileFor(const std::string &bytes, size_t count, size_t others = 0) const;
  /// Compiles a model and runs it on samples; `visit` gets each one's inputs and outputs. `what` is the line of progress.
  using Visit = std::function<void(const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs)>;
  void run(const std::string &bytes, const std::vector<size_t> &chosen, const std::string &what, const Visit &visit) const;

private:
  Artifact compile(ModelSource source, int optLevel = 3) const;

  std::string shown;
  std::optional<Samples> samples;
  std::vector<std::map<std::string, Tensor>> drawn;
  size_t toDraw = 0;
  std::optional<double> normDeviations;
  std::vector<size_t> calibration, judges, heldOut;
  const InputArguments &random;
  int threads;
  mutable CompileEffort effort;
};

/// Samples that decide, and those that say whether what they decided is better for others, too.
struct SampleSplit {
  std::vector<size_t> makers, judges;
};
/// Lets `most` samples decide at most, evenly spread; the others judge, a quarter at least where there are four or more. Fewer do both.
SampleSplit splitSamples(const std::vector<size_t> &all, size_t most);

} // namespace onager::cli

#endif
