// Products of rows of bytes, or of bf16, with packed weights, in tile registers.
//
// Work items: (64 columns, block of rows), rows innermost, so that one share walks the rows while the columns' weights are in cache. Rows are read where they
// lie, 64 bytes at a time; what is left of them is copied apart, and meets weights of 0 behind its end, where numbers of bf16 are 0, too, since others
// times 0 may be no number.
//   scratch := rest of 32 rows [32][64], sums [32][64] of i32 or f32, results [32][64]
// Sums go where they belong at once where they are the result and nothing follows.
#include "lib/Conversion/KernelToVector/AmxTiles.h"
#include "lib/Conversion/KernelToVector/Int8Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

using kernel::kAmxBytes;
using kernel::kAmxRows;

namespace {

using Index = UnitEmitter::Index;

/// Rows of one work item.
constexpr int64_t kRowBlock = 96;
constexpr int64_t kRestBytes = kAmxMostRows * kAmxBytes, kSumBytes = kAmxMostRows * kAmxColumns * 4;

struct AmxGemmShape {
  PackedProduct op;
  graph::Dims rowDims;
  AffineExpr rows, columns, terms;
  AffineExpr depth; ///< bytes of a row
  int64_t steps;
  bool isScaled;

  int64_t getElementBytes() const { return isScaled ? 1 : 4; }
  int64_t getScratchBytes() const { return kRestBytes + kSumBytes + kAmxMostRows * kAmxColumns * getElementBytes(); }
  static bool isMultiple(AffineExpr extent, int64_t factor) {
    std::optional<int64_t> known = graph::getConstant(extent);
    return known && *known % factor == 0;
  }
};

AmxGemmShape getShape(kernel::UnitOp unit) {
  AmxGemmShape s;
  s.op = getPackedProduct(unit);
  graph::Dims x = graph::getDims(s.op.x);
  s.rowDims.assign(x.begin(), x.end() - 1);
  s.rows = graph::getNumElements(unit.getContext(), s.rowDims);
  s.columns = graph::getDims(s.op.result).back();
  s.terms = x.back();
  s.depth = s.terms * s.op.getTermBytes();
  s.steps = cast<RankedTensorType>(s.op.packed.getType()).getDimSize(1);
  s.isScaled = static_cast<bool>(s.op.scale);
  return s;
}

struct AmxGemmEmitter {
  UnitEmitter &e;
  AmxGemmShape s;
  Int8Results results;
  AmxTiles tiles;
  Value rest, sums, staged;

  AmxGemmEmitter(UnitEmitter &e, const AmxGemmShape &shape) : e(e), s(shape), results(e, s.op.result), tiles(e) {
    rest = e.getScratch();
    sums = getByteAddress(e, rest, e.i64(kRestBytes));
    staged = getByteAddress(e, sums, e.i64(kSumBytes));
    if (s.op.isBf16 && !AmxGemmShape::isMultiple(s.depth, kAmxBytes))
      fillBytes(e, rest, e.i64(kRestBytes), 0);
  }

  /// 64 columns of up to 32 rows.
  struct Tile {
    Value firstRow, rows, firstColumn, columns;
    Value isWhole; ///< has 64 columns; null where all tiles have
  };

  /// Copies what lies behind the whole steps of each row.
  void copyRest(Value x, Value rows) {
    if (AmxGemmShape::isMultiple(s.depth, kAmxBytes))
      return;
    Value depth = e.extent(s.depth), left = e.rem(depth, e.i64(kAmxBytes)), whole = e.sub(depth, left);
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      copyBytes(e, getByteAddress(e, rest, e.mul(row, e.i64(kAmxBytes))), getByteAddress(e, x, e.add(e.mul(row, depth), whole)), left);
    });
  }

  void multiply(const Tile &tile, Value target, Value stride) {
    Value depth = e.extent(s.depth), x = getByteAddress(e, e.getBuffer(s.op.x), e.mul(tile.firstRow, depth));
    copyRest(x, tile.rows);
    AmxTerms terms = s.op.isBf16 ? AmxTerms::bf16 : s.op.isSigned() ? AmxTerms::i8 : AmxTerms::ui8;
    AmxOperands o{x, depth, rest, e.floorDiv(depth, e.i64(kAmxBytes)), e.i64(s.steps),
                  getByteAddress(e, e.getBuffer(s.op.packed), e.mul(tile.firstColumn, e.i64(s.steps * kAmxBytes))),
                  getByteAddress(e, e.getBuffer(s.op.start), e.mul(tile.firstColumn, e.i64(4))), target, stride};
    if (AmxGemmShape::isMultiple(s.rows, kAmxMostRows))
      return callAmxProduct(e, terms, 2, o);
    Value isPartial = e.compare("slt", tile.rows, e.i64(kAmxMostRows));
    e.ifThen(isPartial, [&] { tiles.configure(tile.rows); });
    e.ifThen(e.compare("sgt", tile.rows, e.i64(kAmxRows)), [&] { callAmxProduct(e, terms, 2, o); });
    e.ifThen(e.compare("sle", tile.rows, e.i64(kAmxRows)), [&] { callAmxProduct(e, terms, 1, o); });
    e.ifThen(isPartial, [&] { tiles.configure({}); });
  }

  void requantize(const Tile &tile, Value target, Value stride) {
    auto ofColumn = [&](Value numbers) { return getByteAddress(e, e.getBuffer(numbers), e.mul(tile.firstColumn, e.i64(4))); };
    bool isSigned = cast<RankedTensorType>(s.op.result.getType()).getElementType().isSignlessInteger();
    callAmxRequantize(e, isSigned, {sums, tile.rows, ofColumn(s.op.scale), ofColumn(s.op.offset), target, stride, s.op.zeroPoint,
                                    s.op.low, s.op.high});
  }

  /// Writes what was staged, and what follows it.
  void store(const Tile &tile) {
    e.forEach(e.i64(0), tile.rows, 1, [&](Value row) {
      Value position = e.add(tile.firstRow, row), from = getByteAddress(e, staged, e.mul(row, e.i64(kAmxColumns * results.elementBytes)));
      Index first = e.delinearize(position, s.rowDims);
      results.store(from, tile.columns, e.add(e.mul(position, e.extent(s.columns)), tile.firstColumn), [&](Value i) {
        Index index(first);
        index.push_back(e.add(tile.firstColumn, i));
        return index;
      });
    });
  }

  void emitTile(const Tile &tile) {
    Value target = staged, stride = e.i64(kAmxColumns * results.elementBytes);
    if (results.isPlain()) {
      Value bytes = e.i64(results.elementBytes), columns = e.extent(s.columns), position = e.add(e.mul(tile.firstRow, columns), tile.firstColumn);
      Value direct = getByteAddress(e, e.getResultBuffer(0), e.mul(position, bytes)), pitch = e.mul(columns, bytes);
      target = tile.isWhole ? Value(LLVM::SelectOp::create(e.b, tile.isWhole, direct, target)) : direct;
      stride = tile.isWhole ? Value(arith::SelectOp::create(e.b, tile.isWhole, pitch, stride)) : pitch;
    }
    multiply(tile, s.isScaled ? sums : target, s.isScaled ? e.i64(kAmxColumns * 4) : stride);
    if (s.isScaled)
      requantize(tile, target, stride);
    if (!results.isPlain())
      return store(tile);
    if (tile.isWhole)
      e.ifThen(e.compare("slt", tile.columns, e.i64(kAmxColumns)), [&] { store(tile); });
  }

  void emit() {
    Value rows = e.extent(s.rows), columns = e.extent(s.columns), blocks = e.extent(s.rows.ceilDiv(kRowBlock));
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Tile tile;
      tile.firstColumn = e.mul(e.floorDiv(item, blocks), e.i64(kAmxColumns));
      Value left = e.sub(columns, tile.firstColumn);
      tile.columns = e.minSigned(left, e.i64(kAmxColumns));
      tile.isWhole = AmxGemmShape::isMultiple(s.columns, kAmxColumns) ? Value() : e.compare("sge", left, e.i64(kAmxColumns));
      Value block = e.mul(e.rem(item, blocks), e.i64(kRowBlock));
      e.forEach(block, e.minSigned(rows, e.add(block, e.i64(kRowBlock))), kAmxMostRows, [&](Value first) {
        tile.firstRow = first;
        tile.rows = e.minSigned(e.i64(kAmxMostRows), e.sub(rows, first));
        emitTile(tile);
      });
    });
    tiles.release();
  }
};

} // namespace

void emitAmxGemm(UnitEmitter &e) { AmxGemmEmitter(e, getShape(e.unit)).emit(); }

WorkInfo getAmxGemmWork(kernel::UnitOp unit) {
  AmxGemmShape s = getShape(unit);
  return {s.columns.ceilDiv(kAmxColumns) * s.rows.ceilDiv(kRowBlock), s.rows * s.columns * s.terms, getAffineConstantExpr(s.getScratchBytes(), unit.getContext())};
}

} // namespace onager
