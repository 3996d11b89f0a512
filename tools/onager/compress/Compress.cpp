// onager compress: a model with fewer bits, as ONNX or compiled, and what that costs in accuracy.
#include "Compression.h"
#include "tools/onager/Choice.h"
#include <memory>

namespace onager::cli {

/// Options that a recipe leaves no room for.
static void addDecisions(CLI::App &app, CompressArguments &arguments, CLI::Option *recipe) {
  auto addSchemes = [&](const std::string &name, const std::string &what, const std::vector<std::string> &known) {
    app.add_option(name, arguments.schemes, what)->delimiter(',')->allow_extra_args(false)->transform(oneOf(known))->excludes(recipe)->type_name("SCHEME,...");
  };
  addSchemes("--quantize", "int8: weights and activations; int8-dynamic: the same in products, without data; int8-weights, int4: weights alone, in groups; nf4, fp4: the same in products",
             {"int8", "int8-dynamic", "int8-weights", "int4", "nf4", "fp4"});
  addSchemes("--precision", "bf16, f16: operands of layers rounded, sums of f32", {"bf16", "f16"});
  app.add_option("--budget", arguments.budgets,
                 "Choose layer by layer, so that sqnr>=DB, cosine>=X, top_k>=X, kl<=X, mean_abs<=X, max_abs<=X, mean_rel<=X, max_rel<=X, or metric<=X of --metric-program, holds on held-out samples; may be repeated")
      ->allow_extra_args(false)
      ->excludes(recipe)
      ->type_name("METRIC>=X");
  app.add_option("--metric-program", arguments.metricProgram, "A shell command that reads lines EXPECTED.npy<tab>FOUND.npy<tab>SAMPLE, one output of one sample and its number, from 0, in the order of the data, and answers each with a number: the budget's `metric`")
      ->excludes(recipe)
      ->type_name("COMMAND");
  app.add_option("--target-bpw", arguments.targetBits, "Choose layer by layer, so that weights take so many bits on average")->check(CLI::Range(0.1, 32.0))->excludes(recipe);
  app.add_option("--minimize", arguments.objective, "What a budget makes small: time (default), or bytes (default where weights alone are quantised)")
      ->transform(oneOf({"time", "bytes"}))
      ->excludes(recipe);
  app.add_flag("--even-if-slower", arguments.mayBeSlower, "Keep layers of fewer bits that are slower than plain ones")->excludes(recipe);
  app.add_option("--range", arguments.range, "Of activations: best (default), the one of mse, minmax, percentile, entropy that loses the least, value by value")->transform(oneOf(compress::listRangeMethods()))->excludes(recipe);
  app.add_option("--rounding", arguments.rounding, "Of weights: rtn (default of 8 bits), mse (default of int4, nf4, fp4), hqq (int4), gptq and adaround (of integers; need data); without it int8 with samples takes adaround where that brings the outputs nearer")
      ->transform(oneOf(compress::listRoundingMethods()))
      ->excludes(recipe);
  app.add_option("--group", arguments.group, "Weights that share a scale (default 32, of int8-weights up to 128), for weights alone; of convolutions about so many")->transform(oneOf({"16", "32", "64", "128", "256"}))->excludes(recipe);
  app.add_option("--keep", arguments.kept, "A node that stays as it is; may be repeated")->allow_extra_args(false)->excludes(recipe)->type_name("NODE");
}

void CompressArguments::addOptions(CLI::App &app) {
  auto *recipeOption = app.add_option("--recipe", recipe, "Do what a recipe says of each layer")->type_name("R.json");
  app.add_option("--calibrate", data, "Samples: a folder of .npz, of folders of input_K.pb or INPUT.npy, or, for one input, of .npy or .pb; random:N; of language models self:N, texts that they draw themselves; batch-norm or batch-norm:K without samples: int8 with ranges of K (6) deviations around the means of BatchNormalization")->type_name("DIR");
  addDecisions(app, *this, recipeOption);
  prune.addOptions(app, recipeOption);
  scale.addOptions(app, recipeOption);
  app.add_option("--write-recipe", recipeOutput, "Write what was decided for each layer")->type_name("R.json");
  app.add_option("--threads", threads, "Threads of a run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  random.addRandom(app);
}

void CompressArguments::check() const {
  if (schemes.empty() && recipe.empty() && !prune.isAny())
    throw Failure(Status::badOption, "expected --quantize, --precision or --recipe, or --prune or --mask");
}

Command addCompress(CLI::App &app) {
  auto arguments = std::make_shared<CompressArguments>();
  app.add_option("model", arguments->model, "The ONNX model")->required()->type_name("M.onnx");
  app.add_option("-o,--output", arguments->output, "The compressed model: ONNX where it ends in .onnx, else compiled")->required()->type_name("FILE");
  arguments->addOptions(app);
  app.add_option("--report", arguments->report, "Write sizes, errors on held-out samples, times and layers: as a page where it ends in .html, else JSON")->type_name("R.html");
  app.add_flag("--json", arguments->isJson, "Print the report as JSON");
  return [arguments] {
    arguments->check();
    Compression(*arguments).run();
    return Status::ok;
  };
}

} // namespace onager::cli
