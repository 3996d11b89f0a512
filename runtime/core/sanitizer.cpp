// AddressSanitizer's runtime, found in the process: the runtime itself does not link to it.
#include "runtime/core/sanitizer.h"
#include <cstddef>
#include <cstring>
#include <dlfcn.h>

namespace onager::rt {

using Mark = void (*)(const volatile void *, size_t);

static Mark findMark(const char *name) { return reinterpret_cast<Mark>(dlsym(RTLD_DEFAULT, name)); }

bool hasSanitizer() { return dlsym(RTLD_DEFAULT, "__asan_init") != nullptr; }

uint64_t spreadSlots(const std::vector<uint64_t> &sizes, std::vector<int64_t> &offsets) {
  uint64_t at = kRedZone;
  for (size_t k = 0; k < sizes.size(); ++k) {
    offsets[k] = static_cast<int64_t>(at);
    at += sizes[k] + kRedZone;
  }
  return at;
}

void unpoison(char *memory, uint64_t size) {
  if (Mark mark = findMark("__asan_unpoison_memory_region"))
    mark(memory, size);
}

void poisonAround(char *arena, uint64_t size, const std::vector<int64_t> &offsets, const std::vector<uint64_t> &bytes) {
  unpoison(arena, size);
  std::memset(arena, kFillByte, size);
  if (Mark mark = findMark("__asan_poison_memory_region"))
    mark(arena, size);
  for (size_t k = 0; k < offsets.size(); ++k)
    unpoison(arena + offsets[k], bytes[k]);
}

} // namespace onager::rt
