// Pixels that follow each other lie in a few rows of the plane, in each of which they read every element or every second one: a row of a panel is put
// together from one or two masked loads for each. Rows of known length that windows keep lie one behind the other, so that it is one load; all pixels of a
// small plane are picked from a few vectors, and planes of known extents are cut apart where every second element is read. Where windows lie further apart, it is a masked gather.
#include "lib/Conversion/KernelToVector/PanelGather.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/SplitPlanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;
/// Vectors that the pixels of a small plane are picked from, at most.
static constexpr int64_t kMostParts = 4;
/// Elements between neighbours up to which loads of all of them are cheaper than a gather.
static constexpr int64_t kMostStride = 2;

static bool isKnown(const GatherWindow &w) {
  return llvm::all_of(w.in, [](AffineExpr dim) { return graph::getConstant(dim); }) && llvm::all_of(w.out, [](AffineExpr dim) { return graph::getConstant(dim); });
}

/// True where the windows of pixels that follow each other are one element apart, behind the end of a row as well.
static bool readsRuns(const GatherWindow &w) {
  return isKnown(w) && ArrayRef(w.in).drop_front() == ArrayRef(w.out).drop_front() && llvm::all_of(w.strides, [](int64_t stride) { return stride == 1; });
}

/// How far the windows of a plane's pixels are from the first; empty for more than a panel of them, or further than kMostParts vectors.
static SmallVector<int64_t> getPlaces(const GatherWindow &w) {
  std::optional<int64_t> pixels = graph::getConstant(graph::getNumElements(w.in[0].getContext(), w.out));
  if (!isKnown(w) || !pixels || *pixels < 1 || *pixels > kLanes)
    return {};
  SmallVector<int64_t> places;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    int64_t rest = std::min(lane, *pixels - 1), place = 0, size = 1;
    for (size_t d = w.out.size(); d-- > 0;) {
      int64_t extent = *graph::getConstant(w.out[d]);
      place += rest % extent * w.strides[d] * size;
      rest /= extent, size *= *graph::getConstant(w.in[d]);
    }
    places.push_back(place);
  }
  return places.back() < kMostParts * kLanes ? places : SmallVector<int64_t>();
}

/// Channels whose planes are cut apart before panels are gathered from them, and rows of a run that is worth it.
static constexpr int64_t kSplitChannels = 16, kFewestRows = 3;

/// True where planes are cut apart for runs of so many pixels: all pixels of a small plane are picked, and runs of few rows would cut most rows apart twice.
static bool splits(const GatherWindow &w, int64_t pixels) {
  return SplitPlanes::fits(w) && *graph::getConstant(w.out[1]) * kFewestRows <= pixels && getPlaces(w).empty();
}

int64_t getGatherFloats(const GatherWindow &window, int64_t pixels) { return splits(window, pixels) ? kSplitChannels * SplitPlanes(window, pixels).getFloats() : 0; }

PanelGather::PanelGather(UnitEmitter &e, GatherWindow window, int64_t pixels, Value scratch)
    : e(e), w(std::move(window)), isRun(readsRuns(w)), places(isRun ? SmallVector<int64_t>() : getPlaces(w)), scratch(scratch) {
  f32s = VectorType::get({kLanes}, e.b.getF32Type());
  if (splits(w, pixels))
    split = std::make_unique<SplitPlanes>(w, pixels);
  else if (!isRun && places.empty() && w.strides.back() <= kMostStride)
    readings = e.stackBuffer(e.b.getI64Type(), 2 * kLanes);
}

PanelGather::~PanelGather() = default;

/// A position inside a plane in all lanes; planes have fewer than 2^31 pixels.
Value PanelGather::spread(Value x) { return splat(e, arith::TruncIOp::create(e.b, e.b.getI32Type(), x)); }
Value PanelGather::lanes(int64_t step) { return getLaneNumbers(e, e.b.getI32Type(), step); }

/// First input coordinate under each pixel of a panel, per spatial dim: of pixels behind the last that of the last, or, where they read runs, of more rows.
SmallVector<Value> PanelGather::coordinates(Value firstPixel) {
  Value pixels = e.extent(graph::getNumElements(e.b.getContext(), w.out)), last = spread(e.maxSigned(e.sub(pixels, e.i64(1)), e.i64(0)));
  Value rest = arith::AddIOp::create(e.b, spread(firstPixel), lanes());
  if (!isRun && !split)
    rest = arith::MinSIOp::create(e.b, rest, last);
  SmallVector<Value> result(w.out.size());
  for (size_t d = w.out.size(); d-- > 0;) {
    Value position = rest;
    if (d > 0) {
      Value size = spread(e.maxSigned(e.extent(w.out[d]), e.i64(1)));
      position = arith::RemUIOp::create(e.b, rest, size);
      rest = arith::DivUIOp::create(e.b, rest, size);
    }
    Value scaled = arith::MulIOp::create(e.b, position, spread(e.i64(w.strides[d])));
    result[d] = arith::SubIOp::create(e.b, scaled, spread(e.extent(w.pads[d])));
  }
  return result;
}

PanelGather::Row PanelGather::makeRow(ArrayRef<Value> start, ArrayRef<Value> tap, Value number) {
  Value offset = spread(e.i64(0)), inside = splat(e, arith::ConstantIntOp::create(e.b, 1, 1));
  for (size_t d = 0; d < start.size(); ++d) {
    Value at = arith::AddIOp::create(e.b, start[d], spread(e.mul(tap[d], e.i64(w.dilations[d]))));
    Value size = spread(e.extent(w.in[d]));
    inside = arith::AndIOp::create(e.b, inside, arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, at, size));
    offset = arith::AddIOp::create(e.b, arith::MulIOp::create(e.b, offset, size), at);
  }
  return {number, offset, inside};
}

/// Gathers one row of the panel for every channel.
void PanelGather::gatherRow(const Row &row) {
  Type f32 = e.b.getF32Type(), ptr = LLVM::LLVMPointerType::get(e.b.getContext());
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(f32s));
  forChannels(row.number, [&](Value plane) -> Value {
    Value pointers = LLVM::GEPOp::create(e.b, VectorType::get({kLanes}, ptr), f32, plane, ArrayRef<LLVM::GEPArg>{row.offset});
    return LLVM::masked_gather::create(e.b, f32s, pointers, row.inside, ValueRange{zero}, e.b.getI32IntegerAttr(4));
  });
}

/// Stores what `load` gives for each channel's plane as row `tap` of its part of the panel.
void PanelGather::forChannels(Value tap, function_ref<Value(Value plane)> load) {
  Type f32 = e.b.getF32Type();
  Value taps = e.extent(graph::getNumElements(e.b.getContext(), w.kernel));
  e.forEach(e.i64(0), channels, 1, [&](Value channel) {
    Value values = load(e.address(f32, image, e.mul(channel, planeFloats))), place = e.add(e.mul(channel, taps), tap);
    LLVM::StoreOp::create(e.b, values, e.address(f32, target, e.mul(place, e.i64(pitch))), 4);
  });
}

/// Calls `body` with each tap of a window, in row-major order.
void PanelGather::forTaps(function_ref<void(ArrayRef<Value> tap, Value number)> body, const UnitEmitter::Index &tap, Value number) {
  if (tap.size() == w.kernel.size())
    return body(tap, number ? number : e.i64(0));
  Value size = e.extent(w.kernel[tap.size()]);
  e.forEach(e.i64(0), size, 1, [&](Value k) {
    UnitEmitter::Index next(tap);
    next.push_back(k);
    forTaps(body, next, number ? e.add(e.mul(number, size), k) : k);
  });
}

/// The lowest `count` bits of an i64; `count` is clamped to what a panel reads.
Value PanelGather::lowBits(Value count) {
  Value bits = e.clamp(count, e.i64(0), e.i64(kLanes * w.strides.back()));
  return e.sub(arith::ShLIOp::create(e.b, e.i64(1), bits), e.i64(1));
}

/// The first element under the window of a pixel, along each dim.
SmallVector<Value> PanelGather::getCorner(Value row, Value column) {
  SmallVector<Value> corner(w.out.size());
  Value rest = row;
  for (size_t d = w.out.size(); d-- > 0;) {
    bool isLast = d + 1 == w.out.size();
    Value size = isLast || d == 0 ? Value() : e.maxSigned(e.extent(w.out[d]), e.i64(1)), position = isLast ? column : size ? e.rem(rest, size) : rest;
    rest = size ? e.floorDiv(rest, size) : rest;
    corner[d] = e.sub(e.mul(position, e.i64(w.strides[d])), e.extent(w.pads[d]));
  }
  return corner;
}

/// Where a tap of the lanes of a segment reads: as if its row reached to lane 0, and of the elements from there on those of its own lanes that lie inside.
PanelGather::Reading PanelGather::read(const Segment &segment, ArrayRef<Value> tap) {
  size_t last = w.out.size() - 1;
  SmallVector<Value> place = getCorner(segment.row, segment.column);
  Value isInside = arith::ConstantIntOp::create(e.b, 1, 1), offset = e.i64(0);
  for (size_t d = 0; d <= last; ++d)
    place[d] = e.add(place[d], e.mul(tap[d], e.i64(w.dilations[d])));
  for (size_t d = 0; d < last; ++d) {
    isInside = arith::AndIOp::create(e.b, isInside, e.compare("ult", place[d], e.extent(w.in[d])));
    offset = e.add(e.mul(offset, e.extent(w.in[d])), place[d]);
  }
  Value stride = e.i64(w.strides[last]), width = e.extent(w.in[last]), first = e.mul(segment.begin, stride), column = e.sub(place[last], first);
  Value from = lowBits(e.maxSigned(first, e.sub(e.i64(0), column))), to = lowBits(e.minSigned(e.mul(segment.end, stride), e.sub(width, column)));
  Value bits = arith::AndIOp::create(e.b, to, arith::XOrIOp::create(e.b, from, e.i64(-1)));
  return {e.add(e.mul(offset, width), column), arith::SelectOp::create(e.b, isInside, bits, e.i64(0))};
}

/// Loads what a segment reads of a plane over `parts`, vectors that lie behind each other.
SmallVector<Value> PanelGather::load(Value plane, const Reading &reading, ValueRange parts) {
  SmallVector<Value> result;
  for (auto [number, part] : llvm::enumerate(parts)) {
    Value bits = arith::ShRUIOp::create(e.b, reading.bits, e.i64(static_cast<int64_t>(number) * kLanes));
    Value mask = LLVM::BitcastOp::create(e.b, VectorType::get({kLanes}, e.b.getI1Type()), arith::TruncIOp::create(e.b, e.b.getIntegerType(kLanes), bits));
    Value offset = e.add(reading.offset, e.i64(static_cast<int64_t>(number) * kLanes));
    result.push_back(LLVM::MaskedLoadOp::create(e.b, f32s, e.address(e.b.getF32Type(), plane, offset), mask, part, 4u));
  }
  return result;
}

/// Elements from the corner of a window to a tap.
Value PanelGather::getDistance(ArrayRef<Value> tap) {
  Value distance = e.i64(0);
  for (size_t d = 0; d < tap.size(); ++d)
    distance = e.add(e.mul(distance, e.extent(w.in[d])), e.mul(tap[d], e.i64(w.dilations[d])));
  return distance;
}

/// Whether all windows of a panel, whose pixels follow each other in a row, lie inside of the plane, which vectors do not leave either.
Value PanelGather::isInside(ArrayRef<Value> corner, Value offset) {
  size_t last = corner.size() - 1;
  SmallVector<Value> end;
  Value inside = arith::ConstantIntOp::create(e.b, 1, 1);
  auto require = [&](Value condition) { inside = arith::AndIOp::create(e.b, inside, condition); };
  for (size_t d = 0; d <= last; ++d) {
    end.push_back(e.sub(e.extent(w.kernel[d]), e.i64(1)));
    Value reach = e.add(e.mul(end[d], e.i64(w.dilations[d])), e.i64(d == last ? (kLanes - 1) * w.strides[d] : 0));
    require(e.compare("sge", corner[d], e.i64(0)));
    require(e.compare("slt", e.add(corner[d], reach), e.extent(w.in[d])));
  }
  require(e.compare("sle", e.add(e.add(offset, getDistance(end)), e.i64(kLanes * w.strides.back())), planeFloats));
  return inside;
}

/// Gathers a panel whose windows lie inside of the plane, the first one's corner at `offset`.
void PanelGather::gatherInside(Value offset) {
  forTaps([&](ArrayRef<Value> tap, Value number) {
    Value place = e.add(offset, getDistance(tap));
    forChannels(number, [&](Value plane) {
      SmallVector<Value> parts;
      for (int64_t k = 0; k < w.strides.back(); ++k)
        parts.push_back(LLVM::LoadOp::create(e.b, f32s, e.address(e.b.getF32Type(), plane, e.add(place, e.i64(k * kLanes))), 4));
      return parts.size() == 1 ? parts[0] : takeEvenLanes(e, parts[0], parts[1]);
    });
  });
}

/// Gathers a panel of pixels of a row or more.
void PanelGather::gatherRows(Value firstPixel) {
  Value columns = e.maxSigned(e.extent(w.out.back()), e.i64(1)), row = e.floorDiv(firstPixel, columns), column = e.sub(firstPixel, e.mul(row, columns));
  SmallVector<Value> corner = getCorner(row, column);
  Value offset = e.i64(0);
  for (size_t d = 0; d < corner.size(); ++d)
    offset = e.add(e.mul(offset, e.extent(w.in[d])), corner[d]);
  Value isOneRow = e.compare("sle", e.add(column, e.i64(kLanes)), columns);
  e.ifElse(arith::AndIOp::create(e.b, isOneRow, isInside(corner, offset)), [&] { gatherInside(offset); }, [&] { gatherSegments(columns, row, column); });
}

/// Gathers a panel from a column of a row on; of what lies in the rows below, the readings of each tap wait in `readings`.
void PanelGather::gatherSegments(Value columns, Value row, Value column) {
  Type i64 = e.b.getI64Type();
  Value end = e.minSigned(e.i64(kLanes), e.sub(columns, column)), zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(f32s));
  std::optional<int64_t> known = graph::getConstant(w.out.back());
  bool isOne = known && *known > 0 && *known % kLanes == 0;
  Value below = isOne ? Value() : e.floorDiv(e.add(e.sub(e.i64(kLanes), end), e.sub(columns, e.i64(1))), columns);
  SmallVector<Value> none(static_cast<size_t>(w.strides.back()), zero);
  forTaps([&](ArrayRef<Value> tap, Value number) {
    Reading first = read({e.i64(0), end, row, column}, tap);
    if (!isOne)
      e.forEach(e.i64(0), below, 1, [&](Value k) {
        Value begin = e.add(end, e.mul(k, columns));
        Reading reading = read({begin, e.minSigned(e.i64(kLanes), e.add(begin, columns)), e.add(row, e.add(k, e.i64(1))), e.i64(0)}, tap);
        e.store(i64, readings, e.mul(k, e.i64(2)), reading.offset);
        e.store(i64, readings, e.add(e.mul(k, e.i64(2)), e.i64(1)), reading.bits);
      });
    forChannels(number, [&](Value plane) {
      SmallVector<Value> parts = load(plane, first, none);
      if (!isOne)
        parts = e.forLoop(e.i64(0), below, 1, parts, [&](Value k, ValueRange carried) {
          return load(plane, {e.load(i64, readings, e.mul(k, e.i64(2))), e.load(i64, readings, e.add(e.mul(k, e.i64(2)), e.i64(1)))}, carried);
        });
      return parts.size() == 1 ? parts[0] : takeEvenLanes(e, parts[0], parts[1]);
    });
  });
}

/// What the lanes of the only panel read, of vectors that lie behind each other.
Value PanelGather::pick(ValueRange parts) {
  SmallVector<int64_t> low, high, joined;
  for (auto [lane, place] : llvm::enumerate(places)) {
    bool isLow = place < 2 * kLanes;
    low.push_back(isLow ? place : 0);
    high.push_back(isLow ? 0 : place - 2 * kLanes);
    joined.push_back(static_cast<int64_t>(lane) + (isLow ? 0 : kLanes));
  }
  Value picked = vector::ShuffleOp::create(e.b, parts[0], parts[std::min<size_t>(1, parts.size() - 1)], low);
  if (parts.size() <= 2)
    return picked;
  return vector::ShuffleOp::create(e.b, picked, vector::ShuffleOp::create(e.b, parts[2], parts.back(), high), joined);
}

/// Gathers a panel whose rows are one load each, or picked from loads.
void PanelGather::gatherLoads(Value firstPixel) {
  Type f32 = e.b.getF32Type();
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(f32s)), elements = spread(e.extent(graph::getNumElements(e.b.getContext(), w.in)));
  SmallVector<Value> start = coordinates(firstPixel);
  forTaps([&](ArrayRef<Value> tap, Value number) {
    Row row = makeRow(start, tap, number);
    Value place = vector::ExtractOp::create(e.b, row.offset, 0), first = arith::ExtSIOp::create(e.b, e.b.getI64Type(), place);
    if (isRun)
      return forChannels(number, [&](Value plane) -> Value { return LLVM::MaskedLoadOp::create(e.b, f32s, e.address(f32, plane, first), row.inside, zero, 4u); });
    SmallVector<Value> masks;
    for (int64_t offset = 0; offset <= places.back(); offset += kLanes) {
      Value at = arith::AddIOp::create(e.b, lanes(), spread(e.add(first, e.i64(offset))));
      masks.push_back(arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, at, elements));
    }
    forChannels(number, [&](Value plane) -> Value {
      SmallVector<Value> parts;
      for (auto [k, mask] : llvm::enumerate(masks))
        parts.push_back(LLVM::MaskedLoadOp::create(e.b, f32s, e.address(f32, plane, e.add(first, e.i64(static_cast<int64_t>(k) * kLanes))), mask, zero, 4u));
      return arith::SelectOp::create(e.b, row.inside, pick(parts), zero);
    });
  });
}

/// Gathers a panel from parts of planes.
void PanelGather::gatherSplit(Value firstPixel) {
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(f32s));
  SmallVector<Value> start = coordinates(firstPixel);
  forTaps([&](ArrayRef<Value> tap, Value number) {
    Value inside = makeRow(start, tap, number).inside, place = split->getPlace(e, tap, firstOfRun, firstPixel);
    forChannels(number, [&](Value parts) -> Value { return LLVM::MaskedLoadOp::create(e.b, f32s, e.address(e.b.getF32Type(), parts, place), inside, zero, 4u); });
  });
}

void PanelGather::gatherPanel(Value firstPixel) {
  if (split)
    return gatherSplit(firstPixel);
  if (isRun || !places.empty())
    return gatherLoads(firstPixel);
  if (w.strides.back() <= kMostStride)
    return gatherRows(firstPixel);
  SmallVector<Value> start = coordinates(firstPixel);
  forTaps([&](ArrayRef<Value> tap, Value number) { gatherRow(makeRow(start, tap, number)); });
}

/// A few channels after the other: their parts stay in the caches.
void PanelGather::emitSplit(Value firstPixel, Value endPixel, Target targetOf) {
  Type f32 = e.b.getF32Type();
  Value planes = image, count = channels, rowFloats = e.mul(e.extent(graph::getNumElements(e.b.getContext(), w.kernel)), e.i64(pitch));
  firstOfRun = firstPixel, image = scratch;
  e.forEach(e.i64(0), count, kSplitChannels, [&](Value channel) {
    channels = e.minSigned(e.i64(kSplitChannels), e.sub(count, channel));
    split->emit(e, e.address(f32, planes, e.mul(channel, planeFloats)), channels, firstPixel, endPixel, scratch);
    Value inputFloats = planeFloats;
    planeFloats = e.i64(split->getFloats());
    e.forEach(firstPixel, endPixel, kLanes, [&](Value pixel) {
      target = e.address(f32, targetOf(pixel), e.mul(channel, rowFloats));
      gatherPanel(pixel);
    });
    planeFloats = inputFloats;
  });
}

void PanelGather::emit(Value planes, Value count, Value firstPixel, Value endPixel, Target targetOf, int64_t rowPitch) {
  image = planes, channels = count, pitch = rowPitch, planeFloats = e.extent(graph::getNumElements(e.b.getContext(), w.in));
  if (split)
    return e.ifThen(e.compare("slt", firstPixel, endPixel), [&] { emitSplit(firstPixel, endPixel, targetOf); });
  e.forEach(firstPixel, endPixel, kLanes, [&](Value pixel) {
    target = targetOf(pixel);
    gatherPanel(pixel);
  });
}

} // namespace onager
