// The command line: picks a subcommand, turns every failure into a line on stderr and an exit status.
#include "Cli.h"
#include "CrashReport.h"
#include "Files.h"
#include "Sanitizer.h"
#include "onager-rt/api.h"
#include "runtime/formats/Tensor.h"
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

using namespace onager;
using namespace onager::cli;

namespace {

/// Prints each line of a message after the tool's name.
int fail(Status status, const std::string &message) {
  for (size_t begin = 0; begin <= message.size();) {
    size_t end = std::min(message.find('\n', begin), message.size());
    if (end > begin || message.empty())
      std::fprintf(stderr, "onager: error: %.*s\n", static_cast<int>(end - begin), message.c_str() + begin);
    begin = end + 1;
  }
  return static_cast<int>(status);
}

/// Prints what --help or --version asked for, or says what is wrong with an option.
int endParsing(const CLI::App &app, const CLI::ParseError &error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
    return app.exit(error);
  return fail(Status::badOption, error.what());
}

/// Takes what the environment could do to an artifact: a limit on file sizes is an error of writing, not a signal; the linker reads variables.
void isolate() {
  std::signal(SIGXFSZ, SIG_IGN);
  for (const char *variable : {"LLD_REPRODUCE", "LLD_VERSION"})
    unsetenv(variable);
}

int runMain(int argc, char **argv) {
  installCrashReport(argc, argv);
  // Behind the crash report, which takes all signals that end a process.
  isolate();
  CLI::App app("Onager: compiles ONNX models ahead of time and runs what it compiled.\nModels are files, or - for standard input; they may be ONNX text.", "onager");
  app.set_version_flag("--version", onager_version());
  app.require_subcommand(1);
  app.footer("Exit status: 0 fine, 1 verify found a difference or cache verify damage, 2 bad option, 3 model refused, 4 bad file or input, 5 internal error.");
  const struct {
    const char *name, *description;
    Command (*add)(CLI::App &);
  } table[] = {{"compile", "Compile a model", addCompile},
               {"compress", "Quantise a model", addCompress},
               {"run", "Run a model once", addRun},
               {"bench", "Measure a model's speed", addBench},
               {"verify", "Compare a model with its reference form or with ONNX Runtime", addVerify},
               {"inspect", "Print what a compiled model says about itself", addInspect},
               {"operators", "List the operators that a model may use", addOperators},
               {"respecialize", "Give a compiled model code for certain shapes", addRespecialize},
               {"specialize", "Compile a variant of a running model; the runtime calls it", addSpecialize},
               {"cache", "List, prune or verify the variants that were compiled for models in use", addCache}};
  std::vector<std::pair<CLI::App *, Command>> commands;
  for (const auto &entry : table) {
    CLI::App *command = app.add_subcommand(entry.name, entry.description);
    commands.emplace_back(command, entry.add(*command));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return endParsing(app, error);
  }
  for (auto &[parsed, run] : commands)
    if (parsed->parsed()) {
      Status status = run();
      flushOutput();
      return static_cast<int>(status);
    }
  return fail(Status::badOption, "no subcommand given");
}

} // namespace

int main(int argc, char **argv) {
  keepCommandLine(argv);
  try {
    return runMain(argc, argv);
  } catch (const Failure &failure) {
    return fail(failure.status, failure.what());
  } catch (const formats::FileError &error) {
    return fail(Status::badFile, error.what());
  } catch (const std::bad_alloc &) {
    return fail(Status::internal, "out of memory");
  } catch (const std::exception &exception) {
    return fail(Status::internal, exception.what());
  }
}
