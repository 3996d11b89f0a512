// Symbols of @main -> numbers, multiples of new symbols, other symbols. Test: graph-specialize-symbols.mlir
//
// 1. The guard's atoms give each symbol an expression and a range.
// 2. Definitions are evaluated in program order; those that are known give their symbol an expression as well.
// 3. One walk replaces symbols in all types and expressions.
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/Support/MathExtras.h"

#define DEBUG_TYPE "graph-specialize-symbols"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHSPECIALIZESYMBOLS
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Values that an expression may have; kUnbounded where nothing is known. Bounds beyond 2^40 count as unknown, so that sums and products are exact.
struct Interval {
  static constexpr int64_t kUnbounded = int64_t(1) << 40;
  int64_t least = -kUnbounded, most = kUnbounded;
};

Interval clamp(int64_t least, int64_t most) { return {std::max(least, -Interval::kUnbounded), std::min(most, Interval::kUnbounded)}; }

/// What is known of the symbols of a function.
struct Knowledge {
  SmallVector<AffineExpr> exprs;    ///< by symbol; the symbol itself where nothing is known
  SmallVector<Interval> intervals;  ///< of the symbols that are left

  AffineExpr replace(AffineExpr expr) const { return simplifyAffineExpr(expr.replaceSymbols(exprs), 0, exprs.size()); }

  Interval getInterval(AffineExpr expr) const {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return clamp(constant.getValue(), constant.getValue());
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      return intervals[symbol.getPosition()];
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary)
      return {};
    Interval left = getInterval(binary.getLHS()), right = getInterval(binary.getRHS());
    if (expr.getKind() == AffineExprKind::Add)
      return clamp(left.least == -Interval::kUnbounded || right.least == -Interval::kUnbounded ? -Interval::kUnbounded : left.least + right.least,
                   left.most == Interval::kUnbounded || right.most == Interval::kUnbounded ? Interval::kUnbounded : left.most + right.most);
    if (expr.getKind() == AffineExprKind::Mul && right.least == right.most && right.least > 0 && right.least < (1 << 20))
      return clamp(left.least == -Interval::kUnbounded ? -Interval::kUnbounded : left.least * right.least,
                   left.most == Interval::kUnbounded ? Interval::kUnbounded : left.most * right.least);
    return {};
  }

  /// The expression that equals a definition; null where it is not known which.
  AffineExpr resolve(DefineOp define) const {
    SmallVector<AffineExpr> x;
    for (AffineExpr expr : define.getExprs().getResults())
      x.push_back(replace(expr));
    switch (define.getKind()) {
    case DefineKind::max:
    case DefineKind::min:
      return resolveExtreme(x, define.getKind() == DefineKind::max);
    case DefineKind::broadcast:
      return choose(x[0], getAffineConstantExpr(1, x[0].getContext()), x[1], x[0]);
    case DefineKind::select_equal:
      return choose(x[0], x[1], x[2], x[3]);
    case DefineKind::trunc_div: {
      std::optional<int64_t> a = getConstant(x[0]), y = getConstant(x[1]);
      return a && y ? getAffineConstantExpr(*y == 0 || (*y == -1 && *a == INT64_MIN) ? 0 : *a / *y, x[0].getContext()) : AffineExpr();
    }
    }
    return {};
  }

  /// `a == y ? equal : other`, where it is known.
  AffineExpr choose(AffineExpr a, AffineExpr y, AffineExpr equal, AffineExpr other) const {
    if (a == y || equal == other)
      return equal;
    Interval left = getInterval(a), right = getInterval(y);
    return left.least > right.most || right.least > left.most ? other : AffineExpr();
  }

  AffineExpr resolveExtreme(ArrayRef<AffineExpr> x, bool isMax) const {
    AffineExpr best = x[0];
    for (AffineExpr other : x.drop_front()) {
      Interval left = getInterval(best), right = getInterval(other);
      bool isLeft = isMax ? left.least >= right.most : left.most <= right.least, isRight = isMax ? right.least >= left.most : right.most <= left.least;
      if (best != other && !isLeft && !isRight)
        return {};
      best = isLeft || best == other ? best : other;
    }
    return best;
  }
};

struct GraphSpecializeSymbols : impl::GraphSpecializeSymbolsBase<GraphSpecializeSymbols> {
  using GraphSpecializeSymbolsBase::GraphSpecializeSymbolsBase;

  void runOnOperation() override {
    func::FuncOp main = getOperation();
    if (main.getName() != "main")
      return;
    rt::Guard conditions;
    std::string error;
    if (!read(main, conditions, error)) {
      main.emitError("guard '") << guard << "': " << error;
      return signalPassFailure();
    }
    SmallVector<int64_t> multiples;
    Knowledge known = assume(main, conditions, multiples);
    resolveDefinitions(main, known);
    substitute(main, known);
    dropRequirements(main);
    annotate(main, conditions, multiples);
  }

  /// Reads the guard and checks that the inputs bind what it names.
  bool read(func::FuncOp main, rt::Guard &conditions, std::string &error) {
    std::vector<std::string> names = getSymbolNames(main);
    if (!rt::parseGuard(guard, names, conditions, error))
      return false;
    llvm::DenseSet<unsigned> bound;
    for (Type type : main.getArgumentTypes())
      for (AffineExpr dim : getDims(type))
        forEachSymbol(dim, [&](unsigned symbol) { bound.insert(symbol); });
    for (const rt::Atom &atom : conditions)
      for (uint64_t symbol : {atom.symbol, atom.kind == rt::Atom::Same ? static_cast<uint64_t>(atom.a) : atom.symbol})
        if (!bound.contains(symbol)) {
          error = "no input has symbol '" + (names[symbol].empty() ? "s" + std::to_string(symbol) : names[symbol]) + "'";
          return false;
        }
    return true;
  }

  /// Turns the guard into what is known of each symbol; adds the symbols of multiples.
  Knowledge assume(func::FuncOp main, const rt::Guard &conditions, SmallVectorImpl<int64_t> &multiples) {
    MLIRContext *context = &getContext();
    size_t count = main->getAttrOfType<ArrayAttr>("graph.symbols").size();
    Knowledge known;
    for (size_t k = 0; k < count; ++k)
      known.exprs.push_back(getAffineSymbolExpr(k, context));
    known.intervals.resize(count);
    for (Type type : main.getArgumentTypes())
      for (AffineExpr dim : getDims(type))
        if (auto symbol = dyn_cast<AffineSymbolExpr>(dim))
          known.intervals[symbol.getPosition()].least = 0;
    // What every input fulfils anyway.
    for (const rt::Atom &atom : getGuard(main))
      if (atom.kind == rt::Atom::Range)
        known.intervals[atom.symbol] = clamp(std::max(atom.a, known.intervals[atom.symbol].least), atom.b);
    for (const rt::Atom &atom : conditions) {
      if (atom.kind == rt::Atom::Equal)
        known.exprs[atom.symbol] = getAffineConstantExpr(atom.a, context);
      if (atom.kind == rt::Atom::Range)
        known.intervals[atom.symbol] = clamp(std::max(atom.a, known.intervals[atom.symbol].least), std::min(atom.b, known.intervals[atom.symbol].most));
      if (atom.kind == rt::Atom::Divisible) {
        Interval whole = known.intervals[atom.symbol];
        known.exprs[atom.symbol] = getAffineSymbolExpr(known.exprs.size(), context) * atom.a;
        multiples.append({static_cast<int64_t>(known.exprs.size()), static_cast<int64_t>(atom.symbol), atom.a});
        known.exprs.push_back(getAffineSymbolExpr(known.exprs.size(), context));
        known.intervals.push_back(whole.least == -Interval::kUnbounded ? Interval() : Interval{llvm::divideFloorSigned(whole.least, atom.a), whole.most == Interval::kUnbounded ? whole.most : whole.most / atom.a});
      }
    }
    for (const rt::Atom &atom : conditions)
      if (atom.kind == rt::Atom::Same)
        known.exprs[atom.symbol] = getAffineSymbolExpr(atom.a, context) + atom.b;
    // A symbol may equal one that equals a third.
    for (size_t k = 0; k < conditions.size(); ++k)
      for (const rt::Atom &atom : conditions)
        if (atom.kind == rt::Atom::Same)
          known.exprs[atom.symbol] = known.replace(known.exprs[atom.symbol]);
    numSymbols += conditions.size();
    return known;
  }

  void resolveDefinitions(func::FuncOp main, Knowledge &known) {
    SmallVector<DefineOp> resolved;
    main.walk([&](DefineOp define) {
      AffineExpr expr = known.resolve(define);
      if (!expr)
        return;
      known.exprs[define.getSymbol()] = expr;
      resolved.push_back(define);
    });
    for (DefineOp define : resolved)
      define.erase();
  }

  void substitute(func::FuncOp main, const Knowledge &known) {
    auto replaceAll = [&](AffineMap map) {
      SmallVector<AffineExpr> exprs;
      for (AffineExpr expr : map.getResults())
        exprs.push_back(known.replace(expr));
      return exprs;
    };
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](RankedTensorType type) -> AttrTypeReplacer::ReplaceFnResult<Type> {
      auto map = dyn_cast_or_null<AffineMapAttr>(type.getEncoding());
      return {{map ? Type(makeTensor(replaceAll(map.getValue()), type.getElementType())) : Type(type), WalkResult::skip()}};
    });
    replacer.addReplacement([&](AffineMapAttr map) -> AttrTypeReplacer::ReplaceFnResult<Attribute> {
      bool isShape = map.getValue().getNumDims() == 0;
      return {{isShape ? Attribute(makeExprs(&getContext(), replaceAll(map.getValue()))) : Attribute(map), WalkResult::skip()}};
    });
    replacer.recursivelyReplaceElementsIn(main, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
  }

  void dropRequirements(func::FuncOp main) {
    SmallVector<RequireOp> met;
    main.walk([&](RequireOp require) {
      if (require.getExprs().getResult(0) == require.getExprs().getResult(1))
        met.push_back(require);
    });
    for (RequireOp require : met)
      require.erase();
  }

  void annotate(func::FuncOp main, const rt::Guard &conditions, ArrayRef<int64_t> multiples) {
    Builder b(&getContext());
    SmallVector<Attribute> names(main->getAttrOfType<ArrayAttr>("graph.symbols").getValue());
    names.append(multiples.size() / 3, b.getStringAttr(""));
    main->setAttr("graph.symbols", b.getArrayAttr(names));
    setGuard(main, conditions);
    main->setAttr("graph.multiples", b.getDenseI64ArrayAttr(multiples));
  }
};

} // namespace
} // namespace onager::graph
