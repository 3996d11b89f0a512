// onager verify: compares two forms of a model, and finds what is to blame where they differ.
#include "Bisect.h"
#include "MixedModel.h"
#include "NodeSearch.h"
#include "Exposure.h"
#include "Report.h"
#include "tools/onager/Profile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include <CLI/CLI.hpp>

namespace json = llvm::json;

namespace onager::cli {

namespace {

struct VerifyArguments {
  std::string model, against = "O0", samples;
  std::vector<std::string> metrics, mixed;
  std::optional<std::string> againstLevel;
  std::optional<double> rtol, atol;
  std::optional<size_t> sample;
  size_t k = 1;
  int threads = 0;
  bool isJson = false, isPerNode = false, bisects = false;
  CompilerArguments compiler;
  InputArguments inputs;
  const CLI::App *app = nullptr;
};

} // namespace

/// Reads O0 to O3.
static bool readLevel(llvm::StringRef text, int &level) { return text.consume_front("O") && !text.getAsInteger(10, level) && level >= 0 && level <= 3; }

static Form openForm(const VerifyArguments &arguments, const std::string &path) {
  Form form{Form::Kind::model, openSource(path), arguments.compiler.resolve()};
  if (form.source.isArtifact)
    form.kind = Form::Kind::artifact;
  return form;
}

/// The other side, as --against names it.
static Form openAgainst(const VerifyArguments &arguments, const Form &found) {
  int level = 0;
  if (arguments.against == "onnxruntime" || readLevel(arguments.against, level)) {
    if (found.kind == Form::Kind::artifact)
      throw Failure(Status::badOption, "option 'against': " + arguments.against + " needs the model, and " + found.source.shown + " is compiled already; expected a file");
    Form form = found;
    form.kind = arguments.against == "onnxruntime" ? Form::Kind::onnxRuntime : Form::Kind::model;
    form.options.optLevel = level;
    if (arguments.againstLevel)
      throw Failure(Status::badOption, "option 'against-level': expected --against M.onnx, whose level it is, found '" + arguments.against + "'");
    return form;
  }
  if (arguments.against != "-" && !llvm::sys::fs::exists(arguments.against))
    throw Failure(Status::badOption, "option 'against': expected O0, O1, O2, O3, onnxruntime or a file, found '" + arguments.against + "'");
  Form form = openForm(arguments, arguments.against);
  if (arguments.againstLevel && (form.kind == Form::Kind::artifact || !readLevel(*arguments.againstLevel, form.options.optLevel)))
    throw Failure(Status::badOption, form.kind == Form::Kind::artifact ? "option 'against-level': " + form.source.shown + " is compiled already"
                                                                       : "option 'against-level': expected O0, O1, O2 or O3, found '" + *arguments.againstLevel + "'");
  return form;
}

/// The words of the command line but those that ask for more than the comparison, and for the passes of a search.
static std::vector<std::string> collectWords(const CLI::App &app) {
  static const std::set<std::string> left{"--bisect", "--json", "--per-node", "--sample", "--pass-limit", "--mix"};
  std::vector<std::string> words{"onager", "verify"};
  for (const CLI::Option *option : app.get_options()) {
    std::string name = option->get_positional() ? "" : option->get_name();
    if (!option->count() || left.count(name))
      continue;
    for (const std::string &value : option->results()) {
      if (!name.empty())
        words.push_back(name);
      if (option->get_expected_min() > 0)
        words.push_back(value);
    }
  }
  return words;
}

static Judge makeJudge(const VerifyArguments &arguments) {
  Judge judge{arguments.rtol, arguments.atol, arguments.k, {}};
  for (const std::string &text : arguments.metrics) {
    std::string error;
    if (!readThreshold(text, judge.thresholds.emplace_back(), error))
      throw Failure(Status::badOption, error);
  }
  return judge;
}

/// Takes the layers of some values from the model, all others from the one that it is compared with.
static void mixModels(const VerifyArguments &arguments, Form &found, const Form &expected) {
  if (expected.kind != Form::Kind::model || found.kind != Form::Kind::model || areOfOneModel(found, expected))
    throw Failure(Status::badOption, "option 'mix': expected two models to mix, found " + found.describe() + " and " + expected.describe());
  MixedModel mixed(expected.source, found.source);
  std::vector<bool> chosen(mixed.getShared().size(), false);
  for (const std::string &value : arguments.mixed) {
    auto place = llvm::find(mixed.getShared(), value);
    if (place == mixed.getShared().end())
      throw Failure(Status::badOption, "option 'mix': no node of both models computes '" + value + "'");
    chosen[static_cast<size_t>(place - mixed.getShared().begin())] = true;
  }
  found.source.bytes = mixed.mix(chosen);
  found.source.path.clear();
}

static Job makeJob(const VerifyArguments &arguments) {
  Job job;
  job.judge = makeJudge(arguments);
  job.found = openForm(arguments, arguments.model);
  job.expected = openAgainst(arguments, job.found);
  if (job.found.kind == Form::Kind::artifact && job.expected.kind == Form::Kind::artifact && !arguments.compiler.isEmpty())
    throw Failure(Status::badOption, "both sides are compiled already: --target, -O, --shape and --sanitize do not apply");
  if (!arguments.mixed.empty())
    mixModels(arguments, job.found, job.expected);
  job.threads = arguments.threads;
  job.words = collectWords(*arguments.app);
  job.calibration = {"--calibrate", arguments.samples.empty() ? "random:8" : arguments.samples};
  for (const std::string &dim : arguments.app->get_option("--dim")->results())
    job.calibration.insert(job.calibration.end(), {"--dim", dim});
  return job;
}

/// Compares the outputs, or all values that both sides have.
static std::vector<ValueErrors> compareJob(Job &job, const Data &data, bool isPerNode) {
  CompiledSide plain(job.found, job.threads);
  job.ownOutputs = plain.getOutputs().size();
  if (!isPerNode)
    return compareSides(plain, *openBeside(job.expected, plain, job.found.describe(), job.threads), data, job.judge);
  std::unique_ptr<Exposure> exposure = makeExposure(job.found, job.expected);
  CompiledSide mine(exposure->exposeAll(job.found), job.threads);
  return compareSides(mine, *openBeside(exposure->exposeAll(job.expected), mine, job.found.describe(), job.threads), data, job.judge);
}

/// Without --bisect: the node alone, where the values inside can be seen.
static void nameNode(const Job &job, const Data &data, std::string &text, json::Object &report) {
  if (job.found.kind == Form::Kind::artifact || job.expected.kind == Form::Kind::artifact || job.found.source.path.empty())
    return;
  std::optional<size_t> index = findBrokenSample(job, data);
  Form reference = job.expected;
  if (reference.kind == Form::Kind::onnxRuntime) {
    // What the compiler does is found against its own reference form; what the import does needs --bisect.
    reference = job.found;
    reference.options.optLevel = 0;
  }
  NodeFinding finding = findNode(job.found, reference, data.pick(index.value_or(0)), job.judge, job.ownOutputs, job.threads);
  text += describeFinding(finding);
  report["first_node"] = json::fixUTF8(finding.differing);
}

static Status runVerify(const VerifyArguments &arguments) {
  Job job = makeJob(arguments);
  Data data(arguments.inputs, arguments.samples, arguments.sample);
  std::vector<ValueErrors> values = compareJob(job, data, arguments.isPerNode);
  bool isFine = areFine(values), isFinite = llvm::none_of(values, [](const ValueErrors &value) { return value.metrics.nonFinite > 0; });
  std::string text;
  for (const ValueErrors &value : values)
    text += describeValue(value, job.judge, data.size());
  json::Object report{{"found", json::fixUTF8(job.found.describe())}, {"expected", json::fixUTF8(job.expected.describe())}, {"samples", static_cast<int64_t>(data.size())},
                      {"metrics", json::Array(arguments.metrics)}, {"ok", isFine}, {"values", printValues(values)}};
  if (arguments.bisects && (!isFine || !isFinite)) {
    std::optional<size_t> index = isFine ? std::optional<size_t>() : findBrokenSample(job, data);
    Blame blame = bisect(job, index ? data.pick(*index) : data);
    text += blame.text;
    report["bisect"] = std::move(blame.json);
  } else if (!isFine && !arguments.isPerNode) {
    nameNode(job, data, text, report);
  }
  print(arguments.isJson ? formatJson(std::move(report)) : text);
  return isFine ? Status::ok : Status::difference;
}

Command addVerify(CLI::App &app) {
  auto arguments = std::make_shared<VerifyArguments>();
  arguments->app = &app;
  app.add_option("model", arguments->model, "What is judged: an ONNX model, compiled at -O, or a compiled model")->required()->type_name("M.onnx|M.so");
  app.add_option("--against", arguments->against, "What is expected: O0 (default: the reference form), O1, O2, O3: the model at that level; another model or a compiled one;\n"
                                                  "onnxruntime: ONNX Runtime, in the Python that ONAGER_PYTHON names")
      ->type_name("WHAT");
  app.add_option("--against-level", arguments->againstLevel, "Level of a model that --against names: O0 to O3 (default: as -O)")->type_name("LEVEL");
  app.add_option("--metric", arguments->metrics, "What decides, in the place of a tolerance, as sqnr>=30, cosine>=0.999, kl<=0.01: max_abs, mean_abs, max_rel, mean_rel,\n"
                                                 "cosine, sqnr (dB), kl, top_k, outside, nonfinite; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME>=X|NAME<=X");
  app.add_option("--top-k", arguments->k, "k of the metric top_k (default 1)")->check(CLI::Range(size_t(1), size_t(1) << 20));
  app.add_option("--rtol", arguments->rtol, "Relative tolerance (default 1e-3; 1e-2 for types of 16 bits and less)")->check(CLI::NonNegativeNumber);
  app.add_option("--atol", arguments->atol, "Absolute tolerance (default 1e-4; 1e-2 for types of 16 bits and less)")->check(CLI::NonNegativeNumber);
  app.add_option("--samples", arguments->samples, "Many sets of inputs: a folder of .npz, of folders of input_K.pb or INPUT.npy, or, for one input, of .npy or .pb; random:N")->type_name("DIR|random:N");
  app.add_option("--sample", arguments->sample, "One of the samples alone, counted from 0")->type_name("K");
  app.add_option("--threads", arguments->threads, "Threads of a run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  app.add_flag("--per-node", arguments->isPerNode, "Compare the values inside the model as well; as outputs they are not fused with others");
  app.add_flag("--bisect", arguments->bisects, "Find the pass, the layer or the code that is to blame where the sides differ");
  app.add_option("--mix", arguments->mixed, "Of two models: take the layer that computes a value from the model, all others from the one of --against; may be repeated")
      ->allow_extra_args(false)
      ->type_name("VALUE");
  app.add_flag("--json", arguments->isJson, "Print JSON");
  arguments->inputs.addFolder(app);
  arguments->inputs.addRandom(app);
  arguments->compiler.addCommon(app);
  return [arguments] { return runVerify(*arguments); };
}

} // namespace onager::cli
