// Coordinates and taps of resampling; see Resampling.h.
#include "lib/Conversion/KernelToVector/Resampling.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

Value Resampling::plus(Value a, Value c) { return arith::AddFOp::create(e.b, a, c); }
Value Resampling::minus(Value a, Value c) { return arith::SubFOp::create(e.b, a, c); }
Value Resampling::times(Value a, Value c) { return arith::MulFOp::create(e.b, a, c); }
Value Resampling::over(Value a, Value c) { return arith::DivFOp::create(e.b, a, c); }
Value Resampling::real(Value i) { return arith::SIToFPOp::create(e.b, f64, i); }
Value Resampling::whole(Value x) { return arith::FPToSIOp::create(e.b, e.b.getI64Type(), x); }
Value Resampling::pick(Value condition, Value a, Value c) { return arith::SelectOp::create(e.b, condition, a, c); }
Value Resampling::less(Value a, Value c) { return arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, a, c); }

Value Resampling::number(Value tensor, int64_t k) {
  Value value = e.element(tensor, {e.i64(k)});
  return value.getType() == f64 ? value : Value(arith::ExtFOp::create(e.b, f64, value));
}

Value Resampling::coordinate(size_t d, Value i) {
  graph::Dims from = graph::getDims(op.getX()), to = graph::getDims(op.getResult());
  Value in = e.extent(from[d]), out = e.extent(to[d]);
  StringRef kind = op.getCoordinates();
  Value x = real(i), scale = number(op.getScales(), static_cast<int64_t>(d)), several = e.compare("sgt", out, e.i64(1));
  Value half = minus(over(plus(x, n(0.5)), scale), n(0.5));
  if (kind == "half_pixel")
    return half;
  if (kind == "pytorch_half_pixel")
    return pick(several, half, n(0));
  if (kind == "asymmetric")
    return over(x, scale);
  if (kind == "tf_half_pixel_for_nn")
    return over(plus(x, n(0.5)), scale);
  Value inLast = minus(real(in), n(1)), resized = times(scale, real(in)), outLast = pick(several, minus(resized, n(1)), n(1));
  if (kind == "align_corners")
    return pick(several, over(times(x, inLast), outLast), n(0));
  if (kind == "half_pixel_symmetric") {
    Value adjustment = over(real(out), times(scale, real(in)));
    return plus(times(over(real(in), n(2)), minus(n(1), adjustment)), half);
  }
  Value start = number(op.getRoi(), static_cast<int64_t>(d)), stop = number(op.getRoi(), static_cast<int64_t>(from.size() + d));
  Value walk = plus(times(start, inLast), over(times(times(x, minus(stop, start)), inLast), outLast));
  return pick(several, walk, times(times(n(0.5), plus(start, stop)), inLast));
}

Value Resampling::clampTo(Value position, Value in) { return e.maxSigned(e.minSigned(position, e.sub(in, e.i64(1))), e.i64(0)); }

Value Resampling::nearest(Value x) {
  StringRef rounding = op.getRounding();
  if (rounding == "floor")
    return math::FloorOp::create(e.b, x);
  if (rounding == "ceil")
    return math::CeilOp::create(e.b, x);
  if (rounding == "round_prefer_ceil")
    return math::FloorOp::create(e.b, plus(x, n(0.5)));
  return math::CeilOp::create(e.b, minus(x, n(0.5)));
}

/// Keys' cubic weight of a tap at distance t, 0 <= t < 2.
Value Resampling::cubic(Value t, bool near) {
  double a = op.getCubicCoeff().convertToDouble();
  if (near)
    return plus(times(times(minus(times(n(a + 2), t), n(a + 3)), t), t), n(1));
  return minus(times(plus(times(minus(times(n(a), t), n(5 * a)), t), n(8 * a)), t), n(4 * a));
}

SmallVector<Tap> Resampling::taps(Value x, Value in, Type compute) {
  auto cast = [&](Value w) { return compute == f64 ? w : Value(arith::TruncFOp::create(e.b, compute, w)); };
  if (op.getMode() == graph::ResizeMode::nearest)
    return {{clampTo(whole(nearest(x)), in), Value()}};
  Value base = math::FloorOp::create(e.b, x), fraction = minus(x, base), first = whole(base);
  if (op.getMode() == graph::ResizeMode::linear)
    return {{clampTo(first, in), cast(minus(n(1), fraction))}, {clampTo(e.add(first, e.i64(1)), in), cast(fraction)}};
  SmallVector<Value> weights{cubic(plus(fraction, n(1)), false), cubic(fraction, true), cubic(minus(n(1), fraction), true), cubic(minus(n(2), fraction), false)};
  if (op.getExcludeOutside()) {
    Value sum = n(0);
    for (int64_t k = 0; k < 4; ++k) {
      Value inside = e.compare("ult", e.add(first, e.i64(k - 1)), in);
      weights[k] = pick(inside, weights[k], n(0));
      sum = plus(sum, weights[k]);
    }
    for (Value &weight : weights)
      weight = over(weight, sum);
  }
  SmallVector<Tap> list;
  for (int64_t k = 0; k < 4; ++k)
    list.push_back({clampTo(e.add(first, e.i64(k - 1)), in), cast(weights[k])});
  return list;
}

Value Resampling::isOutside(size_t d, Value x) {
  return arith::OrIOp::create(e.b, less(x, n(0)), less(minus(real(e.extent(graph::getDims(op.getX())[d])), n(1)), x));
}

} // namespace onager
