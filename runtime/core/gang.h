// The threads of a session: a gang that enters compiled code together and meets in barriers.
#ifndef ONAGER_RUNTIME_CORE_GANG_H
#define ONAGER_RUNTIME_CORE_GANG_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <string>

namespace onager::rt {

/// Cores that this process may use: its affinity mask, cut by the quotas of its cgroup and of those above it.
int countUsableCores();
/// The least quota of the groups that a file like /proc/self/cgroup names, in whole cores; 0 without one. `root` is where groups are mounted.
int readQuota(const char *groups, const std::string &root);

/// Ticks per second of the counter that compiled code stamps launches with; measured once, in a few milliseconds.
double ticksPerSecond();

/// A counter that threads wait on: they spin for a limited time, then sleep.
class Event {
public:
  uint32_t get() const { return word.load(std::memory_order_acquire); }
  /// Waits until the counter differs from `seen`.
  void wait(uint32_t seen, int64_t spinNanoseconds);
  /// Advances the counter and wakes sleepers, with a system call only where there are any.
  void advance();

private:
  std::atomic<uint32_t> word{0};
  std::atomic<int> sleepers{0};
};

/// Threads meet here: a counter and a generation that the last one advances.
class Barrier {
public:
  void reset(int count) { expected = count; }
  void wait() { wait([](void *) {}, nullptr); }
  /// The same; the last thread to arrive calls `atMeeting(argument)` while the others still wait.
  void wait(void (*atMeeting)(void *argument), void *argument);

private:
  std::atomic<int> arrived{0};
  Event generation;
  int expected = 1;
};

/// A pool of `threads - 1` workers; the caller of run is thread 0. Workers start at the first run and sleep when idle.
class Gang {
public:
  using Share = void (*)(void *argument, int thread);

  explicit Gang(int threads);
  ~Gang();
  int size() const { return threads; }
  /// Takes the gang where it is free; a taken gang is released by run. What a fork left taken is free in the child.
  bool tryTake();
  /// Runs share(argument, t) for t in [0, count) at the same time and returns when all are done. REQUIRES: prepare returned `count`.
  void run(Share share, void *argument, int count);
  /// Starts the workers where they are not yet; returns how many threads a run may then have: `count`, or 1 where threads cannot be had.
  /// REQUIRES: tryTake returned true.
  int prepare(int count) { return count > 1 && start() ? count : 1; }

private:
  struct Worker {
    Gang *gang = nullptr;
    int thread = 0;
    uint32_t seen = 0; ///< the ticket before its first run
    pthread_t handle{};
  };
  static void *enter(void *worker);
  void work(int thread, uint32_t seen);
  bool start();
  void stop();
  void release();

  int threads;
  std::unique_ptr<Worker[]> workers;
  int started = 0;
  uint32_t forks = 0; ///< count of forks when the workers were started: they do not survive one
  std::atomic<uint64_t> owner{0}; ///< the count of forks when it was taken or released last, times two; plus one while taken
  std::atomic<bool> stopping{false};
  Event ticket;                     ///< advances with each run
  std::atomic<int> running{0};      ///< workers still inside the run
  Share share = nullptr;
  void *argument = nullptr;
  int count = 0;
};

/// Sets the floating-point environment that compiled code expects (round to nearest, no traps, denormals kept) and restores what was, status
/// flags included, at its end.
class FloatEnvironment {
public:
  FloatEnvironment();
  ~FloatEnvironment();

private:
  unsigned saved;
};

} // namespace onager::rt

#endif
