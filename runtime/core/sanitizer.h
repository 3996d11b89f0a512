// What runs of sanitized code do beside it: every value of the arena gets a zone of its own, with poisoned memory around.
#ifndef ONAGER_RUNTIME_CORE_SANITIZER_H
#define ONAGER_RUNTIME_CORE_SANITIZER_H

#include <cstdint>
#include <vector>

namespace onager::rt {

/// Poisoned bytes between two zones, before the first and behind the last.
constexpr uint64_t kRedZone = 4096;
/// What memory holds before code writes it: a NaN in every float type.
constexpr int kFillByte = 0xff;

/// True where AddressSanitizer's runtime is in the process.
bool hasSanitizer();
/// Places slots one behind the other, `kRedZone` apart, none reused; returns the arena's size. Sizes are multiples of the arena's alignment.
uint64_t spreadSlots(const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets);
/// Fills an arena and poisons it but for `bytes` of each slot. Without AddressSanitizer's runtime it fills alone.
void poisonAround(char *arena, uint64_t size, const std::vector<int64_t> &offsets, const std::vector<uint64_t> &bytes);
/// Makes all of a memory accessible again.
void unpoison(char *memory, uint64_t size);

} // namespace onager::rt

#endif
