// Matrix products that read lines of the right operand where they lie: element types without a packed form, and single rows.
//
// Work items: (batch, block of kRows rows, block of kColumns columns). The sums of a block lie in stack memory; each k adds multiples of one line of the
// right operand to them, in loops that LLVM makes vectors of.
//   sums[r][l] = 0
//   for k   for l in [0, columns of the block)     parallel
//     sums[r][l] += lhs[row + r, k] * rhs[k, column + l]   for each of the rows
//
// Where the right operand lies in memory in the type that is computed in, full blocks keep their sums in registers, but for a known number of few rows,
// which take wider blocks and several lines of the right operand at a time: each line is then read far enough to be fetched ahead, and sums move once for all of
// them.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

constexpr int64_t kRows = 4, kColumns = 64, kTileColumns = 32;
/// Of few rows.
constexpr int64_t kMostFew = 8, kWideColumns = 512, kMostLines = 8, kMostFactors = 32;

struct MatmulShape {
  graph::MatmulOp op;
  graph::Dims batch;
  AffineExpr rows, columns, depth;
  bool isFew; ///< rows that one tile takes
  int64_t tileRows, blockColumns;

  AffineExpr getColumnBlocks() const { return columns.ceilDiv(blockColumns); }
  AffineExpr getRowBlocks() const { return rows.ceilDiv(tileRows); }
  int64_t getLines() const { return isFew ? std::min(kMostLines, kMostFactors / tileRows) : 1; }
};

MatmulShape getShape(kernel::UnitOp unit) {
  MatmulShape s;
  s.op = *unit.getBody().front().getOps<graph::MatmulOp>().begin();
  graph::Dims out = graph::getDims(s.op.getResult());
  s.batch.assign(out.begin(), out.end() - 2);
  s.rows = out[out.size() - 2];
  s.columns = out.back();
  s.depth = graph::getDims(s.op.getLhs()).back();
  std::optional<int64_t> rows = graph::getConstant(s.rows);
  s.isFew = rows && *rows > 0 && *rows <= kMostFew;
  s.tileRows = s.isFew ? *rows : kRows;
  s.blockColumns = s.isFew ? kWideColumns : kColumns;
  return s;
}

struct MatmulEmitter {
  UnitEmitter &e;
  MatmulShape s;
  Type left, right, result, compute;
  Value sums;

  /// The element of an operand at an index of the batch, which broadcasts.
  Value read(Value tensor, ArrayRef<Value> batch, Value row, Value column) {
    graph::Dims out = graph::getDims(s.op.getResult());
    Index index(batch);
    index.append({row, column});
    Index position = e.broadcastIndex(tensor, out, index);
    position[position.size() - 2] = row;
    position.back() = column;
    return e.element(tensor, position);
  }
  Value place(int64_t row, Value l) { return e.add(e.i64(row * s.blockColumns), l); }

  /// Whether vectors can be loaded from the right operand.
  bool isPlain() { return isa<BlockArgument>(s.op.getRhs()) && left == compute && right == compute && result == compute && (compute.isF32() || compute.isF64()); }

  /// The sums of a tile's columns from `first` of the block on.
  void sumInRegisters(ArrayRef<Value> batch, Value row, int64_t rows, Value column, Value first) {
    int64_t width = static_cast<int64_t>(e.options.target.vectorBytes) * 8 / compute.getIntOrFloatBitWidth(), vectors = kTileColumns / width;
    auto lanes = VectorType::get({width}, compute);
    Index index = e.broadcastIndex(s.op.getRhs(), graph::getDims(s.op.getResult()), llvm::to_vector(llvm::concat<Value>(SmallVector<Value>(batch), SmallVector<Value>{row, column})));
    index[index.size() - 2] = e.i64(0);
    index.back() = e.add(column, first);
    Value start = e.linearize(index, graph::getDims(s.op.getRhs())), stride = e.extent(s.columns);
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes)), rhs = e.getBuffer(s.op.getRhs());
    SmallVector<Value> totals = e.forLoop(e.i64(0), e.extent(s.depth), 1, SmallVector<Value>(rows * vectors, zero), [&](Value k, ValueRange running) {
      SmallVector<Value> line, next;
      for (int64_t v = 0; v < vectors; ++v)
        line.push_back(LLVM::LoadOp::create(e.b, lanes, e.address(compute, rhs, e.add(e.add(start, e.mul(k, stride)), e.i64(v * width))), compute.getIntOrFloatBitWidth() / 8));
      for (int64_t r = 0; r < rows; ++r) {
        Value factor = vector::BroadcastOp::create(e.b, lanes, read(s.op.getLhs(), batch, e.add(row, e.i64(r)), k));
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(vector::FMAOp::create(e.b, factor, line[v], running[r * vectors + v]));
      }
      return next;
    });
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < vectors; ++v)
        LLVM::StoreOp::create(e.b, totals[r * vectors + v], e.address(compute, sums, place(r, e.add(first, e.i64(v * width)))), compute.getIntOrFloatBitWidth() / 8);
  }

  /// Adds the products with lines [k, k + lines) of the right operand to the sums of a block, in a loop over its columns.
  void addLines(ArrayRef<Value> batch, Value row, int64_t rows, Value column, Value columns, Value k, int64_t lines) {
    SmallVector<Value> factors;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t line = 0; line < lines; ++line)
        factors.push_back(read(s.op.getLhs(), batch, e.add(row, e.i64(r)), e.add(k, e.i64(line))));
    e.forEachParallel(e.i64(0), columns, [&](Value l) {
      SmallVector<Value> xs;
      for (int64_t line = 0; line < lines; ++line)
        xs.push_back(read(s.op.getRhs(), batch, e.add(k, e.i64(line)), e.add(column, l)));
      for (int64_t r = 0; r < rows; ++r) {
        Value sum = e.load(compute, sums, place(r, l));
        for (int64_t line = 0; line < lines; ++line)
          sum = multiplyAdd(e, sum, factors[r * lines + line], left, xs[line], right, result);
        e.store(compute, sums, place(r, l), sum);
      }
    });
  }

  /// The sums of a block in loops over its columns.
  void sumInMemory(ArrayRef<Value> batch, Value row, int64_t rows, Value column, Value columns) {
    for (int64_t r = 0; r < rows; ++r)
      e.forEachParallel(e.i64(0), columns, [&](Value l) { e.store(compute, sums, place(r, l), e.constant(compute, 0)); });
    Value depth = e.extent(s.depth), whole = e.i64(0);
    if (int64_t lines = s.getLines(); lines > 1) {
      whole = e.sub(depth, e.rem(depth, e.i64(lines)));
      e.forEach(e.i64(0), whole, lines, [&](Value k) { addLines(batch, row, rows, column, columns, k, lines); });
    }
    e.forEach(whole, depth, 1, [&](Value k) { addLines(batch, row, rows, column, columns, k, 1); });
  }

  void emitBlock(ArrayRef<Value> batch, Value row, int64_t rows, Value column, Value columns) {
    if (isPlain() && !s.isFew) {
      Value isFull = e.compare("eq", columns, e.i64(kColumns));
      e.ifThen(isFull, [&] { e.forEach(e.i64(0), e.i64(kColumns), kTileColumns, [&](Value first) { sumInRegisters(batch, row, rows, column, first); }); });
      e.ifThen(e.compare("ne", columns, e.i64(kColumns)), [&] { sumInMemory(batch, row, rows, column, columns); });
    } else {
      sumInMemory(batch, row, rows, column, columns);
    }
    graph::Dims dims = graph::getDims(s.op.getResult());
    for (int64_t r = 0; r < rows; ++r)
      e.forEachParallel(e.i64(0), columns, [&](Value l) {
        Index index(batch);
        index.append({e.add(row, e.i64(r)), e.add(column, l)});
        e.overrideElement(s.op.getResult(), [&](ArrayRef<Value>) { return e.load(compute, sums, place(r, l)); });
        storeResults(e, index, e.linearize(index, dims));
        e.clearOverrides();
      });
  }

  void emit() {
    graph::Dims items(s.batch);
    items.append({s.getRowBlocks(), s.getColumnBlocks()});
    forRows(e, items, e.begin, e.end, [&](ArrayRef<Value> item, Value) {
      ArrayRef<Value> batch = item.drop_back(2);
      Value row = e.mul(item[item.size() - 2], e.i64(s.tileRows)), column = e.mul(item.back(), e.i64(s.blockColumns));
      Value columns = e.minSigned(e.i64(s.blockColumns), e.sub(e.extent(s.columns), column)), left = e.sub(e.extent(s.rows), row);
      if (s.isFew)
        return emitBlock(batch, row, s.tileRows, column, columns);
      e.ifThen(e.compare("sge", left, e.i64(kRows)), [&] { emitBlock(batch, row, kRows, column, columns); });
      e.ifThen(e.compare("slt", left, e.i64(kRows)), [&] {
        e.forEach(row, e.extent(s.rows), 1, [&](Value single) { emitBlock(batch, single, 1, column, columns); });
      });
    });
  }
};

} // namespace

void emitMatmul(UnitEmitter &e) {
  MatmulShape s = getShape(e.unit);
  auto elementOf = [](Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); };
  Type result = elementOf(s.op.getResult()), compute = e.computeType(result);
  MatmulEmitter{e, s, elementOf(s.op.getLhs()), elementOf(s.op.getRhs()), result, compute, e.stackBuffer(compute, s.tileRows * s.blockColumns)}.emit();
}

WorkInfo getMatmulWork(kernel::UnitOp unit) {
  MatmulShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  AffineExpr batch = graph::getNumElements(context, s.batch);
  return {batch * s.getRowBlocks() * s.getColumnBlocks(), batch * s.rows * s.columns * s.depth, getAffineConstantExpr(0, context)};
}

} // namespace onager
