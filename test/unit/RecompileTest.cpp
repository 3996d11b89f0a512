// Sessions that have variants made, through the C API: events, limits, the check of new variants, the cache's folder.
#include "onager/Specialize.h"
#include "runtime/core/model.h"
#include "test/unit/Support.h"
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <mutex>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace onager::test;

namespace {

/// What a session told of its variants.
struct Events {
  std::mutex lock;
  std::vector<std::string> lines;
  static void add(void *user, const onager_event *event) {
    static const char *const kinds[] = {"", "compiled", "loaded", "failed", "evicted"};
    auto &events = *static_cast<Events *>(user);
    std::lock_guard<std::mutex> guard(events.lock);
    events.lines.push_back(std::string(kinds[event->kind]) + " " + event->guard + (*event->message ? std::string(": ") + event->message : ""));
  }
};

/// A session over a model [n, 4] -> [n, 4].
struct Special {
  explicit Special(const std::string &path, onager_recompilation recompilation = {}) {
    recompilation.size = sizeof recompilation;
    recompilation.event = Events::add;
    recompilation.event_user = &events;
    onager_options options{};
    options.size = sizeof options;
    options.threads = 1;
    options.recompilation = &recompilation;
    EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_OK) << onager_last_error();
    EXPECT_EQ(onager_context_create(session, &context), ONAGER_OK);
  }
  Special(const Special &) = delete;
  ~Special() {
    onager_context_destroy(context);
    onager_session_close(session);
  }
  onager_status warmUp(int64_t n, bool wait = true) {
    Tensor x({n, 4});
    onager_tensor input = x.view();
    input.data = nullptr; // nothing decides but shapes
    return onager_session_warm_up(session, &input, 1, wait);
  }
  float run(int64_t n) {
    Tensor x({n, 4}, 1), y({n, 4});
    onager_tensor input = x.view(), output = y.view();
    EXPECT_EQ(onager_context_run(context, &input, 1, &output, 1), ONAGER_OK) << onager_last_error();
    return y.data.empty() ? 0 : y.data.back();
  }
  onager_stats stats() const {
    onager_stats stats{};
    stats.size = sizeof stats;
    EXPECT_EQ(onager_session_stats(session, &stats), ONAGER_OK);
    return stats;
  }
  Events events;
  onager_session *session = nullptr;
  onager_context *context = nullptr;
};

std::string compileScale(float factor) {
  return compileModel(makeModel("(float[n,4] x) => (float[n,4] y)", "f = Constant<value_float = " + std::to_string(factor) + ">()\ny = Mul(x, f)"));
}

onager_recompilation makeSettings(onager_recompile mode) {
  onager_recompilation settings{};
  settings.mode = mode;
  settings.cache = "";
  return settings;
}

/// A program that stands for the compiler: it gives everybody the same variant.
std::string writeCompiler(const std::string &variant) {
  std::string path = getFolder() + "/compiler";
  writeFile(path, "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\nexec cp " + variant + " \"$2\"\n");
  chmod(path.c_str(), 0755);
  return path;
}

/// Makes a variant of an artifact for a guard.
std::string makeVariant(const std::string &artifact, const std::string &guard, const std::string &name) {
  onager::rt::Model model;
  EXPECT_TRUE(bool(model.openFile(artifact.c_str(), nullptr)));
  onager::SpecializeOptions options;
  options.generic = {model.form, model.formBytes};
  options.recipes = {model.recipes, model.recipeBytes};
  options.weights = {model.generic.weights, model.weightRoom()};
  options.guard = guard;
  options.output = getFolder() + "/" + name;
  options.verifyEach = true;
  onager::CompileResult result = onager::specialize(options);
  EXPECT_EQ(result.status, onager::Status::ok) << result.error;
  return options.output;
}

} // namespace

TEST(Recompile, WarmingUpMakesAVariantAndTells) {
  Special special(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  EXPECT_EQ(special.run(5), 2);
  ASSERT_EQ(special.warmUp(5), ONAGER_OK) << onager_last_error();
  ASSERT_EQ(special.warmUp(5), ONAGER_OK) << "it is there";
  EXPECT_EQ(special.events.lines, std::vector<std::string>{"compiled n=5"});
  EXPECT_EQ(special.run(5), 2);
  EXPECT_EQ(special.run(6), 2);
  onager_stats stats = special.stats();
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.compiled, 1u);
  EXPECT_GT(stats.variant_bytes, 0u);
  EXPECT_GT(stats.compile_seconds, 0);
}

TEST(Recompile, WarmingUpNeedNotWait) {
  Special special(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  ASSERT_EQ(special.warmUp(5, /*wait=*/false), ONAGER_OK);
  // The next one waits for its turn behind it.
  ASSERT_EQ(special.warmUp(6), ONAGER_OK);
  EXPECT_EQ(special.run(6), 2);
  EXPECT_EQ(special.stats().hits, 1u);
}

TEST(Recompile, WhatCannotBeWarmedUpIsSaid) {
  Special off(compileScale(2), makeSettings(ONAGER_RECOMPILE_OFF));
  EXPECT_EQ(off.warmUp(5), ONAGER_BAD_ARGUMENT);
  EXPECT_NE(std::string(onager_last_error()).find("recompilation is off"), std::string::npos);
  Special lazy(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  ASSERT_EQ(onager_session_freeze(lazy.session), ONAGER_OK);
  EXPECT_EQ(lazy.warmUp(5), ONAGER_BAD_ARGUMENT);
  EXPECT_EQ(lazy.stats().mode, ONAGER_RECOMPILE_FROZEN);
  Tensor x({5, 3});
  onager_tensor input = x.view();
  EXPECT_EQ(onager_session_warm_up(off.session, &input, 1, 1), ONAGER_BAD_ARGUMENT);
  EXPECT_NE(std::string(onager_last_error()).find("input 'x': dim 1"), std::string::npos) << onager_last_error();
  Special fixed(compileModel(makeModel("(float[5,4] x) => (float[5,4] y)", "y = Relu(x)")), makeSettings(ONAGER_RECOMPILE_OFF));
  EXPECT_EQ(fixed.warmUp(5), ONAGER_OK) << "nothing is to be done";
}

TEST(Recompile, OnlySoManyVariantsAreKept) {
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.max_variants = 2;
  Special special(compileScale(3), settings);
  for (int64_t n : {1, 2, 3}) {
    ASSERT_EQ(special.warmUp(n), ONAGER_OK) << onager_last_error();
    for (int64_t k = 0; k < n; ++k)
      EXPECT_EQ(special.run(n), 3);
  }
  EXPECT_EQ(special.events.lines, (std::vector<std::string>{"compiled n=1", "compiled n=2", "evicted n=1: it was run least", "compiled n=3"}));
  EXPECT_EQ(special.run(1), 3);
  EXPECT_EQ(special.stats().variants, 2u);
}

TEST(Recompile, VariantsMayBeTooLarge) {
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.max_bytes = 1000;
  Special special(compileScale(3), settings);
  EXPECT_NE(special.warmUp(4), ONAGER_OK);
  ASSERT_EQ(special.events.lines.size(), 1u);
  EXPECT_EQ(special.events.lines[0].find("failed n=4: it takes"), 0u) << special.events.lines[0];
  EXPECT_EQ(special.run(4), 3);
}

TEST(Recompile, ACheckedVariantThatAgreesRuns) {
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.check = 1;
  Special special(compileModel(makeModel("(float[n,4] x) => (float[n,4] y)", "t = Transpose(x)\ns = MatMul(x, t)\np = Softmax(s)\ny = MatMul(p, x)")), settings);
  ASSERT_EQ(special.warmUp(7), ONAGER_OK) << onager_last_error();
  EXPECT_FLOAT_EQ(special.run(7), 1);
  EXPECT_EQ(special.stats().hits, 1u);
}

TEST(Recompile, ACheckedVariantThatDiffersDoesNot) {
  std::string compiler = writeCompiler(makeVariant(compileScale(5), "n=4", "wrong.so"));
  for (bool isChecked : {true, false}) {
    onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
    settings.check = isChecked;
    settings.compiler = compiler.c_str();
    Special special(compileScale(2), settings);
    EXPECT_EQ(special.warmUp(4) == ONAGER_OK, !isChecked);
    EXPECT_EQ(special.run(4), isChecked ? 2 : 5) << "without the check it would run";
    ASSERT_EQ(special.events.lines.size(), 1u);
    EXPECT_EQ(special.events.lines[0].find("differs from the generic form: output 'y' by") != std::string::npos, isChecked) << special.events.lines[0];
  }
}

TEST(Recompile, AVariantOfAnotherModelIsRefused) {
  std::string other = compileModel(makeModel("(float[n,4] x) => (float[n,4] z)", "z = Relu(x)"));
  std::string compiler = writeCompiler(makeVariant(other, "n=4", "other.so"));
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.compiler = compiler.c_str();
  Special special(compileScale(2), settings);
  EXPECT_NE(special.warmUp(4), ONAGER_OK);
  EXPECT_NE(std::string(onager_last_error()).find("none of this model"), std::string::npos) << onager_last_error();
  EXPECT_EQ(special.run(4), 2);
}

TEST(Recompile, ASlowVariantLeavesTheSessionAndTheCache) {
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
  auto waitFor = [](auto isDone) {
    for (int k = 0; k < 5000 && !isDone(); ++k)
      usleep(2000);
    return isDone();
  };
  {
    Special special(path, settings);
    EXPECT_EQ(special.run(4), 2);
    ASSERT_TRUE(waitFor([&] { return special.stats().compiled == 1; })) << "eager: the first run is enough";
    EXPECT_EQ(countEntries(), 1);
    for (int k = 0; k < 40; ++k)
      EXPECT_EQ(special.run(4), 2);
    EXPECT_EQ(special.stats().variants, 0u);
    EXPECT_EQ(special.events.lines, (std::vector<std::string>{"compiled n=4", "evicted n=4: it was slower than the generic form"}));
    EXPECT_TRUE(waitFor([&] { return countEntries() == 0; }));
    EXPECT_EQ(special.stats().compiled, 1u) << "it is not made again";
  }
  EXPECT_TRUE(Special(path, settings).events.lines.empty()) << "the next session starts without it";
}

TEST(Recompile, VariantsMayBeMadeInThisProcess) {
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.compiler = "/nowhere";
  settings.library = "";
  Special special(compileScale(3), settings);
  for (int64_t n : {5, 6})
    ASSERT_EQ(special.warmUp(n), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(special.run(5) + special.run(6), 6);
  EXPECT_EQ(special.stats().hits, 2u);
  EXPECT_EQ(special.stats().compiled, 2u);
}

TEST(Recompile, BackgroundCompilationsOfThisProcessLeaveItsThreadsAlone) {
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_EAGER);
  settings.library = "";
  Special special(compileScale(3), settings);
  for (int k = 0; k < 5000 && special.stats().compiled == 0; ++k) {
    EXPECT_EQ(special.run(5), 3);
    usleep(2000);
  }
  EXPECT_EQ(special.run(5), 3);
  EXPECT_GT(special.stats().hits, 0u);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 0);
}

TEST(Recompile, LibrariesThatAreNoCompilerAreSaid) {
  auto expectFailure = [&](const std::string &library, const char *expected) {
    onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
    settings.library = library.c_str();
    Special special(compileScale(3), settings);
    EXPECT_NE(special.warmUp(5), ONAGER_OK);
    EXPECT_NE(std::string(onager_last_error()).find(expected), std::string::npos) << onager_last_error();
    EXPECT_EQ(special.run(5), 3);
    EXPECT_EQ(special.stats().failed, 1u);
  };
  expectFailure("/nowhere/lib.so", "cannot load the compiler's library: /nowhere/lib.so");
  expectFailure("libm.so.6", "libm.so.6 is no library of the compiler: it lacks onager_specialize");
}

TEST(Recompile, AForkedChildMakesItsOwn) {
  auto special = std::make_unique<Special>(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  ASSERT_EQ(special->warmUp(5), ONAGER_OK) << onager_last_error();
  pid_t child = fork();
  if (child == 0) {
    bool isFine = special->run(5) == 2 && special->warmUp(6) == ONAGER_OK && special->run(6) == 2 && special->stats().hits == 2;
    special.reset();
    _exit(isFine ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(special->run(5), 2);
}

TEST(Recompile, AnotherForkedChildJustEnds) {
  auto special = std::make_unique<Special>(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  ASSERT_EQ(special->warmUp(5), ONAGER_OK) << onager_last_error();
  pid_t child = fork();
  if (child == 0) {
    special.reset();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Recompile, TheCacheLiesWhereItIsAskedFor) {
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

TEST(Recompile, WhatASessionHadMadeCanBeExported) {
  Special special(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  ASSERT_EQ(special.warmUp(5), ONAGER_OK) << onager_last_error();
  ASSERT_EQ(special.warmUp(6), ONAGER_OK) << onager_last_error();
  std::string exported = getFolder() + "/exported.so";
  ASSERT_EQ(onager_session_export(special.session, exported.c_str()), ONAGER_OK) << onager_last_error();
  Special second(exported, makeSettings(ONAGER_RECOMPILE_OFF));
  EXPECT_EQ(second.stats().variants, 2u);
  for (int64_t n : {5, 6, 7})
    EXPECT_EQ(second.run(n), 2);
  EXPECT_EQ(second.stats().hits, 2u);
  // What an artifact has stays; nothing more was made here.
  std::string again = getFolder() + "/again.so";
  ASSERT_EQ(onager_session_export(second.session, again.c_str()), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(Special(again, makeSettings(ONAGER_RECOMPILE_OFF)).stats().variants, 2u);
}

TEST(Recompile, WhatCannotBeExportedIsSaid) {
  std::string artifact = compileScale(2), kept = getFolder() + "/kept.so";
  writeFile(kept, "kept");
  auto expectFailure = [&](onager_session *session, const std::string &path, const std::string &message) {
    EXPECT_NE(onager_session_export(session, path.c_str()), ONAGER_OK);
    EXPECT_NE(std::string(onager_last_error()).find(message), std::string::npos) << onager_last_error();
  };
  Special special(artifact, makeSettings(ONAGER_RECOMPILE_LAZY));
  expectFailure(special.session, "", "path is empty");
  expectFailure(special.session, getFolder() + "/no/such/folder.so", "the compiler failed: onager: error: ");
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.compiler = "/nowhere";
  Special lonely(artifact, settings);
  expectFailure(lonely.session, kept, "no compiler was found");
  std::string failing = getFolder() + "/compiler";
  writeFile(failing, "#!/bin/sh\necho 'it rains' >&2; exit 5\n");
  chmod(failing.c_str(), 0755);
  settings.compiler = failing.c_str();
  Special unlucky(artifact, settings);
  expectFailure(unlucky.session, kept, "it rains");
  EXPECT_EQ(readFile(kept), "kept");
}

TEST(Recompile, SettingsThatMakeNoSenseAreRefused) {
  std::string path = compileScale(2);
  auto refuse = [&](onager_recompilation recompilation, const char *expected) {
    onager_options options{};
    options.size = sizeof options;
    options.recompilation = &recompilation;
    onager_session *session = nullptr;
    EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_BAD_ARGUMENT);
    EXPECT_NE(std::string(onager_last_error()).find(expected), std::string::npos) << onager_last_error();
  };
  onager_recompilation settings{};
  refuse(settings, "its size field is not set");
  settings.size = sizeof settings;
  settings.mode = 9;
  refuse(settings, "unknown mode");
  settings.mode = ONAGER_RECOMPILE_LAZY;
  settings.max_variants = -1;
  refuse(settings, "a limit is negative");
}
