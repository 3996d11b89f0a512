// Strings become their numbers in a table that each run has. Test: graph-number-strings.mlir
//
//   %0 = graph.constant dense<["b", "a"]> : tensor<2x!graph.string>    ->    %0 = graph.constant dense<[1, 2]> : tensor<2xi64>
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#define DEBUG_TYPE "graph-number-strings"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHNUMBERSTRINGS
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// The texts of a function in order of their numbers.
class Table {
public:
  Table() { number(""); }
  int64_t number(StringRef text) {
    auto [it, isNew] = numbers.try_emplace(text, static_cast<int64_t>(texts.size()));
    if (isNew)
      texts.push_back(text.str());
    return it->second;
  }
  std::vector<std::string> texts;

private:
  llvm::StringMap<int64_t> numbers;
};

RankedTensorType getNumbered(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !isa<StringType>(tensor.getElementType()))
    return {};
  return RankedTensorType::get(tensor.getShape(), IntegerType::get(type.getContext(), 64), tensor.getEncoding());
}

/// Retypes a value; true where it held strings.
bool retype(Value value) {
  RankedTensorType type = getNumbered(value.getType());
  if (type)
    value.setType(type);
  return static_cast<bool>(type);
}

void numberConstant(ConstantOp constant, Table &table) {
  auto strings = dyn_cast<DenseStringElementsAttr>(constant.getValue());
  if (!strings)
    return;
  SmallVector<int64_t> numbers;
  for (StringRef text : strings.getValues<StringRef>())
    numbers.push_back(table.number(text));
  auto type = RankedTensorType::get(strings.getType().getShape(), IntegerType::get(constant.getContext(), 64));
  constant.setValueAttr(DenseElementsAttr::get(type, ArrayRef<int64_t>(numbers)));
}

struct GraphNumberStrings : impl::GraphNumberStringsBase<GraphNumberStrings> {
  void runOnOperation() override {
    func::FuncOp main = getOperation();
    if (main.getName() != "main")
      return;
    Table table;
    bool hasStrings = false;
    auto mark = UnitAttr::get(&getContext());
    for (auto [k, type] : llvm::enumerate(main.getArgumentTypes()))
      if (getNumbered(type))
        main.setArgAttr(k, "graph.string", mark);
    for (auto [k, type] : llvm::enumerate(main.getResultTypes()))
      if (getNumbered(type))
        main.setResultAttr(k, "graph.string", mark);
    main.walk([&](Operation *op) {
      if (auto constant = dyn_cast<ConstantOp>(op))
        numberConstant(constant, table);
      for (Value result : op->getResults())
        hasStrings |= retype(result);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            hasStrings |= retype(argument);
    });
    if (!hasStrings)
      return;
    Block &body = main.getBody().front();
    main.setType(FunctionType::get(&getContext(), body.getArgumentTypes(), body.getTerminator()->getOperandTypes()));
    SmallVector<Attribute> texts;
    for (const std::string &text : table.texts)
      texts.push_back(StringAttr::get(&getContext(), text));
    main->setAttr("graph.strings", ArrayAttr::get(&getContext(), texts));
    numStrings += texts.size();
  }
};

} // namespace
} // namespace onager::graph
