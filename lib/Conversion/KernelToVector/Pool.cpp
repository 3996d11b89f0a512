// Largest and average values and norms of windows over one or two spatial dims, in f32.
//
// Largest values of small windows. Work items: (image, band of rows, channel); windows are read where the plane lies (WindowSweep.h).
//   scratch := line of padding, block of result rows
// Others. Work items: (image, channel). The input plane is copied into scratch with its padding (Plane.h). Large windows are reduced along the columns first,
// then along the rows; both orders give the same largest value, and sums in one order for every element.
// Averages divide by the elements that count, which a plane of ones, reduced likewise once per share, tells.
//   scratch := padded plane, slack, plane reduced along columns, slack, block of result rows, counts
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/WindowSweep.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

using namespace mlir;

namespace onager {

namespace {

/// Windows of more taps are reduced one dim after the other.
constexpr int64_t kMostTapsAtOnce = 12;

struct PoolShape {
  graph::PoolOp op;
  graph::Dims x, out, spatial;
  Windows windows;
  AffineExpr paddedRows, paddedColumns, rows, columns;
  bool isSeparated, isAverage, isNorm;
  AffineExpr getPaddedFloats() const { return paddedRows * paddedColumns + getSlack(windows); }
  AffineExpr getReducedFloats() const { return isSeparated ? paddedRows * columns + getSlack(windows) : rows * 0; }
  AffineExpr getResultFloats() const { return rows * columns; }
};

PoolShape getShape(kernel::UnitOp unit) {
  PoolShape s;
  s.op = *unit.getBody().front().getOps<graph::PoolOp>().begin();
  s.x = graph::getDims(s.op.getX());
  s.out = graph::getDims(s.op.getResult());
  s.spatial.assign(s.out.begin() + 2, s.out.end());
  s.windows = makeWindows(s.op.getKernel(), s.op.getStrides(), s.op.getDilations());
  std::tie(s.paddedRows, s.paddedColumns) = getPaddedDims(s.windows, s.spatial);
  std::tie(s.rows, s.columns) = getPlaneDims(s.spatial);
  s.isSeparated = s.windows.getTaps() > kMostTapsAtOnce && s.windows.kernel[0] > 1;
  s.isAverage = s.op.getKind() == graph::PoolKind::average;
  s.isNorm = s.op.getKind() == graph::PoolKind::lp;
  return s;
}

bool isSwept(PoolShape s, const TargetInfo &target) { return canSweep(s.windows, target) && !s.isSeparated && s.op.getKind() == graph::PoolKind::max; }

SweepShape getSweep(PoolShape s) {
  auto [inRows, inColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
  ArrayRef<AffineExpr> pads = s.op.getPads().getResults();
  return {s.windows, inRows, inColumns, s.rows, s.columns, pads.size() == 1 ? pads[0] * 0 : pads[0], pads.back()};
}

void emitInPlace(UnitEmitter &e, PoolShape s) {
  SweepShape shape = getSweep(s);
  constexpr double lowest = -std::numeric_limits<double>::infinity();
  Value line = e.getScratch(), block = e.address(e.b.getF32Type(), line, e.extent(shape.getPaddingFloats())), init = splat(e, e.constant(e.b.getF32Type(), lowest));
  WindowSweep sweep(e, shape, line, lowest);
  Value inputSize = e.mul(e.extent(shape.inRows), e.extent(shape.inColumns));
  sweep.forPlanes(s.out[0], s.out[1], [&](Value image, Value channel, Value first, Value end) {
    Value plane = e.add(e.mul(image, e.extent(s.x[1])), channel);
    Value input = e.address(e.b.getF32Type(), e.getBuffer(s.op.getX()), e.mul(plane, inputSize));
    auto join = [&](Value most, Value x) -> Value { return arith::MaximumFOp::create(e.b, most, x); };
    auto step = [&](Value most, Value x, int64_t) { return join(most, x); };
    sweep.emit(input, first, end, block, init, step, join, [&](Value row, Value rows) {
      emitPlaneEpilogue(e, s.op.getResult(), {image, channel}, row, rows, block, [](Value value, Value) { return value; });
    });
  });
}

struct PoolEmitter {
  UnitEmitter &e;
  PoolShape s;
  PlaneEmitter planes;
  Value padded, reduced, result, counts;

  PoolEmitter(UnitEmitter &e, PoolShape shape) : e(e), s(shape), planes(e) {
    Type f32 = e.b.getF32Type();
    padded = e.getScratch();
    reduced = e.address(f32, padded, e.extent(s.getPaddedFloats()));
    result = e.address(f32, reduced, e.extent(s.getReducedFloats()));
    counts = e.address(f32, result, e.extent(s.getResultFloats()));
  }

  Value start() { return e.constant(e.b.getF32Type(), s.isAverage || s.isNorm ? 0.0 : -std::numeric_limits<double>::infinity()); }

  /// The power of an element that a norm sums.
  Value power(Value x) {
    if (!s.isNorm)
      return x;
    return s.op.getP() == 1 ? Value(math::AbsFOp::create(e.b, x)) : Value(arith::MulFOp::create(e.b, x, x));
  }

  Value combine(Value sum, Value x) {
    return s.isAverage || s.isNorm ? Value(arith::AddFOp::create(e.b, sum, x)) : Value(arith::MaximumFOp::create(e.b, sum, x));
  }

  /// What follows the last step.
  Value finish(Value value, Value pixel) {
    if (s.isAverage)
      return arith::DivFOp::create(e.b, value, e.load(e.b.getF32Type(), counts, pixel));
    return s.isNorm && s.op.getP() == 2 ? e.math("sqrt", value) : value;
  }

  void reduce(Value target) {
    Value rows = e.extent(s.rows), columns = e.extent(s.columns), height = e.extent(s.paddedRows), pitch = e.extent(s.paddedColumns);
    auto take = [&](Value sum, Value x, int64_t) { return combine(sum, power(x)); };
    auto join = [&](Value sum, Value x, int64_t) { return combine(sum, x); };
    Value init = splat(e, start());
    Plane source{padded, height, pitch, pitch}, out{target, rows, columns, columns};
    if (!s.isSeparated)
      return planes.reduceWindows(source, out, s.windows, init, take);
    Windows across = s.windows, down = s.windows;
    across.kernel[0] = across.strides[0] = across.dilations[0] = 1;
    down.kernel[1] = down.strides[1] = down.dilations[1] = 1;
    Plane middle{reduced, height, columns, columns};
    planes.reduceWindows(source, middle, across, init, take);
    planes.reduceWindows(middle, out, down, init, join);
  }

  /// Low padding and size of the dims of the plane that counts, 0 and 1 for a missing first dim.
  Value pad(AffineMap pads, size_t dim) {
    size_t missing = 2 - s.spatial.size();
    return dim < missing ? e.i64(0) : e.extent(pads.getResult(dim - missing));
  }

  void countElements() {
    Type f32 = e.b.getF32Type();
    planes.fill(padded, e.extent(s.getPaddedFloats()), e.constant(f32, 0));
    auto [height, width] = getPlaneDims(ArrayRef(s.x).drop_front(2));
    Value size[2] = {e.extent(height), e.extent(width)}, extent[2] = {e.extent(s.paddedRows), e.extent(s.paddedColumns)}, first[2], last[2];
    for (size_t d = 0; d < 2; ++d) {
      Value low = pad(s.op.getPads(), d), end = e.add(low, size[d]);
      first[d] = s.op.getCountPadding() ? e.i64(0) : e.clamp(low, e.i64(0), extent[d]);
      last[d] = e.clamp(s.op.getCountPadding() ? e.add(end, pad(s.op.getPadsEnd(), d)) : end, first[d], extent[d]);
    }
    e.forEach(first[0], last[0], 1, [&](Value row) {
      planes.fill(e.address(f32, padded, e.add(e.mul(row, extent[1]), first[1])), e.sub(last[1], first[1]), e.constant(f32, 1));
    });
    reduce(counts);
  }

  void emit() {
    Type f32 = e.b.getF32Type();
    if (s.isAverage)
      countElements();
    planes.fill(padded, e.extent(s.getPaddedFloats()), start());
    auto [height, width] = getPlaneDims(ArrayRef(s.x).drop_front(2));
    Value inputSize = e.mul(e.extent(height), e.extent(width));
    Plane target{padded, e.extent(s.paddedRows), e.extent(s.paddedColumns), e.extent(s.paddedColumns)};
    forRows(e, {s.out[0], s.out[1]}, e.begin, e.end, [&](ArrayRef<Value> plane, Value number) {
      Plane input{e.address(f32, e.getBuffer(s.op.getX()), e.mul(number, inputSize)), e.extent(height), e.extent(width), e.extent(width)};
      planes.copyInside(input, target, pad(s.op.getPads(), 0), pad(s.op.getPads(), 1));
      reduce(result);
      emitPlaneEpilogue(e, s.op.getResult(), plane, e.i64(0), e.extent(s.rows), result, [&](Value value, Value pixel) { return finish(value, pixel); });
    });
  }
};

} // namespace

void emitPool(UnitEmitter &e) {
  PoolShape s = getShape(e.unit);
  isSwept(s, e.options.target) ? emitInPlace(e, s) : PoolEmitter(e, s).emit();
}

WorkInfo getPoolWork(kernel::UnitOp unit, const EmitOptions &options) {
  PoolShape s = getShape(unit);
  AffineExpr items = s.out[0] * s.out[1], operations = graph::getNumElements(unit.getContext(), s.out) * s.windows.getTaps();
  if (isSwept(s, options.target)) {
    SweepShape sweep = getSweep(s);
    return {items * sweep.getBands(), operations, (sweep.getPaddingFloats() + s.columns * sweep.getBlockRows()) * 4};
  }
  AffineExpr floats = s.getPaddedFloats() + s.getReducedFloats() + s.getResultFloats() * (s.isAverage ? 2 : 1);
  return {items, operations, floats * 4};
}

} // namespace onager
