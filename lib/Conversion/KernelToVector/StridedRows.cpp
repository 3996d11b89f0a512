// Rows of q, k and v in memory, and their panels; see StridedRows.h.
#include "lib/Conversion/KernelToVector/StridedRows.h"
#include "lib/Conversion/KernelToVector/Transposed.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

/// The unit's argument, or its concatenation, behind a tensor; `perm` becomes the argument's dim of each dim of the tensor.
static Value findStored(Value tensor, SmallVectorImpl<int64_t> &perm) {
  perm = llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(tensor.getType()).getRank()));
  while (Operation *op = tensor.getDefiningOp()) {
    if (isa<graph::ConcatOp>(op))
      break;
    if (auto transpose = dyn_cast<graph::TransposeOp>(op))
      for (int64_t &dim : perm)
        dim = transpose.getPerm()[dim];
    tensor = op->getOperand(0);
  }
  return tensor;
}

Type getStored(Value tensor) {
  SmallVector<int64_t> perm;
  return cast<RankedTensorType>(findStored(tensor, perm).getType()).getElementType();
}

Value loadVector(UnitEmitter &e, Type stored, Value pointer) {
  auto wide = VectorType::get({kLanes}, e.b.getF32Type());
  if (stored.isF32())
    return LLVM::LoadOp::create(e.b, wide, pointer, 4);
  if (stored.isF16())
    return arith::ExtFOp::create(e.b, wide, LLVM::LoadOp::create(e.b, VectorType::get({kLanes}, stored), pointer, 2).getResult());
  auto words = VectorType::get({kLanes}, e.b.getI32Type());
  Value bits = arith::ExtUIOp::create(e.b, words, LLVM::LoadOp::create(e.b, VectorType::get({kLanes}, e.b.getI16Type()), pointer, 2).getResult());
  Value half = vector::BroadcastOp::create(e.b, words, arith::ConstantIntOp::create(e.b, 16, 32));
  return arith::BitcastOp::create(e.b, wide, arith::ShLIOp::create(e.b, bits, half).getResult());
}

StridedRows::StridedRows(UnitEmitter &e, Value tensor) : e(e), dims(graph::getDims(tensor)) {
  SmallVector<int64_t> perm;
  Value source = findStored(tensor, perm);
  stored = cast<RankedTensorType>(source.getType()).getElementType();
  base = e.getBuffer(source);
  isArgument = isa<BlockArgument>(source);
  UnitEmitter::Index dense = e.extents(source);
  Value stride = e.i64(1);
  for (Value &extent : llvm::reverse(dense))
    extent = std::exchange(stride, e.mul(stride, extent));
  for (int64_t dim : perm)
    strides.push_back(dense[dim]);
  rowStride = strides[strides.size() - 2];
}

Value StridedRows::offset(ArrayRef<Value> index, ArrayRef<AffineExpr> batch) {
  Value sum = e.i64(0);
  for (size_t k = 0; k + 2 < dims.size(); ++k) {
    size_t position = k + batch.size() + 2 - dims.size();
    if (graph::isConstant(dims[k], 1))
      continue;
    Value part = index[position];
    if (dims[k] != batch[position])
      part = arith::SelectOp::create(e.b, e.compare("eq", e.extent(dims[k]), e.i64(1)), e.i64(0), part);
    sum = e.add(sum, e.mul(part, strides[k]));
  }
  return sum;
}

Value StridedRows::address(Value offset) { return e.address(stored, base, offset); }

Value StridedRows::load(Value offset) { return e.load(stored, base, offset, /*invariant=*/isArgument); }

void StridedRows::packTransposed(Value matrix, Value row, Value last, Value columns, Value panel) {
  Type f32 = e.b.getF32Type();
  auto rowAt = [&](Value lane) { return e.add(matrix, e.mul(e.minSigned(e.add(row, lane), last), rowStride)); };
  SmallVector<Value> starts;
  for (int64_t lane = 0; lane < kLanes; ++lane)
    starts.push_back(rowAt(e.i64(lane)));
  Value whole = e.mul(e.floorDiv(columns, e.i64(kLanes)), e.i64(kLanes));
  e.forEach(e.i64(0), whole, kLanes, [&](Value column) {
    SmallVector<Value> square;
    for (Value start : starts)
      square.push_back(loadVector(e, stored, address(e.add(start, column))));
    transposeSquare(e, square);
    for (auto [lane, x] : llvm::enumerate(square))
      LLVM::StoreOp::create(e.b, x, e.address(f32, panel, e.mul(e.add(column, e.i64(lane)), e.i64(kLanes))), 4);
  });
  e.forEach(whole, columns, 1, [&](Value column) {
    e.forEach(e.i64(0), e.i64(kLanes), 1,
              [&](Value lane) { e.store(f32, panel, e.add(e.mul(column, e.i64(kLanes)), lane), load(e.add(rowAt(lane), column))); });
  });
}

void StridedRows::pack(Value matrix, Value row, Value count, Value column, Value columns, Value panel) {
  Type f32 = e.b.getF32Type();
  Value from = e.add(e.add(matrix, e.mul(row, rowStride)), column), left = e.sub(columns, column);
  auto placeOf = [&](Value i) { return e.mul(i, e.i64(kLanes)); };
  e.ifThen(e.compare("sge", left, e.i64(kLanes)), [&] {
    e.forEach(e.i64(0), count, 1, [&](Value i) {
      LLVM::StoreOp::create(e.b, loadVector(e, stored, address(e.add(from, e.mul(i, rowStride)))), e.address(f32, panel, placeOf(i)), 4);
    });
  });
  e.ifThen(e.compare("slt", left, e.i64(kLanes)), [&] {
    e.forEach(e.i64(0), count, 1, [&](Value i) {
      e.forEach(e.i64(0), left, 1, [&](Value lane) { e.store(f32, panel, e.add(placeOf(i), lane), load(e.add(e.add(from, e.mul(i, rowStride)), lane))); });
      e.forEach(left, e.i64(kLanes), 1, [&](Value lane) { e.store(f32, panel, e.add(placeOf(i), lane), e.constant(f32, 0)); });
    });
  });
}

} // namespace onager
