// Where 16 pixels read 16 neighbours, the row of a panel is one masked load; where they read every second of 32, it is two; else a masked gather.
#include "lib/Conversion/KernelToVector/PanelGather.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

PanelGather::PanelGather(UnitEmitter &e, GatherWindow window) : e(e), w(std::move(window)) {
  f32s = VectorType::get({kLanes}, e.b.getF32Type());
  bools = VectorType::get({kLanes}, e.b.getI1Type());
}

/// A position inside a plane in all lanes; planes have fewer than 2^31 pixels.
Value PanelGather::spread(Value x) { return splat(e, arith::TruncIOp::create(e.b, e.b.getI32Type(), x)); }
Value PanelGather::lanes(int64_t step) { return getLaneNumbers(e, e.b.getI32Type(), step); }

/// First input coordinate under each pixel of a panel, per spatial dim.
SmallVector<Value> PanelGather::coordinates(Value firstPixel) {
  Value pixels = e.extent(graph::getNumElements(e.b.getContext(), w.out)), last = spread(e.maxSigned(e.sub(pixels, e.i64(1)), e.i64(0)));
  Value rest = arith::MinSIOp::create(e.b, arith::AddIOp::create(e.b, spread(firstPixel), lanes()), last);
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

/// Loads one row of a panel from a plane; lanes that are not inside become 0.
Value PanelGather::loadRow(Value plane, Value first, const Row &row, Run run) {
  Type f32 = e.b.getF32Type(), ptr = LLVM::LLVMPointerType::get(e.b.getContext());
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(f32s));
  if (run == Run::contiguous)
    return LLVM::MaskedLoadOp::create(e.b, f32s, e.address(f32, plane, first), row.inside, zero, 4u);
  if (run == Run::scattered) {
    Value pointers = LLVM::GEPOp::create(e.b, VectorType::get({kLanes}, ptr), f32, plane, ArrayRef<LLVM::GEPArg>{row.offset});
    return LLVM::masked_gather::create(e.b, f32s, pointers, row.inside, ValueRange{zero}, e.b.getI32IntegerAttr(4));
  }
  Value none = arith::ConstantOp::create(e.b, e.b.getZeroAttr(bools));
  auto half = [&](int64_t number) -> Value {
    SmallVector<int64_t> spreadLanes;
    for (int64_t k = 0; k < kLanes; ++k)
      spreadLanes.push_back(k % 2 ? kLanes : number * kLanes / 2 + k / 2);
    Value mask = vector::ShuffleOp::create(e.b, row.inside, none, spreadLanes);
    return LLVM::MaskedLoadOp::create(e.b, f32s, e.address(f32, plane, e.add(first, e.i64(number * kLanes))), mask, zero, 4u);
  };
  Value low = half(0), high = half(1);
  return takeEvenLanes(e, low, high);
}

/// Gathers one row of the panel for every channel.
void PanelGather::gatherChannels(const Row &row, Run run) {
  Type f32 = e.b.getF32Type();
  MLIRContext *context = e.b.getContext();
  Value plane = e.extent(graph::getNumElements(context, w.in)), taps = e.extent(graph::getNumElements(context, w.kernel));
  Value first = arith::ExtSIOp::create(e.b, e.b.getI64Type(), vector::ExtractOp::create(e.b, row.offset, ArrayRef<int64_t>{0}).getResult());
  e.forEach(e.i64(0), channels, 1, [&](Value channel) {
    Value values = loadRow(e.address(f32, image, e.mul(channel, plane)), first, row, run);
    Value place = e.add(e.mul(channel, taps), row.number);
    LLVM::StoreOp::create(e.b, values, e.address(f32, target, e.mul(place, e.i64(pitch))), 4);
  });
}

void PanelGather::gatherTaps(ArrayRef<Value> start, UnitEmitter::Index tap, Value number) {
  if (tap.size() < start.size()) {
    Value size = e.extent(w.kernel[tap.size()]);
    e.forEach(e.i64(0), size, 1, [&](Value k) {
      UnitEmitter::Index next(tap);
      next.push_back(k);
      gatherTaps(start, next, e.add(e.mul(number, size), k));
    });
    return;
  }
  Row row = makeRow(start, tap, number);
  int64_t stride = w.strides.back();
  if (stride > 2)
    return gatherChannels(row, Run::scattered);
  Value first = vector::ExtractOp::create(e.b, row.offset, ArrayRef<int64_t>{0});
  Value isStraight = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, row.offset, arith::AddIOp::create(e.b, splat(e, first), lanes(stride)));
  Value all = vector::ReductionOp::create(e.b, vector::CombiningKind::AND, isStraight);
  auto branch = scf::IfOp::create(e.b, all, true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  gatherChannels(row, stride == 1 ? Run::contiguous : Run::everySecond);
  e.b.setInsertionPointToStart(branch.elseBlock());
  gatherChannels(row, Run::scattered);
}

void PanelGather::emit(Value planes, Value count, Value firstPixel, Value to, int64_t rowPitch) {
  image = planes, channels = count, target = to, pitch = rowPitch;
  gatherTaps(coordinates(firstPixel), {}, e.i64(0));
}

} // namespace onager
