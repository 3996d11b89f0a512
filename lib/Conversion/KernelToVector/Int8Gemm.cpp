// Products of rows of bytes with packed weights [tile of columns][quad][4 vectors][4], and of bf16, two in the place of a quad.
//
// Work items: (tile of columns, block of rows), rows innermost, so that one share walks the rows of a tile while its weights are in cache. Rows whose length
// is no number of quads are copied apart.
//   scratch := rows of a tile, filled up to quads; results [rows of a tile][columns of a tile]
#include "lib/Conversion/KernelToVector/Int8Kernel.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

/// Rows of one work item.
constexpr int64_t kRowBlock = 96;

struct Int8GemmShape {
  PackedProduct op;
  kernel::Int8Layout layout;
  graph::Dims rowDims;
  AffineExpr rows, columns, terms;
  AffineExpr depth; ///< bytes of a row
  int64_t quads;
  /// Rows of x can be read as quads where they lie.
  bool isWhole() const {
    std::optional<int64_t> known = graph::getConstant(depth);
    return known && *known % kernel::kQuad == 0;
  }
  int64_t getRowBytes() const { return quads * kernel::kQuad; }
  int64_t getScratchRows() const { return isWhole() ? 0 : layout.getRows(); }
};

Int8GemmShape getShape(kernel::UnitOp unit, const EmitOptions &options) {
  Int8GemmShape s;
  s.op = getPackedProduct(unit);
  s.layout = getInt8Layout(options, s.op.packed);
  s.layout.isBf16 = s.op.isBf16;
  s.layout.hasDot = s.op.hasDot;
  graph::Dims x = graph::getDims(s.op.x);
  s.rowDims.assign(x.begin(), x.end() - 1);
  s.rows = graph::getNumElements(unit.getContext(), s.rowDims);
  s.columns = graph::getDims(s.op.result).back();
  s.terms = x.back();
  s.depth = s.terms * s.op.getTermBytes();
  s.quads = cast<RankedTensorType>(s.op.packed.getType()).getDimSize(1) / s.layout.getSteps();
  return s;
}

struct Int8GemmEmitter {
  UnitEmitter &e;
  Int8GemmShape s;
  Int8Results results;
  Value copies, buffer;

  Int8GemmEmitter(UnitEmitter &e, const Int8GemmShape &shape) : e(e), s(shape), results(e, s.op.result) {
    copies = e.getScratch();
    buffer = getByteAddress(e, copies, e.i64(llvm::alignTo(s.getScratchRows() * s.getRowBytes(), 64)));
  }

  /// Copies rows of x, filled up with bytes that meet weights of 0.
  Value copyRows(Value x, int64_t rows) {
    Value depth = e.extent(s.depth);
    e.forEach(e.i64(0), e.i64(rows), 1, [&](Value row) {
      Value to = getByteAddress(e, copies, e.mul(row, e.i64(s.getRowBytes())));
      copyBytes(e, to, getByteAddress(e, x, e.mul(row, depth)), depth);
      e.forEach(depth, e.i64(s.getRowBytes()), 1, [&](Value k) { e.store(e.b.getI8Type(), to, k, e.constant(e.b.getI8Type(), 0)); });
    });
    return copies;
  }

  void emitTile(Value tile, Value firstRow, int64_t rows) {
    int64_t width = s.layout.getTile(), steps = s.layout.getSteps();
    auto type = cast<RankedTensorType>(s.op.result.getType());
    Value x = getByteAddress(e, e.getBuffer(s.op.x), e.mul(firstRow, e.extent(s.depth))), column = e.mul(tile, e.i64(width));
    Int8KernelKind kind{true, static_cast<bool>(s.op.scale), type.getElementType().isSignlessInteger(8), s.op.isSigned()};
    auto ofColumn = [&](Value numbers) { return numbers ? getByteAddress(e, e.getBuffer(numbers), e.mul(column, e.i64(4))) : Value(); };
    Int8Operands o{s.isWhole() ? x : copyRows(x, rows), s.isWhole() ? e.extent(s.depth) : e.i64(s.getRowBytes()),
                   getByteAddress(e, e.getBuffer(s.op.packed), e.mul(tile, e.i64(s.quads * steps * kernel::kTileVectors * width))), e.i64(s.quads),
                   ofColumn(s.op.start), ofColumn(s.op.scale), ofColumn(s.op.offset), buffer, e.i64(width * results.elementBytes),
                   s.op.zeroPoint, s.op.low, s.op.high};
    callInt8Kernel(e, s.layout, kind, rows, o);
    Value columns = e.minSigned(e.i64(width), e.sub(e.extent(s.columns), column));
    e.forEach(e.i64(0), e.i64(rows), 1, [&](Value row) {
      Value position = e.add(firstRow, row), from = getByteAddress(e, buffer, e.mul(row, e.i64(width * results.elementBytes)));
      Index first = e.delinearize(position, s.rowDims);
      results.store(from, columns, e.add(e.mul(position, e.extent(s.columns)), column), [&](Value i) {
        Index index(first);
        index.push_back(e.add(column, i));
        return index;
      });
    });
  }

  void emit() {
    Value rows = e.extent(s.rows), blocks = e.extent(s.rows.ceilDiv(kRowBlock));
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value block = e.rem(item, blocks), tile = e.floorDiv(item, blocks), firstRow = e.mul(block, e.i64(kRowBlock));
      Value count = e.minSigned(e.i64(kRowBlock), e.sub(rows, firstRow));
      if (std::optional<int64_t> known = graph::getConstant(s.rows); known && *known <= kRowBlock)
        count = e.i64(*known);
      forRowTiles(e, s.layout.getRows(), count, [&](Value first, int64_t size) { emitTile(tile, e.add(firstRow, first), size); });
    });
  }
};

} // namespace

void emitInt8Gemm(UnitEmitter &e) { Int8GemmEmitter(e, getShape(e.unit, e.options)).emit(); }

WorkInfo getInt8GemmWork(kernel::UnitOp unit, const EmitOptions &options) {
  Int8GemmShape s = getShape(unit, options);
  MLIRContext *context = unit.getContext();
  auto bytes = static_cast<int64_t>(llvm::alignTo(s.getScratchRows() * s.getRowBytes(), 64)) + s.layout.getRows() * s.layout.getTile() * 4;
  return {s.columns.ceilDiv(s.layout.getTile()) * s.rows.ceilDiv(kRowBlock), s.rows * s.columns * s.terms, getAffineConstantExpr(bytes, context)};
}

} // namespace onager
