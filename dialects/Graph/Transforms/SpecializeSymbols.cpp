// Symbols of @main -> numbers, multiples of new symbols, other symbols; values of inputs -> constants. Test: graph-specialize-symbols.mlir
//
// 1. The guard's atoms give each symbol an expression and a range, and elements of inputs their values.
// 2. In program order, what is known now is evaluated: elements of small tensors, definitions and bindings, which give their symbols an expression as well, and
//    conditions, whose branch takes the place of the graph.if.
// 3. One walk replaces symbols in all types and expressions, and tensors that are known become constants.
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Evaluate.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/MapVector.h"
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

/// Evaluates a function in program order.
class Resolver {
public:
  explicit Resolver(Knowledge &known) : known(known), elements([&known](AffineExpr expr) { return known.replace(expr); }) {}

  /// Takes elements of inputs from what is known of their symbols.
  void addInputs(func::FuncOp main) {
    llvm::MapVector<unsigned, Elements> inputs;
    for (const InputElement &value : getInputElements(main)) {
      Elements &list = inputs[value.input];
      list.resize(cast<RankedTensorType>(main.getArgument(value.input).getType()).getNumElements());
      list[value.element] = getConstant(known.exprs[value.symbol]);
    }
    for (auto &[input, list] : inputs)
      elements.set(main.getArgument(input), std::move(list));
  }

  void resolve(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      elements.run(&op);
      if (auto define = dyn_cast<DefineOp>(op))
        resolveDefinition(define);
      else if (auto bind = dyn_cast<BindOp>(op))
        resolveBinding(bind);
      else if (auto branches = dyn_cast<IfOp>(op); branches && elements.getAll(branches.getCondition()))
        takeBranch(branches);
      else
        for (Region &region : op.getRegions())
          resolve(region.front());
    }
  }

  /// Puts constants in the place of what is known, but for index tensors and what the function returns.
  void replaceValues(func::FuncOp main) {
    elements.forEachKnown([&](Value value, ArrayRef<int64_t> list) {
      Operation *op = value.getDefiningOp();
      auto isReplaced = [&](OpOperand &use) { return use.getOwner() != main.getBody().front().getTerminator(); };
      if ((op && isa<ConstantOp, IndexTensorOp>(op)) || llvm::none_of(value.getUses(), isReplaced))
        return;
      OpBuilder b(&main.getBody().front(), main.getBody().front().begin());
      auto type = makeTensor(llvm::map_to_vector(getDims(value), [&](AffineExpr dim) { return known.replace(dim); }), cast<RankedTensorType>(value.getType()).getElementType());
      SmallVector<char> bytes;
      unsigned width = getElementBytes(type.getElementType());
      for (int64_t element : list)
        bytes.append(reinterpret_cast<const char *>(&element), reinterpret_cast<const char *>(&element) + width);
      value.replaceUsesWithIf(ConstantOp::create(b, op ? op->getLoc() : main.getLoc(), type, makeConstant(type, bytes, "v")), isReplaced);
    });
  }

  int64_t numBranches = 0;

private:
  void resolveDefinition(DefineOp define) {
    AffineExpr expr = known.resolve(define);
    if (!expr)
      return;
    known.exprs[define.getSymbol()] = expr;
    define.erase();
  }

  void resolveBinding(BindOp bind) {
    const Elements *list = elements.find(bind.getSource());
    if (!list)
      return;
    for (auto [k, element] : llvm::enumerate(*list))
      if (element)
        known.exprs[bind.getFirst() + k] = getAffineConstantExpr(*element, bind.getContext());
    if (elements.getAll(bind.getSource()))
      bind.erase();
  }

  void takeBranch(IfOp op) {
    bool isThen = (*elements.getAll(op.getCondition()))[0] != 0;
    Block &branch = (isThen ? op.getThenRegion() : op.getElseRegion()).front();
    resolve(branch);
    for (auto [symbol, expr] : llvm::zip(op.getSymbols(), (isThen ? op.getThenExprs() : op.getElseExprs()).getResults()))
      known.exprs[symbol] = known.replace(expr);
    Operation *yield = branch.getTerminator();
    OpBuilder b(yield);
    for (auto [result, value] : llvm::zip(op.getResults(), yield->getOperands())) {
      // What the types say is the same once symbols are replaced.
      Value same = result.getType() == value.getType() ? value : Value(ReshapeOp::create(b, op.getLoc(), result.getType(), value));
      if (const Elements *list = elements.find(value))
        elements.set(same, Elements(*list));
      result.replaceAllUsesWith(same);
    }
    yield->erase();
    op->getBlock()->getOperations().splice(op->getIterator(), branch.getOperations());
    op.erase();
    ++numBranches;
  }

  Knowledge &known;
  Evaluator elements;
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
    Resolver resolver(known);
    resolver.addInputs(main);
    resolver.resolve(main.getBody().front());
    numBranches += resolver.numBranches;
    resolver.replaceValues(main);
    if (!substitute(main, known)) {
      main.emitError("guard '") << guard << "': a dim would be negative";
      return signalPassFailure();
    }
    if (!dropRequirements(main))
      return signalPassFailure();
    annotate(main, conditions, multiples);
  }

  /// Reads the guard and checks that the inputs bind what it names.
  bool read(func::FuncOp main, rt::Guard &conditions, std::string &error) {
    std::vector<std::string> names = getSymbolNames(main);
    if (!readGuard(main, guard, conditions, error))
      return false;
    llvm::DenseSet<unsigned> bound;
    for (const InputElement &value : getInputElements(main))
      bound.insert(value.symbol);
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
    size_t count = getSymbolNames(main).size();
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

  /// False where a dim of a tensor has become a negative number.
  bool substitute(func::FuncOp main, const Knowledge &known) {
    auto replaceAll = [&](AffineMap map) {
      SmallVector<AffineExpr> exprs;
      for (AffineExpr expr : map.getResults())
        exprs.push_back(known.replace(expr));
      return exprs;
    };
    bool isSound = true;
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](RankedTensorType type) -> AttrTypeReplacer::ReplaceFnResult<Type> {
      auto map = dyn_cast_or_null<AffineMapAttr>(type.getEncoding());
      if (!map)
        return {{Type(type), WalkResult::skip()}};
      SmallVector<AffineExpr> dims = replaceAll(map.getValue());
      bool isTensor = llvm::none_of(dims, [](AffineExpr dim) { return getConstant(dim).value_or(0) < 0; });
      isSound &= isTensor;
      return {{isTensor ? Type(makeTensor(dims, type.getElementType())) : Type(type), WalkResult::skip()}};
    });
    replacer.addReplacement([&](AffineMapAttr map) -> AttrTypeReplacer::ReplaceFnResult<Attribute> {
      bool isShape = map.getValue().getNumDims() == 0;
      return {{isShape ? Attribute(makeExprs(&getContext(), replaceAll(map.getValue()))) : Attribute(map), WalkResult::skip()}};
    });
    replacer.recursivelyReplaceElementsIn(main, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
    return isSound;
  }

  /// Removes requirements that hold. Fails where every run would be refused; what stands in a branch or a loop may not be reached.
  bool dropRequirements(func::FuncOp main) {
    SmallVector<RequireOp> met;
    for (RequireOp require : main.getBody().front().getOps<RequireOp>()) {
      std::optional<int64_t> a = getConstant(require.getExprs().getResult(0)), b = getConstant(require.getExprs().getResult(1));
      if (!a || !b || *a == *b)
        continue;
      main.emitError("guard '") << guard << "': every run would be refused: " << require.getMessage() << ": " << *a << " and " << *b << " differ";
      return false;
    }
    main.walk([&](RequireOp require) {
      if (require.getExprs().getResult(0) == require.getExprs().getResult(1))
        met.push_back(require);
    });
    for (RequireOp require : met)
      require.erase();
    return true;
  }

  void annotate(func::FuncOp main, const rt::Guard &conditions, ArrayRef<int64_t> multiples) {
    Builder b(&getContext());
    std::vector<std::string> names = getSymbolNames(main);
    names.resize(names.size() + multiples.size() / 3);
    main->setAttr("graph.symbols", b.getStrArrayAttr(SmallVector<StringRef>(names.begin(), names.end())));
    setGuard(main, conditions);
    main->setAttr("graph.multiples", b.getDenseI64ArrayAttr(multiples));
  }
};

} // namespace
} // namespace onager::graph
