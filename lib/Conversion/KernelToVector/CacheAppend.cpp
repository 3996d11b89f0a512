// Copying caches while they are read; see CacheAppend.h.
#include "lib/Conversion/KernelToVector/CacheAppend.h"
#include "lib/Conversion/KernelToVector/StridedRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth, kVectorBytes = kLanes * 4;
static_assert(kVectorBytes == kLineBytes, "copies past the caches are of whole lines");

CacheAppend::CacheAppend(UnitEmitter &e, graph::ConcatOp concat)
    : e(e), concat(concat), past(graph::getDims(concat.getInputs().front())), result(graph::getDims(concat.getResult())), source(e.getBuffer(concat.getInputs().front())),
      target(e.getBuffer(concat.getResult())) {}

int64_t CacheAppend::getVectors() const { return *graph::getConstant(past.back()) / kLanes; }

Value CacheAppend::canSpareCaches() {
  return concat.getNontemporal() ? beginsLine(e, target) : Value();
}

Value CacheAppend::getStart(ArrayRef<Value> matrix, ArrayRef<AffineExpr> dims) {
  UnitEmitter::Index first(matrix);
  first.append({e.i64(0), e.i64(0)});
  return e.linearize(first, dims);
}

void CacheAppend::writeNew(ArrayRef<Value> matrix) {
  Value added = concat.getInputs().back(), start = getStart(matrix, result), columns = e.extent(past.back());
  e.forEach(e.i64(0), e.extent(graph::getDims(added).end()[-2]), 1, [&](Value row) {
    Value place = e.add(start, e.mul(e.add(getPastRows(), row), columns));
    e.forEachParallel(e.i64(0), columns, [&](Value column) {
      UnitEmitter::Index from(matrix);
      from.append({row, column});
      e.store(e.b.getF32Type(), target, e.add(place, column), e.element(added, from));
    });
  });
}

SmallVector<Value> CacheAppend::copyPast(ArrayRef<Value> matrix, Value first, Value count, bool sparesCaches, ValueRange inits, RowBody body) {
  Type f32 = e.b.getF32Type();
  Value columns = e.extent(past.back()), from = getStart(matrix, past), to = getStart(matrix, result);
  return e.forLoop(first, e.add(first, count), 1, inits, [&](Value row, ValueRange carried) {
    SmallVector<Value> vectors;
    Value place = e.mul(row, columns);
    for (int64_t k = 0; k < getVectors(); ++k) {
      Value offset = e.add(place, e.i64(k * kLanes));
      vectors.push_back(loadVector(e, f32, e.address(f32, source, e.add(from, offset))));
      LLVM::StoreOp::create(e.b, vectors.back(), e.address(f32, target, e.add(to, offset)), sparesCaches ? kVectorBytes : 4, /*isVolatile=*/false, /*isNonTemporal=*/sparesCaches);
    }
    return body(row, vectors, carried);
  });
}

} // namespace onager
