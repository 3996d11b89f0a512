// Convolution of 3 x 3 by Winograd's F(4x4, 3x3): 36 products per channel for a tile of 16 pixels. The transforms are in dialects/Kernel/IR/Winograd.h.
//
// Work items: (image, block of tile rows, block of tile columns, row tile of output channels). A share transforms the input under a block when it comes
// to it, multiplies each of the 36 positions by the filters of a row tile, transforms the products back and hands their pixels to the epilogue.
//   scratch    := transformed, plane, strip, products, values
//   transformed := for each position, channel: `pitch` floats, one per tile of the block, row by row; 16 more behind a position's last channel
//   plane      := the pixels under the block, zeros around the image, rows of `planePitch`
//   strip      := six rows: the plane under one row of tiles, transformed along the columns
//   products   := for each position, output channel: `pitch` floats as above
//   values     := the block's pixels of one channel, rows of `valuePitch`
// Vectors hold 16 tiles of a row. Those beyond a row's last tile are overwritten by the next row's, those beyond the last row's are never stored.
#include "dialects/Kernel/IR/Winograd.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

constexpr int64_t kLanes = kernel::kPanelWidth, kOut = kernel::kWinogradOutputs, kIn = kernel::kWinogradInputs, kPositions = kernel::kWinogradPositions;
/// Pixels of a row that a vector of tiles gives.
constexpr int64_t kGroupPixels = kLanes * kOut;
/// Tiles of a block's row in images of unknown width: fewer make more pixels that two blocks read, more leave more lanes of a last block empty.
constexpr int64_t kUnknownColumns = 24;
/// Positions of filters between the one that is multiplied and the one that is fetched.
constexpr int64_t kAhead = 2;

struct WinogradShape {
  kernel::WinogradConvOp op;
  graph::Dims out;
  AffineExpr images, inHeight, inWidth, height, width;
  AffineExpr tileRows, tileColumns;   ///< tiles of an image
  AffineExpr rowBlocks, columnBlocks; ///< blocks of an image
  int64_t channels, outChannels, rowTile;
  int64_t blockRows, blockColumns; ///< tiles of the largest block
  int64_t pitch, positionPitch, planePitch, planeRows, stripPitch, productPitch, valuePitch;

  int64_t getRowTiles() const { return llvm::divideCeil(outChannels, rowTile); }
  int64_t getTransformedFloats() const { return kPositions * positionPitch; }
  int64_t getPlaneFloats() const { return planeRows * planePitch; }
  int64_t getStripFloats() const { return kIn * stripPitch; }
  int64_t getProductFloats() const { return kPositions * productPitch; }
  int64_t getValueFloats() const { return kOut * blockRows * valuePitch; }
};

/// Cuts images into blocks: by the planes' extents where they are numbers, else blocks have the same size in all images.
void chooseBlocks(WinogradShape &s, int64_t l2Bytes) {
  s.tileRows = s.height.ceilDiv(kOut), s.tileColumns = s.width.ceilDiv(kOut);
  std::optional<int64_t> height = graph::getConstant(s.height), width = graph::getConstant(s.width);
  if (height && width) {
    kernel::WinogradBlocks blocks = kernel::planWinograd({s.channels, s.outChannels, *height, *width, s.rowTile, l2Bytes});
    auto number = [&](int64_t value) { return getAffineConstantExpr(value, s.op.getContext()); };
    s.tileRows = number(blocks.tileRows), s.tileColumns = number(blocks.tileColumns);
    s.rowBlocks = number(blocks.rowBlocks), s.columnBlocks = number(blocks.columnBlocks);
    s.blockRows = blocks.rows, s.blockColumns = blocks.columns;
    return;
  }
  int64_t most = kernel::getMostWinogradTiles(s.channels, l2Bytes);
  s.blockColumns = width ? std::min(std::max<int64_t>(llvm::divideCeil(*width, kOut), 1), most) : std::min(kUnknownColumns, most);
  s.blockRows = most / s.blockColumns;
  if (height)
    s.blockRows = std::clamp<int64_t>(llvm::divideCeil(*height, kOut), 1, s.blockRows);
  s.rowBlocks = s.tileRows.ceilDiv(s.blockRows), s.columnBlocks = s.tileColumns.ceilDiv(s.blockColumns);
}

WinogradShape getShape(kernel::UnitOp unit, const TargetInfo &target) {
  WinogradShape s;
  s.op = *unit.getBody().front().getOps<kernel::WinogradConvOp>().begin();
  s.out = graph::getDims(s.op.getResult());
  graph::Dims x = graph::getDims(s.op.getX());
  s.images = s.out[0], s.height = s.out[2], s.width = s.out[3], s.inHeight = x[2], s.inWidth = x[3];
  s.channels = *graph::getConstant(x[1]), s.outChannels = *graph::getConstant(s.out[1]);
  s.rowTile = cast<RankedTensorType>(s.op.getFilter().getType()).getDimSize(4);
  chooseBlocks(s, target.l2Bytes);
  s.pitch = static_cast<int64_t>(llvm::alignTo(s.blockRows * s.blockColumns, kLanes));
  s.positionPitch = s.channels * s.pitch + kLanes;
  s.planeRows = kOut * s.blockRows + kIn - kOut;
  s.planePitch = static_cast<int64_t>(llvm::alignTo(kOut * s.blockColumns + kIn - kOut, kLanes));
  s.stripPitch = llvm::divideCeil(s.blockColumns, kLanes) * kGroupPixels + kLanes;
  s.productPitch = s.rowTile * s.pitch + kLanes;
  s.valuePitch = static_cast<int64_t>(llvm::alignTo(std::min(kOut * s.blockColumns, graph::getConstant(s.width).value_or(kOut * s.blockColumns)), kLanes));
  return s;
}

/// One block of tiles of an image.
struct Block {
  Value image, firstRow, firstColumn; ///< in tiles
  Value rows, columns;                ///< tiles
};

using Vectors = SmallVector<Value>;

struct WinogradEmitter {
  UnitEmitter &e;
  WinogradShape s;
  PlaneEmitter planes;
  VectorType lanes;
  Value transformed, plane, strip, products, values;

  WinogradEmitter(UnitEmitter &e, const WinogradShape &shape) : e(e), s(shape), planes(e), lanes(VectorType::get({kLanes}, e.b.getF32Type())) {
    transformed = e.getScratch();
    plane = at(transformed, e.i64(s.getTransformedFloats()));
    strip = at(plane, e.i64(s.getPlaneFloats()));
    products = at(strip, e.i64(s.getStripFloats()));
    values = at(products, e.i64(s.getProductFloats()));
  }

  Value at(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }
  Value load(Value address) { return LLVM::LoadOp::create(e.b, lanes, address, 4); }
  void store(Value vector, Value address) { LLVM::StoreOp::create(e.b, vector, address, 4); }
  Value number(double value) { return splat(e, e.constant(e.b.getF32Type(), value)); }
  /// factor * x + sum
  Value multiplyAdd(double factor, Value x, Value sum) { return vector::FMAOp::create(e.b, number(factor), x, sum); }

  /// B' d.
  Vectors transformInput(const Vectors &d) {
    constexpr double a = kernel::kWinogradA, b = kernel::kWinogradB, a2 = a * a, b2 = b * b;
    Value even1 = multiplyAdd(-b2, d[2], d[4]), odd1 = multiplyAdd(-b2, d[1], d[3]);
    Value even2 = multiplyAdd(-a2, d[2], d[4]), odd2 = multiplyAdd(-a2, d[1], d[3]);
    return {multiplyAdd(-(a2 + b2), d[2], multiplyAdd(a2 * b2, d[0], d[4])), multiplyAdd(a, odd1, even1), multiplyAdd(-a, odd1, even1),
            multiplyAdd(b, odd2, even2), multiplyAdd(-b, odd2, even2), multiplyAdd(-(a2 + b2), d[3], multiplyAdd(a2 * b2, d[1], d[5]))};
  }

  /// A' m.
  Vectors transformOutput(const Vectors &m) {
    constexpr double a = kernel::kWinogradA, b = kernel::kWinogradB;
    Value sumA = arith::AddFOp::create(e.b, m[1], m[2]), differenceA = arith::SubFOp::create(e.b, m[1], m[2]);
    Value sumB = arith::AddFOp::create(e.b, m[3], m[4]), differenceB = arith::SubFOp::create(e.b, m[3], m[4]);
    Value first = arith::AddFOp::create(e.b, arith::AddFOp::create(e.b, m[0], sumA), sumB);
    Value second = multiplyAdd(a, differenceA, arith::MulFOp::create(e.b, number(b), differenceB));
    Value third = multiplyAdd(a * a, sumA, arith::MulFOp::create(e.b, number(b * b), sumB));
    return {first, second, third, multiplyAdd(a * a * a, differenceA, multiplyAdd(b * b * b, differenceB, m[5]))};
  }

  Value shuffle(Value x, Value y, function_ref<int64_t(int64_t)> lane) {
    SmallVector<int64_t> chosen;
    for (int64_t k = 0; k < kLanes; ++k)
      chosen.push_back(lane(k));
    return vector::ShuffleOp::create(e.b, x, y, chosen);
  }

  /// Four vectors of pixels in a row -> the first, second, third and fourth pixels of 16 tiles.
  Vectors splitTiles(const Vectors &pixels) {
    auto even = [](int64_t k) { return 2 * k; };
    auto odd = [](int64_t k) { return 2 * k + 1; };
    Value evenLow = shuffle(pixels[0], pixels[1], even), evenHigh = shuffle(pixels[2], pixels[3], even);
    Value oddLow = shuffle(pixels[0], pixels[1], odd), oddHigh = shuffle(pixels[2], pixels[3], odd);
    return {shuffle(evenLow, evenHigh, even), shuffle(oddLow, oddHigh, even), shuffle(evenLow, evenHigh, odd), shuffle(oddLow, oddHigh, odd)};
  }

  /// The inverse of splitTiles.
  Vectors joinTiles(const Vectors &tiles) {
    auto low = [](int64_t k) { return k % 2 * kLanes + k / 2; };
    auto high = [](int64_t k) { return k % 2 * kLanes + k / 2 + kLanes / 2; };
    Value evenLow = shuffle(tiles[0], tiles[2], low), evenHigh = shuffle(tiles[0], tiles[2], high);
    Value oddLow = shuffle(tiles[1], tiles[3], low), oddHigh = shuffle(tiles[1], tiles[3], high);
    return {shuffle(evenLow, oddLow, low), shuffle(evenLow, oddLow, high), shuffle(evenHigh, oddHigh, low), shuffle(evenHigh, oddHigh, high)};
  }

  /// Calls `body` with the number of each vector of tiles in a row.
  void forGroups(Value columns, function_ref<void(Value group)> body) {
    e.forEach(e.i64(0), e.floorDiv(e.add(columns, e.i64(kLanes - 1)), e.i64(kLanes)), 1, body);
  }

  /// Transforms a row of tiles along the columns of the plane, into the strip.
  void transformColumns(Value row) {
    Value start = at(plane, e.mul(row, e.i64(kOut * s.planePitch)));
    e.forEach(e.i64(0), e.i64(s.planePitch), kLanes, [&](Value column) {
      Vectors rows;
      for (int64_t r = 0; r < kIn; ++r)
        rows.push_back(load(at(start, e.add(e.i64(r * s.planePitch), column))));
      for (auto [r, result] : llvm::enumerate(transformInput(rows)))
        store(result, at(strip, e.add(e.i64(static_cast<int64_t>(r) * s.stripPitch), column)));
    });
  }

  /// Transforms the strip along its rows; position (r, k) of the tiles goes to `target` + (6 r + k) * positionPitch.
  void transformRows(Value columns, Value target) {
    e.forEach(e.i64(0), e.i64(kIn), 1, [&](Value r) {
      Value line = at(strip, e.mul(r, e.i64(s.stripPitch))), to = at(target, e.mul(r, e.i64(kIn * s.positionPitch)));
      forGroups(columns, [&](Value group) {
        Value from = at(line, e.mul(group, e.i64(kGroupPixels)));
        Vectors pixels;
        for (int64_t k = 0; k < kOut; ++k)
          pixels.push_back(load(at(from, e.i64(k * kLanes))));
        Vectors d = splitTiles(pixels);
        // The last two pixels of a tile are the first two of the next.
        Value next = load(at(from, e.i64(kGroupPixels)));
        for (int64_t k = 0; k < kIn - kOut; ++k)
          d.push_back(shuffle(d[k], next, [&](int64_t lane) { return lane + 1 < kLanes ? lane + 1 : kLanes + k; }));
        for (auto [k, result] : llvm::enumerate(transformInput(d)))
          store(result, at(to, e.add(e.i64(static_cast<int64_t>(k) * s.positionPitch), e.mul(group, e.i64(kLanes)))));
      });
    });
  }

  void transformBlock(const Block &block) {
    Value zero = e.constant(e.b.getF32Type(), 0), inputSize = e.extent(s.inHeight * s.inWidth);
    planes.fill(plane, e.i64(s.getPlaneFloats() + s.getStripFloats()), zero);
    Value top = e.sub(e.extent(s.op.getPads().getResult(0)), e.mul(block.firstRow, e.i64(kOut)));
    Value left = e.sub(e.extent(s.op.getPads().getResult(1)), e.mul(block.firstColumn, e.i64(kOut)));
    Plane target{plane, e.add(e.mul(block.rows, e.i64(kOut)), e.i64(kIn - kOut)), e.add(e.mul(block.columns, e.i64(kOut)), e.i64(kIn - kOut)), e.i64(s.planePitch)};
    Value image = at(e.getBuffer(s.op.getX()), e.mul(e.mul(block.image, e.i64(s.channels)), inputSize));
    e.forEach(e.i64(0), e.i64(s.channels), 1, [&](Value channel) {
      planes.copyInside({at(image, e.mul(channel, inputSize)), e.extent(s.inHeight), e.extent(s.inWidth), e.extent(s.inWidth)}, target, top, left);
      Value to = at(transformed, e.mul(channel, e.i64(s.pitch)));
      e.forEach(e.i64(0), block.rows, 1, [&](Value row) {
        transformColumns(row);
        transformRows(block.columns, at(to, e.mul(row, block.columns)));
      });
    });
  }

  /// Multiplies all positions by `rows` filters from `filter` on.
  void multiply(Value filter, int64_t rows, Value tiles) {
    int64_t panels = getTilePanels(e.options.target), width = panels * kLanes, half = kLanes / 2;
    e.forEach(e.i64(0), e.i64(kPositions), 1, [&](Value position) {
      Value a = at(filter, e.mul(position, e.i64(s.channels * s.rowTile)));
      Value b = at(transformed, e.mul(position, e.i64(s.positionPitch))), c = at(products, e.mul(position, e.i64(s.productPitch)));
      auto tile = [&](Value column, int64_t count, int64_t laneCount) {
        TileOperands t{a, e.i64(s.rowTile), at(b, column), e.i64(kLanes), at(c, column), e.i64(s.pitch), e.i64(s.channels), e.i64(s.pitch), /*isTransposed=*/true};
        // Filters are read once, in order, and come from memory: each position fetches those of the position kAhead further.
        t.ahead = at(a, e.i64(kAhead * s.channels * s.rowTile));
        t.aheadStep = e.i64(s.rowTile);
        callMicroKernel(e, rows, count, t, laneCount);
      };
      Value full = e.mul(e.floorDiv(tiles, e.i64(width)), e.i64(width)), rest = e.sub(tiles, full);
      e.forEach(e.i64(0), full, width, [&](Value column) { tile(column, panels, kLanes); });
      // Tiles beyond the last are computed with it: the rest takes whole panels, then half a panel where that is enough.
      Value covered = e.mul(e.floorDiv(e.add(rest, e.i64(half - 1)), e.i64(kLanes)), e.i64(kLanes));
      e.forEach(e.i64(0), covered, kLanes, [&](Value column) { tile(e.add(full, column), 1, kLanes); });
      e.ifThen(e.compare("slt", covered, rest), [&] { tile(e.add(full, covered), 1, half); });
    });
  }

  /// Transforms one vector of tiles back; `from` is position 0, pixels go to `to`.
  void transformBack(Value from, Value to, Value pixels) {
    SmallVector<Vectors> columns; // of each of six columns, four rows
    for (int64_t k = 0; k < kIn; ++k) {
      Vectors column;
      for (int64_t r = 0; r < kIn; ++r)
        column.push_back(load(at(from, e.i64((r * kIn + k) * s.productPitch))));
      columns.push_back(transformOutput(column));
    }
    for (int64_t i = 0; i < kOut; ++i) {
      Vectors row;
      for (int64_t k = 0; k < kIn; ++k)
        row.push_back(columns[k][i]);
      for (auto [part, vector] : llvm::enumerate(joinTiles(transformOutput(row)))) {
        int64_t first = static_cast<int64_t>(part) * kLanes;
        Value mask = planes.getMask(e.sub(pixels, e.i64(first)));
        LLVM::MaskedStoreOp::create(e.b, vector, at(to, e.i64(i * s.valuePitch + first)), mask, 4u);
      }
    }
  }

  /// Transforms the products of one output channel back and computes the epilogue of its pixels.
  void finishChannel(const Block &block, Value channel, Value from) {
    Value row = e.mul(block.firstRow, e.i64(kOut)), column = e.mul(block.firstColumn, e.i64(kOut));
    Value rows = e.minSigned(e.mul(block.rows, e.i64(kOut)), e.sub(e.extent(s.height), row));
    Value columns = e.minSigned(e.mul(block.columns, e.i64(kOut)), e.sub(e.extent(s.width), column));
    e.forEach(e.i64(0), block.rows, 1, [&](Value tileRow) {
      Value source = at(from, e.mul(tileRow, block.columns)), target = at(values, e.mul(tileRow, e.i64(kOut * s.valuePitch)));
      forGroups(block.columns, [&](Value group) {
        Value first = e.mul(group, e.i64(kGroupPixels));
        transformBack(at(source, e.mul(group, e.i64(kLanes))), at(target, first), e.sub(columns, first));
      });
    });
    emitBlockEpilogue(e, s.op.getResult(), {block.image, channel}, row, rows, column, columns, values, s.valuePitch);
  }

  void emitItem(const Block &block, Value rowTile, Value isNew) {
    e.ifThen(isNew, [&] { transformBlock(block); });
    Value tiles = e.mul(block.rows, block.columns), first = e.mul(rowTile, e.i64(s.rowTile));
    Value filter = at(e.getBuffer(s.op.getFilter()), e.mul(rowTile, e.i64(kPositions * s.channels * s.rowTile)));
    int64_t last = s.outChannels % s.rowTile;
    Value isFull = e.compare("sle", e.add(first, e.i64(s.rowTile)), e.i64(s.outChannels));
    if (s.outChannels >= s.rowTile)
      e.ifThen(isFull, [&] { multiply(filter, s.rowTile, tiles); });
    if (last)
      e.ifThen(e.compare("sgt", e.add(first, e.i64(s.rowTile)), e.i64(s.outChannels)), [&] { multiply(filter, last, tiles); });
    e.forEach(e.i64(0), e.minSigned(e.i64(s.rowTile), e.sub(e.i64(s.outChannels), first)), 1,
              [&](Value row) { finishChannel(block, e.add(first, row), at(products, e.mul(row, e.i64(s.pitch)))); });
  }

  /// First tile row of a block; as WinogradBlocks::getFirstRow.
  Value getFirstRow(Value block) {
    if (graph::isConstant(s.rowBlocks, 1))
      return e.mul(block, e.extent(s.tileRows));
    Value scaled = e.add(e.mul(block, e.extent(s.tileRows * 2)), e.extent(s.rowBlocks));
    return e.floorDiv(scaled, e.extent(s.rowBlocks * 2));
  }

  void emit() {
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value rowTiles = e.i64(s.getRowTiles()), rowTile = e.rem(item, rowTiles), rest = e.floorDiv(item, rowTiles);
      Value columnBlocks = e.extent(s.columnBlocks), column = e.rem(rest, columnBlocks);
      rest = e.floorDiv(rest, columnBlocks);
      Value rowBlocks = e.extent(s.rowBlocks), row = e.rem(rest, rowBlocks);
      Block block;
      block.image = e.floorDiv(rest, rowBlocks);
      block.firstRow = getFirstRow(row);
      block.rows = graph::isConstant(s.rowBlocks, 1) ? e.extent(s.tileRows) : e.sub(getFirstRow(e.add(row, e.i64(1))), block.firstRow);
      block.firstColumn = e.mul(column, e.i64(s.blockColumns));
      block.columns = e.i64(s.blockColumns);
      if (!graph::isConstant(s.columnBlocks, 1))
        block.columns = e.minSigned(block.columns, e.sub(e.extent(s.tileColumns), block.firstColumn));
      Value isNew = arith::OrIOp::create(e.b, e.compare("eq", item, e.begin), e.compare("eq", rowTile, e.i64(0)));
      emitItem(block, rowTile, isNew);
    });
  }
};

} // namespace

void emitWinograd(UnitEmitter &e) { WinogradEmitter(e, getShape(e.unit, e.options.target)).emit(); }

WorkInfo getWinogradWork(kernel::UnitOp unit, const EmitOptions &options) {
  WinogradShape s = getShape(unit, options.target);
  MLIRContext *context = unit.getContext();
  int64_t floats = s.getTransformedFloats() + s.getPlaneFloats() + s.getStripFloats() + s.getProductFloats() + s.getValueFloats() + kGroupPixels;
  // The products of the direct form: what callers count as the work of a convolution.
  AffineExpr operations = graph::getNumElements(context, s.out) * (s.channels * 9);
  return {s.images * (s.rowBlocks * s.columnBlocks * s.getRowTiles()), operations, getAffineConstantExpr(floats * 4, context), getAffineConstantExpr(s.getRowTiles(), context)};
}

} // namespace onager
