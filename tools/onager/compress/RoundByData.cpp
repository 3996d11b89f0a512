// The share of gptq and adaround that needs data: Gram matrices of the inputs that layers meet, one layer after the other.
#include "Calibrate.h"
#include "Watched.h"
#include "lib/Compress/Apply.h"
#include "lib/Compress/Gptq.h"
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Prune/Coupling.h"
#include "lib/Compress/Prune/Unfold.h"

namespace onager::cli {

namespace {

using compress::Gram;
using compress::Layer;
using compress::ModelGraph;

/// What the rows of a layer's input are like: X of the model whose layers so far are rounded, Y of the plain model.
struct Grams {
  Gram own, cross; ///< X^T X and, unless nothing is rounded yet, Y^T X
  size_t rows = 0;
};

class DataRounding {
public:
  DataRounding(const ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) : model(model), recipe(recipe), runs(runs) {}

  /// Layers that read one value are rounded together; those behind them see what they make of it then.
  bool run() {
    std::vector<Layer> layers = listLayers();
    if (layers.empty())
      return false;
    if (!runs.hasData())
      throw Failure(Status::badOption, std::string(compress::printRoundingMethod(find(layers[0].name)->rounding)) + " needs data: --calibrate DIR");
    std::string error;
    if (!rounded.open("", model.serialize(), error))
      throw Failure(Status::internal, error);
    for (size_t begin = 0, end; begin < layers.size(); begin = end) {
      for (end = begin + 1; end < layers.size() && !isConv(layers[begin]) && !isConv(layers[end]) && layers[end].input == layers[begin].input;)
        ++end;
      std::string what = std::to_string(end) + " of " + std::to_string(layers.size()) + " layers";
      if (isConv(layers[begin]))
        roundConv(layers[begin], what);
      else
        round({layers.begin() + static_cast<std::ptrdiff_t>(begin), layers.begin() + static_cast<std::ptrdiff_t>(end)}, what);
    }
    return true;
  }

private:
  static bool isConv(const Layer &layer) { return layer.node->op_type() == "Conv"; }

  std::vector<Layer> listLayers() {
    std::vector<Layer> layers;
    for (const onnx::NodeProto &node : model.graph().node())
      if (std::optional<Layer> layer = compress::findLayer(model, node); layer && find(layer->name))
        layers.push_back(std::move(*layer));
    return layers;
  }

  compress::LayerRecipe *find(const std::string &name) {
    for (compress::LayerRecipe &entry : recipe.layers)
      if (entry.node == name && entry.scheme != compress::Scheme::keep && compress::needsGram(entry.rounding))
        return &entry;
    return nullptr;
  }

  void round(const std::vector<Layer> &layers, const std::string &what) {
    int64_t terms = layers[0].dims[1 - static_cast<size_t>(layers[0].channelAxis)];
    Grams grams = hasRounded ? observeBoth(layers[0].input, terms, what) : observe(layers[0].input, terms, what);
    compress::GramRounding rounding(std::move(grams.own), grams.rows);
    compress::Recipe done;
    for (const Layer &layer : layers) {
      showProgress("rounding " + layer.name);
      compress::LayerRecipe &entry = *find(layer.name);
      size_t outputs, size;
      std::vector<float> rows = compress::readRows(model, layer, outputs, size);
      if (hasRounded)
        rounding.fitToOtherRows(rows, grams.cross);
      entry.groups = rounding.round(std::move(rows), makeForm(entry, size), entry.rounding);
      done.layers.push_back(entry);
    }
    apply(std::move(done));
  }

  static compress::IntegerForm makeForm(const compress::LayerRecipe &entry, size_t terms) {
    if (compress::hasByteInputs(entry.scheme))
      return {terms, 8, true};
    return {static_cast<size_t>(entry.group), entry.scheme == compress::Scheme::int4 ? 4 : 8};
  }

  void apply(compress::Recipe done) {
    done.activations = recipe.activations;
    std::string error;
    if (!compress::applyRecipe(rounded, done, error))
      throw Failure(Status::internal, error);
    hasRounded = true;
  }

  /// A convolution, group by group.
  void roundConv(const Layer &layer, const std::string &what) {
    constexpr size_t kMostTerms = 4608; // Gram matrices of 160 MiB
    size_t terms = compress::countTerms(layer);
    compress::LayerRecipe &entry = *find(layer.name);
    if (terms > kMostTerms)
      throw Failure(Status::refused, "layer '" + layer.name + "' sums over " + std::to_string(terms) + " terms, and " + compress::printRoundingMethod(entry.rounding) + " takes " +
                                         std::to_string(kMostTerms) + " at most for convolutions: --keep it, or --rounding mse");
    std::vector<Grams> grams = observeConv(layer, what);
    compress::Rows weights = compress::readMatrix(model, layer);
    showProgress("rounding " + layer.name);
    size_t perGroup = weights.values.size() / grams.size();
    for (size_t g = 0; g < grams.size(); ++g) {
      compress::GramRounding rounding(std::move(grams[g].own), grams[g].rows);
      auto begin = weights.values.begin() + static_cast<std::ptrdiff_t>(g * perGroup);
      std::vector<float> rows(begin, begin + static_cast<std::ptrdiff_t>(perGroup));
      if (hasRounded)
        rounding.fitToOtherRows(rows, grams[g].cross);
      std::vector<compress::RoundedGroup> groups = rounding.round(std::move(rows), makeForm(entry, terms), entry.rounding);
      std::move(groups.begin(), groups.end(), std::back_inserter(entry.groups));
    }
    compress::Recipe done;
    done.layers.push_back(entry);
    apply(std::move(done));
  }

  std::vector<Grams> observeConv(const Layer &layer, const std::string &what) const {
    std::vector<Grams> grams(compress::countGroups(layer));
    Watched plain(runs, model.serializePart({layer.input}));
    std::optional<Watched> other;
    if (hasRounded)
      other.emplace(runs, rounded.serializePart({layer.input}));
    size_t terms = compress::countTerms(layer), channels = static_cast<size_t>(layer.dims[1]) * grams.size(), count = 0, strides = 1;
    for (int64_t stride : compress::getInts(*layer.node, "strides"))
      strides *= static_cast<size_t>(stride);
    for (size_t sample : runs.getCalibration()) {
      showProgress(what + ": sample " + std::to_string(++count) + " of " + std::to_string(runs.getCalibration().size()));
      std::vector<Tensor> wanted = plain.run(sample), found = other ? other->run(sample) : std::vector<Tensor>();
      const Tensor &y = wanted[0], &x = other ? found[0] : y;
      size_t step = chooseStep(countRows(x, channels) / strides, terms, runs.getCalibration().size());
      for (size_t g = 0; g < grams.size(); ++g) {
        compress::Rows rows = compress::unfold(layer, x.dims, getFloats(x), g, step);
        grams[g].own.addRows(rows.values.data(), rows.count, terms);
        grams[g].rows += rows.count;
        if (!other)
          continue;
        compress::Rows plainRows = compress::unfold(layer, y.dims, getFloats(y), g, step);
        grams[g].cross.terms = terms;
        grams[g].cross.values.resize(terms * terms);
        compress::addProduct(plainRows.values.data(), terms, rows.values.data(), terms, rows.count, grams[g].cross.values);
      }
    }
    return grams;
  }

  Grams observe(const std::string &value, int64_t terms, const std::string &what) const {
    Grams grams;
    runs.run(model.serializeGram(value, terms, false), runs.getCalibration(), what, [&](const rt::Manifest &, const std::vector<Tensor> &, const std::vector<Tensor> &outputs) {
      addTo(grams.own, outputs[0]);
      grams.rows += static_cast<size_t>(getElement(outputs[1], 0));
    });
    return grams;
  }

  /// Runs what leads to the value in both models; the rows of the plain one are an input of the other's.
  Grams observeBoth(const std::string &value, int64_t terms, const std::string &what) const {
    Artifact plain = runs.compile(model.serializePart({value})), other = runs.compile(rounded.serializeGram(value, terms, true));
    rt::Manifest manifest = readManifest(plain.path);
    Session first(plain.path, runs.getThreads()), second(other.path, runs.getThreads());
    Grams grams;
    size_t count = 0;
    for (size_t index : runs.getCalibration()) {
      showProgress(what + ": sample " + std::to_string(++count) + " of " + std::to_string(runs.getCalibration().size()));
      std::vector<Tensor> inputs = runs.load(index, manifest);
      first.bind(inputs);
      first.run();
      inputs.push_back(std::move(first.copyOutputs()[0]));
      inputs.back().dims = {static_cast<int64_t>(inputs.back().size()) / terms, terms};
      second.bind(inputs);
      second.run();
      std::vector<Tensor> outputs = second.copyOutputs();
      addTo(grams.own, outputs[0]);
      grams.rows += static_cast<size_t>(getElement(outputs[1], 0));
      addTo(grams.cross, outputs[2]);
    }
    return grams;
  }

  static void addTo(Gram &gram, const Tensor &product) { gram.add(reinterpret_cast<const float *>(product.data.data()), product.size()); }

  const ModelGraph &model;
  ModelGraph rounded; ///< with the layers that are done
  bool hasRounded = false;
  compress::Recipe &recipe;
  const SampleRuns &runs;
};

} // namespace

bool roundByData(const ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs) { return DataRounding(model, recipe, runs).run(); }

} // namespace onager::cli
