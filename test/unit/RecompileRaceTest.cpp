// A session whose threads run, ask for variants, read statistics, freeze and close it at the same time. Uses the compiler as a program alone, so that it can be built with
// ThreadSanitizer, without LLVM.
#include "onager-rt/api.h"
#include "runtime/cache/variantcache.h"
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/identity.h"
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;
using onager::rt::VariantCache;

namespace {

constexpr int64_t kShapes = 6; ///< that variants can be made for, by extents from 1 on

void write(const std::string &path, const std::string &text) { std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size())); }

/// The bytes of an input, on which nothing but shapes decides.
onager_tensor makeInput(int64_t *dims, float *data, uint64_t bytes) { return {sizeof(onager_tensor), ONAGER_F32, 2, 0, data, dims, bytes}; }

onager_session *openSession(const std::string &path, onager_recompilation settings, onager_session *shared = nullptr) {
  settings.size = sizeof settings;
  onager_options options{};
  options.size = sizeof options;
  options.threads = 1;
  options.recompilation = &settings;
  onager_session *session = nullptr;
  onager_status status = shared ? onager_session_share(shared, &options, &session) : onager_session_open(path.c_str(), &options, &session);
  EXPECT_EQ(status, ONAGER_OK) << onager_last_error();
  return session;
}

onager_stats readStats(const onager_session *session) {
  onager_stats stats{};
  stats.size = sizeof stats;
  EXPECT_EQ(onager_session_stats(session, &stats), ONAGER_OK);
  return stats;
}

onager_status warmUp(onager_session *session, int64_t n, bool wait) {
  int64_t dims[2] = {n, 4};
  onager_tensor input = makeInput(dims, nullptr, 0);
  return onager_session_warm_up(session, &input, 1, wait);
}

/// Artifacts, their variants, and a program that hands these out as a compiler does.
class RecompileRace : public testing::Test {
protected:
  void SetUp() override {
    compiler = onager::rt::findCompiler(nullptr);
    if (compiler.empty())
      GTEST_SKIP() << "there is no compiler";
    folder = (fs::temp_directory_path() / "onager-race-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(folder.data()));
    artifact = compile("model", "f = Constant<value_float = 2.0>()\ny = Mul(x, f)");
    prepare(artifact, 1, kShapes);
    // Without weights: a variant would look for them in the session's model.
    std::string slow = compile("slow", "axis = Constant<value_ints = [2]>()\nshape = Constant<value_ints = [1, 1, 16384]>()\ncolumn = Unsqueeze(x, axis)\n"
                                       "many = Expand(column, shape)\nmean = ReduceMean(many, axis)\nz = Squeeze(mean, axis)\ny = Add(z, x)");
    prepare(slow, kShapes, kShapes);
    copier = folder + "/copier";
    write(copier, "#!/bin/sh\nexec cp \"" + folder + "/$3.so\" \"$5\"\n");
    chmod(copier.c_str(), 0755);
  }
  void TearDown() override {
    if (!folder.empty())
      fs::remove_all(folder);
  }

  std::string compile(const std::string &name, const std::string &nodes) {
    std::string path = folder + "/" + name;
    write(path + ".onnx", "<ir_version: 10, opset_import: [\"\" : 21]>\nmodel (float[n,4] x) => (float[n,4] y) {\n" + nodes + "\n}\n");
    EXPECT_EQ(std::system(("'" + compiler + "' compile '" + path + ".onnx' -o '" + path + "'").c_str()), 0);
    return path;
  }

  /// Keeps the variants of an artifact for some extents in files that are named by their guards.
  void prepare(const std::string &path, int64_t first, int64_t last) {
    std::string place = path + "-variants", code;
    onager_recompilation settings{};
    settings.mode = ONAGER_RECOMPILE_LAZY;
    settings.compiler = compiler.c_str();
    settings.cache = place.c_str();
    onager_session *session = openSession(path, settings);
    for (int64_t n = first; n <= last; ++n)
      EXPECT_EQ(warmUp(session, n, /*wait=*/true), ONAGER_OK) << onager_last_error();
    onager_session_close(session);
    VariantCache cache;
    EXPECT_TRUE(bool(cache.open(place, VariantCache::kDefaultBytes)));
    for (const VariantCache::Listed &listed : cache.list(false)) {
      EXPECT_TRUE(cache.find(listed.group, listed.preimage, code));
      write(folder + "/" + onager::rt::readGuardLine(listed.preimage) + ".so", code);
    }
  }

  onager_recompilation makeSettings(onager_recompile mode, int32_t most = 3) {
    onager_recompilation settings{};
    settings.mode = mode;
    settings.max_variants = most;
    settings.compiler = copier.c_str();
    settings.cache = "";
    settings.event = [](void *user, const onager_event *event) {
      auto &self = *static_cast<RecompileRace *>(user);
      std::lock_guard<std::mutex> guard(self.lock);
      ++self.events[event->kind];
    };
    settings.event_user = this;
    return settings;
  }

  /// Runs on all shapes by turns, also one that has no variant; each shape several times in a row, so that variants are judged.
  void runUntil(onager_session *session, const std::atomic<bool> &isDone) {
    onager_context *context = nullptr;
    EXPECT_EQ(onager_context_create(session, &context), ONAGER_OK);
    float x[4 * (kShapes + 1)], y[4 * (kShapes + 1)];
    std::fill(std::begin(x), std::end(x), 3.0f);
    for (int64_t k = 0; !isDone.load(); ++k) {
      int64_t dims[2] = {1 + k / 32 % (kShapes + 1), 4};
      uint64_t bytes = static_cast<uint64_t>(dims[0]) * 16;
      onager_tensor input = makeInput(dims, x, bytes), output{sizeof output, 0, 0, 0, y, nullptr, bytes};
      EXPECT_EQ(onager_context_run(context, &input, 1, &output, 1), ONAGER_OK) << onager_last_error();
      EXPECT_EQ(y[dims[0] * 4 - 1], 6);
      ++runs;
    }
    onager_context_destroy(context);
  }

  std::string compiler, folder, artifact, copier;
  std::atomic<uint64_t> runs{0};
  std::mutex lock;
  int events[5] = {};
};

} // namespace

TEST_F(RecompileRace, RunsRequestsAndStatisticsUntilItIsFrozen) {
  onager_session *session = openSession(artifact, makeSettings(ONAGER_RECOMPILE_EAGER));
  std::atomic<bool> isDone{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] { runUntil(session, isDone); });
  for (bool wait : {true, false})
    threads.emplace_back([&, wait] {
      for (int64_t k = 0; !isDone.load(); ++k) {
        warmUp(session, 1 + k % (kShapes + 2), wait);
        usleep(1000);
      }
    });
  threads.emplace_back([&] {
    while (!isDone.load())
      EXPECT_LE(readStats(session).variants, 3u);
  });
  sleep(2);
  EXPECT_EQ(onager_session_freeze(session), ONAGER_OK);
  onager_stats frozen = readStats(session);
  usleep(300000);
  isDone.store(true);
  for (std::thread &thread : threads)
    thread.join();
  onager_stats last = readStats(session);
  EXPECT_EQ(last.variants, frozen.variants);
  EXPECT_EQ(last.variant_bytes, frozen.variant_bytes);
  EXPECT_EQ(last.hits + last.misses, runs.load());
  EXPECT_GT(last.compiled, 3u);
  EXPECT_GT(last.failed, 0u) << "the program has nothing for some shapes";
  onager_session_close(session);
  EXPECT_EQ(events[ONAGER_EVENT_COMPILED], static_cast<int>(last.compiled));
  EXPECT_EQ(events[ONAGER_EVENT_EVICTED], static_cast<int>(last.evicted));
}

TEST_F(RecompileRace, SessionsOnOneModelFreezeAndCloseOnTheirOwn) {
  onager_session *first = openSession(artifact, makeSettings(ONAGER_RECOMPILE_EAGER));
  std::atomic<bool> isDone{false};
  std::thread runner([&] { runUntil(first, isDone); });
  std::vector<std::thread> others;
  for (int t = 0; t < 2; ++t)
    others.emplace_back([&, t] {
      for (int round = 0; round < 12; ++round) {
        onager_session *session = openSession(artifact, makeSettings(round % 2 ? ONAGER_RECOMPILE_EAGER : ONAGER_RECOMPILE_LAZY, 2), first);
        std::atomic<bool> isOver{false};
        std::thread inner([&] { runUntil(session, isOver); });
        warmUp(session, 1 + (round + t) % kShapes, /*wait=*/round % 3 == 0);
        std::thread freezer([&] { EXPECT_EQ(onager_session_freeze(session), ONAGER_OK); });
        EXPECT_EQ(onager_session_freeze(session), ONAGER_OK);
        uint64_t variants = readStats(session).variants;
        usleep(20000);
        EXPECT_EQ(readStats(session).variants, variants);
        isOver.store(true);
        inner.join(), freezer.join();
        onager_session_close(session);
      }
    });
  for (std::thread &thread : others)
    thread.join();
  isDone.store(true);
  runner.join();
  EXPECT_GT(readStats(first).hits + readStats(first).misses, 0u);
  onager_session_close(first);
}
