// Worker threads, barriers, futexes.
#include "runtime/core/gang.h"
#include <ctime>
#include <linux/futex.h>
#include <new>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace onager::rt {

namespace {

/// Time a waiting thread spins before it sleeps; waking a sleeper costs tens of microseconds.
constexpr int64_t kSpinInRun = 50'000, kSpinIdle = 300'000; // nanoseconds

std::atomic<uint32_t> forkCount{0};

int64_t nowNanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

} // namespace

double ticksPerSecond() {
#if defined(__x86_64__)
  static const double rate = [] {
    int64_t start = nowNanoseconds(), end = start;
    uint64_t first = __builtin_ia32_rdtsc();
    while (end - start < 5'000'000)
      end = nowNanoseconds();
    return static_cast<double>(__builtin_ia32_rdtsc() - first) / static_cast<double>(end - start) * 1e9;
  }();
  return rate;
#else
  return 1e9;
#endif
}

void Event::wait(uint32_t seen, int64_t spinNanoseconds) {
  int64_t end = 0;
  for (int k = 0; get() == seen; ++k) {
    pause();
    if (k % 64 != 63)
      continue;
    int64_t now = nowNanoseconds();
    if (end == 0)
      end = now + spinNanoseconds;
    if (now < end)
      continue;
    // Sequentially consistent: either the waker sees the sleeper, or the kernel sees the new value.
    sleepers.fetch_add(1);
    while (word.load() == seen)
      syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    sleepers.fetch_sub(1);
  }
}

void Event::advance() {
  word.fetch_add(1);
  if (sleepers.load() > 0)
    syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

void Barrier::wait(void (*atMeeting)(void *), void *argument) {
  uint32_t seen = generation.get();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == expected) {
    arrived.store(0, std::memory_order_relaxed);
    atMeeting(argument);
    generation.advance();
    return;
  }
  generation.wait(seen, kSpinInRun);
}

Gang::~Gang() { stop(); }

Gang::Gang(int threads) : threads(threads) {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forkCount.fetch_add(1); });
  (void)registered;
}

bool Gang::tryTake() {
  uint64_t mine = uint64_t(2) * forkCount.load() + 1, seen = owner.load();
  return seen != mine && owner.compare_exchange_strong(seen, mine, std::memory_order_acquire);
}

void Gang::release() { owner.store(uint64_t(2) * forkCount.load(), std::memory_order_release); }

bool Gang::start() {
  if (started == threads - 1 && forks == forkCount.load())
    return true;
  if (forks != forkCount.load())
    started = 0;
  forks = forkCount.load();
  if (!workers)
    workers.reset(new (std::nothrow) Worker[static_cast<size_t>(threads - 1)]);
  if (!workers)
    return false;
  for (; started < threads - 1; ++started) {
    Worker &worker = workers[static_cast<size_t>(started)];
    worker.gang = this;
    worker.thread = started + 1;
    worker.seen = ticket.get();
    if (pthread_create(&worker.handle, nullptr, enter, &worker))
      return false;
  }
  return true;
}

void Gang::stop() {
  if (!started || forks != forkCount.load())
    return;
  stopping.store(true);
  ticket.advance();
  for (int k = 0; k < started; ++k)
    pthread_join(workers[static_cast<size_t>(k)].handle, nullptr);
}

void *Gang::enter(void *worker) {
  auto *self = static_cast<Worker *>(worker);
  self->gang->work(self->thread, self->seen);
  return nullptr;
}

void Gang::work(int thread, uint32_t seen) {
  for (;;) {
    ticket.wait(seen, kSpinIdle);
    seen = ticket.get();
    if (stopping.load())
      return;
    if (thread < count) {
      FloatEnvironment environment;
      share(argument, thread);
    }
    running.fetch_sub(1, std::memory_order_acq_rel);
  }
}

void Gang::run(Share newShare, void *newArgument, int newCount) {
  FloatEnvironment environment;
  if (newCount <= 1) {
    newShare(newArgument, 0);
    release();
    return;
  }
  share = newShare;
  argument = newArgument;
  count = newCount;
  running.store(started, std::memory_order_relaxed);
  ticket.advance();
  newShare(newArgument, 0);
  // All shares end with a barrier's distance of each other; the rest is the workers' way out.
  while (running.load(std::memory_order_acquire) > 0)
    pause();
  release();
}

FloatEnvironment::FloatEnvironment() {
#if defined(__x86_64__)
  saved = _mm_getcsr();
  _mm_setcsr(0x1f80);
#else
  saved = 0;
#endif
}

FloatEnvironment::~FloatEnvironment() {
#if defined(__x86_64__)
  _mm_setcsr(saved);
#endif
}

} // namespace onager::rt
