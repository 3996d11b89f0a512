// How well forms of a model are compiled that run on samples alone.
#ifndef ONAGER_TOOLS_COMPRESS_COMPILEEFFORT_H
#define ONAGER_TOOLS_COMPRESS_COMPILEEFFORT_H

#include <cstddef>
#include <optional>

namespace onager::cli {

/// What a compiled form does in a run.
struct FormCost {
  double operations = 0; ///< of scalars
  size_t launches = 0;
};

/// Chooses between code that is made quickly (-O1) and code that runs fast (-O3), by counts and not by the clock, so that the choice is the same on all machines. Better code is worth its compilation where quick code
/// would need more time for all runs than better code of the launches takes longer to make.
class CompileEffort {
public:
  /// True where a form of such a cost, which is remembered, is to be compiled well for so many runs.
  bool isWorthIt(const FormCost &cost, size_t runs);
  /// True where that is clear, by far, from the forms of the same model before: those need not be compiled quickly first to know their cost.
  bool isSurelyWorthIt(size_t runs) const;

private:
  std::optional<double> leastDensity; ///< operations of a launch
};

} // namespace onager::cli

#endif
