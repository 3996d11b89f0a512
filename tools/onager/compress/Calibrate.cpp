// Ranges of activations, from what the plain model computes.
#include "Calibrate.h"
#include "lib/Compress/Apply.h"
#include "lib/Compress/Layer.h"
#include "lib/Compress/NormRanges.h"
#include <cmath>

namespace onager::cli {

namespace {

compress::Activation makeActivation(const compress::Range &range, const char *method) {
  auto scale = static_cast<float>((range.most - range.least) / 255);
  if (!std::isnormal(scale))
    scale = 1;
  return {scale, static_cast<int>(std::clamp(std::nearbyint(-range.least / scale), 0.0, 255.0)), method};
}

uint64_t countBytes(const std::vector<Tensor> &tensors) {
  uint64_t bytes = 0;
  for (const Tensor &tensor : tensors)
    bytes += tensor.data.size();
  return bytes;
}

/// Histograms of values in the plain model.
class Observation {
public:
  Observation(const compress::ModelGraph &model, const std::vector<std::string> &values) : model(model), values(values), wanted(values.begin(), values.end()) {}

  void run(const SampleRuns &runs) {
    auto visit = [&](const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs) {
      answered.add(inputs, outputs, static_cast<size_t>(model.graph().output_size()));
      for (size_t k = 0; k < outputs.size(); ++k)
        observe(manifest.outputs[k].name, outputs[k]);
      // Inputs are seen in the samples themselves, everything else as an output.
      for (size_t k = 0; k < inputs.size(); ++k)
        if (std::none_of(manifest.outputs.begin(), manifest.outputs.end(), [&](const rt::TensorInfo &info) { return info.name == manifest.inputs[k].name; }))
          observe(manifest.inputs[k].name, inputs[k]);
    };
    runs.run(model.serializeWithOutputs(values), runs.getCalibration(), "calibration", visit);
  }

  compress::Activation choose(const std::string &value, compress::RangeMethod method) {
    const compress::Histogram &histogram = histograms[value];
    if (histogram.isEmpty())
      throw Failure(Status::refused, "value '" + value + "' held no finite number of float32 in the calibration data");
    return makeActivation(histogram.choose(method), compress::printRangeMethod(method));
  }

  double countElements() const { return elements; }

  AnsweredSamples answered;

private:
  void observe(const std::string &name, const Tensor &tensor) {
    if (!wanted.count(name) || tensor.dtype != ONAGER_F32)
      return;
    elements += static_cast<double>(tensor.size());
    histograms[name].add(reinterpret_cast<const float *>(tensor.data.data()), tensor.size());
  }

  const compress::ModelGraph &model;
  const std::vector<std::string> &values;
  std::set<std::string> wanted;
  std::map<std::string, compress::Histogram> histograms;
  double elements = 0; ///< of all values and samples
};

/// Ranges from the statistics of BatchNormalization. Layers whose inputs they do not tell of stay plain.
class NormCalibration {
public:
  NormCalibration(const compress::ModelGraph &model, compress::Recipe &recipe, double deviations) : model(model), recipe(recipe), norms(model, deviations) {}

  void run() {
    for (std::set<std::string> unknown = findRanges(); !unknown.empty(); unknown = findRanges())
      if (!keepReaders(unknown))
        throw Failure(Status::refused, "value '" + *unknown.begin() + "' becomes bytes, and no BatchNormalization tells its range: --keep the layers behind it, or --calibrate a folder of samples");
    if (std::none_of(recipe.layers.begin(), recipe.layers.end(), [](const compress::LayerRecipe &entry) { return entry.scheme == compress::Scheme::int8; }))
      throw Failure(Status::refused, "option 'calibrate': no BatchNormalization tells the range of what any layer reads: where one was folded into a layer its statistics are gone; expected a folder of samples, or random:N");
  }

private:
  /// Takes what is known into the recipe and returns the values without a range.
  std::set<std::string> findRanges() {
    std::set<std::string> unknown;
    for (const std::string &value : compress::findByteFlow(model, recipe).values) {
      if (recipe.activations.count(value))
        continue;
      if (std::optional<compress::Range> range = norms.find(value))
        recipe.activations[value] = makeActivation(*range, "batch-norm");
      else
        unknown.insert(value);
    }
    return unknown;
  }

  bool keepReaders(const std::set<std::string> &values) {
    std::map<std::string, std::string> inputs;
    for (const onnx::NodeProto &node : model.graph().node())
      if (std::optional<compress::Layer> layer = compress::findLayer(model, node); layer && values.count(layer->input))
        inputs[layer->name] = layer->input;
    bool isAny = false;
    for (compress::LayerRecipe &entry : recipe.layers)
      if (auto input = inputs.find(entry.node); input != inputs.end() && entry.scheme == compress::Scheme::int8) {
        isAny = true;
        entry.scheme = compress::Scheme::keep;
        entry.reason = "no BatchNormalization tells the range of its input '" + input->second + "'";
      }
    return isAny;
  }

  const compress::ModelGraph &model;
  compress::Recipe &recipe;
  compress::NormRanges norms;
};

} // namespace

void AnsweredSamples::add(const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs, size_t count) {
  constexpr uint64_t kMostBytes = uint64_t(512) << 20;
  constexpr size_t kMostSamples = 64;
  if (held > kMostBytes || samples.size() == kMostSamples)
    return;
  samples.push_back({inputs, {outputs.begin(), outputs.begin() + static_cast<std::ptrdiff_t>(count)}});
  held += countBytes(samples.back().inputs) + countBytes(samples.back().expected);
}

bool calibrate(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) {
  std::vector<std::string> values;
  for (const std::string &value : compress::findByteFlow(model, recipe).values)
    if (!recipe.activations.count(value))
      values.push_back(value);
  if (values.empty())
    return false;
  if (runs.getNormDeviations()) {
    NormCalibration(model, recipe, *runs.getNormDeviations()).run();
    return false;
  }
  if (!runs.hasData())
    throw Failure(Status::badOption, "int8 needs data: --calibrate DIR, or a recipe that has the scale of value '" + values[0] + "'");
  Observation observation(model, values);
  observation.run(runs);
  for (const std::string &value : values)
    recipe.activations[value] = observation.choose(value, recipe.range);
  if (recipe.range != compress::RangeMethod::best)
    return true;
  ScaleCandidates candidates;
  for (const std::string &value : values)
    for (compress::RangeMethod method : compress::kRangeMethods)
      candidates[value].push_back(observation.choose(value, method));
  chooseRanges(model, recipe, candidates, std::move(observation.answered.samples), observation.countElements() / static_cast<double>(runs.getCalibration().size()), runs);
  return true;
}

} // namespace onager::cli
