// The threads of a session: a gang that enters compiled code together and meets in barriers.
#ifndef ONAGER_RUNTIME_CORE_GANG_H
#define ONAGER_RUNTIME_CORE_GANG_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>

namespace onager::rt {

/// Cores that this process may use: its affinity mask, cut by the cgroup's quota.
int countUsableCores();

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
  void wait();

private:
  std::atomic<int> arrived{0};
  Event generation;
  int expected = 1;
};

/// A pool of `threads - 1` workers; the caller of run is thread 0. Workers start at the first run and sleep when idle.
class Gang {
public:
  using Share = void (*)(void *argument, int thread);

  explicit Gang(int threads) : threads(threads) {}
  ~Gang();
  int size() const { return threads; }
  /// Takes the gang where it is free; a taken gang is released by run.
  bool tryTake();
  /// Runs share(argument, t) for t in [0, count) at the same time and returns when all are done. REQUIRES: tryTake returned true.
  void run(Share share, void *argument, int count);

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

  int threads;
  std::unique_ptr<Worker[]> workers;
  int started = 0;
  uint32_t forks = 0; ///< count of forks when the workers were started: they do not survive one
  std::atomic<bool> taken{false};
  std::atomic<bool> stopping{false};
  Event ticket;                     ///< advances with each run
  std::atomic<int> running{0};      ///< workers still inside the run
  Share share = nullptr;
  void *argument = nullptr;
  int count = 0;
};

/// Sets the floating-point environment that compiled code expects (round to nearest, no traps, denormals kept) and restores it at its end.
class FloatEnvironment {
public:
  FloatEnvironment();
  ~FloatEnvironment();

private:
  unsigned saved;
};

} // namespace onager::rt

#endif
