// Timing layers alone.
#include "LayerTimes.h"
#include "lib/Compress/Apply.h"
#include "tools/onager/Session.h"
#include <algorithm>
#include <chrono>

namespace onager::cli {

namespace {

using Dims = std::map<std::string, std::vector<int64_t>>;

/// A compiled layer with inputs.
struct Candidate {
  Candidate(Artifact artifact, int threads, const std::vector<int64_t> &dims) : artifact(std::move(artifact)), session(this->artifact.path, threads) {
    uint64_t state = 1;
    auto dtype = static_cast<int32_t>(readManifest(this->artifact.path).inputs[0].dtype);
    inputs.push_back(makeTensor(dtype, dims));
    // Indices stay 0, since any other could lie outside.
    if (dtype != ONAGER_I64)
      fillRandom(inputs[0], state);
    session.bind(inputs);
    session.run();
  }

  /// The mean time of a few runs.
  double time(int count) {
    auto start = std::chrono::steady_clock::now();
    for (int k = 0; k < count; ++k)
      session.run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / count;
  }

  Artifact artifact;
  Session session;
  std::vector<Tensor> inputs;
};

class Timer {
public:
  Timer(const compress::ModelGraph &model, const std::map<std::string, compress::Activation> &activations, const SampleRuns &runs) : model(model), activations(activations), runs(runs) {}

  std::map<std::string, LayerTime> run(const std::vector<compress::LayerOptions> &layers) {
    std::map<std::string, compress::Layer> found;
    for (const onnx::NodeProto &node : model.graph().node())
      if (std::optional<compress::Layer> layer = compress::findLayer(model, node))
        found.emplace(layer->name, *layer);
    Dims dims = observe(layers, found);
    std::map<std::string, LayerTime> times;
    for (size_t k = 0; k < layers.size(); ++k) {
      showProgress("timing layer " + std::to_string(k + 1) + " of " + std::to_string(layers.size()));
      const compress::Layer &layer = found.at(layers[k].node);
      if (auto known = dims.find(layer.input); known != dims.end() && isClosed(layer))
        times[layers[k].node] = measure(layer, layers[k].forms, known->second);
      else
        times[layers[k].node] = {0, std::vector<double>(layers[k].forms.size())};
    }
    return times;
  }

private:
  /// True where all but the input is constant.
  bool isClosed(const compress::Layer &layer) const {
    return std::all_of(layer.node->input().begin(), layer.node->input().end(), [&](const std::string &name) { return name.empty() || name == layer.input || model.isConstant(name) || (layer.transpose && name == layer.transpose->output(0)); });
  }

  /// The dims of layers' inputs in the first sample.
  Dims observe(const std::vector<compress::LayerOptions> &layers, const std::map<std::string, compress::Layer> &found) const {
    std::vector<std::string> values;
    for (const compress::LayerOptions &layer : layers)
      values.push_back(found.at(layer.node).input);
    Dims dims;
    std::vector<size_t> first{runs.getCalibration().empty() ? 0 : runs.getCalibration()[0]};
    runs.run(model.serializeWithOutputs(values), first, "shapes of layers", [&](const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs) {
      for (size_t k = 0; k < inputs.size(); ++k)
        dims[manifest.inputs[k].name] = inputs[k].dims;
      for (size_t k = 0; k < outputs.size(); ++k)
        dims[manifest.outputs[k].name] = outputs[k].dims;
    });
    return dims;
  }

  Candidate prepare(const std::string &bytes, const std::vector<int64_t> &dims) const { return {runs.compile(bytes), runs.getThreads(), dims}; }

  std::string rewrite(const compress::Layer &layer, const compress::LayerRecipe &form, const std::string &plain) const {
    compress::ModelGraph alone;
    std::string error;
    compress::Recipe recipe;
    recipe.layers = {form};
    if (auto activation = activations.find(layer.input); activation != activations.end())
      recipe.activations.insert(*activation);
    if (!alone.open("", plain, error) || !compress::applyRecipe(alone, recipe, error))
      throw Failure(Status::internal, "layer '" + layer.name + "' alone: " + error);
    if (form.scheme == compress::Scheme::int8)
      passBytes(layer, alone);
    return alone.serialize();
  }

  /// Lets a layer of int8 read and give bytes, as between others of its kind.
  void passBytes(const compress::Layer &layer, compress::ModelGraph &alone) const {
    onnx::GraphProto &graph = alone.graph();
    // What rounds the input, and its restoring, come before the weights' nodes; a transposed constant's before both.
    int at = 0;
    while (graph.node(at).op_type() != "QuantizeLinear")
      ++at;
    onnx::NodeProto *first = graph.mutable_node(at);
    graph.mutable_input(0)->set_name(first->output(0));
    graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::UINT8);
    onnx::NodeProto last = *first;
    last.set_name(alone.makeName("bytes"));
    last.set_input(0, layer.node->output(0));
    last.set_output(0, alone.makeName("bytes"));
    graph.mutable_node()->DeleteSubrange(at, 1);
    graph.mutable_output(0)->set_name(last.output(0));
    *graph.add_node() = last;
  }

  /// Layers are alike where their nodes differ in names alone and their shapes are the same.
  static std::string describe(const compress::Layer &layer, const std::vector<int64_t> &dims) {
    onnx::NodeProto node = *layer.node;
    node.clear_name();
    node.clear_input();
    node.clear_output();
    std::string key = node.SerializeAsString() + (layer.bias.empty() ? "|" : "|bias|");
    for (const std::vector<int64_t> *part : {&layer.dims, &dims})
      for (int64_t extent : *part)
        key += std::to_string(extent) + (part == &dims ? ";" : ",");
    return key;
  }

  LayerTime measure(const compress::Layer &layer, const std::vector<compress::LayerRecipe> &forms, const std::vector<int64_t> &dims) {
    std::string key = describe(layer, dims);
    for (const compress::LayerRecipe &form : forms)
      key += compress::printScheme(form.scheme) + std::to_string(form.group);
    auto known = timed.find(key);
    if (known != timed.end())
      return known->second;
    std::string plain = model.serializeLayer(layer.node, layer.input, layer.isTable(), dims);
    Candidate base = prepare(plain, dims);
    LayerTime time;
    for (const compress::LayerRecipe &form : forms) {
      Candidate other = prepare(rewrite(layer, form, plain), dims);
      double ratio = compare(base, other, time.plain);
      time.forms.push_back(time.plain * ratio);
    }
    return timed[key] = time;
  }

  /// The median ratio of two layers' times; `seconds` gets the least of the first's, unless it has one.
  static double compare(Candidate &base, Candidate &other, double &seconds) {
    constexpr double kRound = 2e-3; // long enough for the clock
    double once = std::min(base.time(1), base.time(1));
    int count = static_cast<int>(std::clamp(kRound / std::max(once, 1e-7), 1.0, 1e4));
    std::vector<double> ratios, own;
    for (int round = 0; round < 9; ++round) {
      own.push_back(base.time(count));
      ratios.push_back(other.time(count) / own.back());
    }
    std::nth_element(ratios.begin(), ratios.begin() + 4, ratios.end());
    if (seconds == 0)
      seconds = *std::min_element(own.begin(), own.end());
    return ratios[4];
  }

  const compress::ModelGraph &model;
  const std::map<std::string, compress::Activation> &activations;
  const SampleRuns &runs;
  std::map<std::string, LayerTime> timed;
};

} // namespace

std::map<std::string, LayerTime> measureLayers(const compress::ModelGraph &model, const std::map<std::string, compress::Activation> &activations,
                                               const std::vector<compress::LayerOptions> &layers, const SampleRuns &runs) {
  return Timer(model, activations, runs).run(layers);
}

} // namespace onager::cli
