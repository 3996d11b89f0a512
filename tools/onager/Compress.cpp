// onager compress: a model with fewer bits, as ONNX or compiled, and what that costs in accuracy.
#include "CompressReport.h"
#include "Session.h"
#include "lib/Compress/Apply.h"
#include "lib/Compress/Gptq.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/ADT/StringRef.h"
#include <CLI/CLI.hpp>
#include <cmath>
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
};

/// Every fifth sample is held out: those judge what the others made.
struct Split {
  std::vector<size_t> calibration, heldOut;
};

class Compression {
public:
  explicit Compression(const CompressArguments &arguments) : arguments(arguments) {}
  void run();

private:
  void open();
  void plan();
  Split split() const;
  /// Runs a form of the model on the calibration part; `visit` gets each sample's inputs and outputs.
  using Visit = std::function<void(const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs)>;
  void runSamples(std::string bytes, const Split &parts, const std::string &what, const Visit &visit) const;
  void calibrate(const Split &parts);
  void roundByData(const Split &parts);
  void roundChunk(const Split &parts, const std::vector<compress::Layer> &layers);
  compress::LayerRecipe *findByData(const std::string &name);
  void judge(const Split &parts, const std::string &compressed);
  void writeModel(const std::string &compressed) const;

  const CompressArguments &arguments;
  ModelSource source;
  compress::ModelGraph model;
  CompressReport report;
  std::unique_ptr<Samples> samples;
};

} // namespace

/// A model in memory as the compiler takes it.
static ModelSource makeSource(std::string bytes, const std::string &shown) { return {"", std::move(bytes), shown, false}; }

static void check(bool isFine, Status status, const std::string &error) {
  if (!isFine)
    throw Failure(status, error);
}

static std::string printJson(const json::Value &value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::formatv("{0:2}\n", value);
  return text;
}

void Compression::open() {
  source = openSource(arguments.model);
  check(!source.isArtifact, Status::badFile, source.shown + " is compiled already; compress needs the model");
  std::string error;
  check(model.open(source.path, source.bytes, error), Status::badFile, error);
  report.bytesBefore = model.serialize().size();
  if (!model.upgrade())
    report.notes.push_back("ONNX's converter cannot bring the model to operator set 13: ONNX Runtime may lack kernels for it");
}

void Compression::plan() {
  std::string error;
  if (!arguments.recipe.empty()) {
    check(compress::readRecipe(readFile(arguments.recipe), model, report.recipe, error), Status::badFile, error);
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

Split Compression::split() const {
  Split parts;
  for (size_t k = 0; samples && k < samples->size(); ++k)
    (k % 5 == 4 ? parts.heldOut : parts.calibration).push_back(k);
  return parts;
}

void Compression::runSamples(std::string bytes, const Split &parts, const std::string &what, const Visit &visit) const {
  CompileOptions options;
  options.recompile = false;
  Artifact artifact = compileSource(makeSource(std::move(bytes), arguments.model), options);
  rt::Manifest manifest = readManifest(artifact.path);
  Session session(artifact.path, arguments.threads);
  for (size_t index : parts.calibration) {
    showProgress(what + ": sample " + std::to_string(index + 1) + " of " + std::to_string(samples->size()));
    std::vector<Tensor> inputs = samples->load(index, manifest);
    session.bind(inputs);
    session.run();
    visit(manifest, inputs, session.copyOutputs());
  }
}

void Compression::calibrate(const Split &parts) {
  std::vector<std::string> values;
  for (const std::string &value : compress::findByteFlow(model, report.recipe).values)
    if (!report.recipe.activations.count(value))
      values.push_back(value);
  if (values.empty())
    return;
  check(samples != nullptr, Status::badOption, "int8 needs data: --calibrate DIR, or a recipe that has the scale of value '" + values[0] + "'");
  std::map<std::string, compress::Histogram> histograms;
  std::set<std::string> wanted(values.begin(), values.end());
  auto observe = [&](const std::string &name, const Tensor &tensor) {
    if (wanted.count(name) && tensor.dtype == ONAGER_F32)
      histograms[name].add(reinterpret_cast<const float *>(tensor.data.data()), tensor.size());
  };
  // Inputs are seen in the samples themselves, everything else as an output.
  runSamples(model.serializeWithOutputs(values), parts, "calibration", [&](const rt::Manifest &manifest, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs) {
    for (size_t k = 0; k < outputs.size(); ++k)
      observe(manifest.outputs[k].name, outputs[k]);
    for (size_t k = 0; k < inputs.size(); ++k)
      if (std::none_of(manifest.outputs.begin(), manifest.outputs.end(), [&](const rt::TensorInfo &info) { return info.name == manifest.inputs[k].name; }))
        observe(manifest.inputs[k].name, inputs[k]);
  });
  for (const std::string &value : values) {
    const compress::Histogram &histogram = histograms[value];
    check(!histogram.isEmpty(), Status::refused, "value '" + value + "' held no finite number of float32 in the calibration data");
    compress::Range range = histogram.choose(report.recipe.range);
    auto scale = static_cast<float>((range.most - range.least) / 255);
    if (!std::isnormal(scale))
      scale = 1;
    report.recipe.activations[value] = {scale, static_cast<int>(std::clamp(std::nearbyint(-range.least / scale), 0.0, 255.0))};
  }
  report.calibrationSamples = parts.calibration.size();
}

/// Layers of gptq are rounded a few at a time: the Gram matrices of a large model would not fit into memory together.
void Compression::roundByData(const Split &parts) {
  constexpr uint64_t kMostBytes = uint64_t(128) << 20;
  std::vector<compress::Layer> chunk;
  uint64_t bytes = 0;
  for (const onnx::NodeProto &node : model.graph().node()) {
    std::optional<compress::Layer> layer = compress::findLayer(model, node);
    if (!layer || !findByData(layer->name))
      continue;
    check(samples != nullptr, Status::badOption, "gptq needs data: --calibrate DIR");
    auto terms = static_cast<uint64_t>(layer->dims[1 - static_cast<size_t>(layer->channelAxis)]);
    bytes += terms * terms * sizeof(float);
    if (bytes > kMostBytes && !chunk.empty()) {
      roundChunk(parts, chunk);
      chunk.clear();
      bytes = terms * terms * sizeof(float);
    }
    chunk.push_back(std::move(*layer));
  }
  if (!chunk.empty())
    roundChunk(parts, chunk);
}

compress::LayerRecipe *Compression::findByData(const std::string &name) {
  for (compress::LayerRecipe &entry : report.recipe.layers)
    if (entry.node == name && entry.scheme != compress::Scheme::keep && entry.rounding == compress::RoundingMethod::gptq)
      return &entry;
  return nullptr;
}

void Compression::roundChunk(const Split &parts, const std::vector<compress::Layer> &layers) {
  std::vector<std::pair<std::string, int64_t>> values;
  std::map<std::string, compress::Gram> grams;
  for (const compress::Layer &layer : layers)
    if (grams.try_emplace(compress::ModelGraph::makeGramName(layer.input)).second)
      values.emplace_back(layer.input, layer.dims[1 - static_cast<size_t>(layer.channelAxis)]);
  std::string what = "inputs of " + layers.front().name + " to " + layers.back().name;
  runSamples(model.serializeWithGrams(values), parts, what, [&](const rt::Manifest &manifest, const std::vector<Tensor> &, const std::vector<Tensor> &outputs) {
    for (size_t k = 0; k < outputs.size(); ++k)
      if (auto found = grams.find(manifest.outputs[k].name); found != grams.end())
        found->second.add(reinterpret_cast<const float *>(outputs[k].data.data()), outputs[k].size());
  });
  for (const compress::Layer &layer : layers) {
    showProgress("rounding " + layer.name);
    compress::LayerRecipe &entry = *findByData(layer.name);
    size_t outputs, terms;
    std::vector<float> rows = compress::readRows(model, layer, outputs, terms);
    entry.groups = compress::roundByGram(std::move(rows), outputs, grams.at(compress::ModelGraph::makeGramName(layer.input)), static_cast<size_t>(entry.group),
                                         entry.scheme == compress::Scheme::int4 ? 4 : 8);
  }
  report.calibrationSamples = parts.calibration.size();
}

void Compression::judge(const Split &parts, const std::string &compressed) {
  CompileOptions options;
  options.recompile = false;
  Artifact plain = compileSource(source, options), small = compileSource(makeSource(compressed, arguments.model), options);
  report.heldOutSamples = parts.heldOut.size();
  if (!parts.heldOut.empty())
    report.errors = compareModels(plain, small, *samples, parts.heldOut, arguments.threads);
  if (!samples)
    samples = std::make_unique<Samples>("random:1", arguments.random);
  report.speed = measureSpeed(plain, small, *samples, arguments.threads);
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
  if (!arguments.data.empty())
    samples = std::make_unique<Samples>(arguments.data, arguments.random);
  Split parts = split();
  calibrate(parts);
  roundByData(parts);
  std::string error;
  check(compress::applyRecipe(model, report.recipe, error), Status::refused, error);
  std::string compressed = model.serialize();
  report.bytesAfter = compressed.size();
  if (samples && samples->isRandom())
    report.notes.push_back("calibrated with random numbers: scales of activations are weaker than real data gives");
  if (parts.heldOut.empty())
    report.notes.push_back("no held-out samples: the accuracy is not known; with five samples or more each fifth is held out");
  if (!arguments.report.empty() || arguments.output != "-")
    judge(parts, compressed);
  if (!arguments.recipeOutput.empty())
    writeFile(arguments.recipeOutput, printJson(compress::printRecipe(report.recipe)));
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
  app.add_option("--write-recipe", arguments->recipeOutput, "Write what was decided for each layer")->type_name("R.json");
  app.add_option("--report", arguments->report, "Write sizes, errors on held-out samples, and time")->type_name("R.json");
  app.add_option("--threads", arguments->threads, "Threads of a run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  arguments->random.addRandom(app);
  app.add_flag("--json", arguments->isJson, "Print the report as JSON");
  return [arguments] {
    if (arguments->scheme.empty() && arguments->recipe.empty())
      throw Failure(Status::badOption, "expected --quantize or --recipe");
    Compression(*arguments).run();
    return Status::ok;
  };
}

} // namespace onager::cli
