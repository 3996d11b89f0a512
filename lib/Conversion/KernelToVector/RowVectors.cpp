// Softmax of a row:
//   top = max x                 lanes apart, then across them
//   p = e^(x - top), sum p      p goes to the result; for a logarithm it is only summed
//   y = p / sum                 or x - (top + log sum)
#include "lib/Conversion/KernelToVector/RowVectors.h"
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

/// Lanes of a vector, independent chains of a loop, and the most vectors of a row that stays in registers.
static constexpr int64_t kLanes = kernel::kPanelWidth, kChains = 4, kMostHeld = 8;

static Value roundDown(UnitEmitter &e, Value width, int64_t step) { return e.mul(e.floorDiv(width, e.i64(step)), e.i64(step)); }

RowVectors::RowVectors(UnitEmitter &e, AffineExpr extent) : e(e), width(e.extent(extent)), lanes(VectorType::get({kLanes}, e.b.getF32Type())) {
  std::optional<int64_t> known = graph::getConstant(extent);
  if (!known || *known % kLanes)
    tailMask = PlaneEmitter(e).getMask(e.sub(width, roundDown(e, width, kLanes)));
  if (known && *known <= kMostHeld * kLanes)
    held = llvm::divideCeil(*known, kLanes);
}

Value RowVectors::read(Value base, const Part &part, Value filler) {
  Value place = e.address(e.b.getF32Type(), base, part.offset);
  if (!part.mask)
    return LLVM::LoadOp::create(e.b, lanes, place, 4);
  return LLVM::MaskedLoadOp::create(e.b, lanes, place, part.mask, splat(e, filler), 4u);
}

void RowVectors::write(Value base, const Part &part, Value x) {
  Value place = e.address(e.b.getF32Type(), base, part.offset);
  if (part.mask)
    LLVM::MaskedStoreOp::create(e.b, x, place, part.mask, 4u);
  else
    LLVM::StoreOp::create(e.b, x, place, 4);
}

Value RowVectors::fold(Value init, Combine combine, function_ref<Value(const Part &, Value)> body) {
  if (held) {
    Value chain = init;
    for (size_t k = 0; k < held; ++k)
      chain = body({k, e.i64(static_cast<int64_t>(k) * kLanes), k + 1 == held ? tailMask : Value()}, chain);
    return chain;
  }
  Value grouped = roundDown(e, width, kChains * kLanes), whole = roundDown(e, width, kLanes);
  SmallVector<Value> chains = e.forLoop(e.i64(0), grouped, kChains * kLanes, SmallVector<Value>(kChains, init), [&](Value offset, ValueRange running) {
    SmallVector<Value> next;
    for (auto [k, chain] : llvm::enumerate(running))
      next.push_back(body({0, e.add(offset, e.i64(static_cast<int64_t>(k) * kLanes)), {}}, chain));
    return next;
  });
  Value chain = combine(combine(chains[0], chains[1]), combine(chains[2], chains[3]));
  chain = e.forLoop(grouped, whole, kLanes, chain, [&](Value offset, ValueRange running) { return SmallVector<Value>{body({0, offset, {}}, running[0])}; })[0];
  if (!tailMask)
    return chain;
  return e.select(e.compare("slt", whole, width), lanes, [&] { return body({0, whole, tailMask}, chain); }, [&] { return chain; });
}

Value RowVectors::across(UnitEmitter &e, Value x, Combine combine) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    auto take = [&](int64_t first) { return vector::ShuffleOp::create(e.b, x, x, llvm::to_vector(llvm::seq(first, first + half))); };
    x = combine(take(0), take(half));
  }
  return vector::ExtractOp::create(e.b, x, ArrayRef<int64_t>{0});
}

void emitSoftmaxRow(UnitEmitter &e, Value from, Value to, AffineExpr width, bool log) {
  RowVectors row(e, width);
  SmallVector<Value> held(row.countHeld());
  Value lowest = e.constant(e.b.getF32Type(), -std::numeric_limits<double>::infinity()), zero = e.constant(e.b.getF32Type(), 0);
  auto larger = [&](Value a, Value c) -> Value { return arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, a, c), a, c); };
  auto sum = [&](Value a, Value c) -> Value { return arith::AddFOp::create(e.b, a, c); };
  auto take = [&](Value base, const RowVectors::Part &part, Value filler) { return held.empty() ? row.read(base, part, filler) : held[part.number]; };
  // A NaN gives way here; it makes the sum NaN, and with it the row.
  Value top = RowVectors::across(e, row.fold(splat(e, lowest), larger, [&](const RowVectors::Part &part, Value chain) {
    Value x = row.read(from, part, lowest);
    if (!held.empty())
      held[part.number] = x;
    return larger(x, chain);
  }), larger), tops = splat(e, top);
  Value total = RowVectors::across(e, row.fold(splat(e, zero), sum, [&](const RowVectors::Part &part, Value chain) {
    Value power = emitDecay(e, arith::SubFOp::create(e.b, take(from, part, lowest), tops));
    if (!log && held.empty())
      row.write(to, part, power);
    else if (!log)
      held[part.number] = power;
    return sum(chain, power);
  }), sum);
  Value scale = splat(e, log ? Value(arith::AddFOp::create(e.b, top, e.math("log", total))) : Value(arith::DivFOp::create(e.b, e.constant(e.b.getF32Type(), 1), total)));
  row.fold(splat(e, zero), [](Value chain, Value) { return chain; }, [&](const RowVectors::Part &part, Value chain) {
    Value x = take(log ? from : to, part, zero);
    row.write(to, part, log ? Value(arith::SubFOp::create(e.b, x, scale)) : Value(arith::MulFOp::create(e.b, x, scale)));
    return chain;
  });
}

} // namespace onager
