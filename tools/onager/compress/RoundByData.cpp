// GPTQ's share that needs data: Gram matrices of the inputs that layers meet.
#include "Calibrate.h"
#include "lib/Compress/Gptq.h"
#include "lib/Compress/LayerForms.h"

namespace onager::cli {

namespace {

class DataRounding {
public:
  DataRounding(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) : model(model), recipe(recipe), runs(runs) {}

  /// Layers are rounded a few at a time: the Gram matrices of a large model would not fit into memory together.
  bool run() {
    constexpr uint64_t kMostBytes = uint64_t(128) << 20;
    std::vector<compress::Layer> chunk;
    uint64_t bytes = 0;
    bool isAny = false;
    for (const onnx::NodeProto &node : model.graph().node()) {
      std::optional<compress::Layer> layer = compress::findLayer(model, node);
      if (!layer || !find(layer->name))
        continue;
      isAny = true;
      if (!runs.hasData())
        throw Failure(Status::badOption, "gptq needs data: --calibrate DIR");
      uint64_t own = static_cast<uint64_t>(countTerms(*layer) * countTerms(*layer)) * sizeof(float);
      if (bytes + own > kMostBytes && !chunk.empty()) {
        roundChunk(chunk);
        chunk.clear();
        bytes = 0;
      }
      bytes += own;
      chunk.push_back(std::move(*layer));
    }
    if (!chunk.empty())
      roundChunk(chunk);
    return isAny;
  }

private:
  static int64_t countTerms(const compress::Layer &layer) { return layer.dims[1 - static_cast<size_t>(layer.channelAxis)]; }

  compress::LayerRecipe *find(const std::string &name) {
    for (compress::LayerRecipe &entry : recipe.layers)
      if (entry.node == name && entry.scheme != compress::Scheme::keep && entry.rounding == compress::RoundingMethod::gptq)
        return &entry;
    return nullptr;
  }

  void roundChunk(const std::vector<compress::Layer> &layers) {
    std::vector<std::pair<std::string, int64_t>> values;
    std::map<std::string, compress::Gram> grams;
    for (const compress::Layer &layer : layers)
      if (grams.try_emplace(compress::ModelGraph::makeGramName(layer.input)).second)
        values.emplace_back(layer.input, countTerms(layer));
    std::string what = "inputs of " + layers.front().name + " to " + layers.back().name;
    runs.run(model.serializeWithGrams(values), runs.getCalibration(), what, [&](const rt::Manifest &manifest, const std::vector<Tensor> &, const std::vector<Tensor> &outputs) {
      for (size_t k = 0; k < outputs.size(); ++k)
        if (auto found = grams.find(manifest.outputs[k].name); found != grams.end())
          found->second.add(reinterpret_cast<const float *>(outputs[k].data.data()), outputs[k].size());
    });
    for (const compress::Layer &layer : layers) {
      showProgress("rounding " + layer.name);
      compress::LayerRecipe &entry = *find(layer.name);
      size_t outputs, terms;
      std::vector<float> rows = compress::readRows(model, layer, outputs, terms);
      entry.groups = compress::roundByGram(std::move(rows), outputs, grams.at(compress::ModelGraph::makeGramName(layer.input)), static_cast<size_t>(entry.group),
                                           entry.scheme == compress::Scheme::int4 ? 4 : 8);
    }
  }

  const compress::ModelGraph &model;
  compress::Recipe &recipe;
  const SampleRuns &runs;
};

} // namespace

bool roundByData(const compress::ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) { return DataRounding(model, recipe, runs).run(); }

} // namespace onager::cli
