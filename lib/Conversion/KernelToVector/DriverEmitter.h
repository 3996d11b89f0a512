// Emits the program's driver: the function that each thread of a gang runs from the first launch to the last.
//
// Every thread keeps its own copy of the symbols, on its stack, and computes its share of each launch's work items; so threads agree on
// shapes and control flow without talking. What only one may do (growing blocks, copies of values through control flow, most kernels of
// runtime/ops) thread 0 does, between barriers.
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_DRIVEREMITTER_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_DRIVEREMITTER_H

#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace onager {

class DriverEmitter {
public:
  DriverEmitter(mlir::ModuleOp module, mlir::func::FuncOp program, unsigned vectorBytes, llvm::SmallVectorImpl<std::string> &errors);
  /// Makes the driver from the planned program. Returns failure after an error was reported.
  mlir::LogicalResult run();

private:
  using Exprs = llvm::ArrayRef<mlir::AffineExpr>;
  // values
  mlir::Value c(int64_t value);
  mlir::Value field(mlir::Value base, int64_t offset, mlir::Type type);
  mlir::Value element(mlir::Value base, mlir::Value index, mlir::Type type);
  /// Stack memory of the driver, allocated once at its entry.
  mlir::Value stackBuffer(int64_t bytes);
  /// `overflows`, where given, is set to whether a product or sum is beyond 64 bits, or to what it was; it stays null where none can be.
  mlir::Value evaluate(mlir::AffineExpr expr, mlir::Value *overflows = nullptr);
  /// Bytes of a block, of all threads' parts; -1 where there cannot be so many.
  mlir::Value getBlockBytes(int64_t buffer);
  void setSymbol(int64_t symbol, mlir::Value value);
  mlir::Value getSymbol(int64_t symbol);
  /// Where the buffer begins, for this thread.
  mlir::Value bufferPointer(int64_t buffer);
  mlir::Value bufferBase(int64_t buffer);
  /// Bytes that each thread has of a buffer that all have a part of.
  mlir::Value getThreadBytes(int64_t buffer);
  mlir::Value loadScalar(int64_t buffer, mlir::Type element, int64_t index);
  kernel::BufferAttr buffer(int64_t number) { return mlir::cast<kernel::BufferAttr>(buffers[number]); }
  // actions
  void barrier();
  void onFirstThread(llvm::function_ref<void()> body);
  void grow(llvm::ArrayRef<int64_t> numbers);
  void growTo(int64_t number, mlir::Value bytes);
  /// True while no launch has failed.
  mlir::Value isHealthy();
  /// The count, or 0 after a failure: sizes of buffers can no longer be trusted then.
  mlir::Value ifHealthy(mlir::Value count);
  void copy(int64_t target, int64_t source, mlir::Value bytes);
  void fail(mlir::Value condition, llvm::StringRef message);
  void reportStatus(mlir::Value code);
  void stamp(mlir::Operation *op, int64_t which);
  // operations
  void emitBlock(mlir::Block &block);
  void emitOp(mlir::Operation *op);
  void emitLaunch(kernel::LaunchOp op);
  mlir::Value runUnit(kernel::LaunchOp op, mlir::func::FuncOp unit, mlir::Value items);
  /// Says in this thread's scratch memory, of a unit that marks what it holds, that it holds nothing.
  void clearMark(int64_t scratch, mlir::Value items);
  /// The call of a unit on this thread's share of its items; of the runtime's function that shares them out as threads become free.
  mlir::Value runOwnShare(mlir::func::FuncOp unit, mlir::Value items);
  mlir::Value runShares(kernel::LaunchOp op, mlir::func::FuncOp unit, mlir::Value items);
  /// The runtime's function that shares items out, or null where there is one thread or the runtime has none.
  mlir::Value findShareFunction();
  void emitBind(graph::BindOp op);
  void emitDefine(graph::DefineOp op);
  void emitCall(graph::CallOp op);
  /// Calls the kernel on this thread; `bound` is where it leaves the symbols that it binds.
  void emitKernel(graph::CallOp op, mlir::Value bound);
  mlir::LLVM::LLVMFuncOp getKernel(llvm::StringRef kernel);
  mlir::Value emitViews(mlir::ValueRange tensors, llvm::ArrayRef<int64_t> numbers, bool capacity, graph::CallOp op);
  void emitIf(graph::IfOp op);
  void emitBranch(graph::IfOp op, mlir::Region &region, mlir::AffineMap exprs);
  void emitLoop(graph::LoopOp op);
  void emitIteration(graph::LoopOp op, mlir::Value iteration, mlir::Value condition);
  void finishIteration(graph::LoopOp op, mlir::Value iteration);
  void finishLoop(graph::LoopOp op, mlir::Value iterations);
  void layOutWeights();

  mlir::ModuleOp module;
  mlir::func::FuncOp program;
  unsigned vectorBytes;
  mlir::ImplicitLocOpBuilder b;
  llvm::SmallVectorImpl<std::string> &errors;
  llvm::ArrayRef<mlir::Attribute> buffers;
  llvm::SmallVector<int64_t> weightOffsets;
  llvm::SmallVector<bool> isOwnWeight; ///< by weight index: of a variant, not of its generic form
  mlir::Value runPointer, thread, threads, symbols, arguments, host, share;
  mlir::Block *entry = nullptr;
  int64_t launches = 0;
};

} // namespace onager

#endif
