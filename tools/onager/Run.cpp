// onager run: one run of a model.
#include "Artifact.h"
#include "Inputs.h"
#include "Profile.h"
#include "llvm/Support/FileSystem.h"
#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <set>

namespace json = llvm::json;

namespace onager::cli {

namespace {

struct RunArguments {
  std::string model, outputFolder, profile;
  int threads = 0;
  bool isJson = false;
  Recompilation recompilation;
  CompilerArguments compiler;
  InputArguments inputs;
};

/// An output's name and value, and what is told about it.
struct Output {
  std::string name, file;
  Tensor tensor;
  double least = 0, greatest = 0, mean = 0; ///< of the elements that are numbers
  size_t notNumbers = 0;
  std::vector<double> head;
};

} // namespace

/// How many elements are shown.
static constexpr size_t kHead = 8;

static void summarise(Output &output) {
  if (output.tensor.dtype == ONAGER_STRING)
    return;
  size_t count = output.tensor.size(), numbers = 0;
  long double sum = 0;
  for (size_t k = 0; k < count; ++k) {
    auto value = static_cast<double>(getElement(output.tensor, k));
    if (k < kHead)
      output.head.push_back(value);
    if (std::isnan(value)) {
      ++output.notNumbers;
      continue;
    }
    output.least = numbers ? std::min(output.least, value) : value;
    output.greatest = numbers ? std::max(output.greatest, value) : value;
    sum += value;
    ++numbers;
  }
  output.mean = numbers ? static_cast<double>(sum / static_cast<long double>(numbers)) : 0;
}

static std::vector<Output> takeOutputs(const Session &session) {
  std::vector<Output> outputs;
  std::vector<Tensor> tensors = session.copyOutputs();
  for (size_t k = 0; k < tensors.size(); ++k) {
    outputs.push_back({session.getOutputName(k), "", std::move(tensors[k]), 0, 0, 0, 0, {}});
    summarise(outputs.back());
  }
  return outputs;
}

/// Writes each output to NAME.npy; all are written before the first takes its place.
static void writeOutputs(const std::string &folder, std::vector<Output> &outputs) {
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    throw Failure(Status::badFile, "cannot make folder '" + folder + "': " + error.message());
  std::set<std::string> used;
  std::vector<StagedFile> staged;
  for (size_t k = 0; k < outputs.size(); ++k) {
    std::string name = makeFileName(outputs[k].name);
    if (!used.insert(name).second)
      used.insert(name += "_" + std::to_string(k));
    outputs[k].file = folder + "/" + name + ".npy";
    staged.emplace_back(outputs[k].file);
    staged.back().write(formatNpy(outputs[k].tensor));
  }
  for (StagedFile &file : staged)
    file.commit();
}

/// JSON has no infinities and no NaN; they become text.
static json::Value makeNumber(double value) {
  if (std::isfinite(value))
    return value;
  return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

static json::Value describe(const Output &output) {
  json::Array head;
  for (double value : output.head)
    head.push_back(makeNumber(value));
  for (size_t k = 0; k < output.tensor.texts.size() && k < kHead; ++k)
    head.push_back(json::fixUTF8(output.tensor.texts[k]));
  json::Object object{{"name", json::fixUTF8(output.name)}, {"type", getTypeName(output.tensor.dtype)}, {"shape", json::Array(output.tensor.dims)},
                      {"min", makeNumber(output.least)},    {"max", makeNumber(output.greatest)},       {"mean", makeNumber(output.mean)},
                      {"nan", static_cast<int64_t>(output.notNumbers)}, {"head", std::move(head)}};
  if (!output.file.empty())
    object["file"] = json::fixUTF8(output.file);
  return object;
}

static void printTexts(const Output &output) {
  printFormatted("%s: string %s\n ", output.name.c_str(), describeDims(output.tensor.dims).c_str());
  for (size_t k = 0; k < output.tensor.texts.size() && k < kHead; ++k)
    printFormatted(" %s", formats::printElement(output.tensor, k).c_str());
  print(output.tensor.texts.size() > kHead ? " ...\n" : "\n");
}

static void printOutput(const Output &output) {
  if (output.tensor.dtype == ONAGER_STRING)
    return printTexts(output);
  printFormatted("%s: %s %s  min %.6g  max %.6g  mean %.6g", output.name.c_str(), getTypeName(output.tensor.dtype), describeDims(output.tensor.dims).c_str(),
                 output.least, output.greatest, output.mean);
  if (output.notNumbers)
    printFormatted("  nan %zu", output.notNumbers);
  print("\n ");
  for (double value : output.head)
    printFormatted(" %.6g", value);
  print(output.tensor.size() > output.head.size() ? " ...\n" : "\n");
}

static void printAll(const std::vector<Output> &outputs, const std::optional<onager_stats> &stats, bool isJson) {
  if (!isJson) {
    for (const Output &output : outputs)
      printOutput(output);
    return print(stats ? formatStats(*stats) : "");
  }
  json::Array list;
  for (const Output &output : outputs)
    list.push_back(describe(output));
  json::Object object{{"outputs", std::move(list)}};
  if (stats)
    object["recompilation"] = describeStats(*stats);
  print(formatJson(std::move(object)));
}

static Status runRun(const RunArguments &arguments) {
  arguments.recompilation.checkEnvironment();
  Artifact artifact = provideArtifact(openSource(arguments.model), arguments.compiler);
  std::vector<Tensor> inputs = arguments.inputs.collect(readManifest(artifact.path));
  Session session(artifact.path, arguments.threads, arguments.recompilation);
  session.bind(inputs);
  session.warmUp();
  std::vector<LaunchTimes> launches;
  if (arguments.profile.empty())
    session.run();
  else
    launches = profileLaunches(session, /*mostRuns=*/1, 0);
  std::vector<Output> outputs = takeOutputs(session);
  if (!arguments.outputFolder.empty())
    writeOutputs(arguments.outputFolder, outputs);
  if (!arguments.profile.empty())
    writeFile(arguments.profile, formatTrace(launches));
  printAll(outputs, session.getStats(), arguments.isJson);
  return Status::ok;
}

Command addRun(CLI::App &app) {
  auto arguments = std::make_shared<RunArguments>();
  app.add_option("model", arguments->model, "A compiled model, or an ONNX model that is compiled first")->required()->type_name("M.so|M.onnx");
  arguments->inputs.addFiles(app, /*needed=*/true);
  arguments->inputs.addRandom(app);
  app.add_option("--output-dir", arguments->outputFolder, "Write each output to NAME.npy in this folder")->type_name("DIR");
  app.add_option("--threads", arguments->threads, "Threads of the run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  app.add_flag("--json", arguments->isJson, "Print JSON");
  app.add_option("--profile", arguments->profile, "Write when each launch ran, as a trace for chrome://tracing")->type_name("TRACE.json");
  arguments->recompilation.addTo(app);
  arguments->compiler.addCommon(app);
  return [arguments] { return runRun(*arguments); };
}

} // namespace onager::cli
