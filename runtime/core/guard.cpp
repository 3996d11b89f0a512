// Guards: evaluation, implication, text.
#include "runtime/core/guard.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <numeric>

namespace onager::rt {

std::string nameValue(const std::string &input, uint64_t element) { return input + "[" + std::to_string(element) + "]"; }

static std::string nameOf(uint64_t symbol, const std::vector<std::string> &names) {
  if (names.empty())
    return "#" + std::to_string(symbol);
  return names[symbol].empty() ? "s" + std::to_string(symbol) : names[symbol];
}

/// True for the symbols that may be negative.
static bool isElement(const std::string &name) { return !name.empty() && name.back() == ']'; }

namespace {

__extension__ typedef __int128 Wide;

/// What is known of one symbol. It is the symbol `root` plus the offset.
struct Box {
  uint64_t symbol, root;
  int64_t least;
  int64_t offset = 0, most = INT64_MAX, divisor = 1;
  bool isFixed() const { return least == most; }
};

/// What follows from a guard. Symbols that differ by a constant are a group; its lowest symbol is the root of all.
class Facts {
public:
  /// Without names every symbol may be negative.
  Facts(const Guard &guard, const std::vector<std::string> &names) {
    for (const Atom &atom : guard) {
      add(atom.symbol, names);
      if (atom.kind == Atom::Same)
        add(static_cast<uint64_t>(atom.a), names);
    }
    for (const Atom &atom : guard)
      if (atom.kind == Atom::Same)
        unite(*find(atom.symbol), *find(static_cast<uint64_t>(atom.a)), atom.b);
    for (const Atom &atom : guard)
      if (atom.kind != Atom::Same)
        apply(*find(atom.symbol), atom);
    for (Box &box : boxes)
      for (const Box &other : boxes)
        if (box.root == other.root)
          shareDivisor(box, other);
    // Each round takes bounds to the root and back. What is left out after the last is known less well, and stays in the guard.
    for (int round = 0; round < 4; ++round)
      for (Box &box : boxes) {
        Box &root = *find(box.root);
        narrow(root, Wide(box.least) - box.offset, Wide(box.most) - box.offset);
        narrow(box, Wide(root.least) + box.offset, Wide(root.most) + box.offset);
      }
  }

  Box *find(uint64_t symbol) {
    for (Box &box : boxes)
      if (box.symbol == symbol)
        return &box;
    return nullptr;
  }

  /// True where the guard holds only if the atom does.
  bool imply(const Atom &atom) {
    const Box *box = find(atom.symbol);
    if (!box)
      return false;
    if (atom.kind == Atom::Divisible)
      return box->divisor % atom.a == 0 || (box->isFixed() && box->least % atom.a == 0);
    if (atom.kind != Atom::Same)
      return box->least >= atom.a && box->most <= (atom.kind == Atom::Equal ? atom.a : atom.b);
    const Box *other = find(static_cast<uint64_t>(atom.a));
    if (!other)
      return false;
    bool isEqual = box->isFixed() && other->isFixed() && box->least == Wide(other->least) + atom.b;
    return isEqual || (box->root == other->root && box->offset == Wide(other->offset) + atom.b);
  }

  std::vector<Box> boxes;    ///< by symbol
  bool isContradictory = false;
  uint64_t contradicted = 0; ///< a symbol without a value

private:
  void add(uint64_t symbol, const std::vector<std::string> &names) {
    // kUnknownValue is no value.
    int64_t least = names.empty() || isElement(names[symbol]) ? -INT64_MAX : 0;
    auto place = boxes.begin();
    while (place != boxes.end() && place->symbol < symbol)
      ++place;
    if (place == boxes.end() || place->symbol != symbol)
      boxes.insert(place, {symbol, symbol, least});
  }
  void refuse(uint64_t symbol) {
    contradicted = isContradictory ? contradicted : symbol;
    isContradictory = true;
  }
  /// Makes `left` the same as `right` plus an offset.
  void unite(const Box &left, const Box &right, int64_t offset) {
    Wide shift = Wide(right.offset) + offset - left.offset; // of the one's root against the other's
    uint64_t root = std::min(left.root, right.root), moved = std::max(left.root, right.root);
    if (root == moved)
      return shift != 0 ? refuse(left.symbol) : void();
    shift = left.root == moved ? shift : -shift;
    for (Box &box : boxes) {
      if (box.root != moved)
        continue;
      Wide sum = box.offset + shift;
      box.root = root;
      box.offset = static_cast<int64_t>(sum);
      if (box.offset != sum)
        refuse(box.symbol);
    }
  }
  void apply(Box &box, const Atom &atom) {
    if (atom.kind == Atom::Divisible)
      divide(box, atom.a);
    else
      narrow(box, atom.a, atom.kind == Atom::Equal ? atom.a : atom.b);
  }
  void divide(Box &box, int64_t divisor) {
    int64_t common;
    // Of multiples beyond 64 bits only 0 is left.
    if (__builtin_mul_overflow(box.divisor, divisor / std::gcd(box.divisor, divisor), &common))
      return narrow(box, 0, 0);
    box.divisor = common;
  }
  /// Uses the divisor of a symbol of the same group.
  void shareDivisor(Box &box, const Box &other) {
    auto meets = [&](int64_t divisor) {
      Wide difference = Wide(box.offset % divisor) - other.offset % divisor;
      return difference == 0 || difference == divisor || difference == -Wide(divisor);
    };
    if (!meets(std::gcd(box.divisor, other.divisor)))
      refuse(box.symbol);
    else if (meets(other.divisor))
      divide(box, other.divisor);
  }
  /// Lets a symbol be no less and no more than this; bounds become multiples of the divisor.
  void narrow(Box &box, Wide least, Wide most) {
    least = std::max(least, Wide(box.least));
    most = std::min(most, Wide(box.most));
    if (least > most)
      return refuse(box.symbol);
    int64_t below = static_cast<int64_t>(least) % box.divisor, above = static_cast<int64_t>(most) % box.divisor;
    least += below > 0 ? box.divisor - below : -below;
    most -= above < 0 ? above + box.divisor : above;
    if (least > most)
      return refuse(box.symbol);
    box.least = static_cast<int64_t>(least);
    box.most = static_cast<int64_t>(most);
  }
};

/// The guard without its bounds.
Guard unbind(Guard guard) {
  for (Atom &atom : guard)
    if (atom.kind == Atom::Equal || atom.kind == Atom::Range)
      atom = {Atom::Range, atom.symbol, INT64_MIN, INT64_MAX};
  return guard;
}

/// Writes what a symbol is by itself; `free` is what it would be without bounds.
void write(const Box &box, const Box &free, Guard &guard) {
  if (box.isFixed())
    return guard.push_back({Atom::Equal, box.symbol, box.least, 0});
  // kUnknownValue is a multiple of many numbers.
  bool excludesUnknown = box.divisor != 1 && box.least < 0;
  if (box.least != free.least || box.most != free.most || excludesUnknown)
    guard.push_back({Atom::Range, box.symbol, box.least, box.most == free.most ? INT64_MAX : box.most});
  if (box.divisor != 1)
    guard.push_back({Atom::Divisible, box.symbol, box.divisor, 0});
}

} // namespace

bool simplify(Guard &guard, const std::vector<std::string> &names, std::string &error) {
  Facts facts(guard, names), free(unbind(guard), names);
  if (facts.isContradictory) {
    error = "no value of '" + nameOf(facts.contradicted, names) + "' fulfils the conditions on it";
    return false;
  }
  Guard simple, same;
  for (const Box &box : facts.boxes) {
    const Box &root = *facts.find(box.root);
    if (&root == &box || (root.isFixed() && box.isFixed())) {
      write(box, *free.find(box.symbol), simple);
      continue;
    }
    if (root.divisor % box.divisor != 0 || box.offset % box.divisor != 0)
      simple.push_back({Atom::Divisible, box.symbol, box.divisor, 0});
    same.push_back({Atom::Same, box.symbol, static_cast<int64_t>(box.root), box.offset});
  }
  simple.insert(simple.end(), same.begin(), same.end());
  guard = std::move(simple);
  return true;
}

bool implies(const Guard &left, const Guard &right) {
  Facts facts(left, {});
  return std::all_of(right.begin(), right.end(), [&](const Atom &atom) { return facts.imply(atom); });
}

bool clip(Guard &guard, const Guard &limits, const std::vector<std::string> &names, std::string &error) {
  Guard both = guard;
  both.insert(both.end(), limits.begin(), limits.end());
  if (!simplify(both, names, error)) {
    error += " and the limits " + print(limits, names);
    return false;
  }
  guard.clear();
  for (const Atom &atom : both)
    if (std::any_of(both.begin(), both.end(), [&](const Atom &other) { return other.symbol == atom.symbol && !implies(limits, {other}); }))
      guard.push_back(atom);
  return true;
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
    bool isNegative = !text.empty() && text[0] == '-' && isElement(names[symbol]);
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
