// The shapes that runs of the generic form meet, and how often.
#ifndef ONAGER_RUNTIME_RECOMPILE_SHAPES_H
#define ONAGER_RUNTIME_RECOMPILE_SHAPES_H

#include <atomic>
#include <cstdint>
#include <vector>

namespace onager::rt {

/// Values of the symbols of a model's inputs.
using Shape = std::vector<int64_t>;

/// Counts runs by shape, in a table of fixed size in which rare shapes make room for others. Counting allocates nothing and waits for nobody: where two
/// threads meet, one of them is not counted.
class ShapeCounter {
public:
  enum class State { counted, wanted, done };

  explicit ShapeCounter(std::vector<uint64_t> symbols);
  const std::vector<uint64_t> &symbols() const { return numbers; }

  /// Counts a run on the values of all symbols; `isHot(runs, seconds)` tells whether its shape should have a variant. True where it has become wanted.
  template <typename IsHot> bool count(const int64_t *values, double seconds, IsHot isHot) {
    if (isBusy.exchange(true, std::memory_order_acquire))
      return false;
    Entry *entry = find(values);
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
  /// A shape that is done is not counted any more; others are, from 0 on.
  void set(const Shape &shape, State state);

private:
  struct Entry {
    uint64_t runs = 0; ///< 0: free
    double seconds = 0;
    State state = State::counted;
  };
  /// Finds or makes the entry of a shape; null where more frequent shapes have all places. REQUIRES: isBusy is the caller's.
  Entry *find(const int64_t *values);
  template <typename Get> size_t findPlace(Get get) const;

  std::vector<uint64_t> numbers; ///< of the symbols that make a shape
  std::vector<Entry> entries;
  std::vector<int64_t> values;   ///< of the entries' shapes, one after another
  std::atomic<bool> isBusy{false};
};

} // namespace onager::rt

#endif
