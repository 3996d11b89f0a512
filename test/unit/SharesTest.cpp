// Shares of a launch's items: each item runs once, late parts are taken by others, groups stay together, errors end it.
#include "runtime/core/shares.h"
#include "test/unit/Support.h"
#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <sched.h>
#include <thread>

using namespace onager::rt;

namespace {

/// What the unit of a launch notes. Its arguments are the note and the number of the thread.
struct Note {
  explicit Note(int64_t items) : runs(std::make_unique<std::atomic<int>[]>(static_cast<size_t>(items))), count(items) {}
  std::unique_ptr<std::atomic<int>[]> runs; ///< of each item
  int64_t count;
  std::atomic<int64_t> done{0};
  std::atomic<int> splits{0};   ///< parts that begin or end inside of a group, and of a share
  int64_t grain = 1, waitsFor = 0; ///< thread 0 waits in its first part until so many items are done
  int32_t failing = -1;         ///< the item that fails
  int32_t threads = 1;
  bool isEdge(int64_t place) const {
    for (int64_t t = 0; t <= threads; ++t)
      if (place == count * t / threads)
        return true;
    return place % grain == 0;
  }
};

int32_t runUnit(onager_run *, void **arguments, int64_t begin, int64_t end) {
  auto &note = *static_cast<Note *>(arguments[0]);
  note.splits += !note.isEdge(begin) + !note.isEdge(end);
  while (arguments[1] && note.done.load() < note.waitsFor)
    sched_yield();
  for (int64_t item = begin; item < end; ++item) {
    note.runs[static_cast<size_t>(item)].fetch_add(1);
    if (item == note.failing)
      return 7;
  }
  note.done += end - begin;
  return 0;
}

/// Runs all threads of a gang; returns what thread 0 got.
int32_t runGang(Note &note, bool isFirstSlow = false) {
  std::vector<int64_t> taken(static_cast<size_t>(note.threads), 0);
  std::atomic<int32_t> status{0};
  std::vector<std::thread> gang;
  for (int32_t t = 0; t < note.threads; ++t)
    gang.emplace_back([&, t] {
      void *arguments[] = {&note, isFirstSlow && t == 0 ? &note : nullptr};
      if (int32_t code = runShares({note.count, note.grain, note.threads, taken.data()}, nullptr, t, runUnit, arguments))
        status = code;
    });
  for (std::thread &thread : gang)
    thread.join();
  return status;
}

} // namespace

TEST(Shares, EachItemRunsOnceAndGroupsStayTogether) {
  auto generator = onager::test::makeGenerator();
  for (int round = 0; round < 200; ++round) {
    Note note(static_cast<int64_t>(generator() % 200));
    note.grain = static_cast<int64_t>(1 + generator() % 9);
    note.threads = static_cast<int32_t>(1 + generator() % 4);
    ASSERT_EQ(runGang(note), 0);
    for (int64_t item = 0; item < note.count; ++item)
      ASSERT_EQ(note.runs[static_cast<size_t>(item)], 1) << "item " << item << " of " << note.count << ", groups of " << note.grain << ", threads " << note.threads;
    EXPECT_EQ(note.splits, 0) << note.count << " items, groups of " << note.grain << ", threads " << note.threads;
  }
}

TEST(Shares, OthersTakeWhatASlowThreadHasLeft) {
  Note note(64);
  note.threads = 2;
  // The slow thread has its first part, half of its share, and goes on when all else is done.
  note.waitsFor = 48;
  EXPECT_EQ(runGang(note, /*isFirstSlow=*/true), 0);
  EXPECT_EQ(note.done, 64);
}

TEST(Shares, AnErrorEndsAThreadsWork) {
  Note note(64);
  note.failing = 3;
  EXPECT_EQ(runGang(note), 7);
  EXPECT_EQ(note.runs[4], 0);
}
