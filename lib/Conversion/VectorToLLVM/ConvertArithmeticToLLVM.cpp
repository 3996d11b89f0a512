// The dialects that are left, all at once. Test: convert-arithmetic-to-llvm.mlir
//
//   func.func @f(%x: vector<8xf32>) -> vector<8xf32> {           llvm.func @f(%x: vector<8xf32>) -> vector<8xf32> {
//     %0 = arith.addf %x, %x : vector<8xf32>             ->        %0 = llvm.fadd %x, %x : vector<8xf32>
//     return %0 : vector<8xf32>                                    llvm.return %0 : vector<8xf32>
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#define DEBUG_TYPE "convert-arithmetic-to-llvm"

using namespace mlir;

namespace onager {
#define GEN_PASS_DEF_CONVERTARITHMETICTOLLVM
#include "lib/Conversion/VectorToLLVM/Passes.h.inc"

namespace {
struct ConvertArithmeticToLLVM : impl::ConvertArithmeticToLLVMBase<ConvertArithmeticToLLVM> {
  void runOnOperation() override {
    LLVMTypeConverter converter(&getContext());
    SymbolTableCollection symbols;
    RewritePatternSet patterns(&getContext());
    populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/false, /*force32BitVectorIndices=*/true);
    populateMathToLLVMConversionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    index::populateIndexToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns, &symbols);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);
    LLVMConversionTarget target(getContext());
    target.addIllegalDialect<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, index::IndexDialect, math::MathDialect, ub::UBDialect, vector::VectorDialect>();
    if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace onager
