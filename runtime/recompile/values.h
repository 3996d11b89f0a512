// Which values of the inputs that decide are worth code of their own.
//
// An input that changes with nearly every run would have a variant made for each of its values. So only a few values of an input, those that come again and again,
// are told from others; all others are kUnknownValue, and runs with them count for the shape alone.
#ifndef ONAGER_RUNTIME_RECOMPILE_VALUES_H
#define ONAGER_RUNTIME_RECOMPILE_VALUES_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace onager::rt {

/// Sorts out rare values of one input: counts in a few places, which every value that finds none wears down (Misra and Gries, "Finding repeated elements"). What
/// was seen often enough is kept for good, so that an input has at most kMostValues values. Not thread-safe; allocates when it is made.
class ValueFilter {
public:
  static constexpr size_t kMostValues = 8;

  /// Of an input whose elements have the places `first` to `first + count` of a shape; a value is kept when it was met `runs` times.
  ValueFilter(size_t first, size_t count, uint64_t runs) : first(first), count(count), enough(runs), values(kMostValues * count) {}

  /// Counts the value in a shape and replaces its elements by kUnknownValue where it is not kept. One that is asked for is kept at once, if there is room.
  void apply(int64_t *shape, bool isAsked);

private:
  struct Place {
    uint64_t runs = 0; ///< 0: free
    bool isKept = false;
  };
  Place *find(const int64_t *value, bool isAsked);

  size_t first, count;
  uint64_t enough;
  Place places[kMostValues];
  std::vector<int64_t> values; ///< of the places, one after another
};

} // namespace onager::rt

#endif
