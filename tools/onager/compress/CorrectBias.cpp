// Means of layers' outputs in the plain and the rounded model, and biases that bring them together.
#include "Scale.h"
#include "Watched.h"
#include "lib/Compress/Apply.h"
#include "lib/Compress/BiasShift.h"
#include "tools/onager/Metrics.h"
#include <cmath>
#include <cstring>

namespace onager::cli {

namespace {

using compress::Layer;
using compress::ShiftedLayer;

/// Means of each layer's channels, one after the other, for each sample.
using Means = std::vector<std::vector<double>>;

class BiasCorrection {
public:
  BiasCorrection(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) : model(model), recipe(recipe), runs(runs) {}

  bool run() {
    listLayers();
    if (layers.empty())
      return false;
    if (!runs.hasData())
      throw Failure(Status::badOption, "option 'bias-correction': needs data: --calibrate DIR");
    compress::ModelGraph rewritten = model;
    std::string error;
    compress::Recipe copy = recipe;
    if (!compress::applyRecipe(rewritten, copy, error))
      throw Failure(Status::internal, error);
    // Means need few samples: fewer where there are many steps, which need a run of each. Shifts must not fit a few samples alone.
    constexpr size_t kRuns = 512;
    split = splitSamples(runs.getCalibration(), std::clamp<size_t>(kRuns / countSteps(), 4, 64));
    Artifact artifact = runs.compileFor(compress::serializeShiftable(rewritten, layers, true), split.makers.size() * countSteps() + 2 * split.judges.size(), 1);
    Session session(artifact.path, runs.getThreads());
    rt::Manifest manifest = readManifest(artifact.path);
    manifest.inputs.pop_back();
    Watched watched(runs, compress::serializeShiftable(model, layers, false), split.makers.size() + split.judges.size());
    Means plain = observe(watched);
    // What stands before a layer is corrected by then.
    for (size_t step = 0; step < countSteps(); ++step) {
      showProgress("bias correction: step " + std::to_string(step + 1) + " of " + std::to_string(countSteps()));
      std::vector<std::vector<Tensor>> found;
      for (size_t sample : split.makers)
        found.push_back(runOne(session, manifest, sample));
      for (size_t k = 0; k < layers.size(); ++k)
        if (depths[k] == step)
          correct(k, plain, found);
    }
    bool isNearer = comesNearer(watched, session, manifest);
    if (isNearer)
      write();
    return isNearer;
  }

private:
  void listLayers() {
    std::map<std::string, const compress::LayerRecipe *> entries;
    for (const compress::LayerRecipe &entry : recipe.layers)
      if (compress::isQuantised(entry.scheme))
        entries[entry.node] = &entry;
    std::map<std::string, size_t> before; // of each value, how many layers stand one behind the other on the longest way to it
    for (const onnx::NodeProto &node : model.graph().node()) {
      std::optional<Layer> layer = compress::findLayer(model, node);
      bool isShifted = layer && !layer->isTable() && entries.count(layer->name);
      size_t depth = 0;
      for (const std::string &input : compress::listReads(node))
        if (auto found = before.find(input); found != before.end())
          depth = std::max(depth, found->second);
      for (const std::string &output : node.output())
        before[output] = depth + isShifted;
      if (!isShifted)
        continue;
      depths.push_back(depth);
      layers.push_back({node.output(0), compress::countOutputs(*layer), layer->isConvolution() ? layer->dims.size() : 0});
      names.push_back(layer->name);
      begins.push_back(shifts.size());
      shifts.resize(shifts.size() + static_cast<size_t>(layers.back().channels));
    }
  }

  /// Layers that none of them stands behind another are corrected together.
  size_t countSteps() const { return *std::max_element(depths.begin(), depths.end()) + 1; }

  std::vector<Tensor> runOne(Session &session, const rt::Manifest &manifest, size_t sample) const {
    std::vector<Tensor> inputs = runs.load(sample, manifest);
    inputs.push_back(makeTensor(ONAGER_F32, {static_cast<int64_t>(shifts.size())}));
    std::memcpy(inputs.back().data.data(), shifts.data(), shifts.size() * sizeof(float));
    session.bind(inputs);
    session.run();
    return session.copyOutputs();
  }

  /// The model's own outputs stand in front of the means.
  size_t countOutputs() const { return static_cast<size_t>(model.graph().output_size()); }

  Means observe(Watched &plain) const {
    Means means;
    for (size_t sample : split.makers) {
      means.emplace_back();
      std::vector<Tensor> outputs = plain.run(sample);
      for (size_t k = countOutputs(); k < outputs.size(); ++k)
        means.back().insert(means.back().end(), getFloats(outputs[k]), getFloats(outputs[k]) + outputs[k].size());
    }
    return means;
  }

  /// True where the outputs on the samples that judge are nearer to the plain model's with the shifts than without, by more than twice the standard error of that.
  bool comesNearer(Watched &plain, Session &session, const rt::Manifest &manifest) {
    std::vector<float> found = shifts, none(shifts.size());
    double sum = 0, squares = 0, count = static_cast<double>(split.judges.size());
    for (size_t sample : split.judges) {
      std::vector<Tensor> expected = plain.run(sample);
      auto measure = [&](const std::vector<float> &tried) {
        shifts = tried;
        OutputErrors errors(countOutputs(), false);
        errors.add(runOne(session, manifest, sample), expected);
        return errors.getSqnr();
      };
      double gain = measure(found) - measure(none);
      sum += gain;
      squares += gain * gain;
    }
    shifts = std::move(found);
    double mean = sum / count, variance = std::max(0.0, squares / count - mean * mean) / std::max(1.0, count - 1);
    return mean > 2 * std::sqrt(variance);
  }

  void correct(size_t layer, const Means &plain, const std::vector<std::vector<Tensor>> &found) {
    auto count = static_cast<double>(split.makers.size());
    for (size_t c = 0; c < static_cast<size_t>(layers[layer].channels); ++c) {
      double sum = 0, squares = 0;
      for (size_t s = 0; s < split.makers.size(); ++s) {
        double change = static_cast<double>(getFloats(found[s][countOutputs() + layer])[c]) - plain[s][begins[layer] + c];
        sum += change;
        squares += change * change;
      }
      double mean = sum / count, variance = std::max(0.0, squares / count - mean * mean) / std::max(1.0, count - 1);
      if (std::isfinite(mean) && mean * mean > 4 * variance)
        shifts[begins[layer] + c] = static_cast<float>(-mean);
    }
  }

  void write() {
    for (size_t k = 0; k < layers.size(); ++k)
      for (compress::LayerRecipe &entry : recipe.layers)
        if (entry.node == names[k])
          entry.shift.assign(shifts.begin() + static_cast<std::ptrdiff_t>(begins[k]), shifts.begin() + static_cast<std::ptrdiff_t>(begins[k]) + layers[k].channels);
  }

  const compress::ModelGraph &model;
  compress::Recipe &recipe;
  const SampleRuns &runs;
  std::vector<ShiftedLayer> layers;
  std::vector<std::string> names;
  std::vector<size_t> depths; ///< of each layer, how many others stand before it, one behind the other
  std::vector<size_t> begins; ///< of each layer's channels in `shifts`
  std::vector<float> shifts;
  SampleSplit split;
};

} // namespace

bool correctBiases(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) { return BiasCorrection(model, recipe, runs).run(); }

} // namespace onager::cli
