// Regular expressions in RE2's syntax, compiled to deterministic automata over bytes of UTF-8, so that an artifact holds a table and no matcher.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_REGEX_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_REGEX_H

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace onager::frontend {

/// A regular expression as a tree.
struct RegexNode {
  enum Kind { empty, characters, sequence, choice, repeat, lineStart, lineEnd, wordBoundary, noWordBoundary } kind = empty;
  std::vector<std::pair<uint32_t, uint32_t>> ranges; ///< of characters: inclusive code points, sorted, apart
  std::vector<RegexNode> parts;
  int least = 0, most = -1; ///< of a repeat; most is -1 where there is no limit
};

/// Parses an expression; false and a reason where it has what is not supported (classes of Unicode by name, flags, back references).
bool parseRegex(const std::string &pattern, RegexNode &root, std::string &error);

/// A deterministic automaton; state 0 is the first.
struct Automaton {
  std::array<int32_t, 3> starts{};      ///< of one that is searched for: the first state at the border of a text, behind a word's character, behind another
  std::array<int32_t, 256> classes{};   ///< the class of each byte
  int32_t width = 0;                    ///< number of classes
  std::vector<int32_t> table;           ///< [states][width]: the next state, -1 where no word goes on
  std::vector<int32_t> accepting;       ///< [states]: 1 where a word may end; [states][3], before the same three, of one that is searched for
};

/// Edges that may be looked at while an automaton is made: less than half a second.
constexpr size_t kMostRegexSteps = 20000000;

/// Compiles an expression that must match a whole text (subset construction); false and a reason for more than 10,000 states or `mostSteps`.
bool compileRegex(const RegexNode &root, Automaton &automaton, std::string &error, size_t mostSteps = kMostRegexSteps);

/// The same for an expression that may match a part of a text, found by where it stands.
bool compileSearch(const RegexNode &root, Automaton &automaton, std::string &error, size_t mostSteps = kMostRegexSteps);

} // namespace onager::frontend

#endif
