// Memory of a unit's function: row-major indices, loads and stores with conversion to and from compute types.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

Value beginsLine(UnitEmitter &e, Value address) {
  Value bits = LLVM::PtrToIntOp::create(e.b, e.b.getI64Type(), address);
  return e.compare("eq", arith::AndIOp::create(e.b, bits, e.i64(kLineBytes - 1)), e.i64(0));
}

void orderStoresPastCaches(UnitEmitter &e) { LLVM::FenceOp::create(e.b, LLVM::AtomicOrdering::seq_cst, StringRef()); }

Value UnitEmitter::linearize(ArrayRef<Value> index, ArrayRef<AffineExpr> dims) {
  assert(index.size() == dims.size() && "one index per dim");
  Value linear = i64(0);
  for (size_t k = 0; k < dims.size(); ++k)
    linear = add(mul(linear, extent(dims[k])), index[k]);
  return linear;
}

UnitEmitter::Index UnitEmitter::delinearize(Value linear, ArrayRef<AffineExpr> dims) {
  Index out(dims.size());
  for (size_t k = dims.size(); k-- > 0;) {
    if (k == 0) {
      out[k] = linear;
    } else {
      Value size = extent(dims[k]);
      out[k] = rem(linear, size);
      linear = floorDiv(linear, size);
    }
  }
  return out;
}

/// The type that an element has in memory: bool and small types are bytes, bf16 is moved as bits.
static Type memoryType(Type storage) {
  unsigned bytes = graph::getElementBytes(storage);
  if (storage.isF16() || storage.isF32() || storage.isF64())
    return storage;
  return IntegerType::get(storage.getContext(), 8 * bytes);
}

Value UnitEmitter::address(Type storage, Value base, Value linear) {
  return LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), memoryType(storage), base, ArrayRef<LLVM::GEPArg>{linear});
}

Value UnitEmitter::load(Type storage, Value base, Value linear, bool invariant) {
  Type compute = computeType(storage), memory = isa<FloatType>(storage) && isa<IntegerType>(compute) ? compute : memoryType(storage);
  auto load = LLVM::LoadOp::create(b, memory, address(storage, base, linear), graph::getElementBytes(storage));
  if (invariant)
    load.setInvariant(true);
  if (accessGroup)
    load.setAccessGroupsAttr(b.getArrayAttr({accessGroup}));
  Value raw = load;
  if (storage.isInteger(1))
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, raw, arith::ConstantIntOp::create(b, 0, 8));
  if (auto integer = dyn_cast<IntegerType>(storage); integer && integer.getWidth() < 8) {
    // Callers may leave the upper bits of the byte unset.
    Value room = arith::ConstantIntOp::create(b, 8 - integer.getWidth(), 8);
    Value high = arith::ShLIOp::create(b, raw, room);
    return integer.isUnsigned() ? Value(arith::ShRUIOp::create(b, high, room)) : Value(arith::ShRSIOp::create(b, high, room));
  }
  if (isa<IntegerType>(storage) || memory == compute)
    return raw;
  if (storage.isF32())
    return arith::ExtFOp::create(b, compute, raw);
  if (storage.isF16()) {
    Value wide = arith::ExtFOp::create(b, b.getF32Type(), raw);
    return compute.isF32() ? wide : arith::ExtFOp::create(b, compute, wide);
  }
  return decodeFloat(b, raw, cast<FloatType>(storage), compute);
}

void UnitEmitter::store(Type storage, Value base, Value linear, Value value) {
  auto memory = memoryType(storage);
  Value raw = value;
  if (isa<FloatType>(storage) && isa<IntegerType>(value.getType())) {
    raw = value;
  } else if (storage.isInteger(1)) {
    raw = arith::ExtUIOp::create(b, memory, value);
  } else if (storage.isF16()) {
    Value narrow = value.getType().isF64() ? Value(arith::TruncFOp::create(b, b.getF32Type(), value)) : value;
    raw = arith::TruncFOp::create(b, memory, narrow);
  } else if (storage.isF32() && value.getType().isF64()) {
    raw = arith::TruncFOp::create(b, memory, value);
  } else if (isa<FloatType>(storage) && !storage.isF32() && !storage.isF64()) {
    // Casts have rounded to the format already, with or without saturation: infinities stay what they are.
    raw = encodeFloat(b, value, cast<FloatType>(storage), /*saturate=*/false);
  }
  auto store = LLVM::StoreOp::create(b, raw, address(storage, base, linear), graph::getElementBytes(storage));
  if (accessGroup)
    store.setAccessGroupsAttr(b.getArrayAttr({accessGroup}));
}

Value UnitEmitter::stackBuffer(Type type, int64_t count) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entryEnd);
  return LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), memoryType(type), i64(count), 64);
}

void prefetch(ImplicitLocOpBuilder &b, Value address, CacheLevel level) {
  // LLVM's hint counts locality: 3 is to be kept in all levels.
  LLVM::Prefetch::create(b, address, /*rw=*/0, /*hint=*/level == CacheLevel::first ? 3 : 2, /*cache=*/1);
}

} // namespace onager
