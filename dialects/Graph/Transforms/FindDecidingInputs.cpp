// Inputs whose values decide shapes or branches get symbols for their elements. Test: graph-find-deciding-inputs.mlir
//
//   func @main(%x, %k: tensor<1xi64> {graph.name = "k"})      graph.symbols = ["n", ""]
//     graph.bind %k {first = 1}
//   ->                                                        graph.symbols = ["n", "", "k[0]"], graph.values = array<i64: 2, 1, 0>
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Evaluate.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "runtime/core/manifest.h"
#include "llvm/ADT/SmallBitVector.h"

#define DEBUG_TYPE "graph-find-deciding-inputs"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFINDDECIDINGINPUTS
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Elements of all inputs that may have symbols: what a run reads of its inputs to choose its code is bounded.
constexpr size_t kMostElements = 32;

/// The numbers of the inputs from which something follows, with the inputs' shapes and constants.
using Sources = llvm::SmallBitVector;

/// Follows what a variant could evaluate, in program order.
class Search {
public:
  explicit Search(func::FuncOp main) : deciding(main.getNumArguments()) {
    for (BlockArgument argument : main.getArguments()) {
      for (AffineExpr dim : getDims(argument))
        forEachSymbol(dim, [&](unsigned symbol) { symbols.try_emplace(symbol, main.getNumArguments()); });
      if (isCandidate(main, argument))
        values.try_emplace(argument, Sources(main.getNumArguments())).first->second.set(argument.getArgNumber());
    }
    visit(main.getBody().front());
  }

  Sources deciding;

private:
  static bool isCandidate(func::FuncOp main, BlockArgument argument) {
    auto type = cast<RankedTensorType>(argument.getType());
    return isCountable(type.getElementType()) && type.hasStaticShape() && type.getNumElements() > 0 && type.getNumElements() <= static_cast<int64_t>(rt::ValueInfo::kMostElements) &&
           !main.getArgAttr(argument.getArgNumber(), "graph.string");
  }

  /// The inputs that expressions follow from; none where one of their symbols is known only while running.
  std::optional<Sources> find(AffineMap exprs) const {
    std::optional<Sources> sources = Sources(deciding.size());
    for (AffineExpr expr : exprs.getResults())
      forEachSymbol(expr, [&](unsigned symbol) {
        auto found = symbols.find(symbol);
        if (found == symbols.end())
          sources.reset();
        else if (sources)
          *sources |= found->second;
      });
    return sources;
  }

  std::optional<Sources> find(ValueRange operands) const {
    Sources sources(deciding.size());
    for (Value operand : operands) {
      auto found = values.find(operand);
      if (found == values.end())
        return std::nullopt;
      sources |= found->second;
    }
    return sources;
  }

  void visit(Block &block) {
    for (Operation &op : block) {
      if (auto define = dyn_cast<DefineOp>(op))
        bind(define.getSymbol(), find(define.getExprs()));
      else if (auto binding = dyn_cast<BindOp>(op))
        visitBinding(binding);
      else if (auto branches = dyn_cast<IfOp>(op))
        visitBranches(branches);
      else if (isEvaluable(&op))
        visitEvaluable(&op);
      else
        for (Region &region : op.getRegions())
          visit(region.front());
    }
  }

  void visitEvaluable(Operation *op) {
    std::optional<Sources> sources = find(op->getOperands());
    if (auto tensor = dyn_cast<IndexTensorOp>(op))
      sources = find(tensor.getExprs());
    if (sources)
      values.try_emplace(op->getResult(0), *sources);
  }

  void visitBinding(BindOp op) {
    std::optional<Sources> sources = find(op->getOperands());
    if (sources)
      deciding |= *sources;
    for (int64_t k = 0, count = cast<RankedTensorType>(op.getSource().getType()).getNumElements(); k < count; ++k)
      bind(op.getFirst() + k, sources);
  }

  void visitBranches(IfOp op) {
    std::optional<Sources> sources = find(op->getOperands());
    if (sources)
      deciding |= *sources;
    visit(op.getThenRegion().front());
    visit(op.getElseRegion().front());
    if (!sources)
      return;
    for (auto [k, symbol] : llvm::enumerate(op.getSymbols()))
      bind(symbol, join(*sources, find(AffineMap::get(0, op.getThenExprs().getNumSymbols(), op.getThenExprs().getResult(k))),
                        find(AffineMap::get(0, op.getElseExprs().getNumSymbols(), op.getElseExprs().getResult(k)))));
    for (auto [result, a, b] : llvm::zip(op.getResults(), op.getThenRegion().front().getTerminator()->getOperands(), op.getElseRegion().front().getTerminator()->getOperands()))
      if (std::optional<Sources> joined = join(*sources, find(a), find(b)))
        values.try_emplace(result, *joined);
  }

  static std::optional<Sources> join(Sources sources, const std::optional<Sources> &a, const std::optional<Sources> &b) {
    if (!a || !b)
      return std::nullopt;
    sources |= *a;
    sources |= *b;
    return sources;
  }

  void bind(unsigned symbol, const std::optional<Sources> &sources) {
    if (sources)
      symbols.try_emplace(symbol, *sources);
  }

  llvm::DenseMap<Value, Sources> values;
  llvm::DenseMap<unsigned, Sources> symbols;
};

struct GraphFindDecidingInputs : impl::GraphFindDecidingInputsBase<GraphFindDecidingInputs> {
  void runOnOperation() override {
    func::FuncOp main = getOperation();
    if (main.getName() != "main")
      return;
    Sources deciding = Search(main).deciding;
    std::vector<std::string> names = getSymbolNames(main);
    SmallVector<InputElement> elements;
    for (int input : deciding.set_bits()) {
      auto count = static_cast<size_t>(cast<RankedTensorType>(main.getArgument(input).getType()).getNumElements());
      if (elements.size() + count > kMostElements)
        continue;
      for (unsigned k = 0; k < count; ++k) {
        elements.push_back({static_cast<unsigned>(names.size()), static_cast<unsigned>(input), k});
        std::string name = rt::nameValue(main.getArgAttrOfType<StringAttr>(input, "graph.name").str(), k);
        names.push_back(llvm::is_contained(names, name) ? "" : name);
      }
      ++numInputs;
    }
    if (elements.empty())
      return;
    setInputElements(main, elements);
    main->setAttr("graph.symbols", Builder(main).getStrArrayAttr(SmallVector<StringRef>(names.begin(), names.end())));
  }
};

} // namespace
} // namespace onager::graph
