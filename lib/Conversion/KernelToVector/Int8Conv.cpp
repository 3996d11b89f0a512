// Convolution of bytes as an implicit gemm: packed filters [row tile][quad][rows][4] times image panels [quad][tile of pixels][4].
//
// Work items: (image, group, run of pixels, block of row tiles). A share copies the input rows under its run into scratch, with their padding and dealt out
// by the strides (phases, Int8.h), so that a tap is one offset for all pixels: pixels are numbered over rows of `pitch`, and those behind a row's end are
// computed and left out. Windows of one tap and stride 1 read the image itself, all of whose rows are one.
//   scratch := mark: which run lies in panels, offset of each byte of a filter (i64), planes [channel][phase][rows][pitch], slack, panels, results [rows of a tile][run]
// Four bytes of each pixel are interleaved into panels, over which the row tiles sweep. Sums become bytes in registers.
#include "lib/Conversion/KernelToVector/Int8Kernel.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;
using kernel::Int8Layout;
using kernel::kQuad;
using kernel::kTileVectors;

/// Tiles of pixels that one work item gathers, at most; work items that share out well; row tiles that are worth gathering pixels once more.
constexpr int64_t kMostTiles = 8, kFewestItems = 8, kFewestRowTiles = 2;
/// Bytes behind the planes that tiles may read.
constexpr int64_t kSlack = 256;

struct Int8ConvShape {
  kernel::Int8ConvOp op;
  Int8Layout layout;
  graph::Dims x, out, spatial;
  kernel::Int8Window window;
  llvm::SetVector<int64_t> phases;
  AffineExpr height, width;           ///< of the result
  AffineExpr planeRows, pitch, pixels; ///< of one phase of the run; pixels of an image, numbered as they are computed
  bool isDirect;
  int64_t groups, channels, outChannels, length, quads, rowTiles; ///< of one group but `groups`
  int64_t runRows, tiles;             ///< result rows of a run, or tiles of a run where direct
  int64_t blocks, blockTiles;
  int64_t elementBytes;               ///< of the result

  AffineExpr number(int64_t value) const { return getAffineConstantExpr(value, x[0].getContext()); }
  /// Tiles of the largest run.
  AffineExpr getRunTiles() const { return isDirect ? number(tiles) : (pitch * runRows).ceilDiv(layout.getTile()); }
  AffineExpr getRuns() const { return isDirect ? pixels.ceilDiv(tiles * layout.getTile()) : height.ceilDiv(runRows); }
  int64_t getTableBytes() const { return llvm::alignTo(quads * kQuad * 8, 64); }
  int64_t getPanelBytes() const { return quads * layout.getSteps() * kTileVectors * layout.getTile(); }
  AffineExpr getPlaneBytes() const { return planeRows * pitch; }
  AffineExpr getInputBytes() const {
    AffineExpr bytes = getPlaneBytes() * (static_cast<int64_t>(phases.size()) * channels) + kSlack;
    return isDirect ? number(0) : bytes.ceilDiv(64) * 64;
  }
  AffineExpr getResultBytes() const { return getRunTiles() * (layout.getTile() * layout.getRows() * elementBytes); }
};

bool readsImageItself(Int8ConvShape &s) {
  return s.window.kernel == std::array<int64_t, 2>{1, 1} && s.window.strides == std::array<int64_t, 2>{1, 1} && ArrayRef(s.x).drop_front(2) == ArrayRef(s.spatial) &&
         llvm::all_of(s.op.getPads().getResults(), [](AffineExpr pad) { return graph::isConstant(pad, 0); });
}

/// Chooses how many pixels an item takes, and splits the filters where that leaves few items.
void planRuns(Int8ConvShape &s, const TargetInfo &target) {
  int64_t most = std::clamp<int64_t>(target.l2Bytes * 3 / 4 / s.getPanelBytes(), 1, kMostTiles), runs = kFewestItems;
  std::optional<int64_t> pixels = graph::getConstant(s.pixels), pitch = graph::getConstant(s.pitch), height = graph::getConstant(s.height);
  if (pixels) {
    auto tiles = static_cast<int64_t>(llvm::divideCeil(*pixels, s.layout.getTile()));
    most = std::clamp<int64_t>(tiles / 4, 1, most);
  }
  s.tiles = most;
  s.runRows = pitch ? std::max<int64_t>(most * s.layout.getTile() / std::max<int64_t>(*pitch, 1), 1) : 1;
  s.runRows = height ? std::min(s.runRows, std::max<int64_t>(*height, 1)) : s.runRows;
  if (std::optional<int64_t> known = graph::getConstant(s.getRuns()))
    runs = std::max<int64_t>(*known, 1);
  int64_t wanted = std::clamp<int64_t>(kFewestItems / runs, 1, std::max<int64_t>(s.rowTiles / kFewestRowTiles, 1));
  s.blockTiles = static_cast<int64_t>(llvm::divideCeil(s.rowTiles, wanted));
  s.blocks = static_cast<int64_t>(llvm::divideCeil(s.rowTiles, s.blockTiles));
}

Int8ConvShape getShape(kernel::UnitOp unit, const EmitOptions &options) {
  Int8ConvShape s;
  s.op = *unit.getBody().front().getOps<kernel::Int8ConvOp>().begin();
  s.layout = getInt8Layout(options, s.op.getFilter());
  s.elementBytes = s.op.getScale() ? 1 : 4;
  s.x = graph::getDims(s.op.getX());
  s.out = graph::getDims(s.op.getResult());
  s.spatial.assign(s.out.begin() + 2, s.out.end());
  s.window = kernel::makeInt8Window(s.op.getKernel(), s.op.getStrides(), s.op.getDilations());
  std::tie(s.height, s.width) = getPlaneDims(s.spatial);
  s.groups = static_cast<int64_t>(s.op.getGroup());
  s.outChannels = *graph::getConstant(s.out[1]) / s.groups;
  auto packed = cast<RankedTensorType>(s.op.getFilter().getType());
  s.rowTiles = packed.getDimSize(1);
  s.quads = packed.getDimSize(2) / s.layout.getSteps();
  int64_t lastRow = 0, lastColumn = 0, taps = s.window.kernel[0] * s.window.kernel[1];
  for (int64_t tap = 0; tap < taps; ++tap) {
    kernel::TapPosition position = kernel::getTapPosition(s.window, tap / s.window.kernel[1], tap % s.window.kernel[1]);
    s.phases.insert(position.phase);
    lastRow = std::max(lastRow, position.row);
    lastColumn = std::max(lastColumn, position.column);
  }
  s.channels = *graph::getConstant(s.x[1]) / s.groups;
  s.length = s.channels * taps;
  s.isDirect = readsImageItself(s);
  s.pitch = s.isDirect ? s.height * s.width : s.width + lastColumn;
  s.pixels = s.isDirect ? s.height * s.width : s.height * s.pitch;
  planRuns(s, options.target);
  s.planeRows = s.number(s.runRows + lastRow);
  return s;
}

/// One run of pixels of an image's group.
struct Run {
  Value image, group;
  Value first;  ///< row, or pixel where direct
  Value rows;   ///< of results; 1 where direct
  Value pixels; ///< as they are computed
  Value base;   ///< what pixel 0 reads for offset 0
};

struct Int8ConvEmitter {
  UnitEmitter &e;
  Int8ConvShape s;
  Int8Vectors v;
  Int8Results results;
  Value mark, table, planes, panels, buffer;
  bool isSigned, asOne;

  Int8ConvEmitter(UnitEmitter &e, const Int8ConvShape &shape) : e(e), s(shape), v(e.b, shape.layout), results(e, s.op.getResult()) {
    mark = e.getScratch();
    table = bytes(mark, e.i64(kMarkBytes));
    planes = bytes(table, e.i64(s.getTableBytes()));
    panels = bytes(planes, e.extent(s.getInputBytes()));
    buffer = bytes(panels, e.mul(e.extent(s.getRunTiles()), e.i64(s.getPanelBytes())));
    isSigned = cast<RankedTensorType>(s.op.getX().getType()).getElementType().isSignlessInteger();
    asOne = walksPixelsAsOne(e.unit, s.op.getResult());
  }

  Value bytes(Value base, Value offset) { return getByteAddress(e, base, offset); }
  Value planeSize() { return s.isDirect ? e.extent(s.pixels) : e.extent(s.getPlaneBytes()); }
  Value phaseOffset(int64_t phase) { return e.mul(planeSize(), e.i64(llvm::find(s.phases, phase) - s.phases.begin())); }

  /// Stores where each byte of a filter reads; what fills up the last quad reads the first.
  void fillTable() {
    Type i64 = e.b.getI64Type();
    int64_t taps = s.window.kernel[0] * s.window.kernel[1];
    e.forEach(e.i64(0), e.i64(s.channels), 1, [&](Value channel) {
      Value first = e.mul(channel, e.mul(planeSize(), e.i64(static_cast<int64_t>(s.phases.size()))));
      for (int64_t tap = 0; tap < taps; ++tap) {
        kernel::TapPosition position = kernel::getTapPosition(s.window, tap / s.window.kernel[1], tap % s.window.kernel[1]);
        Value inside = e.add(e.mul(e.i64(position.row), e.extent(s.pitch)), e.i64(position.column));
        e.store(i64, table, e.add(e.mul(channel, e.i64(taps)), e.i64(tap)), e.add(first, e.add(phaseOffset(position.phase), inside)));
      }
    });
    for (int64_t k = s.length; k < s.quads * kQuad; ++k)
      e.store(i64, table, e.i64(k), e.i64(0));
  }

  void copyPlanes(const Run &run, Value input) {
    auto [inRows, inColumns] = getPlaneDims(ArrayRef(s.x).drop_front(2));
    Value inputSize = e.mul(e.extent(inRows), e.extent(inColumns));
    AffineMap pads = s.op.getPads();
    fillBytes(e, planes, e.extent(s.getInputBytes()), s.op.getPadding() + (isSigned ? kSignFlip : 0));
    e.forEach(e.i64(0), e.i64(s.channels), 1, [&](Value channel) {
      Value from = bytes(input, e.mul(channel, inputSize)), to = bytes(planes, e.mul(channel, e.mul(planeSize(), e.i64(static_cast<int64_t>(s.phases.size())))));
      BytePlane plane{from, e.extent(inRows), e.extent(inColumns), pads.getNumResults() == 1 ? e.i64(0) : e.extent(pads.getResult(0)), e.extent(pads.getResults().back())};
      for (int64_t phase : s.phases)
        copyPhase(e, bytes(to, phaseOffset(phase)), e.extent(s.planeRows), e.extent(s.pitch), plane, s.window, phase, run.first, isSigned);
    });
  }

  /// Loads bytes of a tile, `count` of which exist, all where null.
  Value loadPixels(Value address, Value count) {
    if (!count)
      return v.load(v.bytes, address);
    Value staged = e.stackBuffer(e.b.getI8Type(), s.layout.getTile());
    copyBytes(e, staged, address, count);
    return v.load(v.bytes, staged);
  }

  /// Interleaves the bytes under a tile of pixels.
  void gather(Value base, Value panel, Value count) {
    Type i64 = e.b.getI64Type();
    int64_t width = s.layout.getTile();
    e.forEach(e.i64(0), e.i64(s.quads), 1, [&](Value quad) {
      SmallVector<Value> rows;
      for (int64_t k = 0; k < kQuad; ++k) {
        Value row = loadPixels(bytes(base, e.load(i64, table, e.add(e.mul(quad, e.i64(kQuad)), e.i64(k)))), count);
        rows.push_back(isSigned && s.isDirect ? v.flipSigns(row) : row);
      }
      Value to = bytes(panel, e.mul(quad, e.i64(s.layout.getSteps() * kTileVectors * width)));
      for (auto [vector, quads] : llvm::enumerate(v.interleave(rows)))
        for (auto [step, operand] : llvm::enumerate(v.widen(quads)))
          v.store(operand, v.at(to, static_cast<int64_t>(step * kTileVectors + vector) * width));
    });
  }

  void gatherRun(const Run &run, Value tiles) {
    Value tile = e.i64(s.layout.getTile());
    e.forEach(e.i64(0), tiles, 1, [&](Value number) {
      Value first = e.mul(number, tile), base = bytes(run.base, first), panel = bytes(panels, e.mul(number, e.i64(s.getPanelBytes())));
      std::optional<int64_t> known = graph::getConstant(s.pixels);
      if (!s.isDirect || (known && *known % s.layout.getTile() == 0))
        return gather(base, panel, {});
      // Bytes behind an image must not be read.
      Value left = e.sub(run.pixels, first), isFull = e.compare("sge", left, tile);
      e.ifThen(isFull, [&] { gather(base, panel, {}); });
      e.ifThen(e.compare("slt", left, tile), [&] { gather(base, panel, left); });
    });
  }

  /// Writes the results of one output channel, which lie at `from`.
  void storeChannel(const Run &run, Value channel, Value from) {
    Value columns = s.isDirect ? run.pixels : e.extent(s.width), pitch = e.extent(s.pitch);
    e.forEach(e.i64(0), run.rows, 1, [&](Value row) {
      Value source = bytes(from, e.mul(e.mul(row, pitch), e.i64(results.elementBytes)));
      Value pixel = s.isDirect ? run.first : e.mul(e.add(run.first, row), columns);
      Value linear = e.add(e.mul(e.add(e.mul(run.image, e.extent(s.out[1])), channel), e.mul(e.extent(s.height), e.extent(s.width))), pixel);
      results.store(source, columns, linear, [&](Value i) {
        if (s.isDirect)
          return getPixelIndex(e, {run.image, channel}, e.add(pixel, i), s.spatial, asOne);
        Index index{run.image, channel};
        if (s.spatial.size() == 2)
          index.push_back(e.add(run.first, row));
        index.push_back(i);
        return index;
      });
    });
  }

  /// Computes the row tiles [first, last) of a group over the gathered run.
  void sweep(const Run &run, Value tiles, Value firstTile, Value lastTile) {
    bool isScaled = static_cast<bool>(s.op.getScale());
    Int8KernelKind kind{false, isScaled, cast<RankedTensorType>(s.op.getType()).getElementType().isSignlessInteger(8)};
    int64_t rows = s.layout.getRows(), last = s.outChannels % rows;
    Value stride = e.mul(tiles, e.i64(s.layout.getTile() * results.elementBytes));
    auto compute = [&](Value rowTile, int64_t count) {
      Value channel = e.add(e.mul(run.group, e.i64(s.outChannels)), e.mul(rowTile, e.i64(rows))), filter = e.add(e.mul(run.group, e.i64(s.rowTiles)), rowTile);
      auto ofChannel = [&](Value numbers) { return numbers ? bytes(e.getBuffer(numbers), e.mul(channel, e.i64(4))) : Value(); };
      e.forEach(e.i64(0), tiles, 1, [&](Value number) {
        Int8Operands o{bytes(e.getBuffer(s.op.getFilter()), e.mul(filter, e.i64(s.quads * s.layout.getSteps() * rows * kQuad))), e.i64(0),
                       bytes(panels, e.mul(number, e.i64(s.getPanelBytes()))), e.i64(s.quads), ofChannel(s.op.getStart()), ofChannel(s.op.getScale()),
                       ofChannel(s.op.getOffset()), bytes(buffer, e.mul(number, e.i64(s.layout.getTile() * results.elementBytes))), stride,
                       static_cast<int64_t>(s.op.getZeroPoint()), static_cast<int64_t>(s.op.getLow()), static_cast<int64_t>(s.op.getHigh())};
        callInt8Kernel(e, s.layout, kind, count, o);
      });
      e.forEach(e.i64(0), e.i64(count), 1, [&](Value row) { storeChannel(run, e.add(channel, row), bytes(buffer, e.mul(row, stride))); });
    };
    Value full = e.minSigned(lastTile, e.i64(s.outChannels / rows));
    e.forEach(firstTile, full, 1, [&](Value rowTile) { compute(rowTile, rows); });
    if (last)
      e.ifThen(e.compare("slt", full, lastTile), [&] { compute(full, last); });
  }

  /// Gathers a run, the `number`-th of all, unless it lies in panels. Tables are filled for the first one.
  void gatherOnce(const Run &run, Value number, Value input, Value tiles) {
    Type i64 = e.b.getI64Type();
    Value held = e.load(i64, mark, e.i64(0));
    e.ifThen(e.compare("ne", held, number), [&] {
      e.ifThen(e.compare("slt", held, e.i64(0)), [&] { fillTable(); });
      e.store(i64, mark, e.i64(0), number);
      if (!s.isDirect)
        copyPlanes(run, input);
      gatherRun(run, tiles);
    });
  }

  void emit() {
    Value runs = e.extent(s.getRuns()), tile = e.i64(s.layout.getTile());
    Value imageSize = e.extent(graph::getNumElements(e.b.getContext(), ArrayRef(s.x).drop_front())), groupSize = e.floorDiv(imageSize, e.i64(s.groups));
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Run run;
      Value number = e.floorDiv(item, e.i64(s.blocks)), inGroup = e.rem(number, runs), rest = e.floorDiv(number, runs);
      run.group = e.rem(rest, e.i64(s.groups));
      run.image = e.floorDiv(rest, e.i64(s.groups));
      Value input = bytes(e.getBuffer(s.op.getX()), e.add(e.mul(run.image, imageSize), e.mul(run.group, groupSize)));
      if (s.isDirect) {
        run.first = e.mul(inGroup, e.i64(s.tiles * s.layout.getTile()));
        run.rows = e.i64(1);
        run.pixels = e.minSigned(e.i64(s.tiles * s.layout.getTile()), e.sub(e.extent(s.pixels), run.first));
        run.base = bytes(input, run.first);
      } else {
        run.first = e.mul(inGroup, e.i64(s.runRows));
        run.rows = e.minSigned(e.i64(s.runRows), e.sub(e.extent(s.height), run.first));
        run.pixels = e.mul(run.rows, e.extent(s.pitch));
        run.base = planes;
      }
      Value tiles = e.floorDiv(e.add(run.pixels, e.sub(tile, e.i64(1))), tile), first = e.mul(e.rem(item, e.i64(s.blocks)), e.i64(s.blockTiles));
      gatherOnce(run, number, input, tiles);
      sweep(run, tiles, first, e.minSigned(e.add(first, e.i64(s.blockTiles)), e.i64(s.rowTiles)));
    });
  }
};

} // namespace

void emitInt8Conv(UnitEmitter &e) { Int8ConvEmitter(e, getShape(e.unit, e.options)).emit(); }

WorkInfo getInt8ConvWork(kernel::UnitOp unit, const EmitOptions &options) {
  Int8ConvShape s = getShape(unit, options);
  AffineExpr bytes = s.getRunTiles() * s.getPanelBytes() + s.getInputBytes() + s.getResultBytes() + (kMarkBytes + s.getTableBytes());
  return {s.x[0] * (s.groups * s.blocks) * s.getRuns(), graph::getNumElements(unit.getContext(), s.out) * s.length, bytes, {}, true};
}

} // namespace onager
