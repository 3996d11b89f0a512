// The shapes that runs of the generic form meet, and how often.
#ifndef ONAGER_RUNTIME_RECOMPILE_SHAPES_H
#define ONAGER_RUNTIME_RECOMPILE_SHAPES_H

#include "runtime/recompile/values.h"
#include <atomic>
#include <cstdint>
#include <vector>

namespace onager::rt {

/// Values of the symbols of a model's inputs: of their dims, then of elements that decide, kUnknownValue where they are not to be told from others.
using Shape = std::vector<int64_t>;

/// Counts runs by shape, in a table of fixed size in which rare shapes make room for others. Counting allocates nothing and waits for nobody: where two
/// threads meet, one of them is not counted.
class ShapeCounter {
public:
  /// `filters` say which values of inputs make shapes of their own.
  explicit ShapeCounter(std::vector<uint64_t> symbols, std::vector<ValueFilter> filters = {});
  const std::vector<uint64_t> &symbols() const { return numbers; }

  /// Counts a run on the values of all symbols; `isHot(runs, seconds)` tells whether its shape should have a variant. True where it has become wanted.
  template <typename IsHot> bool count(const int64_t *values, double seconds, IsHot isHot) {
    if (isBusy.exchange(true, std::memory_order_acquire))
      return false;
    Entry *entry = makeShape(values, /*isAsked=*/false) ? find() : nullptr;
    bool isWanted = false;
    if (entry && entry->state == State::counted) {
      ++entry->runs;
      entry->seconds += seconds;
      isWanted = entry->runs >= entry->needed && isHot(entry->runs, entry->seconds);
      if (isWanted)
        entry->state = State::wanted;
    }
    isBusy.store(false, std::memory_order_release);
    return isWanted;
  }

  /// Takes the wanted shape on which most time was spent; false where there is none.
  bool take(Shape &shape, double &secondsPerRun);
  /// Returns the shape of the values of all symbols, for which a variant is asked; empty where there is nothing that a guard could say of it.
  Shape getShape(const int64_t *values);
  /// Makes a shape wanted, whatever was counted.
  void want(const Shape &shape);
  /// Counts a shape anew whose variant has made room for others. It is wanted again after `runs` runs at the earliest, and after twice as many as the time before:
  /// shapes that take turns come back ever more seldom.
  void demote(const Shape &shape, uint64_t runs);
  /// Returns the shape without a variant that was met most; empty where there is none.
  Shape findMostMet();

private:
  enum class State { free, counted, wanted, done };
  struct Entry {
    State state = State::free;
    uint64_t runs = 0, needed = 0; ///< needed: before it may be hot
    double seconds = 0;
    /// What others must outweigh to take its place.
    uint64_t weight() const { return runs + needed; }
  };
  /// Fills `present`; false where all of it is unknown. REQUIRES: isBusy is the caller's, as for all of the following.
  bool makeShape(const int64_t *values, bool isAsked);
  /// Finds or makes the entry of `present`; null where more frequent shapes have all places.
  Entry *find();
  /// Finds the entry of a shape, or gives it the place of another.
  Entry &claim(const Shape &shape);
  size_t findPlace(const Shape &shape) const;
  bool isAt(size_t place, const Shape &shape) const;
  Shape getShapeAt(size_t place) const;

  std::vector<uint64_t> numbers; ///< of the symbols that make a shape
  std::vector<ValueFilter> filters;
  Shape present;                 ///< the shape that is counted
  std::vector<Entry> entries;
  std::vector<int64_t> values;   ///< of the entries' shapes, one after another
  std::atomic<bool> isBusy{false};
};

} // namespace onager::rt

#endif
