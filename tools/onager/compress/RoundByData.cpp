// The share of gptq and adaround that needs data: Gram matrices of the inputs that layers meet, one layer after the other.
#include "Calibrate.h"
#include "GramRuns.h"
#include "PartRuns.h"
#include "Watched.h"
#include "lib/Compress/Apply.h"
#include "lib/Compress/Gptq.h"
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Moves.h"
#include "lib/Compress/Prune/Coupling.h"
#include "lib/Compress/Prune/Unfold.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <utility>

namespace onager::cli {

namespace {

using compress::Layer;
using compress::ModelGraph;

class DataRounding {
public:
  DataRounding(const ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs, const RoundingSamples &chosen)
      : model(model), recipe(recipe), runs(runs), chosen(chosen), plan(model), plain(model, runs), rounded(model, runs, [this](ModelGraph &part) { apply(part); }), products(runs) {
    done.activations = recipe.activations;
  }

  /// Layers that read one value are rounded together; those behind them see what they make of it then.
  bool run() {
    std::vector<Layer> layers = listLayers();
    if (layers.empty())
      return false;
    if (!runs.hasData())
      throw Failure(Status::badOption, std::string(compress::printRoundingMethod(find(layers[0].name)->rounding)) + " needs data: --calibrate DIR");
    for (size_t begin = 0, end; begin < layers.size(); begin = end) {
      for (end = begin + 1; end < layers.size() && !isAlone(layers[begin]) && !isAlone(layers[end]) && layers[end].input == layers[begin].input;)
        ++end;
      std::string what = std::to_string(end) + " of " + std::to_string(layers.size()) + " layers";
      if (isLong(layers[begin]))
        roundLong(layers[begin], what);
      else if (isConv(layers[begin]))
        roundConv(layers[begin], what);
      else
        round({layers.begin() + static_cast<std::ptrdiff_t>(begin), layers.begin() + static_cast<std::ptrdiff_t>(end)}, what);
    }
    return hasRounded;
  }

private:
  static bool isConv(const Layer &layer) { return layer.node->op_type() == "Conv"; }
  /// True where Gram matrices would take more than 160 MiB each.
  static bool isLong(const Layer &layer) { return compress::countTerms(layer) > 4608; }
  static bool isAlone(const Layer &layer) { return isConv(layer) || isLong(layer); }

  std::vector<Layer> listLayers() {
    std::vector<Layer> layers;
    for (const onnx::NodeProto &node : model.graph().node())
      if (std::optional<Layer> layer = compress::findLayer(model, node); layer && find(layer->name)) {
        constexpr size_t kMostTerms = 2304;
        if (chosen.isCareful && compress::countTerms(*layer) > kMostTerms)
          leave(*layer);
        else
          layers.push_back(std::move(*layer));
      }
    return layers;
  }

  /// A layer that is rounded to the nearest after all.
  void leave(const Layer &layer) { find(layer.name)->rounding = compress::RoundingMethod::rtn; }

  bool saysEnough(size_t rows, size_t terms) const { return !chosen.isCareful || rows >= 2 * terms; }

  compress::LayerRecipe *find(const std::string &name) {
    for (compress::LayerRecipe &entry : recipe.layers)
      if (entry.node == name && entry.scheme != compress::Scheme::keep && compress::needsGram(entry.rounding) && entry.groups.empty())
        return &entry;
    return nullptr;
  }

  void round(const std::vector<Layer> &layers, const std::string &what) {
    size_t terms = compress::countTerms(layers[0]);
    Grams grams;
    observe(layers[0].input, what, [&](const Tensor &x, const Tensor &y) { products.add(getFloats(x), hasRounded ? getFloats(y) : nullptr, x.size() / terms, terms, grams); });
    if (!saysEnough(grams.rows, terms)) {
      llvm::for_each(layers, [&](const Layer &layer) { leave(layer); });
      return;
    }
    compress::GramRounding rounding(std::move(grams.own), grams.rows);
    const compress::Gram *cross = hasRounded ? &grams.cross : nullptr;
    for (const Layer &layer : layers)
      roundGroups(layer, [&](size_t, const std::vector<float> &weights, const compress::IntegerForm &form, compress::RoundingMethod method) { return rounding.round(weights, cross, form, method); });
  }

  /// Rounds what lies in a part and is decided.
  void apply(ModelGraph &part) const {
    compress::Recipe own;
    own.activations = done.activations;
    std::set<std::string> names;
    for (const onnx::NodeProto &node : part.graph().node())
      if (std::optional<Layer> layer = compress::findLayer(part, node))
        names.insert(layer->name);
    for (const compress::LayerRecipe &entry : done.layers)
      if (names.count(entry.node))
        own.layers.push_back(entry);
    std::string error;
    if (!compress::applyRecipe(part, own, error))
      throw Failure(Status::internal, error);
  }

  /// Rounds the weights of each group of a layer by `round`, which gets its number and them.
  template <typename Round>
  void roundGroups(const Layer &layer, const Round &round) {
    compress::Rows weights = compress::readMatrix(model, layer);
    compress::LayerRecipe &entry = *find(layer.name);
    compress::IntegerForm form = compress::getForm(entry, weights.terms);
    showProgress("rounding " + layer.name);
    size_t count = compress::countGroups(layer), perGroup = weights.values.size() / count;
    std::vector<compress::RoundedGroup> all;
    for (size_t g = 0; g < count; ++g) {
      auto begin = weights.values.begin() + static_cast<std::ptrdiff_t>(g * perGroup);
      std::vector<compress::RoundedGroup> groups = round(g, std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(perGroup)), form, entry.rounding);
      std::move(groups.begin(), groups.end(), std::back_inserter(all));
    }
    if (entry.rounding == compress::RoundingMethod::adaround)
      entry.moves = compress::printMoves(compress::roundToForms(weights.values, weights.terms, form), all);
    entry.groups = std::move(all);
    done.layers.push_back(entry);
    hasRounded = true;
  }

  /// A convolution, group by group.
  void roundConv(const Layer &layer, const std::string &what) {
    std::vector<Grams> grams = observeConv(layer, what);
    if (!saysEnough(grams[0].rows, compress::countTerms(layer)))
      return leave(layer);
    roundGroups(layer, [&](size_t g, const std::vector<float> &weights, const compress::IntegerForm &form, compress::RoundingMethod method) {
      return compress::GramRounding(std::move(grams[g].own), grams[g].rows).round(weights, hasRounded ? &grams[g].cross : nullptr, form, method);
    });
  }

  /// A layer whose sums have very many terms, by as many rows as fit into 256 MiB, evenly.
  void roundLong(const Layer &layer, const std::string &what) {
    constexpr size_t kMostFloats = size_t(64) << 20;
    std::vector<compress::Rows> rows(compress::countGroups(layer));
    size_t terms = compress::countTerms(layer), samples = chosen.samples.size(), most = std::max<size_t>(1, kMostFloats / (terms * rows.size() * samples));
    observe(layer.input, what, [&](const Tensor &x, const Tensor &) {
      for (size_t g = 0; g < rows.size(); ++g) {
        compress::Rows more = compress::unfold(layer, x.dims, getFloats(x), g, llvm::divideCeil(countInputRows(layer, x), most));
        rows[g].terms = more.terms;
        rows[g].count += more.count;
        rows[g].values.insert(rows[g].values.end(), more.values.begin(), more.values.end());
      }
    });
    roundGroups(layer, [&](size_t g, const std::vector<float> &weights, const compress::IntegerForm &form, compress::RoundingMethod method) {
      return compress::RowRounding(std::exchange(rows[g], {})).round(weights, form, method);
    });
  }

  /// About as many rows as a layer reads of a value, one at least.
  static size_t countInputRows(const Layer &layer, const Tensor &x) {
    size_t channels = isConv(layer) ? static_cast<size_t>(layer.dims[1]) * compress::countGroups(layer) : compress::countTerms(layer), strides = 1;
    for (int64_t stride : compress::getInts(*layer.node, "strides"))
      strides *= static_cast<size_t>(stride);
    return std::max<size_t>(1, countRows(x, channels) / strides);
  }

  std::vector<Grams> observeConv(const Layer &layer, const std::string &what) {
    std::vector<Grams> grams(compress::countGroups(layer));
    size_t terms = compress::countTerms(layer);
    observe(layer.input, what, [&](const Tensor &x, const Tensor &y) {
      size_t step = chooseStep(countInputRows(layer, x), terms, chosen.samples.size());
      for (size_t g = 0; g < grams.size(); ++g) {
        compress::Rows own = compress::unfold(layer, x.dims, getFloats(x), g, step), other;
        if (hasRounded)
          other = compress::unfold(layer, y.dims, getFloats(y), g, step);
        products.add(own.values.data(), hasRounded ? other.values.data() : nullptr, own.count, terms, grams[g]);
      }
    });
    return grams;
  }

  /// Shows a value as the model whose layers so far are rounded has it, and as the plain one has it.
  void observe(const std::string &value, const std::string &what, const std::function<void(const Tensor &x, const Tensor &y)> &visit) {
    compress::ModelPart part = plan.advance(value);
    showProgress(what + ": compiling");
    plain.begin(part);
    rounded.begin(part);
    size_t count = 0;
    for (size_t sample : chosen.samples) {
      showProgress(what + ": sample " + std::to_string(++count) + " of " + std::to_string(chosen.samples.size()));
      Tensor y = plain.run(sample), x = rounded.run(sample);
      visit(x, y);
    }
    plan.keep(plain.end());
    rounded.end();
  }

  const ModelGraph &model;
  compress::Recipe &recipe;
  const SampleRuns &runs;
  const RoundingSamples &chosen;
  compress::PartPlan plan;
  compress::Recipe done; ///< the layers that are rounded
  PartRuns plain, rounded;
  GramRuns products;
  bool hasRounded = false;
};

} // namespace

bool roundByData(const ModelGraph &model, compress::Recipe &recipe, const SampleRuns &runs, const RoundingSamples &samples) { return DataRounding(model, recipe, runs, samples).run(); }

} // namespace onager::cli
