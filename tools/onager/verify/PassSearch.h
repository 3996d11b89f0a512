// Finding the pass, and the rewrite of it, from which on something is broken.
#ifndef ONAGER_TOOLS_VERIFY_PASSSEARCH_H
#define ONAGER_TOOLS_VERIFY_PASSSEARCH_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace onager::cli {

/// What came of a compilation with the first runs of optional passes alone, the last of them with its first rewrites alone.
struct PassTrial {
  bool isBroken = false;
  std::vector<std::string> passes; ///< all runs that were met, see CompileResult
  uint64_t rewrites = 0;           ///< that the last run tried
  std::string lastRewrite;
};

/// Compiles and judges; a limit of -1 is none. What cannot be compiled with so few passes counts as whole.
using TryPasses = std::function<PassTrial(int64_t passes, int64_t rewrites)>;

struct PassFinding {
  size_t count = 0;  ///< runs of optional passes altogether
  int64_t pass = 0;  ///< the run that breaks it, counted from 1; 0: it is broken without any of them
  std::string name;  ///< of the pass, with the unit behind an '@'
  int64_t rewrite = 0; ///< the rewrite of this run, counted from 1; 0: the pass does its work without rewrites
  std::string rewriteName;
};

/// Searches by bisection, as `-opt-bisect-limit` does in LLVM. REQUIRES: it is broken with all passes.
PassFinding findPass(const TryPasses &attempt);

/// The smallest number above `whole` that `isBroken` holds for, if it holds for all behind it; another border where it does not. REQUIRES: `whole` is not, `broken` is.
int64_t findBorder(int64_t whole, int64_t broken, const std::function<bool(int64_t)> &isBroken);

/// Finds parts which have to go so that the rest is whole: again and again the part with which a growing selection of those that are left breaks. Parts that are
/// broken alone are found at once; errors that add up give a longer list. At most `most`, after which the rest may still be broken.
std::vector<size_t> findCulprits(size_t count, size_t most, const std::function<bool(const std::vector<bool> &chosen)> &isBroken);

} // namespace onager::cli

#endif
