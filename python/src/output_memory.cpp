// Pool of blocks behind the arrays of outputs; sizes are classes, so that outputs that grow from run to run share them.
#include "python/src/output_memory.h"
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <sys/mman.h>

namespace nb = nanobind;

namespace onager::python {

/// Blocks from this size on begin at a huge page.
static constexpr size_t kHugePage = 2 << 20, kLine = 64;

/// Sizes are rounded up to an eighth of a power of two, so that outputs which grow a little from run to run find the blocks of those before.
static size_t roundUp(size_t bytes) {
  size_t step = std::max<size_t>(std::bit_floor(bytes) / 8, kLine);
  return (bytes + step - 1) / step * step;
}

static void *allocate(size_t bytes) {
  bool isHuge = bytes >= 2 * kHugePage;
  void *memory = nullptr;
  if (posix_memalign(&memory, isHuge ? kHugePage : kLine, bytes))
    throw std::bad_alloc();
  if (isHuge)
    madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

/// What an array's base object holds.
struct OutputMemory::Owner {
  std::shared_ptr<OutputMemory> pool;
  Block block;
};

OutputMemory::~OutputMemory() { shrink(0); }

std::pair<void *, nb::object> OutputMemory::take(size_t bytes) {
  Block block{nullptr, roundUp(bytes)};
  {
    std::lock_guard<std::mutex> guard(lock);
    // The last that came back is the likeliest to lie in a cache.
    auto found = std::find_if(idle.rbegin(), idle.rend(), [&](const Block &candidate) { return candidate.bytes == block.bytes; });
    if (found != idle.rend()) {
      block = *found;
      idle.erase(std::next(found).base());
      idleBytes -= block.bytes;
    }
  }
  if (!block.address)
    block.address = allocate(block.bytes);
  nb::object owner = nb::capsule(new Owner{shared_from_this(), block}, [](void *data) noexcept {
    auto *owner = static_cast<Owner *>(data);
    owner->pool->giveBack(owner->block);
    delete owner;
  });
  return {block.address, owner};
}

void OutputMemory::keep(size_t bytes) {
  std::lock_guard<std::mutex> guard(lock);
  // Rounding adds an eighth at most.
  mostIdleBytes = bytes + bytes / 8;
  shrink(mostIdleBytes);
}

void OutputMemory::giveBack(Block block) {
  std::lock_guard<std::mutex> guard(lock);
  idle.push_back(block);
  idleBytes += block.bytes;
  shrink(mostIdleBytes);
}

/// Frees blocks until those left have at most `bytes` bytes.
void OutputMemory::shrink(size_t bytes) {
  for (; idleBytes > bytes; idle.pop_front()) {
    idleBytes -= idle.front().bytes;
    free(idle.front().address);
  }
}

} // namespace onager::python
