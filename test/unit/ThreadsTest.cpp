// Same bits: for one artifact the result depends on the inputs alone, not on threads, the place in the batch or other callers.
#include "test/unit/Support.h"
#include <cstring>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace onager::test;

namespace {
struct Network {
  const char *name;
  std::string text;
  std::vector<int64_t> input, output; ///< with -1 for the batch
};

std::string randomWeights(const std::string &name, std::vector<int64_t> dims) {
  std::mt19937_64 generator(7);
  Tensor tensor(dims);
  tensor.fill(generator);
  std::string text = "float[";
  for (size_t k = 0; k < dims.size(); ++k)
    text += (k ? "," : "") + std::to_string(dims[k]);
  text += "] " + name + " = {";
  for (size_t k = 0; k < tensor.data.size(); ++k)
    text += (k ? "," : "") + std::to_string(tensor.data[k]);
  return text + "}";
}

const std::vector<Network> &getNetworks() {
  static const std::vector<Network> networks = {
      {"mlp", makeModel("(float[N,96] x) => (float[N,70] y) <" + randomWeights("w", {96, 200}) + ", " + randomWeights("v", {200, 70}) + ">",
                        "a = MatMul(x, w)\nb = Gelu(a)\nc = MatMul(b, v)\ny = Softmax<axis=-1>(c)"),
       {-1, 96}, {-1, 70}},
      {"convolution", makeModel("(float[N,3,33,31] x) => (float[N,20,17,16] y) <" + randomWeights("w", {20, 3, 3, 3}) + ">",
                                "a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w)\ny = Relu(a)"),
       {-1, 3, 33, 31}, {-1, 20, 17, 16}},
      {"attention", makeModel("(float[N,40,32] x) => (float[N,40,32] y) <" + randomWeights("w", {32, 32}) + ">",
                              "q = MatMul(x, w)\nt = Transpose<perm=[0,2,1]>(x)\ns = MatMul(q, t)\np = Softmax<axis=-1>(s)\ny = MatMul(p, x)"),
       {-1, 40, 32}, {-1, 40, 32}},
      {"reductions", makeModel("(float[N,50,60] x) => (float[N,50,1] y) <int64[1] axes = {2}>", "a = Tanh(x)\nb = ReduceSum<keepdims=1>(a, axes)\nc = Abs(b)\ny = Sqrt(c)"),
       {-1, 50, 60}, {-1, 50, 1}},
  };
  return networks;
}

std::vector<int64_t> withBatch(std::vector<int64_t> dims, int64_t batch) {
  dims[0] = batch;
  return dims;
}

class SameBits : public testing::TestWithParam<size_t> {
protected:
  const std::string &getPath() {
    static std::vector<std::string> paths(getNetworks().size());
    std::string &path = paths[GetParam()];
    if (path.empty())
      path = compileModel(getNetworks()[GetParam()].text);
    return path;
  }
  std::vector<float> run(Opened &opened, Tensor &x, int64_t batch) {
    Tensor y(withBatch(getNetworks()[GetParam()].output, batch), -7);
    EXPECT_EQ(opened.run({x.view()}, {y.view()}), ONAGER_OK) << onager_last_error();
    return y.data;
  }
  Tensor makeInput(int64_t batch) {
    auto generator = makeGenerator();
    Tensor x(withBatch(getNetworks()[GetParam()].input, batch));
    x.fill(generator);
    return x;
  }
};
} // namespace

static bool equalBits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_P(SameBits, OverThreads) {
  Tensor x = makeInput(8);
  Opened one(getPath(), 1);
  std::vector<float> expected = run(one, x, 8);
  for (int threads : {2, 3}) {
    Opened opened(getPath(), threads);
    for (int k = 0; k < 5; ++k)
      EXPECT_TRUE(equalBits(run(opened, x, 8), expected)) << threads << " threads";
  }
}

TEST_P(SameBits, OverThePlaceInTheBatch) {
  Tensor x = makeInput(8);
  Opened opened(getPath(), 2);
  std::vector<float> all = run(opened, x, 8);
  size_t in = x.data.size() / 8, out = all.size() / 8;
  for (size_t k = 0; k < 8; ++k) {
    Tensor row(withBatch(getNetworks()[GetParam()].input, 1));
    std::copy_n(x.data.begin() + static_cast<ptrdiff_t>(k * in), in, row.data.begin());
    std::vector<float> expected(all.begin() + static_cast<ptrdiff_t>(k * out), all.begin() + static_cast<ptrdiff_t>((k + 1) * out));
    EXPECT_TRUE(equalBits(run(opened, row, 1), expected)) << "row " << k;
  }
}

TEST_P(SameBits, OverEightCallersOnTwoThreads) {
  Tensor x = makeInput(8);
  Opened opened(getPath(), 2);
  std::vector<float> expected = run(opened, x, 8);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int k = 0; k < 8; ++k)
    callers.emplace_back([&] {
      onager_context *context = nullptr;
      wrong += onager_context_create(opened.session, &context) != ONAGER_OK;
      for (int turn = 0; turn < 10; ++turn) {
        Tensor y(withBatch(getNetworks()[GetParam()].output, 8));
        onager_tensor input = x.view(), output = y.view();
        wrong += onager_context_run(context, &input, 1, &output, 1) != ONAGER_OK || !equalBits(y.data, expected);
      }
      onager_context_destroy(context);
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(SameBits, InAForkedChild) {
  Tensor x = makeInput(8);
  Opened opened(getPath(), 2);
  std::vector<float> expected = run(opened, x, 8);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(equalBits(run(opened, x, 8), expected) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

/// Where no thread can be started, a run goes on with the caller's own.
TEST_P(SameBits, WithoutThreads) {
  if (!canCountAllocations())
    GTEST_SKIP() << "the sanitiser owns thread creation";
  Tensor x = makeInput(8);
  Opened one(getPath(), 1), opened(getPath(), 3);
  std::vector<float> expected = run(one, x, 8);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    failThreadCreation(true);
    bool same = equalBits(run(opened, x, 8), expected);
    failThreadCreation(false);
    _exit(same && equalBits(run(opened, x, 8), expected) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << (WIFSIGNALED(status) ? "killed after 20 s: it hangs" : "other bits");
}

INSTANTIATE_TEST_SUITE_P(Networks, SameBits, testing::Values(0, 1, 2, 3), [](const auto &info) { return std::string(getNetworks()[info.param].name); });

TEST(SameBytes, OfTwoCompilations) {
  for (const Network &network : getNetworks()) {
    std::string first = readFile(compileModel(network.text)), second = readFile(compileModel(network.text));
    EXPECT_TRUE(first == second) << network.name;
  }
}

TEST(SameBytes, OfConcurrentCompilations) {
  std::string expected = readFile(compileModel(getNetworks()[0].text));
  std::vector<std::string> found(3);
  std::vector<std::thread> compilers;
  for (size_t k = 0; k < found.size(); ++k)
    compilers.emplace_back([&, k] {
      onager::CompileOptions options;
      options.bytes = getNetworks()[0].text;
      options.output = getFolder() + "/concurrent" + std::to_string(k) + ".so";
      onager::CompileResult result = onager::compile(options);
      found[k] = result.status == onager::Status::ok ? readFile(options.output) : result.error;
    });
  for (std::thread &compiler : compilers)
    compiler.join();
  for (const std::string &bytes : found)
    EXPECT_TRUE(bytes == expected);
}
