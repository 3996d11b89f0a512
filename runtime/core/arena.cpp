// Blocks of memory that the runtime takes from the application's allocator or the system.
#include "runtime/core/sanitizer.h"
#include "runtime/core/session.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace onager::rt {

onager_allocator getSystemAllocator() {
  auto allocate = [](void *, size_t bytes, size_t alignment) -> void * {
    void *memory = nullptr;
    return posix_memalign(&memory, alignment, bytes) ? nullptr : memory;
  };
  auto release = [](void *, void *memory, size_t, size_t) { free(memory); };
  return {sizeof(onager_allocator), 0, nullptr, allocate, release};
}

Block::~Block() {
  if (address && isExact)
    unpoison(get(), size);
  if (address)
    allocator->release(allocator->user, address, size, alignment);
}

bool Block::resize(uint64_t bytes, bool keep) {
  uint64_t wanted = std::max<uint64_t>(bytes, 1);
  if (address && wanted == size)
    return true;
  void *fresh = bytes > UINT64_MAX / 2 ? nullptr : allocator->allocate(allocator->user, wanted, ONAGER_ALIGNMENT);
  if (!fresh)
    return false;
  std::memset(fresh, kFillByte, wanted);
  if (address) {
    unpoison(get(), size);
    if (keep)
      std::memcpy(fresh, address, std::min(size, wanted));
    allocator->release(allocator->user, address, size, alignment);
  }
  address = fresh;
  size = wanted;
  alignment = ONAGER_ALIGNMENT;
  return true;
}

bool Block::reserve(uint64_t bytes, bool keep) {
  if (isExact)
    return resize(bytes, keep);
  if (bytes <= size && address)
    return true;
  if (bytes > UINT64_MAX / 2 - 4096)
    return false;
  // A quarter more than asked for, so that a value that grows step by step moves a few times only.
  uint64_t wanted = keep && size ? bytes + bytes / 4 : bytes;
  wanted = (wanted + ONAGER_ALIGNMENT - 1) / ONAGER_ALIGNMENT * ONAGER_ALIGNMENT;
  wanted = std::max<uint64_t>(wanted, ONAGER_ALIGNMENT);
  bool isHuge = wanted >= 2 * kHugePage;
  size_t freshAlignment = isHuge ? kHugePage : ONAGER_ALIGNMENT;
  void *fresh = allocator->allocate(allocator->user, wanted, freshAlignment);
  if (!fresh)
    return false;
  if (isHuge)
    madvise(fresh, wanted, MADV_HUGEPAGE);
  if (keep && size)
    std::memcpy(fresh, address, size);
  if (address)
    allocator->release(allocator->user, address, size, alignment);
  address = fresh;
  size = wanted;
  alignment = freshAlignment;
  return true;
}

} // namespace onager::rt
