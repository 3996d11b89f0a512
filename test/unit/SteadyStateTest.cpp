// Once shapes have been seen, a run allocates nothing; growing shapes allocate at bucket changes only.
#include "test/unit/Support.h"
#include <gtest/gtest.h>

using namespace onager::test;

namespace {
/// Allocations of one run.
uint64_t countRun(Opened &opened, onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount) {
  uint64_t before = countAllocations();
  onager_status status = onager_context_run(opened.context, inputs, count, outputs, outputCount);
  uint64_t used = countAllocations() - before;
  EXPECT_EQ(status, ONAGER_OK) << onager_last_error();
  return used;
}

class SteadyState : public testing::Test {
protected:
  void SetUp() override {
    if (!canCountAllocations())
      GTEST_SKIP() << "the sanitiser owns the allocator";
  }
};
} // namespace

TEST_F(SteadyState, RepeatedRunsAllocateNothing) {
  std::string path = compileModel(makeModel("(float[batch,64] a_rather_long_input_name) => (float[batch,64] probabilities)",
                                            "t = Transpose(a_rather_long_input_name)\nh = MatMul(a_rather_long_input_name, t)\n"
                                            "g = MatMul(h, a_rather_long_input_name)\nprobabilities = Softmax(g)"));
  for (int threads : {1, 2}) {
    Opened opened(path, threads);
    Tensor x({48, 64}, 1), y({48, 64});
    onager_tensor input = x.view(), output = y.view();
    for (int k = 0; k < 3; ++k)
      countRun(opened, &input, 1, &output, 1);
    for (int k = 0; k < 20; ++k)
      EXPECT_EQ(countRun(opened, &input, 1, &output, 1), 0u) << threads << " threads, run " << k;
  }
}

TEST_F(SteadyState, ContextOwnedOutputsAllocateNothing) {
  std::string path = compileModel(makeModel("(float[n,8] x) => (float[n,8] y)", "y = Relu(x)"));
  Opened opened(path);
  Tensor x({16, 8}, 1);
  for (int k = 0; k < 10; ++k) {
    onager_tensor input = x.view(), output{};
    output.size = sizeof output;
    uint64_t used = countRun(opened, &input, 1, &output, 1);
    if (k >= 2)
      EXPECT_EQ(used, 0u) << k;
  }
}

TEST_F(SteadyState, SmallerShapesReuseMemory) {
  std::string path = compileModel(makeModel("(float[n,8] x) => (float[n,n] y)", "t = Transpose(x)\nh = MatMul(x, t)\ne = Exp(h)\ny = MatMul(e, h)"));
  Opened opened(path);
  Tensor big({100, 8}, 0.1f), bigOut({100, 100});
  onager_tensor input = big.view(), output = bigOut.view();
  countRun(opened, &input, 1, &output, 1);
  uint64_t held = onager_context_memory(opened.context);
  for (int64_t n : {99, 50, 1, 73, 100, 0, 7}) {
    Tensor x({n, 8}, 0.1f), y({n, n});
    input = x.view(), output = y.view();
    EXPECT_EQ(countRun(opened, &input, 1, &output, 1), 0u) << n;
    EXPECT_EQ(onager_context_memory(opened.context), held);
  }
}

/// A decoder's key cache: past + 1 rows at each step.
TEST_F(SteadyState, GrowingPastAllocatesAtBucketsOnly) {
  std::string path = compileModel(makeModel("(float[4,past,16] previous_keys, float[4,1,16] current_query) => (float[4,total,16] present_keys, float[4,1,16] context_vector)",
                                            "present_keys = Concat<axis=1>(previous_keys, current_query)\nt = Transpose<perm=[0,2,1]>(present_keys)\n"
                                            "s = MatMul(current_query, t)\np = Softmax(s)\ncontext_vector = MatMul(p, present_keys)"));
  Opened opened(path, 2);
  std::vector<float> past(4 * 512 * 16, 0.5f), present(4 * 513 * 16);
  Tensor query({4, 1, 16}, 0.25f), result({4, 1, 16});
  int allocating = 0;
  uint64_t total = 0;
  for (int64_t step = 0; step < 512; ++step) {
    int64_t dims[] = {4, step, 16};
    onager_tensor inputs[] = {{sizeof(onager_tensor), ONAGER_F32, 3, 0, past.data(), dims, static_cast<uint64_t>(4 * step * 16 * 4)}, query.view()};
    onager_tensor outputs[] = {{sizeof(onager_tensor), ONAGER_F32, 3, 0, present.data(), nullptr, present.size() * 4}, result.view()};
    uint64_t used = countRun(opened, inputs, 2, outputs, 2);
    allocating += used > 0;
    total += used;
  }
  // 16 single steps, then eight buckets for each power of two up to 512, and the start of the threads.
  EXPECT_LE(allocating, 16 + 8 * 5 + 4) << total << " allocations";
}
