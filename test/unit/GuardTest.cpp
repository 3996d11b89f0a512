// Guards: what they say, what follows from what, and their text.
#include "runtime/core/guard.h"
#include <gtest/gtest.h>
#include <random>

using namespace onager::rt;

namespace {

const std::vector<std::string> kNames{"batch", "seq", "", "total"};

Guard parse(const std::string &text) {
  Guard guard;
  std::string error;
  EXPECT_TRUE(parseGuard(text, kNames, guard, error)) << text << ": " << error;
  return guard;
}

std::string refuse(const std::string &text) {
  Guard guard;
  std::string error;
  EXPECT_FALSE(parseGuard(text, kNames, guard, error)) << text;
  return error;
}

bool isTrue(const std::string &text, std::vector<int64_t> symbols) { return holds(parse(text), symbols.data()); }

} // namespace

TEST(Guard, HoldsWhereAllAtomsDo) {
  EXPECT_TRUE(isTrue("batch=1,seq=128", {1, 128, 0, 0}));
  EXPECT_FALSE(isTrue("batch=1,seq=128", {1, 127, 0, 0}));
  EXPECT_TRUE(isTrue("seq=16:512:16", {9, 16, 0, 0}));
  EXPECT_TRUE(isTrue("seq=16:512:16", {9, 512, 0, 0}));
  EXPECT_FALSE(isTrue("seq=16:512:16", {9, 528, 0, 0}));
  EXPECT_FALSE(isTrue("seq=16:512:16", {9, 40, 0, 0}));
  EXPECT_TRUE(isTrue("seq=2:", {9, INT64_MAX, 0, 0}));
  EXPECT_TRUE(isTrue("total=seq+1", {0, 7, 0, 8}));
  EXPECT_FALSE(isTrue("total=seq-1", {0, 7, 0, 8}));
  EXPECT_TRUE(isTrue("s2=0", {5, 5, 0, 5}));
  EXPECT_FALSE(isTrue("total=seq+9223372036854775807", {0, 7, 0, 8})) << "a sum beyond 64 bits equals nothing";
}

TEST(Guard, TextIsReadBackAsItWasWritten) {
  for (const char *text : {"batch=1", "batch=0,seq=128", "seq=16:512", "seq=16:512:16", "seq=1:", "s2=3", "total=seq", "total=seq+1", "total=seq-12", "batch=1,seq=1:64,total=seq+1"})
    EXPECT_EQ(print(parse(text), kNames), text);
  EXPECT_EQ(print(parse("seq=128,batch=1"), kNames), "batch=1,seq=128");
}

TEST(Guard, SymbolsMayBeNumbered) {
  Guard guard = parse("#1=16:512:16,#0=1,#3=#1+2");
  EXPECT_EQ(print(guard, kNames), "batch=1,seq=16:512:16,total=seq+2");
  EXPECT_EQ(print(guard, {}), "#0=1,#1=16:512:16,#3=#1+2");
  EXPECT_NE(refuse("#4=1").find("unknown symbol '#4'"), std::string::npos);
}

TEST(Guard, ImpliedAtomsGo) {
  EXPECT_EQ(print(parse("seq=128,seq=1:512,seq=0::16"), kNames), "seq=128");
  EXPECT_EQ(print(parse("seq=1:512,seq=16:1024"), kNames), "seq=16:512");
  EXPECT_EQ(print(parse("seq=5:5"), kNames), "seq=5");
  EXPECT_EQ(print(parse("seq=0:64:4,seq=0:64:6"), kNames), "seq=0:60:12");
  EXPECT_EQ(print(parse("total=seq+1,total=seq+1"), kNames), "total=seq+1");
}

TEST(Guard, BoundsAreMultiplesOfTheDivisor) {
  EXPECT_EQ(print(parse("seq=9:520:16"), kNames), "seq=16:512:16");
  EXPECT_EQ(print(parse("seq=9:17:8"), kNames), "seq=16");
  EXPECT_EQ(print(parse("seq=9::8"), kNames), "seq=16::8");
  EXPECT_NE(refuse("seq=9:15:8").find("no value of 'seq'"), std::string::npos);
  EXPECT_NE(refuse("seq=9223372036854775807::2").find("no value of 'seq'"), std::string::npos);
  const std::vector<std::string> names{"k[0]"};
  for (auto [text, expected] : {std::pair("k=-9:9:4", "k[0]=-8:8:4"), {"k=-9:-1:4", "k[0]=-8:-4:4"}, {"k=-3:-1:4", ""}, {"k=-3:3:4", "k[0]=0"}}) {
    Guard guard;
    std::string error;
    EXPECT_EQ(parseGuard(text, names, guard, error), *expected != 0) << text;
    EXPECT_EQ(print(error.empty() ? guard : Guard(), names), expected);
  }
}

TEST(Guard, OfDivisorsWithoutACommonMultipleOnlyZeroIsLeft) {
  EXPECT_EQ(print(parse("seq=0::9223372036854775807,seq=0::4611686018427387904"), kNames), "seq=0");
  EXPECT_NE(refuse("seq=1::9223372036854775807,seq=0::4611686018427387904").find("no value of 'seq'"), std::string::npos);
  EXPECT_EQ(print(parse("seq=1::4611686018427387904,seq=0::2"), kNames), "seq=4611686018427387904");
}

TEST(Guard, WhatEveryExtentFulfilsGoes) {
  EXPECT_EQ(print(parse("seq=0:"), kNames), "");
  EXPECT_EQ(print(parse("batch=2,seq=0:"), kNames), "batch=2");
  EXPECT_EQ(print(parse("seq=0:64"), kNames), "seq=0:64");
}

TEST(Guard, RelationsOfKnownSymbolsAreNumbers) {
  EXPECT_EQ(print(parse("batch=3,seq=batch+1"), kNames), "batch=3,seq=4");
  EXPECT_EQ(print(parse("batch=3,seq=4,seq=batch+1"), kNames), "batch=3,seq=4");
  EXPECT_EQ(print(parse("total=7,total=seq+1,seq=batch-2"), kNames), "batch=8,seq=6,total=7");
  EXPECT_NE(refuse("batch=3,seq=9,seq=batch+1").find("no value of"), std::string::npos);
  EXPECT_NE(refuse("batch=3,seq=batch-4").find("no value of"), std::string::npos) << "extents are not negative";
  EXPECT_NE(refuse("seq=batch+1,seq=batch+2").find("no value of 'seq'"), std::string::npos);
  EXPECT_NE(refuse("seq=batch+1,total=seq+1,batch=total").find("no value of"), std::string::npos);
  EXPECT_NE(refuse("seq=0::2,total=0::2,total=seq+1").find("no value of"), std::string::npos) << "one of both is odd";
}

TEST(Guard, RelationsHaveOneForm) {
  EXPECT_EQ(print(parse("batch=seq,seq=batch"), kNames), "seq=batch");
  EXPECT_EQ(print(parse("seq=total-1"), kNames), "total=seq+1");
  EXPECT_EQ(print(parse("total=seq+1,seq=batch+1"), kNames), "seq=batch+1,total=batch+2");
  EXPECT_EQ(print(parse("total=2:65,total=seq+1"), kNames), "seq=1:64,total=seq+1");
  EXPECT_EQ(print(parse("total=0::4,total=seq+8"), kNames), "seq=0::4,total=seq+8");
  EXPECT_EQ(print(parse("total=0::4,total=seq+1"), kNames), "total=0::4,total=seq+1");
}

TEST(Guard, LimitsClipGuards) {
  auto clipTo = [](const std::string &limits, const std::string &text) {
    Guard guard = parse(text);
    std::string error;
    return clip(guard, parse(limits), kNames, error) ? print(guard, kNames) : error;
  };
  EXPECT_EQ(clipTo("batch=1:4", "batch=2"), "batch=2");
  EXPECT_EQ(clipTo("batch=1:4", "batch=0:2,seq=5"), "batch=1:2,seq=5");
  EXPECT_EQ(clipTo("batch=1:4", "batch=1:8"), "");
  EXPECT_EQ(clipTo("batch=1:4", "batch=1:8,seq=5"), "seq=5");
  EXPECT_EQ(clipTo("batch=1:4,seq=8:64:8", "seq=16:512"), "seq=16:64:8");
  EXPECT_EQ(clipTo("seq=1:64,batch=2", "total=seq+1"), "total=seq+1");
  EXPECT_EQ(clipTo("batch=1:4", "batch=9"), "no value of 'batch' fulfils the conditions on it and the limits batch=1:4");
}

TEST(Guard, WhatIsWrongIsNamed) {
  EXPECT_NE(refuse("width=3").find("unknown symbol 'width'"), std::string::npos);
  EXPECT_NE(refuse("s1=3").find("unknown symbol 's1'"), std::string::npos) << "a named symbol has no number";
  EXPECT_NE(refuse("seq=1,seq=2").find("no value of 'seq'"), std::string::npos);
  EXPECT_NE(refuse("seq=7:7:2").find("no value of 'seq'"), std::string::npos);
  EXPECT_NE(refuse("seq=9:3").find("no value of 'seq'"), std::string::npos);
  EXPECT_NE(refuse("seq=seq+1").find("described by itself"), std::string::npos);
  for (const char *text : {"", "seq", "seq=", "=1", "seq=-1", "seq=1,", "seq=1:2:0", "seq=1:2:3:4", "seq=99999999999999999999", "seq=1 ", "seq=:", "total=seq+", "total=seq*2"})
    EXPECT_FALSE(refuse(text).empty()) << text;
}

TEST(Guard, ImplicationIsThatOfValues) {
  EXPECT_TRUE(implies(parse("seq=128"), parse("seq=16:512:16")));
  EXPECT_FALSE(implies(parse("seq=16:512:16"), parse("seq=128")));
  EXPECT_TRUE(implies(parse("batch=1,seq=128"), parse("batch=1")));
  EXPECT_FALSE(implies(parse("batch=1"), parse("batch=1,seq=128")));
  EXPECT_TRUE(implies(parse("seq=0:64:12"), parse("seq=0:64:4")));
  EXPECT_TRUE(implies(parse("total=seq+1,seq=3"), parse("total=seq+1")));
  EXPECT_TRUE(implies(parse("total=4,seq=3"), parse("total=seq+1")));
  EXPECT_FALSE(implies(parse("total=4,seq=4"), parse("total=seq+1")));
  EXPECT_TRUE(implies(parse("total=seq+1,seq=1:64"), parse("total=2:")));
  EXPECT_TRUE(implies(parse("total=batch,seq=batch"), parse("total=seq")));
  EXPECT_FALSE(implies(parse("total=batch,seq=batch+1"), parse("total=seq")));
}

TEST(Guard, ElementsOfInputsHaveNames) {
  const std::vector<std::string> names{"batch", "sr", "sr[0]", "k[0]", "shape[0]", "shape[1]"};
  auto read = [&](const std::string &text) {
    Guard guard;
    std::string error;
    return parseGuard(text, names, guard, error) ? print(guard, names) : "refused: " + error;
  };
  EXPECT_EQ(read("k=5"), "k[0]=5") << "an input of one element needs no index";
  EXPECT_EQ(read("k[0]=5,batch=1"), "batch=1,k[0]=5");
  EXPECT_EQ(read("sr=4"), "sr=4") << "a symbol comes before an input of its name";
  EXPECT_EQ(read("sr[0]=16000"), "sr[0]=16000");
  EXPECT_EQ(read("shape[0]=-1,shape[1]=4"), "shape[0]=-1,shape[1]=4") << "values may be negative";
  EXPECT_EQ(read("#4=-1"), "shape[0]=-1");
  EXPECT_EQ(read("k=-4:8"), "k[0]=-4:8");
  EXPECT_EQ(read("shape=4"), "refused: input 'shape' has several elements: expected shape[0], shape[1] and so on");
  EXPECT_EQ(read("shape[2]=4"), "refused: unknown symbol 'shape[2]'");
  EXPECT_EQ(read("batch=-1").find("refused: expected"), 0u) << "extents are never negative";
  EXPECT_EQ(read("k=1,k[0]=2"), "refused: no value of 'k[0]' fulfils the conditions on it");
  for (const char *text : {"k=", "k=--1", "k=-", "k[=1", "k[0=1", "[0]=1", "k[0][0]=1"})
    EXPECT_EQ(read(text).find("refused"), 0u) << text;
}

TEST(Guard, ValuesAreImpliedAndMatchedAsSymbolsAre) {
  const std::vector<std::string> names{"batch", "k[0]"};
  auto read = [&](const std::string &text) {
    Guard guard;
    std::string error;
    EXPECT_TRUE(parseGuard(text, names, guard, error)) << error;
    return guard;
  };
  EXPECT_TRUE(implies(read("batch=1,k=5"), read("batch=1")));
  EXPECT_TRUE(implies(read("k=-5"), read("k=-8:0")));
  EXPECT_FALSE(implies(read("batch=1"), read("batch=1,k=5")));
  int64_t symbols[] = {1, -5};
  EXPECT_TRUE(holds(read("batch=1,k=-5"), symbols));
  EXPECT_FALSE(holds(read("batch=1,k=5"), symbols));
  symbols[1] = kUnknownValue;
  EXPECT_FALSE(holds(read("k=-5"), symbols));
  EXPECT_FALSE(holds(read("k=0"), symbols)) << "what is not given equals nothing";
}

/// Draws a guard of three symbols.
static Guard drawGuard(std::mt19937 &random) {
  Guard guard;
  for (uint64_t symbol = 0; symbol < 3; ++symbol)
    switch (random() % 6) {
    case 0:
      guard.push_back({Atom::Equal, symbol, static_cast<int64_t>(random() % 8), 0});
      break;
    case 1:
      guard.push_back({Atom::Range, symbol, static_cast<int64_t>(random() % 4), static_cast<int64_t>(4 + random() % 4)});
      break;
    case 2:
      guard.push_back({Atom::Divisible, symbol, static_cast<int64_t>(1 + random() % 4), 0});
      break;
    case 3:
      guard.push_back({Atom::Same, symbol, static_cast<int64_t>((symbol + 1 + random() % 2) % 3), static_cast<int64_t>(random() % 5) - 2});
      break;
    default:
      break;
    }
  return guard;
}

/// Calls `check` with many values of three extents.
template <typename Check>
static void forExtents(Check check) {
  for (int64_t a = 0; a < 12; ++a)
    for (int64_t b = 0; b < 12; ++b)
      for (int64_t c = 0; c < 12; ++c) {
        int64_t symbols[] = {a, b, c};
        check(symbols);
      }
}

TEST(Guard, SimplifyingKeepsTheMeaning) {
  std::mt19937 random(20261128);
  int contradictory = 0;
  for (int round = 0; round < 2000; ++round) {
    Guard guard = drawGuard(random), second = drawGuard(random), simple;
    guard.insert(guard.end(), second.begin(), second.end());
    simple = guard;
    std::string error;
    bool isPossible = simplify(simple, kNames, error);
    contradictory += !isPossible;
    forExtents([&](const int64_t *symbols) { ASSERT_EQ(holds(guard, symbols), isPossible && holds(simple, symbols)) << print(guard, kNames) << " became " << print(simple, kNames); });
    Guard again = simple;
    ASSERT_TRUE(!isPossible || (simplify(again, kNames, error) && again == simple)) << print(simple, kNames) << " became " << print(again, kNames);
  }
  EXPECT_GT(contradictory, 100);
}

TEST(Guard, ImplicationNeverContradictsValues) {
  std::mt19937 random(20261128);
  auto draw = [&] {
    Guard guard = drawGuard(random);
    std::string error;
    return simplify(guard, kNames, error) ? guard : Guard();
  };
  int implied = 0;
  for (int round = 0; round < 2000; ++round) {
    Guard left = draw(), right = draw();
    if (!implies(left, right))
      continue;
    ++implied;
    forExtents([&](const int64_t *symbols) { ASSERT_TRUE(!holds(left, symbols) || holds(right, symbols)) << print(left, kNames) << " => " << print(right, kNames); });
  }
  EXPECT_GT(implied, 100);
}

TEST(Guard, ClippingKeepsTheMeaningWithinTheLimits) {
  std::mt19937 random(20261129);
  for (int round = 0; round < 2000; ++round) {
    Guard limits, guard = drawGuard(random);
    for (const Atom &atom : drawGuard(random))
      if (atom.kind != Atom::Same)
        limits.push_back(atom);
    std::string error;
    if (!simplify(limits, kNames, error) || !simplify(guard, kNames, error))
      continue;
    Guard clipped = guard;
    bool isPossible = clip(clipped, limits, kNames, error);
    forExtents([&](const int64_t *symbols) {
      if (holds(limits, symbols))
        ASSERT_EQ(holds(guard, symbols), isPossible && holds(clipped, symbols)) << print(guard, kNames) << " within " << print(limits, kNames) << ": " << print(clipped, kNames);
    });
  }
}
