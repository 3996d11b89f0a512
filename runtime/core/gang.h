// The threads of sessions: gangs that enter compiled code together and meet in barriers.
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

/// A thread of a pool. It serves one gang at a time.
struct alignas(64) Worker {
  Event ticket;                   ///< advances with each share that the worker gets
  Event done;                     ///< and with each that it has finished
  std::atomic<uint64_t> owner{0}; ///< the count of forks when it was taken or released last, times two; plus one while taken
  const std::atomic<bool> *stopping = nullptr;
  void (*share)(void *argument, int thread) = nullptr;
  void *argument = nullptr;
  int thread = 0;           ///< number inside the gang
  Worker *next = nullptr;   ///< of the same gang
  uint32_t started = 0;     ///< one more than the count of forks when its thread was started, which does not survive one; 0: never
  uint32_t seen = 0;        ///< the ticket before its thread's first share
  uint32_t doneBefore = 0;  ///< `done` before the present share
  pthread_t handle{};
};

/// `threads - 1` workers, from which runs take their gangs. Workers start when they are first taken and sleep when idle.
class Pool {
public:
  explicit Pool(int threads);
  /// REQUIRES: no gang has workers of the pool.
  ~Pool();
  /// The most threads a run can have: the workers and its caller.
  int size() const { return count + 1; }

private:
  friend class Gang;
  std::unique_ptr<Worker[]> workers;
  int count; ///< of workers
  std::atomic<bool> stopping{false};
};

/// The threads of one run: its caller, who is thread 0, and workers that were free. Gangs of one pool are disjoint and run at the same time.
class Gang {
public:
  using Share = void (*)(void *argument, int thread);

  /// Takes up to `wanted - 1` free workers, and starts those that have no thread yet. What a fork left taken is free in the child.
  Gang(Pool &pool, int wanted);
  Gang(const Gang &) = delete;
  ~Gang();
  int size() const { return threads; }
  /// True where a thread could not be started.
  bool lacksThreads() const { return isLacking; }
  /// Runs share(argument, t) for t in [0, size()) at the same time and returns when all are done.
  void run(Share share, void *argument);

private:
  Worker *first = nullptr;
  int threads = 1;
  bool isLacking = false;
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
