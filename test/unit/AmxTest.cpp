// Whether code on the tile registers of AMX may run: the processor has them, and the system gives them to this process.
#include "runtime/core/amx.h"
#include "runtime/core/model.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace onager::rt;

namespace {

/// True where the system names the feature among those of the processor.
bool isListed(const std::string &flag) {
  std::ifstream file("/proc/cpuinfo");
  std::string word;
  while (file >> word)
    if (word == flag)
      return true;
  return false;
}

/// True where this process may use tiles, by the system's own account.
bool isGranted() {
  constexpr long kGetPermission = 0x1022, kTileData = 18;
  unsigned long mask = 0;
  return !syscall(SYS_arch_prctl, kGetPermission, &mask) && (mask >> kTileData & 1);
}

} // namespace

TEST(Amx, AFeatureThatIsListedIsAskedForAndGranted) {
  if (!isListed("amx_int8"))
    GTEST_SKIP() << "this processor has no AMX";
  EXPECT_TRUE(hasAmx() && isAmxSupported());
  EXPECT_EQ(findMissingFeature({"sse4.2", "amx-int8"}), "");
  EXPECT_TRUE(isGranted());
  EXPECT_EQ(requestAmx(), "") << "asking twice is harmless";
}

TEST(Amx, TilesOfBf16AreAFeatureOfTheirOwn) {
  EXPECT_EQ(hasAmxBf16(), isListed("amx_bf16"));
  EXPECT_EQ(findMissingFeature({"amx-bf16"}), hasAmxBf16() ? "" : "amx-bf16");
  if (hasAmxBf16())
    EXPECT_TRUE(isAmxSupported() && isGranted());
}

TEST(Amx, AProcessorWithoutItLacksTheFeature) {
  if (hasAmx())
    GTEST_SKIP() << "this processor has AMX";
  EXPECT_EQ(findMissingFeature({"amx-int8"}), "amx-int8");
}

// The system refuses a process one of whose threads takes signals on a stack that is too small for the state of tiles.
TEST(AmxDeathTest, ARefusalOfTheSystemIsToldWithItsReason) {
  if (!isListed("amx_int8"))
    GTEST_SKIP() << "this processor has no AMX";
  GTEST_FLAG_SET(death_test_style, "threadsafe"); // a new process, which nobody has asked for
  auto ask = [] {
    static char memory[8192];
    stack_t stack{};
    stack.ss_sp = memory;
    stack.ss_size = sizeof memory;
    if (sigaltstack(&stack, nullptr))
      std::exit(2);
    std::fprintf(stderr, "%s\n", findMissingFeature({"amx-int8"}).c_str());
    std::exit(isGranted() ? 1 : 0);
  };
  EXPECT_EXIT(ask(), testing::ExitedWithCode(0), "amx-int8, which the system does not let this process use \\(.+\\)");
}
