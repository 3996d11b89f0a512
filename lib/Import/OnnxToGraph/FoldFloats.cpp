// Evaluates operations on small float tensors: constants, and the detours of shape arithmetic through floats.
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace onager::frontend {
namespace {

/// A float element as numerator / denominator, where it came from an integer expression.
struct Rational {
  AffineExpr numerator;
  int64_t denominator = 1;
};
using Rationals = SmallVector<Rational>;

constexpr unsigned kMaxDepth = 12;

/// Writes a double as a fraction with a power of two below; false where it does not fit.
bool toFraction(double value, int64_t &numerator, int64_t &denominator) {
  denominator = 1;
  for (int shift = 0; shift <= 30; ++shift, denominator *= 2) {
    double scaled = value * static_cast<double>(denominator);
    if (std::abs(scaled) < 1e12 && scaled == std::floor(scaled)) {
      numerator = static_cast<int64_t>(scaled);
      return true;
    }
  }
  return false;
}

std::optional<Rationals> toRationals(Emitter &e, Value value, unsigned depth);

std::optional<Rationals> fromConstant(Emitter &e, Value value) {
  std::optional<std::vector<double>> numbers = e.constantNumbers(value);
  if (!numbers)
    return std::nullopt;
  Rationals result;
  for (double number : *numbers) {
    int64_t numerator = 0, denominator = 1;
    if (!toFraction(number, numerator, denominator))
      return std::nullopt;
    result.push_back({e.number(numerator), denominator});
  }
  return result;
}

std::optional<Rational> combine(Emitter &e, Operation *op, Rational a, Rational b) {
  if (a.denominator > (int64_t(1) << 31) || b.denominator > (int64_t(1) << 31))
    return std::nullopt;
  if (isa<graph::MulOp>(op))
    return Rational{normalize(a.numerator * b.numerator), a.denominator * b.denominator};
  if (isa<graph::DivOp>(op)) {
    std::optional<int64_t> divisor = graph::getConstant(b.numerator);
    if (!divisor || *divisor <= 0 || *divisor > (int64_t(1) << 31))
      return std::nullopt;
    return Rational{normalize(a.numerator * b.denominator), a.denominator * *divisor};
  }
  int64_t sign = isa<graph::SubOp>(op) ? -1 : 1;
  return Rational{normalize(a.numerator * b.denominator + b.numerator * (sign * a.denominator)), a.denominator * b.denominator};
}

std::optional<Rationals> fromBinary(Emitter &e, Operation *op, unsigned depth) {
  std::optional<Rationals> a = toRationals(e, op->getOperand(0), depth + 1), b = toRationals(e, op->getOperand(1), depth + 1);
  if (!a || !b || a->empty() || b->empty())
    return std::nullopt;
  size_t count = std::max(a->size(), b->size());
  if ((a->size() != count && a->size() != 1) || (b->size() != count && b->size() != 1))
    return std::nullopt;
  Rationals result;
  for (size_t k = 0; k < count; ++k) {
    std::optional<Rational> value = combine(e, op, (*a)[a->size() == 1 ? 0 : k], (*b)[b->size() == 1 ? 0 : k]);
    if (!value)
      return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

std::optional<Rationals> toRationals(Emitter &e, Value value, unsigned depth) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > kMaxDepth)
    return std::nullopt;
  if (isa<graph::ConstantOp>(op))
    return fromConstant(e, value);
  if (isa<graph::MulOp, graph::DivOp, graph::AddOp, graph::SubOp>(op))
    return fromBinary(e, op, depth);
  if (isa<graph::ReshapeOp>(op))
    return toRationals(e, op->getOperand(0), depth + 1);
  if (auto cast = dyn_cast<graph::CastOp>(op)) {
    if (Emitter::isFloat(cast.getX()))
      return toRationals(e, cast.getX(), depth + 1);
    std::optional<Exprs> contents = e.contents(cast.getX());
    if (!contents)
      return std::nullopt;
    return llvm::map_to_vector(*contents, [](AffineExpr expr) { return Rational{expr, 1}; });
  }
  if (!isa<graph::FloorOp, graph::CeilOp>(op))
    return std::nullopt;
  std::optional<Rationals> inner = toRationals(e, op->getOperand(0), depth + 1);
  if (!inner)
    return std::nullopt;
  for (Rational &rational : *inner) {
    AffineExpr whole = isa<graph::FloorOp>(op) ? rational.numerator.floorDiv(rational.denominator) : rational.numerator.ceilDiv(rational.denominator);
    rational = {normalize(whole), 1};
  }
  return inner;
}

} // namespace

std::optional<Exprs> foldFloatToInteger(Emitter &e, graph::CastOp cast) {
  if (auto numbers = e.constantNumbers(cast.getX())) {
    Exprs list;
    for (double number : *numbers) {
      if (!(std::abs(number) < 9e18))
        return std::nullopt;
      list.push_back(e.number(Emitter::elementOf(cast.getResult()).isInteger(1) ? number != 0 : static_cast<int64_t>(number)));
    }
    return list;
  }
  if (llvm::cast<IntegerType>(Emitter::elementOf(cast.getResult())).getWidth() < 32)
    return std::nullopt;
  std::optional<Rationals> rationals = toRationals(e, cast.getX(), 0);
  if (!rationals)
    return std::nullopt;
  Exprs list;
  for (const Rational &rational : *rationals) {
    if (!e.symbols.isNonNegative(rational.numerator))
      return std::nullopt;
    list.push_back(normalize(rational.numerator.floorDiv(rational.denominator)));
  }
  return list;
}

/// Computes one element in double; the caller rounds it once.
static std::optional<double> computeNumber(Operation *op, ArrayRef<double> at) {
  return TypeSwitch<Operation *, std::optional<double>>(op)
      .Case([&](graph::AddOp) { return at[0] + at[1]; })
      .Case([&](graph::SubOp) { return at[0] - at[1]; })
      .Case([&](graph::MulOp) { return at[0] * at[1]; })
      .Case([&](graph::DivOp) { return at[0] / at[1]; })
      .Case([&](graph::FloorOp) { return std::floor(at[0]); })
      .Case([&](graph::CeilOp) { return std::ceil(at[0]); })
      .Case([&](graph::SqrtOp) { return std::sqrt(at[0]); })
      .Case([&](graph::NegOp) { return -at[0]; })
      .Case([&](graph::AbsOp) { return std::abs(at[0]); })
      .Case([&](graph::ReciprocalOp) { return 1 / at[0]; })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<std::vector<double>> foldNumbers(Emitter &emitter, Operation *op) {
  Type element = Emitter::elementOf(op->getResult(0));
  SmallVector<std::vector<double>, 3> operands;
  int64_t count = llvm::cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
  for (Value operand : op->getOperands()) {
    auto numbers = emitter.constantNumbers(operand);
    if (!numbers || (static_cast<int64_t>(numbers->size()) != count && numbers->size() != 1))
      return std::nullopt;
    operands.push_back(*numbers);
  }
  if (operands.empty())
    return std::nullopt;
  if (isa<graph::ReshapeOp>(op))
    return operands[0];
  if (isa<graph::CastOp>(op))
    return element.isF32() || element.isF64() ? std::optional(operands[0]) : std::nullopt;
  if (!element.isF32())
    return std::nullopt;
  std::vector<double> result;
  for (int64_t k = 0; k < count; ++k) {
    SmallVector<double, 3> at;
    for (const std::vector<double> &numbers : operands)
      at.push_back(numbers[numbers.size() == 1 ? 0 : k]);
    std::optional<double> value = computeNumber(op, at);
    if (!value)
      return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

} // namespace onager::frontend
