// Guards as attributes.
#include "dialects/Graph/Transforms/Guards.h"

using namespace mlir;

namespace onager::graph {

static constexpr llvm::StringLiteral kGuardAttr = "graph.guard", kValuesAttr = "graph.values";

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

SmallVector<InputElement> getInputElements(func::FuncOp main) {
  SmallVector<InputElement> elements;
  if (auto values = main->getAttrOfType<DenseI64ArrayAttr>(kValuesAttr))
    for (ArrayRef<int64_t> rest = values.asArrayRef(); !rest.empty(); rest = rest.drop_front(3))
      elements.push_back({static_cast<unsigned>(rest[0]), static_cast<unsigned>(rest[1]), static_cast<unsigned>(rest[2])});
  return elements;
}

void setInputElements(func::FuncOp main, ArrayRef<InputElement> elements) {
  SmallVector<int64_t> values;
  for (const InputElement &one : elements)
    values.append({one.symbol, one.input, one.element});
  main->setAttr(kValuesAttr, DenseI64ArrayAttr::get(main.getContext(), values));
}

bool readGuard(func::FuncOp main, const std::string &text, rt::Guard &guard, std::string &error) {
  if (rt::parseGuard(text, getSymbolNames(main), guard, error))
    return true;
  for (unsigned k = 0; k < main.getNumArguments(); ++k) {
    auto name = main.getArgAttrOfType<StringAttr>(k, "graph.name");
    if (!name || (error != "unknown symbol '" + name.str() + "'" && !StringRef(error).starts_with("unknown symbol '" + name.str() + "[")))
      continue;
    auto isOf = [&](const InputElement &one) { return one.input == k; };
    size_t count = llvm::count_if(getInputElements(main), isOf);
    error = count ? "input '" + name.str() + "' has " + std::to_string(count) + " elements" : "input '" + name.str() + "' decides no shape and no branch, so that its values make no variant";
  }
  return false;
}

std::vector<std::string> getSymbolNames(func::FuncOp main) {
  std::vector<std::string> names;
  if (auto symbols = main->getAttrOfType<ArrayAttr>("graph.symbols"))
    for (auto name : symbols.getAsRange<StringAttr>())
      names.push_back(name.str());
  return names;
}

} // namespace onager::graph
