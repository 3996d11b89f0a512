// Deciding for layers, and recipes as text.
#include "lib/Compress/Recipe.h"
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Moves.h"
#include "lib/Compress/Prune/Unfold.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <numeric>

namespace json = llvm::json;

namespace onager::compress {

static constexpr std::pair<const char *, Scheme> kSchemes[] = {{"keep", Scheme::keep}, {"bf16", Scheme::bf16}, {"f16", Scheme::f16}, {"int8", Scheme::int8},
                                                               {"int8-dynamic", Scheme::int8Dynamic}, {"int8-weights", Scheme::int8Weights}, {"int4", Scheme::int4}, {"nf4", Scheme::nf4}, {"fp4", Scheme::fp4}};
static constexpr const char *kRoundings[] = {"rtn", "mse", "hqq", "gptq", "adaround"}, *kRanges[] = {"minmax", "percentile", "entropy", "mse", "best"};

const char *printScheme(Scheme scheme) {
  for (const auto &[name, value] : kSchemes)
    if (value == scheme)
      return name;
  llvm_unreachable("a scheme without a name");
}

bool readScheme(const std::string &name, Scheme &scheme) {
  for (const auto &[known, value] : kSchemes)
    if (name == known) {
      scheme = value;
      return true;
    }
  return false;
}

template <typename Method>
static bool findName(llvm::ArrayRef<const char *> names, const std::string &name, Method &method) {
  const auto *found = llvm::find(names, name);
  if (found != names.end())
    method = static_cast<Method>(found - names.begin());
  return found != names.end();
}

const char *printRoundingMethod(RoundingMethod method) { return kRoundings[static_cast<int>(method)]; }

bool readRoundingMethod(const std::string &name, RoundingMethod &method) { return findName(kRoundings, name, method); }

const char *printRangeMethod(RangeMethod method) { return kRanges[static_cast<int>(method)]; }

bool readRangeMethod(const std::string &name, RangeMethod &method) { return findName(kRanges, name, method); }

std::vector<std::string> listRoundingMethods() { return {std::begin(kRoundings), std::end(kRoundings)}; }

std::vector<std::string> listRangeMethods() { return {std::begin(kRanges), std::end(kRanges)}; }

std::vector<std::string> listSchemes() {
  std::vector<std::string> names;
  for (const auto &[name, scheme] : kSchemes)
    if (scheme != Scheme::keep)
      names.emplace_back(name);
  return names;
}

std::string explainUnfit(Scheme scheme, RoundingMethod rounding) {
  if (rounding == RoundingMethod::hqq && scheme != Scheme::int4)
    return "hqq is for int4";
  if (needsGram(rounding) && !isQuantised(scheme))
    return "gptq and adaround are for schemes of integers";
  if (hasCodebook(scheme) && rounding != RoundingMethod::rtn && rounding != RoundingMethod::mse)
    return "codebooks are rounded to by rtn or mse";
  return {};
}

/// Bytes whose rows become floats again are next to lossless; there is no operator for rows of a codebook.
static Scheme getTableScheme(Scheme scheme) { return hasByteInputs(scheme) ? Scheme::int8Weights : hasCodebook(scheme) ? Scheme::int4 : scheme; }

LayerRecipe keepLayer(const ModelGraph &model, const Layer &layer, const std::string &reason) {
  LayerRecipe entry;
  entry.node = layer.name;
  entry.op = layer.node->op_type();
  entry.reason = reason;
  entry.bytesBefore = model.countBytes(layer.weights);
  return entry;
}

/// Groups of few weights keep integers of four bits near to what they stand for; eight bits have room, so that fewer scales are read. Where larger groups
/// would fill a row up by more than a sixteenth they stay small.
static int64_t chooseGroup(const Layer &layer, Scheme scheme) {
  const int64_t smallest = 32, terms = std::accumulate(layer.dims.begin(), layer.dims.end(), int64_t(1), std::multiplies<>()) / std::max<int64_t>(countOutputs(layer), 1);
  if (scheme != Scheme::int8Weights)
    return smallest;
  for (int64_t group : {128, 64})
    if ((-terms % group + group) % group * 16 <= terms)
      return group;
  return smallest;
}

bool planRecipe(const ModelGraph &model, const Request &request, Recipe &recipe, std::string &error) {
  recipe.range = request.range;
  std::set<std::string> kept(request.kept.begin(), request.kept.end());
  for (const onnx::NodeProto &node : model.graph().node()) {
    std::optional<Layer> layer = findLayer(model, node);
    if (!layer)
      continue;
    Scheme scheme = layer->isTable() ? getTableScheme(request.scheme) : request.scheme;
    std::string reason = kept.erase(layer->name) ? "asked for" : explainUnfit(model, *layer, scheme);
    LayerRecipe entry = keepLayer(model, *layer, reason);
    if (reason.empty()) {
      entry.scheme = scheme;
      entry.rounding = explainUnfit(*layer, request.rounding).empty() ? request.rounding : RoundingMethod::mse;
      entry.group = request.group != 0 ? request.group : chooseGroup(*layer, scheme);
    }
    recipe.layers.push_back(std::move(entry));
  }
  if (!kept.empty())
    error = "the model has no layer '" + *kept.begin() + "' to keep";
  else if (llvm::all_of(recipe.layers, [](const LayerRecipe &entry) { return entry.scheme == Scheme::keep; }))
    error = recipe.layers.empty() ? "the model has no product, convolution or table with constant weights of float32" : "no layer can take the scheme: " + recipe.layers.front().reason;
  return error.empty();
}

json::Value printRecipe(const Recipe &recipe) {
  json::Array layers, activations;
  for (const LayerRecipe &entry : recipe.layers) {
    json::Object object{{"node", json::fixUTF8(entry.node)}, {"op", entry.op}, {"scheme", printScheme(entry.scheme)}};
    if (isQuantised(entry.scheme))
      object["rounding"] = printRoundingMethod(entry.rounding);
    if (hasGroups(entry.scheme) && !getForm(entry, 1).isSymmetric)
      object["group"] = entry.group;
    if (!entry.moves.empty())
      object["moves"] = entry.moves;
    if (!entry.shift.empty()) {
      json::Array shift;
      for (float number : entry.shift)
        shift.push_back(static_cast<double>(number));
      object["bias_shift"] = std::move(shift);
    }
    if (!entry.reason.empty())
      object["reason"] = json::fixUTF8(entry.reason);
    layers.push_back(std::move(object));
  }
  for (const auto &[name, activation] : recipe.activations) {
    json::Object object{{"value", json::fixUTF8(name)}, {"scale", static_cast<double>(activation.scale)}, {"zero_point", activation.zeroPoint}};
    if (!activation.method.empty())
      object["method"] = json::fixUTF8(activation.method);
    activations.push_back(std::move(object));
  }
  return json::Object{{"version", 1}, {"range", printRangeMethod(recipe.range)}, {"layers", std::move(layers)}, {"activations", std::move(activations)}};
}

namespace {

/// Reads the parts of a recipe's text; the first thing that is wrong is kept.
class Reader {
public:
  Reader(const ModelGraph &model, Recipe &recipe, std::string &error) : model(model), recipe(recipe), error(error) {}

  bool read(const json::Object &root) {
    const json::Array *layers = root.getArray("layers"), *activations = root.getArray("activations");
    if (root.getInteger("version") != 1 || !layers || !activations || !readRangeMethod(root.getString("range").value_or("").str(), recipe.range))
      return fail("expected version 1, range, layers and activations");
    return llvm::all_of(*layers, [&](const json::Value &value) { return readLayer(value.getAsObject()); }) &&
           llvm::all_of(*activations, [&](const json::Value &value) { return readActivation(value.getAsObject()); });
  }

private:
  bool fail(const std::string &reason) {
    error = "the recipe: " + reason;
    return false;
  }

  std::optional<Layer> findNamed(const std::string &name) const {
    for (const onnx::NodeProto &node : model.graph().node())
      if (std::optional<Layer> layer = findLayer(model, node); layer && layer->name == name)
        return layer;
    return std::nullopt;
  }

  bool readLayer(const json::Object *object) {
    if (!object || !object->getString("node"))
      return fail("a layer without a node");
    LayerRecipe entry;
    entry.node = object->getString("node")->str();
    std::optional<Layer> layer = findNamed(entry.node);
    if (!layer)
      return fail("the model has no layer '" + entry.node + "'");
    entry.op = layer->node->op_type();
    entry.bytesBefore = model.countBytes(layer->weights);
    entry.reason = object->getString("reason").value_or("").str();
    std::string scheme = object->getString("scheme").value_or("").str(), rounding = object->getString("rounding").value_or("rtn").str();
    entry.group = object->getInteger("group").value_or(32);
    if (!readScheme(scheme, entry.scheme))
      return fail("layer '" + entry.node + "': unknown scheme '" + scheme + "'");
    if (!readRoundingMethod(rounding, entry.rounding))
      return fail("layer '" + entry.node + "': unknown rounding '" + rounding + "'");
    if (std::string unfit = explainUnfit(entry.scheme, entry.rounding); !unfit.empty())
      return fail("layer '" + entry.node + "': " + unfit);
    if (!isGroup(entry.group))
      return fail("layer '" + entry.node + "': expected a group of 16, 32, 64, 128 or 256, found " + std::to_string(entry.group));
    std::string unfit = explainUnfit(model, *layer, entry.scheme);
    if (unfit.empty())
      unfit = explainUnfit(*layer, entry.rounding);
    if (entry.scheme != Scheme::keep && !unfit.empty())
      return fail("layer '" + entry.node + "': " + unfit);
    if (!readShift(*object, countOutputs(*layer), entry) || !readMoves(*object, *layer, entry))
      return false;
    recipe.layers.push_back(std::move(entry));
    return true;
  }

  bool readShift(const json::Object &object, int64_t channels, LayerRecipe &entry) {
    const json::Array *shift = object.getArray("bias_shift");
    if (!shift)
      return true;
    for (const json::Value &value : *shift)
      entry.shift.push_back(static_cast<float>(value.getAsNumber().value_or(NAN)));
    bool isFine = static_cast<int64_t>(entry.shift.size()) == channels && llvm::all_of(entry.shift, [](float number) { return std::isfinite(number); });
    return isFine || fail("layer '" + entry.node + "': expected a bias_shift of " + std::to_string(channels) + " numbers");
  }

  /// Without them, or with another rounding, integers need the data again.
  bool readMoves(const json::Object &object, const Layer &layer, LayerRecipe &entry) {
    std::optional<llvm::StringRef> moves = object.getString("moves");
    if (!moves || entry.scheme == Scheme::keep || entry.rounding != RoundingMethod::adaround)
      return true;
    Rows weights = readMatrix(model, layer);
    IntegerForm form = getForm(entry, weights.terms);
    entry.groups = roundToForms(weights.values, weights.terms, form);
    entry.moves = moves->str();
    return applyMoves(*moves, form, entry.groups) || fail("layer '" + entry.node + "': expected moves of its " + std::to_string(weights.values.size()) + " weights in groups as the recipe has them");
  }

  bool readActivation(const json::Object *object) {
    std::optional<llvm::StringRef> name = object ? object->getString("value") : std::nullopt;
    std::optional<double> scale = object ? object->getNumber("scale") : std::nullopt;
    std::optional<int64_t> zero = object ? object->getInteger("zero_point") : std::nullopt;
    if (!name || !scale || !zero || !std::isnormal(static_cast<float>(*scale)) || *scale <= 0 || *zero < 0 || *zero > 255)
      return fail("an activation without value, scale above 0 or zero_point from 0 to 255");
    if (!model.countReaders(name->str()))
      return fail("the model has no value '" + name->str() + "'");
    recipe.activations[name->str()] = {static_cast<float>(*scale), static_cast<int>(*zero), object->getString("method").value_or("").str()};
    return true;
  }

  const ModelGraph &model;
  Recipe &recipe;
  std::string &error;
};

} // namespace

bool readRecipe(const std::string &text, const ModelGraph &model, Recipe &recipe, std::string &error) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value) {
    error = "the recipe: " + llvm::toString(value.takeError());
    return false;
  }
  if (const json::Object *root = value->getAsObject())
    return Reader(model, recipe, error).read(*root);
  error = "the recipe: expected an object";
  return false;
}

} // namespace onager::compress
