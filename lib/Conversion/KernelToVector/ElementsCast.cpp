// Conversions between element types.
//
// Floats to integers truncate; what does not fit in 64 signed bits gives the least 64-bit number (so do NaN and infinities), and
// narrower integers take its low bits. Narrow floats saturate or overflow as the operation says.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

static Type storageOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

/// Bits of a type in memory; the sub-byte integers count as their bytes in registers.
static unsigned widthOf(Type storage) { return storage.getIntOrFloatBitWidth(); }

/// Rounds a compute value to what a narrow float can hold.
static Value roundTo(UnitEmitter &e, Value value, FloatType storage, bool saturate) {
  Type compute = value.getType();
  if (storage.isF64() || (storage.isF32() && compute.isF32()))
    return value;
  if (storage.isF32())
    return arith::ExtFOp::create(e.b, compute, arith::TruncFOp::create(e.b, e.b.getF32Type(), value).getResult());
  if (storage.isF16()) {
    Value single = compute.isF64() ? Value(arith::TruncFOp::create(e.b, e.b.getF32Type(), value)) : value;
    return arith::ExtFOp::create(e.b, compute, arith::TruncFOp::create(e.b, storage, single).getResult());
  }
  return decodeFloat(e.b, encodeFloat(e.b, value, storage, saturate), storage, compute);
}

/// Wraps an integer in a byte register to the width of a 2- or 4-bit type.
static Value wrapSubByte(UnitEmitter &e, Value value, Type storage) {
  unsigned width = widthOf(storage);
  if (!isa<IntegerType>(storage) || width >= 8 || width == 1)
    return value;
  Value shift = e.constant(value.getType(), 8 - width);
  Value high = arith::ShLIOp::create(e.b, value, shift);
  return storage.isUnsignedInteger() ? Value(arith::ShRUIOp::create(e.b, high, shift)) : Value(arith::ShRSIOp::create(e.b, high, shift));
}

static Value floatToInteger(UnitEmitter &e, Value x, Type target) {
  Type f64 = e.b.getF64Type(), i64 = e.b.getI64Type();
  unsigned width = cast<IntegerType>(e.computeType(target)).getWidth();
  if (x.getType().isF32() && width <= 16) {
    // Small targets stay in 32-bit lanes.
    Value low = e.constant(x.getType(), -2147483648.0), high = e.constant(x.getType(), 2147483520.0);
    Value inside = arith::AndIOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGE, x, low), arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLE, x, high));
    Value safe = arith::SelectOp::create(e.b, inside, x, e.constant(x.getType(), 0));
    return arith::TruncIOp::create(e.b, e.computeType(target), arith::FPToSIOp::create(e.b, e.b.getI32Type(), safe));
  }
  Value wide = x.getType() == f64 ? x : Value(arith::ExtFOp::create(e.b, f64, x));
  if (target.isUnsignedInteger(64)) {
    Value limit = e.constant(f64, 9223372036854775808.0);
    Value big = arith::AndIOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGE, wide, limit),
                                      arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, wide, e.constant(f64, 18446744073709551616.0)));
    Value reduced = arith::SelectOp::create(e.b, big, arith::SubFOp::create(e.b, wide, limit), wide);
    Value low = floatToInteger(e, reduced, e.b.getI64Type());
    Value top = arith::SelectOp::create(e.b, big, arith::ConstantIntOp::create(e.b, INT64_MIN, 64), e.i64(0));
    return arith::XOrIOp::create(e.b, low, top);
  }
  Value inside = arith::AndIOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGE, wide, e.constant(f64, -9223372036854775808.0)),
                                       arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, wide, e.constant(f64, 9223372036854775808.0)));
  Value safe = arith::SelectOp::create(e.b, inside, wide, e.constant(f64, 0));
  Value number = arith::FPToSIOp::create(e.b, i64, safe);
  number = arith::SelectOp::create(e.b, inside, number, arith::ConstantIntOp::create(e.b, INT64_MIN, 64));
  return width == 64 ? number : Value(arith::TruncIOp::create(e.b, e.computeType(target), number));
}

static Value toBool(UnitEmitter &e, Value x) {
  Value zero = e.constant(x.getType(), 0);
  if (isa<FloatType>(x.getType()))
    return arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNE, x, zero);
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ne, x, zero);
}

static Value integerToInteger(UnitEmitter &e, Value x, bool isUnsigned, Type target) {
  unsigned from = x.getType().getIntOrFloatBitWidth(), to = target.getIntOrFloatBitWidth();
  if (from == to)
    return x;
  if (from > to)
    return arith::TruncIOp::create(e.b, target, x);
  return isUnsigned ? Value(arith::ExtUIOp::create(e.b, target, x)) : Value(arith::ExtSIOp::create(e.b, target, x));
}

Value convertElement(UnitEmitter &e, Value x, Type from, Type to, bool saturate) {
  bool isUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  Type compute = e.computeType(to);
  if (from == to)
    return x;
  if (to.isInteger(1))
    return toBool(e, x);
  if (auto target = dyn_cast<FloatType>(to)) {
    if (isa<IntegerType>(x.getType()))
      x = isUnsigned ? Value(arith::UIToFPOp::create(e.b, compute, x)) : Value(arith::SIToFPOp::create(e.b, compute, x));
    else if (x.getType() != compute)
      x = compute.isF64() ? Value(arith::ExtFOp::create(e.b, compute, x)) : Value(arith::TruncFOp::create(e.b, compute, x));
    return roundTo(e, x, target, saturate);
  }
  Value number = isa<FloatType>(x.getType()) ? floatToInteger(e, x, to) : integerToInteger(e, x, isUnsigned, compute);
  return wrapSubByte(e, number, to);
}

static Value emitCast(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto castOp = cast<graph::CastOp>(op);
  Value x = e.element(castOp.getX(), e.broadcastIndex(castOp.getX(), graph::getDims(castOp.getResult()), index));
  return convertElement(e, x, storageOf(castOp.getX()), storageOf(castOp.getResult()), castOp.getSaturate());
}

/// The bits of a compute value in its storage type, as an integer.
static Value toBits(UnitEmitter &e, Value x, Type storage) {
  Type bits = e.b.getIntegerType(8 * graph::getElementBytes(storage));
  if (storage.isInteger(1))
    return arith::ExtUIOp::create(e.b, bits, x);
  if (isa<IntegerType>(storage))
    return x;
  if (storage.isF64() || storage.isF32() || storage.isF16()) {
    Value narrow = x;
    if (storage.isF16() && x.getType().isF64())
      narrow = arith::TruncFOp::create(e.b, e.b.getF32Type(), narrow);
    if (narrow.getType() != storage)
      narrow = arith::TruncFOp::create(e.b, storage, narrow);
    return arith::BitcastOp::create(e.b, bits, narrow);
  }
  return encodeFloat(e.b, x, cast<FloatType>(storage), /*saturate=*/true);
}

static Value fromBits(UnitEmitter &e, Value bits, Type storage) {
  Type compute = e.computeType(storage);
  if (storage.isInteger(1))
    return toBool(e, bits);
  if (isa<IntegerType>(storage))
    return bits;
  if (storage.isF64() || storage.isF32() || storage.isF16()) {
    Value value = arith::BitcastOp::create(e.b, storage, bits);
    return storage == compute ? value : Value(arith::ExtFOp::create(e.b, compute, value));
  }
  return decodeFloat(e.b, bits, cast<FloatType>(storage), compute);
}

static Value emitBitcast(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  Value x = e.element(op->getOperand(0), index);
  return fromBits(e, toBits(e, x, storageOf(op->getOperand(0))), storageOf(op->getResult(0)));
}

void registerCasts(llvm::StringMap<OpElementFn> &table) {
  table["graph.cast"] = emitCast;
  table["graph.bitcast"] = emitBitcast;
}

} // namespace onager
