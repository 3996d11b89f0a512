// Options, scores and the order of the steps of pruning.
#include "Prune.h"
#include "lib/Compress/Prune/Refit.h"
#include "tools/onager/Choice.h"
#include "llvm/ADT/StringRef.h"

namespace onager::cli {

using compress::Coupling;
using compress::PruneChoice;
using compress::PruneCriterion;
using compress::PruneSpace;
using compress::Pruning;

void PruneArguments::addOptions(CLI::App &app, CLI::Option *recipe) {
  app.add_option("--prune", shares, "Remove a share of the channels, of the attention heads, as many of both as make that share of the operations, or a share of a transformer's width (with data): channels=X, heads=X, flops=X, hidden=X; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->excludes(recipe)
      ->type_name("WHAT=SHARE");
  app.add_option("--prune-by", criterion, "What channels are compared by: magnitude (default without data), activation (default with data), loss")
      ->transform(oneOf({"magnitude", "activation", "loss"}))
      ->excludes(recipe);
  app.add_option("--prune-scope", scope, "Shares are of each layer (default), or of the whole model")->transform(oneOf({"layer", "model"}))->excludes(recipe);
  app.add_option("--prune-floor", floor, "The share of each layer that stays at least (default 0.125)")->check(CLI::Range(0.0, 1.0))->excludes(recipe);
  app.add_option("--prune-rotation", rotation, "The basis that hidden finds: shared by all blocks (default), or each norm's own, with a product between two")
      ->transform(oneOf({"shared", "each"}))
      ->excludes(recipe);
  app.add_flag("--no-refit", isPlain, "Do not fit what is left to the plain model")->excludes(recipe);
  app.add_option("--mask", mask, "Weights that become 0: N:M, of which N in M stay, or the share that goes")->excludes(recipe)->type_name("PATTERN");
  app.add_option("--mask-by", maskMethod, "magnitude (default without data), wanda, sparsegpt (default with data)")
      ->transform(oneOf({"magnitude", "wanda", "sparsegpt"}))
      ->excludes(recipe);
}

static compress::PruneRequest readRequest(const PruneArguments &arguments, const std::vector<std::string> &kept, bool hasData) {
  compress::PruneRequest request;
  request.kept.insert(kept.begin(), kept.end());
  request.isGlobal = arguments.scope == "model";
  request.floor = arguments.floor;
  std::string criterion = arguments.criterion.empty() ? (hasData ? "activation" : "magnitude") : arguments.criterion;
  request.criterion = criterion == "loss" ? PruneCriterion::loss : criterion == "activation" ? PruneCriterion::activation : PruneCriterion::magnitude;
  for (const std::string &text : arguments.shares) {
    auto [what, number] = llvm::StringRef(text).split('=');
    std::optional<double> *share = what == "channels" ? &request.channels : what == "heads" ? &request.heads : what == "flops" ? &request.operations : what == "hidden" ? &request.hidden : nullptr;
    double value = 0;
    bool isRead = share && !number.getAsDouble(value), isRotation = what == "hidden" && value == 0;
    if (!isRead || !((value > 0 || isRotation) && value < 1))
      throw Failure(Status::badOption, "option 'prune': expected channels, heads, flops or hidden with a share between 0 and 1, such as channels=0.5, found '" + text + "'");
    *share = value;
  }
  if (request.operations && (request.channels || request.heads || request.hidden))
    throw Failure(Status::badOption, "option 'prune': flops chooses channels and heads itself; expected it alone");
  if (request.hidden && !kept.empty())
    throw Failure(Status::badOption, "option 'prune': hidden writes all layers in another basis, node '" + kept.front() + "' cannot stay as it is");
  return request;
}

namespace {

class Pruner {
public:
  Pruner(compress::ModelGraph &model, const PruneArguments &arguments, const SampleRuns &runs) : model(model), arguments(arguments), runs(runs) {}

  Pruning choose(const std::vector<std::string> &kept) {
    Pruning pruning;
    compress::PruneRequest request = readRequest(arguments, kept, runs.hasData());
    if (request.hidden) {
      pruning.operationsBefore = countOperations();
      sliceStreams(model, *request.hidden, arguments.rotation == "each", runs, pruning);
      pruning.operationsAfter = countOperations();
    }
    if (!request.channels && !request.heads && !request.operations)
      return pruning;
    Coupling coupling(model);
    PruneSpace space(coupling, findInputs(), request.floor);
    compress::UnitScores scores = request.criterion == PruneCriterion::magnitude ? compress::scoreByMagnitude(space) : compress::scoreByActivation(space, measureMoments(coupling));
    std::vector<double> sensitivities(scores.size(), 1.0);
    if (request.criterion == PruneCriterion::loss)
      sensitivities = measureSensitivities(space, scores);
    PruneChoice choice(space);
    std::string error;
    if (!compress::chooseUnits(space, request, scores, sensitivities, choice, error))
      throw Failure(Status::refused, error);
    apply(space, choice, scores, sensitivities, pruning);
    return pruning;
  }

  void repeat(Pruning &pruning) {
    if (!pruning.streams.empty()) {
      pruning.operationsBefore = countOperations();
      repeatStreams(model, runs, pruning);
      pruning.operationsAfter = countOperations();
    }
    if (pruning.groups.empty())
      return;
    Coupling coupling(model);
    PruneSpace space(coupling, findInputs(), 0);
    PruneChoice choice(space);
    std::string error;
    if (!compress::repeatChoice(space, pruning.groups, choice, error))
      throw Failure(Status::badFile, error);
    apply(space, choice, {}, std::vector<double>(space.getGroups().size(), 1.0), pruning);
  }

private:
  double countOperations() {
    Coupling coupling(model);
    PruneSpace space(coupling, findInputs(), 0);
    return PruneChoice(space).countOperations();
  }

  void apply(const PruneSpace &space, const PruneChoice &choice, const compress::UnitScores &scores, const std::vector<double> &sensitivities, Pruning &pruning) {
    pruning.groups = compress::describeChoice(space, choice, scores, sensitivities);
    if (pruning.streams.empty())
      pruning.operationsBefore = PruneChoice(space).countOperations();
    pruning.operationsAfter = choice.countOperations();
    std::string error;
    if (!compress::removeClasses(model, space.getCoupling(), choice.getRemoved(), pruning.slices, error))
      throw Failure(Status::internal, error);
  }

  void needData() const {
    if (!runs.hasData())
      throw Failure(Status::badOption, "option 'prune-by': what is read needs data: --calibrate DIR");
  }

  /// The extents that operations are counted for: those of the first sample.
  compress::Shapes findInputs() {
    compress::Shapes shapes;
    bool isSymbolic = false;
    for (const onnx::ValueInfoProto &input : model.graph().input())
      if (!model.isConstant(input.name()))
        for (const auto &dim : input.type().tensor_type().shape().dim())
          isSymbolic |= !dim.has_dim_value();
    if (!isSymbolic)
      return shapes;
    // Inputs alone: nothing else has to be compiled.
    onnx::ModelProto inputs = model.proto();
    onnx::GraphProto &graph = *inputs.mutable_graph();
    graph.clear_node();
    graph.clear_initializer();
    graph.clear_output();
    graph.clear_value_info();
    graph.clear_input();
    for (const onnx::ValueInfoProto &input : model.graph().input())
      if (!model.isConstant(input.name())) {
        *graph.add_input() = input;
        onnx::NodeProto *node = graph.add_node();
        node->set_op_type("Identity");
        node->add_input(input.name());
        node->add_output(input.name() + " again");
        graph.add_output()->set_name(input.name() + " again");
      }
    rt::Manifest manifest = readManifest(runs.compile(inputs.SerializeAsString()).path);
    std::vector<Tensor> sample = runs.load(0, manifest);
    for (size_t k = 0; k < sample.size(); ++k)
      shapes[manifest.inputs[k].name] = sample[k].dims;
    return shapes;
  }

  /// Mean squares of what consumers read, along the axis that they sum over.
  std::map<std::string, std::vector<double>> measureMoments(const Coupling &coupling) {
    needData();
    std::map<std::string, size_t> axes;
    std::vector<std::string> values;
    for (const compress::Consumer &consumer : coupling.getConsumers())
      if (axes.try_emplace(consumer.input, consumer.inputAxis).second)
        values.push_back(consumer.input);
    std::map<std::string, std::vector<double>> sums;
    auto observe = [&](const std::string &name, const Tensor &tensor) {
      auto found = axes.find(name);
      if (found == axes.end() || tensor.dtype != ONAGER_F32 || found->second >= tensor.dims.size())
        return;
      std::vector<double> &own = sums[name];
      size_t inner = 1, extent = static_cast<size_t>(tensor.dims[found->second]);
      for (size_t k = found->second + 1; k < tensor.dims.size(); ++k)
        inner *= static_cast<size_t>(tensor.dims[k]);
      own.resize(extent);
      const auto *elements = reinterpret_cast<const float *>(tensor.data.data());
      for (size_t k = 0; k < tensor.size(); ++k)
        own[k / inner % extent] += static_cast<double>(elements[k]) * elements[k];
    };
    runs.run(model.serializeWithOutputs(values), runs.getCalibration(), "what channels hold", [&](const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs) {
      std::set<std::string> seen;
      for (size_t k = 0; k < outputs.size(); ++k)
        if (seen.insert(manifest.outputs[k].name).second)
          observe(manifest.outputs[k].name, outputs[k]);
      for (size_t k = 0; k < inputs.size(); ++k)
        if (seen.insert(manifest.inputs[k].name).second)
          observe(manifest.inputs[k].name, inputs[k]);
    });
    return sums;
  }

  /// What the outputs lose, as squared errors over squares, when the lower half of each group alone goes; at most eight samples.
  std::vector<double> measureSensitivities(const PruneSpace &space, const compress::UnitScores &scores) {
    std::vector<size_t> samples = runs.getCalibration();
    samples.resize(std::min<size_t>(samples.size(), 8));
    std::vector<std::vector<Tensor>> expected;
    runs.run(model.serialize(), samples, "plain outputs", [&](const rt::Manifest &, const std::vector<Tensor> &, const std::vector<Tensor> &outputs) { expected.push_back(outputs); });
    std::vector<double> losses;
    for (size_t k = 0; k < space.getGroups().size(); ++k) {
      PruneChoice choice(space);
      removeHalf(space.getGroups()[k], scores[k], choice);
      compress::ModelGraph copy;
      std::string error, bytes = model.serialize();
      if (!copy.open("", bytes, error))
        throw Failure(Status::internal, error);
      Coupling coupling(copy);
      std::vector<compress::Slice> slices;
      if (!compress::removeClasses(copy, coupling, choice.getRemoved(), slices, error))
        throw Failure(Status::internal, error);
      double noise = 0, signal = 0;
      size_t at = 0;
      std::string what = "without half of '" + space.getGroups()[k].weights + "'";
      runs.run(copy.serialize(), samples, what, [&](const rt::Manifest &, const std::vector<Tensor> &, const std::vector<Tensor> &outputs) {
        for (size_t o = 0; o < outputs.size(); ++o)
          for (size_t e = 0; e < outputs[o].size() && outputs[o].dims == expected[at][o].dims; ++e) {
            double plain = static_cast<double>(getElement(expected[at][o], e)), gap = static_cast<double>(getElement(outputs[o], e)) - plain;
            noise += gap * gap;
            signal += plain * plain;
          }
        ++at;
      });
      losses.push_back(std::max(1e-9, signal > 0 ? noise / signal : noise));
    }
    return losses;
  }

  static void removeHalf(const compress::PruneGroup &group, const std::vector<double> &scores, PruneChoice &choice) {
    std::vector<std::pair<double, int32_t>> order;
    for (size_t k = 0; k < scores.size(); ++k)
      order.emplace_back(scores[k], group.units[k]);
    std::sort(order.begin(), order.end());
    for (size_t k = 0; k < order.size() / 2; ++k)
      if (choice.mayRemove({order[k].second}))
        choice.remove({order[k].second});
  }

  compress::ModelGraph &model;
  const PruneArguments &arguments;
  const SampleRuns &runs;
};

} // namespace

static void listMasks(const compress::ModelGraph &model, const PruneArguments &arguments, const std::vector<std::string> &kept, bool hasData, Pruning &pruning) {
  compress::MaskedLayer masked;
  masked.pattern = arguments.mask;
  compress::MaskPattern pattern;
  if (!compress::readMaskPattern(arguments.mask, pattern))
    throw Failure(Status::badOption, "option 'mask': expected N:M with N below M, such as 2:4, or a share between 0 and 1, found '" + arguments.mask + "'");
  compress::readMaskMethod(arguments.maskMethod.empty() ? (hasData ? "sparsegpt" : "magnitude") : arguments.maskMethod, masked.method);
  for (const onnx::NodeProto &node : model.graph().node())
    if (std::optional<compress::Layer> layer = compress::findLayer(model, node); layer && node.op_type() != "Gather" && compress::explainUnmaskable(model, *layer).empty()) {
      masked.node = layer->name;
      if (std::find(kept.begin(), kept.end(), layer->name) == kept.end())
        pruning.masks.push_back(masked);
    }
  if (pruning.masks.empty())
    throw Failure(Status::refused, "option 'mask': the model has no product or convolution with constant weights of f32 that takes a mask");
}

Pruning prune(compress::ModelGraph &model, const PruneArguments &arguments, const std::string &recipe, const std::vector<std::string> &kept, const SampleRuns &runs) {
  Pruning pruning;
  std::string error;
  if (!recipe.empty() && !compress::readPruning(recipe, pruning, error))
    throw Failure(Status::badFile, error);
  if (!pruning.isAny() && !arguments.isAny())
    return pruning;
  std::string plain = model.serialize();
  Pruner pruner(model, arguments, runs);
  if (!recipe.empty())
    pruner.repeat(pruning);
  else if (!arguments.shares.empty())
    pruning = pruner.choose(kept);
  if (recipe.empty()) {
    pruning.isRefitted = runs.hasData() && !arguments.isPlain;
    if (!arguments.mask.empty())
      listMasks(model, arguments, kept, runs.hasData(), pruning);
  }
  if (pruning.isRefitted && !runs.hasData())
    throw Failure(Status::badOption, "the refit needs data: --calibrate DIR, or a recipe in which it is false");
  if (pruning.isRefitted)
    refit(model, plain, pruning, runs);
  applyMasks(model, plain, pruning, runs);
  return pruning;
}

} // namespace onager::cli
