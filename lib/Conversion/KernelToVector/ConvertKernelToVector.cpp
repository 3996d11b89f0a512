// kernel.unit -> func.func of loops; the program -> @onager_main. Test: convert-kernel-to-vector.mlir
#include "lib/Conversion/KernelToVector/Columns.h"
#include "lib/Conversion/KernelToVector/DriverEmitter.h"
#include "lib/Conversion/KernelToVector/Passes.h"
#include "lib/Conversion/KernelToVector/ReduceRows.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#define DEBUG_TYPE "convert-kernel-to-vector"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTKERNELTOVECTOR
#include "lib/Conversion/KernelToVector/Passes.h.inc"

static void emitBody(UnitEmitter &e) {
  using kernel::Hero;
  switch (e.unit.getHero()) {
  case Hero::concat:
    return emitConcat(e);
  case Hero::scatter:
    return emitScatter(e);
  case Hero::recurrent:
    return emitRecurrent(e);
  case Hero::scan:
    return emitScan(e);
  case Hero::col2im:
    return emitCol2Im(e);
  case Hero::arg_reduce:
    return emitArgReduce(e);
  case Hero::softmax:
  case Hero::normalize:
    return e.options.exact ? emitMap(e) : reducesColumns(e.unit) ? emitColumns(e) : emitRows(e);
  case Hero::reduce:
    return e.options.exact ? emitMap(e) : reducesColumns(e.unit) ? emitColumns(e) : reducesRows(e.unit) ? emitReduceRows(e) : emitMap(e);
  case Hero::gemm:
    return emitGemm(e);
  case Hero::matmul:
    return emitMatmul(e);
  case Hero::dot_rows:
    return emitDotRows(e);
  case Hero::block_gemm:
    return emitBlockGemm(e);
  case Hero::attention:
    return emitAttention(e);
  case Hero::conv:
    return e.options.exact ? emitMap(e) : emitConv(e);
  case Hero::winograd:
    return emitWinograd(e);
  case Hero::packed_conv:
    return emitPackedConv(e);
  case Hero::bf16x3_conv:
    return emitBf16x3Conv(e);
  case Hero::sparse_pack:
    return emitSparsePack(e);
  case Hero::sparse_gemm:
    return emitSparseGemm(e);
  case Hero::sparse_conv:
    return emitSparseConv(e);
  case Hero::int8_conv:
    return emitInt8Conv(e);
  case Hero::int8_depthwise:
    return emitInt8Depthwise(e);
  case Hero::int8_gemm:
  case Hero::bf16_gemm:
    return emitInt8Gemm(e);
  case Hero::amx_gemm:
  case Hero::amx_bf16_gemm:
    return emitAmxGemm(e);
  case Hero::depthwise:
    return e.options.exact ? emitMap(e) : emitDepthwise(e);
  case Hero::pointwise_depthwise:
    return emitPointwiseDepthwise(e);
  case Hero::pool:
    return e.options.exact ? emitMap(e) : emitPool(e);
  case Hero::pool_indices:
    return e.options.exact ? emitMap(e) : emitPoolIndices(e);
  case Hero::resize:
    return e.options.exact ? emitMap(e) : emitResizeRows(e);
  default:
    return emitMap(e);
  }
}

void emitUnit(kernel::UnitOp unit, const EmitOptions &options, SmallVectorImpl<std::string> &errors) {
  MLIRContext *context = unit.getContext();
  OpBuilder b(unit);
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = b.getI64Type(), i32 = b.getI32Type();
  std::string name = unit.getSymName().str();
  unit.setSymName((name + ".unit").c_str());
  auto function = func::FuncOp::create(b, unit.getLoc(), name, b.getFunctionType({pointer, pointer, i64, i64}, {i32}));
  function->setAttr("passthrough", b.getArrayAttr({b.getStringAttr("noinline")}));
  function->setAttr("llvm.linkage", LLVM::LinkageAttr::get(context, LLVM::Linkage::Internal));
  for (StringRef attr : {"items", "operations", "grain", "marks_scratch"})
    if (Attribute value = unit->getAttr(attr))
      function->setAttr(attr, value);
  UnitEmitter e(unit, function, options);
  e.errors = &errors;
  emitBody(e);
  e.finish();
}

namespace {
struct ConvertKernelToVector : impl::ConvertKernelToVectorBase<ConvertKernelToVector> {
  using ConvertKernelToVectorBase::ConvertKernelToVectorBase;
  void runOnOperation() override {
    ModuleOp module = getOperation();
    EmitOptions options = makeEmitOptions(exact, vectorBytes);
    SmallVector<std::string> errors;
    SmallVector<kernel::UnitOp> units(module.getOps<kernel::UnitOp>());
    ScopedDiagnosticHandler watch(&getContext(), [&](Diagnostic &diagnostic) {
      sawError |= diagnostic.getSeverity() == DiagnosticSeverity::Error;
      return failure();
    });
    for (kernel::UnitOp unit : units)
      emitUnit(unit, options, errors);
    if (auto main = module.lookupSymbol<func::FuncOp>("main")) {
      if (failed(DriverEmitter(module, main, vectorBytes, errors).run()))
        return signalPassFailure();
      main.erase();
    }
    for (kernel::UnitOp unit : units)
      unit.erase();
    SmallVector<StringRef> messages(errors.begin(), errors.end());
    module->setAttr("kernel.errors", OpBuilder(&getContext()).getStrArrayAttr(messages));
    if (sawError)
      signalPassFailure();
  }
  bool sawError = false;
};
} // namespace
} // namespace onager
