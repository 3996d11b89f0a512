// Regular expressions of models: a tree and an automaton whose states exist, or one line about why not.
#include "lib/Import/OnnxToGraph/Regex.h"
#include <cstdlib>

using namespace onager::frontend;

/// A thousandth of what models may take: the code is the same, and inputs are many more.
static constexpr size_t kMostSteps = kMostRegexSteps / 1000;

static void expect(bool holds) {
  if (!holds)
    std::abort();
}

static void useAutomaton(const Automaton &automaton, size_t sides) {
  auto states = static_cast<int32_t>(automaton.accepting.size() / sides);
  expect(automaton.table.size() == static_cast<size_t>(states) * static_cast<size_t>(automaton.width));
  for (int32_t next : automaton.table)
    expect(next >= -1 && next < states);
  for (int32_t first : automaton.starts)
    expect(first >= 0 && first < states);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  RegexNode root;
  Automaton whole, searched;
  std::string error;
  if (!parseRegex(std::string(reinterpret_cast<const char *>(data), size), root, error)) {
    expect(!error.empty());
    return 0;
  }
  if (compileRegex(root, whole, error, kMostSteps))
    useAutomaton(whole, 1);
  else
    expect(!error.empty());
  error.clear();
  if (compileSearch(root, searched, error, kMostSteps))
    useAutomaton(searched, 3);
  else
    expect(!error.empty());
  return 0;
}
