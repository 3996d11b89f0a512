// onager verify: compares a model as compiled with its reference form (-O0) or with ONNX Runtime.
#include "Artifact.h"
#include "FirstDifference.h"
#include "Inputs.h"
#include "OnnxRuntime.h"
#include "Session.h"
#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <optional>

namespace onager::cli {

namespace {

struct VerifyArguments {
  std::string model, against = "O0";
  std::optional<double> rtol, atol;
  int threads = 0;
  CompilerArguments compiler;
  InputArguments inputs;
};

/// How far apart two numbers may be: |a - b| <= atol + rtol * |b|.
struct Tolerance {
  double relative, absolute;
};

struct Difference {
  long double absolute = 0, relative = 0;
  size_t outside = 0; ///< elements beyond the tolerance
};

/// A compiled model's outputs and the names of its signature.
struct Results {
  std::vector<std::string> inputNames, outputNames;
  std::vector<Tensor> outputs;
};

} // namespace

static Results runArtifact(const Artifact &artifact, int threads, std::vector<Tensor> &inputs) {
  Session session(artifact.path, threads);
  session.bind(inputs);
  session.run();
  Results results{{}, {}, session.copyOutputs()};
  for (size_t k = 0; k < inputs.size(); ++k)
    results.inputNames.push_back(session.getInputName(k));
  for (size_t k = 0; k < results.outputs.size(); ++k)
    results.outputNames.push_back(session.getOutputName(k));
  return results;
}

/// The default depends on the precision of the output's type.
static Tolerance getTolerance(const VerifyArguments &arguments, int32_t dtype) {
  bool isSmall = dtype == ONAGER_F16 || dtype == ONAGER_BF16 || dtype >= ONAGER_F8E4M3FN;
  return {arguments.rtol.value_or(isSmall ? 1e-2 : 1e-3), arguments.atol.value_or(isSmall ? 1e-2 : 1e-4)};
}

static Difference compare(const Tensor &found, const Tensor &expected, Tolerance tolerance) {
  Difference difference;
  for (size_t k = 0; k < expected.texts.size(); ++k)
    difference.outside += found.texts[k] != expected.texts[k];
  for (size_t k = 0, count = expected.texts.empty() ? expected.size() : 0; k < count; ++k) {
    long double a = getElement(found, k), b = getElement(expected, k);
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    long double gap = std::abs(a - b), limit = tolerance.absolute + tolerance.relative * std::abs(b);
    if (std::isnan(gap) || std::isinf(b))
      gap = std::numeric_limits<long double>::infinity();
    difference.absolute = std::max(difference.absolute, gap);
    difference.relative = std::max(difference.relative, b == 0 || std::isinf(gap) ? gap : gap / std::abs(b));
    difference.outside += std::isinf(gap) || gap > limit;
  }
  return difference;
}

/// Compares one output and prints what was found; true where it is the same.
static bool checkOutput(const VerifyArguments &arguments, const std::string &name, const Tensor &found, Tensor expected) {
  adaptType(expected, found.dtype, "output '" + name + "' of the reference");
  if (found.dtype != expected.dtype || found.dims != expected.dims) {
    printFormatted("%s: %s %s, expected %s %s  DIFFERENT\n", name.c_str(), getTypeName(found.dtype), describeDims(found.dims).c_str(),
                   getTypeName(expected.dtype), describeDims(expected.dims).c_str());
    return false;
  }
  Tolerance tolerance = getTolerance(arguments, found.dtype);
  Difference difference = compare(found, expected, tolerance);
  printFormatted("%s: %s %s  max abs error %.3Lg, max rel error %.3Lg  ", name.c_str(), getTypeName(found.dtype), describeDims(found.dims).c_str(),
                 difference.absolute, difference.relative);
  if (difference.outside)
    printFormatted("DIFFERENT: %zu of %zu elements beyond rtol %g, atol %g\n", difference.outside, found.size(), tolerance.relative, tolerance.absolute);
  else
    print("ok\n");
  return !difference.outside;
}

static Status runVerify(const VerifyArguments &arguments) {
  ModelSource source = openSource(arguments.model);
  if (source.isArtifact)
    throw Failure(Status::badFile, source.shown + " is compiled already; verify needs the model");
  CompileOptions options = arguments.compiler.resolve();
  Artifact artifact = compileSource(source, options);
  std::vector<Tensor> inputs = arguments.inputs.collect(readManifest(artifact.path));
  Results found = runArtifact(artifact, arguments.threads, inputs);
  std::vector<Tensor> expected;
  if (arguments.against == "onnxruntime") {
    expected = runOnnxRuntime(source, found.inputNames, inputs, found.outputNames);
  } else {
    options.optLevel = 0;
    expected = runArtifact(compileSource(source, options), arguments.threads, inputs).outputs;
  }
  bool isSame = true;
  for (size_t k = 0; k < found.outputs.size(); ++k)
    isSame &= checkOutput(arguments, found.outputNames[k], found.outputs[k], std::move(expected[k]));
  if (isSame)
    return Status::ok;
  auto isNear = [&](const Tensor &a, const Tensor &b) {
    return a.dtype == b.dtype && a.dims == b.dims && !compare(a, b, getTolerance(arguments, a.dtype)).outside;
  };
  options = arguments.compiler.resolve();
  print(findFirstDifference(source, options, arguments.threads, inputs, found.outputs.size(), isNear) + "\n");
  return Status::difference;
}

Command addVerify(CLI::App &app) {
  auto arguments = std::make_shared<VerifyArguments>();
  app.add_option("model", arguments->model, "The ONNX model")->required()->type_name("M.onnx");
  app.add_option("--against", arguments->against, "O0 (default): the reference form; onnxruntime: ONNX Runtime, in the Python that ONAGER_PYTHON names")
      ->check(CLI::IsMember({"O0", "onnxruntime"}))
      ->type_name("WHAT");
  app.add_option("--rtol", arguments->rtol, "Relative tolerance (default 1e-3; 1e-2 for types of 16 bits and less)")->check(CLI::NonNegativeNumber);
  app.add_option("--atol", arguments->atol, "Absolute tolerance (default 1e-4; 1e-2 for types of 16 bits and less)")->check(CLI::NonNegativeNumber);
  app.add_option("--threads", arguments->threads, "Threads of a run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  arguments->inputs.addFolder(app);
  arguments->inputs.addRandom(app);
  arguments->compiler.addCommon(app);
  return [arguments] { return runVerify(*arguments); };
}

} // namespace onager::cli
