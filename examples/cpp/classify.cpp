// Classifies iris flowers from C++: outputs of the context, then outputs in memory of our own, then an error as an exception.
//
// Usage: classify_cpp IRIS.so
#include "onager-rt/onager.hpp"
#include <algorithm>
#include <cstdio>

static const char *const kNames[] = {"setosa", "versicolor", "virginica"};

/// Prints a line for each flower of a [flowers, 3] tensor.
static void print(const onager::Tensor &probabilities) {
  const float *row = probabilities.data<float>();
  for (std::int64_t flower = 0; flower < probabilities.dims()[0]; ++flower, row += 3) {
    const float *best = std::max_element(row, row + 3);
    std::printf("flower %d: %s (%.3f)\n", static_cast<int>(flower), kNames[best - row], *best);
  }
}

static void classify(const char *path) {
  std::vector<float> flowers{5.1f, 3.5f, 1.4f, 0.2f, 5.0f, 2.0f, 3.5f, 1.0f, 6.9f, 3.2f, 5.7f, 2.3f};
  onager::Session session(path);
  onager::Context context(session);

  std::printf("one flower\n");
  print(context.run({onager::Tensor(flowers.data(), {1, 4})})[0]);

  std::printf("three flowers, into our own memory\n");
  std::vector<float> results(9);
  onager::Tensor output(results.data(), {3, 3});
  context.run({onager::Tensor(flowers.data(), {3, 4})}, {output});
  print(output);

  std::vector<double> wrong(4);
  try {
    context.run({onager::Tensor(wrong.data(), {1, 4})});
  } catch (const onager::Error &error) {
    std::printf("a wrong type: status %d, %s\n", error.status(), error.what());
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: classify_cpp IRIS.so\n");
    return 2;
  }
  try {
    classify(argv[1]);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "classify_cpp: %s\n", error.what());
    return 1;
  }
  return 0;
}
