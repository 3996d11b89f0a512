// What the subcommands share: how they are declared and how they fail.
#ifndef ONAGER_TOOLS_CLI_H
#define ONAGER_TOOLS_CLI_H

#include "onager/Compiler.h"
#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {
class App;
}

namespace onager::cli {

/// Ends a subcommand with a status and the lines that main prints.
struct Failure : std::runtime_error {
  Failure(Status status, const std::string &message) : std::runtime_error(message), status(status) {}
  Status status;
};

/// Runs a subcommand whose options were read; throws Failure.
using Command = std::function<Status()>;

/// Declare a subcommand's options.
Command addBench(CLI::App &app);
Command addCache(CLI::App &app);
Command addCompile(CLI::App &app);
Command addCompress(CLI::App &app);
Command addInspect(CLI::App &app);
Command addOperators(CLI::App &app);
Command addRespecialize(CLI::App &app);
Command addRun(CLI::App &app);
Command addSpecialize(CLI::App &app);
Command addVerify(CLI::App &app);

} // namespace onager::cli

#endif
