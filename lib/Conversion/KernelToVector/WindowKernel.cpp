// Register tiles whose panels are read where they lie under sliding windows; MicroKernel.cpp has those of packed panels.
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

namespace {

struct WindowBuilder {
  ImplicitLocOpBuilder b;
  int64_t rows, panels, taps, dilation, tileWidth;
  VectorType lanes;
  Block *entry;

  Value c(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }
  Value at(Value base, Value offset) {
    return LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getF32Type(), base, ArrayRef<LLVM::GEPArg>{offset});
  }
  Value times(Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value plus(Value x, Value y) { return arith::AddIOp::create(b, x, y); }

  /// A loop over [0, count) that carries the sums and stays one.
  SmallVector<Value> forLoop(Value count, ValueRange sums, function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    auto loop = scf::ForOp::create(b, c(0), count, c(1), sums);
    forbidUnrolling(loop);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
    scf::YieldOp::create(b, next);
    return SmallVector<Value>(loop.getResults());
  }

  /// The taps of one row of windows in one channel: `number` counts them. They stay a loop: between taps that follow each other at once, LLVM's scheduler moves
  /// loads up until sums no longer fit the registers.
  SmallVector<Value> addRow(Value line, Value number, ValueRange sums) {
    Value a = entry->getArgument(0), rowStride = entry->getArgument(1), first = at(a, times(number, c(taps)));
    for (int64_t j = 0; j < panels; ++j)
      prefetch(b, at(line, c((panels + j) * kLanes)), CacheLevel::first);
    return forLoop(c(taps), sums, [&](Value tap, ValueRange carried) {
      SmallVector<Value> columns, next(carried);
      for (int64_t j = 0; j < panels; ++j)
        columns.push_back(LLVM::LoadOp::create(b, lanes, at(line, plus(times(tap, c(dilation)), c(j * kLanes))), 4));
      for (int64_t i = 0; i < rows; ++i) {
        Value scalar = LLVM::LoadOp::create(b, b.getF32Type(), at(first, plus(times(rowStride, c(i)), tap)), 4);
        Value row = vector::BroadcastOp::create(b, lanes, scalar);
        for (int64_t j = 0; j < panels; ++j)
          next[i * panels + j] = vector::FMAOp::create(b, row, columns[j], next[i * panels + j]);
      }
      return next;
    });
  }

  void build() {
    b.setInsertionPointToStart(entry);
    Value planes = entry->getArgument(2), planePitch = entry->getArgument(3), linePitch = entry->getArgument(4), tile = entry->getArgument(5);
    Value channels = entry->getArgument(6), lines = entry->getArgument(7);
    SmallVector<Value> sums(rows * panels, arith::ConstantOp::create(b, b.getZeroAttr(lanes)).getResult());
    sums = forLoop(channels, sums, [&](Value channel, ValueRange carried) {
      Value plane = at(planes, times(channel, planePitch));
      return forLoop(lines, carried, [&](Value k, ValueRange inner) { return addRow(at(plane, times(k, linePitch)), plus(times(channel, lines), k), inner); });
    });
    for (auto [number, sum] : llvm::enumerate(sums))
      LLVM::StoreOp::create(b, sum, at(tile, c(static_cast<int64_t>(number) / panels * tileWidth + static_cast<int64_t>(number) % panels * kLanes)), 4);
    func::ReturnOp::create(b);
  }
};

} // namespace

void callWindowKernel(UnitEmitter &e, int64_t rows, int64_t panels, const WindowOperands &w) {
  std::string name = "window_f32_" + std::to_string(rows) + "x" + std::to_string(panels * kLanes) + "_" + std::to_string(w.taps) + "_" + std::to_string(w.dilation);
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  func::FuncOp callee = getSharedFunction(e, name, {ptr, i64, ptr, i64, i64, ptr, i64, i64}, [&](Block *entry) {
    WindowBuilder{ImplicitLocOpBuilder(e.b.getLoc(), e.b), rows, panels, w.taps, w.dilation, w.tileWidth, VectorType::get({kLanes}, e.b.getF32Type()), entry}.build();
  });
  func::CallOp::create(e.b, callee, ValueRange{w.filter, w.filterPitch, w.planes, w.planePitch, w.linePitch, w.tile, w.channels, w.lines});
}

} // namespace onager
