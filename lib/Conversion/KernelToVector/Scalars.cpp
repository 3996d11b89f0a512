// Scalar arithmetic of a unit's function: i64 with constants folded, and math functions.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "onager-rt/abi.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace onager {

/// The constant behind an i64 value.
static std::optional<int64_t> known(Value value) {
  if (auto op = value.getDefiningOp<arith::ConstantOp>())
    if (auto number = dyn_cast<IntegerAttr>(op.getValue()))
      return number.getInt();
  return std::nullopt;
}

Value UnitEmitter::i64(int64_t value) {
  Value &cached = constants[value];
  if (!cached) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    cached = arith::ConstantIntOp::create(b, value, 64);
  }
  return cached;
}

Value UnitEmitter::constant(Type type, double value) {
  if (auto vector = dyn_cast<VectorType>(type)) {
    Type element = vector.getElementType();
    Attribute number = isa<FloatType>(element) ? Attribute(b.getFloatAttr(element, value)) : b.getIntegerAttr(element, static_cast<int64_t>(value));
    return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, number));
  }
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, static_cast<int64_t>(value)));
}

Value UnitEmitter::add(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (a && c)
    return i64(*a + *c);
  if (a == 0)
    return y;
  if (c == 0)
    return x;
  return arith::AddIOp::create(b, x, y, arith::IntegerOverflowFlags::nsw);
}

Value UnitEmitter::sub(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (a && c)
    return i64(*a - *c);
  if (c == 0)
    return x;
  return arith::SubIOp::create(b, x, y, arith::IntegerOverflowFlags::nsw);
}

Value UnitEmitter::mul(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (a && c)
    return i64(*a * *c);
  if (a == 0 || c == 0)
    return i64(0);
  if (a == 1)
    return y;
  if (c == 1)
    return x;
  return arith::MulIOp::create(b, x, y, arith::IntegerOverflowFlags::nsw);
}

Value UnitEmitter::floorDiv(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (c == 1)
    return x;
  if (a && c && *c > 0)
    return i64(*a / *c);
  return arith::DivUIOp::create(b, x, c && *c > 0 ? y : maxSigned(y, i64(1)));
}

Value UnitEmitter::rem(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (c == 1)
    return i64(0);
  if (a && c && *c > 0)
    return i64(*a % *c);
  return arith::RemUIOp::create(b, x, c && *c > 0 ? y : maxSigned(y, i64(1)));
}

Value UnitEmitter::minSigned(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (a && c)
    return i64(std::min(*a, *c));
  return arith::MinSIOp::create(b, x, y);
}

Value UnitEmitter::maxSigned(Value x, Value y) {
  std::optional<int64_t> a = known(x), c = known(y);
  if (a && c)
    return i64(std::max(*a, *c));
  return arith::MaxSIOp::create(b, x, y);
}

Value UnitEmitter::clamp(Value x, Value low, Value high) { return minSigned(maxSigned(x, low), high); }

Value UnitEmitter::compare(StringRef predicate, Value x, Value y) {
  return arith::CmpIOp::create(b, *arith::symbolizeCmpIPredicate(predicate), x, y);
}

Value UnitEmitter::hostCall(bool binary, unsigned index, ValueRange operands) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), f64 = b.getF64Type();
  Value callee;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(entryEnd);
    auto field = [&](Value base, int32_t offset) -> Value {
      Value slot = LLVM::GEPOp::create(b, pointer, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{offset});
      auto load = LLVM::LoadOp::create(b, pointer, slot);
      load.setInvariant(true);
      return load;
    };
    Value host = field(run, offsetof(onager_run, host));
    Value table = field(host, binary ? offsetof(onager_host, math2) : offsetof(onager_host, math));
    callee = field(table, 8 * index);
  }
  SmallVector<Value> wide{callee};
  Type type = operands[0].getType();
  for (Value operand : operands)
    wide.push_back(type == f64 ? operand : Value(arith::ExtFOp::create(b, f64, operand)));
  SmallVector<Type> parameters(operands.size(), f64);
  auto call = LLVM::CallOp::create(b, LLVM::LLVMFunctionType::get(f64, parameters), wide);
  return type == f64 ? call.getResult() : Value(arith::TruncFOp::create(b, type, call.getResult()));
}

template <typename Op>
static Value create(ImplicitLocOpBuilder &b, Value x) {
  return Op::create(b, x);
}

Value UnitEmitter::math(StringRef name, Value x) {
  if (name == "sqrt")
    return math::SqrtOp::create(b, x);
  using Maker = Value (*)(ImplicitLocOpBuilder &, Value);
  static const llvm::StringMap<Maker> expanded = {
      {"acos", create<math::AcosOp>}, {"acosh", create<math::AcoshOp>}, {"asin", create<math::AsinOp>}, {"asinh", create<math::AsinhOp>},
      {"atan", create<math::AtanOp>}, {"atanh", create<math::AtanhOp>}, {"cos", create<math::CosOp>}, {"cosh", create<math::CoshOp>},
      {"erf", create<math::ErfOp>}, {"exp", create<math::ExpOp>}, {"expm1", create<math::ExpM1Op>}, {"log", create<math::LogOp>},
      {"log1p", create<math::Log1pOp>}, {"sin", create<math::SinOp>}, {"sinh", create<math::SinhOp>}, {"tan", create<math::TanOp>}, {"tanh", create<math::TanhOp>}};
  bool isExpanded = x.getType().isF32() || (x.getType().isF64() && (name == "exp" || name == "tanh"));
  if (auto found = expanded.find(name); found != expanded.end() && isExpanded && !options.exact)
    return found->second(b, x);
  int index = llvm::StringSwitch<int>(name)
                  .Case("acos", ONAGER_ACOS).Case("acosh", ONAGER_ACOSH).Case("asin", ONAGER_ASIN).Case("asinh", ONAGER_ASINH)
                  .Case("atan", ONAGER_ATAN).Case("atanh", ONAGER_ATANH).Case("cbrt", ONAGER_CBRT).Case("cos", ONAGER_COS)
                  .Case("cosh", ONAGER_COSH).Case("erf", ONAGER_ERF).Case("exp", ONAGER_EXP).Case("expm1", ONAGER_EXPM1)
                  .Case("lgamma", ONAGER_LGAMMA).Case("log", ONAGER_LOG).Case("log1p", ONAGER_LOG1P).Case("log2", ONAGER_LOG2)
                  .Case("log10", ONAGER_LOG10).Case("sin", ONAGER_SIN).Case("sinh", ONAGER_SINH).Case("tan", ONAGER_TAN)
                  .Case("tanh", ONAGER_TANH).Case("tgamma", ONAGER_TGAMMA).Case("exp2", ONAGER_EXP2).Default(-1);
  assert(index >= 0 && "unknown math function");
  return hostCall(false, index, x);
}

Value UnitEmitter::math2(StringRef name, Value x, Value y) {
  if (name == "pow" && x.getType().isF32() && !options.exact)
    return math::PowFOp::create(b, x, y);
  int index = llvm::StringSwitch<int>(name).Case("atan2", ONAGER_ATAN2).Case("fmod", ONAGER_FMOD).Case("pow", ONAGER_POW).Default(-1);
  assert(index >= 0 && "unknown math function");
  return hostCall(true, index, {x, y});
}

} // namespace onager
