// Sessions that have variants made, through the C API: events, limits, the end of all change.
#include "test/unit/SpecialSession.h"
#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

using namespace onager::test;

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
  int priority = getpriority(PRIO_PROCESS, 0);
  Special special(compileScale(3), settings);
  for (int k = 0; k < 5000 && special.stats().compiled == 0; ++k) {
    EXPECT_EQ(special.run(5), 3);
    usleep(2000);
  }
  EXPECT_EQ(special.run(5), 3);
  EXPECT_GT(special.stats().hits, 0u);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), priority);
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

TEST(Recompile, WhatIsCompiledWhenASessionIsFrozenIsNotTaken) {
  std::string artifact = compileScale(2), started = getFolder() + "/started";
  std::string compiler = writeCompiler(makeVariant(artifact, "n=4", "late.so"), "echo >> " + started + "; sleep 1");
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.compiler = compiler.c_str();
  Special special(artifact, settings);
  ASSERT_EQ(special.warmUp(4, /*wait=*/false), ONAGER_OK);
  ASSERT_TRUE(waitFor([&] { return !readFile(started).empty(); }));
  auto queued = std::async(std::launch::async, [&] { return special.warmUp(5) ? std::string(onager_last_error()) : ""; });
  usleep(50000);
  ASSERT_EQ(onager_session_freeze(special.session), ONAGER_OK);
  EXPECT_EQ(queued.get(), "the session is frozen");
  sleep(2);
  EXPECT_EQ(special.stats().variants, 0u);
  EXPECT_EQ(special.stats().compiled + special.stats().failed, 0u);
  EXPECT_EQ(special.run(4), 2);
  EXPECT_EQ(special.stats().misses, 1u);
  EXPECT_TRUE(special.events.read().empty());
}

TEST(Recompile, AFrozenSessionSeesNothingOfOthersOnItsModel) {
  Special frozen(compileScale(2), makeSettings(ONAGER_RECOMPILE_LAZY));
  ASSERT_EQ(frozen.warmUp(5), ONAGER_OK) << onager_last_error();
  onager_recompilation settings = makeSettings(ONAGER_RECOMPILE_LAZY);
  settings.size = sizeof settings;
  settings.max_variants = 1;
  onager_options options{};
  options.size = sizeof options;
  options.threads = 1;
  options.recompilation = &settings;
  onager_session *sibling = nullptr;
  ASSERT_EQ(onager_session_share(frozen.session, &options, &sibling), ONAGER_OK);
  ASSERT_EQ(onager_session_freeze(frozen.session), ONAGER_OK);
  onager_stats before = frozen.stats();
  Tensor x({6, 4});
  onager_tensor input = x.view();
  ASSERT_EQ(onager_session_warm_up(sibling, &input, 1, 1), ONAGER_OK) << onager_last_error();
  EXPECT_EQ(frozen.run(5), 2);
  EXPECT_EQ(frozen.run(6), 2);
  onager_stats after = frozen.stats();
  EXPECT_EQ(after.hits, 1u) << "the variant that the other session evicted is still there";
  EXPECT_EQ(after.misses, 1u) << "the one that it made is not";
  EXPECT_EQ(after.variants, before.variants);
  EXPECT_EQ(after.variant_bytes, before.variant_bytes);
  onager_session_close(sibling);
}
