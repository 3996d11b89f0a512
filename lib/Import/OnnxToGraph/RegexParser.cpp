// From the text of a regular expression to its tree, by recursive descent:
//
//   choice := sequence ('|' sequence)*       repeat := atom ('*' | '+' | '?' | '{' n [',' [m]] '}')* ['?']
//   sequence := repeat*                      atom := '(' choice ')' | '[' class ']' | '.' | '^' | '$' | '\' escape | character
#include "lib/Import/OnnxToGraph/Regex.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ConvertUTF.h"
#include <algorithm>

namespace onager::frontend {
namespace {

using Ranges = std::vector<std::pair<uint32_t, uint32_t>>;

constexpr uint32_t kLastCharacter = 0x10ffff;
/// RE2's limit of a counted repetition.
constexpr int kMostRepeats = 1000;
constexpr int kMostDepth = 200;
/// Trees are walked by recursion: a** is two levels, too.
constexpr int kMostStacked = 8;

Ranges sortRanges(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges out;
  for (auto [low, high] : ranges)
    if (!out.empty() && low <= out.back().second + 1)
      out.back().second = std::max(out.back().second, high);
    else
      out.push_back({low, high});
  return out;
}

Ranges invert(const Ranges &ranges) {
  Ranges out;
  uint32_t next = 0;
  for (auto [low, high] : sortRanges(ranges)) {
    if (low > next)
      out.push_back({next, low - 1});
    next = high + 1;
  }
  if (next <= kLastCharacter)
    out.push_back({next, kLastCharacter});
  return out;
}

/// The characters of \d, \w, \s and their complements; empty for other letters.
Ranges getClass(char letter) {
  switch (letter) {
  case 'd': return {{'0', '9'}};
  case 'w': return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  case 's': return {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
  case 'D':
  case 'W':
  case 'S': return invert(getClass(static_cast<char>(letter - 'A' + 'a')));
  default: return {};
  }
}

/// [:alpha:] and the like, without the colons.
Ranges getNamedClass(llvm::StringRef name) {
  static const std::pair<const char *, Ranges> classes[] = {
      {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}}, {"alpha", {{'A', 'Z'}, {'a', 'z'}}}, {"ascii", {{0, 127}}}, {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"cntrl", {{0, 31}, {127, 127}}}, {"digit", {{'0', '9'}}}, {"graph", {{'!', '~'}}}, {"lower", {{'a', 'z'}}}, {"print", {{' ', '~'}}},
      {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}}, {"space", {{'\t', '\r'}, {' ', ' '}}}, {"upper", {{'A', 'Z'}}},
      {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}}, {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}}};
  for (const auto &[known, ranges] : classes)
    if (name == known)
      return ranges;
  return {};
}

class Parser {
public:
  Parser(const std::string &pattern, std::string &error) : rest(pattern), error(error) {}

  bool parse(RegexNode &root) {
    root = parseChoice();
    if (!rest.empty())
      fail("a ')' without '('");
    return error.empty();
  }

private:
  bool fail(const char *reason) {
    if (error.empty())
      error = reason;
    rest = "";
    return false;
  }
  bool take(char expected) { return rest.consume_front(llvm::StringRef(&expected, 1)); }

  RegexNode parseChoice() {
    if (++depth > kMostDepth)
      fail("groups nested too deep");
    RegexNode node;
    node.kind = RegexNode::choice;
    do
      node.parts.push_back(parseSequence());
    while (take('|'));
    --depth;
    if (llvm::all_of(node.parts, isEmpty))
      return {};
    return node.parts.size() == 1 ? RegexNode(std::move(node.parts[0])) : node;
  }

  RegexNode parseSequence() {
    RegexNode node;
    node.kind = RegexNode::sequence;
    while (!rest.empty() && rest[0] != '|' && rest[0] != ')')
      if (RegexNode part = parseRepeat(); !isEmpty(part))
        node.parts.push_back(std::move(part));
    return node.parts.empty() ? RegexNode() : node;
  }

  /// True for a tree that matches nothing but the empty word. No other tree has such a part, so that each adds to an automaton's size.
  static bool isEmpty(const RegexNode &node) { return node.kind == RegexNode::empty; }

  RegexNode parseRepeat() {
    RegexNode node = parseAtom();
    int least = 0, most = -1;
    for (int stacked = 0; takeCount(least, most);) {
      if (++stacked > kMostStacked)
        fail("too many repetitions of one another");
      if (isEmpty(node) || most == 0)
        node = {};
      else
        node = makeRepeat(std::move(node), least, most);
      take('?'); // as few as possible: the same words
    }
    return node;
  }

  /// Takes *, +, ? or {n,m}; a brace that is none stands for itself.
  bool takeCount(int &least, int &most) {
    least = 0;
    most = -1;
    if (take('*'))
      return true;
    if (take('+')) {
      least = 1;
      return true;
    }
    if (take('?')) {
      most = 1;
      return true;
    }
    llvm::StringRef ahead = rest;
    if (!ahead.consume_front("{") || ahead.consumeInteger(10, least))
      return false;
    most = least;
    if (ahead.consume_front(",") && ahead.consumeInteger(10, most))
      most = -1;
    if (!ahead.consume_front("}"))
      return false;
    if (least > kMostRepeats || most > kMostRepeats || (most >= 0 && most < least))
      return fail("a count above 1000, or whose limits are exchanged");
    rest = ahead;
    return true;
  }

  static RegexNode makeCharacters(Ranges ranges) {
    RegexNode node;
    node.kind = RegexNode::characters;
    node.ranges = sortRanges(std::move(ranges));
    return node;
  }

  static RegexNode makeRepeat(RegexNode part, int least, int most) {
    RegexNode node;
    node.kind = RegexNode::repeat;
    node.least = least;
    node.most = most;
    node.parts.push_back(std::move(part));
    return node;
  }

  static RegexNode makeAssertion(RegexNode::Kind kind) {
    RegexNode node;
    node.kind = kind;
    return node;
  }

  RegexNode parseAtom() {
    if (take('('))
      return parseGroup();
    if (take('['))
      return makeCharacters(parseClass());
    if (take('.'))
      return makeCharacters(invert({{'\n', '\n'}}));
    if (take('^'))
      return makeAssertion(RegexNode::lineStart);
    if (take('$'))
      return makeAssertion(RegexNode::lineEnd);
    if (rest[0] == '*' || rest[0] == '+' || rest[0] == '?')
      fail("a repetition of nothing");
    if (take('\\'))
      return parseEscape();
    uint32_t character = takeCharacter();
    return makeCharacters({{character, character}});
  }

  RegexNode parseGroup() {
    if (rest.consume_front("?P<") || rest.consume_front("?<")) {
      size_t end = rest.find('>');
      rest = end == llvm::StringRef::npos ? "" : rest.drop_front(end + 1);
    } else if (!rest.consume_front("?:") && rest.starts_with("?")) {
      fail("a group with flags");
    }
    RegexNode inner = parseChoice();
    if (!take(')'))
      fail("a '(' without ')'");
    return inner;
  }

  RegexNode parseEscape() {
    if (rest.empty()) {
      fail("a '\\' at the end");
      return {};
    }
    switch (rest[0]) {
    case 'A': rest = rest.drop_front(); return makeAssertion(RegexNode::lineStart);
    case 'z': rest = rest.drop_front(); return makeAssertion(RegexNode::lineEnd);
    case 'b': rest = rest.drop_front(); return makeAssertion(RegexNode::wordBoundary);
    case 'B': rest = rest.drop_front(); return makeAssertion(RegexNode::noWordBoundary);
    default: return makeCharacters(takeEscaped());
    }
  }

  /// What an escape stands for, inside or outside of brackets.
  Ranges takeEscaped() {
    if (Ranges ranges = getClass(rest.empty() ? ' ' : rest[0]); !ranges.empty()) {
      rest = rest.drop_front();
      return ranges;
    }
    static const std::pair<char, uint32_t> controls[] = {{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'f', '\f'}, {'v', '\v'}, {'a', '\a'}};
    for (auto [letter, character] : controls)
      if (take(letter))
        return {{character, character}};
    if (take('x'))
      return takeHex();
    if (!rest.empty() && (llvm::isAlnum(rest[0]) || rest[0] == 0)) {
      fail("an escape that is not supported");
      return {};
    }
    uint32_t character = takeCharacter();
    return {{character, character}};
  }

  Ranges takeHex() {
    uint32_t character = 0;
    bool isBraced = take('{');
    llvm::StringRef digits = isBraced ? rest.take_until([](char c) { return c == '}'; }) : rest.take_front(2);
    bool isBad = digits.empty() || digits.getAsInteger(16, character) || character > kLastCharacter;
    rest = rest.drop_front(digits.size());
    if (isBad || (isBraced && !take('}')))
      fail("a malformed \\x");
    return {{character, character}};
  }

  uint32_t takeCharacter() {
    const auto *at = reinterpret_cast<const llvm::UTF8 *>(rest.begin()), *end = reinterpret_cast<const llvm::UTF8 *>(rest.end());
    llvm::UTF32 character = 0;
    if (at == end || llvm::convertUTF8Sequence(&at, end, &character, llvm::strictConversion) != llvm::conversionOK) {
      fail("not UTF-8, or too short");
      return 0;
    }
    rest = rest.drop_front(reinterpret_cast<const char *>(at) - rest.begin());
    return character;
  }

  Ranges parseClass() {
    bool isInverted = take('^'), isFirst = true;
    Ranges ranges;
    for (; error.empty() && (isFirst || !take(']')); isFirst = false) {
      if (rest.empty()) {
        fail("a '[' without ']'");
        break;
      }
      Ranges part = takeClassPart();
      // A range whose ends are single characters.
      if (part.size() == 1 && part[0].first == part[0].second && rest.size() > 1 && rest[0] == '-' && rest[1] != ']') {
        rest = rest.drop_front();
        Ranges end = takeClassPart();
        if (end.size() != 1 || end[0].first != end[0].second || end[0].first < part[0].first)
          fail("a malformed range");
        else
          part[0].second = end[0].first;
      }
      ranges.insert(ranges.end(), part.begin(), part.end());
    }
    return isInverted ? invert(ranges) : ranges;
  }

  Ranges takeClassPart() {
    if (rest.consume_front("[:")) {
      size_t end = rest.find(":]");
      bool isInverted = take('^');
      Ranges named = getNamedClass(rest.take_front(end - isInverted));
      if (end == llvm::StringRef::npos || named.empty()) {
        fail("a class that is not known");
        return {};
      }
      rest = rest.drop_front(end - isInverted + 2);
      return isInverted ? invert(named) : named;
    }
    if (take('\\'))
      return takeEscaped();
    uint32_t character = takeCharacter();
    return {{character, character}};
  }

  llvm::StringRef rest;
  std::string &error;
  int depth = 0;
};

} // namespace

bool parseRegex(const std::string &pattern, RegexNode &root, std::string &error) {
  error.clear();
  return Parser(pattern, error).parse(root);
}

} // namespace onager::frontend
