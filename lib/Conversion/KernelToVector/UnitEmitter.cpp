// Arguments, shapes, elements and control flow of a unit's function. Memory is in Memory.cpp, scalars in Scalars.cpp.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

/// Opens a table of computed elements for one loop body or branch, and restores the insertion point.
struct ScopeGuard {
  explicit ScopeGuard(UnitEmitter &e) : e(e), point(e.b) { e.memo.emplace_back(); }
  ~ScopeGuard() { e.memo.pop_back(); }
  UnitEmitter &e;
  OpBuilder::InsertionGuard point;
};

/// True where the unit's operations give elements as they got them.
static bool movesElements(kernel::UnitOp unit) {
  return llvm::all_of(unit.getBody().front().without_terminator(), [](Operation &op) { return isa<graph::ConstantOp>(op) || graph::movesElements(&op); });
}

UnitEmitter::UnitEmitter(kernel::UnitOp unit, func::FuncOp function, const EmitOptions &options)
    : b(unit.getLoc(), unit.getContext()), unit(unit), function(function), options(options), movesBits(movesElements(unit)) {
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  run = entry->getArgument(0);
  args = entry->getArgument(1);
  begin = entry->getArgument(2);
  end = entry->getArgument(3);
  memo.emplace_back();
  entryEnd = arith::ConstantIntOp::create(b, 0, 64);
  b.setInsertionPoint(entryEnd);
  symbols = LLVM::LoadOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), args);
  status = stackBuffer(b.getI32Type(), 1);
  LLVM::StoreOp::create(b, arith::ConstantIntOp::create(b, 0, 32), status);
  b.setInsertionPointAfter(entryEnd);
}

void UnitEmitter::emitRefusals() {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entryEnd);
  Value hasItems = compare("slt", begin, end), shortened = end;
  SmallPtrSet<Operation *, 4> kept{hasItems.getDefiningOp()};
  for (auto [nothing, elements, code] : refusals) {
    Value isEmpty = arith::AndIOp::create(b, compare("eq", extent(nothing), i64(0)), compare("sgt", extent(elements), i64(0)));
    Value number = arith::ConstantIntOp::create(b, code, 32), before = LLVM::LoadOp::create(b, b.getI32Type(), status);
    LLVM::StoreOp::create(b, arith::SelectOp::create(b, arith::AndIOp::create(b, isEmpty, hasItems), number, before), status);
    shortened = arith::SelectOp::create(b, isEmpty, begin, shortened);
    kept.insert(shortened.getDefiningOp());
  }
  end.replaceAllUsesExcept(shortened, kept);
}

void UnitEmitter::finish() {
  if (!refusals.empty())
    emitRefusals();
  Value code = LLVM::LoadOp::create(b, b.getI32Type(), status);
  for (auto [number, place] : failures)
    code = arith::MaxSIOp::create(b, code, LLVM::LoadOp::create(b, b.getI32Type(), place));
  func::ReturnOp::create(b, code);
}

Value UnitEmitter::getArgPointer(unsigned position) {
  Value &cached = argCache[position];
  if (!cached) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(entryEnd);
    Type pointer = LLVM::LLVMPointerType::get(b.getContext());
    Value slot = LLVM::GEPOp::create(b, pointer, pointer, args, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(position)});
    auto load = LLVM::LoadOp::create(b, pointer, slot);
    load.setInvariant(true);
    cached = load;
  }
  return cached;
}

Value UnitEmitter::getBuffer(Value tensor) {
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    return getArgPointer(1 + argument.getArgNumber());
  Operation *yield = unit.getBody().front().getTerminator();
  return getResultBuffer(static_cast<unsigned>(std::distance(yield->operand_begin(), llvm::find(yield->getOperands(), tensor))));
}

Value UnitEmitter::getResultBuffer(unsigned number) { return getArgPointer(1 + unit.getBody().getNumArguments() + number); }

Value UnitEmitter::getScratch() {
  unsigned results = unit.getBody().front().getTerminator()->getNumOperands();
  return getArgPointer(1 + unit.getBody().getNumArguments() + results);
}

/// Emits an expression of symbols at the insertion point of `b`.
static Value emitExpr(UnitEmitter &e, AffineExpr expr, function_ref<Value(unsigned)> symbol) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return e.i64(constant.getValue());
  if (auto leaf = dyn_cast<AffineSymbolExpr>(expr))
    return symbol(leaf.getPosition());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = emitExpr(e, binary.getLHS(), symbol), rhs = emitExpr(e, binary.getRHS(), symbol);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return e.add(lhs, rhs);
  case AffineExprKind::Mul:
    return e.mul(lhs, rhs);
  case AffineExprKind::Mod: {
    Value quotient = arith::FloorDivSIOp::create(e.b, lhs, e.maxSigned(rhs, e.i64(1)));
    return e.sub(lhs, e.mul(quotient, rhs));
  }
  case AffineExprKind::FloorDiv:
    return arith::FloorDivSIOp::create(e.b, lhs, e.maxSigned(rhs, e.i64(1)));
  default:
    return arith::CeilDivSIOp::create(e.b, lhs, e.maxSigned(rhs, e.i64(1)));
  }
}

Value UnitEmitter::extent(AffineExpr expr) {
  if (std::optional<int64_t> constant = graph::getConstant(expr))
    return i64(*constant);
  auto found = extentCache.find(expr);
  if (found != extentCache.end())
    return found->second;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entryEnd);
  Value value = emitExpr(*this, expr, [&](unsigned symbol) -> Value {
    AffineExpr leaf = getAffineSymbolExpr(symbol, b.getContext());
    Value &cached = extentCache[leaf];
    if (!cached) {
      Value slot = LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI64Type(), symbols,
                                       ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(symbol)});
      auto load = LLVM::LoadOp::create(b, b.getI64Type(), slot);
      load.setInvariant(true);
      cached = load;
    }
    return cached;
  });
  extentCache[expr] = value;
  return value;
}

UnitEmitter::Index UnitEmitter::extents(Value tensor) {
  Index values;
  for (AffineExpr dim : graph::getDims(tensor))
    values.push_back(extent(dim));
  return values;
}

Type UnitEmitter::computeType(Type element) const {
  MLIRContext *context = element.getContext();
  if (movesBits && isa<FloatType>(element) && !element.isF32() && !element.isF64())
    return IntegerType::get(context, 8 * graph::getElementBytes(element));
  if (isa<FloatType>(element))
    return options.exact || element.isF64() ? Type(Float64Type::get(context)) : Type(Float32Type::get(context));
  unsigned width = cast<IntegerType>(element).getWidth();
  return IntegerType::get(context, width == 1 ? 1 : std::max(width, 8u));
}

void UnitEmitter::overrideElement(Value tensor, ElementFn fn) {
  overrides[tensor] = std::move(fn);
  memo.back().clear();
}

void UnitEmitter::clearOverrides() {
  overrides.clear();
  memo.back().clear();
}

Value UnitEmitter::element(Value tensor, ArrayRef<Value> index) {
  std::pair<void *, std::vector<void *>> key{tensor.getAsOpaquePointer(), {}};
  for (Value part : index)
    key.second.push_back(part.getAsOpaquePointer());
  for (auto &scope : llvm::reverse(memo))
    if (auto found = scope.find(key); found != scope.end())
      return found->second;
  Value value = emitElement(tensor, index);
  memo.back()[key] = value;
  return value;
}

Value UnitEmitter::emitElement(Value tensor, ArrayRef<Value> index) {
  if (auto found = overrides.find(tensor); found != overrides.end())
    return found->second(index);
  Type storage = cast<RankedTensorType>(tensor.getType()).getElementType();
  if (isa<BlockArgument>(tensor))
    return load(storage, getBuffer(tensor), linearize(index, graph::getDims(tensor)), /*invariant=*/true);
  Operation *op = tensor.getDefiningOp();
  OpElementFn emit = lookupElement(op);
  if (!emit) {
    op->emitError("no element emitter for this operation");
    return constant(computeType(storage), 0);
  }
  return emit(*this, op, cast<OpResult>(tensor).getResultNumber(), index);
}

Value UnitEmitter::indexElement(Value tensor, ArrayRef<Value> index) {
  Value value = element(tensor, index);
  Type storage = cast<RankedTensorType>(tensor.getType()).getElementType();
  unsigned width = cast<IntegerType>(value.getType()).getWidth();
  if (width == 64)
    return value;
  if (storage.isUnsignedInteger() || width == 1)
    return arith::ExtUIOp::create(b, b.getI64Type(), value);
  return arith::ExtSIOp::create(b, b.getI64Type(), value);
}

UnitEmitter::Index UnitEmitter::broadcastIndex(Value operand, ArrayRef<AffineExpr> resultDims, ArrayRef<Value> index) {
  graph::Dims dims = graph::getDims(operand);
  size_t offset = resultDims.size() - dims.size();
  Index out;
  for (size_t k = 0; k < dims.size(); ++k) {
    Value part = index[offset + k];
    if (graph::isConstant(dims[k], 1))
      out.push_back(i64(0));
    else if (dims[k] == resultDims[offset + k] || graph::getConstant(dims[k]))
      out.push_back(part);
    else
      out.push_back(mul(part, broadcastStride(dims[k])));
  }
  return out;
}

void UnitEmitter::withoutBroadcast(ArrayRef<AffineExpr> dims, function_ref<void()> body) {
  llvm::DenseMap<AffineExpr, Value> before = strideCache;
  for (AffineExpr dim : dims)
    strideCache[dim] = i64(1);
  body();
  strideCache = std::move(before);
}

Value UnitEmitter::broadcastStride(AffineExpr dim) {
  Value size = extent(dim);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entryEnd);
  Value &cached = strideCache[dim];
  if (!cached)
    cached = arith::ExtUIOp::create(b, b.getI64Type(), arith::CmpIOp::create(b, arith::CmpIPredicate::ne, size, i64(1)));
  return cached;
}

SmallVector<Value> UnitEmitter::forLoop(Value from, Value to, int64_t step, ValueRange inits, LoopBody body, bool parallel) {
  auto loop = scf::ForOp::create(b, from, to, i64(step), inits);
  ScopeGuard scope(*this);
  b.setInsertionPointToStart(loop.getBody());
  Attribute outer = accessGroup;
  if (parallel) {
    auto group = LLVM::AccessGroupAttr::get(b.getContext(), DistinctAttr::create(b.getUnitAttr()));
    accessGroup = group;
    loop->setAttr("loop_annotation", LLVM::LoopAnnotationAttr::get(b.getContext(), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {group}));
  }
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  accessGroup = outer;
  if (!inits.empty())
    scf::YieldOp::create(b, next);
  return SmallVector<Value>(loop.getResults());
}

void UnitEmitter::forEach(Value from, Value to, int64_t step, function_ref<void(Value)> body) {
  forLoop(from, to, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>{};
  });
}

void UnitEmitter::forEachParallel(Value from, Value to, function_ref<void(Value)> body) {
  forLoop(from, to, 1, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>{};
  }, /*parallel=*/true);
}

Value UnitEmitter::select(Value condition, Type type, function_ref<Value()> then, function_ref<Value()> otherwise) {
  auto branch = scf::IfOp::create(b, TypeRange{type}, condition, /*withElseRegion=*/true);
  auto fill = [&](Block *block, function_ref<Value()> value) {
    ScopeGuard scope(*this);
    b.setInsertionPointToStart(block);
    scf::YieldOp::create(b, value());
  };
  fill(branch.thenBlock(), then);
  fill(branch.elseBlock(), otherwise);
  return branch.getResult(0);
}

void UnitEmitter::ifThen(Value condition, function_ref<void()> then) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  ScopeGuard scope(*this);
  b.setInsertionPointToStart(branch.thenBlock());
  then();
}

void UnitEmitter::ifElse(Value condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/true);
  for (auto [block, body] : {std::pair(branch.thenBlock(), then), std::pair(branch.elseBlock(), otherwise)}) {
    ScopeGuard scope(*this);
    b.setInsertionPointToStart(block);
    body();
  }
}

int32_t UnitEmitter::numberMessage(StringRef message) {
  auto known = llvm::find(*errors, message);
  auto code = static_cast<int32_t>(known - errors->begin() + 1);
  if (known == errors->end())
    errors->push_back(message.str());
  return code;
}

void UnitEmitter::refuseIfEmpty(AffineExpr extent, AffineExpr elements, StringRef message) {
  std::tuple refusal(extent, elements, numberMessage(message));
  if (!llvm::is_contained(refusals, refusal))
    refusals.push_back(refusal);
}

void UnitEmitter::failIf(Value condition, StringRef message) {
  int32_t code = numberMessage(message);
  Value &place = failures[code];
  if (!place) {
    place = stackBuffer(b.getI32Type(), 1);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(entryEnd);
    LLVM::StoreOp::create(b, arith::ConstantIntOp::create(b, 0, 32), place);
  }
  Value before = LLVM::LoadOp::create(b, b.getI32Type(), place);
  LLVM::StoreOp::create(b, arith::SelectOp::create(b, condition, arith::ConstantIntOp::create(b, code, 32), before), place);
}

OpElementFn lookupElement(Operation *op) {
  static const llvm::StringMap<OpElementFn> table = [] {
    llvm::StringMap<OpElementFn> entries;
    registerElementwise(entries);
    registerActivations(entries);
    registerMovement(entries);
    registerReductions(entries);
    registerContractions(entries);
    registerResize(entries);
    registerInt8(entries);
    registerBlocks(entries);
    return entries;
  }();
  return table.lookup(op->getName().getStringRef());
}

} // namespace onager
