// onager compile: a model becomes an artifact, or the IR of a stage.
#include "Artifact.h"
#include "CrashReport.h"
#include "compress/Compression.h"
#include "llvm/Support/FormatVariadic.h"
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

namespace onager::cli {

namespace {

struct CompileArguments {
  std::string model, output, report;
  CompilerArguments compiler;
  CompressArguments compression;
  CLI::App *compressionGroup = nullptr; ///< tells whether any of its options was given
};

} // namespace

/// True where the result is text, which goes to standard output by default.
static bool makesText(const CompileOptions &options) {
  return (!options.stopAfter.empty() && options.stopAfter != "artifact") || options.emit == "llvm" || options.emit == "mlir";
}

static CompileResult compileOrFail(const CompileOptions &options) {
  CompileResult result = compile(options);
  if (result.status != Status::ok)
    throw Failure(result.status, result.error);
  return result;
}

/// A model in the form that the options refer to.
struct CompileInput {
  ModelSource source;
  std::optional<llvm::json::Value> told; ///< of its compression, where it was compressed
};

/// Opens the model, or compresses it where that is asked for.
static CompileInput openInput(const CompileArguments &arguments) {
  if (arguments.compressionGroup->count_all() == 0)
    return {openSource(arguments.model), std::nullopt};
  Compression compression(arguments.compression);
  std::string bytes = compression.rewrite(!arguments.report.empty());
  return {{"", std::move(bytes), arguments.model, false}, compression.tell()};
}

/// Adds a section to a report.
static std::string addSection(const std::string &report, const std::string &name, llvm::json::Value section) {
  llvm::Expected<llvm::json::Value> whole = llvm::json::parse(report);
  if (!whole)
    throw Failure(Status::internal, llvm::toString(whole.takeError()));
  (*whole->getAsObject())[name] = std::move(section);
  return llvm::formatv("{0:2}", *whole);
}

static Status runCompile(const CompileArguments &arguments) {
  CompileOptions options = arguments.compiler.resolve();
  bool isText = makesText(options);
  if (arguments.output.empty() && !isText)
    throw Failure(Status::badOption, "no output file given; use -o FILE");
  if (!arguments.report.empty() && !options.stopAfter.empty() && isText)
    throw Failure(Status::badOption, "--report does not go with --stop-after");
  std::optional<StagedFile> report;
  if (!arguments.report.empty())
    report.emplace(arguments.report);
  CompileInput input = openInput(arguments);
  options.model = input.source.path;
  options.bytes = input.source.bytes;
  if (!input.told)
    rememberInput(input.source.bytes);
  showProgress("compiling " + input.source.shown);
  CompileResult result;
  bool isSpecial = !isText && isSpecialFile(arguments.output);
  if (isSpecial && (options.emit == "obj" || options.emit == "lib" || options.weights == "separate"))
    throw Failure(Status::badOption, "'" + arguments.output + "' is no regular file, and more than one file is to be written; use -o FILE");
  if (isText || isSpecial) {
    // The compiler renames its file to the output's path, which must not happen to a device or a pipe.
    StagedFile output(arguments.output.empty() ? "-" : arguments.output);
    TemporaryPath artifact(TemporaryPath::file, "so");
    options.output = artifact.get();
    result = compileOrFail(options);
    output.write(isText ? result.text : readFile(artifact.get()));
    output.commit();
  } else {
    options.output = arguments.output;
    result = compileOrFail(options);
  }
  if (report) {
    report->write((input.told ? addSection(result.report, "compression", std::move(*input.told)) : result.report) + "\n");
    report->commit();
  }
  return Status::ok;
}

Command addCompile(CLI::App &app) {
  auto arguments = std::make_shared<CompileArguments>();
  app.add_option("model", arguments->model, "The ONNX model")->required()->type_name("M.onnx");
  app.add_option("-o,--output", arguments->output, "Where the result goes; - is standard output")->type_name("FILE");
  app.add_option("--report", arguments->report, "Write a report: units, weights, seconds by stage")->type_name("R.json");
  arguments->compiler.addAll(app);
  arguments->compressionGroup = app.add_option_group("Compression", "Compress the model first, as onager compress does");
  arguments->compression.addOptions(*arguments->compressionGroup);
  return [arguments] {
    arguments->compression.model = arguments->model;
    if (arguments->compressionGroup->count_all() > 0)
      arguments->compression.check();
    return runCompile(*arguments);
  };
}

} // namespace onager::cli
