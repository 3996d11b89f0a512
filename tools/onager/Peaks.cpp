// Two loops: multiply-adds that never leave the registers, and sums over more memory than caches hold.
#include "Peaks.h"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace onager::cli {

static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Multiply-adds on a dozen accumulators, enough to hide their latency; returns something that depends on all.
template <typename Vector>
[[gnu::always_inline]] static inline float multiplyAdd(int64_t rounds) {
  constexpr int kAccumulators = 12;
  Vector accumulators[kAccumulators] = {}, factor = {}, term = {};
  factor += 0.5f;
  term += static_cast<float>(rounds);
  for (int64_t round = 0; round < rounds; ++round)
    for (int k = 0; k < kAccumulators; ++k)
      accumulators[k] = accumulators[k] * factor + term;
  Vector sum = {};
  for (const Vector &accumulator : accumulators)
    sum += accumulator;
  return sum[0];
}
static constexpr int kOperationsPerLane = 2 * 12;

namespace {
typedef float Narrow __attribute__((vector_size(16)));
typedef float Wide __attribute__((vector_size(32)));
typedef float Widest __attribute__((vector_size(64)));

struct Kernel {
  float (*run)(int64_t rounds);
  double operations; ///< of one round
};
} // namespace

static float runNarrow(int64_t rounds) { return multiplyAdd<Narrow>(rounds); }
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] static float runWide(int64_t rounds) { return multiplyAdd<Wide>(rounds); }
[[gnu::target("avx512f")]] static float runWidest(int64_t rounds) { return multiplyAdd<Widest>(rounds); }
#endif

static Kernel chooseKernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return {runWidest, 16.0 * kOperationsPerLane};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {runWide, 8.0 * kOperationsPerLane};
#endif
  return {runNarrow, 4.0 * kOperationsPerLane};
}

/// Runs work(thread) on each thread at once, several times; returns the seconds of the fastest.
template <typename Work>
static double timeThreads(int threads, int turns, Work work) {
  double best = 1e30;
  for (int turn = 0; turn < turns; ++turn) {
    std::vector<double> begins(static_cast<size_t>(threads)), ends(begins);
    std::vector<std::thread> others;
    auto run = [&](int thread) {
      auto index = static_cast<size_t>(thread);
      begins[index] = now();
      work(thread);
      ends[index] = now();
    };
    for (int thread = 1; thread < threads; ++thread)
      others.emplace_back(run, thread);
    run(0);
    for (std::thread &other : others)
      other.join();
    best = std::min(best, *std::max_element(ends.begin(), ends.end()) - *std::min_element(begins.begin(), begins.end()));
  }
  return best;
}

Peaks measurePeaks(int threads) {
  constexpr int64_t kRounds = 2'000'000;
  constexpr size_t kNumbers = size_t(16) << 20; // of 8 bytes: 128 MiB
  Kernel kernel = chooseKernel();
  volatile float keptFloat = 0;
  double seconds = timeThreads(threads, 3, [&](int) { keptFloat = kernel.run(kRounds); });
  double flops = kernel.operations * static_cast<double>(kRounds) * threads / seconds;
  std::vector<uint64_t> numbers(kNumbers, 1);
  volatile uint64_t keptSum = 0;
  auto sumShare = [&](int thread) {
    size_t begin = kNumbers * static_cast<size_t>(thread) / static_cast<size_t>(threads), end = kNumbers * static_cast<size_t>(thread + 1) / static_cast<size_t>(threads);
    uint64_t sum = 0;
    for (size_t k = begin; k < end; ++k)
      sum += numbers[k];
    keptSum = sum;
  };
  seconds = timeThreads(threads, 3, sumShare);
  return {flops, static_cast<double>(kNumbers * sizeof(uint64_t)) / seconds};
}

} // namespace onager::cli
