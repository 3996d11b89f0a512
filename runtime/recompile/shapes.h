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
  enum class State { counted, wanted, done };

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
      isWanted = isHot(entry->runs, entry->seconds);
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
  /// A shape that is done is not counted any more; others are, from 0 on.
  void set(const Shape &shape, State state);

private:
  struct Entry {
    uint64_t runs = 0; ///< 0: free
    double seconds = 0;
    State state = State::counted;
  };
  /// Fills `present`; false where all of it is unknown. REQUIRES: isBusy is the caller's, as for all of the following.
  bool makeShape(const int64_t *values, bool isAsked);
  /// Finds or makes the entry of `present`; null where more frequent shapes have all places.
  Entry *find();
  size_t findPlace(const Shape &shape) const;
  bool isAt(size_t place, const Shape &shape) const;

  std::vector<uint64_t> numbers; ///< of the symbols that make a shape
  std::vector<ValueFilter> filters;
  Shape present;                 ///< the shape that is counted
  std::vector<Entry> entries;
  std::vector<int64_t> values;   ///< of the entries' shapes, one after another
  std::atomic<bool> isBusy{false};
};

} // namespace onager::rt

#endif
