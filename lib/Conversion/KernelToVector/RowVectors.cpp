// A row as vectors: several chains at a time, then one, then what is left under a mask. Rows of a few vectors, known when compiling, stay in registers.
//
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

namespace {

/// Lanes of a vector, independent chains of a loop, and the most vectors of a row that stays in registers.
constexpr int64_t kLanes = kernel::kPanelWidth, kChains = 4, kMostHeld = 8;

struct RowVectors {
  UnitEmitter &e;
  Value from, to, width;
  std::optional<int64_t> known; ///< the width, where it is
  VectorType lanes;
  SmallVector<Value> held; ///< the row's vectors, where it stays in registers
  Value tailMask;

  using Combine = function_ref<Value(Value, Value)>;
  /// One vector of the row; `offset` is where it lies, `mask` which of its lanes do, null where all.
  struct Part {
    size_t number;
    Value offset, mask;
  };

  RowVectors(UnitEmitter &e, Value from, Value to, AffineExpr extent)
      : e(e), from(from), to(to), width(e.extent(extent)), known(graph::getConstant(extent)),
        lanes(VectorType::get({kLanes}, e.b.getF32Type())) {
    if (!known || *known % kLanes)
      tailMask = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, getLaneNumbers(e, e.b.getI64Type()), splat(e.sub(width, getWhole())));
    if (known && *known <= kMostHeld * kLanes)
      held.resize(llvm::divideCeil(*known, kLanes));
  }

  Value getWhole() { return roundDown(kLanes); }
  Value roundDown(int64_t step) { return e.mul(e.floorDiv(width, e.i64(step)), e.i64(step)); }
  Value splat(Value x) { return onager::splat(e, x); }

  /// Reads a vector; lanes behind the row's end are `filler`.
  Value read(Value base, const Part &part, Value filler) {
    Value place = e.address(e.b.getF32Type(), base, part.offset);
    return part.mask ? Value(LLVM::MaskedLoadOp::create(e.b, lanes, place, part.mask, splat(filler), 4u)) : Value(LLVM::LoadOp::create(e.b, lanes, place, 4));
  }
  void write(const Part &part, Value x) {
    Value place = e.address(e.b.getF32Type(), to, part.offset);
    if (part.mask)
      LLVM::MaskedStoreOp::create(e.b, x, place, part.mask, 4u);
    else
      LLVM::StoreOp::create(e.b, x, place, 4);
  }

  /// Calls `body` for each vector of the row, with the chain that it belongs to; puts the chains together by `combine`.
  Value fold(Value init, Combine combine, function_ref<Value(const Part &, Value)> body) {
    if (!held.empty()) {
      Value chain = init;
      for (size_t k = 0; k < held.size(); ++k)
        chain = body({k, e.i64(k * kLanes), k + 1 == held.size() ? tailMask : Value()}, chain);
      return chain;
    }
    Value grouped = roundDown(kChains * kLanes), whole = getWhole();
    SmallVector<Value> chains = e.forLoop(e.i64(0), grouped, kChains * kLanes, SmallVector<Value>(kChains, init), [&](Value offset, ValueRange running) {
      SmallVector<Value> next;
      for (auto [k, chain] : llvm::enumerate(running))
        next.push_back(body({0, e.add(offset, e.i64(k * kLanes)), {}}, chain));
      return next;
    });
    Value chain = combine(combine(chains[0], chains[1]), combine(chains[2], chains[3]));
    chain = e.forLoop(grouped, whole, kLanes, chain, [&](Value offset, ValueRange running) { return SmallVector<Value>{body({0, offset, {}}, running[0])}; })[0];
    if (!tailMask)
      return chain;
    return e.select(e.compare("slt", whole, width), lanes, [&] { return body({0, whole, tailMask}, chain); }, [&] { return chain; });
  }

  /// Puts the lanes together, by halves.
  Value across(Value x, Combine combine) {
    for (int64_t half = kLanes / 2; half > 0; half /= 2) {
      auto take = [&](int64_t first) { return vector::ShuffleOp::create(e.b, x, x, llvm::to_vector(llvm::seq(first, first + half))); };
      x = combine(take(0), take(half));
    }
    return vector::ExtractOp::create(e.b, x, ArrayRef<int64_t>{0});
  }

  /// Writes `finish` of each vector, which is read from `base` where it is not held.
  void finishRow(Value base, function_ref<Value(Value)> finish) {
    Value none = splat(e.constant(e.b.getF32Type(), 0));
    fold(none, [](Value chain, Value) { return chain; }, [&](const Part &part, Value chain) {
      write(part, finish(held.empty() ? read(base, part, e.constant(e.b.getF32Type(), 0)) : held[part.number]));
      return chain;
    });
  }

  void softmax(bool log) {
    Value lowest = e.constant(e.b.getF32Type(), -std::numeric_limits<double>::infinity()), zero = e.constant(e.b.getF32Type(), 0);
    auto larger = [&](Value a, Value c) -> Value { return arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, a, c), a, c); };
    auto sum = [&](Value a, Value c) -> Value { return arith::AddFOp::create(e.b, a, c); };
    // A NaN gives way here; it makes the sum NaN, and with it the row.
    Value top = across(fold(splat(lowest), larger, [&](const Part &part, Value chain) {
      Value x = read(from, part, lowest);
      if (!held.empty())
        held[part.number] = x;
      return larger(x, chain);
    }), larger), tops = splat(top);
    Value total = across(fold(splat(zero), sum, [&](const Part &part, Value chain) {
      Value power = emitDecay(e, arith::SubFOp::create(e.b, held.empty() ? read(from, part, lowest) : held[part.number], tops));
      if (log)
        return sum(chain, power);
      if (held.empty())
        write(part, power);
      else
        held[part.number] = power;
      return sum(chain, power);
    }), sum);
    if (log) {
      Value shift = splat(arith::AddFOp::create(e.b, top, e.math("log", total)));
      return finishRow(from, [&](Value x) -> Value { return arith::SubFOp::create(e.b, x, shift); });
    }
    Value scale = splat(arith::DivFOp::create(e.b, e.constant(e.b.getF32Type(), 1), total));
    finishRow(to, [&](Value power) -> Value { return arith::MulFOp::create(e.b, power, scale); });
  }
};

} // namespace

void emitSoftmaxRow(UnitEmitter &e, Value from, Value to, AffineExpr width, bool log) { RowVectors(e, from, to, width).softmax(log); }

} // namespace onager
