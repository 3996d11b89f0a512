// Sessions and the cache of variants: what is loaded and told, shapes that take turns, code of compilers that nothing is known of.
#include "runtime/cache/variantcache.h"
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/identity.h"
#include "test/unit/SpecialSession.h"
#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

namespace fs = std::filesystem;
using namespace onager::test;
using onager::rt::VariantCache;

namespace {

/// A folder for variants, empty.
std::string makeCacheFolder(const std::string &name) {
  std::string folder = getFolder() + "/" + name;
  fs::remove_all(folder);
  return folder;
}

std::vector<VariantCache::Listed> list(const std::string &folder) {
  VariantCache cache;
  EXPECT_TRUE(bool(cache.open(folder, VariantCache::kDefaultBytes, /*write=*/false)));
  return cache.list(false);
}

onager_recompilation makeCached(onager_recompile mode, const std::string &folder) {
  onager_recompilation settings = makeSettings(mode);
  settings.cache = folder.c_str();
  return settings;
}

void setAge(const std::string &path, int64_t seconds) {
  timespec times[2] = {{time(nullptr) - seconds, 0}, {time(nullptr) - seconds, 0}};
  EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0) << path;
}

} // namespace

TEST(RecompileCache, TheCacheLiesWhereItIsAskedFor) {
  std::string folder = getFolder() + "/variants";
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.cache = folder.c_str();
  std::string path = compileScale(7);
  {
    Special special(path, settings);
    ASSERT_EQ(special.warmUp(4), ONAGER_OK) << onager_last_error();
  }
  Special again(path, settings);
  EXPECT_EQ(again.events.lines, std::vector<std::string>{"loaded n=4"});
  EXPECT_EQ(again.run(4), 7);
  EXPECT_EQ(again.stats().hits, 1u);
  std::filesystem::remove_all(folder);
}

TEST(RecompileCache, ASlowVariantLeavesTheSessionAndTheCache) {
  // Without weights: a variant would look for them in the session's model.
  std::string slow = compileModel(makeModel("(float[n,4] x) => (float[n,4] y)", "axis = Constant<value_ints = [2]>()\nshape = Constant<value_ints = [1, 1, 65536]>()\n"
                                            "column = Unsqueeze(x, axis)\nmany = Expand(column, shape)\nmean = ReduceMean(many, axis)\nz = Squeeze(mean, axis)\ny = Add(z, x)"));
  std::string compiler = writeCompiler(makeVariant(slow, "n=4", "slow.so")), folder = getFolder() + "/slow";
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_EAGER);
  settings.compiler = compiler.c_str();
  settings.cache = folder.c_str();
  std::string path = compileScale(2);
  auto countEntries = [&] {
    long count = 0;
    for (const auto &entry : std::filesystem::recursive_directory_iterator(folder))
      count += entry.path().extension() == ".variant";
    return count;
  };
  {
    Special special(path, settings);
    EXPECT_EQ(special.run(4), 2);
    ASSERT_TRUE(waitFor([&] { return special.stats().compiled == 1; })) << "eager: the first run is enough";
    EXPECT_EQ(countEntries(), 1);
    for (int k = 0; k < 40; ++k)
      EXPECT_EQ(special.run(4), 2);
    EXPECT_EQ(special.stats().variants, 0u);
    EXPECT_TRUE(waitFor([&] { return countEntries() == 0; }));
    EXPECT_EQ(special.events.read(), (std::vector<std::string>{"compiled n=4", "evicted n=4: it was slower than the generic form"}));
    EXPECT_EQ(special.events.threads.count(std::this_thread::get_id()), 0u) << "a run calls nobody";
    EXPECT_EQ(special.stats().compiled, 1u) << "it is not made again";
  }
  EXPECT_TRUE(Special(path, settings).events.lines.empty()) << "the next session starts without it";
}

TEST(RecompileCache, WhatAnotherSessionMadeMeanwhileIsLoaded) {
  std::string folder = makeCacheFolder("meanwhile"), path = compileScale(7);
  onager_recompilation settings = makeCached(ONAGER_RECOMPILE_LAZY, folder);
  Special first(path, settings), second(path, settings);
  ASSERT_EQ(first.warmUp(4), ONAGER_OK) << onager_last_error();
  ASSERT_EQ(second.warmUp(4), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(first.events.read(), std::vector<std::string>{"compiled n=4"});
  EXPECT_EQ(second.events.read(), std::vector<std::string>{"loaded n=4"});
  EXPECT_EQ(second.stats().compiled, 0u);
  EXPECT_EQ(second.stats().loaded, 1u);
}

TEST(RecompileCache, TheLastUsedAreLoadedAndNoOthersTouched) {
  std::string folder = makeCacheFolder("many"), path = compileScale(7);
  onager_recompilation settings = makeCached(ONAGER_RECOMPILE_LAZY, folder);
  {
    Special first(path, settings);
    for (int64_t n = 1; n <= 5; ++n)
      ASSERT_EQ(first.warmUp(n), ONAGER_OK) << onager_last_error();
  }
  for (const VariantCache::Listed &listed : list(folder)) {
    std::string guard = onager::rt::readGuardLine(listed.preimage);
    setAge(listed.path, 1000 - 100 * (guard.back() - '0'));
  }
  settings.max_variants = 2;
  Special again(path, settings);
  EXPECT_EQ(again.events.read(), (std::vector<std::string>{"loaded n=5", "loaded n=4"}));
  for (const VariantCache::Listed &listed : list(folder)) {
    bool isLoaded = onager::rt::readGuardLine(listed.preimage).back() >= '4';
    EXPECT_EQ(listed.age < 100, isLoaded) << listed.preimage;
  }
}

TEST(RecompileCache, ShapesThatTakeTurnsComeBackEverMoreSeldom) {
  constexpr int64_t kShapes = 13, kRounds = 20000;
  std::string folder = makeCacheFolder("turns");
  onager_recompilation settings = makeCached(ONAGER_RECOMPILE_EAGER, folder);
  settings.library = "";
  Special special(compileScale(3), settings);
  for (int64_t n = 1; n <= kShapes; ++n)
    ASSERT_EQ(special.warmUp(n), ONAGER_OK) << onager_last_error();
  for (int64_t round = 0; round < kRounds; ++round)
    for (int64_t n = 1; n <= kShapes; ++n)
      special.run(n);
  onager_stats stats = special.stats();
  // Beyond the first time a shape returns after 16 runs at the earliest, after 32, 64, ...
  EXPECT_LE(stats.evicted, uint64_t(kShapes * 12)) << stats.loaded;
  // A variant that a busy machine let look slow is gone for good, and nothing need be wanted in its place.
  auto countSlow = [&] {
    std::vector<std::string> events = special.events.read();
    return uint64_t(std::count_if(events.begin(), events.end(), [](const std::string &event) { return event.find("slower than the generic form") != std::string::npos; }));
  };
  EXPECT_TRUE(waitFor([&] { return special.stats().variants + countSlow() >= 8; })) << special.stats().variants << " variants, " << countSlow() << " were slow";
  EXPECT_LE(special.stats().variants, 8u);
  EXPECT_GT(stats.hits, stats.misses);
  std::lock_guard<std::mutex> guard(special.events.lock);
  ASSERT_EQ(special.warnings.size(), 1u);
  EXPECT_NE(special.warnings[0].find("no more than 8 variants of 268435456 bytes"), std::string::npos) << special.warnings[0];
  EXPECT_NE(special.warnings[0].find("n="), std::string::npos) << special.warnings[0];
}

TEST(RecompileCache, ALibraryThatIsFoundByItsNameIsPartOfTheKey) {
  std::string folder = makeCacheFolder("named"), libraries = getFolder() + "/libraries-of-variants", path = compileScale(3);
  fs::create_directories(libraries);
  fs::create_symlink(fs::canonical(onager::rt::findCompilerLibrary("")), libraries + "/libanother-specialize.so.0");
  onager_recompilation settings = makeCached(ONAGER_RECOMPILE_LAZY, folder);
  settings.library = "libanother-specialize.so.0";
  setenv("LD_LIBRARY_PATH", libraries.c_str(), 1);
  {
    Special special(path, settings);
    EXPECT_EQ(special.warmUp(5), ONAGER_OK) << onager_last_error();
  }
  unsetenv("LD_LIBRARY_PATH");
  std::vector<VariantCache::Listed> entries = list(folder);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].preimage.find("compiler=\n"), std::string::npos) << entries[0].preimage;
  EXPECT_NE(entries[0].preimage.find(",libLLVM"), std::string::npos) << entries[0].preimage;
}
