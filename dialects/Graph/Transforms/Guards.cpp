// Guards as attributes.
#include "dialects/Graph/Transforms/Guards.h"

using namespace mlir;

namespace onager::graph {

static constexpr llvm::StringLiteral kGuardAttr = "graph.guard";

rt::Guard getGuard(func::FuncOp main) {
  rt::Guard guard;
  if (auto atoms = main->getAttrOfType<DenseI64ArrayAttr>(kGuardAttr))
    for (ArrayRef<int64_t> rest = atoms.asArrayRef(); !rest.empty(); rest = rest.drop_front(4))
      guard.push_back({static_cast<uint64_t>(rest[0]), static_cast<uint64_t>(rest[1]), rest[2], rest[3]});
  return guard;
}

void setGuard(func::FuncOp main, const rt::Guard &guard) {
  SmallVector<int64_t> atoms;
  for (const rt::Atom &atom : guard)
    atoms.append({static_cast<int64_t>(atom.kind), static_cast<int64_t>(atom.symbol), atom.a, atom.b});
  main->setAttr(kGuardAttr, DenseI64ArrayAttr::get(main.getContext(), atoms));
}

std::vector<std::string> getSymbolNames(func::FuncOp main) {
  std::vector<std::string> names;
  for (auto name : main->getAttrOfType<ArrayAttr>("graph.symbols").getAsRange<StringAttr>())
    names.push_back(name.str());
  return names;
}

} // namespace onager::graph
