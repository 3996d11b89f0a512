// One definition of what inner kernels have in common: internal, never inlined, found by name; see SharedFunction.h.
#include "lib/Conversion/KernelToVector/SharedFunction.h"

using namespace mlir;

namespace onager {

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
  auto unroll = LLVM::LoopUnrollAttr::get(context, BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  loop->setAttr("loop_annotation", LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}));
}

} // namespace onager
