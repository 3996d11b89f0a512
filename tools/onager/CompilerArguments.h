// The compiler's options on a command line.
#ifndef ONAGER_TOOLS_COMPILERARGUMENTS_H
#define ONAGER_TOOLS_COMPILERARGUMENTS_H

#include "Cli.h"
#include <utility>
#include <vector>

namespace onager::cli {

/// Options collected by name; setOption knows what they mean.
class CompilerArguments {
public:
  /// Declares what every subcommand that compiles takes: --target, -O, --shape, --operators. `app` keeps a reference to this object.
  void addCommon(CLI::App &app);
  /// Declares the options of `onager compile` alone.
  void addAll(CLI::App &app);
  /// Returns the options; fails on bad values.
  CompileOptions resolve() const;
  bool isEmpty() const { return pairs.empty(); }

private:
  std::vector<std::pair<std::string, std::string>> pairs;
};

} // namespace onager::cli

#endif
