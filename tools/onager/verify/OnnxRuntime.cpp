// Arrays go to Python and back through .npy files in a temporary folder.
#include "OnnxRuntime.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>

namespace json = llvm::json;

namespace onager::cli {

/// Arguments: the model, the folder. Inputs that ONNX Runtime does not know are unused ones, which it may drop.
static constexpr const char *kScript = R"(
import json, sys
import numpy, onnxruntime
model, folder = sys.argv[1:]
names = json.load(open(folder + "/names.json"))
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
known = {i.name for i in session.get_inputs()}
for sample in range(names["samples"]):
    feeds = {name: numpy.load(f"{folder}/input_{sample}_{k}.npy") for k, name in enumerate(names["inputs"]) if name in known}
    for k, value in enumerate(session.run(names["outputs"], feeds)):
        numpy.save(f"{folder}/output_{sample}_{k}.npy", numpy.ascontiguousarray(value).reshape(numpy.shape(value)))
)";

static std::string findPython() {
  const char *named = std::getenv("ONAGER_PYTHON");
  std::string name = named && *named ? named : "python3";
  auto path = llvm::sys::findProgramByName(name);
  if (!path)
    throw Failure(Status::badFile, "cannot find '" + name + "'; set ONAGER_PYTHON to a Python interpreter that has onnxruntime");
  return *path;
}

/// Returns the last line that is not empty: where Python says what went wrong.
static std::string getLastLine(llvm::StringRef text) {
  text = text.rtrim();
  return text.substr(text.rfind('\n') + 1).str();
}

static void writeNames(const std::string &path, const std::vector<std::string> &inputs, const std::vector<std::string> &outputs, size_t samples) {
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(json::Object{{"inputs", json::Array(inputs)}, {"outputs", json::Array(outputs)}, {"samples", static_cast<int64_t>(samples)}});
  writeFile(path, text);
}

static void runScript(const std::string &model, const std::string &folder) {
  std::string python = findPython(), log = folder + "/log", reason;
  llvm::StringRef arguments[] = {python, "-c", kScript, model, folder};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(), llvm::StringRef(log), llvm::StringRef(log)};
  int status = llvm::sys::ExecuteAndWait(python, arguments, std::nullopt, redirects, 0, 0, &reason);
  if (status)
    throw Failure(Status::badFile, "ONNX Runtime (" + python + ") failed: " + (reason.empty() ? getLastLine(readFile(log)) : reason));
}

static std::string placeTensor(const std::string &folder, const char *kind, size_t sample, size_t index) {
  return folder + "/" + kind + "_" + std::to_string(sample) + "_" + std::to_string(index) + ".npy";
}

std::vector<std::vector<Tensor>> runOnnxRuntime(const ModelSource &source, const std::vector<std::string> &inputNames, const std::vector<std::vector<Tensor>> &samples,
                                                const std::vector<std::string> &outputNames) {
  TemporaryPath folder(TemporaryPath::folder, "");
  std::string model = source.path;
  if (model.empty())
    writeFile(model = folder.get() + "/model.onnx", source.bytes);
  writeNames(folder.get() + "/names.json", inputNames, outputNames, samples.size());
  for (size_t sample = 0; sample < samples.size(); ++sample)
    for (size_t k = 0; k < samples[sample].size(); ++k)
      writeFile(placeTensor(folder.get(), "input", sample, k), formatNpy(samples[sample][k]));
  showProgress("running " + source.shown + " with ONNX Runtime");
  runScript(model, folder.get());
  std::vector<std::vector<Tensor>> outputs(samples.size());
  for (size_t sample = 0; sample < samples.size(); ++sample)
    for (size_t k = 0; k < outputNames.size(); ++k)
      outputs[sample].push_back(readTensor(placeTensor(folder.get(), "output", sample, k)));
  return outputs;
}

} // namespace onager::cli
