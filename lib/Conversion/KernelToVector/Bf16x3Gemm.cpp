// Matrix products of f32 whose operands are split into parts of bf16; see Bf16x3.h.
//
// Work: (chunk of rows, pair of panels), pairs innermost; a share takes as much of it as of the unit's work items, a group of pairs of one chunk at a time.
// Terms are taken in blocks: rows of the chunk are split for one, then each pair's panels, which stay in the first-level cache while all rows are multiplied
// with them; rows and sums stay in the second.
//   scratch := rows [tiles][block's steps], panels [block's steps], sums [tiles][pairs][32][32]
// A tile or panel with a number that is not finite is multiplied once more, in vectors, behind the last block.
#include "lib/Conversion/KernelToVector/AmxTiles.h"
#include "lib/Conversion/KernelToVector/Bf16x3.h"
#include "lib/Conversion/KernelToVector/Gemm.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

/// Most rows of a chunk, which panels are split for at once, and pairs of a group, which rows are: both are a twentieth of the work then, or less.
constexpr int64_t kChunkRows = 384, kPairs = 16;
constexpr int64_t kSumBytes = kBf16x3Rows * kBf16x3Columns * 4, kPanelsOfPair = kBf16x3Columns / kernel::kPanelWidth;
/// Tiles of rows that fetch the next panels between them.
constexpr int64_t kTilesAhead = kBf16x3Terms * kBf16x3Columns * 4 / kBf16x3AheadBytes;

/// Most tiles of rows of a chunk.
int64_t getMostTiles(const GemmShape &shape) {
  std::optional<int64_t> rows = graph::getConstant(shape.rows);
  return llvm::divideCeil(rows ? std::min(*rows, kChunkRows) : kChunkRows, kBf16x3Rows);
}

struct Bf16x3Gemm {
  UnitEmitter &e;
  GemmShape shape;
  AmxTiles tiles;
  Value rows, columns, depth, steps, pairs;
  Value lhs, packed;
  Value rowParts, panelParts, sums;    ///< the parts of scratch
  Value rowsSpecial, panelsSpecial;    ///< i64 for each tile of rows and pair: 1 where it holds numbers that are not finite

  Bf16x3Gemm(UnitEmitter &e, GemmShape shape) : e(e), shape(shape), tiles(e) {
    rows = e.extent(shape.rows), columns = e.extent(shape.columns), depth = e.extent(shape.depth);
    steps = e.extent(shape.depth.ceilDiv(kBf16x3Terms)), pairs = e.extent(shape.columns.ceilDiv(kBf16x3Columns));
    lhs = e.getBuffer(shape.op.getLhs()), packed = e.getBuffer(shape.op.getPacked());
    int64_t most = getMostTiles(shape);
    rowParts = e.getScratch();
    panelParts = bytes(rowParts, e.i64(most * kBf16x3BlockSteps * kBf16x3StepBytes));
    sums = bytes(panelParts, e.i64(kBf16x3BlockSteps * kBf16x3StepBytes));
    rowsSpecial = e.stackBuffer(e.b.getI64Type(), most), panelsSpecial = e.stackBuffer(e.b.getI64Type(), kPairs);
  }

  Value bytes(Value base, Value offset) { return e.address(e.b.getI8Type(), base, offset); }
  Value floats(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }
  Value flag(Value flags, Value number) { return e.address(e.b.getI64Type(), flags, number); }
  Value ceilDiv(Value x, Value y) { return e.floorDiv(e.add(x, e.sub(y, e.i64(1))), y); }

  struct Group {
    Value firstRow, count, tiles; ///< of the chunk
    Value firstPair, pairs;
  };

  Value getRows(const Group &g, Value tile) { return e.minSigned(e.i64(kBf16x3Rows), e.sub(g.count, e.mul(tile, e.i64(kBf16x3Rows)))); }
  Value getTileParts(Value tile) { return bytes(rowParts, e.mul(tile, e.i64(kBf16x3BlockSteps * kBf16x3StepBytes))); }
  Value getSums(Value tile, Value pair) { return bytes(sums, e.mul(e.add(e.mul(tile, e.i64(kPairs)), pair), e.i64(kSumBytes))); }
  /// A pair's panels from a step on, and from one to the other: none where there is but one, which counts twice then.
  Value getPanels(Value pair, Value step) {
    Value terms = e.add(e.mul(e.mul(pair, e.i64(kPanelsOfPair)), depth), e.mul(step, e.i64(kBf16x3Terms)));
    return floats(packed, e.mul(terms, e.i64(kernel::kPanelWidth)));
  }
  Value getPanelStride(Value pair) {
    Value stride = e.mul(depth, e.i64(kernel::kPanelWidth));
    std::optional<int64_t> known = graph::getConstant(shape.columns);
    if (known && (*known - 1) % kBf16x3Columns >= kernel::kPanelWidth)
      return stride;
    Value left = e.sub(columns, e.mul(pair, e.i64(kBf16x3Columns)));
    return arith::SelectOp::create(e.b, e.compare("sgt", left, e.i64(kernel::kPanelWidth)), stride, e.i64(0));
  }

  void splitRows(const Group &g, Value step, Value terms) {
    e.forEach(e.i64(0), g.tiles, 1, [&](Value tile) {
      Value first = e.add(e.mul(e.add(g.firstRow, e.mul(tile, e.i64(kBf16x3Rows))), depth), e.mul(step, e.i64(kBf16x3Terms)));
      callSplitRows(e, floats(lhs, first), depth, getRows(g, tile), terms, getTileParts(tile), flag(rowsSpecial, tile));
    });
  }

  /// A block of terms, of `count` steps, of one pair. The panels that are split next are fetched meanwhile, each part by one of the first tiles.
  void multiplyBlock(const Group &g, Value pair, Value step, Value count, Value next) {
    e.forEach(e.i64(0), g.tiles, 1, [&](Value tile) {
      Value share = e.rem(tile, e.i64(kTilesAhead)), half = e.i64(kTilesAhead / kPanelsOfPair), isFull = e.compare("sgt", getRows(g, tile), e.i64(kernel::kAmxRows));
      Value from = e.mul(e.mul(e.rem(share, half), count), e.i64(kBf16x3AheadBytes)), panel = e.mul(e.mul(e.floorDiv(share, half), depth), e.i64(kernel::kPanelWidth));
      Bf16x3Operands o{getTileParts(tile), panelParts, getSums(tile, pair), count, bytes(floats(next, panel), from)};
      auto multiply = [&](int64_t height) {
        e.ifElse(e.compare("eq", step, e.i64(0)), [&] { callBf16x3Product(e, height, false, o); }, [&] { callBf16x3Product(e, height, true, o); });
      };
      e.ifElse(isFull, [&] { multiply(2); }, [&] { multiply(1); });
    });
  }

  /// The product of a tile and a pair in vectors.
  void multiplySpecial(const Group &g, Value tile, Value pair, Value target) {
    Value first = e.add(g.firstRow, e.mul(tile, e.i64(kBf16x3Rows)));
    forRowTiles(e, getTileRows(e.options.target), getRows(g, tile), [&](Value row, int64_t size) {
      TileOperands t{floats(lhs, e.mul(e.add(first, row), depth)), depth, getPanels(pair, e.i64(0)), getPanelStride(pair), floats(target, e.mul(row, e.i64(kBf16x3Columns))),
                     e.i64(kBf16x3Columns), depth};
      callMicroKernel(e, size, kPanelsOfPair, t);
    });
  }

  void storeSums(const Group &g) {
    e.forEach(e.i64(0), g.tiles, 1, [&](Value tile) {
      e.forEach(e.i64(0), g.pairs, 1, [&](Value k) {
        Value pair = e.add(g.firstPair, k), from = getSums(tile, k), column = e.mul(pair, e.i64(kBf16x3Columns)), first = e.add(g.firstRow, e.mul(tile, e.i64(kBf16x3Rows)));
        auto isSet = [&](Value flags, Value number) { return e.compare("ne", e.load(e.b.getI64Type(), flags, number), e.i64(0)); };
        e.ifThen(arith::OrIOp::create(e.b, isSet(rowsSpecial, tile), isSet(panelsSpecial, k)), [&] { multiplySpecial(g, tile, pair, from); });
        std::optional<int64_t> known = graph::getConstant(shape.columns);
        Value width = known && *known % kBf16x3Columns == 0 ? e.i64(kBf16x3Columns) : e.minSigned(e.i64(kBf16x3Columns), e.sub(columns, column));
        storeTile(e, shape.op.getResult(), from, kBf16x3Columns, getRows(g, tile), width, [&](Value row) {
          Index index = e.delinearize(e.add(first, row), shape.rowDims);
          index.push_back(column);
          return index;
        });
      });
    });
  }

  void emitGroup(const Group &g) {
    for (auto [flags, count] : {std::pair(rowsSpecial, g.tiles), std::pair(panelsSpecial, g.pairs)})
      e.forEach(e.i64(0), count, 1, [&, flags = flags](Value number) { LLVM::StoreOp::create(e.b, e.i64(0), flag(flags, number), 8); });
    // Blocks have nearly the same number of steps.
    Value blocks = e.maxSigned(ceilDiv(steps, e.i64(kBf16x3BlockSteps)), e.i64(1)), most = ceilDiv(steps, blocks);
    e.forEach(e.i64(0), blocks, 1, [&](Value block) {
      Value step = e.mul(block, most), count = e.minSigned(most, e.sub(steps, step)), end = e.add(step, count);
      Value terms = e.sub(e.minSigned(depth, e.mul(end, e.i64(kBf16x3Terms))), e.mul(step, e.i64(kBf16x3Terms)));
      splitRows(g, step, terms);
      e.forEach(e.i64(0), g.pairs, 1, [&](Value k) {
        Value pair = e.add(g.firstPair, k), isLast = e.compare("eq", e.add(k, e.i64(1)), g.pairs);
        callSplitPanels(e, getPanels(pair, step), getPanelStride(pair), e.i64(kernel::kPanelWidth), terms, panelParts, flag(panelsSpecial, k));
        multiplyBlock(g, k, step, count, getPanels(arith::SelectOp::create(e.b, isLast, g.firstPair, e.add(pair, e.i64(1))), arith::SelectOp::create(e.b, isLast, end, step)));
      });
    });
    storeSums(g);
  }

  void emit() {
    Value chunks = ceilDiv(rows, e.i64(kChunkRows)), all = e.mul(chunks, pairs), items = e.maxSigned(e.mul(e.extent(shape.rows.ceilDiv(kGemmRowBlock)), pairs), e.i64(1));
    Value begin = ceilDiv(e.mul(e.begin, all), items), end = ceilDiv(e.mul(e.end, all), items), perChunk = e.maxSigned(pairs, e.i64(1));
    e.forEach(e.floorDiv(begin, perChunk), ceilDiv(end, perChunk), 1, [&](Value chunk) {
      Value start = e.mul(chunk, pairs), first = e.maxSigned(e.i64(0), e.sub(begin, start)), last = e.minSigned(pairs, e.sub(end, start));
      Group g;
      g.firstRow = e.mul(chunk, e.i64(kChunkRows)), g.count = e.minSigned(e.i64(kChunkRows), e.sub(rows, g.firstRow));
      g.tiles = ceilDiv(g.count, e.i64(kBf16x3Rows));
      e.forEach(first, last, kPairs, [&](Value pair) {
        g.firstPair = pair, g.pairs = e.minSigned(e.i64(kPairs), e.sub(last, pair));
        emitGroup(g);
      });
    });
    tiles.release();
  }
};

} // namespace

void emitBf16x3Gemm(UnitEmitter &e, GemmShape shape) { Bf16x3Gemm(e, shape).emit(); }

int64_t getBf16x3Grain() { return kPairs * (kChunkRows / kGemmRowBlock); }

AffineExpr getBf16x3ScratchBytes(GemmShape shape) {
  MLIRContext *context = shape.rows.getContext();
  if (!shape.op.getBf16x3())
    return getAffineConstantExpr(0, context);
  int64_t most = getMostTiles(shape);
  return getAffineConstantExpr((most + 1) * kBf16x3BlockSteps * kBf16x3StepBytes + most * kPairs * kSumBytes, context);
}

} // namespace onager
