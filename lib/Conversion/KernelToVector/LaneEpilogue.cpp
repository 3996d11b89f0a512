// Epilogues of whole vectors; see LaneEpilogue.h.
#include "lib/Conversion/KernelToVector/LaneEpilogue.h"
#include "dialects/Graph/IR/Shapes.h"
#include "lib/Conversion/KernelToVector/Plane.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace onager {

/// Operations whose emitters make a vector of vectors, and that take no registers of their own beside the sums.
static bool hasVectorForm(Operation &op) {
  return isa<graph::AddOp, graph::SubOp, graph::MulOp, graph::MaxOp, graph::MinOp, graph::ReluOp>(op);
}

static bool isF32(Value value) { return cast<RankedTensorType>(value.getType()).getElementType().isF32(); }

/// True for a constant or an operand of the unit with one number for each channel, or for all pixels.
static bool isOfChannels(Value value, size_t rank) {
  bool isGiven = isa<BlockArgument>(value) || value.getDefiningOp<graph::ConstantOp>();
  graph::Dims dims = graph::getDims(value);
  for (size_t k = 0; k < dims.size(); ++k)
    isGiven &= k + rank - dims.size() == 1 || graph::isConstant(dims[k], 1);
  return isGiven && isF32(value);
}

/// The operations behind one in its unit, but for constants.
static SmallVector<Operation *> getOperationsBehind(Value result) {
  SmallVector<Operation *> behind;
  for (Operation *op = result.getDefiningOp()->getNextNode(); !op->hasTrait<OpTrait::IsTerminator>(); op = op->getNextNode())
    if (!isa<graph::ConstantOp>(op))
      behind.push_back(op);
  return behind;
}

bool hasLaneEpilogue(kernel::UnitOp unit, Value result) {
  Operation *yield = unit.getBody().front().getTerminator();
  graph::Dims dims = graph::getDims(result);
  llvm::SmallDenseSet<Value> pixels{result};
  for (Operation *op : getOperationsBehind(result)) {
    auto isShared = [&](Value operand) { return pixels.contains(operand) || isOfChannels(operand, dims.size()); };
    if (!hasVectorForm(*op) || !isF32(op->getResult(0)) || graph::getDims(op->getResult(0)) != dims || !llvm::all_of(op->getOperands(), isShared))
      return false;
    pixels.insert(op->getResult(0));
  }
  return yield->getNumOperands() == 1 && pixels.contains(yield->getOperand(0)) && isF32(result);
}

LaneEpilogue::LaneEpilogue(UnitEmitter &e, Value result, Value image, Value channel) : e(e), result(result), index{image, channel} {
  graph::Dims dims = graph::getDims(result);
  index.resize(dims.size(), e.i64(0));
  llvm::SmallSetVector<Value, 4> shared;
  for (Operation *op : getOperationsBehind(result))
    for (Value operand : op->getOperands())
      if (isOfChannels(operand, dims.size()))
        shared.insert(operand);
  for (Value value : shared) {
    Type f32 = e.b.getF32Type();
    Value number;
    if (ElementsAttr constant = graph::getConstantValue(value); constant && cast<RankedTensorType>(value.getType()).getNumElements() == 1) {
      SmallVector<char> storage;
      number = e.constant(f32, graph::readNumber(f32, graph::getConstantBytes(constant, storage), 0));
    } else {
      number = e.load(f32, e.getBuffer(value), e.linearize(e.broadcastIndex(value, dims, index), graph::getDims(value)), /*invariant=*/true);
    }
    numbers.emplace_back(value, splat(e, number));
  }
}

Value LaneEpilogue::apply(Value lanes) {
  for (auto [value, vector] : numbers)
    e.overrideElement(value, [vector = vector](ArrayRef<Value>) { return vector; });
  e.overrideElement(result, [&](ArrayRef<Value>) { return lanes; });
  Value finished = e.element(e.unit.getBody().front().getTerminator()->getOperand(0), index);
  e.clearOverrides();
  return finished;
}

} // namespace onager
