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
  EXPECT_EQ(print(parse("seq=0:64:4,seq=0:64:6"), kNames), "seq=0:64:12");
  EXPECT_EQ(print(parse("total=seq+1,total=seq+1"), kNames), "total=seq+1");
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

TEST(Guard, ImplicationNeverContradictsValues) {
  std::mt19937 random(20261128);
  auto draw = [&] {
    Guard guard;
    for (uint64_t symbol = 0; symbol < 2; ++symbol)
      switch (random() % 4) {
      case 0:
        guard.push_back({Atom::Equal, symbol, static_cast<int64_t>(random() % 8), 0});
        break;
      case 1:
        guard.push_back({Atom::Range, symbol, static_cast<int64_t>(random() % 4), static_cast<int64_t>(4 + random() % 4)});
        break;
      case 2:
        guard.push_back({Atom::Divisible, symbol, static_cast<int64_t>(1 + random() % 4), 0});
        break;
      default:
        break;
      }
    std::string error;
    return simplify(guard, kNames, error) ? guard : Guard();
  };
  int implied = 0;
  for (int round = 0; round < 2000; ++round) {
    Guard left = draw(), right = draw();
    if (!implies(left, right))
      continue;
    ++implied;
    for (int64_t a = 0; a < 16; ++a)
      for (int64_t b = 0; b < 16; ++b) {
        int64_t symbols[] = {a, b};
        EXPECT_TRUE(!holds(left, symbols) || holds(right, symbols)) << print(left, kNames) << " => " << print(right, kNames) << " at " << a << ", " << b;
      }
  }
  EXPECT_GT(implied, 100);
}
