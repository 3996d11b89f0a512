// Deciding, rewriting, judging, writing.
#include "Compression.h"
#include "Calibrate.h"
#include "LayerTimes.h"
#include "lib/Compress/Apply.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"

namespace json = llvm::json;

namespace onager::cli {

using compress::Recipe;
using compress::Scheme;

static void check(bool isFine, Status status, const std::string &error) {
  if (!isFine)
    throw Failure(status, error);
}

static std::string printJson(const json::Value &value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::formatv("{0:2}\n", value);
  return text;
}

static Scheme getScheme(const std::string &name) {
  Scheme scheme = Scheme::keep;
  compress::readScheme(name, scheme);
  return scheme;
}

/// The recipe with its part of pruning.
static json::Value printWhole(const CompressReport &report) {
  json::Value recipe = compress::printRecipe(report.recipe);
  if (report.pruning.isAny())
    (*recipe.getAsObject())["pruning"] = compress::printPruning(report.pruning);
  if (!report.scalings.done.empty())
    (*recipe.getAsObject())["scaling"] = compress::printScalings(report.scalings.done);
  return recipe;
}

Compression::Compression(const CompressArguments &arguments) : arguments(arguments), runs(arguments.model, arguments.data, arguments.random, arguments.threads) {
  std::shared_ptr<MetricProgram> program = arguments.metricProgram.empty() ? nullptr : std::make_shared<MetricProgram>(arguments.metricProgram);
  for (const std::string &budget : arguments.budgets)
    request.budgets.emplace_back(budget, program);
  if (!request.budgets.empty())
    runs.appointJudges();
  request.targetBits = arguments.targetBits;
  bool isForBytes = !arguments.schemes.empty() && llvm::all_of(arguments.schemes, [](const std::string &name) { return compress::hasGroups(getScheme(name)); });
  request.objective = arguments.objective.empty() ? (isForBytes ? Objective::bytes : Objective::time) : arguments.objective == "bytes" ? Objective::bytes : Objective::time;
  check(arguments.recipe.empty() || !isSearch(), Status::badOption, "option 'recipe': a recipe has decided for each layer; expected no --budget and no --target-bpw");
  check(!isSearch() || !arguments.schemes.empty(), Status::badOption, "options 'budget' and 'target-bpw': expected schemes to choose from: --quantize or --precision");
  check(arguments.schemes.size() < 2 || isSearch(), Status::badOption, "options 'quantize' and 'precision': several schemes need --budget or --target-bpw to choose by");
}

void Compression::open() {
  ModelSource source = openSource(arguments.model);
  check(!source.isArtifact, Status::badFile, source.shown + " is compiled already; compress needs the model");
  std::string error;
  check(model.open(source.path, source.bytes, error), Status::badFile, error);
  writeFile(plain.get(), model.serialize());
  runs.drawFrom(plain.get());
  report.bytesBefore = model.proto().ByteSizeLong();
  if (!model.upgrade())
    report.notes.push_back("ONNX's converter cannot bring the model to operator set 13: ONNX Runtime may lack kernels for it");
}

Recipe Compression::plan(Scheme scheme) const {
  compress::Request asked;
  asked.scheme = scheme;
  // Few bits need care: ranges that fit the many weights rather than the largest.
  compress::readRoundingMethod(arguments.rounding.empty() ? (compress::hasGroups(scheme) && scheme != Scheme::int8Weights ? "mse" : "rtn") : arguments.rounding, asked.rounding);
  if (std::string unfit = compress::explainUnfit(scheme, asked.rounding); !unfit.empty())
    throw Failure(Status::badOption, "option 'rounding': " + unfit);
  compress::readRangeMethod(arguments.range, asked.range);
  asked.group = arguments.group;
  asked.kept = arguments.kept;
  Recipe recipe;
  std::string error;
  check(compress::planRecipe(model, asked, recipe, error), Status::refused, error);
  return recipe;
}

void Compression::decide() {
  std::string recipe = arguments.recipe.empty() ? "" : readFile(arguments.recipe), error;
  report.pruning = prune(model, arguments.prune, recipe, arguments.kept, runs);
  scale(recipe);
  if (isSearch())
    return chooseSchemes();
  if (!recipe.empty())
    check(compress::readRecipe(recipe, model, report.recipe, error), Status::badFile, error);
  else if (!arguments.schemes.empty())
    report.recipe = plan(getScheme(arguments.schemes[0]));
  bool usesData = calibrate(model, report.recipe, runs);
  usesData |= roundByData(model, report.recipe, runs, {runs.getCalibration()});
  usesData |= report.pruning.isAny() && runs.hasData();
  usesData |= correctsBiases() || improvesRounding();
  auto looksAtData = [&](const auto &entry) { return recipe.empty() && entry.method != compress::ScalingMethod::cle; };
  usesData |= llvm::any_of(report.scalings.done, looksAtData) || llvm::any_of(report.scalings.left, looksAtData);
  report.calibrationSamples = usesData ? runs.getCalibration().size() : 0;
}

/// Scales channels as the recipe says, or for the first scheme that is asked for: what the model computes stays.
void Compression::scale(const std::string &recipe) {
  std::string error;
  if (!recipe.empty()) {
    check(compress::readScalings(recipe, report.scalings.done, error), Status::badFile, error);
    for (const compress::Scaling &scaling : report.scalings.done)
      check(compress::repeatScaling(model, scaling, error), Status::badFile, "the recipe: " + error);
    return;
  }
  ScaleArguments wanted = arguments.scale;
  std::string scheme = arguments.schemes.empty() ? "" : arguments.schemes[0];
  if (wanted.methods.empty() && runs.hasData() && llvm::is_contained(arguments.schemes, "int8")) {
    wanted.methods = {"depthwise"};
    scheme = "int8";
  }
  if (wanted.methods.empty())
    return;
  check(!scheme.empty(), Status::badOption, "option 'scaling': expected a scheme to scale for: --quantize");
  scaleChannels(model, wanted, plan(getScheme(scheme)), runs, report.scalings);
}

/// Plans each scheme for the whole model, and lets the search choose among what the layers can take.
void Compression::chooseSchemes() {
  std::vector<compress::LayerOptions> options;
  for (const std::string &name : arguments.schemes) {
    Recipe planned = plan(getScheme(name));
    calibrate(model, planned, runs);
    roundByData(model, planned, runs, {runs.getCalibration()});
    if (report.recipe.layers.empty()) {
      report.recipe = planned;
      options.resize(planned.layers.size());
    }
    report.recipe.activations.merge(planned.activations);
    for (size_t k = 0; k < planned.layers.size(); ++k) {
      compress::LayerRecipe &entry = report.recipe.layers[k];
      options[k].node = entry.node;
      // A table has one form, whatever was asked for.
      bool isNew = llvm::none_of(options[k].forms, [&](const compress::LayerRecipe &form) { return form.scheme == planned.layers[k].scheme; });
      if (planned.layers[k].scheme != Scheme::keep && isNew)
        options[k].forms.push_back(planned.layers[k]);
      entry.scheme = Scheme::keep;
    }
  }
  llvm::erase_if(options, [](const compress::LayerOptions &layer) { return layer.forms.empty(); });
  report.search = search(model, report.recipe, std::move(options), request, runs);
  report.search.activations = report.recipe.activations;
  report.calibrationSamples = runs.getCalibration().size();
  report.judgingSamples = runs.getJudges().size();
}

/// Rewrites the model as the recipe says by now.
void Compression::apply() {
  compress::ModelGraph rewritten = model;
  std::string error;
  // Scales of values that no layer reads as bytes any more are no part of the recipe.
  std::vector<std::string> values = compress::findByteFlow(model, report.recipe).values;
  std::map<std::string, compress::Activation> used;
  for (const std::string &value : values)
    if (auto found = report.recipe.activations.find(value); found != report.recipe.activations.end())
      used.insert(*found);
  report.recipe.activations = std::move(used);
  check(compress::applyRecipe(rewritten, report.recipe, error), Status::refused, error);
  compressed = rewritten.serialize();
  after.reset();
}

/// What samples lose by the rewritten model, for each budget.
std::vector<std::vector<Loss>> Compression::measureLosses(const std::vector<size_t> &chosen, const std::string &what) const {
  std::vector<std::vector<Loss>> losses(request.budgets.size());
  if (!losses.empty())
    visitPairs(*before, *after, runs, chosen, what, [&](const rt::Manifest &, const std::vector<Tensor> &expected, const std::vector<Tensor> &found) {
      for (size_t k = 0; k < losses.size(); ++k)
        losses[k].push_back(request.budgets[k].measure(found, expected, chosen[losses[k].size()]));
    });
  return losses;
}

/// True where the rewritten model, as it will run, stays within the budgets: as samples have it that chose nothing, where there are enough.
bool Compression::staysWithin() {
  after = runs.compile(compressed);
  std::vector<std::vector<Loss>> choosing = measureLosses(runs.getCalibration(), "calibration sample"), judges = measureLosses(runs.getJudges(), "judging sample");
  for (size_t k = 0; k < choosing.size(); ++k) {
    const Budget &budget = request.budgets[k];
    double bound = judges[k].empty() ? budget.bound(choosing[k], runs.getHeldOut().size()) : budget.bound(judges[k], runs.getHeldOut().size(), choosing[k]);
    if (bound > budget.getLimit())
      return false;
  }
  return true;
}

/// Between layers of int8 other operators work on bytes, too, which the search did not see, and what layers were chosen by loses too little: the fewest layers become plain again, those that gain
/// least for their loss first, with which the budgets hold. Found in steps that double, then by halves.
void Compression::retreat() {
  if (staysWithin())
    return;
  const Recipe chosen = report.recipe;
  const std::vector<std::string> &order = report.search.retreat;
  auto holdsWithout = [&](size_t count) {
    report.recipe = chosen;
    for (compress::LayerRecipe &entry : report.recipe.layers)
      if (llvm::is_contained(llvm::ArrayRef(order).take_front(count), entry.node)) {
        entry.scheme = Scheme::keep;
        entry.reason = "the budget";
      }
    apply();
    return staysWithin();
  };
  size_t few = 0, enough = order.size(); // so many do not suffice; so many do
  for (size_t step = 1; few + step < enough; step *= 2)
    (holdsWithout(few + step) ? enough : few) = few + step;
  for (size_t middle = few + (enough - few) / 2; few + 1 < enough; middle = few + (enough - few) / 2)
    (holdsWithout(middle) ? enough : few) = middle;
  check(holdsWithout(enough), Status::internal, "the plain model is not within the budget");
}

/// Where layers stay plain for their own time, values between their neighbours become floats and bytes again, which can cost more: the whole model tells.
void Compression::fillGaps() {
  if (!wantsSpeed() || report.search.slow.empty())
    return;
  Recipe chosen = report.recipe;
  std::string bytes = compressed;
  auto measureGain = [&] {
    Speed speed = measureSpeed(*before, *after, runs);
    return speed.plain / speed.compressed;
  };
  double gain = measureGain();
  for (const compress::LayerRecipe &form : report.search.slow)
    for (compress::LayerRecipe &entry : report.recipe.layers)
      if (entry.node == form.node)
        entry = form;
  report.recipe.activations.insert(report.search.activations.begin(), report.search.activations.end());
  apply();
  if (staysWithin() && measureGain() > 1.01 * gain)
    return;
  report.recipe = std::move(chosen);
  compressed = std::move(bytes);
  after.reset();
}

/// Bytes that make a model slower are of no use where speed is what is wanted: layers that are slower alone stay as they are, then all of them.
void Compression::keepFaster() {
  constexpr double kNoise = 1.02;
  auto isSlower = [&] {
    if (!after)
      after = runs.compile(compressed);
    report.speed = measureSpeed(*before, *after, runs);
    return report.speed.compressed > kNoise * report.speed.plain;
  };
  if (!isSlower())
    return;
  std::vector<compress::LayerOptions> options;
  for (const compress::LayerRecipe &entry : report.recipe.layers)
    if (entry.scheme != Scheme::keep)
      options.push_back({entry.node, {entry}});
  std::map<std::string, LayerTime> times = measureLayers(model, report.recipe.activations, options, runs);
  for (compress::LayerRecipe &entry : report.recipe.layers)
    if (auto time = times.find(entry.node); time != times.end() && time->second.forms[0] > 0.97 * time->second.plain) {
      entry.reason = llvm::formatv("{0} is no faster here: {1:F2} us, plain {2:F2} us", printScheme(entry.scheme), time->second.forms[0] * 1e6, time->second.plain * 1e6);
      entry.scheme = Scheme::keep;
    }
  apply();
  if (!isSlower())
    return;
  for (compress::LayerRecipe &entry : report.recipe.layers)
    if (entry.scheme != Scheme::keep) {
      entry.reason = "the whole model would be slower here";
      entry.scheme = Scheme::keep;
    }
  // Factors are of no use then.
  if (!report.pruning.isAny() && !report.scalings.done.empty()) {
    std::string error;
    check(model.open(plain.get(), "", error), Status::internal, error);
    model.upgrade();
    report.scalings = {};
  }
  apply();
}

/// Rounds by data and shifts biases once it is known what becomes of each layer, where the model's outputs, on samples that decided nothing of it, come nearer.
void Compression::refine() {
  bool staysWithinBudgets = !correctsBiases() || correct();
  if (improvesRounding() && improveRounding(model, report.recipe, correctsBiases(), runs))
    apply();
  if (!staysWithinBudgets)
    report.notes.push_back("no bias correction: the budget would not hold with it");
  else if (correctsBiases() && llvm::all_of(report.recipe.layers, [](const compress::LayerRecipe &entry) { return entry.shift.empty(); }))
    report.notes.push_back("no bias correction: the outputs would be no nearer to the plain model's");
}

/// False where biases stay as they are since a budget would not hold with others.
bool Compression::correct() {
  if (!correctBiases(model, report.recipe, runs))
    return true;
  std::string bytes = compressed;
  apply();
  if (request.budgets.empty() || staysWithin())
    return true;
  for (compress::LayerRecipe &entry : report.recipe.layers)
    entry.shift.clear();
  compressed = std::move(bytes);
  after.reset();
  return false;
}

void Compression::judge() {
  if (!after)
    after = runs.compile(compressed);
  report.heldOutSamples = runs.getHeldOut().size();
  if (report.heldOutSamples)
    report.errors = compareModels(*before, *after, runs, runs.getHeldOut());
  std::vector<std::vector<Loss>> losses = measureLosses(runs.getHeldOut(), "held-out sample");
  for (size_t k = 0; k < losses.size(); ++k)
    report.budgets.push_back({request.budgets[k].getText(), request.budgets[k].toMetric(request.budgets[k].combine(losses[k])),
                              request.budgets[k].combine(losses[k]) <= request.budgets[k].getLimit()});
  report.speed = measureSpeed(*before, *after, runs);
  if (report.speed.compressed > 1.02 * report.speed.plain)
    report.notes.push_back("the compressed model is slower here than the plain one");
}

void Compression::writeRecipe() const {
  if (!arguments.recipeOutput.empty())
    writeFile(arguments.recipeOutput, printJson(printWhole(report)));
}

void Compression::write() const {
  writeRecipe();
  if (!arguments.report.empty())
    writeFile(arguments.report, llvm::StringRef(arguments.report).ends_with(".html") ? printHtml(report, arguments.model) : printJson(printReport(report)));
  if (llvm::StringRef(arguments.output).ends_with(".onnx") || arguments.output == "-")
    return writeFile(arguments.output, compressed);
  CompileOptions options;
  options.bytes = compressed;
  options.output = arguments.output;
  CompileResult result = compile(options);
  check(result.status == Status::ok, result.status, result.error);
}

void Compression::make(bool isJudged) {
  open();
  decide();
  apply();
  bool mustBeFast = wantsSpeed() && !arguments.schemes.empty() && !arguments.mayBeSlower;
  if (isJudged || isSearch() || mustBeFast)
    before = runs.compileFile(plain.get());
  if (!request.budgets.empty()) {
    retreat();
    fillGaps();
  }
  if (mustBeFast)
    keepFaster();
  refine();
  report.bytesAfter = compressed.size();
  if (llvm::any_of(report.recipe.layers, [](const compress::LayerRecipe &entry) { return compress::hasGroups(entry.scheme) && compress::isConvolution(entry.op); }))
    report.notes.push_back("weights alone of convolutions make the ONNX model smaller; compiled code holds them as f32, and is as fast as before");
  findKernels(compressed, report.pruning);
  if (runs.isRandom())
    report.notes.push_back("calibrated with random numbers: scales of activations are weaker than real data gives");
  if (llvm::any_of(report.recipe.activations, [](const auto &entry) { return entry.second.method == "batch-norm"; }))
    report.notes.push_back("ranges of activations are from BatchNormalization, without data: weaker than those that samples give, and the accuracy is not known");
  if (runs.isDrawn())
    report.notes.push_back("calibrated and judged with texts that the model drew itself: weaker than texts that it will meet");
  if (runs.getHeldOut().empty() && !runs.getNormDeviations())
    report.notes.push_back("no held-out samples: the accuracy is not known; with five samples or more each fifth is held out");
  if (isJudged)
    judge();
}

std::string Compression::rewrite(bool isJudged) {
  make(isJudged);
  writeRecipe();
  return std::move(compressed);
}

void Compression::run() {
  make(!arguments.report.empty() || arguments.output != "-");
  write();
  if (arguments.output != "-")
    print(arguments.isJson ? printJson(printReport(report)) : describeReport(report));
}

} // namespace onager::cli
