// Matrix products: tiles of 12 x 32 (AVX-512) computed into a small buffer on the stack, where the epilogue picks them up.
//
// Work items: (batch, pair of panels, block of rows), rows innermost, so that one share walks the rows of a panel pair while it is in cache; where all rows
// are more than that holds, or weights are few, pairs are innermost, and a block of rows stays there instead: of few weights threads share out the rows.
// Where there is a single row, a share takes several of its pairs at once: chains of many vectors hide their latency. Large weights come in one stream,
// panel by panel.
// Leading dims of the left operand join its rows where the right operand has none. Where one block holds all rows, and more than a tile has, long sums are
// cut into runs whose part of the panels stays in the first-level cache: panels are read once then, from memory, and each tile fetches a part of the run
// that comes next. The products of all rows lie in the buffer, or the result, meanwhile.
// Rows that share sets of the first-level cache are copied before:
//   scratch := mark: which block it holds, [row of a block, or of all where these stay in the cache][depth + kApart]
#include "lib/Conversion/KernelToVector/Gemm.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

GemmShape getGemmShape(kernel::UnitOp unit) {
  GemmShape shape;
  shape.op = *unit.getBody().front().getOps<kernel::GemmOp>().begin();
  MLIRContext *context = unit.getContext();
  graph::Dims lhs = graph::getDims(shape.op.getLhs()), packed = graph::getDims(shape.op.getPacked()), out = graph::getDims(shape.op.getResult());
  shape.columns = out.back();
  shape.depth = lhs.back();
  shape.panels = packed[packed.size() - 3];
  if (packed.size() == 3) {
    shape.rowDims.assign(lhs.begin(), lhs.end() - 1);
  } else {
    shape.batch.assign(out.begin(), out.end() - 2);
    shape.rowDims.push_back(out[out.size() - 2]);
  }
  shape.rows = graph::getNumElements(context, shape.rowDims);
  return shape;
}

namespace {

using Index = UnitEmitter::Index;

/// Pairs of panels that a single row takes at once.
constexpr int64_t kMostPairs = 4;

/// Rows and columns of a product from which on copies of rows that share a set of the cache are worth it.
constexpr int64_t kFewestCopiedRows = 9, kFewestCopiedFor = 128;

/// Whether rows are copied before they are read.
bool copiesRows(GemmShape shape, const TargetInfo &target) {
  std::optional<int64_t> rows = graph::getConstant(shape.rows), depth = graph::getConstant(shape.depth), columns = graph::getConstant(shape.columns);
  return shape.batch.empty() && !shape.op.getBf16x3() && depth && hasAliasedRows(*depth, target) && columns && *columns >= kFewestCopiedFor && (!rows || *rows >= kFewestCopiedRows);
}

/// Whether all rows stay in the second-level cache, or not much further away, while pairs are taken.
bool keepsAllRows(int64_t rows, int64_t depth, const TargetInfo &target) { return rows * depth * 4 <= 2 * target.l2Bytes; }

/// Whether weights are so few that each thread rather reads all of them than all rows, half of which another core has just written.
bool hasSmallWeights(GemmShape shape, const TargetInfo &target) {
  std::optional<int64_t> depth = graph::getConstant(shape.depth), columns = graph::getConstant(shape.columns);
  return shape.batch.empty() && depth && columns && *depth * *columns * 4 <= 2 * target.l2Bytes;
}

/// Rows that are copied at once.
int64_t getCopiedRows(GemmShape shape, const TargetInfo &target) {
  std::optional<int64_t> rows = graph::getConstant(shape.rows);
  return !rows ? kGemmRowBlock : !hasSmallWeights(shape, target) && keepsAllRows(*rows, *graph::getConstant(shape.depth), target) ? *rows : std::min(*rows, kGemmRowBlock);
}

struct GemmEmitter {
  UnitEmitter &e;
  GemmShape shape;
  int64_t width; ///< columns of a pair of panels
  int64_t runLength; ///< of sums whose panels stay in the first-level cache
  Value tile;
  bool direct;   ///< nothing follows the product: tiles go straight to the result
  Value rowPitch; ///< from one row of the left operand to the next

  Value offsetOf(Value tensor, ArrayRef<Value> batch, size_t matrixDims) {
    graph::Dims dims = graph::getDims(tensor);
    if (dims.size() <= matrixDims || shape.batch.empty())
      return e.i64(0);
    Value linear = e.i64(0), stride = e.i64(1);
    for (size_t k = dims.size(); k-- > 0;) {
      if (k < dims.size() - matrixDims) {
        size_t position = k + shape.batch.size() + matrixDims - dims.size();
        Value part = graph::isConstant(dims[k], 1) ? e.i64(0) : dims[k] == shape.batch[position] ? batch[position]
                   : Value(arith::SelectOp::create(e.b, e.compare("eq", e.extent(dims[k]), e.i64(1)), e.i64(0), batch[position]));
        linear = e.add(linear, e.mul(part, stride));
      }
      stride = e.mul(stride, e.extent(dims[k]));
    }
    return linear;
  }

  Index indexOf(ArrayRef<Value> batch, Value row, Value column) {
    Index index(batch);
    llvm::append_range(index, e.delinearize(row, shape.rowDims));
    index.push_back(column);
    return index;
  }

  /// Whether the right operand is too large to be found in the second-level cache.
  bool comesFromMemory() {
    std::optional<int64_t> floats = graph::getConstant(graph::getNumElements(e.b.getContext(), graph::getDims(shape.op.getPacked())));
    return floats && *floats * 4 > 2 * e.options.target.l2Bytes;
  }

  void emitTile(ArrayRef<Value> batch, Value a, Value panel, Value row, Value column, int64_t rows, int64_t panels, Value columns, bool ragged, bool isOneStream = false) {
    Type f32 = e.b.getF32Type();
    Value depth = e.extent(shape.depth), stride = e.extent(shape.columns);
    TileOperands t{e.address(f32, a, e.mul(row, rowPitch)), rowPitch, panel, e.mul(depth, e.i64(kernel::kPanelWidth)), tile, e.i64(width), depth};
    t.isOneStream = isOneStream;
    if (direct && !ragged) {
      t.c = e.address(f32, e.getResultBuffer(0), e.linearize(indexOf(batch, row, column), graph::getDims(shape.op.getResult())));
      t.columnStride = stride;
      return callMicroKernel(e, rows, panels, t);
    }
    callMicroKernel(e, rows, panels, t);
    storeTile(e, shape.op.getResult(), tile, width, e.i64(rows), columns, [&](Value i) { return indexOf(batch, e.add(row, i), column); });
  }

  /// Sets `count` rows of `panels` vectors to 0.
  void clear(Value base, Value pitch, Value count, int64_t panels) {
    auto lanes = VectorType::get({kernel::kPanelWidth}, e.b.getF32Type());
    Value zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
    e.forEach(e.i64(0), count, 1, [&](Value row) {
      for (int64_t j = 0; j < panels; ++j)
        LLVM::StoreOp::create(e.b, zero, e.address(e.b.getF32Type(), base, e.add(e.mul(row, pitch), e.i64(j * kernel::kPanelWidth))), 4);
    });
  }

  /// Computes all rows run by run.
  void emitRuns(ArrayRef<Value> batch, Value a, Value panel, Value firstRow, Value rows, Value column, int64_t panels, Value columns, bool ragged) {
    Type f32 = e.b.getF32Type();
    Value depth = e.extent(shape.depth), lanes = e.i64(kernel::kPanelWidth), tileRows = e.i64(getTileRows(e.options.target));
    bool toResult = direct && !ragged;
    Value c = toResult ? e.address(f32, e.getResultBuffer(0), e.linearize(indexOf(batch, firstRow, column), graph::getDims(shape.op.getResult()))) : tile;
    Value pitch = toResult ? e.extent(shape.columns) : e.i64(width), tiles = e.floorDiv(e.add(rows, e.sub(tileRows, e.i64(1))), tileRows);
    Value step = e.floorDiv(e.add(lanes, e.sub(tiles, e.i64(1))), tiles), behind = e.mul(depth, e.i64(panels * kernel::kPanelWidth));
    clear(c, pitch, rows, panels);
    e.forEach(e.i64(0), depth, runLength, [&](Value k) {
      Value count = e.minSigned(e.i64(runLength), e.sub(depth, k)), end = e.add(k, count);
      Value next = e.address(f32, panel, arith::SelectOp::create(e.b, e.compare("slt", end, depth), e.mul(end, lanes), behind));
      forRowTiles(e, getTileRows(e.options.target), rows, [&](Value row, int64_t size) {
        TileOperands t{e.address(f32, a, e.add(e.mul(e.add(firstRow, row), rowPitch), k)), rowPitch, e.address(f32, panel, e.mul(k, lanes)), e.mul(depth, lanes),
                       e.address(f32, c, e.mul(row, pitch)), pitch, count};
        t.accumulates = t.looksAtPanels = true;
        t.ahead = e.address(f32, next, e.mul(e.floorDiv(row, tileRows), e.mul(count, step)));
        t.aheadStep = step;
        callMicroKernel(e, size, panels, t);
      });
    });
    if (!toResult)
      storeTile(e, shape.op.getResult(), tile, width, rows, columns, [&](Value i) { return indexOf(batch, e.add(firstRow, i), column); });
  }

  void emitRowsOf(ArrayRef<Value> batch, Value a, Value packed, Value pair, Value firstRow, Value rows, int64_t panels, bool ragged) {
    Value column = e.mul(pair, e.i64(width));
    Value columns = ragged ? e.sub(e.extent(shape.columns), column) : e.i64(width);
    Value panelBytes = e.mul(e.extent(shape.depth), e.i64(kernel::kPanelWidth));
    Value panel = e.address(e.b.getF32Type(), packed, e.mul(e.mul(pair, e.i64(width / kernel::kPanelWidth)), panelBytes));
    std::optional<int64_t> knownRows = graph::getConstant(shape.rows), knownDepth = graph::getConstant(shape.depth);
    int64_t tileRows = getTileRows(e.options.target);
    auto inRuns = [&] { emitRuns(batch, a, panel, firstRow, rows, column, panels, columns, ragged); };
    auto whole = [&] { emitWholeSums(batch, a, panel, firstRow, rows, column, panels, columns, ragged); };
    if ((knownRows && (*knownRows <= tileRows || *knownRows > kGemmRowBlock)) || (knownDepth && *knownDepth <= runLength))
      return whole();
    if (knownRows && knownDepth)
      return inRuns();
    Value all = e.extent(shape.rows), fits = arith::AndIOp::create(e.b, e.compare("sgt", all, e.i64(tileRows)), e.compare("sle", all, e.i64(kGemmRowBlock)));
    Value isLong = arith::AndIOp::create(e.b, fits, e.compare("sgt", e.extent(shape.depth), e.i64(runLength)));
    e.ifElse(isLong, inRuns, whole);
  }

  void emitWholeSums(ArrayRef<Value> batch, Value a, Value panel, Value firstRow, Value rows, Value column, int64_t panels, Value columns, bool ragged) {
    forRowTiles(e, getTileRows(e.options.target), rows, [&](Value first, int64_t size) { emitTile(batch, a, panel, e.add(firstRow, first), column, size, panels, columns, ragged); });
  }

  /// Full tiles where all columns of the pair exist, else the narrow form with a partial store.
  void emitItem(ArrayRef<Value> batch, Value a, Value packed, Value pair, Value firstRow, Value rows) {
    int64_t panels = width / kernel::kPanelWidth;
    std::optional<int64_t> columns = graph::getConstant(shape.columns);
    if (columns && *columns % width == 0)
      return emitRowsOf(batch, a, packed, pair, firstRow, rows, panels, false);
    Value left = e.sub(e.extent(shape.columns), e.mul(pair, e.i64(width)));
    if (!columns || *columns > width)
      e.ifThen(e.compare("sge", left, e.i64(width)), [&] { emitRowsOf(batch, a, packed, pair, firstRow, rows, panels, false); });
    e.ifThen(e.compare("slt", left, e.i64(width)), [&] {
      if (panels == 1)
        return emitRowsOf(batch, a, packed, pair, firstRow, rows, 1, true);
      Value half = e.compare("sle", left, e.i64(kernel::kPanelWidth));
      e.ifThen(half, [&] { emitRowsOf(batch, a, packed, pair, firstRow, rows, 1, true); });
      e.ifThen(e.compare("sgt", left, e.i64(kernel::kPanelWidth)), [&] { emitRowsOf(batch, a, packed, pair, firstRow, rows, panels, true); });
    });
  }

  /// The share's pairs of one matrix, of a single row: most pairs at once, then fewer; those before `full` have all their columns, and are summed in one order whatever
  /// the share begins and ends with.
  void emitRow(ArrayRef<Value> batch, Value a, Value packed, Value first, Value full, Value end) {
    for (int64_t pairs = kMostPairs; pairs >= 1; pairs /= 2) {
      Value last = e.add(first, e.mul(e.floorDiv(e.maxSigned(e.i64(0), e.sub(full, first)), e.i64(pairs)), e.i64(pairs)));
      e.forEach(first, last, pairs, [&](Value pair) {
        Value column = e.mul(pair, e.i64(width)), panel = e.address(e.b.getF32Type(), packed, e.mul(column, e.extent(shape.depth)));
        emitTile(batch, a, panel, e.i64(0), column, 1, pairs * width / kernel::kPanelWidth, e.i64(pairs * width), false, comesFromMemory());
      });
      first = last;
    }
    e.forEach(first, end, 1, [&](Value pair) { emitItem(batch, a, packed, pair, e.i64(0), e.i64(1)); });
  }

  Index getBatch(Value number) { return shape.batch.empty() ? Index{} : e.delinearize(number, shape.batch); }
  Value getLhs(ArrayRef<Value> batch) { return e.address(e.b.getF32Type(), e.getBuffer(shape.op.getLhs()), offsetOf(shape.op.getLhs(), batch, 2)); }
  Value getPacked(ArrayRef<Value> batch) { return e.address(e.b.getF32Type(), e.getBuffer(shape.op.getPacked()), offsetOf(shape.op.getPacked(), batch, 3)); }

  void emitSingleRow() {
    // At least one to divide by, also where there are no columns and so no items.
    Value pairs = e.maxSigned(e.i64(1), e.extent(shape.columns.ceilDiv(width))), fullPairs = e.extent(shape.columns.floorDiv(width));
    Value ending = e.floorDiv(e.add(e.end, e.sub(pairs, e.i64(1))), pairs);
    e.forEach(e.floorDiv(e.begin, pairs), ending, 1, [&](Value matrix) {
      Value start = e.mul(matrix, pairs), first = e.maxSigned(e.i64(0), e.sub(e.begin, start)), end = e.minSigned(pairs, e.sub(e.end, start));
      Index batch = getBatch(matrix);
      emitRow(batch, getLhs(batch), getPacked(batch), first, e.minSigned(fullPairs, end), end);
    });
  }

  /// The first row of a block, or the number of rows for the one behind the last: blocks have whole tiles, nearly the same number of them, so that shares of items
  /// are shares of the work.
  Value getFirstRow(Value block) {
    int64_t tileRows = getTileRows(e.options.target);
    Value blocks = e.extent(shape.rows.ceilDiv(kGemmRowBlock)), tiles = e.extent(shape.rows.ceilDiv(tileRows));
    return e.minSigned(e.extent(shape.rows), e.mul(e.floorDiv(e.mul(block, tiles), blocks), e.i64(tileRows)));
  }

  /// The left operand of a block's rows, in scratch memory; copies them, or all rows where these are copied at once, unless they are there.
  Value getCopy(Value block, Value firstRow, Value count) {
    Type i64 = e.b.getI64Type(), f32 = e.b.getF32Type();
    if (std::optional<int64_t> rows = graph::getConstant(shape.rows); rows && getCopiedRows(shape, e.options.target) == *rows)
      block = firstRow = e.i64(0), count = e.i64(*rows);
    Value mark = e.getScratch(), copies = e.address(e.b.getI8Type(), mark, e.i64(kMarkBytes));
    e.ifThen(e.compare("ne", e.load(i64, mark, e.i64(0)), block), [&] {
      e.store(i64, mark, e.i64(0), block);
      copyRowsApart(e, copies, e.address(f32, getLhs({}), e.mul(firstRow, e.extent(shape.depth))), count, e.extent(shape.depth));
    });
    return e.address(f32, copies, e.sub(e.i64(0), e.mul(firstRow, rowPitch)));
  }

  void emitItems() {
    bool isCopied = copiesRows(shape, e.options.target);
    if (isCopied)
      rowPitch = e.add(rowPitch, e.i64(kApart));
    Value rows = e.extent(shape.rows), blocks = e.extent(shape.rows.ceilDiv(kGemmRowBlock)), pairs = e.extent(shape.columns.ceilDiv(width));
    std::optional<int64_t> known = graph::getConstant(shape.rows);
    // As many bytes of rows as are read again for each pair without coming from further away.
    Value byRows = e.compare("sle", e.mul(e.mul(rows, e.extent(shape.depth)), e.i64(4)), e.i64(2 * e.options.target.l2Bytes));
    if (isCopied)
      byRows = arith::ConstantIntOp::create(e.b, known && getCopiedRows(shape, e.options.target) == *known, 1);
    else if (hasSmallWeights(shape, e.options.target))
      byRows = arith::ConstantIntOp::create(e.b, 0, 1);
    Value inner = arith::SelectOp::create(e.b, byRows, blocks, pairs), perMatrix = e.mul(blocks, pairs);
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value number = e.rem(item, perMatrix), first = e.rem(number, inner), second = e.floorDiv(number, inner);
      Value block = arith::SelectOp::create(e.b, byRows, first, second), pair = arith::SelectOp::create(e.b, byRows, second, first);
      Index batch = getBatch(e.floorDiv(item, perMatrix));
      Value firstRow = getFirstRow(block), count = e.sub(getFirstRow(e.add(block, e.i64(1))), firstRow);
      if (known && (*known <= kGemmRowBlock || *known % kGemmRowBlock == 0))
        count = e.i64(std::min(*known, kGemmRowBlock));
      emitItem(batch, isCopied ? getCopy(block, firstRow, count) : getLhs(batch), getPacked(batch), pair, firstRow, count);
    });
  }

  void emitVectors() {
    std::optional<int64_t> rows = graph::getConstant(shape.rows);
    if (rows)
      return *rows == 1 ? emitSingleRow() : emitItems();
    e.ifElse(e.compare("eq", e.extent(shape.rows), e.i64(1)), [&] { emitSingleRow(); }, [&] { emitItems(); });
  }

  void emit() {
    if (!shape.op.getBf16x3())
      return emitVectors();
    if (graph::getConstant(shape.rows))
      return emitBf16x3Gemm(e, shape);
    e.ifElse(e.compare("sge", e.extent(shape.rows), e.i64(kernel::kFewestBf16x3Rows)), [&] { emitBf16x3Gemm(e, shape); }, [&] { emitVectors(); });
  }
};

} // namespace

void emitGemm(UnitEmitter &e) {
  int64_t width = getTilePanels(e.options.target) * kernel::kPanelWidth;
  Operation *yield = e.unit.getBody().front().getTerminator();
  GemmShape shape = getGemmShape(e.unit);
  bool direct = yield->getNumOperands() == 1 && yield->getOperand(0) == shape.op.getResult();
  int64_t runLength = e.options.target.l1Bytes / 2 / (width * 4);
  GemmEmitter{e, shape, width, runLength, e.stackBuffer(e.b.getF32Type(), kGemmRowBlock * width), direct, e.extent(shape.depth)}.emit();
}

WorkInfo getGemmWork(kernel::UnitOp unit, const EmitOptions &options) {
  MLIRContext *context = unit.getContext();
  GemmShape shape = getGemmShape(unit);
  int64_t width = getTilePanels(options.target) * kernel::kPanelWidth;
  AffineExpr batch = graph::getNumElements(context, shape.batch), scratch = getBf16x3ScratchBytes(shape);
  bool isCopied = copiesRows(shape, options.target);
  if (isCopied)
    scratch = getAffineConstantExpr(kMarkBytes + getCopiedRows(shape, options.target) * (*graph::getConstant(shape.depth) + kApart) * 4, context);
  return {batch * shape.columns.ceilDiv(width) * shape.rows.ceilDiv(kGemmRowBlock), batch * shape.rows * shape.columns * shape.depth, scratch,
          getAffineConstantExpr(shape.op.getBf16x3() ? getBf16x3Grain() : 1, context), isCopied};
}

} // namespace onager
