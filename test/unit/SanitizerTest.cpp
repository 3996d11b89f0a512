// What runs of sanitized code do to memory. Zones are poisoned only where AddressSanitizer's runtime is in the process.
#include "runtime/core/sanitizer.h"
#include "runtime/core/frame.h"
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace onager::rt;

/// First poisoned address, null where there is none or no AddressSanitizer.
static const void *findPoison(const char *memory, size_t bytes) {
  auto find = reinterpret_cast<void *(*)(void *, size_t)>(dlsym(RTLD_DEFAULT, "__asan_region_is_poisoned"));
  return find ? find(const_cast<char *>(memory), bytes) : nullptr;
}

TEST(Sanitizer, ZonesAreApartAndPoisonedAround) {
  std::vector<uint64_t> sizes{64, 0, 4096, 128}, exact{61, 0, 4000, 128};
  std::vector<int64_t> offsets(sizes.size());
  uint64_t total = spreadSlots(sizes, offsets), end = 0;
  std::vector<char> memory(total + ONAGER_ALIGNMENT);
  char *arena = memory.data() + (ONAGER_ALIGNMENT - reinterpret_cast<uintptr_t>(memory.data()) % ONAGER_ALIGNMENT);
  poisonAround(arena, total, offsets, exact);
  for (size_t k = 0; k < sizes.size(); ++k) {
    auto start = static_cast<uint64_t>(offsets[k]);
    EXPECT_EQ(start % ONAGER_ALIGNMENT, 0u);
    EXPECT_GE(start, end + kRedZone);
    end = start + sizes[k];
    EXPECT_EQ(findPoison(arena + start, exact[k]), nullptr);
    if (hasSanitizer()) {
      EXPECT_EQ(findPoison(arena + start - 1, 1), arena + start - 1);
      EXPECT_EQ(findPoison(arena + start, exact[k] + 1), arena + start + exact[k]);
    }
    for (uint64_t byte = 0; byte < exact[k]; ++byte)
      EXPECT_EQ(static_cast<unsigned char>(arena[start + byte]), kFillByte);
  }
  EXPECT_GE(total, end + kRedZone);
  unpoison(arena, total);
  EXPECT_EQ(findPoison(arena, total), nullptr);
}

TEST(Sanitizer, ExactBlocksHaveTheSizeThatIsAsked) {
  onager_allocator allocator = getSystemAllocator();
  Block block(allocator);
  block.makeExact();
  ASSERT_TRUE(block.reserve(100, false));
  EXPECT_EQ(block.bytes(), 100u);
  for (int byte = 0; byte < 100; ++byte)
    EXPECT_EQ(static_cast<unsigned char>(block.get()[byte]), kFillByte);
  if (hasSanitizer())
    EXPECT_EQ(findPoison(block.get(), 101), block.get() + 100);
  std::memset(block.get(), 1, 100);
  ASSERT_TRUE(block.reserve(103, true));
  EXPECT_EQ(block.bytes(), 103u);
  EXPECT_EQ(block.get()[99], 1);
  EXPECT_EQ(static_cast<unsigned char>(block.get()[102]), kFillByte);
  ASSERT_TRUE(block.reserve(7, true));
  EXPECT_EQ(block.bytes(), 7u);
  EXPECT_EQ(block.get()[6], 1);
}
