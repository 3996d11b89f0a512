// Symbols that the caller knows something of.
#include "lib/Pipeline/Dims.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "lib/Pipeline/GenericForm.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace onager {

static func::FuncOp getMain(Pipeline &pipeline) { return pipeline.module->lookupSymbol<func::FuncOp>("main"); }

static bool refuse(Pipeline &pipeline, const char *option, const std::string &text, const std::string &error) {
  return pipeline.fail(Status::badOption, std::string("option '") + option + "': '" + text + "': " + error);
}

bool limitSymbols(Pipeline &pipeline) {
  if (pipeline.options.dims.empty())
    return true;
  rt::Guard given, used, kept;
  std::string text = llvm::join(pipeline.options.dims, ","), error;
  if (!rt::parseGuard(text, graph::getSymbolNames(getMain(pipeline)), given, error))
    return refuse(pipeline, "dim", text, error);
  for (const rt::Atom &atom : given) {
    if (atom.kind == rt::Atom::Same)
      return pipeline.fail(Status::badOption, "option 'dim': expected NAME=VALUE or NAME=MIN:MAX, found a symbol");
    if (atom.kind != rt::Atom::Divisible)
      used.push_back(atom);
    if (atom.kind != rt::Atom::Equal)
      kept.push_back(atom);
  }
  if (!used.empty() && !specializeGraph(pipeline, rt::print(used, {})))
    return false;
  graph::setGuard(getMain(pipeline), kept);
  return true;
}

/// True for the names that exporters give the first dim.
static bool isBatch(StringRef name) {
  std::string lower = name.lower();
  return lower == "n" || lower == "b" || lower == "bs" || StringRef(lower).contains("batch");
}

bool listVariants(Pipeline &pipeline, std::vector<std::string> &guards) {
  for (const std::string &text : pipeline.options.variants) {
    if (text != "auto") {
      guards.push_back(text);
      continue;
    }
    guards.insert(guards.end(), pipeline.options.likely.begin(), pipeline.options.likely.end());
    std::string batches;
    for (const std::string &name : graph::getSymbolNames(getMain(pipeline)))
      if (pipeline.options.likely.empty() && isBatch(name))
        batches += (batches.empty() ? "" : ",") + name + "=1";
    if (!batches.empty())
      guards.push_back(batches);
  }
  rt::Guard guard;
  std::string error;
  return llvm::all_of(guards, [&](const std::string &text) { return graph::readGuard(getMain(pipeline), text, guard, error) || refuse(pipeline, "variant", text, error); });
}

} // namespace onager
