// Depthwise convolution over one or two spatial dims: each output channel reads one input channel.
//
// Work items: (image, output channel). The input plane is copied into scratch with its padding (Plane.h), windows are summed into a block of rows
// in scratch, from which the epilogue takes them.
//   scratch := padded plane, slack, block of result rows
#include "lib/Conversion/KernelToVector/Plane.h"
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

} // namespace

void emitDepthwise(UnitEmitter &e) {
  DepthwiseShape s = getShape(e.unit);
  PlaneEmitter planes(e);
  Type f32 = e.b.getF32Type();
  Value zero = e.constant(f32, 0), scratch = e.getScratch();
  auto [height, width] = getPlaneDims(s.spatial);
  auto [inputRows, inputColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
  Plane padded{scratch, e.extent(s.paddedRows), e.extent(s.paddedColumns), e.extent(s.paddedColumns)};
  Value block = e.address(f32, scratch, e.extent(s.getPlaneFloats()));
  Value rows = e.extent(height), columns = e.extent(width), step = e.extent(s.blockRows);
  Value inputSize = e.mul(e.extent(inputRows), e.extent(inputColumns)), filter = e.getBuffer(s.op.getFilter());
  Value perChannel = e.floorDiv(e.extent(s.out[1]), e.i64(s.op.getGroup()));
  auto [top, left] = getPads(e, s.op.getPads());
  planes.fill(scratch, e.extent(s.getPlaneFloats()), zero);
  forRows(e, {s.out[0], s.out[1]}, e.begin, e.end, [&](ArrayRef<Value> plane, Value) {
    Value channel = e.add(e.mul(plane[0], e.extent(s.x[1])), e.floorDiv(plane[1], perChannel));
    Plane input{e.address(f32, e.getBuffer(s.op.getX()), e.mul(channel, inputSize)), e.extent(inputRows), e.extent(inputColumns), e.extent(inputColumns)};
    planes.copyInside(input, padded, top, left);
    SmallVector<Value> weights;
    for (int64_t tap = 0; tap < s.windows.getTaps(); ++tap)
      weights.push_back(splat(e, e.load(f32, filter, e.add(e.mul(plane[1], e.i64(s.windows.getTaps())), e.i64(tap)), true)));
    Value blocks = e.floorDiv(e.add(rows, e.sub(step, e.i64(1))), step);
    e.forEach(e.i64(0), blocks, 1, [&](Value number) {
      Value row = e.mul(number, step), count = e.minSigned(step, e.sub(rows, row));
      Plane source = padded;
      source.base = e.address(f32, padded.base, e.mul(e.mul(row, e.i64(s.windows.strides[0])), padded.pitch));
      planes.reduceWindows(source, {block, count, columns, columns}, s.windows, splat(e, zero),
                           [&](Value sum, Value x, int64_t tap) -> Value { return vector::FMAOp::create(e.b, x, weights[tap], sum); });
      emitPlaneEpilogue(e, s.op.getResult(), plane, row, count, block, [](Value value, Value) { return value; });
    });
  });
}

WorkInfo getDepthwiseWork(kernel::UnitOp unit, const EmitOptions &) {
  DepthwiseShape s = getShape(unit);
  AffineExpr floats = s.getPlaneFloats() + s.blockRows * getPlaneDims(s.spatial).second;
  return {s.out[0] * s.out[1], graph::getNumElements(unit.getContext(), s.out) * s.windows.getTaps(), floats * 4};
}

} // namespace onager
