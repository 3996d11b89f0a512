// No two slots that live at the same time share a byte of the arena, and the arena holds them all.
#include "runtime/core/frame.h"
#include "test/unit/Support.h"
#include <chrono>
#include <gtest/gtest.h>

using namespace onager;
using namespace onager::rt;

static Slot makeSlot(uint64_t first, uint64_t last) { return {{}, first, last, 0}; }

static bool liveTogether(const Slot &a, const Slot &b) { return a.first <= b.last && b.first <= a.last; }

/// Checks a packing and returns the largest sum of sizes that live at one launch.
static uint64_t check(const std::vector<Slot> &slots, const std::vector<uint64_t> &sizes, const std::vector<int64_t> &offsets, uint64_t total) {
  uint64_t most = 0;
  for (size_t a = 0; a < slots.size(); ++a) {
    EXPECT_GE(offsets[a], 0);
    EXPECT_EQ(offsets[a] % ONAGER_ALIGNMENT, 0) << "slot " << a;
    EXPECT_LE(static_cast<uint64_t>(offsets[a]) + sizes[a], total) << "slot " << a;
    uint64_t sum = 0;
    for (size_t b = 0; b < slots.size(); ++b) {
      if (slots[b].first <= slots[a].first && slots[a].first <= slots[b].last)
        sum += sizes[b];
      if (a < b && sizes[a] && sizes[b] && liveTogether(slots[a], slots[b]))
        EXPECT_TRUE(static_cast<uint64_t>(offsets[a]) + sizes[a] <= static_cast<uint64_t>(offsets[b]) ||
                    static_cast<uint64_t>(offsets[b]) + sizes[b] <= static_cast<uint64_t>(offsets[a]))
            << "slots " << a << " and " << b;
    }
    most = std::max(most, sum);
  }
  return most;
}

TEST(Arena, RandomLifetimesNeverOverlap) {
  auto generator = test::makeGenerator();
  for (int round = 0; round < 400; ++round) {
    size_t count = generator() % 60;
    uint64_t launches = 1 + generator() % 40;
    std::vector<Slot> slots;
    std::vector<uint64_t> sizes;
    uint64_t unit = round % 2 ? ONAGER_ALIGNMENT : 1 << 20; // larger than caches, or smaller
    for (size_t k = 0; k < count; ++k) {
      uint64_t first = generator() % launches;
      slots.push_back(makeSlot(first, std::min(launches - 1, first + generator() % 8)));
      sizes.push_back(generator() % 5 == 0 ? 0 : (1 + generator() % 50) * unit);
    }
    std::vector<int64_t> offsets(count);
    uint64_t total = packSlots(slots, sizes, offsets);
    uint64_t most = check(slots, sizes, offsets, total);
    EXPECT_GE(total, most);
    EXPECT_LE(total, 2 * most + unit) << "twice what is live at once is a bad packing";
  }
}

TEST(Arena, LifetimesThatMeetInOneLaunchDoNotShare) {
  std::vector<Slot> slots{makeSlot(0, 1), makeSlot(1, 2), makeSlot(2, 3)};
  std::vector<uint64_t> sizes{64, 64, 64};
  std::vector<int64_t> offsets(3);
  uint64_t total = packSlots(slots, sizes, offsets);
  check(slots, sizes, offsets, total);
  EXPECT_EQ(total, 128u); // the first and the third do
}

TEST(Arena, LargeSlotsLieWhereMemoryWasUsedLast) {
  // A chain: the fourth lies where the second was, not where the first, larger one, was long before.
  std::vector<Slot> slots{makeSlot(0, 1), makeSlot(1, 2), makeSlot(2, 3), makeSlot(3, 4), makeSlot(4, 5)};
  std::vector<uint64_t> sizes{8 << 20, 2 << 20, 2 << 20, 2 << 20, 2 << 20};
  std::vector<int64_t> offsets(slots.size());
  uint64_t total = packSlots(slots, sizes, offsets);
  check(slots, sizes, offsets, total);
  EXPECT_EQ(offsets[3], offsets[1]);
}

TEST(Arena, NoSlots) {
  std::vector<int64_t> offsets;
  EXPECT_EQ(packSlots({}, {}, offsets), 0u);
}

TEST(Arena, ManySlotsPackFast) {
  std::vector<Slot> slots;
  std::vector<uint64_t> sizes;
  for (uint64_t k = 0; k < 4000; ++k) {
    slots.push_back(makeSlot(k, k + 2));
    sizes.push_back((1 + k % 7) * 64);
  }
  std::vector<int64_t> offsets(slots.size());
  auto start = std::chrono::steady_clock::now();
  packSlots(slots, sizes, offsets);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 2.0);
}

TEST(Block, GrowsAndKeeps) {
  onager_allocator allocator = getSystemAllocator();
  Block block(allocator);
  ASSERT_TRUE(block.reserve(100, true));
  std::fill(block.get(), block.get() + 100, 'x');
  ASSERT_TRUE(block.reserve(10'000'000, true));
  EXPECT_EQ(std::string(block.get(), 100), std::string(100, 'x'));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) % ONAGER_ALIGNMENT, 0u);
  char *before = block.get();
  ASSERT_TRUE(block.reserve(50, true));
  EXPECT_EQ(block.get(), before);
}

TEST(Block, ImpossibleSizesFail) {
  onager_allocator allocator = getSystemAllocator();
  Block block(allocator);
  ASSERT_TRUE(block.reserve(64, true));
  for (uint64_t bytes : {UINT64_MAX, UINT64_MAX / 2, uint64_t(1) << 62})
    EXPECT_FALSE(block.reserve(bytes, true));
  EXPECT_EQ(block.bytes(), 64u);
}
