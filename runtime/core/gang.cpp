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

/// What `Worker::owner` holds while a gang of this process, not of one it was forked from, has the worker.
static uint64_t getTakenMark() { return uint64_t(2) * forkCount.load() + 1; }

static bool tryTake(Worker &worker) {
  uint64_t mine = getTakenMark(), seen = worker.owner.load();
  return seen != mine && worker.owner.compare_exchange_strong(seen, mine, std::memory_order_acquire);
}

static void release(Worker &worker) { worker.owner.store(getTakenMark() - 1, std::memory_order_release); }

static void *work(void *argument) {
  auto &worker = *static_cast<Worker *>(argument);
  for (uint32_t seen = worker.seen;;) {
    worker.ticket.wait(seen, kSpinIdle);
    seen = worker.ticket.get();
    if (worker.stopping->load())
      return nullptr;
    {
      FloatEnvironment environment;
      worker.share(worker.argument, worker.thread);
    }
    worker.done.advance();
  }
}

/// Starts the worker's thread where this process has none for it. REQUIRES: the caller has taken it.
static bool start(Worker &worker) {
  uint32_t mark = forkCount.load() + 1;
  if (worker.started == mark)
    return true;
  worker.seen = worker.ticket.get();
  if (pthread_create(&worker.handle, nullptr, work, &worker))
    return false;
  worker.started = mark;
  return true;
}

Pool::Pool(int threads) : workers(threads > 1 ? new (std::nothrow) Worker[static_cast<size_t>(threads - 1)] : nullptr), count(workers ? threads - 1 : 0) {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forkCount.fetch_add(1); });
  (void)registered;
  for (int k = 0; k < count; ++k)
    workers[static_cast<size_t>(k)].stopping = &stopping;
}

Pool::~Pool() {
  stopping.store(true);
  for (int k = 0; k < count; ++k) {
    Worker &worker = workers[static_cast<size_t>(k)];
    if (worker.started != forkCount.load() + 1)
      continue;
    worker.ticket.advance();
    pthread_join(worker.handle, nullptr);
  }
}

Gang::Gang(Pool &pool, int wanted) {
  Worker **last = &first;
  for (int k = 0; k < pool.count && threads < wanted; ++k) {
    Worker &worker = pool.workers[static_cast<size_t>(k)];
    if (!tryTake(worker))
      continue;
    if (!start(worker)) {
      release(worker);
      isLacking = true;
      return;
    }
    worker.thread = threads++;
    worker.next = nullptr;
    *last = &worker;
    last = &worker.next;
  }
}

Gang::~Gang() {
  for (Worker *worker = first; worker;) {
    Worker *next = worker->next; // not ours any more once it is released
    release(*worker);
    worker = next;
  }
}

void Gang::run(Share share, void *argument) {
  FloatEnvironment environment;
  for (Worker *worker = first; worker; worker = worker->next) {
    worker->share = share;
    worker->argument = argument;
    worker->doneBefore = worker->done.get();
    worker->ticket.advance();
  }
  share(argument, 0);
  // All shares end within a barrier's distance of each other; the rest is the workers' way out.
  for (Worker *worker = first; worker; worker = worker->next)
    worker->done.wait(worker->doneBefore, kSpinInRun);
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
