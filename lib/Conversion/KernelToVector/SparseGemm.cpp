// Products with the weights that are not 0.
//
// Work items: (block of rows, block of outputs), outputs innermost. A share transposes the rows of the left operand where it meets a block of them:
//   scratch := panel, sums, values
//   panel   := [number of the sums][row]
//   sums    := [output of the block][row]
//   values  := [row][output of the block]
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/SparseTile.h"
#include "lib/Conversion/KernelToVector/Transposed.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

struct SparseGemmShape {
  kernel::SparseGemmOp op;
  graph::Dims rowDims;
  AffineExpr rows;
  SparseWeights weights;
};

SparseGemmShape getShape(kernel::UnitOp unit) {
  auto op = *unit.getBody().front().getOps<kernel::SparseGemmOp>().begin();
  graph::Dims lhs = graph::getDims(op.getLhs());
  graph::Dims rowDims(lhs.begin(), lhs.end() - 1);
  SparseWeights weights{op.getStarts(), op.getIndices(), op.getValues(), *graph::getConstant(graph::getDims(op.getResult()).back()), *graph::getConstant(lhs.back())};
  return {op, rowDims, graph::getNumElements(unit.getContext(), rowDims), weights};
}

struct SparseGemmEmitter {
  UnitEmitter &e;
  SparseGemmShape s;
  int64_t blockRows;
  VectorType vector; ///< as long as the target's
  Value panel, sums, values;

  SparseGemmEmitter(UnitEmitter &e, const SparseGemmShape &shape) : e(e), s(shape), blockRows(getSparseRows(e.options.target)) {
    vector = VectorType::get({e.options.target.vectorBytes / 4}, e.b.getF32Type());
    panel = e.getScratch();
    sums = at(panel, e.i64(s.weights.depth * blockRows));
    values = at(sums, e.i64(kSparseOutputs * blockRows));
  }

  Value at(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }

  /// Transposes rows of the left operand; those of the last vector that are not there are copies of the last.
  void fillPanel(Value firstRow, Value rows) {
    int64_t lanes = vector.getNumElements(), depth = s.weights.depth, whole = depth / lanes * lanes;
    Value lhs = e.getBuffer(s.op.getLhs()), last = e.sub(rows, e.i64(1));
    auto from = [&](Value row, Value k) { return at(lhs, e.add(e.mul(e.add(firstRow, e.minSigned(row, last)), e.i64(depth)), k)); };
    auto to = [&](Value k, Value row) { return at(panel, e.add(e.mul(k, e.i64(blockRows)), row)); };
    transposeSquares(e, vector, rows, e.i64(whole), from, to);
    Type f32 = e.b.getF32Type();
    e.forEach(e.i64(whole), e.i64(depth), 1, [&](Value k) {
      e.forEachParallel(e.i64(0), rows, [&](Value row) { e.store(f32, to(k, row), e.i64(0), e.load(f32, from(row, k), e.i64(0))); });
    });
  }

  void emitItem(Value firstRow, Value rows, Value firstOutput) {
    Value outputs = e.minSigned(e.i64(kSparseOutputs), e.sub(e.i64(s.weights.outputs), firstOutput));
    emitSparseSums(e, s.weights, panel, rows, firstOutput, outputs, sums);
    transposeSquares(e, vector, outputs, rows, [&](Value output, Value row) { return at(sums, e.add(e.mul(output, e.i64(blockRows)), row)); },
                     [&](Value row, Value output) { return at(values, e.add(e.mul(row, e.i64(kSparseOutputs)), output)); });
    storeTile(e, s.op.getResult(), values, kSparseOutputs, rows, outputs, [&](Value i) {
      UnitEmitter::Index index = e.delinearize(e.add(firstRow, i), s.rowDims);
      index.push_back(firstOutput);
      return index;
    });
  }

  void emit() {
    Value blocks = e.i64(s.weights.getBlocks());
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value block = e.rem(item, blocks), firstRow = e.mul(e.floorDiv(item, blocks), e.i64(blockRows));
      Value rows = e.minSigned(e.i64(blockRows), e.sub(e.extent(s.rows), firstRow));
      e.ifThen(arith::OrIOp::create(e.b, e.compare("eq", item, e.begin), e.compare("eq", block, e.i64(0))), [&] { fillPanel(firstRow, rows); });
      emitItem(firstRow, rows, e.mul(block, e.i64(kSparseOutputs)));
    });
  }
};

} // namespace

void emitSparseGemm(UnitEmitter &e) { SparseGemmEmitter(e, getShape(e.unit)).emit(); }

WorkInfo getSparseGemmWork(kernel::UnitOp unit, const EmitOptions &options) {
  SparseGemmShape s = getShape(unit);
  int64_t rows = getSparseRows(options.target), floats = s.weights.depth * rows + 2 * kSparseOutputs * rows;
  return {s.rows.ceilDiv(rows) * s.weights.getBlocks(), s.rows * s.weights.getProducts(), getAffineConstantExpr(floats * 4, unit.getContext()),
          getAffineConstantExpr(s.weights.getBlocks(), unit.getContext())};
}

} // namespace onager
