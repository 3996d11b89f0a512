// Planes cut apart by rows and columns; see SplitPlanes.h.
#include "lib/Conversion/KernelToVector/SplitPlanes.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

static bool isKnown(ArrayRef<AffineExpr> dims) {
  return llvm::all_of(dims, [](AffineExpr dim) { return graph::getConstant(dim); });
}

bool SplitPlanes::fits(const GatherWindow &w) {
  if (w.in.size() != 2 || w.strides[1] != 2 || !isKnown(w.in) || !isKnown(w.out) || !isKnown(w.kernel) || !isKnown(w.pads))
    return false;
  SplitPlanes planes(w, 1);
  if (!planes.in[1] || !planes.out[0] || !planes.out[1] || !planes.kernel[0] || !planes.kernel[1])
    return false;
  // What a tap reads behind the last place of its part must be padding.
  for (int64_t tap = 0; tap < planes.kernel[1]; ++tap)
    if (planes.getShift(1, tap) > 0 && 2 * planes.out[1] + planes.getPhase(1, tap) < planes.in[1])
      return false;
  return true;
}

SplitPlanes::SplitPlanes(const GatherWindow &w, int64_t pixels) {
  for (size_t d = 0; d < 2; ++d) {
    in[d] = *graph::getConstant(w.in[d]), out[d] = *graph::getConstant(w.out[d]), kernel[d] = *graph::getConstant(w.kernel[d]);
    pads[d] = *graph::getConstant(w.pads[d]), strides[d] = w.strides[d], dilations[d] = w.dilations[d];
  }
  int64_t most = std::min((pixels + out[1] - 2) / std::max<int64_t>(out[1], 1) + 1, out[0]);
  rows = most + getShift(0, kernel[0] - 1) - getShift(0, 0);
}

/// The row or column of a part that a tap reads, less the pixel's.
int64_t SplitPlanes::getShift(size_t dim, int64_t tap) const { return llvm::divideFloorSigned(tap * dilations[dim] - pads[dim], strides[dim]); }

/// Which row or column of a step a tap reads.
int64_t SplitPlanes::getPhase(size_t dim, int64_t tap) const { return tap * dilations[dim] - pads[dim] - getShift(dim, tap) * strides[dim]; }

/// The last vector of a row reaches behind it.
int64_t SplitPlanes::getPartFloats() const { return rows * out[1] + kLanes; }
int64_t SplitPlanes::getFloats() const { return strides[0] * strides[1] * getPartFloats(); }

/// Which rows or columns of a step some tap reads.
SmallVector<bool> SplitPlanes::getUsed(size_t dim) const {
  SmallVector<bool> used(strides[dim]);
  for (int64_t tap = 0; tap < kernel[dim]; ++tap)
    used[getPhase(dim, tap)] = true;
  return used;
}

/// The first row of the parts, in which row of the whole plane's parts it lies.
Value SplitPlanes::getFirstRow(UnitEmitter &e, Value pixel) const { return e.add(e.floorDiv(pixel, e.i64(out[1])), e.i64(getShift(0, 0))); }

/// Copies a row's columns, those that a step begins with to `to`, the others a part further on.
void SplitPlanes::copyRow(UnitEmitter &e, Value from, Value to) const {
  Type f32 = e.b.getF32Type();
  auto lanes = VectorType::get({kLanes}, f32);
  Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
  auto load = [&](int64_t column) -> Value {
    Value place = e.address(f32, from, e.i64(column));
    if (column >= in[1])
      return zero;
    if (column + kLanes <= in[1])
      return LLVM::LoadOp::create(e.b, lanes, place, 4);
    Value places = getLaneNumbers(e, e.b.getI32Type());
    Value left = splat(e, arith::ConstantIntOp::create(e.b, in[1] - column, 32));
    return LLVM::MaskedLoadOp::create(e.b, lanes, place, arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, places, left), zero, 4u);
  };
  SmallVector<bool> used = getUsed(1);
  for (int64_t column = 0; column < out[1]; column += kLanes) {
    Value low = load(2 * column), high = load(2 * column + kLanes);
    for (int64_t odd = 0; odd < 2; ++odd) {
      SmallVector<int64_t> taken;
      for (int64_t k = 0; k < kLanes; ++k)
        taken.push_back(2 * k + odd);
      if (used[odd])
        LLVM::StoreOp::create(e.b, vector::ShuffleOp::create(e.b, low, high, taken), e.address(f32, to, e.i64(odd * getPartFloats() + column)), 4);
    }
  }
}

void SplitPlanes::emit(UnitEmitter &e, Value image, Value channels, Value firstPixel, Value endPixel, Value parts) const {
  Type f32 = e.b.getF32Type();
  Value first = getFirstRow(e, firstPixel), end = e.add(e.floorDiv(e.sub(endPixel, e.i64(1)), e.i64(out[1])), e.i64(getShift(0, kernel[0] - 1) + 1));
  SmallVector<bool> used = getUsed(0);
  e.forEach(e.i64(0), channels, 1, [&](Value channel) {
    Value plane = e.address(f32, image, e.mul(channel, e.i64(in[0] * in[1]))), part = e.address(f32, parts, e.mul(channel, e.i64(getFloats())));
    e.forEach(first, end, 1, [&](Value row) {
      for (int64_t phase = 0; phase < strides[0]; ++phase) {
        if (!used[phase])
          continue;
        Value line = e.add(e.mul(row, e.i64(strides[0])), e.i64(phase)), place = e.add(e.mul(e.sub(row, first), e.i64(out[1])), e.i64(phase * 2 * getPartFloats()));
        e.ifThen(e.compare("ult", line, e.i64(in[0])), [&] { copyRow(e, e.address(f32, plane, e.mul(line, e.i64(in[1]))), e.address(f32, part, place)); });
      }
    });
  });
}

Value SplitPlanes::getPlace(UnitEmitter &e, ArrayRef<Value> tap, Value firstPixel, Value pixel) const {
  Value phase[2], shift[2];
  for (size_t d = 0; d < 2; ++d) {
    // As many steps more as make it positive.
    int64_t more = std::max<int64_t>(pads[d], 0);
    Value position = e.add(e.mul(tap[d], e.i64(dilations[d])), e.i64(more * strides[d] - pads[d]));
    phase[d] = e.rem(position, e.i64(strides[d])), shift[d] = e.sub(e.floorDiv(position, e.i64(strides[d])), e.i64(more));
  }
  Value part = e.mul(e.add(e.mul(phase[0], e.i64(2)), phase[1]), e.i64(getPartFloats()));
  Value row = e.mul(e.sub(shift[0], getFirstRow(e, firstPixel)), e.i64(out[1]));
  return e.add(e.add(part, row), e.add(shift[1], pixel));
}

} // namespace onager
