// The symbol table of a model: names from dim_param texts, and what is known about signs.
#include "lib/Import/OnnxToGraph/Symbols.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace onager::frontend {

AffineExpr Symbols::fresh() {
  names.emplace_back();
  isSigned.push_back(false);
  return getAffineSymbolExpr(names.size() - 1, context);
}

AffineExpr Symbols::freshSigned() {
  AffineExpr symbol = fresh();
  isSigned.back() = true;
  return symbol;
}

/// Texts longer than this are taken for names: expressions are walked by recursion, and no exporter writes such.
static constexpr size_t kLongestExpression = 1024;

bool Symbols::fix(StringRef name, int64_t extent) { return fixed.try_emplace(name, extent).first->second == extent; }

AffineExpr Symbols::named(StringRef name) {
  if (auto number = fixed.find(name); number != fixed.end())
    return getAffineConstantExpr(number->second, context);
  auto [it, isNew] = byName.try_emplace(name, names.size());
  if (isNew) {
    fresh();
    names.back() = name.str();
  }
  return getAffineSymbolExpr(it->second, context);
}

bool Symbols::isAnonymous(StringRef text) {
  text = text.trim();
  if (text.empty() || text == "?" || text == "None" || text == "-1")
    return true;
  return text.consume_front("unk__") && !text.empty() && llvm::all_of(text, llvm::isDigit);
}

static bool isNameChar(char c) { return llvm::isAlnum(c) || c == '_' || c == '.' || c == ':' || c == '@'; }

bool Symbols::isName(StringRef text) {
  text = text.trim();
  return !text.empty() && !llvm::isDigit(text.front()) && llvm::all_of(text, isNameChar);
}

namespace {
/// Reads sums, products and quotients of names and numbers: sum = product {(+|-) product}, product = unit {(*|/|//|%) unit}.
class DimParser {
public:
  DimParser(Symbols &symbols, StringRef text, const llvm::StringSet<> &known, MLIRContext *context)
      : symbols(symbols), text(text), known(known), context(context) {}

  /// Returns the expression, or null where the text is none.
  AffineExpr parse() {
    AffineExpr expr = parseSum(0);
    text = text.ltrim();
    return text.empty() ? expr : AffineExpr();
  }

private:
  bool consume(StringRef token) {
    text = text.ltrim();
    return text.consume_front(token);
  }

  AffineExpr parseSum(unsigned depth) {
    AffineExpr sum = parseProduct(depth);
    while (sum) {
      bool isMinus = false;
      if (!consume("+")) {
        if (!consume("-"))
          return sum;
        isMinus = true;
      }
      AffineExpr next = parseProduct(depth);
      if (!next)
        return {};
      sum = isMinus ? sum - next : sum + next;
    }
    return sum;
  }

  AffineExpr parseProduct(unsigned depth) {
    AffineExpr product = parseUnit(depth);
    while (product) {
      AffineExprKind kind;
      if (consume("*"))
        kind = AffineExprKind::Mul;
      else if (consume("//") || consume("/"))
        kind = AffineExprKind::FloorDiv;
      else if (consume("%"))
        kind = AffineExprKind::Mod;
      else
        return product;
      AffineExpr next = parseUnit(depth);
      if (!next || (kind != AffineExprKind::Mul && isa<AffineConstantExpr>(next) && cast<AffineConstantExpr>(next).getValue() <= 0))
        return {};
      product = getAffineBinaryOpExpr(kind, product, next);
    }
    return product;
  }

  AffineExpr parseUnit(unsigned depth) {
    if (depth > 32)
      return {};
    if (consume("(")) {
      AffineExpr inner = parseSum(depth + 1);
      return inner && consume(")") ? inner : AffineExpr();
    }
    int64_t number = 0;
    text = text.ltrim();
    if (!text.empty() && llvm::isDigit(text.front()))
      return text.consumeInteger(10, number) ? AffineExpr() : getAffineConstantExpr(number, context);
    StringRef name = text.take_while(isNameChar);
    if (name.empty() || !known.contains(name))
      return {};
    text = text.drop_front(name.size());
    return symbols.named(name);
  }

  Symbols &symbols;
  StringRef text;
  const llvm::StringSet<> &known;
  MLIRContext *context;
};
} // namespace

AffineExpr Symbols::parseDim(StringRef text, const llvm::StringSet<> &known) {
  text = text.trim();
  if (isAnonymous(text))
    return fresh();
  if (isName(text) || text.size() > kLongestExpression)
    return named(text);
  if (AffineExpr expr = DimParser(*this, text, known, context).parse())
    return normalize(expr);
  return named(text);
}

bool Symbols::isFactorNonNegative(AffineExpr factor) const {
  if (auto symbol = dyn_cast<AffineSymbolExpr>(factor))
    return !isSigned[symbol.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(factor))
    return constant.getValue() >= 0;
  auto binary = dyn_cast<AffineBinaryOpExpr>(factor);
  if (!binary)
    return false;
  bool isRightFine = isFactorNonNegative(binary.getRHS()) || isPlainlyNonNegative(toPolynomial(binary.getRHS()));
  if (factor.getKind() == AffineExprKind::Mod)
    return isRightFine;
  return isRightFine && isPlainlyNonNegative(toPolynomial(binary.getLHS()));
}

bool Symbols::isPlainlyNonNegative(const Polynomial &polynomial) const {
  return llvm::all_of(polynomial, [&](const auto &term) {
    return term.second >= 0 && llvm::all_of(term.first, [&](AffineExpr factor) { return isFactorNonNegative(factor); });
  });
}

bool Symbols::isNonNegative(AffineExpr expr) const {
  Polynomial polynomial = toPolynomial(expr);
  if (isPlainlyNonNegative(polynomial))
    return true;
  for (const Polynomial &fact : facts) {
    Polynomial left = polynomial;
    for (const auto &[factors, value] : fact)
      if ((left[factors] -= value) == 0)
        left.erase(factors);
    if (isPlainlyNonNegative(left))
      return true;
  }
  return false;
}

} // namespace onager::frontend
