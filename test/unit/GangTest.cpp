// Gangs and barriers: shares run at the same time, exactly once, and survive forks and callers in a crowd.
#include "runtime/core/gang.h"
#include "test/unit/Support.h"
#include <csignal>
#include <ctime>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <xmmintrin.h>

using namespace onager;
using namespace onager::rt;

namespace {
/// Threads that write their own cell, meet, and read all cells, round after round.
struct Relay {
  Barrier barrier;
  int count = 0, rounds = 0;
  std::vector<int> cells;
  std::atomic<int> wrong{0}, visits{0};

  static void share(void *argument, int thread) {
    auto &relay = *static_cast<Relay *>(argument);
    ++relay.visits;
    for (int round = 1; round <= relay.rounds; ++round) {
      relay.cells[static_cast<size_t>(thread)] = round;
      relay.barrier.wait();
      for (int cell : relay.cells)
        relay.wrong += cell != round;
      relay.barrier.wait();
    }
  }
  bool runOn(Pool &pool, int threads, int turns) {
    count = threads;
    rounds = turns;
    cells.assign(static_cast<size_t>(threads), 0);
    visits = wrong = 0;
    barrier.reset(threads);
    Gang gang(pool, threads);
    if (gang.size() != threads)
      return false;
    gang.run(share, this);
    return wrong == 0 && visits == threads;
  }
};

class GangOf : public testing::TestWithParam<int> {};
} // namespace

TEST_P(GangOf, MeetsInBarriers) {
  Pool pool(GetParam());
  Relay relay;
  for (int k = 0; k < 5; ++k)
    EXPECT_TRUE(relay.runOn(pool, GetParam(), 100));
}

TEST_P(GangOf, RunsWithFewerThreadsThanItHas) {
  Pool pool(GetParam());
  Relay relay;
  for (int count = 1; count <= GetParam(); ++count)
    EXPECT_TRUE(relay.runOn(pool, count, 20)) << count;
  for (int count = GetParam(); count >= 1; --count)
    EXPECT_TRUE(relay.runOn(pool, count, 20)) << count;
}

TEST_P(GangOf, ManyShortRuns) {
  Pool pool(GetParam());
  Relay relay;
  for (int k = 0; k < 300; ++k)
    ASSERT_TRUE(relay.runOn(pool, GetParam(), 1)) << k;
}

INSTANTIATE_TEST_SUITE_P(Threads, GangOf, testing::Values(1, 2, 3));

TEST(Gang, GangsOfOnePoolAreDisjoint) {
  Pool pool(4);
  Gang first(pool, 2), second(pool, 4), third(pool, 2);
  EXPECT_EQ(first.size(), 2);
  EXPECT_EQ(second.size(), 3) << "what the first has left";
  EXPECT_EQ(third.size(), 1);
  // They run at the same time: all five threads meet.
  static Barrier all;
  all.reset(5);
  auto meet = [](void *, int) { all.wait(); };
  std::thread other([&] { second.run(meet, nullptr); });
  first.run(meet, nullptr);
  other.join();
}

TEST(Gang, ReleasesItsWorkers) {
  Pool pool(3);
  for (int k = 0; k < 3; ++k) {
    Gang gang(pool, 3);
    EXPECT_EQ(gang.size(), 3);
  }
  Gang none(pool, 1);
  EXPECT_EQ(none.size(), 1);
}

TEST(Gang, EightCallersOnAPoolOfTwo) {
  Pool pool(2);
  std::atomic<int> together{0}, alone{0}, wrong{0};
  std::vector<std::thread> callers;
  for (int k = 0; k < 8; ++k)
    callers.emplace_back([&] {
      for (int turn = 0; turn < 100; ++turn) {
        Relay relay;
        if (relay.runOn(pool, 2, 3))
          ++together;
        else if (relay.visits == 0)
          ++alone; // taken: the caller runs by itself
        else
          ++wrong;
      }
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(together + alone, 800);
  EXPECT_GT(together, 0);
}

/// Runs `body` in a forked child with a time limit; true where it returns true.
static bool runInChild(bool (*body)(Pool &), Pool &pool) {
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(body(pool) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Gang, WorkersRestartAfterFork) {
  Pool pool(2);
  Relay relay;
  auto body = [](Pool &forked) {
    Relay inner;
    return inner.runOn(forked, 2, 20) && inner.runOn(forked, 2, 20);
  };
  EXPECT_TRUE(runInChild(body, pool)) << "forked before the first run";
  ASSERT_TRUE(relay.runOn(pool, 2, 20));
  EXPECT_TRUE(runInChild(body, pool)) << "forked after the first run";
  EXPECT_TRUE(relay.runOn(pool, 2, 20)) << "in the parent, after forks";
}

TEST(Gang, IdleWorkersUseNoTime) {
  Pool pool(3);
  Relay relay;
  ASSERT_TRUE(relay.runOn(pool, 3, 2));
  std::this_thread::sleep_for(std::chrono::milliseconds(50)); // workers spin for a moment, then sleep
  auto used = [] {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  };
  double before = used();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(used() - before, 0.01);
}

TEST(Gang, FloatEnvironmentIsSetAndRestored) {
  unsigned saved = _mm_getcsr();
  _mm_setcsr(saved | 0x8040); // flush to zero, denormals are zero
  static std::atomic<int> wrong;
  wrong = 0;
  Pool pool(2);
  Gang gang(pool, 2);
  ASSERT_EQ(gang.size(), 2);
  gang.run([](void *, int) { wrong += (_mm_getcsr() & 0xffc0) != 0x1f80; }, nullptr);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(_mm_getcsr() & 0x8040, 0x8040u);
  _mm_setcsr(saved);
}

TEST(Gang, CoresRespectAffinity) {
  cpu_set_t saved, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof saved, &saved), 0);
  CPU_ZERO(&one);
  for (int k = 0; k < CPU_SETSIZE; ++k)
    if (CPU_ISSET(k, &saved)) {
      CPU_SET(k, &one);
      break;
    }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(countUsableCores(), 1);
  sched_setaffinity(0, sizeof saved, &saved);
  EXPECT_GE(countUsableCores(), 1);
}
