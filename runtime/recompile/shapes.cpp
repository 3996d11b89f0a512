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
  return entries[place].state != State::free && std::equal(shape.begin(), shape.end(), values.begin() + static_cast<std::ptrdiff_t>(place * numbers.size()));
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
    if (entries[place].weight() < entries[best].weight())
      best = place;
  }
  return best;
}

Shape ShapeCounter::getShapeAt(size_t place) const {
  auto begin = values.begin() + static_cast<std::ptrdiff_t>(place * numbers.size());
  return {begin, begin + static_cast<std::ptrdiff_t>(numbers.size())};
}

ShapeCounter::Entry &ShapeCounter::claim(const Shape &shape) {
  size_t place = findPlace(shape);
  if (!isAt(place, shape)) {
    entries[place] = {};
    std::copy(shape.begin(), shape.end(), values.begin() + static_cast<std::ptrdiff_t>(place * numbers.size()));
  }
  return entries[place];
}

ShapeCounter::Entry *ShapeCounter::find() {
  size_t place = findPlace(present);
  Entry &entry = entries[place];
  if (isAt(place, present))
    return &entry;
  // A shape that comes again wears down the one that has its place.
  if (entry.weight() > 1 && entry.state == State::counted) {
    --(entry.runs ? entry.runs : entry.needed);
    return nullptr;
  }
  if (entry.state == State::wanted)
    return nullptr;
  claim(present).state = State::counted;
  return &entry;
}

namespace {

/// Has the table to itself; runs that count meanwhile are not counted.
class Busy {
public:
  explicit Busy(std::atomic<bool> &flag) : flag(flag) {
    while (flag.exchange(true, std::memory_order_acquire))
      sched_yield();
  }
  Busy(const Busy &) = delete;
  ~Busy() { flag.store(false, std::memory_order_release); }

private:
  std::atomic<bool> &flag;
};

} // namespace

Shape ShapeCounter::getShape(const int64_t *all) {
  Busy busy(isBusy);
  return makeShape(all, /*isAsked=*/true) ? present : Shape();
}

bool ShapeCounter::take(Shape &shape, double &secondsPerRun) {
  Busy busy(isBusy);
  size_t best = kEntries;
  for (size_t k = 0; k < kEntries; ++k)
    if (entries[k].state == State::wanted && (best == kEntries || entries[k].seconds > entries[best].seconds))
      best = k;
  if (best == kEntries)
    return false;
  Entry &entry = entries[best];
  entry.state = State::done;
  secondsPerRun = entry.runs ? entry.seconds / static_cast<double>(entry.runs) : 0;
  shape = getShapeAt(best);
  return true;
}

void ShapeCounter::want(const Shape &shape) {
  Busy busy(isBusy);
  claim(shape).state = State::wanted;
}

void ShapeCounter::demote(const Shape &shape, uint64_t runs) {
  Busy busy(isBusy);
  Entry &entry = claim(shape);
  uint64_t doubled = std::min(2 * entry.needed, uint64_t(1) << 62);
  entry = {State::counted, 0, std::max(runs, doubled), 0};
}

Shape ShapeCounter::findMostMet() {
  Busy busy(isBusy);
  size_t best = kEntries;
  for (size_t k = 0; k < kEntries; ++k)
    if ((entries[k].state == State::counted || entries[k].state == State::wanted) && (best == kEntries || entries[k].runs > entries[best].runs))
      best = k;
  return best == kEntries ? Shape() : getShapeAt(best);
}

} // namespace onager::rt
