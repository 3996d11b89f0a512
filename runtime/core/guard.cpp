// Guards: evaluation, implication, text.
#include "runtime/core/guard.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <numeric>

namespace onager::rt {

std::string nameValue(const std::string &input, uint64_t element) { return input + "[" + std::to_string(element) + "]"; }

static std::string nameOf(uint64_t symbol, const std::vector<std::string> &names) {
  if (names.empty())
    return "#" + std::to_string(symbol);
  return names[symbol].empty() ? "s" + std::to_string(symbol) : names[symbol];
}

namespace {

/// What a guard says of one symbol by itself.
struct Box {
  int64_t least = INT64_MIN, most = INT64_MAX, divisor = 1;

  void add(const Atom &atom) {
    if (atom.kind == Atom::Equal || atom.kind == Atom::Range) {
      least = std::max(least, atom.a);
      most = std::min(most, atom.kind == Atom::Equal ? atom.a : atom.b);
    } else if (atom.kind == Atom::Divisible) {
      divisor = std::lcm(divisor, atom.a);
    }
  }
  bool isEmpty() const { return least > most || (least == most && least % divisor != 0); }
  bool isWithin(const Atom &atom) const {
    if (atom.kind == Atom::Divisible)
      return divisor % atom.a == 0 || (least == most && least % atom.a == 0);
    return least >= atom.a && most <= (atom.kind == Atom::Equal ? atom.a : atom.b);
  }
  void write(uint64_t symbol, Guard &guard) const {
    if (least == most)
      return guard.push_back({Atom::Equal, symbol, least, 0});
    if (least != INT64_MIN || most != INT64_MAX)
      guard.push_back({Atom::Range, symbol, least, most});
    if (divisor != 1)
      guard.push_back({Atom::Divisible, symbol, divisor, 0});
  }
};

std::map<uint64_t, Box> getBoxes(const Guard &guard) {
  std::map<uint64_t, Box> boxes;
  for (const Atom &atom : guard)
    if (atom.kind != Atom::Same)
      boxes[atom.symbol].add(atom);
  return boxes;
}

} // namespace

bool simplify(Guard &guard, const std::vector<std::string> &names, std::string &error) {
  Guard simple;
  for (const auto &[symbol, box] : getBoxes(guard)) {
    if (box.isEmpty()) {
      error = "no value of '" + nameOf(symbol, names) + "' fulfils the conditions on it";
      return false;
    }
    box.write(symbol, simple);
  }
  for (const Atom &atom : guard)
    if (atom.kind == Atom::Same && std::find(simple.begin(), simple.end(), atom) == simple.end())
      simple.push_back(atom);
  guard = std::move(simple);
  return true;
}

bool implies(const Guard &left, const Guard &right) {
  std::map<uint64_t, Box> boxes = getBoxes(left);
  return std::all_of(right.begin(), right.end(), [&](const Atom &atom) {
    if (atom.kind == Atom::Same)
      return std::find(left.begin(), left.end(), atom) != left.end();
    auto box = boxes.find(atom.symbol);
    return box != boxes.end() && box->second.isWithin(atom);
  });
}

/// Writes the atoms of one symbol from `at` on, and moves `at` behind them.
static std::string printSymbol(const Guard &guard, size_t &at, const std::vector<std::string> &names) {
  const Atom &atom = guard[at++];
  std::string text = nameOf(atom.symbol, names) + "=";
  if (atom.kind == Atom::Equal)
    return text + std::to_string(atom.a);
  if (atom.kind == Atom::Same)
    return text + nameOf(static_cast<uint64_t>(atom.a), names) + (atom.b ? (atom.b > 0 ? "+" : "") + std::to_string(atom.b) : "");
  if (atom.kind == Atom::Divisible)
    return text + "0::" + std::to_string(atom.a);
  text += std::to_string(atom.a) + ":" + (atom.b == INT64_MAX ? "" : std::to_string(atom.b));
  if (at < guard.size() && guard[at].kind == Atom::Divisible && guard[at].symbol == atom.symbol)
    text += ":" + std::to_string(guard[at++].a);
  return text;
}

std::string print(const Guard &guard, const std::vector<std::string> &names) {
  std::string text;
  for (size_t at = 0; at < guard.size();)
    text += (text.empty() ? "" : ",") + printSymbol(guard, at, names);
  return text;
}

namespace {

/// Reads the text form.
class Parser {
public:
  Parser(const std::string &text, const std::vector<std::string> &names, Guard &guard, std::string &error) : text(text), names(names), guard(guard), error(error) {}

  bool run() {
    if (text.empty())
      return fail("expected SYMBOL=VALUE, found nothing");
    while (at < text.size()) {
      size_t end = std::min(text.find(',', at), text.size());
      if (!parseAtom(text.substr(at, end - at)))
        return false;
      at = end + 1;
    }
    return text.back() != ',' ? simplify(guard, names, error) : fail("expected SYMBOL=VALUE behind the last comma");
  }

private:
  bool fail(const std::string &reason) {
    error = reason;
    return false;
  }
  bool findName(const std::string &name, uint64_t &symbol) const {
    auto found = std::find(names.begin(), names.end(), name);
    symbol = static_cast<uint64_t>(found - names.begin());
    return !name.empty() && found != names.end();
  }
  bool findSymbol(const std::string &name, uint64_t &symbol) {
    if (findName(name, symbol))
      return true;
    if (findName(nameValue(name, 0), symbol)) {
      uint64_t second;
      return !findName(nameValue(name, 1), second) || fail("input '" + name + "' has several elements: expected " + nameValue(name, 0) + ", " + nameValue(name, 1) + " and so on");
    }
    int64_t number;
    bool isNumbered = name.size() > 1 && (name[0] == 's' || name[0] == '#') && readNumber(name.substr(1), number) && static_cast<uint64_t>(number) < names.size() &&
                      (name[0] == '#' || names[static_cast<size_t>(number)].empty());
    if (!isNumbered)
      return fail("unknown symbol '" + name + "'");
    symbol = static_cast<uint64_t>(number);
    return true;
  }
  static bool readNumber(const std::string &digits, int64_t &number) {
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos)
      return false;
    errno = 0;
    number = std::strtoll(digits.c_str(), nullptr, 10);
    return errno == 0;
  }
  /// As readNumber, for what a symbol may be: values of inputs may be negative.
  bool readValue(uint64_t symbol, const std::string &text, int64_t &number) const {
    bool isNegative = !text.empty() && text[0] == '-' && !names[symbol].empty() && names[symbol].back() == ']';
    if (!readNumber(isNegative ? text.substr(1) : text, number))
      return false;
    number = isNegative ? -number : number;
    return true;
  }
  bool parseAtom(const std::string &atom) {
    size_t equals = atom.find('=');
    if (equals == std::string::npos)
      return fail("expected SYMBOL=VALUE, found '" + atom + "'");
    std::string value = atom.substr(equals + 1);
    uint64_t symbol;
    if (!findSymbol(atom.substr(0, equals), symbol))
      return false;
    int64_t number;
    if (readValue(symbol, value, number)) {
      guard.push_back({Atom::Equal, symbol, number, 0});
      return true;
    }
    return value.find(':') != std::string::npos ? parseRange(symbol, value) : parseSame(symbol, value);
  }
  bool parseRange(uint64_t symbol, const std::string &value) {
    size_t first = value.find(':'), second = value.find(':', first + 1);
    int64_t least, most = INT64_MAX, divisor = 1;
    std::string mostText = value.substr(first + 1, second == std::string::npos ? second : second - first - 1);
    bool isRead = readValue(symbol, value.substr(0, first), least) && (mostText.empty() || readValue(symbol, mostText, most)) &&
                  (second == std::string::npos || (readNumber(value.substr(second + 1), divisor) && divisor > 0));
    if (!isRead)
      return fail("expected MIN:MAX or MIN:MAX:DIVISOR, found '" + value + "'");
    guard.push_back({Atom::Range, symbol, least, most});
    if (divisor > 1)
      guard.push_back({Atom::Divisible, symbol, divisor, 0});
    return true;
  }
  bool parseSame(uint64_t symbol, const std::string &value) {
    size_t sign = value.find_last_of("+-");
    int64_t offset = 0;
    uint64_t other;
    bool hasOffset = sign != std::string::npos && sign > 0 && readNumber(value.substr(sign + 1), offset);
    if (hasOffset && value[sign] == '-')
      offset = -offset;
    if (!findSymbol(hasOffset ? value.substr(0, sign) : value, other))
      return fail("expected a number, MIN:MAX or a symbol, found '" + value + "'");
    if (other == symbol)
      return fail("'" + nameOf(symbol, names) + "' is described by itself");
    guard.push_back({Atom::Same, symbol, static_cast<int64_t>(other), offset});
    return true;
  }

  const std::string &text;
  const std::vector<std::string> &names;
  Guard &guard;
  std::string &error;
  size_t at = 0;
};

} // namespace

bool parseGuard(const std::string &text, const std::vector<std::string> &names, Guard &guard, std::string &error) {
  guard.clear();
  return Parser(text, names, guard, error).run();
}

} // namespace onager::rt
