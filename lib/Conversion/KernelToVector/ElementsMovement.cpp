// One element of each data movement: the index it comes from.
//
// Indices read from tensors may be out of range: they are clamped before memory is touched, and the run fails with the node's name.
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>
#include <cstring>

using namespace mlir;

namespace onager {

static std::string describe(Operation *op, StringRef what) { return "node '" + graph::getNodeName(op) + "': " + what.str(); }

static bool mayBeEmpty(AffineExpr extent) {
  std::optional<int64_t> known = graph::getConstant(extent);
  return !known || *known == 0;
}

Value emitTileElement(UnitEmitter &e, graph::TileOp tile, ArrayRef<Value> index, Value last) {
  graph::Dims from = graph::getDims(tile.getX()), to = graph::getDims(tile.getResult());
  UnitEmitter::Index position;
  for (size_t k = 0; k < index.size(); ++k)
    position.push_back(last && k + 1 == index.size() ? last : from[k] == to[k] ? index[k] : e.rem(index[k], e.extent(from[k])));
  return e.element(tile.getX(), position);
}

/// a mod n, in [0, n).
static Value floorMod(UnitEmitter &e, Value a, Value n) {
  Value rest = arith::RemSIOp::create(e.b, a, n);
  return arith::SelectOp::create(e.b, e.compare("slt", rest, e.i64(0)), e.add(rest, n), rest);
}

/// The source position of a padded position that lies at `at` relative to the source.
static Value emitPadSource(UnitEmitter &e, graph::PadMode mode, Value at, Value size) {
  Value last = e.sub(size, e.i64(1));
  if (mode == graph::PadMode::wrap)
    return floorMod(e, at, e.maxSigned(size, e.i64(1)));
  if (mode != graph::PadMode::reflect)
    return e.maxSigned(e.minSigned(at, last), e.i64(0));
  Value period = e.maxSigned(e.mul(last, e.i64(2)), e.i64(1));
  Value inside = floorMod(e, at, period);
  return e.minSigned(inside, e.sub(period, inside));
}

Value emitPadElement(UnitEmitter &e, graph::PadOp pad, ArrayRef<Value> index, std::optional<bool> isLastInside) {
  graph::Dims dims = graph::getDims(pad.getX()), result = graph::getDims(pad.getResult());
  bool isConstant = pad.getMode() == graph::PadMode::constant, readsNothing = false;
  UnitEmitter::Index from;
  Value inside;
  for (size_t k = 0; k < index.size(); ++k) {
    AffineExpr low = pad.getLow().getResult(k);
    if (graph::isConstant(low, 0) && dims[k] == result[k]) {
      from.push_back(index[k]);
      continue;
    }
    Value at = e.sub(index[k], e.extent(low)), size = e.extent(dims[k]);
    bool isKnown = isLastInside && k + 1 == index.size();
    if (!isKnown) {
      Value fits = e.compare("ult", at, size);
      inside = inside ? Value(arith::AndIOp::create(e.b, inside, fits)) : fits;
    }
    from.push_back(isKnown && *isLastInside ? at : emitPadSource(e, pad.getMode(), at, size));
    readsNothing |= mayBeEmpty(dims[k]);
    if (!isConstant)
      refuseEmptyDim(e, pad, dims[k], "a dim without elements has none to pad with");
  }
  bool isOutside = isConstant && isLastInside && !*isLastInside;
  if (!isOutside && (!inside || !isConstant))
    return e.element(pad.getX(), from);
  UnitEmitter::Index zeros(cast<RankedTensorType>(pad.getValue().getType()).getRank(), e.i64(0));
  Value padding = e.element(pad.getValue(), zeros);
  if (isOutside)
    return padding;
  // Where the dim has no element, what lies at its clamped position must not be read.
  if (readsNothing)
    return e.select(inside, padding.getType(), [&] { return e.element(pad.getX(), from); }, [&] { return padding; });
  return arith::SelectOp::create(e.b, inside, e.element(pad.getX(), from), padding);
}

namespace {

using Index = UnitEmitter::Index;

Type storageOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

Value emitConstant(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value>) {
  auto constant = cast<graph::ConstantOp>(op);
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(constant.getValue(), storage);
  Type element = storageOf(constant.getResult()), compute = e.computeType(element);
  if (isa<FloatType>(compute))
    return arith::ConstantOp::create(e.b, e.b.getFloatAttr(compute, graph::readNumber(element, bytes, 0)));
  if (isa<FloatType>(element)) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes.data(), graph::getElementBytes(element));
    return arith::ConstantOp::create(e.b, e.b.getIntegerAttr(compute, static_cast<int64_t>(bits)));
  }
  return arith::ConstantOp::create(e.b, e.b.getIntegerAttr(compute, graph::readInteger(element, bytes, 0)));
}

Value emitIndexTensor(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto tensor = cast<graph::IndexTensorOp>(op);
  Value linear = e.linearize(index, graph::getDims(tensor.getResult()));
  Value value = e.i64(0);
  for (auto [k, expr] : llvm::enumerate(tensor.getExprs().getResults()))
    value = k == 0 ? e.extent(expr) : Value(arith::SelectOp::create(e.b, e.compare("eq", linear, e.i64(k)), e.extent(expr), value));
  Type compute = e.computeType(storageOf(tensor.getResult()));
  return compute.isInteger(64) ? value : Value(arith::TruncIOp::create(e.b, compute, value));
}

Value emitBroadcast(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  Value x = op->getOperand(0);
  return e.element(x, e.broadcastIndex(x, graph::getDims(op->getResult(0)), index));
}

Value emitTranspose(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto transpose = cast<graph::TransposeOp>(op);
  Index from(index.size());
  for (auto [k, dim] : llvm::enumerate(transpose.getPerm()))
    from[dim] = index[k];
  return e.element(transpose.getX(), from);
}

Value emitSlice(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto slice = cast<graph::SliceOp>(op);
  Index from;
  for (size_t k = 0; k < index.size(); ++k)
    from.push_back(e.add(e.extent(slice.getStarts().getResult(k)), e.mul(index[k], e.i64(slice.getSteps()[k]))));
  return e.element(slice.getX(), from);
}

Value emitTile(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) { return emitTileElement(e, cast<graph::TileOp>(op), index, {}); }

Value emitPad(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) { return emitPadElement(e, cast<graph::PadOp>(op), index, std::nullopt); }

Value emitIota(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto iota = cast<graph::IotaOp>(op);
  Index startAt(cast<RankedTensorType>(iota.getStart().getType()).getRank(), e.i64(0)), deltaAt(cast<RankedTensorType>(iota.getDelta().getType()).getRank(), e.i64(0));
  Value start = e.element(iota.getStart(), startAt), delta = e.element(iota.getDelta(), deltaAt);
  Type type = start.getType();
  if (isa<FloatType>(type)) {
    Value step = arith::SIToFPOp::create(e.b, type, index[iota.getAxis()]);
    return arith::AddFOp::create(e.b, start, arith::MulFOp::create(e.b, step, delta));
  }
  Value step = type.isInteger(64) ? index[iota.getAxis()] : Value(arith::TruncIOp::create(e.b, type, index[iota.getAxis()]));
  return arith::AddIOp::create(e.b, start, arith::MulIOp::create(e.b, step, delta));
}

} // namespace

void refuseEmptyDim(UnitEmitter &e, Operation *op, AffineExpr extent, StringRef what) {
  if (mayBeEmpty(extent))
    e.refuseIfEmpty(extent, graph::getNumElements(op->getContext(), graph::getDims(op->getResult(0))), describe(op, what));
}

Value checkedIndex(UnitEmitter &e, Operation *op, Value position, AffineExpr extent) {
  Value size = e.extent(extent);
  StringRef what = "an index is out of range";
  refuseEmptyDim(e, op, extent, what);
  Value wrapped = arith::SelectOp::create(e.b, e.compare("slt", position, e.i64(0)), e.add(position, size), position);
  e.failIf(e.compare("uge", wrapped, size), describe(op, what));
  return e.maxSigned(e.minSigned(wrapped, e.sub(size, e.i64(1))), e.i64(0));
}

namespace {

Value emitGather(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto gather = cast<graph::GatherOp>(op);
  size_t axis = gather.getAxis(), count = cast<RankedTensorType>(gather.getIndices().getType()).getRank();
  graph::Dims dims = graph::getDims(gather.getX());
  Value position = e.indexElement(gather.getIndices(), index.slice(axis, count));
  Index from(index.take_front(axis));
  from.push_back(checkedIndex(e, op, position, dims[axis]));
  llvm::append_range(from, index.drop_front(axis + count));
  return e.element(gather.getX(), from);
}

Value emitGatherElements(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto gather = cast<graph::GatherElementsOp>(op);
  Index from(index);
  from[gather.getAxis()] = checkedIndex(e, op, e.indexElement(gather.getIndices(), index), graph::getDims(gather.getX())[gather.getAxis()]);
  return e.element(gather.getX(), from);
}

Value emitGatherND(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto gather = cast<graph::GatherNDOp>(op);
  graph::Dims dims = graph::getDims(gather.getX()), tuples = graph::getDims(gather.getIndices());
  size_t batch = gather.getBatchDims(), prefix = tuples.size() - 1;
  int64_t width = *graph::getConstant(tuples.back());
  Index from(index.take_front(batch));
  for (int64_t k = 0; k < width; ++k) {
    Index at(index.take_front(prefix));
    at.push_back(e.i64(k));
    from.push_back(checkedIndex(e, op, e.indexElement(gather.getIndices(), at), dims[batch + k]));
  }
  llvm::append_range(from, index.drop_front(prefix));
  return e.element(gather.getX(), from);
}

/// A number in (0, 1): the upper bits of a mix (SplitMix64's) of seed, stream and position, and a half, scaled by a power of two.
Value emitRandom(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto random = cast<graph::RandomOp>(op);
  auto word = [&](uint64_t value) { return e.i64(static_cast<int64_t>(value)); };
  auto mixShift = [&](Value x, int64_t by) { return Value(arith::XOrIOp::create(e.b, x, arith::ShRUIOp::create(e.b, x, e.i64(by)))); };
  auto mix = [&](Value x) {
    x = arith::MulIOp::create(e.b, mixShift(x, 30), word(0xbf58476d1ce4e5b9));
    return mixShift(arith::MulIOp::create(e.b, mixShift(x, 27), word(0x94d049bb133111eb)), 31);
  };
  Value state = mix(word(static_cast<uint64_t>(random.getSeed()) + 0x9e3779b97f4a7c15));
  if (random.getStream())
    state = mix(arith::AddIOp::create(e.b, state, e.indexElement(random.getStream(), {})));
  Value position = e.linearize(index, graph::getDims(random.getResult()));
  Value bits = mix(arith::AddIOp::create(e.b, state, arith::MulIOp::create(e.b, position, word(0x9e3779b97f4a7c15))));
  Type storage = cast<RankedTensorType>(random.getType()).getElementType(), compute = e.computeType(storage);
  int64_t kept = storage.isF64() ? 52 : 23;
  Value number = arith::UIToFPOp::create(e.b, compute, arith::ShRUIOp::create(e.b, bits, e.i64(64 - kept)));
  return arith::MulFOp::create(e.b, arith::AddFOp::create(e.b, number, e.constant(compute, 0.5)), e.constant(compute, std::ldexp(1.0, static_cast<int>(-kept))));
}

Value emitReverseSequence(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto reverse = cast<graph::ReverseSequenceOp>(op);
  Value time = index[reverse.getTimeAxis()];
  Value length = e.indexElement(reverse.getLengths(), {index[reverse.getBatchAxis()]});
  Value size = e.extent(graph::getDims(reverse.getX())[reverse.getTimeAxis()]);
  length = e.clamp(length, e.i64(0), size);
  Index from(index);
  from[reverse.getTimeAxis()] = arith::SelectOp::create(e.b, e.compare("slt", time, length), e.sub(e.sub(length, e.i64(1)), time), time);
  return e.element(reverse.getX(), from);
}

Value emitPack(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto pack = cast<kernel::PackOp>(op);
  graph::Dims dims = graph::getDims(pack.getX());
  Value columns = e.extent(dims.back());
  Value column = e.add(e.mul(index[index.size() - 3], e.i64(kernel::kPanelWidth)), index.back());
  Index from(index.drop_back(3));
  from.push_back(index[index.size() - 2]);
  std::optional<int64_t> known = graph::getConstant(dims.back());
  if (known && *known % kernel::kPanelWidth == 0) {
    from.push_back(column);
    return e.element(pack.getX(), from);
  }
  from.push_back(e.maxSigned(e.minSigned(column, e.sub(columns, e.i64(1))), e.i64(0)));
  Value value = e.element(pack.getX(), from);
  return arith::SelectOp::create(e.b, e.compare("slt", column, columns), value, e.constant(value.getType(), 0));
}

} // namespace

void registerMovement(llvm::StringMap<OpElementFn> &table) {
  table["graph.constant"] = emitConstant;
  table["graph.index_tensor"] = emitIndexTensor;
  table["graph.broadcast"] = emitBroadcast;
  table["graph.transpose"] = emitTranspose;
  table["graph.slice"] = emitSlice;
  table["graph.tile"] = emitTile;
  table["graph.pad"] = emitPad;
  table["graph.iota"] = emitIota;
  table["graph.random"] = emitRandom;
  table["graph.gather"] = emitGather;
  table["graph.gather_elements"] = emitGatherElements;
  table["graph.gather_nd"] = emitGatherND;
  table["graph.reverse_sequence"] = emitReverseSequence;
  table["kernel.pack"] = emitPack;
}

} // namespace onager
