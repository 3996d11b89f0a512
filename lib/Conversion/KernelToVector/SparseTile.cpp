// One function per number of vectors and module, internal and never inlined, so that layers share it:
//   for each output
//     sums = 0, or what the run before left
//     for each weight of the output's list        sums[v] += spread(weight) * panel[index][v]
#include "lib/Conversion/KernelToVector/SparseTile.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "dialects/Kernel/IR/Sparse.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

/// Narrow vectors leave registers for half of the sums.
static int64_t getMostVectors(const TargetInfo &target) { return target.vectorBytes >= 32 ? kernel::kSparseVectors : kernel::kSparseVectors / 2; }

int64_t getSparseRows(const TargetInfo &target) { return getMostVectors(target) * kLanes; }

int64_t SparseWeights::getBlocks() const { return llvm::divideCeil(outputs, kSparseOutputs); }
int64_t SparseWeights::getProducts() const { return cast<RankedTensorType>(values.getType()).getNumElements(); }

namespace {

struct SparseTileBuilder {
  ImplicitLocOpBuilder b;
  int64_t vectors, pitch;
  bool accumulates;
  Block *entry;

  enum Argument { kPanel, kSums, kStarts, kOutputs, kIndices, kValues };

  VectorType lanes() { return VectorType::get({kLanes}, b.getF32Type()); }
  Value c(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }
  Value at(Type element, Value base, Value offset) {
    return LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), element, base, ArrayRef<LLVM::GEPArg>{offset});
  }
  /// Vector `v` of row `number` of the panel or the sums.
  Value vectorAt(Argument base, Value number, int64_t v) {
    return at(b.getF32Type(), entry->getArgument(base), arith::AddIOp::create(b, arith::MulIOp::create(b, number, c(pitch)), c(v * kLanes)));
  }
  /// Loads entry `k` of a list.
  Value entryOf(Argument list, Type element, Value k) { return LLVM::LoadOp::create(b, element, at(element, entry->getArgument(list), k)); }

  /// The sums after one more weight.
  SmallVector<Value> advance(Value k, ValueRange sums) {
    Value index = arith::ExtUIOp::create(b, b.getI64Type(), entryOf(kIndices, b.getI16Type(), k));
    Value weight = vector::BroadcastOp::create(b, lanes(), entryOf(kValues, b.getF32Type(), k));
    SmallVector<Value> next;
    for (int64_t v = 0; v < vectors; ++v)
      next.push_back(vector::FMAOp::create(b, weight, LLVM::LoadOp::create(b, lanes(), vectorAt(kPanel, index, v), 4), sums[v]));
    return next;
  }

  void sumOutput(Value output) {
    SmallVector<Value> sums;
    for (int64_t v = 0; v < vectors; ++v)
      sums.push_back(accumulates ? LLVM::LoadOp::create(b, lanes(), vectorAt(kSums, output, v), 4).getResult() : arith::ConstantOp::create(b, b.getZeroAttr(lanes())).getResult());
    auto start = [&](Value number) -> Value { return arith::ExtSIOp::create(b, b.getI64Type(), entryOf(kStarts, b.getI32Type(), number)); };
    auto loop = scf::ForOp::create(b, start(output), start(arith::AddIOp::create(b, output, c(1))), c(1), sums);
    forbidUnrolling(loop);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(b, advance(loop.getInductionVar(), loop.getRegionIterArgs()));
    }
    for (int64_t v = 0; v < vectors; ++v)
      LLVM::StoreOp::create(b, loop.getResult(v), vectorAt(kSums, output, v), 4);
  }

  void build() {
    b.setInsertionPointToStart(entry);
    auto outputs = scf::ForOp::create(b, c(0), entry->getArgument(kOutputs), c(1));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(outputs.getBody());
      sumOutput(outputs.getInductionVar());
    }
    func::ReturnOp::create(b);
  }
};

func::FuncOp getSparseTile(UnitEmitter &e, int64_t vectors, bool accumulates) {
  std::string name = "sparse_f32_" + std::to_string(vectors * kLanes) + (accumulates ? "_added" : "");
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  return getSharedFunction(e, name, {ptr, ptr, ptr, i64, ptr, ptr}, [&](Block *entry) {
    SparseTileBuilder{ImplicitLocOpBuilder(e.b.getLoc(), e.b), vectors, getSparseRows(e.options.target), accumulates, entry}.build();
  });
}

} // namespace

void emitSparseSums(UnitEmitter &e, const SparseWeights &w, Value panel, Value rows, Value firstOutput, Value outputs, Value sums) {
  Type f32 = e.b.getF32Type();
  Value indices = e.getBuffer(w.indices), values = e.getBuffer(w.values), starts = e.getBuffer(w.starts);
  auto emitRun = [&](int64_t vectors, Value run) {
    Value rowsOfRun = e.address(f32, panel, e.mul(run, e.i64(kernel::kSparseRun * getSparseRows(e.options.target))));
    Value startsOfRun = e.address(e.b.getI32Type(), starts, e.add(e.mul(run, e.i64(w.outputs + 1)), firstOutput));
    bool isFirst = run == e.i64(0);
    func::CallOp::create(e.b, getSparseTile(e, vectors, !isFirst), ValueRange{rowsOfRun, sums, startsOfRun, outputs, indices, values});
  };
  int64_t runs = kernel::getSparseRuns(w.depth);
  std::function<void(int64_t)> emitVectors = [&](int64_t vectors) {
    auto emitRuns = [&] {
      emitRun(vectors, e.i64(0));
      if (runs > 1)
        e.forEach(e.i64(1), e.i64(runs), 1, [&](Value run) { emitRun(vectors, run); });
    };
    if (vectors == 1)
      return emitRuns();
    e.ifElse(e.compare("sgt", rows, e.i64((vectors - 1) * kLanes)), emitRuns, [&] { emitVectors(vectors - 1); });
  };
  emitVectors(getMostVectors(e.options.target));
}

} // namespace onager
