// Sliding windows over planes; see Plane.h. Four rows of results are computed at once, so that a loaded vector serves several windows.
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "llvm/ADT/SetVector.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;
/// Rows of results that share loads.
static constexpr int64_t kRowGroup = 4;
/// Floats of results that stay in the first-level cache until the epilogue has taken them.
static constexpr int64_t kBlockFloats = 4096;

Windows makeWindows(ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations) {
  Windows windows;
  for (size_t d = 0; d < kernel.size(); ++d) {
    size_t place = d + 2 - kernel.size();
    windows.kernel[place] = kernel[d];
    windows.strides[place] = strides[d];
    windows.dilations[place] = dilations[d];
  }
  return windows;
}

std::pair<AffineExpr, AffineExpr> getPlaneDims(ArrayRef<AffineExpr> spatial) {
  if (spatial.size() == 1)
    return {getAffineConstantExpr(1, spatial[0].getContext()), spatial[0]};
  return {spatial[0], spatial[1]};
}

std::pair<AffineExpr, AffineExpr> getPaddedDims(const Windows &w, ArrayRef<AffineExpr> spatial) {
  auto [rows, columns] = getPlaneDims(spatial);
  return {(rows - 1) * w.strides[0] + (w.kernel[0] - 1) * w.dilations[0] + 1, (columns - 1) * w.strides[1] + (w.kernel[1] - 1) * w.dilations[1] + 1};
}

int64_t getSlack(const Windows &windows) { return kLanes * (windows.strides[1] + 1); }

AffineExpr getBlockRows(ArrayRef<AffineExpr> spatial) {
  auto [rows, columns] = getPlaneDims(spatial);
  std::optional<int64_t> height = graph::getConstant(rows), width = graph::getConstant(columns);
  if (!width)
    return getAffineConstantExpr(kRowGroup, rows.getContext());
  int64_t most = std::max<int64_t>(kBlockFloats / std::max<int64_t>(*width, 1) / kRowGroup * kRowGroup, kRowGroup);
  return getAffineConstantExpr(height ? std::min(most, *height) : most, rows.getContext());
}

PlaneEmitter::PlaneEmitter(UnitEmitter &e) : e(e), lanes(VectorType::get({kLanes}, e.b.getF32Type())) {}

Value splat(UnitEmitter &e, Value scalar) { return vector::BroadcastOp::create(e.b, VectorType::get({kLanes}, scalar.getType()), scalar); }

Value getLaneNumbers(UnitEmitter &e, IntegerType type, int64_t step) {
  SmallVector<Attribute> numbers;
  for (int64_t k = 0; k < kLanes; ++k)
    numbers.push_back(e.b.getIntegerAttr(type, k * step));
  return arith::ConstantOp::create(e.b, DenseElementsAttr::get(VectorType::get({kLanes}, type), numbers));
}

Value takeLanes(UnitEmitter &e, Value vector, int64_t count) {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  if (lanes == count)
    return vector;
  SmallVector<int64_t> taken;
  for (int64_t k = 0; k < count; ++k)
    taken.push_back(k < lanes ? k : vector::ShuffleOp::kPoisonIndex);
  return vector::ShuffleOp::create(e.b, vector, vector, taken);
}

Value multiplyAdd(UnitEmitter &e, Value x, Value number, Value sum) {
  return vector::FMAOp::create(e.b, x, takeLanes(e, number, cast<VectorType>(x.getType()).getNumElements()), sum);
}

Value takeEvenLanes(UnitEmitter &e, Value low, Value high) {
  SmallVector<int64_t> even;
  for (int64_t k = 0; k < kLanes; ++k)
    even.push_back(2 * k);
  return vector::ShuffleOp::create(e.b, low, high, even);
}

Value PlaneEmitter::getMask(Value count) {
  return arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, getLaneNumbers(e, e.b.getI64Type()), splat(e, count));
}

/// Calls `body` with each vector of a row: full ones without a mask, then the rest.
void PlaneEmitter::forColumns(Value columns, function_ref<void(Value, Value)> body) {
  Value full = e.mul(e.floorDiv(columns, e.i64(kLanes)), e.i64(kLanes));
  e.forEach(e.i64(0), full, kLanes, [&](Value column) { body(column, Value()); });
  e.ifThen(e.compare("slt", full, columns), [&] { body(full, getMask(e.sub(columns, full))); });
}

void PlaneEmitter::fill(Value base, Value count, Value number) {
  Type f32 = e.b.getF32Type();
  e.forEachParallel(e.i64(0), count, [&](Value i) { e.store(f32, base, i, number); });
}

void PlaneEmitter::copyInside(const Plane &source, const Plane &target, Value top, Value left) {
  Type f32 = e.b.getF32Type();
  Value firstRow = e.maxSigned(top, e.i64(0)), lastRow = e.minSigned(e.add(top, source.rows), target.rows);
  Value first = e.maxSigned(left, e.i64(0)), count = e.maxSigned(e.sub(e.minSigned(e.add(left, source.columns), target.columns), first), e.i64(0));
  e.forEach(firstRow, lastRow, 1, [&](Value row) {
    Value from = e.address(f32, source.base, e.add(e.mul(e.sub(row, top), source.pitch), e.sub(first, left)));
    Value to = e.address(f32, target.base, e.add(e.mul(row, target.pitch), first));
    forColumns(count, [&](Value column, Value mask) {
      Value read = e.address(f32, from, column), write = e.address(f32, to, column);
      if (!mask) {
        LLVM::StoreOp::create(e.b, LLVM::LoadOp::create(e.b, lanes, read, 4), write, 4);
        return;
      }
      Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
      Value x = LLVM::MaskedLoadOp::create(e.b, lanes, read, mask, zero, 4u);
      LLVM::MaskedStoreOp::create(e.b, x, write, mask, 4u);
    });
  });
}

/// Loads every `stride`-th float.
Value PlaneEmitter::load(Value address, int64_t stride) {
  Type f32 = e.b.getF32Type();
  auto at = [&](int64_t offset) -> Value { return LLVM::LoadOp::create(e.b, lanes, e.address(f32, address, e.i64(offset)), 4); };
  if (stride == 1)
    return at(0);
  if (stride == 2) {
    Value low = at(0), high = at(kLanes);
    return takeEvenLanes(e, low, high);
  }
  SmallVector<Value> elements;
  for (int64_t k = 0; k < kLanes; ++k)
    elements.push_back(e.load(f32, address, e.i64(k * stride)));
  return vector::FromElementsOp::create(e.b, lanes, elements);
}

SmallVector<Value> PlaneEmitter::emitBlock(const Plane &source, const Windows &w, Value init, Combine combine, Value row, Value column, int64_t rows) {
  Type f32 = e.b.getF32Type();
  Value start = e.address(f32, source.base, e.add(e.mul(e.mul(row, e.i64(w.strides[0])), source.pitch), e.mul(column, e.i64(w.strides[1]))));
  SmallVector<Value> sums(rows, init);
  int64_t span = (rows - 1) * w.strides[0] + (w.kernel[0] - 1) * w.dilations[0] + 1;
  for (int64_t line = 0; line < span; ++line) {
    Value base = e.address(f32, start, e.mul(source.pitch, e.i64(line)));
    for (int64_t k = 0; k < w.kernel[1]; ++k) {
      Value x;
      for (int64_t r = 0; r < rows; ++r) {
        int64_t offset = line - r * w.strides[0];
        if (offset < 0 || offset % w.dilations[0] || offset / w.dilations[0] >= w.kernel[0])
          continue;
        if (!x)
          x = load(e.address(f32, base, e.i64(k * w.dilations[1])), w.strides[1]);
        sums[r] = combine(sums[r], x, offset / w.dilations[0] * w.kernel[1] + k);
      }
    }
  }
  return sums;
}

void PlaneEmitter::emitRows(const Plane &source, const Plane &target, const Windows &w, Value init, Combine combine, Value row, int64_t rows) {
  Type f32 = e.b.getF32Type();
  forColumns(target.columns, [&](Value column, Value mask) {
    SmallVector<Value> sums = emitBlock(source, w, init, combine, row, column, rows);
    for (int64_t r = 0; r < rows; ++r) {
      Value to = e.address(f32, target.base, e.add(e.mul(e.add(row, e.i64(r)), target.pitch), column));
      if (mask)
        LLVM::MaskedStoreOp::create(e.b, sums[r], to, mask, 4u);
      else
        LLVM::StoreOp::create(e.b, sums[r], to, 4);
    }
  });
}

void PlaneEmitter::reduceWindows(const Plane &source, const Plane &target, const Windows &w, Value init, Combine combine) {
  Value full = e.mul(e.floorDiv(target.rows, e.i64(kRowGroup)), e.i64(kRowGroup));
  e.forEach(e.i64(0), full, kRowGroup, [&](Value row) { emitRows(source, target, w, init, combine, row, kRowGroup); });
  e.forEach(full, target.rows, 1, [&](Value row) { emitRows(source, target, w, init, combine, row, 1); });
}

bool walksPixelsAsOne(kernel::UnitOp unit, Value result) {
  graph::Dims out = graph::getDims(result);
  ArrayRef<AffineExpr> spatial = ArrayRef(out).drop_front(2);
  // The pixel stands in for the last dim's index, which nobody reads where that dim has extent 1.
  bool isPoint = llvm::all_of(spatial, [](AffineExpr dim) { return graph::isConstant(dim, 1); });
  if (graph::isConstant(spatial.back(), 1) && !isPoint)
    return false;
  // What is read behind the hero, its own inputs where the epilogue reads them again.
  llvm::SetVector<Value> tensors(unit.getBody().front().getTerminator()->operand_begin(), unit.getBody().front().getTerminator()->operand_end());
  for (size_t k = 0; k < tensors.size(); ++k)
    if (Operation *op = tensors[k].getDefiningOp(); op && tensors[k] != result)
      tensors.insert(op->operand_begin(), op->operand_end());
  return llvm::all_of(tensors, [&](Value tensor) {
    if (tensor == result)
      return true;
    graph::Dims dims = graph::getDims(tensor);
    ArrayRef<AffineExpr> tail = ArrayRef(dims).take_back(std::min(dims.size(), spatial.size()));
    bool none = llvm::all_of(tail, [](AffineExpr dim) { return graph::isConstant(dim, 1); });
    return none || tail == spatial;
  });
}

UnitEmitter::Index getPixelIndex(UnitEmitter &e, ArrayRef<Value> plane, Value pixel, ArrayRef<AffineExpr> spatial, bool asOne) {
  UnitEmitter::Index index(plane);
  if (!asOne) {
    llvm::append_range(index, e.delinearize(pixel, spatial));
    return index;
  }
  index.append(spatial.size() - 1, e.i64(0));
  index.push_back(pixel);
  return index;
}

void storePixels(UnitEmitter &e, Value result, ArrayRef<Value> plane, Value pixel, Value planes, Value pixels, Value values, int64_t pitch, bool asOne) {
  graph::Dims out = graph::getDims(result);
  e.forEach(e.i64(0), planes, 1, [&](Value i) {
    Value base = e.mul(i, e.i64(pitch)), channel = e.add(plane[1], i);
    e.forEachParallel(e.i64(0), pixels, [&](Value j) {
      keepForVectors(getLoop(j));
      UnitEmitter::Index index = getPixelIndex(e, {plane[0], channel}, e.add(pixel, j), ArrayRef(out).drop_front(2), asOne);
      e.overrideElement(result, [&](ArrayRef<Value>) { return e.load(e.b.getF32Type(), values, e.add(base, j)); });
      storeResults(e, index, e.linearize(index, out));
      e.clearOverrides();
    });
  });
}

using Finish = function_ref<Value(Value value, Value pixel)>;

/// Emits the epilogue of `count` pixels from `first` on, whose values lie densely in `values`; they span rows only where pixels are walked as one dim.
static void emitRun(UnitEmitter &e, Value result, ArrayRef<Value> plane, Value first, Value count, Value values, bool asOne, Finish finish) {
  Type f32 = e.b.getF32Type();
  graph::Dims out = graph::getDims(result);
  ArrayRef<AffineExpr> spatial = ArrayRef(out).drop_front(2);
  Value linear = e.linearize(getPixelIndex(e, plane, first, spatial, /*asOne=*/true), out);
  UnitEmitter::Index start = getPixelIndex(e, plane, first, spatial, asOne);
  e.forEachParallel(e.i64(0), count, [&](Value i) {
    keepForVectors(getLoop(i));
    UnitEmitter::Index index = start;
    index.back() = e.add(start.back(), i);
    e.overrideElement(result, [&](ArrayRef<Value>) { return finish(e.load(f32, values, i), e.add(first, i)); });
    storeResults(e, index, e.add(linear, i));
    e.clearOverrides();
  });
}

static bool walksAsOne(UnitEmitter &e, Value result) { return walksPixelsAsOne(e.unit, result); }

void emitPlaneEpilogue(UnitEmitter &e, Value result, ArrayRef<Value> plane, Value row, Value rows, Value values, Finish finish) {
  Value columns = e.extent(graph::getDims(result).back());
  if (walksAsOne(e, result))
    return emitRun(e, result, plane, e.mul(row, columns), e.mul(rows, columns), values, true, finish);
  e.forEach(e.i64(0), rows, 1, [&](Value line) {
    Value first = e.mul(line, columns);
    emitRun(e, result, plane, e.add(e.mul(row, columns), first), columns, e.address(e.b.getF32Type(), values, first), false, finish);
  });
}

void emitBlockEpilogue(UnitEmitter &e, Value result, ArrayRef<Value> plane, Value row, Value rows, Value column, Value columns, Value values, int64_t pitch) {
  Value width = e.extent(graph::getDims(result).back());
  bool asOne = walksAsOne(e, result);
  e.forEach(e.i64(0), rows, 1, [&](Value line) {
    Value first = e.add(e.mul(e.add(row, line), width), column);
    emitRun(e, result, plane, first, columns, e.address(e.b.getF32Type(), values, e.mul(line, e.i64(pitch))), asOne, [](Value value, Value) { return value; });
  });
}

} // namespace onager
