// The symbols of a model under import and what is known about expressions of them.
//
// Expressions are kept in a normal form: a sum of monomials with integer coefficients, whose factors are symbols or quotients and
// remainders that do not simplify. Two expressions are equal where the difference of their normal forms is empty:
//   (s0 * 768) floordiv 768 == s0        (s0 + 4) * 2 == 2 * s0 + 8        (s1 * s0) floordiv s1 == s0
// A symbol is taken to be at least 0 unless it was made by freshSigned; `facts` holds further expressions known to be at least 0.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_SYMBOLS_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_SYMBOLS_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace onager::frontend {

/// A sum of monomials; the key is the sorted list of factors, the empty list the constant term.
using Factors = llvm::SmallVector<mlir::AffineExpr, 4>;
struct FactorsLess {
  bool operator()(const Factors &a, const Factors &b) const;
};
using Polynomial = std::map<Factors, int64_t, FactorsLess>;

/// Orders expressions by structure, the same in every run.
int compareExprs(mlir::AffineExpr a, mlir::AffineExpr b);
/// Returns the normal form of an expression.
Polynomial toPolynomial(mlir::AffineExpr expr);
/// Builds the expression of a normal form.
mlir::AffineExpr fromPolynomial(const Polynomial &polynomial, mlir::MLIRContext *context);
/// Rewrites an expression through its normal form.
mlir::AffineExpr normalize(mlir::AffineExpr expr);
/// Returns a - b where it is a constant.
std::optional<int64_t> getDifference(mlir::AffineExpr a, mlir::AffineExpr b);
/// True where both have the same value for all values of the symbols.
bool areEqual(mlir::AffineExpr a, mlir::AffineExpr b);

/// Names and known ranges of the symbols of one function.
class Symbols {
public:
  explicit Symbols(mlir::MLIRContext *context) : context(context) {}

  /// Makes an unnamed symbol that is never negative.
  mlir::AffineExpr fresh();
  /// Makes an unnamed symbol that may be negative (the content of a tensor).
  mlir::AffineExpr freshSigned();
  /// Returns the symbol of this name, made on first use.
  mlir::AffineExpr named(llvm::StringRef name);
  /// Lets a name stand for a number from now on; false where it stands for another one. REQUIRES: named was not called with it.
  bool fix(llvm::StringRef name, int64_t extent);
  /// Parses a dim_param: an expression where all its names are in `known`, else one name.
  mlir::AffineExpr parseDim(llvm::StringRef text, const llvm::StringSet<> &known);
  /// True for the texts that name nothing: "", "?", "None", "unk__7".
  static bool isAnonymous(llvm::StringRef text);
  /// True where the text is one name, not an expression.
  static bool isName(llvm::StringRef text);

  /// True where the expression is never negative.
  bool isNonNegative(mlir::AffineExpr expr) const;
  /// Notes that an expression is never negative.
  void addFact(mlir::AffineExpr expr) { facts.push_back(toPolynomial(expr)); }

  unsigned size() const { return names.size(); }
  const std::vector<std::string> &getNames() const { return names; }

private:
  bool isPlainlyNonNegative(const Polynomial &polynomial) const;
  bool isFactorNonNegative(mlir::AffineExpr factor) const;

  mlir::MLIRContext *context;
  std::vector<std::string> names;
  std::vector<bool> isSigned;
  llvm::StringMap<unsigned> byName;
  llvm::StringMap<int64_t> fixed;
  std::vector<Polynomial> facts;
};

} // namespace onager::frontend

#endif
