// Depthwise convolution of bytes: each output channel reads one input channel.
//
// Work items: (image, output channel). Input planes are copied into scratch with their padding, their rows dealt out by the stride (phases, Int8.h). Pixels
// are numbered over rows of `pitch`, the stride of columns apart, and those behind a row's end are computed and left out. Each quad of taps is a vector of
// neighbours that slides along. Small planes are copied several at a time: what was just stored in pieces is slow to load as vectors.
//   scratch := slots [planes [phase][rows][pitch * stride], slack, results [height][pitch]]
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

/// Planes that are copied at a time, at most, and bytes that they take together.
constexpr int64_t kMostSlots = 16, kSlotBytes = 16 << 10;

struct Int8DepthwiseShape {
  kernel::Int8ConvOp op;
  kernel::Int8Layout layout;
  graph::Dims x, out, spatial;
  kernel::Int8Window window;
  std::vector<kernel::TapQuad> quads;
  llvm::SetVector<int64_t> phases;
  AffineExpr height, width, planeRows, pitch;
  int64_t elementBytes; ///< of the result
  int64_t lastColumn;   ///< offset of the last tap

  int64_t getStride() const { return window.strides[1]; }
  AffineExpr getPlaneBytes() const { return planeRows * pitch * getStride(); }
  AffineExpr getInputBytes() const { return (getPlaneBytes() * static_cast<int64_t>(phases.size()) + getSlideBytes(layout, getStride()) + lastColumn).ceilDiv(64) * 64; }
  AffineExpr getTiles() const { return (height * pitch).ceilDiv(layout.getTile()); }
  AffineExpr getSlotBytes() const { return getInputBytes() + getTiles() * (layout.getTile() * elementBytes); }
  int64_t getSlots() const {
    std::optional<int64_t> bytes = graph::getConstant(getSlotBytes());
    return bytes ? std::clamp<int64_t>(kSlotBytes / *bytes, 1, kMostSlots) : 1;
  }
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
  s.elementBytes = s.op.getScale() ? 1 : 4;
  int64_t lastRow = 0;
  s.lastColumn = (s.window.kernel[1] - 1) * s.window.dilations[1];
  for (const kernel::TapQuad &quad : s.quads) {
    s.phases.insert(quad.phase);
    lastRow = std::max(lastRow, quad.row);
  }
  s.pitch = s.width + static_cast<int64_t>(llvm::divideCeil(s.lastColumn, s.getStride()));
  s.planeRows = s.height + lastRow;
  return s;
}

struct Int8DepthwiseEmitter {
  UnitEmitter &e;
  Int8DepthwiseShape s;
  Int8Vectors v;
  Int8Results results;
  bool isSigned, isScaled, isInOrder;

  Int8DepthwiseEmitter(UnitEmitter &e, const Int8DepthwiseShape &shape) : e(e), s(shape), v(e.b, shape.layout), results(e, s.op.getResult()) {
    isInOrder = !readsNeighbours(s.getStride(), s.window.dilations[1]);
    isSigned = cast<RankedTensorType>(s.op.getX().getType()).getElementType().isSignlessInteger();
    isScaled = static_cast<bool>(s.op.getScale());
  }

  Value bytes(Value base, Value offset) { return getByteAddress(e, base, offset); }
  Value phaseOffset(int64_t phase) { return e.mul(e.extent(s.getPlaneBytes()), e.i64(llvm::find(s.phases, phase) - s.phases.begin())); }

  /// Loads a number of the channel and spreads it.
  Value loadNumber(Value numbers, Value channel, VectorType type) {
    return v.splat(type, v.load(type.getElementType(), bytes(e.getBuffer(numbers), e.mul(channel, e.i64(4))), 4));
  }

  Value getSlot(Value number) { return bytes(e.getScratch(), e.mul(number, e.extent(s.getSlotBytes()))); }
  Value getResults(Value slot) { return bytes(slot, e.extent(s.getInputBytes())); }

  void copyPlanes(Value input, Value slot) {
    auto [inRows, inColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
    AffineMap pads = s.op.getPads();
    BytePlane plane{input, e.extent(inRows), e.extent(inColumns), pads.getNumResults() == 1 ? e.i64(0) : e.extent(pads.getResult(0)), e.extent(pads.getResults().back())};
    kernel::Int8Window rows = s.window;
    rows.strides[1] = 1;
    for (int64_t phase : s.phases)
      copyPhase(e, bytes(slot, phaseOffset(phase)), e.extent(s.planeRows), e.mul(e.extent(s.pitch), e.i64(s.getStride())), plane, rows, phase, e.i64(0), isSigned);
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
  SmallVector<Value> sumTile(Value slot, Value pixel, Value start, ArrayRef<Value> weights) {
    SmallVector<Value> sums(kTileVectors, start);
    for (auto [number, quad] : llvm::enumerate(s.quads)) {
      Value row = e.mul(e.i64(quad.row * s.getStride()), e.extent(s.pitch)), first = e.add(phaseOffset(quad.phase), e.add(row, e.i64(quad.column)));
      Value address = bytes(slot, e.add(first, e.mul(pixel, e.i64(s.getStride()))));
      for (auto [vector, neighbours] : llvm::enumerate(v.slide(address, s.getStride(), s.window.dilations[1])))
        for (auto [step, operand] : llvm::enumerate(v.widen(neighbours)))
          sums[vector] = v.multiplyAdd(sums[vector], operand, weights[number * s.layout.getSteps() + step]);
    }
    return sums;
  }

  void computePlane(Value channel, Value slot) {
    SmallVector<Value> weights = loadWeights(channel);
    Value start = loadNumber(s.op.getStart(), channel, v.sums), scale, offset;
    Int8Vectors::Rounding rounding;
    if (isScaled) {
      scale = loadNumber(s.op.getScale(), channel, v.floats);
      offset = loadNumber(s.op.getOffset(), channel, v.floats);
      auto all = [&](VectorType type, int64_t value) { return v.splat(type, arith::ConstantOp::create(e.b, e.b.getIntegerAttr(type.getElementType(), static_cast<int8_t>(value)))); };
      Value zero = arith::ConstantOp::create(e.b, e.b.getI16IntegerAttr(static_cast<int16_t>(s.op.getZeroPoint())));
      rounding = {v.splat(VectorType::get({2 * s.layout.lanes}, e.b.getI16Type()), zero), all(v.bytes, s.op.getLow()), all(v.bytes, s.op.getHigh()),
                  cast<RankedTensorType>(s.op.getType()).getElementType().isSignlessInteger(8), isInOrder};
    }
    int64_t tile = s.layout.getTile();
    e.forEach(e.i64(0), e.mul(e.extent(s.getTiles()), e.i64(tile)), tile, [&](Value pixel) {
      SmallVector<Value> sums = sumTile(slot, pixel, start, weights);
      Value result = isScaled ? v.toBytes(sums, SmallVector<Value>(kTileVectors, scale), SmallVector<Value>(kTileVectors, offset), rounding) : v.putInOrder(sums, isInOrder);
      v.store(result, bytes(getResults(slot), e.mul(pixel, e.i64(results.elementBytes))));
    });
  }

  void storePlane(ArrayRef<Value> plane, Value number, Value slot) {
    Value width = e.extent(s.width), rows = e.extent(s.height);
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      Value from = bytes(getResults(slot), e.mul(e.mul(row, e.extent(s.pitch)), e.i64(results.elementBytes)));
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
    Value slots = e.i64(s.getSlots()), channels = e.extent(s.out[1]);
    e.forEach(e.i64(0), slots, 1, [&](Value slot) { fillBytes(e, getSlot(slot), e.extent(s.getInputBytes()), s.op.getPadding() + (isSigned ? kSignFlip : 0)); });
    e.forEach(e.begin, e.end, s.getSlots(), [&](Value first) {
      Value last = e.minSigned(e.add(first, slots), e.end);
      auto forPlanes = [&](function_ref<void(Value number, Value slot, Value image, Value channel)> body) {
        e.forEach(first, last, 1, [&](Value number) { body(number, getSlot(e.sub(number, first)), e.floorDiv(number, channels), e.rem(number, channels)); });
      };
      forPlanes([&](Value, Value slot, Value image, Value channel) {
        Value source = e.add(e.mul(image, e.extent(s.x[1])), e.floorDiv(channel, perChannel));
        copyPlanes(bytes(e.getBuffer(s.op.getX()), e.mul(source, inputSize)), slot);
      });
      forPlanes([&](Value, Value slot, Value, Value channel) { computePlane(channel, slot); });
      forPlanes([&](Value number, Value slot, Value image, Value channel) { storePlane({image, channel}, number, slot); });
    });
  }
};

} // namespace

void emitInt8Depthwise(UnitEmitter &e) { Int8DepthwiseEmitter(e, getShape(e.unit, e.options)).emit(); }

WorkInfo getInt8DepthwiseWork(kernel::UnitOp unit, const EmitOptions &options) {
  Int8DepthwiseShape s = getShape(unit, options);
  int64_t taps = s.window.kernel[0] * s.window.kernel[1];
  return {s.out[0] * s.out[1], graph::getNumElements(unit.getContext(), s.out) * taps, s.getSlotBytes() * s.getSlots()};
}

} // namespace onager
