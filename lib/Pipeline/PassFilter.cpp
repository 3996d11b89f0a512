// Passes and rewrites are actions of MLIR, whose handler may leave them out.
#include "lib/Pipeline/PassFilter.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Rewrite/PatternApplicator.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace onager {

llvm::ArrayRef<llvm::StringRef> getOptionalPasses() {
  static constexpr llvm::StringRef names[] = {"cse",
                                              "graph-simplify",
                                              "graph-fold-scatter",
                                              "graph-fold-pad",
                                              "graph-fold-slice",
                                              "graph-hoist-quantize",
                                              "graph-raise-int8",
                                              "graph-raise-block-matmul",
                                              "graph-expand-conv-transpose",
                                              "graph-reduce-strength",
                                              "graph-raise-normalize",
                                              "graph-raise-softmax",
                                              "graph-raise-gelu",
                                              "graph-raise-swish",
                                              "graph-fold-scale",
                                              "graph-flatten-conv",
                                              "graph-drop-padded-taps",
                                              "graph-split-pool",
                                              "graph-split-reduce",
                                              "graph-widen-floats",
                                              "graph-raise-attention",
                                              kFuseUnits,
                                              "convert-contraction-to-int8",
                                              "convert-contraction-to-bf16",
                                              "convert-contraction-to-sparse",
                                              "convert-block-matmul",
                                              "convert-matmul-to-dot-rows",
                                              "convert-matmul-to-gemm",
                                              "convert-conv-to-winograd",
                                              "convert-conv-to-bf16x3",
                                              "convert-conv-to-packed",
                                              "graph-mark-past",
                                              "kernel-collapse-dims",
                                              "kernel-fuse-depthwise",
                                              "kernel-deduplicate-units"};
  return names;
}

bool filtersPasses(const CompileOptions &options) { return !options.skippedPasses.empty() || options.passLimit >= 0; }

PassFilter::PassFilter(const CompileOptions &options, CompileResult &result, llvm::ArrayRef<llvm::StringRef> names) : options(options), result(result), names(names) {}

void PassFilter::install(MLIRContext &context) {
  context.registerActionHandler([this](llvm::function_ref<void()> run, const tracing::Action &action) { handle(run, action); });
}

bool PassFilter::admit(llvm::StringRef name, llvm::StringRef place) {
  result.passes.push_back(name.str() + (place.empty() ? "" : " @" + place.str()));
  auto count = static_cast<int64_t>(result.passes.size());
  bool isSkipped = llvm::is_contained(options.skippedPasses, name) || (options.passLimit >= 0 && count > options.passLimit);
  if (name == kFuseUnits)
    fuses = !isSkipped;
  // What the conversions to other forms compute is emitted within fused units alone.
  isSkipped |= !fuses && name.starts_with("convert-");
  if (isSkipped)
    result.skipped.push_back(result.passes.back());
  return !isSkipped;
}

/// The name of the operation that an action is about, where it has one.
static llvm::StringRef getPlace(const tracing::Action &action) {
  for (const IRUnit &unit : action.getContextIRUnits())
    if (auto *op = llvm::dyn_cast_if_present<Operation *>(unit))
      if (auto name = op->getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName()))
        return name.getValue();
  return "";
}

/// What a rewrite is, for people: its name without namespaces and the operation's location.
static std::string describe(const tracing::Action &action) {
  std::string text;
  llvm::raw_string_ostream out(text);
  action.print(out);
  llvm::StringRef name = llvm::StringRef(text).rsplit(' ').second;
  std::string shown = name.substr(name.rfind(':') + 1).rtrim(")}'").str();
  for (const IRUnit &unit : action.getContextIRUnits())
    if (auto *op = llvm::dyn_cast_if_present<Operation *>(unit)) {
      std::string place;
      llvm::raw_string_ostream(place) << op->getLoc();
      return shown + " at " + op->getName().getStringRef().str() + " " + place;
    }
  return shown;
}

bool PassFilter::admitRewrite(const tracing::Action &action) {
  if (options.rewriteLimit >= 0 && static_cast<int64_t>(result.rewrites) >= options.rewriteLimit)
    return false;
  if (static_cast<int64_t>(++result.rewrites) == options.rewriteLimit)
    result.lastRewrite = describe(action);
  return true;
}

void PassFilter::handle(llvm::function_ref<void()> run, const tracing::Action &action) {
  if (const auto *execution = llvm::dyn_cast<PassExecutionAction>(&action)) {
    llvm::StringRef name = execution->getPass().getArgument();
    if (!llvm::is_contained(names, name))
      return run();
    llvm::StringRef place = getPlace(action);
    bool isAdmitted = admit(name, place == "main" ? "" : place);
    isLast = static_cast<int64_t>(result.passes.size()) == options.passLimit;
    if (isAdmitted)
      run();
    isLast = false;
    return;
  }
  if (!isLast || !llvm::isa<ApplyPatternAction>(action) || admitRewrite(action))
    run();
}

} // namespace onager
