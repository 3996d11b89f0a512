// Declares the compiler's options; values are read by setOption, as for every other front end.
#include "CompilerArguments.h"
#include "onager-rt/operators.h"
#include <CLI/CLI.hpp>

namespace onager::cli {

/// Declares an option that takes one value each time it is given.
static void addValue(CLI::App &app, std::vector<std::pair<std::string, std::string>> &pairs, const std::string &flags, const std::string &key,
                     const std::string &type, const std::string &help) {
  auto keep = [&pairs, key](const std::vector<std::string> &values) {
    for (const std::string &value : values)
      pairs.emplace_back(key, value);
  };
  app.add_option_function<std::vector<std::string>>(flags, keep, help)->allow_extra_args(false)->type_name(type);
}

/// The stages by name, for --help.
static std::string describeStages() {
  std::string text = "Print the IR that leaves a stage:";
#define STAGE(stage, leaves) text += "\n  " #stage ": " leaves;
#include "lib/Pipeline/Stages.def"
#undef STAGE
  return text;
}

void CompilerArguments::addCommon(CLI::App &app) {
  addValue(app, pairs, "--target", "target", "CPU", "native (default), x86-64-v2, x86-64-v3, x86-64-v4, or portable: code for all three in one file");
  addValue(app, pairs, "-O,--opt-level", "opt-level", "LEVEL", "0: the reference form; 1: as 3 by LLVM's quickest code generation, compiled in a quarter of the time; 2, 3 (default)");
  app.add_flag_callback("--sanitize", [this] { pairs.emplace_back("sanitize", "true"); }, "Check every access of the code with AddressSanitizer; slow");
  // Loaded while the command line is read: compiled models need them, too.
  auto load = [](const std::vector<std::string> &paths) {
    for (const std::string &path : paths)
      if (onager_operators_load(path.c_str()))
        throw Failure(Status::badFile, onager_last_error());
  };
  app.add_option_function<std::vector<std::string>>("--operators", load, "A library of custom operators; may be repeated")->allow_extra_args(false)->type_name("LIB.so");
  addValue(app, pairs, "--skip-pass", "skip-pass", "PASS", "Leave out an optional pass; may be repeated");
  addValue(app, pairs, "--pass-limit", "pass-limit", "N[:M]", "Run the first N optional passes alone, the last of them with its first M rewrites");
  addValue(app, pairs, "--shape", "shape", "NAME=1x3x224x224", "Fix the shape of an input; may be repeated");
}

void CompilerArguments::addAll(CLI::App &app) {
  addCommon(app);
  addValue(app, pairs, "--emit", "emit", "KIND", "so (default): a shared object; exe: a program that runs the model on files;\nobj, lib: an object or a static library, with NAME.h beside it; llvm, mlir: text");
  addValue(app, pairs, "--name", "name", "NAME", "Prefix of the symbols of an object or library, and name of its header");
  addValue(app, pairs, "--weights", "weights", "WHERE", "inside (default): with the code; separate: in FILE.weights");
  addValue(app, pairs, "--variant,--variants", "variant", "GUARD", "Also make code for certain shapes, as batch=1,seq=128 or seq=16:512:16, or auto for what is likely; may be repeated");
  addValue(app, pairs, "--dim", "dim", "NAME=MIN:MAX[:DIVISOR]", "What is known of a symbol of the inputs' shapes, or its VALUE: runs refuse others, and variants keep to it; may be repeated");
  addValue(app, pairs, "--likely", "likely", "GUARD", "Shapes that are expected, of which --variants=auto makes variants; alone it makes none; may be repeated");
  app.add_flag_callback("--no-recompile", [this] { pairs.emplace_back("recompile", "false"); }, "Leave out what code for certain shapes is made of while the model runs");
  addValue(app, pairs, "--save-temps", "save-temps", "DIR", "Save the IR that leaves each stage, LLVM IR and the object file in a folder");
  addValue(app, pairs, "--expose", "expose", "all|K,K", "Return values inside the model as outputs as well, by position in program order");
  addValue(app, pairs, "--stop-after", "stop-after", "STAGE", describeStages());
  addValue(app, pairs, "--print-after", "print-after", "PASS", "Print the IR to standard error after each run of a pass");
  app.add_flag_callback("--timing", [this] { pairs.emplace_back("timing", "true"); }, "Print the time of every pass to standard error");
  app.add_flag_callback("--no-winograd", [this] { pairs.emplace_back("winograd", "false"); }, "Compute every convolution directly, without Winograd's transforms");
  app.add_flag_callback("--no-sparse", [this] { pairs.emplace_back("sparse", "false"); }, "Multiply by weights of 0 like by others: matters to infinite and NaN inputs");
  app.add_flag_callback("--no-int8", [this] { pairs.emplace_back("int8", "false"); }, "Compute quantised convolutions and products in f32, as they are written");
  app.add_flag_callback("--no-bf16", [this] { pairs.emplace_back("bf16", "false"); }, "Compute products of bf16 in f32");
  app.add_flag_callback("--no-bf16x3", [this] { pairs.emplace_back("bf16x3", "false"); }, "Multiply numbers of f32 as they are, not in three parts of bf16");
  app.add_flag_callback("--verify-each", [this] { pairs.emplace_back("verify-each", "true"); }, "Verify the IR after every pass");
}

CompileOptions CompilerArguments::resolve() const {
  CompileOptions options;
  std::string error;
  for (const auto &[key, value] : pairs)
    if (!setOption(options, key, value, error))
      throw Failure(Status::badOption, error);
  while (const onager_operator *op = onager_operator_at(options.operators.size()))
    options.operators.push_back(op);
  return options;
}

} // namespace onager::cli
