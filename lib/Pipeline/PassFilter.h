// Which optional passes of a compilation run, and which rewrites of one of them: how the pass that does harm is found, and done without.
#ifndef ONAGER_PIPELINE_PASSFILTER_H
#define ONAGER_PIPELINE_PASSFILTER_H

#include "mlir/IR/Action.h"
#include "mlir/IR/MLIRContext.h"
#include "onager/Compiler.h"

namespace onager {

/// The name by which the fusing of operations into units, an option of convert-graph-to-kernel, is left out like a pass, and with it
/// all passes named convert-.
inline constexpr llvm::StringRef kFuseUnits = "fuse-units";

/// Names the passes that a model can be compiled without, in the order in which they run first.
llvm::ArrayRef<llvm::StringRef> getOptionalPasses();

/// True where the options leave out passes, or could.
bool filtersPasses(const CompileOptions &options);

/// Decides for each run of an optional pass, counted from 1 over the whole compilation, whether it takes place. A pass that works on one operation after another
/// runs once for each.
class PassFilter {
public:
  /// `names` are the optional passes. What is met and left out goes to `result`, which must outlive the object, as must the options.
  PassFilter(const CompileOptions &options, CompileResult &result, llvm::ArrayRef<llvm::StringRef> names);

  /// Has all pass managers of a context ask. The filter must outlive their runs.
  void install(mlir::MLIRContext &context);
  /// Counts a run of an optional step that is no pass; false where it is to be left out.
  bool admit(llvm::StringRef name, llvm::StringRef place = "");

private:
  void handle(llvm::function_ref<void()> run, const mlir::tracing::Action &action);
  bool admitRewrite(const mlir::tracing::Action &action);

  const CompileOptions &options;
  CompileResult &result;
  llvm::ArrayRef<llvm::StringRef> names;
  bool fuses = true;   ///< units are fused
  bool isLast = false; ///< the pass that runs is the last that the limit admits
};

} // namespace onager

#endif
