// Convolutions with the weights that are not 0.
//
// Work items: (image, block of pixels, block of output channels), channels innermost. A share gathers the pixels under the windows where it meets a block of them:
//   scratch := panel, sums, what gathering takes
//   panel   := [channel][tap][pixel]
//   sums    := [output channel of the block][pixel]
#include "lib/Conversion/KernelToVector/PanelGather.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/SparseTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

struct SparseConvShape {
  kernel::SparseConvOp op;
  graph::Dims x, out, kernel;
  AffineExpr pixels;
  SparseWeights weights;
};

SparseConvShape getShape(kernel::UnitOp unit) {
  auto op = *unit.getBody().front().getOps<kernel::SparseConvOp>().begin();
  SparseConvShape s{op, graph::getDims(op.getX()), graph::getDims(op.getResult()), {}, {}, {}};
  for (int64_t extent : op.getKernel())
    s.kernel.push_back(getAffineConstantExpr(extent, unit.getContext()));
  s.pixels = graph::getNumElements(unit.getContext(), ArrayRef(s.out).drop_front(2));
  s.weights = {op.getStarts(), op.getIndices(), op.getValues(), *graph::getConstant(s.out[1]), *graph::getConstant(s.x[1]) * ShapedType::getNumElements(op.getKernel())};
  return s;
}

GatherWindow getWindow(SparseConvShape s) {
  return {ArrayRef(s.x).drop_front(2), ArrayRef(s.out).drop_front(2), s.kernel, s.op.getStrides(), s.op.getDilations(), s.op.getPads().getResults()};
}

/// Floats of scratch memory before what gathering takes.
int64_t getFloats(const SparseConvShape &s, int64_t blockPixels) { return (s.weights.depth + kSparseOutputs) * blockPixels; }

struct SparseConvEmitter {
  UnitEmitter &e;
  SparseConvShape s;
  int64_t blockPixels;
  PanelGather gather;
  bool asOne; ///< pixels are walked as one dim
  Value panel, sums;

  SparseConvEmitter(UnitEmitter &e, const SparseConvShape &shape) : e(e), s(shape), blockPixels(getSparseRows(e.options.target)),
        gather(e, getWindow(shape), blockPixels, e.address(e.b.getF32Type(), e.getScratch(), e.i64(getFloats(shape, blockPixels)))) {
    asOne = walksPixelsAsOne(e.unit, s.op.getResult());
    panel = e.getScratch();
    sums = e.address(e.b.getF32Type(), panel, e.i64(s.weights.depth * blockPixels));
  }

  void fillPanel(Value image, Value firstPixel, Value pixels) {
    Type f32 = e.b.getF32Type();
    Value imageSize = e.extent(graph::getNumElements(e.b.getContext(), ArrayRef(s.x).drop_front()));
    Value input = e.address(f32, e.getBuffer(s.op.getX()), e.mul(image, imageSize));
    gather.emit(input, e.extent(s.x[1]), firstPixel, e.add(firstPixel, pixels), [&](Value pixel) { return e.address(f32, panel, e.sub(pixel, firstPixel)); }, blockPixels);
  }

  void emit() {
    Value blocks = e.i64(s.weights.getBlocks()), pixelBlocks = e.extent(s.pixels.ceilDiv(blockPixels));
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value block = e.rem(item, blocks), rest = e.floorDiv(item, blocks), image = e.floorDiv(rest, pixelBlocks);
      Value firstPixel = e.mul(e.rem(rest, pixelBlocks), e.i64(blockPixels)), firstOutput = e.mul(block, e.i64(kSparseOutputs));
      Value pixels = e.minSigned(e.i64(blockPixels), e.sub(e.extent(s.pixels), firstPixel));
      Value outputs = e.minSigned(e.i64(kSparseOutputs), e.sub(e.i64(s.weights.outputs), firstOutput));
      e.ifThen(arith::OrIOp::create(e.b, e.compare("eq", item, e.begin), e.compare("eq", block, e.i64(0))), [&] { fillPanel(image, firstPixel, pixels); });
      emitSparseSums(e, s.weights, panel, pixels, firstOutput, outputs, sums);
      storePixels(e, s.op.getResult(), {image, firstOutput}, firstPixel, outputs, pixels, sums, blockPixels, asOne);
    });
  }
};

} // namespace

void emitSparseConv(UnitEmitter &e) { SparseConvEmitter(e, getShape(e.unit)).emit(); }

WorkInfo getSparseConvWork(kernel::UnitOp unit, const EmitOptions &options) {
  SparseConvShape s = getShape(unit);
  int64_t pixels = getSparseRows(options.target), floats = getFloats(s, pixels) + getGatherFloats(getWindow(s), pixels);
  return {s.x[0] * s.pixels.ceilDiv(pixels) * s.weights.getBlocks(), s.x[0] * s.pixels * s.weights.getProducts(), getAffineConstantExpr(floats * 4, unit.getContext()),
          getAffineConstantExpr(s.weights.getBlocks(), unit.getContext())};
}

} // namespace onager
