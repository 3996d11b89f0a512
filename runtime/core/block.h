// Memory of a context, from the session's allocator.
#ifndef ONAGER_RUNTIME_CORE_BLOCK_H
#define ONAGER_RUNTIME_CORE_BLOCK_H

#include "onager-rt/api.h"

namespace onager::rt {

/// Bytes of a huge page, which the system gives where it is asked to and memory begins at a multiple of it.
inline constexpr uint64_t kHugePage = uint64_t(2) << 20;

/// Memory that grows and is kept; aligned to 64 bytes, or to pages where it is large.
class Block {
public:
  explicit Block(const onager_allocator &allocator) : allocator(&allocator) {}
  Block(Block &&other) noexcept : allocator(other.allocator), address(other.address), size(other.size), alignment(other.alignment), isExact(other.isExact) { other.address = nullptr; }
  Block(const Block &) = delete;
  ~Block();
  /// From now on memory has exactly the size that is asked for, so that what lies behind it belongs to others, and fresh memory is filled.
  void makeExact() { isExact = true; }
  /// Makes room for `bytes`; false where there is no memory. Contents stay where `keep` is set.
  bool reserve(uint64_t bytes, bool keep);
  char *get() const { return static_cast<char *>(address); }
  uint64_t bytes() const { return size; }

private:
  bool resize(uint64_t bytes, bool keep);

  const onager_allocator *allocator;
  void *address = nullptr;
  uint64_t size = 0;
  size_t alignment = ONAGER_ALIGNMENT;
  bool isExact = false;
};

/// Returns posix_memalign and free.
onager_allocator getSystemAllocator();

} // namespace onager::rt

#endif
