// Several threads classify flowers with one session: code and weights are shared, each thread has a context, the memory of its runs.
//
// Usage: threads IRIS.so
#include "onager-rt/onager.hpp"
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

static constexpr int kThreads = 4, kRuns = 1000;

/// Makes the first `count` of a few different flowers.
static std::vector<float> makeFlowers(std::int64_t count) {
  std::vector<float> flowers;
  for (std::int64_t k = 0; k < count; ++k)
    for (float size : {6.9f, 3.2f, 5.7f, 2.3f})
      flowers.push_back(size - 0.25f * static_cast<float>(k));
  return flowers;
}

/// Runs batches of changing size; counts results that differ in a bit from what the same batch gave while nothing else ran.
static void work(const onager::Session &session, const std::vector<std::vector<float>> &expected, std::atomic<int> &wrong) {
  onager::Context context(session);
  for (int run = 0; run < kRuns; ++run) {
    const std::vector<float> &same = expected[static_cast<std::size_t>(run) % expected.size()];
    auto count = static_cast<std::int64_t>(same.size() / 3);
    std::vector<float> flowers = makeFlowers(count);
    onager::Outputs outputs = context.run({onager::Tensor(flowers.data(), {count, 4})});
    wrong += !std::equal(same.begin(), same.end(), outputs[0].data<float>());
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: threads IRIS.so\n");
    return 2;
  }
  try {
    onager::Session session(argv[1]);
    std::vector<std::vector<float>> expected;
    onager::Context alone(session);
    for (std::int64_t count = 1; count <= 8; ++count) {
      std::vector<float> flowers = makeFlowers(count), &result = expected.emplace_back(3 * count);
      alone.run({onager::Tensor(flowers.data(), {count, 4})}, {onager::Tensor(result.data(), {count, 3})});
    }
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int k = 0; k < kThreads; ++k)
      threads.emplace_back([&] { work(session, expected, wrong); });
    for (std::thread &thread : threads)
      thread.join();
    std::printf("%d threads, %d runs each: %d results with other bits\n", kThreads, kRuns, wrong.load());
    return wrong.load() ? 1 : 0;
  } catch (const onager::Error &error) {
    std::fprintf(stderr, "threads: %s\n", error.what());
    return 1;
  }
}
