// Reductions along the last dims, in f32.
//
//   for each 16 rows
//     totals[r] = the row's vectors put together, then its lanes by halves
//     for r in [0, 16)     parallel: result[row + r] = finish(totals[r]), and what follows
//
// Rows of a few vectors, known when compiling, are put together 16 at a time: two vectors become one that holds half of the lanes of either, until each lane
// is a row. A row's lanes meet in the same order alone.
#include "lib/Conversion/KernelToVector/ReduceRows.h"
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/RowVectors.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using graph::ReduceKind;

/// Rows of a block, which are lanes of a vector; the longest row that is taken with others; the longest that LLVM's vectors over rows take.
constexpr int64_t kRows = kernel::kPanelWidth, kLongestTogether = 64, kShuffledRow = 8;

struct ReduceRowsShape {
  graph::ReduceOp op;
  AffineExpr rows, width;
};

ReduceRowsShape getShape(kernel::UnitOp unit) {
  ReduceRowsShape s;
  s.op = *unit.getBody().front().getOps<graph::ReduceOp>().begin();
  ArrayRef<int64_t> axes = s.op.getAxes();
  graph::Dims dims = graph::getDims(s.op.getX());
  s.rows = graph::getNumElements(unit.getContext(), graph::getDims(s.op.getResult()));
  s.width = graph::getNumElements(unit.getContext(), ArrayRef(dims).take_back(axes.size()));
  return s;
}

struct ReduceRowsEmitter {
  UnitEmitter &e;
  ReduceRowsShape s;
  ReduceKind kind;
  Type f32;
  Value totals;

  Value combine(Value a, Value c) {
    bool isSum = kind != ReduceKind::max && kind != ReduceKind::min && kind != ReduceKind::prod;
    return accumulate(e, isSum ? ReduceKind::sum : kind, f32, a, c);
  }
  Value getRow(Value row) { return e.address(f32, e.getBuffer(s.op.getX()), e.mul(row, e.extent(s.width))); }

  /// The lanes of a row's total.
  Value sweep(RowVectors &vectors, Value row) {
    Value identity = getIdentity(e, kind, f32);
    return vectors.fold(splat(e, identity), [&](Value a, Value c) { return combine(a, c); },
                        [&](const RowVectors::Part &part, Value chain) { return accumulate(e, kind, f32, chain, vectors.read(row, part, identity)); });
  }

  /// The totals of 16 rows as lanes, from the lanes of each.
  Value putTogether(SmallVector<Value> rows) {
    for (int64_t part = kRows; rows.size() > 1; part /= 2) {
      // Lanes of two vectors in groups of `part`, of which each is a row's: the low halves of all groups, and the high ones.
      SmallVector<int64_t> low, high;
      for (int64_t group = 0; group < 2 * kRows; group += part)
        for (int64_t k = 0; k < part / 2; ++k) {
          low.push_back(group + k);
          high.push_back(group + part / 2 + k);
        }
      SmallVector<Value> next;
      for (size_t k = 0; k < rows.size(); k += 2)
        next.push_back(combine(vector::ShuffleOp::create(e.b, rows[k], rows[k + 1], low), vector::ShuffleOp::create(e.b, rows[k], rows[k + 1], high)));
      rows = next;
    }
    return rows.front();
  }

  void emitBlock(Value first, Value count) {
    RowVectors vectors(e, s.width);
    auto emitAlone = [&] {
      e.forEach(e.i64(0), count, 1, [&](Value r) {
        e.store(f32, totals, r, RowVectors::across(e, sweep(vectors, getRow(e.add(first, r))), [&](Value a, Value c) { return combine(a, c); }));
      });
    };
    if (graph::getConstant(s.width).value_or(kLongestTogether + 1) > kLongestTogether)
      return emitAlone();
    e.ifElse(e.compare("eq", count, e.i64(kRows)), [&] {
      SmallVector<Value> rows;
      for (int64_t r = 0; r < kRows; ++r)
        rows.push_back(sweep(vectors, getRow(e.add(first, e.i64(r)))));
      LLVM::StoreOp::create(e.b, putTogether(rows), totals, 4);
    }, emitAlone);
  }

  void emit() {
    graph::Dims dims = graph::getDims(s.op.getResult());
    e.forEach(e.begin, e.end, 1, [&](Value block) {
      Value first = e.mul(block, e.i64(kRows)), count = e.minSigned(e.i64(kRows), e.sub(e.extent(s.rows), first));
      emitBlock(first, count);
      e.forEachParallel(e.i64(0), count, [&](Value r) {
        Value row = e.add(first, r);
        e.overrideElement(s.op.getResult(), [&](ArrayRef<Value>) { return finishReduction(e, kind, f32, e.load(f32, totals, r), e.extent(s.width)); });
        storeResults(e, e.delinearize(row, dims), row);
        e.clearOverrides();
      });
    });
  }
};

} // namespace

bool reducesRows(kernel::UnitOp unit) {
  auto reductions = unit.getBody().front().getOps<graph::ReduceOp>();
  if (!llvm::hasSingleElement(reductions))
    return false;
  graph::ReduceOp op = *reductions.begin();
  graph::Dims dims = graph::getDims(op.getX()), result = graph::getDims(unit.getBody().front().getTerminator()->getOperand(0));
  int64_t first = static_cast<int64_t>(dims.size() - op.getAxes().size());
  bool areLast = llvm::all_of(op.getAxes(), [&](int64_t axis) { return axis >= first; });
  std::optional<int64_t> width = graph::getConstant(getShape(unit).width);
  return isa<BlockArgument>(op.getX()) && op.getX().getType().getElementType().isF32() && areLast && result == graph::getDims(op.getResult()) && (!width || *width > kShuffledRow);
}

void emitReduceRows(UnitEmitter &e) {
  ReduceRowsShape s = getShape(e.unit);
  ReduceRowsEmitter{e, s, s.op.getKind(), e.b.getF32Type(), e.stackBuffer(e.b.getF32Type(), kRows)}.emit();
}

WorkInfo getReduceRowsWork(kernel::UnitOp unit) {
  ReduceRowsShape s = getShape(unit);
  return {s.rows.ceilDiv(kRows), s.rows * s.width, getAffineConstantExpr(0, unit.getContext())};
}

} // namespace onager
