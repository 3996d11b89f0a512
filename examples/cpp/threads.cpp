// Several threads classify flowers with one session: code and weights are shared, each thread has a context, the memory of its runs.
//
// Usage: threads IRIS.so
#include "onager-rt/onager.hpp"
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

static constexpr int kThreads = 4, kRuns = 1000;

/// Runs batches of changing size; counts results that differ from `expected`, the bits of a flower classified alone.
static void work(const onager::Session &session, const std::vector<float> &flower, const std::vector<float> &expected, std::atomic<int> &wrong) {
  onager::Context context(session);
  std::vector<float> batch;
  for (int run = 0; run < kRuns; ++run) {
    std::int64_t count = 1 + run % 8;
    batch.clear();
    for (std::int64_t k = 0; k < count; ++k)
      batch.insert(batch.end(), flower.begin(), flower.end());
    onager::Outputs outputs = context.run({onager::Tensor(batch.data(), {count, 4})});
    const float *row = outputs[0].data<float>() + 3 * (count - 1);
    if (!std::equal(expected.begin(), expected.end(), row))
      ++wrong;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: threads IRIS.so\n");
    return 2;
  }
  try {
    onager::Session session(argv[1]);
    std::vector<float> flower{6.9f, 3.2f, 5.7f, 2.3f}, expected(3);
    onager::Context(session).run({onager::Tensor(flower.data(), {1, 4})}, {onager::Tensor(expected.data(), {1, 3})});
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int k = 0; k < kThreads; ++k)
      threads.emplace_back([&] { work(session, flower, expected, wrong); });
    for (std::thread &thread : threads)
      thread.join();
    std::printf("%d threads, %d runs each: %d results with other bits\n", kThreads, kRuns, wrong.load());
    return wrong.load() ? 1 : 0;
  } catch (const onager::Error &error) {
    std::fprintf(stderr, "threads: %s\n", error.what());
    return 1;
  }
}
