// launch @a, launch @b -> launch @a, launch @a where the units are equal; of equal launches on constants one stays. Test: kernel-deduplicate-units.mlir
#include "dialects/Kernel/Transforms/Passes.h"
#include "mlir/IR/Dominance.h"
#include "llvm/ADT/StringMap.h"

#define DEBUG_TYPE "kernel-deduplicate-units"

using namespace mlir;

namespace onager::kernel {
#define GEN_PASS_DEF_KERNELDEDUPLICATEUNITS
#include "dialects/Kernel/Transforms/Passes.h.inc"

/// Launches of one unit on the same constants: the weights they compute are there once.
static unsigned mergeConstantLaunches(ModuleOp module) {
  DominanceInfo dominance(module);
  llvm::DenseMap<std::pair<StringAttr, Value>, SmallVector<LaunchOp>> kept;
  SmallVector<LaunchOp> launches;
  module.walk<WalkOrder::PreOrder>([&](LaunchOp launch) {
    if (launch->hasAttr("constant") && launch->getNumOperands())
      launches.push_back(launch);
  });
  unsigned merged = 0;
  for (LaunchOp launch : launches) {
    auto &before = kept[{launch.getUnitAttr().getAttr(), launch->getOperand(0)}];
    auto same = llvm::find_if(before, [&](LaunchOp other) { return other->getOperands() == launch->getOperands() && dominance.properlyDominates(other, launch); });
    if (same == before.end()) {
      before.push_back(launch);
      continue;
    }
    launch->replaceAllUsesWith(*same);
    launch->erase();
    ++merged;
  }
  return merged;
}

namespace {
struct DeduplicateUnits : impl::KernelDeduplicateUnitsBase<DeduplicateUnits> {
  void runOnOperation() override {
    llvm::StringMap<UnitOp> first;
    llvm::StringMap<StringAttr> renamed;
    for (auto unit : llvm::make_early_inc_range(getOperation().getOps<UnitOp>())) {
      auto [entry, isNew] = first.try_emplace(describeUnit(unit), unit);
      if (isNew)
        continue;
      UnitOp kept = entry->second;
      renamed[unit.getSymName()] = kept.getSymNameAttr();
      kept->setLoc(FusedLoc::get(&getContext(), {kept.getLoc(), unit.getLoc()}));
      unit.erase();
      ++numRemoved;
    }
    getOperation().walk([&](LaunchOp launch) {
      if (auto found = renamed.find(launch.getUnit()); found != renamed.end())
        launch.setUnitAttr(FlatSymbolRefAttr::get(found->second));
    });
    numMerged += mergeConstantLaunches(getOperation());
  }
};
} // namespace
} // namespace onager::kernel
