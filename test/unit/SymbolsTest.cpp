// The importer's algebra of dims: normal forms keep the value, equalities hold for all values, signs are never claimed wrongly.
#include "lib/Import/OnnxToGraph/Symbols.h"
#include "mlir/IR/MLIRContext.h"
#include "test/unit/Support.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>
#include <unistd.h>

using namespace onager;
using namespace onager::frontend;
using mlir::AffineExpr;
using mlir::AffineExprKind;

namespace {
class Algebra : public testing::Test {
protected:
  AffineExpr symbol(unsigned k) { return mlir::getAffineSymbolExpr(k, &context); }
  AffineExpr number(int64_t k) { return mlir::getAffineConstantExpr(k, &context); }

  /// A random expression; divisors are positive for symbols of at least 1.
  AffineExpr random(std::mt19937_64 &generator, int depth) {
    if (depth == 0 || generator() % 6 == 0)
      return generator() % 3 ? symbol(static_cast<unsigned>(generator() % 3)) : number(static_cast<int64_t>(generator() % 9) - 4);
    AffineExpr a = random(generator, depth - 1), b = random(generator, depth - 1);
    switch (generator() % 6) {
    case 0:
    case 1: return a + b;
    case 2: return a - b;
    case 3: return a * b;
    default: break;
    }
    AffineExpr divisor = number(static_cast<int64_t>(1 + generator() % 6));
    if (generator() % 3 == 0)
      divisor = symbol(static_cast<unsigned>(generator() % 3)) * divisor;
    static const AffineExprKind kinds[] = {AffineExprKind::FloorDiv, AffineExprKind::CeilDiv, AffineExprKind::Mod};
    return mlir::getAffineBinaryOpExpr(kinds[generator() % 3], a, divisor);
  }

  static __int128 evaluate(AffineExpr expr, const int64_t *values) {
    if (auto constant = llvm::dyn_cast<mlir::AffineConstantExpr>(expr))
      return constant.getValue();
    if (auto name = llvm::dyn_cast<mlir::AffineSymbolExpr>(expr))
      return values[name.getPosition()];
    auto binary = llvm::cast<mlir::AffineBinaryOpExpr>(expr);
    __int128 a = evaluate(binary.getLHS(), values), b = evaluate(binary.getRHS(), values);
    auto floorDivide = [](__int128 x, __int128 y) { return x / y - (x % y != 0 && (x < 0) != (y < 0)); };
    switch (expr.getKind()) {
    case AffineExprKind::Add: return a + b;
    case AffineExprKind::Mul: return a * b;
    case AffineExprKind::FloorDiv: return floorDivide(a, b);
    case AffineExprKind::CeilDiv: return -floorDivide(-a, b);
    default: return a - floorDivide(a, b) * b;
    }
  }

  static std::string print(AffineExpr expr) {
    std::string text;
    llvm::raw_string_ostream(text) << expr;
    return text;
  }

  mlir::MLIRContext context;
  Symbols symbols{&context};
};
} // namespace

TEST_F(Algebra, NormalFormsKeepTheValue) {
  auto generator = test::makeGenerator();
  for (int round = 0; round < 3000; ++round) {
    AffineExpr expr = random(generator, 4), normal = normalize(expr);
    for (int k = 0; k < 4; ++k) {
      int64_t values[3];
      for (int64_t &value : values)
        value = static_cast<int64_t>(1 + generator() % 12);
      ASSERT_EQ(static_cast<int64_t>(evaluate(expr, values)), static_cast<int64_t>(evaluate(normal, values)))
          << print(expr) << " became " << print(normal) << " at " << values[0] << ", " << values[1] << ", " << values[2];
    }
  }
}

TEST_F(Algebra, NormalFormsAreStable) {
  auto generator = test::makeGenerator();
  for (int round = 0; round < 1000; ++round) {
    AffineExpr once = normalize(random(generator, 4));
    EXPECT_TRUE(areEqual(once, normalize(once))) << print(once);
  }
}

TEST_F(Algebra, EqualitiesHoldForAllValues) {
  auto generator = test::makeGenerator();
  int equal = 0;
  for (int round = 0; round < 20000; ++round) {
    AffineExpr a = random(generator, 2), b = random(generator, 2);
    std::optional<int64_t> difference = getDifference(a, b);
    if (!difference)
      continue;
    ++equal;
    int64_t values[] = {1 + static_cast<int64_t>(generator() % 9), 1 + static_cast<int64_t>(generator() % 9), 1 + static_cast<int64_t>(generator() % 9)};
    ASSERT_EQ(static_cast<int64_t>(evaluate(a, values) - evaluate(b, values)), *difference) << print(a) << " and " << print(b);
  }
  EXPECT_GT(equal, 100);
}

TEST_F(Algebra, KnownIdentities) {
  AffineExpr a = symbol(0), b = symbol(1);
  EXPECT_TRUE(areEqual((a * 768).floorDiv(768), a));
  EXPECT_TRUE(areEqual((a + 4) * 2, a * 2 + 8));
  EXPECT_TRUE(areEqual((b * a).floorDiv(b), a));
  EXPECT_TRUE(areEqual(a * b, b * a));
  EXPECT_TRUE(areEqual((a + b) * (a - b), a * a - b * b));
  EXPECT_TRUE(areEqual((a * 6 + 3).floorDiv(3), a * 2 + 1));
  EXPECT_TRUE(areEqual((a * 4) % 2, number(0)));
  EXPECT_FALSE(areEqual(a.floorDiv(2) * 2, a));
  EXPECT_FALSE(areEqual(a, b));
  EXPECT_FALSE(areEqual(a.floorDiv(2), a.ceilDiv(2)));
  EXPECT_EQ(getDifference(a + b + 3, b + a), 3);
  EXPECT_EQ(getDifference(a, b), std::nullopt);
}

TEST_F(Algebra, SignsAreNeverClaimedWrongly) {
  auto generator = test::makeGenerator();
  symbols.fresh(), symbols.fresh();
  AffineExpr content = symbols.freshSigned();
  EXPECT_FALSE(symbols.isNonNegative(content));
  int claimed = 0;
  for (int round = 0; round < 5000; ++round) {
    AffineExpr expr = random(generator, 3);
    bool dividesByContent = false;
    expr.walk([&](AffineExpr part) {
      auto binary = llvm::dyn_cast<mlir::AffineBinaryOpExpr>(part);
      bool isDivision = binary && expr.getKind() != AffineExprKind::Add && binary.getKind() != AffineExprKind::Add && binary.getKind() != AffineExprKind::Mul;
      if (isDivision)
        binary.getRHS().walk([&](AffineExpr inner) { dividesByContent |= inner == content; });
    });
    if (dividesByContent || !symbols.isNonNegative(expr))
      continue;
    ++claimed;
    for (int k = 0; k < 8; ++k) {
      int64_t values[] = {1 + static_cast<int64_t>(generator() % 9), 1 + static_cast<int64_t>(generator() % 9), static_cast<int64_t>(generator() % 19) - 9};
      if (values[2] == 0)
        continue;
      ASSERT_GE(static_cast<int64_t>(evaluate(expr, values)), 0) << print(expr) << " at " << values[0] << ", " << values[1] << ", " << values[2];
    }
  }
  EXPECT_GT(claimed, 100);
}

TEST_F(Algebra, FactsCarryOver) {
  AffineExpr a = symbols.fresh(), b = symbols.fresh();
  EXPECT_FALSE(symbols.isNonNegative(a - b));
  symbols.addFact(a - b);
  EXPECT_TRUE(symbols.isNonNegative(a - b));
  EXPECT_TRUE(symbols.isNonNegative(a - b + 3));
  EXPECT_FALSE(symbols.isNonNegative(b - a));
  EXPECT_FALSE(symbols.isNonNegative(a - b - 1));
}

TEST_F(Algebra, DimTexts) {
  llvm::StringSet<> known;
  for (const char *name : {"past", "length", "batch.size"})
    known.insert(name);
  AffineExpr past = symbols.named("past"), length = symbols.named("length");
  EXPECT_TRUE(areEqual(symbols.parseDim("past + length", known), past + length));
  EXPECT_TRUE(areEqual(symbols.parseDim(" (past+length) * 2 ", known), past * 2 + length * 2));
  EXPECT_TRUE(areEqual(symbols.parseDim("past // 2", known), past.floorDiv(2)));
  EXPECT_TRUE(areEqual(symbols.parseDim("past / 2", known), past.floorDiv(2)));
  EXPECT_TRUE(areEqual(symbols.parseDim("length % 4 - 1", known), length % 4 - 1));
  EXPECT_EQ(symbols.parseDim("past", known), past);
  EXPECT_EQ(symbols.parseDim("batch.size", known), symbols.named("batch.size"));
}

TEST_F(Algebra, DimTextsThatAreNoExpressionAreNames) {
  llvm::StringSet<> known;
  known.insert("n");
  symbols.named("n");
  for (const char *text : {"n + unknown", "n +", "(n", "n)", "n / 0", "n % 0", "99999999999999999999 * n", "a b", "n ** 2", "+", "()"}) {
    AffineExpr first = symbols.parseDim(text, known);
    ASSERT_TRUE(llvm::isa<mlir::AffineSymbolExpr>(first)) << text;
    EXPECT_EQ(first, symbols.parseDim(text, known)) << text;
    EXPECT_NE(first, symbols.named("n")) << text;
  }
}

TEST_F(Algebra, AnonymousDimsAreAllDifferent) {
  llvm::StringSet<> known;
  for (const char *text : {"", " ", "?", "None", "-1", "unk__7"}) {
    EXPECT_TRUE(Symbols::isAnonymous(text)) << text;
    EXPECT_NE(symbols.parseDim(text, known), symbols.parseDim(text, known)) << text;
  }
  EXPECT_FALSE(Symbols::isAnonymous("unk__"));
  EXPECT_FALSE(Symbols::isAnonymous("unk__a"));
  EXPECT_TRUE(Symbols::isName("batch"));
  EXPECT_FALSE(Symbols::isName("2n"));
  EXPECT_FALSE(Symbols::isName("a+b"));
}

/// Each text in a process of its own: a stack that runs out ends it.
TEST_F(Algebra, LongDimTextsDoNotExhaustTheStack) {
  std::string product = "n", sum = "n";
  for (int k = 0; k < 20000; ++k) {
    product += "*n";
    sum += "+" + std::to_string(k) + "*n//7";
  }
  const std::pair<const char *, std::string> texts[] = {{"open parentheses", std::string(100000, '(')},
                                                        {"nested parentheses", std::string(100000, '(') + "n" + std::string(100000, ')')},
                                                        {"a long product", product},
                                                        {"a long sum", sum}};
  for (const auto &[what, text] : texts) {
    SCOPED_TRACE(what);
    auto parse = [&, &content = text] {
      alarm(20);
      llvm::StringSet<> known;
      known.insert("n");
      symbols.named("n");
      _exit(symbols.parseDim(content, known) ? 0 : 1);
    };
    EXPECT_EXIT(parse(), testing::ExitedWithCode(0), "");
  }
}
