// Functions and lines get the names of ONNX nodes. Test: name-nodes.mlir
//
//   llvm.call @unit0(...) loc("conv1")        llvm.call @onnx_conv1(...)  line 1
//   llvm.func internal @unit0            ->   llvm.func internal @onnx_conv1, with a subprogram named "conv1"
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/BinaryFormat/Dwarf.h"

#define DEBUG_TYPE "name-nodes"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_NAMENODES
#include "lib/Conversion/VectorToLLVM/Passes.h.inc"

/// The names in a location, in order, each once.
static SmallVector<StringAttr> getNodes(Location loc) {
  SmallVector<StringAttr> names;
  loc->walk([&](Location part) {
    if (auto named = dyn_cast<NameLoc>(part); named && !llvm::is_contained(names, named.getName()))
      names.push_back(named.getName());
    return WalkResult::advance();
  });
  return names;
}

namespace {

/// Names of nodes as a symbol, kept apart from each other and from C's by a prefix and numbers.
class SymbolNames {
public:
  std::string add(ArrayRef<StringAttr> nodes, size_t moreCalls) {
    constexpr size_t kLongest = 96;
    std::string symbol = "onnx";
    for (StringAttr node : nodes) {
      symbol += symbol == "onnx" ? "_" : "__";
      for (char c : node.getValue())
        symbol += llvm::isAlnum(c) ? c : '_';
    }
    if (symbol.size() > kLongest)
      symbol.resize(kLongest);
    if (moreCalls)
      symbol += "_and_" + std::to_string(moreCalls) + "_more";
    std::string unique = symbol;
    for (unsigned k = 2; !used.insert(unique).second; ++k)
      unique = symbol + "_" + std::to_string(k);
    return unique;
  }

private:
  llvm::StringSet<> used;
};

struct NameNodes : impl::NameNodesBase<NameNodes> {
  using NameNodesBase::NameNodesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::MapVector<StringAttr, SmallVector<Location>> calls;
    module.walk([&](LLVM::CallOp call) {
      number(call.getLoc());
      if (call.getCalleeAttr() && !getNodes(call.getLoc()).empty() && call->getParentOfType<LLVM::LLVMFuncOp>().getName() == "onager_main")
        calls[call.getCalleeAttr().getAttr()].push_back(call.getLoc());
    });
    rename(module, calls);
    describe(module);
  }

private:
  /// Gives the nodes of a location the next lines.
  void number(Location loc) {
    for (StringAttr node : getNodes(loc))
      lines.try_emplace(node, lines.size() + 1);
  }

  void rename(ModuleOp module, const llvm::MapVector<StringAttr, SmallVector<Location>> &calls) {
    SymbolNames symbols;
    llvm::DenseMap<StringAttr, StringAttr> renamed;
    for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
      auto found = calls.find(function.getSymNameAttr());
      if (found == calls.end() || function.isExternal())
        continue;
      auto fresh = StringAttr::get(&getContext(), symbols.add(getNodes(found->second.front()), found->second.size() - 1));
      firstCalls.try_emplace(fresh, found->second.front());
      renamed[function.getSymNameAttr()] = fresh;
      function.setSymNameAttr(fresh);
      ++namedFunctions;
    }
    module.walk([&](LLVM::CallOp call) {
      if (FlatSymbolRefAttr callee = call.getCalleeAttr())
        if (StringAttr fresh = renamed.lookup(callee.getAttr()))
          call.setCalleeAttr(FlatSymbolRefAttr::get(fresh));
    });
    module.walk([&](LLVM::AddressOfOp address) {
      if (StringAttr fresh = renamed.lookup(address.getGlobalNameAttr().getAttr()))
        address.setGlobalNameAttr(FlatSymbolRefAttr::get(fresh));
    });
  }

  static std::string joinNodes(Location loc) {
    std::string text;
    for (StringAttr node : getNodes(loc))
      text += (text.empty() ? "" : " ") + node.str();
    return text;
  }

  /// Attaches a subprogram to each function and a line to each operation.
  void describe(ModuleOp module) {
    MLIRContext *context = &getContext();
    auto file = LLVM::DIFileAttr::get(context, model, "");
    auto unit = LLVM::DICompileUnitAttr::get(DistinctAttr::create(UnitAttr::get(context)), llvm::dwarf::DW_LANG_C, file, StringAttr::get(context, "onager"),
                                             /*isOptimized=*/true, LLVM::DIEmissionKind::LineTablesOnly);
    auto type = LLVM::DISubroutineTypeAttr::get(context, {});
    for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
      if (function.isExternal())
        continue;
      StringAttr symbol = function.getSymNameAttr();
      auto call = firstCalls.find(symbol);
      std::string title = call == firstCalls.end() ? "" : joinNodes(call->second);
      unsigned line = getLine(call == firstCalls.end() ? function.getLoc() : call->second, 1);
      auto program = LLVM::DISubprogramAttr::get(context, DistinctAttr::create(UnitAttr::get(context)), unit, file,
                                                 title.empty() ? symbol : StringAttr::get(context, title), symbol, file, line, line,
                                                 LLVM::DISubprogramFlags::Definition | LLVM::DISubprogramFlags::Optimized, type, {}, {});
      auto place = [&](unsigned at) { return FileLineColLoc::get(context, model, at, 0); };
      function.walk([&](Operation *op) {
        if (op != function)
          op->setLoc(place(getLine(op->getLoc(), line)));
      });
      function->setLoc(FusedLoc::get({place(line)}, program, context));
    }
  }

  /// The line of a location's first node.
  unsigned getLine(Location loc, unsigned otherwise) {
    number(loc);
    SmallVector<StringAttr> nodes = getNodes(loc);
    return nodes.empty() ? otherwise : static_cast<unsigned>(lines.lookup(nodes.front()));
  }

  llvm::MapVector<StringAttr, size_t> lines;
  llvm::DenseMap<StringAttr, Location> firstCalls; ///< of the functions that were renamed
};

} // namespace
} // namespace onager
