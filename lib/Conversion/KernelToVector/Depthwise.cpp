// Depthwise convolution over one or two spatial dims: each output channel reads one input channel.
//
// Work items: (image, band of rows, output channel): threads write and read the same parts of planes as in convolutions before and behind, which share pixels out.
// Windows are summed where the plane lies (WindowSweep.h), into a block of rows in scratch, from which the epilogue takes them; one that has a form of whole
// vectors (LaneEpilogue.h) takes them from the registers.
//   scratch := line of padding, block of result rows
// Other steps and shorter registers: the input plane is copied into scratch with its padding (Plane.h); a plane has one band.
//   scratch := padded plane, slack, block of result rows
#include "lib/Conversion/KernelToVector/LaneEpilogue.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/WindowSweep.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

struct DepthwiseShape {
  graph::ConvOp op;
  graph::Dims x, out, spatial;
  Windows windows;
  AffineExpr paddedRows, paddedColumns, blockRows;
  AffineExpr getPlaneFloats() const { return paddedRows * paddedColumns + getSlack(windows); }
};

DepthwiseShape getShape(kernel::UnitOp unit) {
  DepthwiseShape s;
  s.op = *unit.getBody().front().getOps<graph::ConvOp>().begin();
  s.x = graph::getDims(s.op.getX());
  s.out = graph::getDims(s.op.getResult());
  s.spatial.assign(s.out.begin() + 2, s.out.end());
  ArrayRef<int64_t> kernel = cast<RankedTensorType>(s.op.getFilter().getType()).getShape().drop_front(2);
  s.windows = makeWindows(kernel, s.op.getStrides(), s.op.getDilations());
  std::tie(s.paddedRows, s.paddedColumns) = getPaddedDims(s.windows, s.spatial);
  s.blockRows = getBlockRows(s.spatial);
  return s;
}

/// Low padding of the plane's two dims.
std::pair<Value, Value> getPads(UnitEmitter &e, AffineMap pads) {
  Value last = e.extent(pads.getResults().back());
  return {pads.getNumResults() == 1 ? e.i64(0) : e.extent(pads.getResult(0)), last};
}

SweepShape getSweep(DepthwiseShape s) {
  auto [inRows, inColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
  auto [rows, columns] = getPlaneDims(s.spatial);
  ArrayRef<AffineExpr> pads = s.op.getPads().getResults();
  return {s.windows, inRows, inColumns, rows, columns, pads.size() == 1 ? pads[0] * 0 : pads[0], pads.back()};
}

/// The channel of x that an output channel of an image reads.
Value getInput(UnitEmitter &e, DepthwiseShape s, Value image, Value channel) {
  auto [rows, columns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
  Value perChannel = e.floorDiv(e.extent(s.out[1]), e.i64(s.op.getGroup()));
  Value plane = e.add(e.mul(image, e.extent(s.x[1])), e.floorDiv(channel, perChannel));
  return e.address(e.b.getF32Type(), e.getBuffer(s.op.getX()), e.mul(plane, e.mul(e.extent(rows), e.extent(columns))));
}

/// The unit's result of a channel of an image.
Value getPlane(UnitEmitter &e, DepthwiseShape s, Value image, Value channel) {
  Value plane = e.add(e.mul(image, e.extent(s.out[1])), channel);
  return e.address(e.b.getF32Type(), e.getResultBuffer(0), e.mul(plane, e.extent(graph::getNumElements(e.b.getContext(), s.spatial))));
}

SmallVector<Value> loadWeights(UnitEmitter &e, DepthwiseShape s, Value channel) {
  SmallVector<Value> weights;
  for (int64_t tap = 0; tap < s.windows.getTaps(); ++tap)
    weights.push_back(splat(e, e.load(e.b.getF32Type(), e.getBuffer(s.op.getFilter()), e.add(e.mul(channel, e.i64(s.windows.getTaps())), e.i64(tap)), true)));
  return weights;
}

void emitInPlace(UnitEmitter &e, DepthwiseShape s) {
  Value line = e.getScratch();
  SweepShape shape = getSweep(s);
  Value block = e.address(e.b.getF32Type(), line, e.extent(shape.getPaddingFloats())), zero = splat(e, e.constant(e.b.getF32Type(), 0));
  WindowSweep sweep(e, shape, line, 0);
  bool isDirect = hasLaneEpilogue(e.unit, s.op.getResult());
  sweep.forPlanes(s.out[0], s.out[1], [&](Value image, Value channel, Value first, Value end) {
    SmallVector<Value> weights = loadWeights(e, s, channel);
    auto step = [&](Value sum, Value x, int64_t tap) -> Value { return multiplyAdd(e, x, weights[tap], sum); };
    auto join = [&](Value sum, Value other) -> Value { return arith::AddFOp::create(e.b, sum, other); };
    if (isDirect) {
      LaneEpilogue epilogue(e, s.op.getResult(), image, channel);
      return sweep.emitInto(getInput(e, s, image, channel), first, end, getPlane(e, s, image, channel), zero, step, join, [&](Value sums) { return epilogue.apply(sums); });
    }
    sweep.emit(getInput(e, s, image, channel), first, end, block, zero, step, join, [&](Value row, Value rows) {
      emitPlaneEpilogue(e, s.op.getResult(), {image, channel}, row, rows, block, [](Value value, Value) { return value; });
    });
  });
}

void emitPadded(UnitEmitter &e, DepthwiseShape s) {
  PlaneEmitter planes(e);
  Type f32 = e.b.getF32Type();
  Value zero = e.constant(f32, 0), scratch = e.getScratch();
  auto [height, width] = getPlaneDims(s.spatial);
  auto [inputRows, inputColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
  Plane padded{scratch, e.extent(s.paddedRows), e.extent(s.paddedColumns), e.extent(s.paddedColumns)};
  Value block = e.address(f32, scratch, e.extent(s.getPlaneFloats()));
  Value rows = e.extent(height), columns = e.extent(width), step = e.extent(s.blockRows);
  auto [top, left] = getPads(e, s.op.getPads());
  planes.fill(scratch, e.extent(s.getPlaneFloats()), zero);
  forRows(e, {s.out[0], s.out[1]}, e.begin, e.end, [&](ArrayRef<Value> plane, Value) {
    Plane input{getInput(e, s, plane[0], plane[1]), e.extent(inputRows), e.extent(inputColumns), e.extent(inputColumns)};
    planes.copyInside(input, padded, top, left);
    SmallVector<Value> weights = loadWeights(e, s, plane[1]);
    Value blocks = e.floorDiv(e.add(rows, e.sub(step, e.i64(1))), step);
    e.forEach(e.i64(0), blocks, 1, [&](Value number) {
      Value row = e.mul(number, step), count = e.minSigned(step, e.sub(rows, row));
      Plane source = padded;
      source.base = e.address(f32, padded.base, e.mul(e.mul(row, e.i64(s.windows.strides[0])), padded.pitch));
      planes.reduceWindows(source, {block, count, columns, columns}, s.windows, splat(e, zero),
                           [&](Value sum, Value x, int64_t tap) -> Value { return multiplyAdd(e, x, weights[tap], sum); });
      emitPlaneEpilogue(e, s.op.getResult(), plane, row, count, block, [](Value value, Value) { return value; });
    });
  });
}

} // namespace

void emitDepthwise(UnitEmitter &e) {
  DepthwiseShape s = getShape(e.unit);
  canSweep(s.windows, e.options.target) ? emitInPlace(e, s) : emitPadded(e, s);
}

WorkInfo getDepthwiseWork(kernel::UnitOp unit, const EmitOptions &options) {
  DepthwiseShape s = getShape(unit);
  AffineExpr items = s.out[0] * s.out[1], operations = graph::getNumElements(unit.getContext(), s.out) * s.windows.getTaps();
  if (!canSweep(s.windows, options.target))
    return {items, operations, (s.getPlaneFloats() + s.blockRows * getPlaneDims(s.spatial).second) * 4};
  SweepShape sweep = getSweep(s);
  return {items * sweep.getBands(), operations, (sweep.getPaddingFloats() + sweep.columns * sweep.getBlockRows()) * 4};
}

} // namespace onager
