// Expressions of the manifest against arithmetic in 128 bits.
#include "runtime/core/manifest.h"
#include "test/unit/Support.h"
#include <gtest/gtest.h>

using namespace onager;
using rt::Expr;
using Wide = __int128;

static Expr binary(Expr::Op op, int64_t a, int64_t b) { return {{{Expr::Const, a}, {Expr::Const, b}, {op, 0}}}; }

static Wide floorDivide(Wide a, Wide b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// The meaning in 128 bits; division by zero gives zero.
static Wide evaluateWide(Expr::Op op, Wide a, Wide b) {
  switch (op) {
  case Expr::Add: return a + b;
  case Expr::Mul: return a * b;
  case Expr::FloorDiv: return b == 0 ? 0 : floorDivide(a, b);
  case Expr::CeilDiv: return b == 0 ? 0 : -floorDivide(-a, b);
  case Expr::Mod: return b == 0 ? 0 : a - floorDivide(a, b) * b;
  case Expr::TruncDiv: return b == 0 ? 0 : a / b;
  case Expr::Max: return a > b ? a : b;
  case Expr::Min: return a < b ? a : b;
  default: return a == 1 ? b : a;
  }
}

static void checkBinary(Expr::Op op, int64_t a, int64_t b) {
  bool bad = false;
  int64_t found = binary(op, a, b).evaluate(nullptr, bad);
  Wide expected = evaluateWide(op, a, b);
  bool overflows = expected > INT64_MAX || expected < INT64_MIN;
  EXPECT_EQ(bad, overflows) << "op " << op << " of " << a << " and " << b << " gave " << found;
  if (!overflows)
    EXPECT_EQ(found, static_cast<int64_t>(expected)) << "op " << op << " of " << a << " and " << b;
}

static const Expr::Op kBinaries[] = {Expr::Add, Expr::Mul, Expr::FloorDiv, Expr::CeilDiv, Expr::Mod, Expr::Max, Expr::Min, Expr::Broadcast, Expr::TruncDiv};

TEST(Expr, EdgesOfTheRange) {
  const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -3, -2, -1, 0, 1, 2, 3, INT64_MAX - 1, INT64_MAX};
  for (Expr::Op op : kBinaries)
    for (int64_t a : edges)
      for (int64_t b : edges)
        checkBinary(op, a, b);
}

TEST(Expr, RandomOperands) {
  auto generator = test::makeGenerator();
  for (int k = 0; k < 20000; ++k) {
    auto a = static_cast<int64_t>(generator()) >> generator() % 64, b = static_cast<int64_t>(generator()) >> generator() % 64;
    checkBinary(kBinaries[generator() % std::size(kBinaries)], a, b);
  }
}

TEST(Expr, DivisionByZeroGivesZero) {
  for (Expr::Op op : {Expr::FloorDiv, Expr::CeilDiv, Expr::Mod, Expr::TruncDiv}) {
    bool bad = false;
    EXPECT_EQ(binary(op, 7, 0).evaluate(nullptr, bad), 0);
    EXPECT_FALSE(bad);
  }
}

TEST(Expr, SelectEqual) {
  for (int64_t a : {3, 4}) {
    bool bad = false;
    Expr expr{{{Expr::Const, a}, {Expr::Const, 3}, {Expr::Const, 10}, {Expr::Const, 20}, {Expr::SelectEqual, 0}}};
    EXPECT_EQ(expr.evaluate(nullptr, bad), a == 3 ? 10 : 20);
    EXPECT_FALSE(bad);
  }
}

TEST(Expr, SymbolsAreRead) {
  const int64_t symbols[] = {5, 7};
  bool bad = false;
  Expr expr{{{Expr::Symbol, 0}, {Expr::Symbol, 1}, {Expr::Mul, 0}, {Expr::Const, 1}, {Expr::Add, 0}}};
  EXPECT_EQ(expr.evaluate(symbols, bad), 36);
  EXPECT_FALSE(bad);
  EXPECT_EQ(expr.print({"batch", ""}), "((batch * s1) + 1)");
}

TEST(Expr, ProgramsThatDoNotFitTheStackAreBad) {
  Expr deep;
  for (int k = 0; k < 65; ++k)
    deep.tokens.push_back({Expr::Const, 1});
  for (const Expr &expr : {Expr{}, Expr{{{Expr::Add, 0}}}, Expr{{{Expr::Const, 1}, {Expr::Add, 0}}}, Expr{{{Expr::Const, 1}, {Expr::Const, 1}}},
                           Expr{{{Expr::Const, 1}, {Expr::SelectEqual, 0}}}, deep}) {
    bool bad = false;
    expr.evaluate(nullptr, bad);
    EXPECT_TRUE(bad) << expr.tokens.size() << " tokens";
    expr.print({}); // must not crash either
  }
}

/// Builds a random program that leaves one value, and its value.
static Wide appendRandom(Expr &expr, std::mt19937_64 &generator, int depth, bool &leaves) {
  if (depth == 0) {
    auto value = static_cast<int64_t>(generator() % 41) - 20;
    expr.tokens.push_back({Expr::Const, value});
    return value;
  }
  Expr::Op op = kBinaries[generator() % std::size(kBinaries)];
  Wide a = appendRandom(expr, generator, depth - 1, leaves), b = appendRandom(expr, generator, static_cast<int>(generator() % static_cast<uint64_t>(depth)), leaves);
  expr.tokens.push_back({op, 0});
  Wide value = evaluateWide(op, a, b);
  leaves |= value > INT64_MAX || value < INT64_MIN;
  return leaves ? 0 : value;
}

TEST(Expr, RandomTrees) {
  auto generator = test::makeGenerator();
  for (int k = 0; k < 2000; ++k) {
    Expr expr;
    bool overflows = false, bad = false;
    Wide expected = appendRandom(expr, generator, static_cast<int>(generator() % 7), overflows);
    int64_t found = expr.evaluate(nullptr, bad);
    EXPECT_EQ(bad, overflows) << expr.print({});
    if (!overflows)
      EXPECT_EQ(found, static_cast<int64_t>(expected)) << expr.print({});
  }
}

TEST(Expr, ASelectionOfTooLittleIsBadAndPrintsWhatIsThere) {
  Expr expr;
  expr.tokens = {{Expr::Const, 1}, {Expr::Const, 2}, {Expr::SelectEqual, 0}};
  bool bad = false;
  expr.evaluate(nullptr, bad);
  EXPECT_TRUE(bad);
  EXPECT_EQ(expr.print({}), "2");
}
