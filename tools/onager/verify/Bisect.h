// Finding what broke a threshold: a pass and a rewrite, a layer, or the code of a node.
#ifndef ONAGER_TOOLS_VERIFY_BISECT_H
#define ONAGER_TOOLS_VERIFY_BISECT_H

#include "Comparison.h"

namespace onager::cli {

/// What is compared, and the command that does it.
struct Job {
  Form found, expected;
  Judge judge;
  int threads = 0;
  size_t ownOutputs = 0;          ///< of the model
  std::vector<std::string> words; ///< of the command line, without those that ask for more than a comparison
  std::vector<std::string> calibration; ///< the words that give `onager compress` the same data
};

/// What is to blame: lines for people, and the same as JSON.
struct Blame {
  std::string text;
  llvm::json::Object json;
};

/// Returns the index of a sample that alone breaks what is asked for; nothing where none does.
std::optional<size_t> findBrokenSample(const Job &job, const Data &data);

/// Searches, by compiling other forms of the models and running them on the sample that breaks. REQUIRES: the two sides differ on the data, or hold infinities or NaN.
/// Fails where a side is an artifact, which cannot be compiled otherwise.
Blame bisect(const Job &job, const Data &data);

/// Joins the words of a command for a shell.
std::string quoteCommand(const std::vector<std::string> &words);

} // namespace onager::cli

#endif
