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

/// Returns the guard that batches are of one, as far as the limits allow it.
static rt::Guard guessBatch(const std::vector<std::string> &names, const rt::Guard &limits) {
  rt::Guard guess;
  std::string ignored;
  for (const auto &[symbol, name] : llvm::enumerate(names))
    if (rt::Guard one{{rt::Atom::Equal, symbol, 1, 0}}; isBatch(name) && rt::clip(one, limits, names, ignored))
      guess.insert(guess.end(), one.begin(), one.end());
  return guess;
}

/// Reads guards that an option gives. Those that hold for all runs are empty.
static bool readGuards(Pipeline &pipeline, const char *option, const std::vector<std::string> &texts, const rt::Guard &limits, SmallVectorImpl<rt::Guard> &guards) {
  std::string error;
  return llvm::all_of(texts, [&](const std::string &text) {
    bool isRead = graph::readGuard(getMain(pipeline), text, guards.emplace_back(), error) && rt::clip(guards.back(), limits, graph::getSymbolNames(getMain(pipeline)), error);
    return isRead || refuse(pipeline, option, text, error);
  });
}

/// Writes a guard with names where these can be read back.
static std::string printGuard(const rt::Guard &guard, const std::vector<std::string> &names) {
  rt::Guard back;
  std::string text = rt::print(guard, names), error;
  return rt::parseGuard(text, names, back, error) && back == guard ? text : rt::print(guard, {});
}

bool listVariants(Pipeline &pipeline, std::vector<std::string> &guards) {
  const CompileOptions &options = pipeline.options;
  std::vector<std::string> names = graph::getSymbolNames(getMain(pipeline));
  rt::Guard limits;
  std::string ignored;
  if (!options.dims.empty())
    rt::parseGuard(llvm::join(options.dims, ","), names, limits, ignored); // limitSymbols has read them without an error
  SmallVector<rt::Guard> hints, wanted;
  if (!readGuards(pipeline, "likely", options.likely, limits, hints))
    return false;
  for (const std::string &text : options.variants) {
    if (text == "auto") {
      wanted.append(hints);
      if (hints.empty())
        wanted.push_back(guessBatch(names, limits));
    } else if (!readGuards(pipeline, "variant", {text}, limits, wanted)) {
      return false;
    } else if (wanted.back().empty()) {
      return refuse(pipeline, "variant", text, "every run fulfils it" + (limits.empty() ? "" : ", within the limits " + rt::print(limits, names)));
    }
  }
  llvm::erase_if(wanted, [](const rt::Guard &guard) { return guard.empty(); });
  for (const rt::Guard &guard : wanted)
    if (std::string text = printGuard(guard, names); !llvm::is_contained(guards, text))
      guards.push_back(text);
  return true;
}

} // namespace onager
