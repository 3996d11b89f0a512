// Which forms of a model are compiled quickly because they run little.
#include "tools/onager/compress/CompileEffort.h"
#include <cmath>
#include <gtest/gtest.h>

using onager::cli::CompileEffort;
using onager::cli::FormCost;

TEST(CompileEffort, ManyRunsAreWorthBetterCode) {
  // A hundred launches of 5e8 operations: about 3 s to compile better, about 0.12 s a run of quick code.
  FormCost network{5e8, 100};
  EXPECT_FALSE(CompileEffort().isWorthIt(network, 1));
  EXPECT_FALSE(CompileEffort().isWorthIt(network, 20));
  EXPECT_TRUE(CompileEffort().isWorthIt(network, 100));
}

TEST(CompileEffort, ManyLaunchesNeedMoreRuns) {
  EXPECT_TRUE(CompileEffort().isWorthIt({5e8, 10}, 20));
  EXPECT_FALSE(CompileEffort().isWorthIt({5e8, 1000}, 20));
  EXPECT_FALSE(CompileEffort().isWorthIt({0, 0}, 1000));
  EXPECT_TRUE(CompileEffort().isWorthIt({HUGE_VAL, 1000}, 1)) << "what cannot be counted may be large";
}

TEST(CompileEffort, WhatIsClearByFarNeedsNoQuickCodeFirst) {
  CompileEffort effort;
  EXPECT_FALSE(effort.isSurelyWorthIt(1'000'000)) << "nothing is known yet";
  effort.isWorthIt({5e8, 100}, 10);
  EXPECT_FALSE(effort.isSurelyWorthIt(60)) << "other forms may do less";
  EXPECT_TRUE(effort.isSurelyWorthIt(400));
  // The form that did least in a launch counts.
  effort.isWorthIt({5e7, 100}, 10);
  EXPECT_FALSE(effort.isSurelyWorthIt(400));
  effort.isWorthIt({5e9, 100}, 10);
  EXPECT_FALSE(effort.isSurelyWorthIt(400));
}
