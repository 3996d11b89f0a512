// Weights that are computed at compile time: packed, folded, converted ones.
#ifndef ONAGER_PIPELINE_CONSTANTUNITS_H
#define ONAGER_PIPELINE_CONSTANTUNITS_H

#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <memory>
#include <string>

namespace llvm::orc {
class LLJIT;
}

namespace onager {

/// Runs the units of constant launches in this process, so that one backend computes weights and inferences alike.
class ConstantUnits {
public:
  ConstantUnits();
  ~ConstantUnits();
  /// Takes the units that only constant launches use out of a planned module and compiles them for this machine. `vectorBytes` is what their
  /// work was counted for: that of the artifact's target. `needed`: the only units that will be run; null for all.
  bool compile(mlir::ModuleOp module, unsigned vectorBytes, int optLevel, const llvm::StringSet<> *needed, std::string &error);
  /// Computes a weight; `bytes` lie in `storage` or in the constant that the weight is. REQUIRES: compile succeeded.
  bool compute(mlir::ArrayAttr weights, int64_t index, llvm::SmallVectorImpl<char> &storage, llvm::ArrayRef<char> &bytes, std::string &error);
  /// Streams the stored weights in order of their offsets. REQUIRES: compile succeeded and the driver laid out the weights.
  bool stream(mlir::ArrayAttr weights, llvm::ArrayRef<int64_t> offsets, llvm::function_ref<bool(llvm::ArrayRef<char>)> sink, std::string &error);

private:
  std::unique_ptr<llvm::orc::LLJIT> jit;
  mlir::OwningOpRef<mlir::ModuleOp> units;
  llvm::StringMap<int64_t> items, scratchBytes;
  llvm::StringMap<llvm::SmallVector<int64_t>> resultBytes;
};

} // namespace onager

#endif
