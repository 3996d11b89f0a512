// The memory of a run: sizes at its shapes, places in the work.arena.
#include "runtime/core/frame.h"
#include "runtime/core/sanitizer.h"
#include <algorithm>

namespace onager::rt {

bool countBytes(uint64_t dtype, const std::vector<int64_t> &dims, uint64_t &bytes) {
  bytes = onager_dtype_bytes(static_cast<int32_t>(dtype));
  for (int64_t extent : dims)
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes))
      return false;
  return true;
}

/// Rounds an extent up to the next of eight steps per power of two, so that growing shapes change the plan rarely. Beyond the last step an
/// extent, which an empty tensor may have, stays as it is.
static int64_t roundUp(int64_t extent) {
  if (extent <= 16)
    return extent;
  int64_t step = int64_t(1) << (63 - __builtin_clzll(static_cast<uint64_t>(extent)) - 3);
  if (extent > INT64_MAX - step)
    return extent;
  return (extent + step - 1) / step * step;
}

/// Lowers symbols to the most that a guard lets them be: no run goes beyond.
static void capSymbols(const Guard &guard, std::vector<int64_t> &symbols) {
  for (const Atom &atom : guard)
    if (atom.kind == Atom::Equal || atom.kind == Atom::Range)
      symbols[atom.symbol] = std::min(symbols[atom.symbol], atom.kind == Atom::Equal ? atom.a : atom.b);
}

bool Frame::measureSlots(const int64_t *values, std::vector<uint64_t> &bytes) const {
  for (size_t k = 0; k < manifest.slots.size(); ++k) {
    bool bad = false;
    int64_t size = manifest.slots[k].bytes.evaluate(values, bad);
    if (bad || size < 0 || size > (int64_t(1) << 46))
      return false;
    bytes[k] = (std::max<uint64_t>(static_cast<uint64_t>(size), 1) + ONAGER_ALIGNMENT - 1) / ONAGER_ALIGNMENT * ONAGER_ALIGNMENT;
    if (manifest.slots[k].perThread)
      bytes[k] *= static_cast<uint64_t>(session.threads());
  }
  return true;
}

/// Fills in what the slots take at the largest shapes of the bucket that the present ones lie in.
void Frame::measureBucket(std::vector<uint64_t> &bytes) {
  plannedSymbols.resize(symbols.size());
  for (size_t k = 0; k < symbols.size(); ++k)
    plannedSymbols[k] = roundUp(symbols[k]);
  capSymbols(session.model->generic.manifest.guard, plannedSymbols);
  capSymbols(manifest.guard, plannedSymbols);
  bool bad = false;
  for (const Derived &derived : manifest.derived)
    plannedSymbols[derived.symbol] = derived.expr.evaluate(plannedSymbols.data(), bad);
  bytes.assign(sizes.size(), 0);
  bool isMeasured = !bad && measureSlots(plannedSymbols.data(), bytes);
  for (size_t k = 0; k < sizes.size(); ++k)
    bytes[k] = isMeasured && bytes[k] > sizes[k] ? bytes[k] : sizes[k];
}

static Outcome failSizes() { return failure(ONAGER_BAD_ARGUMENT, "the inputs' shapes lead to an intermediate tensor of negative or impossible size"); }

Outcome Frame::planZones() {
  uint64_t total = spreadSlots(sizes, offsets);
  if (!work.arena.reserve(total, false))
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for " + std::to_string(total) + " bytes of intermediate tensors");
  // Slots of each thread are one zone; of others, what rounds them up to the alignment is poisoned, too.
  capacities = sizes;
  for (size_t k = 0; k < sizes.size(); ++k) {
    bool bad = false;
    if (!manifest.slots[k].perThread)
      capacities[k] = static_cast<uint64_t>(manifest.slots[k].bytes.evaluate(symbols.data(), bad));
    if (!capacities[k])
      capacities[k] = ONAGER_ALIGNMENT;
  }
  poisonAround(work.arena.get(), total, offsets, capacities);
  state.arena = work.arena.get();
  return {};
}

Outcome Frame::planArena() {
  if (!measureSlots(symbols.data(), sizes))
    return failSizes();
  if (code.isSanitized)
    return planZones();
  bool fits = capacities.size() == sizes.size() && (work.arena.get() || sizes.empty());
  for (size_t k = 0; fits && k < sizes.size(); ++k)
    fits = sizes[k] <= capacities[k];
  state.arena = work.arena.get();
  if (fits)
    return {};
  measureBucket(capacities);
  uint64_t total = packSlots(manifest.slots, capacities, offsets);
  if (!work.arena.reserve(total, false)) {
    capacities.clear();
    return failure(ONAGER_OUT_OF_MEMORY, "no memory for " + std::to_string(total) + " bytes of intermediate tensors");
  }
  session.log(ONAGER_LOG_DEBUG, "planned %llu bytes of intermediate tensors", static_cast<unsigned long long>(total));
  state.arena = work.arena.get();
  return {};
}

Outcome Frame::queryMemory(uint64_t &bytes) {
  if (Outcome outcome = measureOutputs(manifest.outputs.size()); !outcome)
    return outcome;
  if (!measureSlots(symbols.data(), sizes))
    return failSizes();
  std::vector<uint64_t> bucket;
  std::vector<int64_t> places(sizes.size());
  measureBucket(bucket);
  bytes = packSlots(manifest.slots, bucket, places);
  for (size_t k = 0; k < outputDims.size(); ++k) {
    uint64_t size = 0;
    if (manifest.outputs[k].block < 0 && countBytes(manifest.outputs[k].dtype, outputDims[k], size))
      bytes += (size + ONAGER_ALIGNMENT - 1) / ONAGER_ALIGNMENT * ONAGER_ALIGNMENT;
  }
  return {};
}

} // namespace onager::rt
