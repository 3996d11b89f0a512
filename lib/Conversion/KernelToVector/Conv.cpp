// Convolution as an implicit gemm: filters [output channel][sum] times image panels [sum][16 pixels].
//
// Work items: (image, group, run of panel pairs). A share gathers the input under its pixels into scratch, panel by panel
//   panel := for each channel, tap: 16 floats, one per pixel, 0 outside of the image
// and sweeps the output channels over them. Pixels are numbered over all spatial dims. Where 16 pixels read 16 neighbours inside the image, the
// row of a panel is one vector load, else a masked gather.
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;
constexpr int64_t kLanes = kernel::kPanelWidth;

struct ConvShape {
  graph::ConvOp op;
  graph::Dims x, filter, out, spatial;
  AffineExpr depth, pixels, channels, outChannels;
  int64_t width;  ///< pixels of a tile
  int64_t tiles;  ///< tiles that one work item gathers before it sweeps the filters
};

ConvShape getShape(kernel::UnitOp unit, const TargetInfo &target) {
  ConvShape s;
  s.op = *unit.getBody().front().getOps<graph::ConvOp>().begin();
  MLIRContext *context = unit.getContext();
  s.x = graph::getDims(s.op.getX());
  s.filter = graph::getDims(s.op.getFilter());
  s.out = graph::getDims(s.op.getResult());
  s.spatial.assign(s.out.begin() + 2, s.out.end());
  s.depth = graph::getNumElements(context, ArrayRef(s.filter).drop_front());
  s.pixels = graph::getNumElements(context, s.spatial);
  s.channels = s.filter[1];
  s.outChannels = getAffineConstantExpr(*graph::getConstant(s.filter[0]) / static_cast<int64_t>(s.op.getGroup()), context);
  s.width = getTilePanels(target) * kLanes;
  int64_t tileBytes = *graph::getConstant(s.depth) * s.width * 4;
  s.tiles = std::clamp<int64_t>(target.l2Bytes / 2 / tileBytes, 1, 8);
  if (std::optional<int64_t> pixels = graph::getConstant(s.pixels))
    s.tiles = std::clamp<int64_t>(*pixels / s.width / 4, 1, s.tiles);
  return s;
}

struct ConvEmitter {
  UnitEmitter &e;
  ConvShape s;
  Value tile, scratch;
  VectorType i64s, f32s, bools;

  ConvEmitter(UnitEmitter &e, ConvShape shape) : e(e), s(shape) {
    i64s = VectorType::get({kLanes}, e.b.getI64Type());
    f32s = VectorType::get({kLanes}, e.b.getF32Type());
    bools = VectorType::get({kLanes}, e.b.getI1Type());
    tile = e.stackBuffer(e.b.getF32Type(), getTileRows(e.options.target) * s.width);
    scratch = e.getScratch();
  }

  Value splat(Value x) { return vector::BroadcastOp::create(e.b, VectorType::get({kLanes}, x.getType()), x); }
  Value lanes() {
    SmallVector<int64_t> numbers;
    for (int64_t k = 0; k < kLanes; ++k)
      numbers.push_back(k);
    return arith::ConstantOp::create(e.b, DenseElementsAttr::get(i64s, ArrayRef(numbers)));
  }

  /// First input coordinate under each pixel of a panel, per spatial dim.
  SmallVector<Value> coordinates(Value firstPixel) {
    Value last = splat(e.maxSigned(e.sub(e.extent(s.pixels), e.i64(1)), e.i64(0)));
    Value rest = arith::MinSIOp::create(e.b, arith::AddIOp::create(e.b, splat(firstPixel), lanes()), last);
    SmallVector<Value> result(s.spatial.size());
    for (size_t d = s.spatial.size(); d-- > 0;) {
      Value position = rest;
      if (d > 0) {
        Value size = splat(e.maxSigned(e.extent(s.spatial[d]), e.i64(1)));
        position = arith::RemUIOp::create(e.b, rest, size);
        rest = arith::DivUIOp::create(e.b, rest, size);
      }
      Value scaled = arith::MulIOp::create(e.b, position, splat(e.i64(s.op.getStrides()[d])));
      result[d] = arith::SubIOp::create(e.b, scaled, splat(e.extent(s.op.getPads().getResult(d))));
    }
    return result;
  }

  /// Offsets into a channel's plane that a tap reads for each pixel, and which lie inside.
  std::pair<Value, Value> offsets(ArrayRef<Value> start, ArrayRef<Value> tap) {
    Value offset = splat(e.i64(0)), inside = splat(arith::ConstantIntOp::create(e.b, 1, 1));
    for (size_t d = 0; d < start.size(); ++d) {
      Value at = arith::AddIOp::create(e.b, start[d], splat(e.mul(tap[d], e.i64(s.op.getDilations()[d]))));
      Value size = splat(e.extent(s.x[2 + d]));
      inside = arith::AndIOp::create(e.b, inside, arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, at, size));
      offset = arith::AddIOp::create(e.b, arith::MulIOp::create(e.b, offset, size), at);
    }
    return {offset, inside};
  }

  /// Gathers one row of the panel for every channel; `contiguous` where lanes read neighbours.
  void gatherChannels(Value image, Value panel, Value tapNumber, Value offset, Value inside, bool contiguous) {
    Type f32 = e.b.getF32Type(), ptr = LLVM::LLVMPointerType::get(e.b.getContext());
    Value plane = e.i64(1), taps = e.i64(1);
    for (size_t d = 2; d < s.x.size(); ++d) {
      plane = e.mul(plane, e.extent(s.x[d]));
      taps = e.mul(taps, e.extent(s.filter[d]));
    }
    Value first = vector::ExtractOp::create(e.b, offset, ArrayRef<int64_t>{0});
    e.forEach(e.i64(0), e.extent(s.channels), 1, [&](Value channel) {
      Value base = e.address(f32, image, e.mul(channel, plane)), values;
      if (contiguous) {
        values = LLVM::LoadOp::create(e.b, f32s, e.address(f32, base, first), 4);
      } else {
        Value pointers = LLVM::GEPOp::create(e.b, VectorType::get({kLanes}, ptr), f32, base, ArrayRef<LLVM::GEPArg>{offset});
        values = LLVM::masked_gather::create(e.b, f32s, pointers, inside, ValueRange{arith::ConstantOp::create(e.b, e.b.getZeroAttr(f32s))}, e.b.getI32IntegerAttr(4));
      }
      Value row = e.add(e.mul(channel, taps), tapNumber);
      LLVM::StoreOp::create(e.b, values, e.address(f32, panel, e.mul(row, e.i64(kLanes))), 4);
    });
  }

  void gatherTaps(Value image, Value panel, ArrayRef<Value> start, Index tap, Value number) {
    if (tap.size() < start.size()) {
      Value size = e.extent(s.filter[2 + tap.size()]);
      e.forEach(e.i64(0), size, 1, [&](Value k) {
        Index next(tap);
        next.push_back(k);
        gatherTaps(image, panel, start, next, e.add(e.mul(number, size), k));
      });
      return;
    }
    auto [offset, inside] = offsets(start, tap);
    Value first = vector::ExtractOp::create(e.b, offset, ArrayRef<int64_t>{0});
    Value straight = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, offset, arith::AddIOp::create(e.b, splat(first), lanes()));
    Value all = vector::ReductionOp::create(e.b, vector::CombiningKind::AND, arith::AndIOp::create(e.b, straight, inside));
    auto branch = scf::IfOp::create(e.b, all, true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(branch.thenBlock());
    gatherChannels(image, panel, number, offset, inside, true);
    e.b.setInsertionPointToStart(branch.elseBlock());
    gatherChannels(image, panel, number, offset, inside, false);
  }

  /// Index of an epilogue element. Spatial dims are walked as one, which is exact where every tensor of the unit has all or none of them.
  Index indexOf(Value image, Value channel, Value pixel) {
    Index index{image, channel};
    if (spatialTogether()) {
      index.resize(1 + s.spatial.size(), e.i64(0));
      index[1] = channel;
      index.push_back(pixel);
    } else {
      llvm::append_range(index, e.delinearize(pixel, s.spatial));
    }
    return index;
  }

  bool spatialTogether() {
    // The pixel stands in for the last dim's index, which nobody reads where that dim has extent 1.
    bool isPoint = llvm::all_of(s.spatial, [](AffineExpr dim) { return graph::isConstant(dim, 1); });
    if (graph::isConstant(s.spatial.back(), 1) && !isPoint)
      return false;
    SmallVector<Value> tensors(e.unit.getBody().getArguments());
    for (Operation &op : e.unit.getBody().front().without_terminator())
      if (!isa<graph::ConvOp>(op))
        tensors.append(op.result_begin(), op.result_end());
    return llvm::all_of(tensors, [&](Value tensor) {
      if (tensor == s.op.getX() || tensor == s.op.getFilter())
        return true;
      graph::Dims dims = graph::getDims(tensor);
      size_t count = std::min(dims.size(), s.spatial.size());
      ArrayRef<AffineExpr> tail = ArrayRef(dims).take_back(count);
      bool none = llvm::all_of(tail, [](AffineExpr dim) { return graph::isConstant(dim, 1); });
      return none || tail == ArrayRef(s.spatial);
    });
  }

  void epilogue(Value image, Value channel, Value pixel, int64_t rows, Value columns) {
    e.forEach(e.i64(0), e.i64(rows), 1, [&](Value i) {
      Value base = e.mul(i, e.i64(s.width)), row = e.add(channel, i);
      e.forEachParallel(e.i64(0), columns, [&](Value j) {
        Index index = indexOf(image, row, e.add(pixel, j));
        e.overrideElement(s.op.getResult(), [&](ArrayRef<Value>) { return e.load(e.b.getF32Type(), tile, e.add(base, j)); });
        storeResults(e, index, e.linearize(index, s.out));
        e.clearOverrides();
      });
    });
  }

  /// Sweeps the filters of one group over the gathered panels.
  void sweep(Value image, Value group, Value firstTile, Value lastTile) {
    Type f32 = e.b.getF32Type();
    Value depth = e.extent(s.depth), outChannels = e.extent(s.outChannels), firstChannel = e.mul(group, outChannels);
    Value filter = e.address(f32, e.getBuffer(s.op.getFilter()), e.mul(firstChannel, depth));
    Value panelSize = e.mul(depth, e.i64(kLanes)), tileSize = e.mul(depth, e.i64(s.width));
    forRowTiles(e, outChannels, [&](Value row, int64_t rows) {
      e.forEach(firstTile, lastTile, 1, [&](Value number) {
        Value pixel = e.mul(number, e.i64(s.width));
        Value columns = e.minSigned(e.i64(s.width), e.sub(e.extent(s.pixels), pixel));
        TileOperands t{e.address(f32, filter, e.mul(row, depth)), depth, e.address(f32, scratch, e.mul(e.sub(number, firstTile), tileSize)),
                       panelSize, tile, e.i64(s.width), depth};
        callMicroKernel(e, rows, s.width / kLanes, t);
        Value channel = e.add(firstChannel, row);
        Value full = e.compare("eq", columns, e.i64(s.width));
        e.ifThen(full, [&] { epilogue(image, channel, pixel, rows, e.i64(s.width)); });
        e.ifThen(e.compare("slt", columns, e.i64(s.width)), [&] { epilogue(image, channel, pixel, rows, columns); });
      });
    });
  }

  void emit() {
    Type f32 = e.b.getF32Type();
    Value tiles = e.extent(s.pixels.ceilDiv(s.width)), runs = e.extent(s.pixels.ceilDiv(s.width).ceilDiv(s.tiles));
    Value groups = e.i64(s.op.getGroup()), imageSize = e.extent(graph::getNumElements(e.b.getContext(), ArrayRef(s.x).drop_front()));
    Value groupSize = e.floorDiv(imageSize, groups);
    Value panelSize = e.mul(e.extent(s.depth), e.i64(kLanes));
    e.forEach(e.begin, e.end, 1, [&](Value item) {
      Value run = e.rem(item, runs), rest = e.floorDiv(item, runs);
      Value group = e.rem(rest, groups), image = e.floorDiv(rest, groups);
      Value firstTile = e.mul(run, e.i64(s.tiles)), lastTile = e.minSigned(tiles, e.add(firstTile, e.i64(s.tiles)));
      Value input = e.address(f32, e.getBuffer(s.op.getX()), e.add(e.mul(image, imageSize), e.mul(group, groupSize)));
      int64_t perTile = s.width / kLanes;
      Value firstPanel = e.mul(firstTile, e.i64(perTile));
      e.forEach(firstPanel, e.mul(lastTile, e.i64(perTile)), 1, [&](Value panel) {
        Value target = e.address(f32, scratch, e.mul(e.sub(panel, firstPanel), panelSize));
        gatherTaps(input, target, coordinates(e.mul(panel, e.i64(kLanes))), {}, e.i64(0));
      });
      sweep(image, group, firstTile, lastTile);
    });
  }
};

} // namespace

void emitConv(UnitEmitter &e) { ConvEmitter(e, getShape(e.unit, e.options.target)).emit(); }

WorkInfo getConvWork(kernel::UnitOp unit, const EmitOptions &options) {
  ConvShape s = getShape(unit, options.target);
  MLIRContext *context = unit.getContext();
  AffineExpr items = s.x[0] * static_cast<int64_t>(s.op.getGroup()) * s.pixels.ceilDiv(s.width).ceilDiv(s.tiles);
  return {items, graph::getNumElements(context, s.out) * s.depth, s.depth * (s.tiles * s.width * 4)};
}

} // namespace onager
