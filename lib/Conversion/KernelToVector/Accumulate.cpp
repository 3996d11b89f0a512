// Steps of reductions and the loops around them.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

using graph::ReduceKind;

static arith::FastMathFlagsAttr sumFlags(UnitEmitter &e) {
  return arith::FastMathFlagsAttr::get(e.b.getContext(), e.options.exact ? arith::FastMathFlags::none : arith::FastMathFlags::contract | arith::FastMathFlags::reassoc);
}

/// The lowest or highest value of a storage type, in its compute type.
static Value getExtreme(UnitEmitter &e, Type storage, bool highest) {
  Type compute = e.computeType(storage);
  if (auto type = dyn_cast<FloatType>(compute))
    return arith::ConstantOp::create(e.b, e.b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), !highest)));
  unsigned width = compute.getIntOrFloatBitWidth();
  APInt value = storage.isUnsignedInteger() || width == 1 ? (highest ? APInt::getMaxValue(width) : APInt::getMinValue(width))
                                                          : (highest ? APInt::getSignedMaxValue(width) : APInt::getSignedMinValue(width));
  return arith::ConstantOp::create(e.b, e.b.getIntegerAttr(compute, value));
}

Value getIdentity(UnitEmitter &e, ReduceKind kind, Type storage) {
  if (kind == ReduceKind::max || kind == ReduceKind::min)
    return getExtreme(e, storage, kind == ReduceKind::min);
  return e.constant(e.computeType(storage), kind == ReduceKind::prod ? 1 : 0);
}

static Value extreme(UnitEmitter &e, Type storage, Value a, Value c, bool largest) {
  // As intrinsics, which the vectoriser knows as reductions.
  if (isa<FloatType>(getElementTypeOrSelf(a)))
    return largest ? Value(LLVM::MaximumOp::create(e.b, a, c)) : Value(LLVM::MinimumOp::create(e.b, a, c));
  if (storage.isUnsignedInteger() || storage.isInteger(1))
    return largest ? Value(arith::MaxUIOp::create(e.b, a, c)) : Value(arith::MinUIOp::create(e.b, a, c));
  return largest ? Value(arith::MaxSIOp::create(e.b, a, c)) : Value(arith::MinSIOp::create(e.b, a, c));
}

Value accumulate(UnitEmitter &e, ReduceKind kind, Type storage, Value sum, Value x) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(x));
  if (kind == ReduceKind::max || kind == ReduceKind::min)
    return extreme(e, storage, sum, x, kind == ReduceKind::max);
  arith::FastMathFlagsAttr flags = sumFlags(e);
  if (kind == ReduceKind::prod)
    return isFloat ? Value(arith::MulFOp::create(e.b, sum, x, flags)) : Value(arith::MulIOp::create(e.b, sum, x));
  if (kind == ReduceKind::sum_square)
    x = isFloat ? Value(arith::MulFOp::create(e.b, x, x, flags)) : Value(arith::MulIOp::create(e.b, x, x));
  if (kind == ReduceKind::sum_abs)
    x = isFloat ? Value(math::AbsFOp::create(e.b, x)) : storage.isUnsignedInteger() ? x : Value(math::AbsIOp::create(e.b, x));
  return isFloat ? Value(arith::AddFOp::create(e.b, sum, x, flags)) : Value(arith::AddIOp::create(e.b, sum, x));
}

Value largerNumber(UnitEmitter &e, Value a, Value c) {
  return LLVM::CallIntrinsicOp::create(e.b, a.getType(), e.b.getStringAttr("llvm.maximumnum"), ValueRange{a, c},
                                       LLVM::FastmathFlagsAttr::get(e.b.getContext(), LLVM::FastmathFlags::nsz)).getResult(0);
}

Value finishReduction(UnitEmitter &e, ReduceKind kind, Type storage, Value sum, Value count) {
  if (kind != ReduceKind::mean)
    return sum;
  Type type = sum.getType();
  if (isa<FloatType>(type))
    return arith::DivFOp::create(e.b, sum, arith::SIToFPOp::create(e.b, type, count));
  Value divisor = e.maxSigned(count, e.i64(1));
  if (!type.isInteger(64))
    divisor = arith::TruncIOp::create(e.b, type, divisor);
  return storage.isUnsignedInteger() ? Value(arith::DivUIOp::create(e.b, sum, divisor)) : Value(arith::DivSIOp::create(e.b, sum, divisor));
}

static Value nestFrom(UnitEmitter &e, ArrayRef<AffineExpr> dims, UnitEmitter::Index index, Value carried,
                      function_ref<Value(ArrayRef<Value>, Value)> body, bool parallel) {
  if (index.size() == dims.size())
    return body(index, carried);
  return e.forLoop(e.i64(0), e.extent(dims[index.size()]), 1, carried, [&](Value i, ValueRange running) {
    UnitEmitter::Index next(index);
    next.push_back(i);
    return SmallVector<Value>{nestFrom(e, dims, next, running[0], body, parallel)};
  }, parallel && index.size() + 1 == dims.size())[0];
}

Value reduceNest(UnitEmitter &e, ArrayRef<AffineExpr> dims, Value init, function_ref<Value(ArrayRef<Value>, Value)> body, bool parallel) {
  return nestFrom(e, dims, {}, init, body, parallel);
}

static void forNestFrom(UnitEmitter &e, ArrayRef<AffineExpr> dims, UnitEmitter::Index index, Value linear,
                        function_ref<void(ArrayRef<Value>, Value)> body) {
  if (index.size() == dims.size())
    return body(index, linear);
  Value size = e.extent(dims[index.size()]);
  auto inner = [&](Value i) {
    UnitEmitter::Index next(index);
    next.push_back(i);
    forNestFrom(e, dims, next, e.add(e.mul(linear, size), i), body);
  };
  if (index.size() + 1 == dims.size())
    e.forEachParallel(e.i64(0), size, inner);
  else
    e.forEach(e.i64(0), size, 1, inner);
}

void forNest(UnitEmitter &e, ArrayRef<AffineExpr> dims, function_ref<void(ArrayRef<Value>, Value)> body) {
  forNestFrom(e, dims, {}, e.i64(0), body);
}

} // namespace onager
