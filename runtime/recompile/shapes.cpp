// Counting shapes: a hash table with a few places to probe.
#include "runtime/recompile/shapes.h"
#include "runtime/core/guard.h"
#include <algorithm>
#include <sched.h>

namespace onager::rt {

static constexpr size_t kEntries = 256, kProbes = 8;

ShapeCounter::ShapeCounter(std::vector<uint64_t> symbols, std::vector<ValueFilter> filters)
    : numbers(std::move(symbols)), filters(std::move(filters)), present(numbers.size()), entries(kEntries), values(kEntries * numbers.size()) {}

bool ShapeCounter::makeShape(const int64_t *all, bool isAsked) {
  for (size_t k = 0; k < numbers.size(); ++k)
    present[k] = all[numbers[k]];
  for (ValueFilter &filter : filters)
    filter.apply(present.data(), isAsked);
  return filters.empty() || std::any_of(present.begin(), present.end(), [](int64_t value) { return value != kUnknownValue; });
}

bool ShapeCounter::isAt(size_t place, const Shape &shape) const {
  return entries[place].runs && std::equal(shape.begin(), shape.end(), values.begin() + static_cast<std::ptrdiff_t>(place * numbers.size()));
}

/// The place of a shape: where it is, else a free one, else the one that was met least.
size_t ShapeCounter::findPlace(const Shape &shape) const {
  uint64_t hash = 0x9e3779b97f4a7c15ull;
  for (int64_t value : shape)
    hash = (hash ^ static_cast<uint64_t>(value)) * 0xff51afd7ed558ccdull, hash ^= hash >> 32;
  size_t best = hash % kEntries;
  for (size_t probe = 0; probe < kProbes; ++probe) {
    size_t place = (hash + probe) % kEntries;
    if (isAt(place, shape))
      return place;
    if (entries[place].runs < entries[best].runs)
      best = place;
  }
  return best;
}

ShapeCounter::Entry *ShapeCounter::find() {
  size_t place = findPlace(present);
  Entry &entry = entries[place];
  if (isAt(place, present))
    return &entry;
  // A shape that comes again wears down the one that has its place.
  if (entry.runs > 1 && entry.state == State::counted) {
    --entry.runs;
    return nullptr;
  }
  if (entry.runs && entry.state == State::wanted)
    return nullptr;
  entry = {};
  std::copy(present.begin(), present.end(), values.begin() + static_cast<std::ptrdiff_t>(place * numbers.size()));
  return &entry;
}

Shape ShapeCounter::getShape(const int64_t *all) {
  while (isBusy.exchange(true, std::memory_order_acquire))
    sched_yield();
  Shape shape = makeShape(all, /*isAsked=*/true) ? present : Shape();
  isBusy.store(false, std::memory_order_release);
  return shape;
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
  size_t place = findPlace(shape);
  entries[place] = {state == State::counted ? uint64_t(0) : uint64_t(1), 0, state};
  std::copy(shape.begin(), shape.end(), values.begin() + static_cast<std::ptrdiff_t>(place * numbers.size()));
  isBusy.store(false, std::memory_order_release);
}

} // namespace onager::rt
