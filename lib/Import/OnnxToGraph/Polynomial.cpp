// The normal form of shape expressions.
#include "lib/Import/OnnxToGraph/Symbols.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace onager::frontend {

/// A product of two sums with more terms than this is kept as it is.
static constexpr size_t kMaxTerms = 64;

int compareExprs(AffineExpr a, AffineExpr b) {
  if (a == b)
    return 0;
  if (a.getKind() != b.getKind())
    return a.getKind() < b.getKind() ? -1 : 1;
  if (auto constant = dyn_cast<AffineConstantExpr>(a))
    return constant.getValue() < cast<AffineConstantExpr>(b).getValue() ? -1 : 1;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(a))
    return symbol.getPosition() < cast<AffineSymbolExpr>(b).getPosition() ? -1 : 1;
  auto x = dyn_cast<AffineBinaryOpExpr>(a), y = dyn_cast<AffineBinaryOpExpr>(b);
  if (!x || !y)
    return 0;
  if (int order = compareExprs(x.getLHS(), y.getLHS()))
    return order;
  return compareExprs(x.getRHS(), y.getRHS());
}

bool FactorsLess::operator()(const Factors &a, const Factors &b) const {
  if (a.size() != b.size())
    return a.size() > b.size(); // products first, the constant last
  for (auto [x, y] : llvm::zip(a, b))
    if (int order = compareExprs(x, y))
      return order < 0;
  return false;
}

static int64_t wrapAdd(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
static int64_t wrapMul(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)); }

static void addTerm(Polynomial &sum, const Factors &factors, int64_t coefficient) {
  auto [it, isNew] = sum.try_emplace(factors, coefficient);
  if (!isNew)
    it->second = wrapAdd(it->second, coefficient);
  if (it->second == 0)
    sum.erase(it);
}

static Polynomial multiply(const Polynomial &a, const Polynomial &b) {
  Polynomial product;
  for (const auto &[x, m] : a)
    for (const auto &[y, n] : b) {
      Factors factors(x);
      factors.append(y.begin(), y.end());
      llvm::sort(factors, [](AffineExpr p, AffineExpr q) { return compareExprs(p, q) < 0; });
      addTerm(product, factors, wrapMul(m, n));
    }
  return product;
}

/// Takes the factors of `divisor` out of `factors`; false where one is missing.
static bool removeFactors(Factors &factors, const Factors &divisor) {
  for (AffineExpr factor : divisor) {
    auto it = llvm::find(factors, factor);
    if (it == factors.end())
      return false;
    factors.erase(it);
  }
  return true;
}

static Polynomial getAtom(AffineExpr expr) { return Polynomial{{Factors{expr}, 1}}; }

static std::optional<int64_t> getOnlyConstant(const Polynomial &polynomial) {
  if (polynomial.empty())
    return 0;
  if (polynomial.size() == 1 && polynomial.begin()->first.empty())
    return polynomial.begin()->second;
  return std::nullopt;
}

/// Splits a into quotient * divisor + rest, term by term. REQUIRES: the divisor has one term with a positive coefficient.
static void splitByDivisor(const Polynomial &a, const Factors &divisor, int64_t coefficient, Polynomial &quotient, Polynomial &rest) {
  for (const auto &[factors, value] : a) {
    Factors left(factors);
    if (value % coefficient == 0 && removeFactors(left, divisor))
      addTerm(quotient, left, value / coefficient);
    else
      addTerm(rest, factors, value);
  }
}

static int64_t divideConstants(AffineExprKind kind, int64_t a, int64_t b) {
  int64_t quotient = a / b, remainder = a % b;
  if (kind == AffineExprKind::Mod)
    return remainder < 0 ? remainder + b : remainder;
  if (kind == AffineExprKind::FloorDiv)
    return remainder < 0 ? quotient - 1 : quotient;
  return remainder > 0 ? quotient + 1 : quotient;
}

static AffineExpr makeDivision(AffineExprKind kind, const Polynomial &a, const Polynomial &b, MLIRContext *context) {
  return getAffineBinaryOpExpr(kind, fromPolynomial(a, context), fromPolynomial(b, context));
}

static Polynomial divide(AffineExprKind kind, const Polynomial &a, const Polynomial &b, MLIRContext *context) {
  if (b.size() != 1 || b.begin()->second <= 0)
    return a.empty() ? Polynomial() : getAtom(makeDivision(kind, a, b, context));
  const auto &[divisor, coefficient] = *b.begin();
  Polynomial quotient, rest;
  splitByDivisor(a, divisor, coefficient, quotient, rest);
  bool isModulo = kind == AffineExprKind::Mod;
  if (rest.empty())
    return isModulo ? Polynomial() : quotient;
  Polynomial last;
  std::optional<int64_t> constant = getOnlyConstant(rest);
  if (constant && divisor.empty()) {
    if (int64_t value = divideConstants(kind, *constant, coefficient))
      last[Factors()] = value;
  } else {
    last = getAtom(makeDivision(kind, rest, b, context));
  }
  if (isModulo)
    return last;
  for (const auto &[factors, value] : last)
    addTerm(quotient, factors, value);
  return quotient;
}

Polynomial toPolynomial(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() == 0 ? Polynomial() : Polynomial{{Factors(), constant.getValue()}};
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return getAtom(expr);
  Polynomial a = toPolynomial(binary.getLHS()), b = toPolynomial(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    for (const auto &[factors, value] : b)
      addTerm(a, factors, value);
    return a;
  case AffineExprKind::Mul:
    if (a.size() * b.size() > kMaxTerms)
      return getAtom(expr);
    return multiply(a, b);
  default:
    return divide(expr.getKind(), a, b, expr.getContext());
  }
}

AffineExpr fromPolynomial(const Polynomial &polynomial, MLIRContext *context) {
  AffineExpr sum = getAffineConstantExpr(0, context);
  for (const auto &[factors, value] : polynomial) {
    AffineExpr product = getAffineConstantExpr(1, context);
    for (AffineExpr factor : factors)
      product = product * factor;
    sum = sum + product * value;
  }
  return sum;
}

AffineExpr normalize(AffineExpr expr) {
  if (!expr || isa<AffineConstantExpr, AffineSymbolExpr>(expr))
    return expr;
  return fromPolynomial(toPolynomial(expr), expr.getContext());
}

std::optional<int64_t> getDifference(AffineExpr a, AffineExpr b) {
  if (a == b)
    return 0;
  Polynomial difference = toPolynomial(a);
  for (const auto &[factors, value] : toPolynomial(b))
    addTerm(difference, factors, wrapMul(value, -1));
  return getOnlyConstant(difference);
}

bool areEqual(AffineExpr a, AffineExpr b) { return getDifference(a, b) == 0; }

} // namespace onager::frontend
