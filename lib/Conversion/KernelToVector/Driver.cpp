// The driver's launches: buffers, symbols, barriers, shares of work. Control flow is in DriverControl.cpp.
#include "dialects/Graph/Transforms/Guards.h"
#include "lib/Conversion/KernelToVector/DriverEmitter.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "onager-rt/abi.h"
#include <cstddef>

using namespace mlir;

namespace onager {

/// Scalar operations of a launch below which its threads end at about the same time anyway.
static constexpr int64_t kFewestSharedOperations = 1'000'000;

static Type pointer(MLIRContext *context) { return LLVM::LLVMPointerType::get(context); }

DriverEmitter::DriverEmitter(ModuleOp module, func::FuncOp program, unsigned vectorBytes, SmallVectorImpl<std::string> &errors)
    : module(module), program(program), vectorBytes(vectorBytes), b(program.getLoc(), module.getContext()), errors(errors) {
  buffers = module->getAttrOfType<ArrayAttr>(kernel::kBuffersAttr).getValue();
  launches = module->getAttrOfType<IntegerAttr>("kernel.launches").getInt();
}

Value DriverEmitter::c(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }

Value DriverEmitter::field(Value base, int64_t offset, Type type) {
  Value slot = LLVM::GEPOp::create(b, pointer(b.getContext()), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
  return LLVM::LoadOp::create(b, type, slot);
}

Value DriverEmitter::element(Value base, Value index, Type type) {
  return LLVM::GEPOp::create(b, pointer(b.getContext()), type, base, ArrayRef<LLVM::GEPArg>{index});
}

Value DriverEmitter::stackBuffer(int64_t bytes) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(entry);
  return LLVM::AllocaOp::create(b, pointer(b.getContext()), b.getI8Type(), c(std::max<int64_t>(bytes, 8)), 64);
}

Value DriverEmitter::getSymbol(int64_t symbol) { return LLVM::LoadOp::create(b, b.getI64Type(), element(symbols, c(symbol), b.getI64Type())); }

void DriverEmitter::setSymbol(int64_t symbol, Value value) { LLVM::StoreOp::create(b, value, element(symbols, c(symbol), b.getI64Type())); }

/// lhs + rhs or lhs * rhs, and whether that is beyond 64 bits.
static Value compute(ImplicitLocOpBuilder &b, bool isProduct, Value lhs, Value rhs, Value &overflows) {
  Value zero = arith::ConstantIntOp::create(b, 0, 64), result, isBeyond;
  if (isProduct) {
    auto product = arith::MulSIExtendedOp::create(b, lhs, rhs);
    result = product.getLow();
    Value sign = arith::ShRSIOp::create(b, result, arith::ConstantIntOp::create(b, 63, 64));
    isBeyond = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, product.getHigh(), sign);
  } else {
    result = arith::AddIOp::create(b, lhs, rhs);
    Value turned = arith::AndIOp::create(b, arith::XOrIOp::create(b, lhs, result), arith::XOrIOp::create(b, rhs, result));
    isBeyond = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, turned, zero);
  }
  overflows = overflows ? Value(arith::OrIOp::create(b, overflows, isBeyond)) : isBeyond;
  return result;
}

Value DriverEmitter::evaluate(AffineExpr expr, Value *overflows) {
  if (std::optional<int64_t> constant = graph::getConstant(expr))
    return c(*constant);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return getSymbol(symbol.getPosition());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = evaluate(binary.getLHS(), overflows), rhs = evaluate(binary.getRHS(), overflows);
  if (overflows && (expr.getKind() == AffineExprKind::Add || expr.getKind() == AffineExprKind::Mul))
    return compute(b, expr.getKind() == AffineExprKind::Mul, lhs, rhs, *overflows);
  if (expr.getKind() == AffineExprKind::Add)
    return arith::AddIOp::create(b, lhs, rhs);
  if (expr.getKind() == AffineExprKind::Mul)
    return arith::MulIOp::create(b, lhs, rhs);
  Value divisor = arith::MaxSIOp::create(b, rhs, c(1));
  if (expr.getKind() == AffineExprKind::CeilDiv)
    return arith::CeilDivSIOp::create(b, lhs, divisor);
  Value quotient = arith::FloorDivSIOp::create(b, lhs, divisor);
  if (expr.getKind() == AffineExprKind::FloorDiv)
    return quotient;
  return arith::SubIOp::create(b, lhs, arith::MulIOp::create(b, quotient, divisor));
}

Value DriverEmitter::getThreadBytes(int64_t number) {
  Value bytes = evaluate(buffer(number).getBytes().getValue().getResult(0));
  return arith::AndIOp::create(b, arith::AddIOp::create(b, bytes, c(ONAGER_ALIGNMENT - 1)), c(-ONAGER_ALIGNMENT));
}

Value DriverEmitter::getBlockBytes(int64_t number) {
  Value overflows, bytes = evaluate(buffer(number).getBytes().getValue().getResult(0), &overflows);
  if (buffer(number).getPerThread())
    bytes = compute(b, /*isProduct=*/true, threads, getThreadBytes(number), overflows);
  return overflows ? Value(arith::SelectOp::create(b, overflows, c(-1), bytes)) : bytes;
}

Value DriverEmitter::bufferPointer(int64_t number) {
  Value base = bufferBase(number);
  if (!buffer(number).getPerThread())
    return base;
  return element(base, arith::MulIOp::create(b, thread, getThreadBytes(number)), b.getI8Type());
}

Value DriverEmitter::bufferBase(int64_t number) {
  kernel::BufferAttr attr = buffer(number);
  Type ptr = pointer(b.getContext());
  auto entryOf = [&](int64_t tableOffset, Type type) {
    Value table = field(runPointer, tableOffset, ptr);
    return Value(LLVM::LoadOp::create(b, type, element(table, c(attr.getIndex()), type)));
  };
  switch (attr.getKind()) {
  case kernel::BufferKind::input:
    return entryOf(offsetof(onager_run, inputs), ptr);
  case kernel::BufferKind::output:
    return entryOf(offsetof(onager_run, outputs), ptr);
  case kernel::BufferKind::block:
    return entryOf(offsetof(onager_run, blocks), ptr);
  case kernel::BufferKind::weight:
    return element(field(runPointer, isOwnWeight[attr.getIndex()] ? offsetof(onager_run, own_weights) : offsetof(onager_run, weights), ptr),
                   c(weightOffsets[attr.getIndex()]), b.getI8Type());
  case kernel::BufferKind::slot:
    break;
  }
  return element(field(runPointer, offsetof(onager_run, arena), ptr), entryOf(offsetof(onager_run, offsets), b.getI64Type()), b.getI8Type());
}

Value DriverEmitter::loadScalar(int64_t number, Type type, int64_t index) {
  unsigned bytes = graph::getElementBytes(type);
  Type integer = b.getIntegerType(8 * bytes);
  Value raw = LLVM::LoadOp::create(b, integer, element(bufferPointer(number), c(index), integer));
  if (bytes == 8)
    return raw;
  if (type.isUnsignedInteger() || type.isInteger(1))
    return arith::ExtUIOp::create(b, b.getI64Type(), raw);
  return arith::ExtSIOp::create(b, b.getI64Type(), raw);
}

void DriverEmitter::barrier() {
  // Also of a single thread: this is where the runtime ends runs that are cancelled or late.
  Type ptr = pointer(b.getContext());
  Value callee = field(host, offsetof(onager_host, barrier), ptr);
  Value index = arith::TruncIOp::create(b, b.getI32Type(), thread);
  LLVM::CallOp::create(b, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {ptr, b.getI32Type()}), ValueRange{callee, runPointer, index});
}

void DriverEmitter::onFirstThread(function_ref<void()> body) {
  auto branch = scf::IfOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, thread, c(0)), false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body();
}

void DriverEmitter::growTo(int64_t number, Value bytes) {
  Type ptr = pointer(b.getContext()), i32 = b.getI32Type(), i64 = b.getI64Type();
  Value callee = field(host, offsetof(onager_host, grow), ptr);
  LLVM::CallOp::create(b, LLVM::LLVMFunctionType::get(i32, {ptr, i32, i64}),
                       ValueRange{callee, runPointer, arith::ConstantIntOp::create(b, buffer(number).getIndex(), 32), bytes});
}

Value DriverEmitter::isHealthy() {
  Value status = field(runPointer, offsetof(onager_run, status), b.getI32Type());
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, status, arith::ConstantIntOp::create(b, 0, 32));
}

Value DriverEmitter::ifHealthy(Value count) { return arith::SelectOp::create(b, isHealthy(), count, c(0)); }

void DriverEmitter::grow(ArrayRef<int64_t> numbers) {
  SmallVector<int64_t> blocks;
  for (int64_t number : numbers)
    if (buffer(number).getKind() == kernel::BufferKind::block)
      blocks.push_back(number);
  if (blocks.empty())
    return;
  onFirstThread([&] {
    for (int64_t number : blocks)
      growTo(number, getBlockBytes(number));
  });
  barrier();
}

void DriverEmitter::copy(int64_t target, int64_t source, Value bytes) {
  if (target != source)
    LLVM::MemcpyOp::create(b, bufferPointer(target), bufferPointer(source), ifHealthy(bytes), /*isVolatile=*/false);
}

void DriverEmitter::reportStatus(Value code) {
  Value bad = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, code, arith::ConstantIntOp::create(b, 0, 32));
  auto branch = scf::IfOp::create(b, bad, false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value slot = element(runPointer, c(offsetof(onager_run, status)), b.getI8Type());
  LLVM::AtomicCmpXchgOp::create(b, slot, arith::ConstantIntOp::create(b, 0, 32), code, LLVM::AtomicOrdering::acq_rel, LLVM::AtomicOrdering::acquire);
}

void DriverEmitter::fail(Value condition, StringRef message) {
  errors.push_back(message.str());
  reportStatus(arith::SelectOp::create(b, condition, arith::ConstantIntOp::create(b, errors.size(), 32), arith::ConstantIntOp::create(b, 0, 32)));
}

void DriverEmitter::stamp(Operation *op, int64_t which) {
  int64_t ordinal = op->getAttrOfType<IntegerAttr>("ordinal").getInt();
  Type ptr = pointer(b.getContext());
  Value table = field(runPointer, offsetof(onager_run, profile), ptr);
  Value present = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, table, LLVM::ZeroOp::create(b, ptr));
  auto branch = scf::IfOp::create(b, present, false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value index = arith::AddIOp::create(b, arith::MulIOp::create(b, thread, c(2 * launches)), c(2 * ordinal + which));
  auto now = LLVM::CallIntrinsicOp::create(b, b.getI64Type(), b.getStringAttr("llvm.readcyclecounter"), ValueRange{});
  LLVM::StoreOp::create(b, now.getResults(), element(table, index, b.getI64Type()));
}

void DriverEmitter::emitLaunch(kernel::LaunchOp op) {
  auto results = op->getAttrOfType<DenseI64ArrayAttr>("buffers").asArrayRef();
  auto operands = op->getAttrOfType<DenseI64ArrayAttr>("operand_buffers").asArrayRef();
  int64_t scratch = op->getAttrOfType<IntegerAttr>("scratch").getInt();
  SmallVector<int64_t> written(results);
  if (scratch >= 0)
    written.push_back(scratch);
  grow(written);
  Type ptr = pointer(b.getContext());
  int64_t position = 0;
  auto pass = [&](Value value) { LLVM::StoreOp::create(b, value, element(arguments, c(position++), ptr)); };
  pass(symbols);
  for (int64_t number : operands)
    pass(bufferPointer(number));
  for (int64_t number : results)
    pass(bufferPointer(number));
  if (scratch >= 0)
    pass(bufferPointer(scratch));
  auto unit = module.lookupSymbol<func::FuncOp>(op.getUnit());
  Value items = evaluate(unit->getAttrOfType<AffineMapAttr>("items").getValue().getResult(0));
  items = ifHealthy(items);
  stamp(op, 0);
  if (unit->hasAttr("marks_scratch"))
    clearMark(scratch, items);
  reportStatus(runUnit(op, unit, items));
  stamp(op, 1);
}

void DriverEmitter::clearMark(int64_t scratch, Value items) {
  // Memory may be missing where there are no items.
  auto branch = scf::IfOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::ne, items, c(0)), false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  LLVM::StoreOp::create(b, c(-1), bufferPointer(scratch));
}

Value DriverEmitter::runOwnShare(func::FuncOp unit, Value items) {
  Value begin = arith::DivUIOp::create(b, arith::MulIOp::create(b, items, thread), threads);
  Value next = arith::AddIOp::create(b, thread, c(1));
  Value end = arith::DivUIOp::create(b, arith::MulIOp::create(b, items, next), threads);
  return func::CallOp::create(b, unit, ValueRange{runPointer, arguments, begin, end}).getResult(0);
}

Value DriverEmitter::runShares(kernel::LaunchOp op, func::FuncOp unit, Value items) {
  Type ptr = pointer(b.getContext()), i32 = b.getI32Type(), i64 = b.getI64Type();
  Value code = func::ConstantOp::create(b, unit.getFunctionType(), unit.getSymName());
  Value address = UnrealizedConversionCastOp::create(b, ptr, code).getResult(0), index = arith::TruncIOp::create(b, i32, thread);
  auto grain = unit->getAttrOfType<AffineMapAttr>("grain");
  Value together = grain ? evaluate(grain.getValue().getResult(0)) : c(1);
  auto type = LLVM::LLVMFunctionType::get(i32, {ptr, i32, i64, i64, i64, ptr, ptr});
  return LLVM::CallOp::create(b, type, ValueRange{share, runPointer, index, c(op->getAttrOfType<IntegerAttr>("ordinal").getInt()), items, together, address, arguments}).getResult();
}

Value DriverEmitter::runUnit(kernel::LaunchOp op, func::FuncOp unit, Value items) {
  auto operations = unit->getAttrOfType<AffineMapAttr>("operations");
  std::optional<int64_t> known = operations ? graph::getConstant(operations.getValue().getResult(0)) : 0;
  // The counts of parts that were taken serve one execution in a run.
  if (op->getParentOp() != program || (known && *known < kFewestSharedOperations))
    return runOwnShare(unit, items);
  Value isShared = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, share, LLVM::ZeroOp::create(b, share.getType()));
  auto branch = scf::IfOp::create(b, b.getI32Type(), isShared, true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, runShares(op, unit, items));
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, runOwnShare(unit, items));
  return branch.getResult(0);
}

Value DriverEmitter::findShareFunction() {
  Type ptr = pointer(b.getContext()), i32 = b.getI32Type();
  Value hasFunction = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, field(host, offsetof(onager_host, size), i32), arith::ConstantIntOp::create(b, offsetof(onager_host, share), 32));
  Value isGang = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, threads, c(1));
  auto branch = scf::IfOp::create(b, ptr, arith::AndIOp::create(b, hasFunction, isGang), true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, field(host, offsetof(onager_host, share), ptr));
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, LLVM::ZeroOp::create(b, ptr).getResult());
  return branch.getResult(0);
}

void DriverEmitter::emitBind(graph::BindOp op) {
  auto type = cast<RankedTensorType>(op.getSource().getType());
  int64_t number = op->getAttrOfType<DenseI64ArrayAttr>("operand_buffers")[0];
  for (int64_t k = 0; k < type.getNumElements(); ++k)
    setSymbol(op.getFirst() + k, loadScalar(number, type.getElementType(), k));
}

void DriverEmitter::emitDefine(graph::DefineOp op) {
  SmallVector<Value> x;
  for (AffineExpr expr : op.getExprs().getResults())
    x.push_back(evaluate(expr));
  auto equal = [&](Value a, Value y) -> Value { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, a, y); };
  Value value = x[0];
  switch (op.getKind()) {
  case graph::DefineKind::max:
    for (Value other : ArrayRef(x).drop_front())
      value = arith::MaxSIOp::create(b, value, other);
    break;
  case graph::DefineKind::min:
    for (Value other : ArrayRef(x).drop_front())
      value = arith::MinSIOp::create(b, value, other);
    break;
  case graph::DefineKind::broadcast:
    value = arith::SelectOp::create(b, equal(x[0], c(1)), x[1], x[0]);
    break;
  case graph::DefineKind::trunc_div: {
    Value zero = equal(x[1], c(0));
    Value quotient = arith::DivSIOp::create(b, x[0], arith::SelectOp::create(b, zero, c(1), x[1]));
    value = arith::SelectOp::create(b, zero, c(0), quotient);
    break;
  }
  case graph::DefineKind::select_equal:
    value = arith::SelectOp::create(b, equal(x[0], x[1]), x[2], x[3]);
    break;
  }
  setSymbol(op.getSymbol(), value);
}

void DriverEmitter::emitOp(Operation *op) {
  if (auto waits = op->getAttrOfType<BoolAttr>("barrier"); waits && waits.getValue())
    barrier();
  b.setLoc(op->getLoc());
  if (auto launch = dyn_cast<kernel::LaunchOp>(op))
    return launch->hasAttr("constant") ? void() : emitLaunch(launch);
  if (auto bind = dyn_cast<graph::BindOp>(op))
    return emitBind(bind);
  if (auto define = dyn_cast<graph::DefineOp>(op))
    return emitDefine(define);
  if (auto require = dyn_cast<graph::RequireOp>(op)) {
    Value lhs = evaluate(require.getExprs().getResult(0)), rhs = evaluate(require.getExprs().getResult(1));
    return fail(arith::CmpIOp::create(b, arith::CmpIPredicate::ne, lhs, rhs), require.getMessage());
  }
  if (auto call = dyn_cast<graph::CallOp>(op))
    return emitCall(call);
  if (auto branch = dyn_cast<graph::IfOp>(op))
    return emitIf(branch);
  if (auto loop = dyn_cast<graph::LoopOp>(op))
    return emitLoop(loop);
}

void DriverEmitter::emitBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    emitOp(&op);
}

void DriverEmitter::layOutWeights() {
  auto weights = module->getAttrOfType<ArrayAttr>(kernel::kWeightsAttr);
  auto shared = module->getAttrOfType<DenseI64ArrayAttr>(kernel::kSharedWeightsAttr);
  llvm::DenseSet<int64_t> read = kernel::findReadWeights(program);
  SmallVector<int64_t> stored(weights.size(), -1);
  weightOffsets.assign(weights.size(), -1);
  isOwnWeight.resize(weights.size());
  int64_t offset = 0;
  for (Attribute attribute : buffers) {
    auto attr = cast<kernel::BufferAttr>(attribute);
    int64_t index = attr.getIndex();
    if (attr.getKind() != kernel::BufferKind::weight || !read.contains(index))
      continue;
    if (shared && shared[index] >= 0) {
      weightOffsets[index] = shared[index];
      continue;
    }
    isOwnWeight[index] = shared != nullptr;
    weightOffsets[index] = stored[index] = offset;
    offset += llvm::alignTo(std::max<int64_t>(*graph::getConstant(attr.getBytes().getValue().getResult(0)), 1), ONAGER_ALIGNMENT);
  }
  module->setAttr("kernel.weight_offsets", b.getDenseI64ArrayAttr(stored));
  module->setAttr("kernel.weight_bytes", b.getI64IntegerAttr(offset));
}

LogicalResult DriverEmitter::run() {
  layOutWeights();
  Type ptr = pointer(b.getContext()), i32 = b.getI32Type(), i64 = b.getI64Type();
  b.setInsertionPointToEnd(module.getBody());
  auto driver = func::FuncOp::create(b, "onager_main", b.getFunctionType({ptr, i32}, {i32}));
  entry = driver.addEntryBlock();
  b.setInsertionPointToStart(entry);
  runPointer = entry->getArgument(0);
  thread = arith::ExtSIOp::create(b, i64, entry->getArgument(1));
  threads = arith::ExtSIOp::create(b, i64, field(runPointer, offsetof(onager_run, threads), i32));
  host = field(runPointer, offsetof(onager_run, host), ptr);
  int64_t symbolCount = std::max<int64_t>(1, graph::getSymbolNames(program).size());
  int64_t mostArguments = 0;
  program.walk([&](kernel::LaunchOp op) { mostArguments = std::max<int64_t>(mostArguments, op->getNumOperands() + op->getNumResults()); });
  symbols = stackBuffer(8 * symbolCount);
  arguments = stackBuffer(8 * (mostArguments + 2));
  Value shared = field(runPointer, offsetof(onager_run, symbols), ptr);
  LLVM::MemcpyOp::create(b, symbols, shared, c(8 * symbolCount), false);
  share = findShareFunction();
  emitBlock(program.getBody().front());
  onFirstThread([&] { LLVM::MemcpyOp::create(b, shared, symbols, c(8 * symbolCount), false); });
  func::ReturnOp::create(b, field(runPointer, offsetof(onager_run, status), i32));
  return success();
}

} // namespace onager
