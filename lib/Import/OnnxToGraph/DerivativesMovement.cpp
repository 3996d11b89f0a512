// Derivatives of operations that move elements: what came from a place is added where it came from.
#include "lib/Import/OnnxToGraph/Gradient.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

void differentiateReshape(Backward &b, Operation *op, Value gradient) { b.add(op->getOperand(0), b.e.reshape(gradient, Emitter::dimsOf(op->getOperand(0)))); }

void differentiateBroadcast(Backward &b, Operation *op, Value gradient) { b.add(op->getOperand(0), gradient); }

void differentiateTranspose(Backward &b, Operation *op, Value gradient) {
  ArrayRef<int64_t> perm = cast<TransposeOp>(op).getPerm();
  Ints inverse(perm.size(), 0);
  for (auto [k, dim] : llvm::enumerate(perm))
    inverse[dim] = static_cast<int64_t>(k);
  b.add(op->getOperand(0), b.e.transpose(gradient, inverse));
}

/// Adds elements along one dim into `extent` places, those that the indices (of the dim's extent) tell.
Value addAlong(Emitter &e, Value x, int64_t axis, AffineExpr extent, Value indices) {
  Dims dims = Emitter::dimsOf(x), less = dims;
  less[axis] = extent;
  Dims along(dims.size(), e.number(1));
  along[axis] = dims[axis];
  Value places = e.broadcast(e.reshape(indices, along), dims);
  return e.scatterElements(e.splat(e.zero(Emitter::elementOf(x)), less), places, x, axis, ScatterKind::add);
}

void differentiateSlice(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto slice = cast<SliceOp>(op);
  Dims dims = Emitter::dimsOf(slice.getX());
  for (int64_t axis = 0; gradient && axis < static_cast<int64_t>(dims.size()); ++axis) {
    AffineExpr start = slice.getStarts().getResult(static_cast<unsigned>(axis)), extent = Emitter::dimsOf(gradient)[axis];
    int64_t step = slice.getSteps()[axis];
    if (step == 1) {
      Exprs low(dims.size(), e.number(0)), high = low;
      low[axis] = start;
      high[axis] = normalize(dims[axis] - start - extent);
      gradient = e.pad(gradient, low, high, e.zero(Emitter::elementOf(gradient)));
    } else {
      Value places = e.iota({extent}, 0, e.indexTensor({start}, {}, e.i64()), e.integerScalar(step, e.i64()));
      gradient = addAlong(e, gradient, axis, dims[axis], places);
    }
  }
  b.add(slice.getX(), gradient);
}

void differentiateConcat(Backward &b, Operation *op, Value gradient) {
  auto concat = cast<ConcatOp>(op);
  auto axis = static_cast<int64_t>(concat.getAxis());
  AffineExpr start = b.e.number(0);
  for (Value input : concat.getInputs()) {
    AffineExpr extent = Emitter::dimsOf(input)[axis];
    if (b.wants(input))
      b.add(input, b.e.sliceAxis(gradient, axis, start, extent));
    start = normalize(start + extent);
  }
}

void differentiatePad(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto pad = cast<PadOp>(op);
  if (pad.getMode() != PadMode::constant)
    return void(e.fail("there is no derivative of padding by elements, which node '" + graph::getNodeName(op) + "' does"));
  Dims dims = Emitter::dimsOf(pad.getX()), wide = Emitter::dimsOf(gradient);
  Exprs low, high;
  for (size_t k = 0; k < dims.size(); ++k) {
    low.push_back(normalize(-pad.getLow().getResult(static_cast<unsigned>(k))));
    high.push_back(normalize(dims[k] - wide[k] - low[k]));
  }
  Value inner = e.pad(gradient, low, high, e.zero(Emitter::elementOf(gradient)));
  b.add(pad.getX(), inner);
  Ints all(llvm::to_vector(llvm::seq<int64_t>(0, static_cast<int64_t>(dims.size()))));
  auto sum = [&](Value value) { return e.reduce(ReduceKind::sum, value, all, /*keepDims=*/false); };
  if (b.wants(pad.getValue()))
    b.add(pad.getValue(), e.reshape(e.sub(sum(gradient), sum(inner)), Emitter::dimsOf(pad.getValue())));
}

void differentiateTile(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  Dims dims = Emitter::dimsOf(op->getOperand(0));
  for (int64_t axis = 0; gradient && axis < static_cast<int64_t>(dims.size()); ++axis) {
    AffineExpr extent = Emitter::dimsOf(gradient)[axis];
    if (!areEqual(extent, dims[axis]))
      gradient = addAlong(e, gradient, axis, dims[axis], e.mod(e.iota({extent}, 0, e.i64()), e.indexTensor({dims[axis]}, {}, e.i64()), /*fmod=*/false));
  }
  b.add(op->getOperand(0), gradient);
}

void differentiateGather(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto gather = cast<GatherOp>(op);
  auto axis = static_cast<int64_t>(gather.getAxis());
  Value indices = e.flatten(gather.getIndices());
  if (!b.wants(gather.getX()) || !indices)
    return;
  Dims dims = Emitter::dimsOf(gather.getX()), flat = dims;
  flat[axis] = Emitter::dimsOf(indices)[0];
  b.add(gather.getX(), addAlong(e, e.reshape(gradient, flat), axis, dims[axis], indices));
}

void differentiateGatherElements(Backward &b, Operation *op, Value gradient) {
  auto gather = cast<GatherElementsOp>(op);
  b.add(gather.getX(), b.e.scatterElements(makeZeros(b.e, gather.getX()), gather.getIndices(), gradient, static_cast<int64_t>(gather.getAxis()), ScatterKind::add));
}

/// Fails for scatterings that multiply or compare.
bool checkScatter(Backward &b, Operation *op, ScatterKind kind) {
  bool isKnown = kind == ScatterKind::none || kind == ScatterKind::add;
  if (!isKnown)
    b.e.fail("there is no derivative of scattering by products or extremes, which node '" + graph::getNodeName(op) + "' does");
  return isKnown;
}

void differentiateScatterElements(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto scatter = cast<ScatterElementsOp>(op);
  if (!checkScatter(b, op, scatter.getKind()))
    return;
  auto axis = static_cast<int64_t>(scatter.getAxis());
  bool isAdded = scatter.getKind() == ScatterKind::add;
  if (b.wants(scatter.getX()))
    b.add(scatter.getX(), isAdded ? gradient : e.scatterElements(gradient, scatter.getIndices(), makeZeros(e, scatter.getUpdates()), axis, ScatterKind::none));
  if (b.wants(scatter.getUpdates()))
    b.add(scatter.getUpdates(), e.gatherElements(gradient, scatter.getIndices(), axis));
}

void differentiateGatherND(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto gather = cast<GatherNDOp>(op);
  Value x = gather.getX();
  if (gather.getBatchDims())
    return void(e.fail("there is no derivative of gathering in batches, which node '" + graph::getNodeName(op) + "' does"));
  b.add(x, e.make<ScatterNDOp>(Emitter::dimsOf(x), Emitter::elementOf(x), makeZeros(e, x), gather.getIndices(), gradient, ScatterKind::add));
}

void differentiateScatterND(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto scatter = cast<ScatterNDOp>(op);
  if (!checkScatter(b, op, scatter.getKind()))
    return;
  Value x = scatter.getX(), updates = scatter.getUpdates();
  if (b.wants(x) && scatter.getKind() == ScatterKind::add)
    b.add(x, gradient);
  else if (b.wants(x))
    b.add(x, e.make<ScatterNDOp>(Emitter::dimsOf(x), Emitter::elementOf(x), gradient, scatter.getIndices(), makeZeros(e, updates), ScatterKind::none));
  if (b.wants(updates))
    b.add(updates, e.make<GatherNDOp>(Emitter::dimsOf(updates), Emitter::elementOf(updates), gradient, scatter.getIndices(), 0));
}

} // namespace

void addMovementDerivatives(DerivativeTable &table) {
  table[ReshapeOp::getOperationName()] = differentiateReshape;
  table[BroadcastOp::getOperationName()] = differentiateBroadcast;
  table[TransposeOp::getOperationName()] = differentiateTranspose;
  table[SliceOp::getOperationName()] = differentiateSlice;
  table[ConcatOp::getOperationName()] = differentiateConcat;
  table[PadOp::getOperationName()] = differentiatePad;
  table[TileOp::getOperationName()] = differentiateTile;
  table[GatherOp::getOperationName()] = differentiateGather;
  table[GatherElementsOp::getOperationName()] = differentiateGatherElements;
  table[ScatterElementsOp::getOperationName()] = differentiateScatterElements;
  table[GatherNDOp::getOperationName()] = differentiateGatherND;
  table[ScatterNDOp::getOperationName()] = differentiateScatterND;
}

} // namespace onager::frontend
