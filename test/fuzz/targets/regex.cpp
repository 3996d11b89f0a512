// Regular expressions of models: a tree and an automaton whose states exist, or one line about why not.
#include "lib/Import/OnnxToGraph/Regex.h"
#include <cstdlib>

using namespace onager::frontend;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  RegexNode root;
  Automaton automaton;
  std::string error;
  if (!parseRegex(std::string(reinterpret_cast<const char *>(data), size), root, error) || !compileRegex(root, automaton, error)) {
    if (error.empty())
      std::abort();
    return 0;
  }
  auto states = static_cast<int32_t>(automaton.accepting.size());
  if (automaton.table.size() != static_cast<size_t>(states) * static_cast<size_t>(automaton.width))
    std::abort();
  for (int32_t next : automaton.table)
    if (next < -1 || next >= states)
      std::abort();
  return 0;
}
