// Refits and masks: what is learned from the samples layer by layer.
#include "Prune.h"
#include "Watched.h"
#include "lib/Compress/Prune/Refit.h"
#include "lib/Compress/Slice/Slicing.h"

namespace onager::cli {

using compress::Layer;
using compress::Rows;

static compress::ModelGraph openPlain(const std::string &bytes) {
  compress::ModelGraph model;
  std::string error;
  if (!model.open("", bytes, error))
    throw Failure(Status::internal, error);
  return model;
}

static compress::TurnedLayer findTurned(const compress::Pruning &pruning, const Layer &layer) {
  auto found = pruning.turned.find(layer.node->output(0));
  return found == pruning.turned.end() ? compress::TurnedLayer{layer.node->output(0), {}, {}} : found->second;
}

/// What the layer gave in the plain model, in the basis of what it gives now.
static Rows turnRows(Rows rows, const compress::TurnedLayer &turned) {
  for (size_t k = 0; k < rows.values.size() && !turned.shift.empty(); ++k)
    rows.values[k] -= turned.shift[k % rows.terms];
  if (!turned.turn.rows)
    return rows;
  compress::Weights values = compress::rotate({{static_cast<int64_t>(rows.count), static_cast<int64_t>(rows.terms)}, std::move(rows.values)}, 1, turned.turn);
  return {rows.count, turned.turn.columns, std::move(values.values)};
}

void refit(compress::ModelGraph &model, const std::string &plain, compress::Pruning &pruning, const SampleRuns &runs) {
  std::vector<Layer> layers = compress::listCutLayers(model, pruning.slices, pruning.turned);
  if (layers.empty())
    return;
  std::vector<std::string> values;
  for (const Layer &layer : layers)
    values.push_back(findTurned(pruning, layer).plain);
  const std::vector<size_t> &samples = runs.getCalibration();
  Watched before(runs, openPlain(plain).serializePart(values), samples.size() * layers.size());
  for (const Layer &layer : layers) {
    compress::LayerFit fit(model, layer, pruning.slices);
    compress::TurnedLayer turned = findTurned(pruning, layer);
    // The layers before it are refitted already: it is fitted to what it will read.
    std::string watched = fit.isScales() ? layer.node->output(0) : layer.input;
    Watched now(runs, model.serializePart({watched}), samples.size());
    for (size_t k = 0; k < samples.size(); ++k) {
      showProgress("refit of " + layer.name + ": sample " + std::to_string(k + 1) + " of " + std::to_string(samples.size()));
      std::vector<Tensor> expected = before.run(samples[k]), found = now.run(samples[k]);
      const Tensor &x = found[0], &y = before.find(expected, turned.plain);
      size_t channels = static_cast<size_t>(y.dims[layer.node->op_type() == "Conv" ? 1 : y.dims.size() - 1]);
      size_t step = chooseStep(countRows(y, channels), fit.countTerms(), samples.size());
      Rows rows = fit.isScales() ? compress::listOutputs(layer, x.dims, getFloats(x), step) : compress::unfold(layer, x.dims, getFloats(x), 0, step);
      fit.add(rows, turnRows(compress::listOutputs(layer, y.dims, getFloats(y), step), turned));
    }
    pruning.refits.push_back(fit.apply(model));
  }
}

namespace {

class Masking {
public:
  Masking(compress::ModelGraph &model, const std::string &plain, compress::Pruning &pruning, const SampleRuns &runs) : model(model), plain(plain), pruning(pruning), runs(runs) {}

  void run() {
    std::map<std::string, Layer> layers;
    for (const onnx::NodeProto &node : model.graph().node())
      if (std::optional<Layer> layer = compress::findLayer(model, node))
        layers.emplace(layer->name, std::move(*layer));
    std::vector<std::string> values;
    for (const compress::MaskedLayer &entry : pruning.masks) {
      auto found = layers.find(entry.node);
      if (found == layers.end())
        throw Failure(Status::badFile, "the recipe: pruning: the model has no layer '" + entry.node + "'");
      if (std::string unfit = compress::explainUnmaskable(model, found->second); !unfit.empty())
        throw Failure(Status::badFile, "the recipe: pruning: layer '" + entry.node + "' takes no mask: " + unfit);
      checkData(found->second, entry);
      if (isFitted(found->second))
        values.push_back(findTurned(pruning, found->second).plain);
    }
    if (!values.empty())
      before.emplace(runs, openPlain(plain).serializePart(values), runs.getCalibration().size() * values.size());
    for (compress::MaskedLayer &entry : pruning.masks)
      apply(layers.at(entry.node), entry);
  }

private:
  bool isFitted(const Layer &layer) const { return pruning.isRefitted && compress::isFittable(model, layer) && compress::countTerms(layer) <= compress::LayerFit::kMostTerms; }

  void checkData(const Layer &layer, const compress::MaskedLayer &entry) const {
    constexpr size_t kMostTerms = 8192; // a Gram matrix of 512 MiB
    size_t terms = compress::countTerms(layer);
    if (entry.method == compress::MaskMethod::magnitude)
      return;
    std::string method = compress::printMaskMethod(entry.method);
    if (!runs.hasData())
      throw Failure(Status::badOption, method + " needs data: --calibrate DIR");
    if (terms > kMostTerms)
      throw Failure(Status::refused, "layer '" + layer.name + "' sums over " + std::to_string(terms) + " terms, and " + method + " takes " + std::to_string(kMostTerms) +
                                         " at most: --keep it, or --mask-by magnitude");
  }

  void apply(const Layer &layer, compress::MaskedLayer &entry) {
    compress::MaskPattern pattern;
    compress::readMaskPattern(entry.pattern, pattern);
    Rows weights = compress::readMatrix(model, layer), plainWeights = weights;
    size_t groups = compress::countGroups(layer), outputs = weights.count / groups;
    std::vector<compress::Gram> grams(groups);
    std::optional<compress::LayerFit> fit;
    if (isFitted(layer))
      fit.emplace(model, layer, pruning.slices);
    if (fit || entry.method != compress::MaskMethod::magnitude)
      observe(layer, grams, fit);
    for (size_t group = 0; group < groups; ++group) {
      auto begin = weights.values.begin() + static_cast<std::ptrdiff_t>(group * outputs * weights.terms), end = begin + static_cast<std::ptrdiff_t>(outputs * weights.terms);
      Rows own{outputs, weights.terms, {begin, end}};
      compress::maskRows(own, pattern, entry.method, grams[group]);
      std::copy(own.values.begin(), own.values.end(), begin);
    }
    compress::writeMatrix(model, layer, weights);
    if (fit) {
      pruning.refits.push_back(fit->applyMasked(model, weights));
      weights = compress::readMatrix(model, layer);
    }
    tell(weights, plainWeights, entry);
  }

  static void tell(const Rows &weights, const Rows &plainWeights, compress::MaskedLayer &entry) {
    double change = 0, signal = 0;
    entry.weights = weights.values.size();
    for (size_t k = 0; k < weights.values.size(); ++k) {
      double gap = static_cast<double>(weights.values[k]) - plainWeights.values[k];
      change += gap * gap;
      signal += static_cast<double>(plainWeights.values[k]) * plainWeights.values[k];
      entry.zeros += weights.values[k] == 0;
    }
    entry.change = signal > 0 ? change / signal : 0;
  }

  /// Layers before this one are masked already: it meets what it will read.
  void observe(const Layer &layer, std::vector<compress::Gram> &grams, std::optional<compress::LayerFit> &fit) {
    const std::vector<size_t> &samples = runs.getCalibration();
    Watched now(runs, model.serializePart({layer.input}), samples.size());
    size_t channels = static_cast<size_t>(layer.dims[layer.node->op_type() == "Conv" ? 1 : 1 - static_cast<size_t>(layer.channelAxis)]) * grams.size();
    for (size_t k = 0; k < samples.size(); ++k) {
      showProgress("inputs of " + layer.name + ": sample " + std::to_string(k + 1) + " of " + std::to_string(samples.size()));
      std::vector<Tensor> found = now.run(samples[k]);
      const Tensor &x = found[0];
      size_t step = chooseStep(countRows(x, channels), compress::countTerms(layer), samples.size());
      for (size_t group = 0; !fit && group < grams.size(); ++group) {
        Rows rows = compress::unfold(layer, x.dims, getFloats(x), group, step);
        grams[group].addRows(rows.values.data(), rows.count, rows.terms);
      }
      if (!fit)
        continue;
      std::vector<Tensor> expected = before->run(samples[k]);
      compress::TurnedLayer turned = findTurned(pruning, layer);
      const Tensor &y = before->find(expected, turned.plain);
      fit->add(compress::unfold(layer, x.dims, getFloats(x), 0, step), turnRows(compress::listOutputs(layer, y.dims, getFloats(y), step), turned));
    }
    if (fit)
      grams[0] = fit->makeGram();
  }

  compress::ModelGraph &model;
  const std::string &plain;
  compress::Pruning &pruning;
  const SampleRuns &runs;
  std::optional<Watched> before;
};

} // namespace

void applyMasks(compress::ModelGraph &model, const std::string &plain, compress::Pruning &pruning, const SampleRuns &runs) {
  if (!pruning.masks.empty())
    Masking(model, plain, pruning, runs).run();
}

} // namespace onager::cli
