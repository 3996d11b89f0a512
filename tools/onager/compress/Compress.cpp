// onager compress: a model with fewer bits, as ONNX or compiled, and what that costs in accuracy.
#include "Calibrate.h"
#include "Prune.h"
#include "Report.h"
#include "lib/Compress/Apply.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/ADT/StringRef.h"
#include <CLI/CLI.hpp>
#include <memory>

namespace json = llvm::json;

namespace onager::cli {

namespace {

struct CompressArguments {
  std::string model, output, data, recipe, recipeOutput, report, scheme, rounding, range = "mse";
  std::vector<std::string> kept;
  int64_t group = 32;
  int threads = 0;
  bool isJson = false;
  InputArguments random;
  PruneArguments prune;
};

class Compression {
public:
  explicit Compression(const CompressArguments &arguments) : arguments(arguments), runs(arguments.model, arguments.data, arguments.random, arguments.threads) {}
  void run();

private:
  void open();
  void plan();
  void judge(const std::string &compressed);
  void writeModel(const std::string &compressed) const;

  const CompressArguments &arguments;
  SampleRuns runs;
  compress::ModelGraph model;
  std::string plain; ///< the model before it is rewritten
  CompressReport report;
};

} // namespace

static void check(bool isFine, Status status, const std::string &error) {
  if (!isFine)
    throw Failure(status, error);
}

static std::string printJson(const json::Value &value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::formatv("{0:2}\n", value);
  return text;
}

/// The recipe with its part of pruning.
static json::Value printWhole(const CompressReport &report) {
  json::Value recipe = compress::printRecipe(report.recipe);
  if (report.pruning.isAny())
    (*recipe.getAsObject())["pruning"] = compress::printPruning(report.pruning);
  return recipe;
}

void Compression::open() {
  ModelSource source = openSource(arguments.model);
  check(!source.isArtifact, Status::badFile, source.shown + " is compiled already; compress needs the model");
  std::string error;
  check(model.open(source.path, source.bytes, error), Status::badFile, error);
  plain = model.serialize();
  report.bytesBefore = plain.size();
  if (!model.upgrade())
    report.notes.push_back("ONNX's converter cannot bring the model to operator set 13: ONNX Runtime may lack kernels for it");
}

void Compression::plan() {
  std::string error;
  std::string recipe = arguments.recipe.empty() ? "" : readFile(arguments.recipe);
  report.pruning = prune(model, arguments.prune, recipe, arguments.kept, runs);
  if (arguments.scheme.empty() && recipe.empty())
    return; // pruned alone
  if (!recipe.empty()) {
    check(compress::readRecipe(recipe, model, report.recipe, error), Status::badFile, error);
    return;
  }
  compress::Request request;
  compress::readScheme(arguments.scheme, request.scheme);
  // Few bits need care: ranges that fit the many weights rather than the largest.
  std::string rounding = arguments.rounding.empty() ? (request.scheme == compress::Scheme::int4 ? "mse" : "rtn") : arguments.rounding;
  compress::readRoundingMethod(rounding, request.rounding);
  if (std::string unfit = compress::explainUnfit(request.scheme, request.rounding); !unfit.empty())
    throw Failure(Status::badOption, "option 'rounding': " + unfit);
  compress::readRangeMethod(arguments.range, request.range);
  request.group = arguments.group;
  request.kept = arguments.kept;
  check(compress::planRecipe(model, request, report.recipe, error), Status::refused, error);
}

void Compression::judge(const std::string &compressed) {
  Artifact before = runs.compile(plain), after = runs.compile(compressed);
  report.heldOutSamples = runs.getHeldOut().size();
  if (report.heldOutSamples)
    report.errors = compareModels(before, after, runs, runs.getHeldOut());
  report.speed = measureSpeed(before, after, runs);
}

void Compression::writeModel(const std::string &compressed) const {
  if (llvm::StringRef(arguments.output).ends_with(".onnx") || arguments.output == "-")
    return writeFile(arguments.output, compressed);
  CompileOptions options;
  options.bytes = compressed;
  options.output = arguments.output;
  CompileResult result = compile(options);
  check(result.status == Status::ok, result.status, result.error);
}

void Compression::run() {
  open();
  plan();
  bool usesData = calibrate(model, report.recipe, runs);
  usesData |= roundByData(model, report.recipe, runs);
  usesData |= report.pruning.isAny() && runs.hasData();
  report.calibrationSamples = usesData ? runs.getCalibration().size() : 0;
  std::string error;
  check(compress::applyRecipe(model, report.recipe, error), Status::refused, error);
  std::string compressed = model.serialize();
  report.bytesAfter = compressed.size();
  if (runs.isRandom())
    report.notes.push_back("calibrated with random numbers: scales of activations are weaker than real data gives");
  if (runs.getHeldOut().empty())
    report.notes.push_back("no held-out samples: the accuracy is not known; with five samples or more each fifth is held out");
  if (!arguments.report.empty() || arguments.output != "-")
    judge(compressed);
  if (!arguments.recipeOutput.empty())
    writeFile(arguments.recipeOutput, printJson(printWhole(report)));
  if (!arguments.report.empty())
    writeFile(arguments.report, printJson(printReport(report)));
  writeModel(compressed);
  if (arguments.output != "-")
    print(arguments.isJson ? printJson(printReport(report)) : describeReport(report));
}

Command addCompress(CLI::App &app) {
  auto arguments = std::make_shared<CompressArguments>();
  app.add_option("model", arguments->model, "The ONNX model")->required()->type_name("M.onnx");
  app.add_option("-o,--output", arguments->output, "The compressed model: ONNX where it ends in .onnx, else compiled")->required()->type_name("FILE");
  auto *scheme = app.add_option("--quantize", arguments->scheme, "int8: weights and activations; int8-weights, int4: weights of products alone, in groups")
                     ->check(CLI::IsMember({"int8", "int8-weights", "int4"}))
                     ->type_name("SCHEME");
  auto *recipe = app.add_option("--recipe", arguments->recipe, "Do what a recipe says of each layer")->excludes(scheme)->type_name("R.json");
  app.add_option("--calibrate", arguments->data, "Samples: a folder of .npz, of folders of input_K.pb or INPUT.npy, or, for one input, of .npy or .pb; random:N")->type_name("DIR");
  app.add_option("--range", arguments->range, "Of activations: mse (default), minmax, percentile, entropy")->check(CLI::IsMember({"minmax", "percentile", "entropy", "mse"}))->excludes(recipe);
  app.add_option("--rounding", arguments->rounding, "Of weights: rtn (default of 8 bits), mse (default of int4), hqq (int4), gptq (weights alone; needs data)")
      ->check(CLI::IsMember({"rtn", "mse", "hqq", "gptq"}))
      ->excludes(recipe);
  app.add_option("--group", arguments->group, "Weights that share a scale (default 32), for weights alone")->check(CLI::IsMember({16, 32, 64, 128, 256}))->excludes(recipe);
  app.add_option("--keep", arguments->kept, "A node that stays as it is; may be repeated")->allow_extra_args(false)->excludes(recipe)->type_name("NODE");
  arguments->prune.addOptions(app, recipe);
  app.add_option("--write-recipe", arguments->recipeOutput, "Write what was decided for each layer")->type_name("R.json");
  app.add_option("--report", arguments->report, "Write sizes, errors on held-out samples, and time")->type_name("R.json");
  app.add_option("--threads", arguments->threads, "Threads of a run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  arguments->random.addRandom(app);
  app.add_flag("--json", arguments->isJson, "Print the report as JSON");
  return [arguments] {
    if (arguments->scheme.empty() && arguments->recipe.empty() && !arguments->prune.isAny())
      throw Failure(Status::badOption, "expected --quantize or --recipe, or --prune or --mask");
    Compression(*arguments).run();
    return Status::ok;
  };
}

} // namespace onager::cli
