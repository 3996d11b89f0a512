// What an application can bring of its own: memory, threads, a log; and what it can ask for: to stop, to share, to know beforehand.
#include "runtime/core/gang.h"
#include "test/unit/Support.h"
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <xmmintrin.h>

using namespace onager::test;

namespace {

onager_options makeOptions(int threads = 1) {
  onager_options options{};
  options.size = sizeof options;
  options.threads = threads;
  return options;
}

/// A session and a context under options of the test.
struct Embedded {
  Embedded(const std::string &path, const onager_options &options) {
    EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_OK) << onager_last_error();
    EXPECT_EQ(onager_context_create(session, &context), ONAGER_OK) << onager_last_error();
  }
  Embedded(const Embedded &) = delete;
  ~Embedded() {
    onager_context_destroy(context);
    onager_session_close(session);
  }
  onager_status run(std::vector<onager_tensor> inputs, std::vector<onager_tensor> outputs) {
    return onager_context_run(context, inputs.data(), inputs.size(), outputs.data(), outputs.size());
  }
  onager_session *session = nullptr;
  onager_context *context = nullptr;
};

/// Enough work for several threads, an intermediate tensor, and a sort that takes scratch memory.
const std::string &getWorkload() {
  static const std::string path = compileModel(makeModel("(float[N,300] x) => (float[N,4] best, int64[N,4] places) <int64[1] k = {4}>",
                                                         "a = Tanh(x)\nb = Softmax<axis=-1>(a)\nbest, places = TopK<axis=-1>(b, k)"));
  return path;
}

/// x after `trips` steps; endless for the greatest number of them.
const std::string &getLoop() {
  static const std::string path = compileModel(
      makeModel("(int64 trips, float[N,64] x) => (float[N,64] y)",
                "keep = Constant<value = bool {1}>()\n"
                "y = Loop<body = step (int64 i, bool go, float[N,64] s) => (bool again, float[N,64] t) { again = Identity(go) t = Tanh(s) }>(trips, keep, x)"));
  return path;
}

struct Result {
  Tensor best, places;
  Result(int64_t rows) : best({rows, 4}), places({rows, 8}) {}
  onager_tensor viewPlaces() {
    onager_tensor view = places.view();
    view.dtype = ONAGER_I64;
    return view;
  }
};

/// The workload's best values on one thread of a session of its own.
std::vector<float> runPlainly(Tensor &x) {
  Opened opened(getWorkload());
  Result result(x.dims[0]);
  EXPECT_EQ(opened.run({x.view()}, {result.best.view(), result.viewPlaces()}), ONAGER_OK) << onager_last_error();
  return result.best.data;
}

/// Counts what it hands out, and fails when told to.
struct CountingAllocator {
  std::mutex lock;
  std::set<void *> live;
  size_t calls = 0;
  bool fails = false;
  bool wasWrong = false;

  onager_allocator table() {
    auto allocate = [](void *user, size_t bytes, size_t alignment) -> void * {
      auto &self = *static_cast<CountingAllocator *>(user);
      std::lock_guard<std::mutex> guard(self.lock);
      void *memory = self.fails ? nullptr : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
      ++self.calls;
      if (memory)
        self.live.insert(memory);
      return memory;
    };
    auto release = [](void *user, void *memory, size_t, size_t) {
      auto &self = *static_cast<CountingAllocator *>(user);
      std::lock_guard<std::mutex> guard(self.lock);
      self.wasWrong |= !self.live.erase(memory);
      std::free(memory);
    };
    return {sizeof(onager_allocator), 0, this, allocate, release};
  }
};

} // namespace

TEST(Embedding, CallersAllocatorGivesAllMemoryOfRuns) {
  CountingAllocator counting;
  onager_allocator table = counting.table();
  onager_options options = makeOptions(2);
  options.allocator = &table;
  auto generator = makeGenerator();
  Tensor x({50, 300});
  x.fill(generator);
  {
    Embedded embedded(getWorkload(), options);
    onager_tensor outputs[2] = {{}, {}}, input = x.view();
    outputs[0].size = outputs[1].size = sizeof(onager_tensor);
    ASSERT_EQ(onager_context_run(embedded.context, &input, 1, outputs, 2), ONAGER_OK) << onager_last_error();
    EXPECT_TRUE(counting.live.count(outputs[0].data));
    EXPECT_EQ(std::memcmp(outputs[0].data, runPlainly(x).data(), 50 * 4 * sizeof(float)), 0);
    size_t before = counting.calls;
    EXPECT_GE(before, 4u) << "arena, two outputs, scratch";
    counting.fails = true;
    EXPECT_NE(onager_context_run(embedded.context, &input, 1, outputs, 2), ONAGER_OK) << "scratch for the sort";
    Tensor more({500, 300});
    input = more.view();
    outputs[0].data = outputs[1].data = nullptr;
    EXPECT_EQ(onager_context_run(embedded.context, &input, 1, outputs, 2), ONAGER_OUT_OF_MEMORY);
    counting.fails = false;
    EXPECT_EQ(onager_context_run(embedded.context, &input, 1, outputs, 2), ONAGER_OK) << onager_last_error();
  }
  EXPECT_TRUE(counting.live.empty());
  EXPECT_FALSE(counting.wasWrong);
}

TEST(Embedding, SerialExecutorRunsOnOneThread) {
  onager_executor serial{sizeof(onager_executor), 0, nullptr, [](void *, int32_t count, void (*share)(void *, int32_t), void *argument) {
                           for (int32_t k = 0; k < count; ++k)
                             share(argument, k);
                         }};
  onager_options options = makeOptions(4);
  options.executor = &serial;
  Embedded embedded(getWorkload(), options);
  EXPECT_EQ(onager_session_threads(embedded.session), 1);
  auto generator = makeGenerator();
  Tensor x({50, 300});
  x.fill(generator);
  Result result(50);
  ASSERT_EQ(embedded.run({x.view()}, {result.best.view(), result.viewPlaces()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(result.best.data, runPlainly(x));
}

TEST(Embedding, ConcurrentExecutorRunsAllShares) {
  static std::atomic<int> shares;
  shares = 0;
  onager_executor concurrent{sizeof(onager_executor), 1, nullptr, [](void *, int32_t count, void (*share)(void *, int32_t), void *argument) {
                               std::vector<std::thread> threads;
                               for (int32_t k = 0; k < count; ++k)
                                 threads.emplace_back([=] {
                                   ++shares;
                                   share(argument, k);
                                 });
                               for (std::thread &thread : threads)
                                 thread.join();
                             }};
  onager_options options = makeOptions(3);
  options.executor = &concurrent;
  Embedded embedded(getWorkload(), options);
  EXPECT_EQ(onager_session_threads(embedded.session), 3);
  auto generator = makeGenerator();
  Tensor x({400, 300});
  x.fill(generator);
  Result result(400);
  ASSERT_EQ(embedded.run({x.view()}, {result.best.view(), result.viewPlaces()}), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(shares, 3);
  EXPECT_EQ(result.best.data, runPlainly(x));
}

TEST(Embedding, EightCallersAndTwoSessionsOnAPoolOfTwo) {
  onager_pool *pool = nullptr;
  ASSERT_EQ(onager_pool_create(2, &pool), ONAGER_OK);
  onager_options options = makeOptions(0);
  options.pool = pool;
  onager_session *first = nullptr, *second = nullptr;
  ASSERT_EQ(onager_session_open(getWorkload().c_str(), &options, &first), ONAGER_OK) << onager_last_error();
  ASSERT_EQ(onager_session_share(first, &options, &second), ONAGER_OK) << onager_last_error();
  onager_pool_release(pool);
  EXPECT_EQ(onager_session_threads(second), 2);
  auto generator = makeGenerator();
  Tensor x({400, 300});
  x.fill(generator);
  std::vector<float> expected = runPlainly(x);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int k = 0; k < 8; ++k)
    callers.emplace_back([&, k] {
      onager_context *context = nullptr;
      onager_context_create(k % 2 ? first : second, &context);
      for (int turn = 0; turn < 10; ++turn) {
        Result result(400);
        onager_tensor input = x.view(), outputs[] = {result.best.view(), result.viewPlaces()};
        wrong += onager_context_run(context, &input, 1, outputs, 2) != ONAGER_OK || result.best.data != expected;
      }
      onager_context_destroy(context);
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(wrong, 0);
  onager_session_close(first);
  Result result(400);
  onager_context *context = nullptr;
  ASSERT_EQ(onager_context_create(second, &context), ONAGER_OK);
  onager_tensor input = x.view(), outputs[] = {result.best.view(), result.viewPlaces()};
  EXPECT_EQ(onager_context_run(context, &input, 1, outputs, 2), ONAGER_OK) << "code and weights outlive the first session";
  EXPECT_EQ(result.best.data, expected);
  onager_context_destroy(context);
  onager_session_close(second);
}

TEST(Embedding, RefusesOptionsThatDoNotFit) {
  onager_session *session = nullptr;
  onager_executor executor{sizeof executor, 1, nullptr, nullptr};
  onager_allocator allocator{sizeof allocator, 0, nullptr, nullptr, nullptr};
  onager_pool *pool = nullptr;
  ASSERT_EQ(onager_pool_create(1, &pool), ONAGER_OK);
  onager_options options = makeOptions();
  options.executor = &executor;
  EXPECT_EQ(onager_session_open(getWorkload().c_str(), &options, &session), ONAGER_BAD_ARGUMENT);
  options.pool = pool;
  EXPECT_EQ(onager_session_open(getWorkload().c_str(), &options, &session), ONAGER_BAD_ARGUMENT);
  EXPECT_NE(std::string(onager_last_error()).find("expected one of them"), std::string::npos);
  options = makeOptions();
  options.allocator = &allocator;
  EXPECT_EQ(onager_session_open(getWorkload().c_str(), &options, &session), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(session, nullptr);
  EXPECT_EQ(onager_pool_create(-1, &pool), ONAGER_BAD_ARGUMENT);
  onager_pool_release(pool);
}

TEST(Embedding, OptionsOfAnOlderCallerAreRead) {
  struct {
    uint32_t size;
    int32_t threads;
  } old{8, 3};
  onager_session *session = nullptr;
  ASSERT_EQ(onager_session_open(getWorkload().c_str(), reinterpret_cast<onager_options *>(&old), &session), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(onager_session_threads(session), 3);
  onager_session_close(session);
}

class Ending : public testing::TestWithParam<int> {
protected:
  /// Runs the loop that many times round.
  onager_status loop(int64_t trips) {
    onager_tensor number{sizeof(onager_tensor), ONAGER_I64, 0, 0, &trips, nullptr, sizeof trips};
    return embedded.run({number, x.view()}, {y.view()});
  }
  Embedded embedded{getLoop(), makeOptions(GetParam())};
  Tensor x{{64, 64}, 0.5f}, y{{64, 64}};
};

TEST_P(Ending, CancelEndsARunFromAnotherThread) {
  std::atomic<bool> isDone{false};
  std::thread canceller([&] {
    // Again and again: a single call could come before the run begins.
    while (!isDone) {
      onager_context_cancel(embedded.context);
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(loop(INT64_MAX), ONAGER_CANCELLED);
  isDone = true;
  canceller.join();
  loop(1); // takes a cancellation that came after the run
  EXPECT_EQ(loop(3), ONAGER_OK) << onager_last_error();
}

TEST_P(Ending, CancelBeforeARunEndsThatRunAlone) {
  onager_context_cancel(embedded.context);
  EXPECT_EQ(loop(3), ONAGER_CANCELLED);
  EXPECT_NE(std::string(onager_last_error()).find("cancelled"), std::string::npos);
  EXPECT_EQ(loop(3), ONAGER_OK) << onager_last_error();
}

TEST_P(Ending, DeadlineEndsARun) {
  ASSERT_EQ(onager_context_set_deadline(embedded.context, 0.02), ONAGER_OK);
  EXPECT_EQ(loop(INT64_MAX), ONAGER_TOO_LATE);
  EXPECT_NE(std::string(onager_last_error()).find("0.02"), std::string::npos);
  ASSERT_EQ(onager_context_set_deadline(embedded.context, 0), ONAGER_OK);
  EXPECT_EQ(loop(3), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(onager_context_set_deadline(embedded.context, -1), ONAGER_BAD_ARGUMENT);
}

INSTANTIATE_TEST_SUITE_P(Threads, Ending, testing::Values(1, 2, 3));

TEST(Embedding, MemoryIsKnownBeforehand) {
  Embedded embedded(getWorkload(), makeOptions(2));
  uint64_t small = 0, large = 0;
  int64_t dims[] = {10, 300};
  onager_tensor input{sizeof(onager_tensor), ONAGER_F32, 2, 0, nullptr, dims, 0};
  ASSERT_EQ(onager_context_query_memory(embedded.context, &input, 1, &small), ONAGER_OK) << onager_last_error();
  dims[0] = 1000;
  ASSERT_EQ(onager_context_query_memory(embedded.context, &input, 1, &large), ONAGER_OK) << onager_last_error();
  EXPECT_GT(large, small);
  EXPECT_EQ(onager_context_memory(embedded.context), 0u) << "asking takes no memory";
  Tensor x({1000, 300});
  onager_tensor outputs[2] = {{}, {}};
  outputs[0].size = outputs[1].size = sizeof(onager_tensor);
  input = x.view();
  ASSERT_EQ(onager_context_run(embedded.context, &input, 1, outputs, 2), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(onager_context_memory(embedded.context), large);
  dims[1] = 299;
  input.dims = dims;
  EXPECT_EQ(onager_context_query_memory(embedded.context, &input, 1, &large), ONAGER_BAD_ARGUMENT);
  EXPECT_NE(std::string(onager_last_error()).find("expected 300, found 299"), std::string::npos);
}

TEST(Embedding, MemoryIsNoMoreThanLimitsAllow) {
  std::string text = makeModel("(float[N,300] x) => (float[N,4] best, int64[N,4] places) <int64[1] k = {4}>", "a = Tanh(x)\nb = Softmax<axis=-1>(a)\nbest, places = TopK<axis=-1>(b, k)");
  auto query = [&text](const std::vector<std::string> &dims) {
    static int count = 0;
    onager::CompileOptions options;
    options.bytes = text;
    options.output = getFolder() + "/limited" + std::to_string(count++) + ".so";
    options.dims = dims;
    onager::CompileResult result = onager::compile(options);
    EXPECT_EQ(result.status, onager::Status::ok) << result.error;
    Embedded embedded(options.output, makeOptions());
    int64_t extents[] = {100, 300};
    onager_tensor input{sizeof(onager_tensor), ONAGER_F32, 2, 0, nullptr, extents, 0};
    uint64_t bytes = 0;
    EXPECT_EQ(onager_context_query_memory(embedded.context, &input, 1, &bytes), ONAGER_OK) << onager_last_error();
    return bytes;
  };
  uint64_t fixed = query({"N=100"}), free = query({});
  EXPECT_GT(free, fixed) << "shapes that are a little larger have room";
  EXPECT_EQ(query({"N=1:100"}), fixed);
  EXPECT_GT(query({"N=1:102"}), fixed);
  EXPECT_LT(query({"N=1:102"}), free);
}

TEST(Embedding, LogTellsWhatWasOpened) {
  std::vector<std::string> lines;
  onager_options options = makeOptions();
  options.log = [](void *user, int32_t level, const char *line) { static_cast<std::vector<std::string> *>(user)->push_back(std::to_string(level) + " " + line); };
  options.log_user = &lines;
  Embedded embedded(getWorkload(), options);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].find("2 opened model 'onager': "), 0u) << lines[0];
  Tensor x({50, 300});
  Result result(50);
  ASSERT_EQ(embedded.run({x.view()}, {result.best.view(), result.viewPlaces()}), ONAGER_OK);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1].find("3 planned "), 0u) << lines[1];
}

TEST(Embedding, FloatStatusFlagsAreLeftAlone) {
  Embedded embedded(getWorkload(), makeOptions());
  unsigned saved = _mm_getcsr();
  _mm_setcsr((saved & ~0x3fu) | 0x8000); // no flag is raised; flush to zero
  unsigned before = _mm_getcsr();
  Tensor x({2, 300}, 0.3f);
  Result result(2);
  EXPECT_EQ(embedded.run({x.view()}, {result.best.view(), result.viewPlaces()}), ONAGER_OK);
  unsigned after = _mm_getcsr();
  _mm_setcsr(saved);
  EXPECT_EQ(after, before);
}

TEST(Embedding, AForkDuringARunLeavesTheChildAPool) {
  onager::rt::Pool pool(2);
  onager::rt::Gang gang(pool, 2);
  ASSERT_EQ(gang.size(), 2);
  static std::atomic<int> visits;
  visits = 0;
  pid_t child = fork(); // in the child nobody is left to give the workers back
  if (child == 0) {
    alarm(20);
    onager::rt::Gang fresh(pool, 2);
    if (fresh.size() == 2)
      fresh.run([](void *, int) { ++visits; }, nullptr);
    _exit(visits == 2 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(onager::rt::Gang(pool, 2).size(), 1) << "the parent still has them";
  gang.run([](void *, int) { ++visits; }, nullptr);
  EXPECT_EQ(visits, 2);
}

TEST(Embedding, CoresRespectTheQuotasAboveAProcess) {
  namespace fs = std::filesystem;
  std::string root = getFolder() + "/cgroup", groups = root + "/groups";
  fs::create_directories(root + "/outer/inner");
  fs::create_directories(root + "/cpu/outer");
  writeFile(groups, "0::/outer/inner\n");
  EXPECT_EQ(onager::rt::readQuota(groups.c_str(), root), 0);
  writeFile(root + "/outer/inner/cpu.max", "max 100000\n");
  EXPECT_EQ(onager::rt::readQuota(groups.c_str(), root), 0);
  writeFile(root + "/outer/cpu.max", "250000 100000\n");
  EXPECT_EQ(onager::rt::readQuota(groups.c_str(), root), 3) << "rounded up";
  writeFile(root + "/cpu.max", "100000 100000\n");
  EXPECT_EQ(onager::rt::readQuota(groups.c_str(), root), 1) << "the root's counts as well";
  writeFile(groups, "4:memory:/outer\n3:cpuacct,cpu:/outer\n");
  writeFile(root + "/cpu/outer/cpu.cfs_quota_us", "400000\n");
  writeFile(root + "/cpu/outer/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(onager::rt::readQuota(groups.c_str(), root), 4);
  writeFile(root + "/cpu/outer/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(onager::rt::readQuota(groups.c_str(), root), 0);
  EXPECT_EQ(onager::rt::readQuota("absent", root), 0);
}

namespace {
/// Makes the allocations behind the first few fail.
struct Scarce {
  int left = 0;
  onager_allocator table() {
    auto allocate = [](void *user, size_t bytes, size_t alignment) -> void * {
      void *memory = nullptr;
      return static_cast<Scarce *>(user)->left-- <= 0 || posix_memalign(&memory, alignment, bytes) ? nullptr : memory;
    };
    return {sizeof(onager_allocator), 0, this, allocate, [](void *, void *memory, size_t, size_t) { free(memory); }};
  }
};
} // namespace

/// Wherever memory runs out, the outputs' descriptors are as they were; those of strings changed before their memory was there.
TEST(Allocator, DescriptorsStayWhereMemoryRunsOut) {
  std::string path = compileModel(makeModel("(string[N] a, float[N] x) => (n, c, s)", "n = Relu(x)\nc = StringConcat(a, a)\ns, l = StringSplit(c)", 22));
  onager_string texts[2] = {{"ab c", 4}, {"d", 1}};
  int64_t dims[] = {2};
  Tensor x({2}, 1);
  onager_status status = ONAGER_OUT_OF_MEMORY;
  int failures = 0;
  for (int allowed = 0; status != ONAGER_OK && allowed < 100; ++allowed) {
    Scarce scarce{allowed};
    onager_allocator table = scarce.table();
    onager_options options{};
    options.size = sizeof options;
    options.threads = 1;
    options.allocator = &table;
    onager_session *session = nullptr;
    onager_context *context = nullptr;
    ASSERT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_OK);
    ASSERT_EQ(onager_context_create(session, &context), ONAGER_OK);
    onager_tensor inputs[] = {{sizeof(onager_tensor), ONAGER_STRING, 1, 0, texts, dims, sizeof texts}, x.view()};
    onager_tensor outputs[3] = {};
    for (onager_tensor &output : outputs)
      output.size = sizeof output;
    status = onager_context_run(context, inputs, 2, outputs, 3);
    for (const onager_tensor &output : outputs)
      EXPECT_EQ(output.dims != nullptr || output.data != nullptr || output.dtype != 0, status == ONAGER_OK) << allowed;
    failures += status == ONAGER_OUT_OF_MEMORY;
    onager_context_destroy(context);
    onager_session_close(session);
  }
  EXPECT_EQ(status, ONAGER_OK);
  EXPECT_GT(failures, 4);
}
