// Ranges of activations, from what the plain model computes.
#include "Calibrate.h"
#include "lib/Compress/Apply.h"
#include <cmath>

namespace onager::cli {

static compress::Activation makeActivation(const compress::Range &range) {
  auto scale = static_cast<float>((range.most - range.least) / 255);
  if (!std::isnormal(scale))
    scale = 1;
  return {scale, static_cast<int>(std::clamp(std::nearbyint(-range.least / scale), 0.0, 255.0))};
}

bool calibrate(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) {
  std::vector<std::string> values;
  for (const std::string &value : compress::findByteFlow(model, recipe).values)
    if (!recipe.activations.count(value))
      values.push_back(value);
  if (values.empty())
    return false;
  if (!runs.hasData())
    throw Failure(Status::badOption, "int8 needs data: --calibrate DIR, or a recipe that has the scale of value '" + values[0] + "'");
  std::map<std::string, compress::Histogram> histograms;
  std::set<std::string> wanted(values.begin(), values.end());
  auto observe = [&](const std::string &name, const Tensor &tensor) {
    if (wanted.count(name) && tensor.dtype == ONAGER_F32)
      histograms[name].add(reinterpret_cast<const float *>(tensor.data.data()), tensor.size());
  };
  // Inputs are seen in the samples themselves, everything else as an output.
  runs.run(model.serializeWithOutputs(values), runs.getCalibration(), "calibration",
           [&](const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs) {
             for (size_t k = 0; k < outputs.size(); ++k)
               observe(manifest.outputs[k].name, outputs[k]);
             for (size_t k = 0; k < inputs.size(); ++k)
               if (std::none_of(manifest.outputs.begin(), manifest.outputs.end(), [&](const rt::TensorInfo &info) { return info.name == manifest.inputs[k].name; }))
                 observe(manifest.inputs[k].name, inputs[k]);
           });
  for (const std::string &value : values) {
    const compress::Histogram &histogram = histograms[value];
    if (histogram.isEmpty())
      throw Failure(Status::refused, "value '" + value + "' held no finite number of float32 in the calibration data");
    recipe.activations[value] = makeActivation(histogram.choose(recipe.range));
  }
  return true;
}

} // namespace onager::cli
