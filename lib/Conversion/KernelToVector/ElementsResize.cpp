// Resampling. Per dim, an output position maps to a coordinate in the input, and that to one (nearest), two (linear) or four
// (cubic) weighted taps; an element is the product form over all dims. Coordinates are computed in f64.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

struct Tap {
  Value position; ///< i64, inside the input
  Value weight;   ///< compute type; null for one
};

struct ResizeEmitter {
  UnitEmitter &e;
  graph::ResizeOp op;
  Type f64;

  Value n(double value) { return e.constant(f64, value); }
  Value plus(Value a, Value c) { return arith::AddFOp::create(e.b, a, c); }
  Value minus(Value a, Value c) { return arith::SubFOp::create(e.b, a, c); }
  Value times(Value a, Value c) { return arith::MulFOp::create(e.b, a, c); }
  Value over(Value a, Value c) { return arith::DivFOp::create(e.b, a, c); }
  Value real(Value i) { return arith::SIToFPOp::create(e.b, f64, i); }
  Value whole(Value x) { return arith::FPToSIOp::create(e.b, e.b.getI64Type(), x); }
  Value pick(Value condition, Value a, Value c) { return arith::SelectOp::create(e.b, condition, a, c); }
  Value less(Value a, Value c) { return arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, a, c); }

  Value number(Value tensor, int64_t k) {
    Value value = e.element(tensor, {e.i64(k)});
    return value.getType() == f64 ? value : Value(arith::ExtFOp::create(e.b, f64, value));
  }

  Value coordinate(size_t d, size_t rank, Value i, Value in, Value out) {
    StringRef kind = op.getCoordinates();
    Value x = real(i), scale = number(op.getScales(), d), several = e.compare("sgt", out, e.i64(1));
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
    Value start = number(op.getRoi(), d), stop = number(op.getRoi(), rank + d);
    Value walk = plus(times(start, inLast), over(times(times(x, minus(stop, start)), inLast), outLast));
    return pick(several, walk, times(times(n(0.5), plus(start, stop)), inLast));
  }

  Value clampTo(Value position, Value in) { return e.maxSigned(e.minSigned(position, e.sub(in, e.i64(1))), e.i64(0)); }

  Value nearest(Value x) {
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
  Value cubic(Value t, bool near) {
    double a = op.getCubicCoeff().convertToDouble();
    if (near)
      return plus(times(times(minus(times(n(a + 2), t), n(a + 3)), t), t), n(1));
    return minus(times(plus(times(minus(times(n(a), t), n(5 * a)), t), n(8 * a)), t), n(4 * a));
  }

  SmallVector<Tap> taps(Value x, Value in, Type compute) {
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

  Value combine(ArrayRef<SmallVector<Tap>> perDim, Index index, Value weight) {
    if (index.size() == perDim.size()) {
      Value x = e.element(op.getX(), index);
      if (!isa<FloatType>(x.getType()) && weight)
        x = arith::SIToFPOp::create(e.b, weight.getType(), x);
      return weight ? Value(arith::MulFOp::create(e.b, x, weight)) : x;
    }
    Value sum;
    for (const Tap &tap : perDim[index.size()]) {
      Index next(index);
      next.push_back(tap.position);
      Value product = tap.weight && weight ? Value(arith::MulFOp::create(e.b, weight, tap.weight)) : tap.weight ? tap.weight : weight;
      Value part = combine(perDim, next, product);
      sum = sum ? Value(arith::AddFOp::create(e.b, sum, part)) : part;
    }
    return sum;
  }

  Value emit(ArrayRef<Value> index) {
    graph::Dims in = graph::getDims(op.getX()), out = graph::getDims(op.getResult());
    Type storage = cast<RankedTensorType>(op.getX().getType()).getElementType(), compute = e.computeType(storage);
    Type weights = isa<FloatType>(compute) ? compute : Type(e.b.getF32Type());
    bool crops = op.getCoordinates() == "tf_crop_and_resize";
    SmallVector<SmallVector<Tap>> perDim;
    Value outside;
    for (size_t d = 0; d < in.size(); ++d) {
      if (in[d] == out[d] && !crops) {
        perDim.push_back({{index[d], Value()}});
        continue;
      }
      refuseEmptyDim(e, op, in[d], "a dim without elements cannot be resized to some");
      Value x = coordinate(d, in.size(), index[d], e.extent(in[d]), e.extent(out[d]));
      perDim.push_back(taps(x, e.extent(in[d]), weights));
      if (crops) {
        Value off = arith::OrIOp::create(e.b, less(x, n(0)), less(minus(real(e.extent(in[d])), n(1)), x));
        outside = outside ? Value(arith::OrIOp::create(e.b, outside, off)) : off;
      }
    }
    Value value = combine(perDim, {}, Value());
    if (isa<FloatType>(value.getType()) && !isa<FloatType>(compute))
      value = convertElement(e, math::RoundEvenOp::create(e.b, value), e.b.getF32Type(), storage, true);
    return outside ? pick(outside, e.constant(compute, op.getExtrapolation().convertToDouble()), value) : value;
  }
};

Value emitResize(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  return ResizeEmitter{e, cast<graph::ResizeOp>(op), e.b.getF64Type()}.emit(index);
}

} // namespace

void registerResize(llvm::StringMap<OpElementFn> &table) { table["graph.resize"] = emitResize; }

} // namespace onager
