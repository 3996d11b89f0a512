// Parts of shares, and who runs them.
#include "runtime/core/shares.h"
#include <algorithm>
#include <iterator>

namespace onager::rt {

/// Where the parts of a share end, in sixteenths of it. The first is large, so that an undisturbed thread walks through its share as through one; the last are
/// small, so that all end at about the same time.
static constexpr int64_t kEnds[] = {8, 10, 12, 14, 15, 16};
static constexpr int64_t kParts = std::size(kEnds);

/// The first item behind a part of the share [begin, end); -1 is the part before the first.
static int64_t getEnd(int64_t part, int64_t begin, int64_t end, int64_t grain) {
  if (part < 0)
    return begin;
  if (part == kParts - 1)
    return end;
  int64_t place = begin + (end - begin) * kEnds[part] / kEnds[kParts - 1];
  return std::max(begin, place / grain * grain);
}

int32_t runShares(const SharedItems &shared, onager_run *run, int32_t thread, onager_unit unit, void **arguments) {
  for (int32_t k = 0; k < shared.threads; ++k) {
    int64_t owner = (thread + k) % shared.threads, begin = shared.items * owner / shared.threads, end = shared.items * (owner + 1) / shared.threads;
    int64_t *taken = &shared.taken[owner];
    while (__atomic_load_n(taken, __ATOMIC_RELAXED) < kParts) {
      int64_t part = __atomic_fetch_add(taken, 1, __ATOMIC_RELAXED);
      if (part >= kParts)
        break;
      int64_t first = getEnd(part - 1, begin, end, shared.grain), last = getEnd(part, begin, end, shared.grain);
      if (first >= last)
        continue;
      if (int32_t status = unit(run, arguments, first, last))
        return status;
    }
  }
  return 0;
}

} // namespace onager::rt
