// Counting shapes: a hash table with a few places to probe.
#include "runtime/recompile/shapes.h"
#include <sched.h>

namespace onager::rt {

static constexpr size_t kEntries = 256, kProbes = 8;

ShapeCounter::ShapeCounter(std::vector<uint64_t> symbols) : numbers(std::move(symbols)), entries(kEntries), values(kEntries * numbers.size()) {}

/// The place of a shape whose k-th value is get(k): where it is, else a free one, else the one that was met least.
template <typename Get> size_t ShapeCounter::findPlace(Get get) const {
  uint64_t hash = 0x9e3779b97f4a7c15ull;
  for (size_t k = 0; k < numbers.size(); ++k)
    hash = (hash ^ static_cast<uint64_t>(get(k))) * 0xff51afd7ed558ccdull, hash ^= hash >> 32;
  size_t best = hash % kEntries;
  for (size_t probe = 0; probe < kProbes; ++probe) {
    size_t place = (hash + probe) % kEntries;
    bool isSame = entries[place].runs != 0;
    for (size_t k = 0; isSame && k < numbers.size(); ++k)
      isSame = values[place * numbers.size() + k] == get(k);
    if (isSame)
      return place;
    if (entries[place].runs < entries[best].runs)
      best = place;
  }
  return best;
}

ShapeCounter::Entry *ShapeCounter::find(const int64_t *all) {
  size_t place = findPlace([&](size_t k) { return all[numbers[k]]; });
  Entry &entry = entries[place];
  bool isSame = entry.runs != 0;
  for (size_t k = 0; isSame && k < numbers.size(); ++k)
    isSame = values[place * numbers.size() + k] == all[numbers[k]];
  if (isSame)
    return &entry;
  // A shape that comes again wears down the one that has its place.
  if (entry.runs > 1 && entry.state == State::counted) {
    --entry.runs;
    return nullptr;
  }
  if (entry.runs && entry.state == State::wanted)
    return nullptr;
  entry = {};
  for (size_t k = 0; k < numbers.size(); ++k)
    values[place * numbers.size() + k] = all[numbers[k]];
  return &entry;
}

bool ShapeCounter::take(Shape &shape, double &secondsPerRun) {
  while (isBusy.exchange(true, std::memory_order_acquire))
    sched_yield();
  size_t best = kEntries;
  for (size_t k = 0; k < kEntries; ++k)
    if (entries[k].runs && entries[k].state == State::wanted && (best == kEntries || entries[k].seconds > entries[best].seconds))
      best = k;
  if (best != kEntries) {
    entries[best].state = State::done;
    secondsPerRun = entries[best].seconds / static_cast<double>(entries[best].runs);
    shape.assign(values.begin() + static_cast<std::ptrdiff_t>(best * numbers.size()), values.begin() + static_cast<std::ptrdiff_t>((best + 1) * numbers.size()));
  }
  isBusy.store(false, std::memory_order_release);
  return best != kEntries;
}

void ShapeCounter::set(const Shape &shape, State state) {
  while (isBusy.exchange(true, std::memory_order_acquire))
    sched_yield();
  size_t place = findPlace([&](size_t k) { return shape[k]; });
  entries[place] = {state == State::counted ? uint64_t(0) : uint64_t(1), 0, state};
  for (size_t k = 0; k < numbers.size(); ++k)
    values[place * numbers.size() + k] = shape[k];
  isBusy.store(false, std::memory_order_release);
}

} // namespace onager::rt
