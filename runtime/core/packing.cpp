// Packs slots into one arena: slots that live at the same time do not overlap.
#include "runtime/core/frame.h"
#include <algorithm>

namespace onager::rt {

namespace {

/// Below it a run's memory stays in cache wherever slots lie.
constexpr uint64_t kLargeArena = 4 << 20;

struct Range {
  uint64_t start, end;
};

/// Memory that no live slot holds, and the last launch that used it.
struct Freed {
  Range range;
  uint64_t last;
};

uint64_t getOverlap(Range a, Range b) {
  uint64_t start = std::max(a.start, b.start), end = std::min(a.end, b.end);
  return end > start ? end - start : 0;
}

/// Slots by size, the largest first, or by first use.
struct Order {
  const std::vector<Slot> &slots;
  const std::vector<uint64_t> &sizes;
  bool isByTime;

  bool operator()(size_t a, size_t b) const {
    if (isByTime && slots[a].first != slots[b].first)
      return slots[a].first < slots[b].first;
    return sizes[a] > sizes[b];
  }

  std::vector<size_t> sort() const {
    std::vector<size_t> order(slots.size());
    for (size_t k = 0; k < order.size(); ++k)
      order[k] = k;
    std::stable_sort(order.begin(), order.end(), *this);
    return order;
  }
};

/// In the order of first use, each slot where memory was used last: what is still in cache is neither fetched to be overwritten nor written back before.
class WarmPacking {
public:
  WarmPacking(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes) : slots(slots), sizes(sizes), offsets(slots.size()) {}

  uint64_t pack() {
    uint64_t total = 0;
    for (size_t slot : Order{slots, sizes, true}.sort()) {
      release(slots[slot].first);
      uint64_t start = place(slot);
      offsets[slot] = static_cast<int64_t>(start);
      take(getRange(slot));
      live.insert(std::upper_bound(live.begin(), live.end(), slot, [&](size_t a, size_t b) { return offsets[a] < offsets[b]; }), slot);
      total = std::max(total, start + sizes[slot]);
    }
    return total;
  }

  const std::vector<int64_t> &getOffsets() const { return offsets; }

private:
  /// The age of memory that was never used or is forgotten, in launches.
  static constexpr uint64_t kCold = 1000;
  /// Places that are remembered: what was freed before is in no cache.
  static constexpr size_t kRemembered = 12;

  const std::vector<Slot> &slots;
  const std::vector<uint64_t> &sizes;
  std::vector<int64_t> offsets;
  std::vector<size_t> live; ///< by offset
  std::vector<Freed> freed; ///< disjoint; launches that use memory later free it later, so that the latest are last

  Range getRange(size_t slot) const {
    auto start = static_cast<uint64_t>(offsets[slot]);
    return {start, start + sizes[slot]};
  }

  /// Frees what is dead at `launch`.
  void release(uint64_t launch) {
    size_t kept = 0;
    for (size_t slot : live) {
      if (slots[slot].last >= launch)
        live[kept++] = slot;
      else
        freed.push_back({getRange(slot), slots[slot].last});
    }
    live.resize(kept);
    if (freed.size() > kRemembered)
      freed.erase(freed.begin(), freed.end() - kRemembered);
  }

  /// Takes `range` out of what is free.
  void take(Range range) {
    std::vector<Freed> left;
    for (const Freed &place : freed) {
      Range before{place.range.start, std::min(place.range.end, range.start)}, behind{std::max(place.range.start, range.end), place.range.end};
      if (before.start < before.end)
        left.push_back({before, place.last});
      if (behind.start < behind.end)
        left.push_back({behind, place.last});
    }
    freed = std::move(left);
  }

  /// The sum of the ages of the bytes of `range`.
  uint64_t getAge(Range range, uint64_t launch) const {
    uint64_t age = 0, rest = range.end - range.start;
    for (const Freed &place : freed) {
      uint64_t overlap = getOverlap(place.range, range);
      age += overlap * std::min(launch - place.last, kCold);
      rest -= overlap;
    }
    return age + rest * kCold;
  }

  /// The offset in a gap between live slots whose bytes are youngest: a gap's begin, or where freed memory begins or ends.
  uint64_t place(size_t slot) const {
    uint64_t size = sizes[slot], best = 0, bestAge = UINT64_MAX;
    auto consider = [&](uint64_t start, Range gap) {
      start = std::min(std::max(start, gap.start), gap.end - size);
      uint64_t age = getAge({start, start + size}, slots[slot].first);
      if (age < bestAge || (age == bestAge && start < best))
        best = start, bestAge = age;
    };
    auto visit = [&](Range gap) {
      if (gap.end < gap.start || gap.end - gap.start < size)
        return;
      consider(gap.start, gap);
      for (const Freed &place : freed) {
        consider(place.range.start, gap);
        consider(place.range.end - std::min(place.range.end, size), gap);
      }
    };
    uint64_t at = 0;
    for (size_t other : live) {
      visit({at, getRange(other).start});
      at = std::max(at, getRange(other).end);
    }
    visit({at, UINT64_MAX / 2});
    return best;
  }
};

/// Largest first, each in the smallest gap that is free for its whole life.
uint64_t packBySize(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets) {
  std::vector<size_t> placed;
  uint64_t total = 0;
  std::vector<size_t> live;
  for (size_t slot : Order{slots, sizes, false}.sort()) {
    live.clear();
    for (size_t other : placed)
      if (slots[other].first <= slots[slot].last && slots[slot].first <= slots[other].last)
        live.push_back(other);
    std::sort(live.begin(), live.end(), [&](size_t a, size_t b) { return offsets[a] < offsets[b]; });
    uint64_t at = 0, best = UINT64_MAX;
    uint64_t bestGap = UINT64_MAX;
    for (size_t other : live) {
      auto start = static_cast<uint64_t>(offsets[other]);
      if (start >= at && start - at >= sizes[slot] && start - at < bestGap) {
        best = at;
        bestGap = start - at;
      }
      at = std::max(at, start + sizes[other]);
    }
    if (best == UINT64_MAX)
      best = at;
    offsets[slot] = static_cast<int64_t>(best);
    total = std::max(total, best + sizes[slot]);
    placed.push_back(slot);
  }
  return total;
}

} // namespace

uint64_t packSlots(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets) {
  uint64_t total = packBySize(slots, sizes, offsets);
  if (total < kLargeArena)
    return total;
  WarmPacking warm(slots, sizes);
  uint64_t warmTotal = warm.pack();
  if (warmTotal > total + total / 8)
    return total;
  std::copy(warm.getOffsets().begin(), warm.getOffsets().end(), offsets.begin());
  return warmTotal;
}

} // namespace onager::rt
