// Guards: what a variant of the code assumes of the symbols of its model's inputs.
//
// guard   := atom ("," atom)*                     the text form; all atoms hold
// atom    := symbol "=" integer                   the symbol has this value
//          | symbol "=" min ":" [max] [":" m]     it lies between min and max, both included, and is a multiple of m
//          | symbol "=" symbol [("+" | "-") integer]
// symbol  := its name in the model; "s" and its number, of one without a name; "#" and its number; value
// value   := input "[" index "]"                  an element of an input whose values decide shapes or branches, in row-major order
//          | input                                the same of an input with one element, where no symbol has this name
//
// Values are symbols to everything here: an element of such an input has a symbol of its own, whose name is `input[index]`. They alone may be negative.
#ifndef ONAGER_RUNTIME_CORE_GUARD_H
#define ONAGER_RUNTIME_CORE_GUARD_H

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace onager::rt {

/// The value of an element that was not given, or that is not to be told from others. No guard demands it.
constexpr int64_t kUnknownValue = INT64_MIN;

/// Returns the name of the symbol of an input's element.
std::string nameValue(const std::string &input, uint64_t element);

/// One condition on symbols.
struct Atom {
  enum Kind : uint64_t {
    Equal,     ///< symbol == a
    Range,     ///< a <= symbol <= b
    Divisible, ///< symbol % a == 0
    Same,      ///< symbol == symbol number a, plus b
    Count
  };
  uint64_t kind;
  uint64_t symbol;
  int64_t a, b;
  bool operator==(const Atom &other) const { return kind == other.kind && symbol == other.symbol && a == other.a && b == other.b; }
};

/// A conjunction of atoms; the empty one always holds.
using Guard = std::vector<Atom>;

/// True where the atom holds.
inline bool holds(const Atom &atom, const int64_t *symbols) {
  int64_t value = symbols[atom.symbol];
  switch (atom.kind) {
  case Atom::Equal:
    return value == atom.a;
  case Atom::Range:
    return atom.a <= value && value <= atom.b;
  case Atom::Divisible:
    return value % atom.a == 0;
  default: {
    int64_t other;
    return !__builtin_add_overflow(symbols[atom.a], atom.b, &other) && value == other;
  }
  }
}
/// True where all atoms hold. REQUIRES: `symbols` has a value for each symbol that the guard names.
inline bool holds(std::span<const Atom> guard, const int64_t *symbols) {
  for (const Atom &atom : guard)
    if (!holds(atom, symbols))
      return false;
  return true;
}

/// Sorts the atoms, rounds bounds to divisors and leaves out atoms that others imply, or that every input fulfils; of symbols that differ by a constant all are
/// told by the first. False and a reason where no values can fulfil the guard. REQUIRES: `names` has the name of each symbol.
bool simplify(Guard &guard, const std::vector<std::string> &names, std::string &error);

/// True where `right` holds whenever `left` does. May miss what follows from extents not being negative.
bool implies(const Guard &left, const Guard &right);

/// Adds to what a guard says of its symbols what `limits`, which always hold, say of them, and leaves out symbols of which the limits say all; of a guard that
/// the limits imply nothing is left. False and a reason where both exclude each other. REQUIRES: both were simplified.
bool clip(Guard &guard, const Guard &limits, const std::vector<std::string> &names, std::string &error);

/// Writes the text form. Without `names` symbols are written as `#` and their number, which is read wherever names may hold commas and the like.
std::string print(const Guard &guard, const std::vector<std::string> &names);

/// Reads the text form and simplifies it. False and a reason for unknown symbols, malformed numbers and contradictions.
bool parseGuard(const std::string &text, const std::vector<std::string> &names, Guard &guard, std::string &error);

} // namespace onager::rt

#endif
