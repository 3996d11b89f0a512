// The two things that are compared: levels of a model, artifacts, other models, ONNX Runtime.
#ifndef ONAGER_TOOLS_VERIFY_SIDE_H
#define ONAGER_TOOLS_VERIFY_SIDE_H

#include "tools/onager/Artifact.h"
#include "tools/onager/Samples.h"
#include "tools/onager/Tensor.h"
#include <memory>
#include <optional>

namespace onager::cli {

/// How a side comes to be. A copy that is changed makes another side like it.
struct Form {
  enum class Kind { model, artifact, onnxRuntime } kind = Kind::model;
  ModelSource source;
  CompileOptions options; ///< of a model
  bool isExposing = false; ///< values inside the model are outputs as well; what the models themselves return was looked at before

  /// "M.onnx at -O3", "M.so", "ONNX Runtime".
  std::string describe() const;
};

/// What both sides run on: one set of inputs, or samples, which are read when they are asked for.
class Data {
public:
  /// `samples` is a folder or random:N, or empty; `only` names one of them. `inputs` must outlive the object.
  Data(const InputArguments &inputs, const std::string &samples, std::optional<size_t> only);
  size_t size() const { return samples && !only ? samples->size() : 1; }
  /// The index by which --sample names what `load` gives.
  size_t getNumber(size_t index) const { return only.value_or(index); }
  bool hasSamples() const { return samples.has_value(); }
  std::vector<Tensor> load(size_t index, const rt::Manifest &manifest) const;
  /// One of the samples alone.
  Data pick(size_t index) const;

private:
  const InputArguments &inputs;
  std::optional<Samples> samples;
  std::optional<size_t> only;
};

/// A set of tensors for each sample.
using Batch = std::vector<std::vector<Tensor>>;

/// A form that can be run. One thread at a time.
class Side {
public:
  virtual ~Side() = default;
  /// Runs samples, whose inputs are in the order of the leading side's signature, and returns their outputs.
  virtual Batch run(Batch &inputs) = 0;
  /// How many samples are best given to a run: so many are in memory at a time.
  virtual size_t getBatch() const { return 1; }
  const std::vector<std::string> &getOutputs() const { return outputs; }

protected:
  std::vector<std::string> outputs;
};

/// A compiled form; its signature is what data is read for.
class CompiledSide : public Side {
public:
  CompiledSide(const Form &form, int threads, CompileResult *told = nullptr);
  ~CompiledSide() override;
  /// Takes inputs in another side's order. Fails where the two differ in an input, or one lacks an output of the other; messages name what is `expected` and found
  /// in this side.
  void follow(const CompiledSide &leader, const std::string &shown, const std::string &leaderShown);
  const rt::Manifest &getManifest() const { return manifest; }
  bool exposesValues() const { return isExposing; }
  Batch run(Batch &inputs) override;

private:
  Artifact artifact;
  rt::Manifest manifest;
  std::unique_ptr<class Session> session;
  bool isExposing;
  std::vector<size_t> order; ///< for each input, its place in the leader's signature
};

/// Opens a form to stand beside a compiled one, with the outputs of the other's names.
std::unique_ptr<Side> openBeside(const Form &form, const CompiledSide &leader, const std::string &leaderShown, int threads);

} // namespace onager::cli

#endif
