// The driver's control flow and calls into runtime/ops.
#include "lib/Conversion/KernelToVector/DriverEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "onager-rt/abi.h"
#include "runtime/images/images.h"
#include <cstddef>

using namespace mlir;

namespace onager {

static ArrayRef<int64_t> numbersOf(Operation *op, StringRef name) {
  auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name);
  return attr ? attr.asArrayRef() : ArrayRef<int64_t>();
}

static Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

/// ONNX's number of an element type.
static int64_t getDataType(Type type) {
  if (type.isF32()) return 1;
  if (type.isUnsignedInteger(8)) return 2;
  if (type.isInteger(1)) return 9;
  if (type.isF16()) return 10;
  if (type.isF64()) return 11;
  if (type.isBF16()) return 16;
  if (type.isUnsignedInteger(16)) return 4;
  if (type.isUnsignedInteger(32)) return 12;
  if (type.isUnsignedInteger(64)) return 13;
  if (type.isInteger(8)) return 3;
  if (type.isInteger(16)) return 5;
  if (type.isInteger(32)) return 6;
  return 7;
}

Value DriverEmitter::emitViews(ValueRange tensors, ArrayRef<int64_t> numbers, bool capacity, graph::CallOp op) {
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  int64_t size = sizeof(onager_view);
  Value views = stackBuffer(size * tensors.size());
  for (auto [k, tensor] : llvm::enumerate(tensors)) {
    graph::Dims dims = graph::getDims(tensor);
    Value extents = stackBuffer(8 * dims.size());
    for (auto [d, dim] : llvm::enumerate(dims)) {
      bool bound = capacity && llvm::any_of(op.getSymbols(), [&, dim = dim](int64_t symbol) { return dim.isFunctionOfSymbol(symbol); });
      LLVM::StoreOp::create(b, bound ? c(-1) : evaluate(dim), element(extents, c(d), i64));
    }
    auto put = [&](int64_t offset, Value value) { LLVM::StoreOp::create(b, value, element(views, c(size * k + offset), b.getI8Type())); };
    put(offsetof(onager_view, data), bufferPointer(numbers[k]));
    put(offsetof(onager_view, dims), extents);
    put(offsetof(onager_view, rank), arith::ConstantIntOp::create(b, i32, dims.size()));
    put(offsetof(onager_view, dtype), arith::ConstantIntOp::create(b, i32, getDataType(elementOf(tensor))));
  }
  return views;
}

/// Kernels whose work all threads share.
static bool isShared(StringRef kernel) { return llvm::is_contained({"deform", "det", "find", "gather_packed", "inverse", "topk", "trees"}, kernel); }

LLVM::LLVMFuncOp DriverEmitter::getKernel(StringRef kernel) {
  // The forms of runtime/ops for levels of processors.
  StringRef level = vectorBytes == 64 ? "_v4" : vectorBytes == 32 ? "_v3" : "_v2";
  std::string name = ((isShared(kernel) ? "onager_shared_op_" : "onager_op_") + kernel + level).str();
  if (auto callee = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return callee;
  Type ptr = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type(), i32 = b.getI32Type();
  SmallVector<Type> types = isShared(kernel) ? SmallVector<Type>{ptr, ptr, ptr, ptr, i64, i64} : SmallVector<Type>{ptr, ptr, i32, ptr, i32, ptr, ptr};
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  return LLVM::LLVMFuncOp::create(b, name, LLVM::LLVMFunctionType::get(i32, types));
}

/// Says why a kernel returns 1.
static std::string describeFailure(StringRef kernel) {
  if (kernel.starts_with("image_"))
    return "the image is damaged, has more than " + std::to_string(IMAGE_MAX_PIXELS) + " pixels, or is of a kind that is not read";
  return "values that '" + kernel.str() + "' cannot work with";
}

void DriverEmitter::emitKernel(graph::CallOp op, Value bound) {
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  Value inputs = emitViews(op.getInputs(), numbersOf(op, "operand_buffers"), false, op);
  Value outputs = emitViews(op.getResults(), numbersOf(op, "buffers"), true, op);
  Value params = stackBuffer(8 * op.getParams().size());
  for (auto [k, value] : llvm::enumerate(op.getParams()))
    LLVM::StoreOp::create(b, c(value), element(params, c(k), i64));
  auto count = [&](size_t n) { return arith::ConstantIntOp::create(b, i32, n); };
  stamp(op, 0);
  auto healthy = scf::IfOp::create(b, TypeRange{i32}, isHealthy(), true);
  auto after = b.saveInsertionPoint();
  b.setInsertionPointToStart(healthy.elseBlock());
  scf::YieldOp::create(b, ValueRange{count(0)});
  b.setInsertionPointToStart(healthy.thenBlock());
  SmallVector<Value> arguments{runPointer, inputs, outputs, params, thread, threads};
  if (!isShared(op.getKernel()))
    arguments = {runPointer, inputs, count(op.getInputs().size()), outputs, count(op.getNumResults()), params, bound};
  scf::YieldOp::create(b, LLVM::CallOp::create(b, getKernel(op.getKernel()), arguments).getResults());
  b.restoreInsertionPoint(after);
  stamp(op, 1);
  errors.push_back("node '" + graph::getNodeName(op) + "': " + describeFailure(op.getKernel()));
  Value bad = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, healthy.getResult(0), count(0));
  reportStatus(arith::SelectOp::create(b, bad, arith::ConstantIntOp::create(b, i32, errors.size()), count(0)));
}

void DriverEmitter::emitCall(graph::CallOp op) {
  Type ptr = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  ArrayRef<int64_t> results = numbersOf(op, "buffers");
  if (auto capacity = op.getCapacity()) {
    onFirstThread([&] {
      for (auto [number, expr] : llvm::zip(results, capacity->getResults()))
        if (buffer(number).getKind() == kernel::BufferKind::block)
          growTo(number, getBlockBytes(number));
    });
  } else {
    grow(results);
  }
  if (isShared(op.getKernel()))
    return emitKernel(op, {});
  Value shared = field(runPointer, offsetof(onager_run, symbols), ptr);
  onFirstThread([&] {
    Value bound = stackBuffer(8 * op.getSymbols().size());
    for (size_t k = 0; k < op.getSymbols().size(); ++k)
      LLVM::StoreOp::create(b, c(0), element(bound, c(k), i64));
    emitKernel(op, bound);
    for (auto [k, symbol] : llvm::enumerate(op.getSymbols()))
      LLVM::StoreOp::create(b, LLVM::LoadOp::create(b, i64, element(bound, c(k), i64)), element(shared, c(symbol), i64));
  });
  if (op.getSymbols().empty())
    return;
  barrier();
  for (int64_t symbol : op.getSymbols())
    setSymbol(symbol, LLVM::LoadOp::create(b, i64, element(shared, c(symbol), i64)));
}

void DriverEmitter::emitBranch(graph::IfOp op, Region &region, AffineMap exprs) {
  Block &block = region.front();
  emitBlock(block);
  for (auto [symbol, expr] : llvm::zip(op.getSymbols(), exprs.getResults()))
    setSymbol(symbol, evaluate(expr));
  barrier();
  ArrayRef<int64_t> results = numbersOf(op, "buffers"), sources = numbersOf(block.getTerminator(), "operand_buffers");
  grow(results);
  onFirstThread([&] {
    for (auto [target, source] : llvm::zip(results, sources))
      copy(target, source, evaluate(buffer(target).getBytes().getValue().getResult(0)));
  });
}

void DriverEmitter::emitIf(graph::IfOp op) {
  Value condition = loadScalar(numbersOf(op, "operand_buffers")[0], elementOf(op.getCondition()), 0);
  Value holds = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, condition, c(0));
  auto branch = scf::IfOp::create(b, holds, true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    emitBranch(op, op.getThenRegion(), op.getThenExprs());
    b.setInsertionPointToStart(branch.elseBlock());
    emitBranch(op, op.getElseRegion(), op.getElseExprs());
  }
  barrier();
}

void DriverEmitter::emitIteration(graph::LoopOp op, Value iteration, Value condition) {
  ArrayRef<int64_t> arguments = numbersOf(op, "argument_buffers");
  onFirstThread([&] {
    LLVM::StoreOp::create(b, iteration, bufferPointer(arguments[0]));
    LLVM::StoreOp::create(b, arith::TruncIOp::create(b, b.getI8Type(), condition), bufferPointer(arguments[1]));
  });
  barrier();
  emitBlock(op.getBody().front());
  barrier();
}

/// Appends scan outputs, then moves carried values to where the next iteration reads them.
void DriverEmitter::finishIteration(graph::LoopOp op, Value iteration) {
  Operation *yield = op.getBody().front().getTerminator();
  ArrayRef<int64_t> arguments = numbersOf(op, "argument_buffers"), yielded = numbersOf(yield, "operand_buffers"), results = numbersOf(op, "buffers");
  size_t carried = op.getInits().size();
  onFirstThread([&] {
    for (size_t k = 1 + carried; k < yielded.size(); ++k) {
      Value slice = yield->getOperand(k);
      Value bytes = evaluate(graph::getNumElements(b.getContext(), graph::getDims(slice)) * graph::getElementBytes(elementOf(slice)));
      Value offset = arith::MulIOp::create(b, iteration, bytes);
      if (buffer(results[k - 1]).getKind() == kernel::BufferKind::block)
        growTo(results[k - 1], arith::AddIOp::create(b, offset, bytes));
      LLVM::MemcpyOp::create(b, element(bufferPointer(results[k - 1]), offset, b.getI8Type()), bufferPointer(yielded[k]), ifHealthy(bytes), false);
    }
  });
  SmallVector<Value> next, scans;
  for (AffineExpr expr : op.getNextExprs().getResults())
    next.push_back(evaluate(expr));
  for (AffineExpr expr : op.getScanExprs().getResults())
    scans.push_back(evaluate(expr));
  for (auto [symbol, value] : llvm::zip(op.getCarriedSymbols(), next))
    setSymbol(symbol, value);
  for (auto [symbol, value] : llvm::zip(op.getResultSymbols().drop_front(next.size() + 1), scans))
    setSymbol(symbol, value);
  grow(arguments.drop_front(2));
  onFirstThread([&] {
    for (size_t k = 0; k < carried; ++k)
      copy(arguments[2 + k], yielded[1 + k], evaluate(buffer(arguments[2 + k]).getBytes().getValue().getResult(0)));
  });
}

void DriverEmitter::finishLoop(graph::LoopOp op, Value iterations) {
  ArrayRef<int64_t> arguments = numbersOf(op, "argument_buffers"), results = numbersOf(op, "buffers");
  size_t symbolsCarried = op.getCarriedSymbols().size(), carried = op.getInits().size();
  SmallVector<Value> last;
  for (int64_t symbol : op.getCarriedSymbols())
    last.push_back(getSymbol(symbol));
  for (size_t k = 0; k < symbolsCarried; ++k)
    setSymbol(op.getResultSymbols()[k], last[k]);
  setSymbol(op.getResultSymbols()[symbolsCarried], iterations);
  grow(results);
  onFirstThread([&] {
    for (size_t k = 0; k < carried; ++k)
      copy(results[k], arguments[2 + k], evaluate(buffer(results[k]).getBytes().getValue().getResult(0)));
  });
  barrier();
}

void DriverEmitter::emitLoop(graph::LoopOp op) {
  ArrayRef<int64_t> operands = numbersOf(op, "operand_buffers"), arguments = numbersOf(op, "argument_buffers");
  size_t next = 0;
  Value trips = op.getTrips() ? loadScalar(operands[next++], elementOf(op.getTrips()), 0) : c(INT64_MAX);
  Value condition = op.getCondition() ? loadScalar(operands[next++], elementOf(op.getCondition()), 0) : c(1);
  for (auto [symbol, expr] : llvm::zip(op.getCarriedSymbols(), op.getInitExprs().getResults()))
    setSymbol(symbol, evaluate(expr));
  for (int64_t symbol : op.getResultSymbols())
    setSymbol(symbol, c(0));
  grow(arguments.drop_front(2));
  onFirstThread([&] {
    for (size_t k = 0; k < op.getInits().size(); ++k)
      copy(arguments[2 + k], operands[next + k], evaluate(buffer(arguments[2 + k]).getBytes().getValue().getResult(0)));
  });
  Type i64 = b.getI64Type();
  barrier();
  Value healthy = isHealthy();
  barrier();
  auto loop = scf::WhileOp::create(b, TypeRange{i64, i64, b.getI1Type()}, ValueRange{c(0), condition, healthy});
  OpBuilder::InsertionGuard guard(b);
  Location loc = b.getLoc();
  Block *test = b.createBlock(&loop.getBefore(), {}, {i64, i64, b.getI1Type()}, {loc, loc, loc});
  Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, test->getArgument(0), trips);
  Value holds = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, test->getArgument(1), c(0));
  scf::ConditionOp::create(b, arith::AndIOp::create(b, test->getArgument(2), arith::AndIOp::create(b, below, holds)), test->getArguments());
  Block *body = b.createBlock(&loop.getAfter(), {}, {i64, i64, b.getI1Type()}, {loc, loc, loc});
  emitIteration(op, body->getArgument(0), body->getArgument(1));
  Operation *yield = op.getBody().front().getTerminator();
  Value again = loadScalar(numbersOf(yield, "operand_buffers")[0], b.getI1Type(), 0);
  finishIteration(op, body->getArgument(0));
  // Read between two barriers, so that all threads see the same and leave together.
  barrier();
  healthy = isHealthy();
  barrier();
  scf::YieldOp::create(b, ValueRange{arith::AddIOp::create(b, body->getArgument(0), c(1)), again, healthy});
  b.setInsertionPointAfter(loop);
  finishLoop(op, loop.getResult(0));
}

} // namespace onager
