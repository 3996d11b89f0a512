// Sessions that have variants made, through the C++ wrapper: budgets, disks that take nothing, the place of the compiler among the machine's work, pinned contexts.
#include "onager-rt/onager.hpp"
#include "test/unit/Support.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <mutex>
#include <sched.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;
using onager::test::compileModel;
using onager::test::getFolder;
using onager::test::makeModel;

namespace {

/// A session over y = 3 x of [n, 4] with the lines of its log.
class Scale {
public:
  explicit Scale(onager_recompilation settings) : session(openModel(settings)), context(session) {}

  void warmUp(int64_t n, bool wait = true) { session.warmUp({onager::Tensor(ONAGER_F32, nullptr, {n, 4})}, wait); }
  /// What warming up is refused for; "" where it is not.
  std::string refuseWarmUp(int64_t n) {
    try {
      warmUp(n);
    } catch (const onager::Error &error) {
      return error.what();
    }
    return "";
  }
  bool runs(int64_t n) { return runs(context, n); }
  static bool runs(onager::Context &context, int64_t n) {
    std::vector<float> x(static_cast<size_t>(n) * 4, 2);
    onager::Outputs outputs = context.run({onager::Tensor(x.data(), {n, 4})});
    return outputs[0].dims() == std::vector<int64_t>{n, 4} && outputs[0].data<float>()[n * 4 - 1] == 6;
  }
  /// True where a line of the log has the text.
  bool logged(const std::string &text) {
    std::lock_guard<std::mutex> guard(lock);
    return std::any_of(lines.begin(), lines.end(), [&](const std::string &line) { return line.find(text) != std::string::npos; });
  }

private:
  onager::Session openModel(onager_recompilation settings) {
    static const std::string path = compileModel(makeModel("(float[n,4] x) => (float[n,4] y)", "f = Constant<value_float = 3.0>()\ny = Mul(x, f)"));
    settings.size = sizeof settings;
    onager_options options{};
    options.size = sizeof options;
    options.threads = 1;
    options.recompilation = &settings;
    options.log = [](void *user, int32_t, const char *line) {
      auto &self = *static_cast<Scale *>(user);
      std::lock_guard<std::mutex> guard(self.lock);
      self.lines.emplace_back(line);
    };
    options.log_user = this;
    return onager::Session(path, options);
  }
  std::mutex lock;
  std::vector<std::string> lines;

public:
  onager::Session session;
  onager::Context context;
};

onager_recompilation makeSettings(onager_recompile mode, const char *cache = "") {
  onager_recompilation settings{};
  settings.mode = mode;
  settings.cache = cache;
  return settings;
}

std::string writeScript(const std::string &text) {
  std::string path = getFolder() + "/compiler-of-" + testing::UnitTest::GetInstance()->current_test_info()->name();
  onager::test::writeFile(path, "#!/bin/sh\n" + text + "\n");
  chmod(path.c_str(), 0755);
  return path;
}

/// The compiler that lies beside this program.
std::string getCompiler() { return fs::read_symlink("/proc/self/exe").parent_path() / "onager"; }

/// Runs `body` in a forked child that has mounts of its own, and a disk of some size in `folder`; skips the test where that is not allowed.
void runWithDisk(const std::string &folder, const std::string &size, bool (*body)(const std::string &folder)) {
  fs::create_directories(folder);
  pid_t child = fork();
  if (child == 0) {
    alarm(120);
    if (unshare(CLONE_NEWNS) || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) || mount("none", folder.c_str(), "tmpfs", 0, ("mode=700,size=" + size).c_str()))
      _exit(2);
    _exit(body(folder) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
    GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

/// Variants of a session whose cache is of no use all run, as does the rest.
bool worksWithout(Scale &scale) {
  for (int64_t n : {4, 5})
    if (!scale.refuseWarmUp(n).empty() || !scale.runs(n))
      return false;
  onager_stats stats = scale.session.stats();
  return stats.compiled == 2 && stats.hits == 2 && stats.failed == 0 && scale.runs(6);
}

} // namespace

TEST(RecompileLimits, CompilationsTakeOnlySoLong) {
  std::string calls = getFolder() + "/calls", compiler = writeScript("echo call >> " + calls + "\nexec sleep 60");
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.max_seconds = 0.5;
  settings.compiler = compiler.c_str();
  Scale scale(settings);
  EXPECT_NE(scale.refuseWarmUp(1).find("it took more than 0.5"), std::string::npos) << onager_last_error();
  EXPECT_NE(scale.refuseWarmUp(2).find("compilations have taken "), std::string::npos) << onager_last_error();
  EXPECT_EQ(onager::test::readFile(calls), "call\n");
  EXPECT_TRUE(scale.runs(1) && scale.runs(2));
  EXPECT_EQ(scale.session.stats().failed, 2u);
}

TEST(RecompileLimits, VariantsTakeOnlySoManyBytesTogether) {
  Scale first(makeSettings(ONAGER_RECOMPILE_LAZY));
  first.warmUp(1);
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.max_bytes = first.session.stats().variant_bytes * 5 / 2;
  Scale scale(settings);
  for (int64_t n : {1, 2, 3, 4}) {
    scale.warmUp(n);
    EXPECT_TRUE(scale.runs(n));
    EXPECT_LE(scale.session.stats().variant_bytes, settings.max_bytes);
  }
  onager_stats stats = scale.session.stats();
  EXPECT_EQ(stats.variants, 2u);
  EXPECT_EQ(stats.evicted, 2u);
  EXPECT_EQ(stats.hits, 4u);
  EXPECT_TRUE(scale.logged("gave up the variant for n=1: it was run least"));
  for (int64_t n : {1, 2, 3, 4})
    EXPECT_TRUE(scale.runs(n));
}

TEST(RecompileLimits, ACacheBelowAFileIsGoneWithoutAndSaid) {
  std::string file = getFolder() + "/no-folder";
  onager::test::writeFile(file, "x");
  Scale scale(makeSettings(ONAGER_RECOMPILE_LAZY, (file + "/variants").c_str()));
  EXPECT_TRUE(worksWithout(scale));
  EXPECT_TRUE(scale.logged("/no-folder/variants cannot be opened: Not a directory: variants last as long as the session"));
}

TEST(RecompileLimits, AFullDiskIsGoneWithoutAndSaid) {
  runWithDisk(getFolder() + "/full", "64k", [](const std::string &folder) {
    std::ofstream(folder + "/filler") << std::string(60000, 'x');
    Scale scale(makeSettings(ONAGER_RECOMPILE_LAZY, folder.c_str()));
    return worksWithout(scale) && scale.logged("the cache keeps no variant: ") && scale.logged("No space left");
  });
}

TEST(RecompileLimits, AReadOnlyDiskGivesWhatItHas) {
  runWithDisk(getFolder() + "/read-only", "4m", [](const std::string &folder) {
    {
      Scale scale(makeSettings(ONAGER_RECOMPILE_LAZY, folder.c_str()));
      scale.warmUp(3);
    }
    if (mount(nullptr, folder.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr))
      _exit(2);
    Scale scale(makeSettings(ONAGER_RECOMPILE_LAZY, folder.c_str()));
    return scale.session.stats().loaded == 1 && worksWithout(scale) && scale.runs(3) && scale.session.stats().hits == 3;
  });
}

TEST(RecompileLimits, BackgroundCompilationsStayOutOfTheWay) {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  if (CPU_COUNT(&all) < 2)
    GTEST_SKIP() << "one core";
  int core = 0;
  while (!CPU_ISSET(core, &all))
    ++core;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  std::string notes = getFolder() + "/notes";
  // The compiler sets its priority and cores itself: they are looked at until both are there.
  std::string compiler = writeScript(getCompiler() + R"( "$@" & child=$!
for k in $(seq 2000); do
  nice=$(cut -d' ' -f19 /proc/$child/stat) cores=$(sed -n 's/Cpus_allowed_list:\t//p' /proc/$child/status)
  [ "$nice" = 19 ] && [ "$cores" != ")" + std::to_string(core) + R"(" ] && break
  sleep 0.002
done
echo "$nice $cores $@" > )" + notes + "\nwait $child");
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_EAGER);
  settings.compiler = compiler.c_str();
  std::thread([&] {
    sched_setaffinity(0, sizeof one, &one);
    Scale scale(settings);
    EXPECT_TRUE(scale.runs(5));
    for (int k = 0; k < 10000 && !scale.session.stats().compiled; ++k)
      usleep(2000);
    EXPECT_TRUE(scale.runs(5));
    EXPECT_EQ(scale.session.stats().hits, 1u);
  }).join();
  std::istringstream found(onager::test::readFile(notes));
  std::string nice, cores, arguments;
  found >> nice >> cores;
  std::getline(found, arguments);
  EXPECT_EQ(nice, "19");
  EXPECT_EQ(("," + cores + ",").find("," + std::to_string(core) + ","), std::string::npos) << cores;
  EXPECT_NE(arguments.find("--background --avoid-cores " + std::to_string(core)), std::string::npos) << arguments;
}

TEST(RecompileLimits, PinnedContextsKeepToTheirVariants) {
  Scale scale(makeSettings(ONAGER_RECOMPILE_LAZY));
  onager::Context pinned(scale.session);
  pinned.pin(true);
  scale.warmUp(4);
  onager::Context like(scale.session), free(scale.session);
  like.pinLike(pinned);
  EXPECT_TRUE(Scale::runs(pinned, 4) && Scale::runs(like, 4));
  EXPECT_EQ(scale.session.stats().hits, 0u) << "the variant is newer than the pin";
  EXPECT_TRUE(Scale::runs(free, 4));
  EXPECT_EQ(scale.session.stats().hits, 1u);
  pinned.pin(false);
  EXPECT_TRUE(Scale::runs(pinned, 4) && Scale::runs(like, 4));
  EXPECT_EQ(scale.session.stats().hits, 2u) << "one that was like another is pinned by itself";
  EXPECT_THROW(like.pinLike(pinned), onager::Error);
  EXPECT_NE(std::string(onager_last_error()).find("not pinned"), std::string::npos);
}

TEST(RecompileLimits, SessionsFreezeAndExport) {
  Scale scale(makeSettings(ONAGER_RECOMPILE_LAZY));
  scale.warmUp(4);
  scale.session.freeze();
  EXPECT_NE(scale.refuseWarmUp(5).find("off or frozen"), std::string::npos);
  EXPECT_EQ(scale.session.stats().mode, ONAGER_RECOMPILE_FROZEN);
  std::string path = getFolder() + "/frozen.so";
  scale.session.exportTo(path);
  onager::Session exported(path);
  onager::Context context(exported);
  EXPECT_TRUE(Scale::runs(context, 4));
  EXPECT_EQ(exported.stats().hits, 1u);
  EXPECT_THROW(scale.session.exportTo(getFolder() + "/no/such/folder.so"), onager::Error);
}
