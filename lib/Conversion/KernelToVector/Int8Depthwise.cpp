// Depthwise convolution of bytes: each output channel reads one input channel.
//
// Work items: (image, output channel). The input plane is copied into scratch with its padding and dealt out by the strides (phases, Int8.h); pixels are
// numbered over rows of `pitch`, and those behind a row's end are computed and left out. Each quad of taps is a vector of neighbours that slides along.
//   scratch := planes [phase][rows][pitch], slack, results [height][pitch]
#include "lib/Conversion/KernelToVector/Int8Kernel.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;
using kernel::kTileVectors;

/// Bytes behind the planes that tiles may read.
constexpr int64_t kSlack = 256;

struct Int8DepthwiseShape {
  kernel::Int8ConvOp op;
  kernel::Int8Layout layout;
  graph::Dims x, out, spatial;
  kernel::Int8Window window;
  std::vector<kernel::TapQuad> quads;
  llvm::SetVector<int64_t> phases;
  AffineExpr height, width, planeRows, pitch;

  AffineExpr getPlaneBytes() const { return planeRows * pitch; }
  AffineExpr getInputBytes() const { return (getPlaneBytes() * static_cast<int64_t>(phases.size()) + kSlack).ceilDiv(64) * 64; }
  AffineExpr getTiles() const { return (height * pitch).ceilDiv(layout.getTile()); }
};

Int8DepthwiseShape getShape(kernel::UnitOp unit, const EmitOptions &options) {
  Int8DepthwiseShape s;
  s.op = *unit.getBody().front().getOps<kernel::Int8ConvOp>().begin();
  s.layout = getInt8Layout(options, s.op.getFilter());
  s.x = graph::getDims(s.op.getX());
  s.out = graph::getDims(s.op.getResult());
  s.spatial.assign(s.out.begin() + 2, s.out.end());
  s.window = kernel::makeInt8Window(s.op.getKernel(), s.op.getStrides(), s.op.getDilations());
  std::tie(s.height, s.width) = getPlaneDims(s.spatial);
  s.quads = kernel::getTapQuads(s.window);
  int64_t lastRow = 0, lastColumn = 0;
  for (int64_t row = 0; row < s.window.kernel[0]; ++row)
    for (int64_t column = 0; column < s.window.kernel[1]; ++column) {
      kernel::TapPosition position = kernel::getTapPosition(s.window, row, column);
      s.phases.insert(position.phase);
      lastRow = std::max(lastRow, position.row);
      lastColumn = std::max(lastColumn, position.column);
    }
  s.pitch = s.width + lastColumn;
  s.planeRows = s.height + lastRow;
  return s;
}

struct Int8DepthwiseEmitter {
  UnitEmitter &e;
  Int8DepthwiseShape s;
  Int8Vectors v;
  Int8Results results;
  Value planes, buffer;
  bool isSigned, isScaled;

  Int8DepthwiseEmitter(UnitEmitter &e, const Int8DepthwiseShape &shape) : e(e), s(shape), v(e.b, shape.layout), results(e, s.op.getResult()) {
    planes = e.getScratch();
    buffer = bytes(planes, e.extent(s.getInputBytes()));
    isSigned = cast<RankedTensorType>(s.op.getX().getType()).getElementType().isSignlessInteger();
    isScaled = static_cast<bool>(s.op.getScale());
  }

  Value bytes(Value base, Value offset) { return getByteAddress(e, base, offset); }
  Value phaseOffset(int64_t phase) { return e.mul(e.extent(s.getPlaneBytes()), e.i64(llvm::find(s.phases, phase) - s.phases.begin())); }

  /// Loads a number of the channel and spreads it.
  Value loadNumber(Value numbers, Value channel, VectorType type) {
    return v.splat(type, v.load(type.getElementType(), bytes(e.getBuffer(numbers), e.mul(channel, e.i64(4))), 4));
  }

  void copyPlanes(Value input) {
    auto [inRows, inColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
    AffineMap pads = s.op.getPads();
    BytePlane plane{input, e.extent(inRows), e.extent(inColumns), pads.getNumResults() == 1 ? e.i64(0) : e.extent(pads.getResult(0)), e.extent(pads.getResults().back())};
    for (int64_t phase : s.phases)
      copyPhase(e, bytes(planes, phaseOffset(phase)), e.extent(s.planeRows), e.extent(s.pitch), plane, s.window, phase, e.i64(0), isSigned);
  }

  /// The weights of a channel, spread, by quad and step.
  SmallVector<Value> loadWeights(Value channel) {
    SmallVector<Value> weights;
    auto words = static_cast<int64_t>(s.quads.size()) * s.layout.getSteps();
    Value first = bytes(e.getBuffer(s.op.getFilter()), e.mul(channel, e.i64(words * kernel::kQuad)));
    for (int64_t k = 0; k < words; ++k)
      weights.push_back(v.spread(v.load(e.b.getI32Type(), v.at(first, k * kernel::kQuad), 4)));
    return weights;
  }

  /// Sums of a tile of pixels.
  SmallVector<Value> sumTile(Value pixel, Value start, ArrayRef<Value> weights) {
    SmallVector<Value> sums(kTileVectors, start);
    for (auto [number, quad] : llvm::enumerate(s.quads)) {
      Value offset = e.add(phaseOffset(quad.position.phase), e.add(e.mul(e.i64(quad.position.row), e.extent(s.pitch)), e.i64(quad.position.column)));
      for (auto [vector, neighbours] : llvm::enumerate(v.slide(bytes(planes, e.add(offset, pixel)))))
        for (auto [step, operand] : llvm::enumerate(v.widen(neighbours)))
          sums[vector] = v.multiplyAdd(sums[vector], operand, weights[number * s.layout.getSteps() + step]);
    }
    return sums;
  }

  void computePlane(Value channel) {
    SmallVector<Value> weights = loadWeights(channel);
    Value start = loadNumber(s.op.getStart(), channel, v.sums), scale, offset;
    Int8Vectors::Rounding rounding;
    if (isScaled) {
      scale = loadNumber(s.op.getScale(), channel, v.floats);
      offset = loadNumber(s.op.getOffset(), channel, v.floats);
      auto all = [&](VectorType type, int64_t value) { return v.splat(type, arith::ConstantOp::create(e.b, e.b.getIntegerAttr(type.getElementType(), static_cast<int8_t>(value)))); };
      Value zero = arith::ConstantOp::create(e.b, e.b.getI16IntegerAttr(static_cast<int16_t>(s.op.getZeroPoint())));
      rounding = {v.splat(VectorType::get({2 * s.layout.lanes}, e.b.getI16Type()), zero), all(v.bytes, s.op.getLow()), all(v.bytes, s.op.getHigh()),
                  cast<RankedTensorType>(s.op.getType()).getElementType().isSignlessInteger(8)};
    }
    int64_t tile = s.layout.getTile();
    e.forEach(e.i64(0), e.mul(e.extent(s.getTiles()), e.i64(tile)), tile, [&](Value pixel) {
      SmallVector<Value> sums = sumTile(pixel, start, weights);
      Value result = isScaled ? v.toBytes(sums, SmallVector<Value>(kTileVectors, scale), SmallVector<Value>(kTileVectors, offset), rounding) : v.putInOrder(sums);
      v.store(result, bytes(buffer, e.mul(pixel, e.i64(results.elementBytes))));
    });
  }

  void storePlane(ArrayRef<Value> plane, Value number) {
    Value width = e.extent(s.width), rows = e.extent(s.height);
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      Value from = bytes(buffer, e.mul(e.mul(row, e.extent(s.pitch)), e.i64(results.elementBytes)));
      results.store(from, width, e.mul(e.add(e.mul(number, rows), row), width), [&](Value i) {
        Index index(plane);
        if (s.spatial.size() == 2)
          index.push_back(row);
        index.push_back(i);
        return index;
      });
    });
  }

  void emit() {
    auto [inRows, inColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
    Value inputSize = e.mul(e.extent(inRows), e.extent(inColumns)), perChannel = e.floorDiv(e.extent(s.out[1]), e.i64(s.op.getGroup()));
    fillBytes(e, planes, e.extent(s.getInputBytes()), s.op.getPadding() + (isSigned ? kSignFlip : 0));
    forRows(e, {s.out[0], s.out[1]}, e.begin, e.end, [&](ArrayRef<Value> plane, Value number) {
      Value channel = e.add(e.mul(plane[0], e.extent(s.x[1])), e.floorDiv(plane[1], perChannel));
      copyPlanes(bytes(e.getBuffer(s.op.getX()), e.mul(channel, inputSize)));
      computePlane(plane[1]);
      storePlane(plane, number);
    });
  }
};

} // namespace

void emitInt8Depthwise(UnitEmitter &e) { Int8DepthwiseEmitter(e, getShape(e.unit, e.options)).emit(); }

WorkInfo getInt8DepthwiseWork(kernel::UnitOp unit, const EmitOptions &options) {
  Int8DepthwiseShape s = getShape(unit, options);
  int64_t taps = s.window.kernel[0] * s.window.kernel[1];
  AffineExpr bytes = s.getInputBytes() + s.getTiles() * (s.layout.getTile() * (s.op.getScale() ? 1 : 4));
  return {s.out[0] * s.out[1], graph::getNumElements(unit.getContext(), s.out) * taps, bytes};
}

} // namespace onager
