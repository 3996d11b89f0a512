// onager-opt: runs passes over textual IR, for tests and for looking at one step of the compiler.
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "dialects/Kernel/Transforms/Passes.h"
#include "lib/Conversion/GraphToKernel/Passes.h"
#include "lib/Conversion/KernelToVector/Passes.h"
#include "lib/Conversion/VectorToLLVM/VectorToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

/// Registers the dialects that are live at any stage of the compiler.
static void registerDialects(DialectRegistry &registry) {
  registry.insert<onager::graph::GraphDialect, onager::kernel::KernelDialect, arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
                  LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, scf::SCFDialect, ub::UBDialect, vector::VectorDialect>();
}

/// Registers our passes, by the tables of Passes.td.
static void registerOwnPasses() {
  onager::graph::registerGraphPasses();
  onager::kernel::registerKernelPasses();
  onager::registerGraphToKernelPasses();
  onager::registerKernelToVectorPasses();
  onager::registerVectorToLLVMPasses();
}

/// Registers the upstream passes that the compiler's stages use.
static void registerUpstreamPasses() {
  registerCanonicalizerPass();
  registerCSEPass();
  registerSymbolDCEPass();
  arith::registerArithExpandOpsPass();
  registerArithToLLVMConversionPass();
  registerConvertControlFlowToLLVMPass();
  registerConvertFuncToLLVMPass();
  registerConvertIndexToLLVMPass();
  registerConvertMathToLLVMPass();
  registerConvertVectorToLLVMPass();
  registerReconcileUnrealizedCastsPass();
  registerSCFToControlFlowPass();
  registerUBToLLVMConversionPass();
}

/// Registers the stages that are one function each.
static void registerStages() {
  PassPipelineRegistration<>("graph-stage", "The passes of the graph stage", [](OpPassManager &passes) { onager::graph::addGraphStage(passes, /*exact=*/false); });
  PassPipelineRegistration<>("llvm-stage", "The passes of the llvm stage", [](OpPassManager &passes) { onager::addVectorToLLVM(passes); });
}

int main(int argc, char **argv) {
  DialectRegistry registry;
  registerDialects(registry);
  registerOwnPasses();
  registerUpstreamPasses();
  registerStages();
  return asMainReturnCode(MlirOptMain(argc, argv, "Onager's pass driver\n", registry));
}
