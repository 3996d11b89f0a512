// One definition of what inner kernels have in common: internal, never inlined, found by name; see SharedFunction.h.
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace onager {

/// Iterations that are worth a vector, and of loops that LLVM does not unroll whole.
static constexpr int64_t kFewestOfVector = 8, kFewestOfLoop = 48;

func::FuncOp getSharedFunction(UnitEmitter &e, StringRef name, TypeRange types, function_ref<void(Block *)> build) {
  auto module = e.function->getParentOfType<ModuleOp>();
  if (auto found = module.lookupSymbol<func::FuncOp>(name))
    return found;
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(module.getBody());
  auto function = func::FuncOp::create(e.b, name, e.b.getFunctionType(types, {}));
  function->setAttr("passthrough", e.b.getArrayAttr({e.b.getStringAttr("noinline")}));
  function->setAttr("llvm.linkage", LLVM::LinkageAttr::get(e.b.getContext(), LLVM::Linkage::Internal));
  build(function.addEntryBlock());
  return function;
}

void forbidUnrolling(scf::ForOp loop) {
  MLIRContext *context = loop.getContext();
  auto have = loop->getAttrOfType<LLVM::LoopAnnotationAttr>("loop_annotation");
  auto unroll = LLVM::LoopUnrollAttr::get(context, BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  loop->setAttr("loop_annotation", LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, have ? have.getParallelAccesses() : ArrayRef<LLVM::AccessGroupAttr>()));
}

scf::ForOp getLoop(Value iv) { return cast<scf::ForOp>(iv.getParentBlock()->getParentOp()); }

void keepForVectors(scf::ForOp loop) {
  std::optional<int64_t> from = getConstantIntValue(loop.getLowerBound()), to = getConstantIntValue(loop.getUpperBound());
  if (from && to && *to - *from >= kFewestOfVector && *to - *from < kFewestOfLoop)
    forbidUnrolling(loop);
}

} // namespace onager
