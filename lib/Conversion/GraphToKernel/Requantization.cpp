// Reads chains from sums to bytes; see Requantization.h.
//
//   cast, mul s, add b, relu, div t      any number of scales, biases and limits: together one product and one sum, and limits in between
//   round, add z, max, min, cast         the zero point and the range of the bytes
//
// Limits move behind the steps that follow them, which keep their order where they multiply by positive numbers.
#include "lib/Conversion/GraphToKernel/Requantization.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace onager {

using graph::getElement;
using graph::getScalar;

namespace {

struct ChainReader {
  Value value;
  size_t rank, channel;
  AffineExpr channels;
  Requantization chain;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();

  ChainReader(Value sum, size_t channel) : value(sum), rank(graph::getDims(sum).size()), channel(channel), channels(graph::getDims(sum)[channel]) {}

  /// The only reader of the value, if it keeps its shape.
  Operation *getReader() const {
    if (!value.hasOneUse())
      return nullptr;
    Operation *op = *value.getUsers().begin();
    bool keeps = op->getNumResults() == 1 && isa<RankedTensorType>(op->getResult(0).getType()) && graph::getDims(op->getResult(0)) == graph::getDims(value);
    return keeps ? op : nullptr;
  }
  void take(Operation *op) {
    chain.ops.push_back(op);
    value = op->getResult(0);
  }

  /// The other operand of an operation on the value, where it is made of constants for channels.
  Value getConstantOperand(Operation *op) const {
    Value other = op->getOperand(op->getOperand(0) == value ? 1 : 0);
    return graph::isConstantTree(other) && graph::isPerChannel(other, rank, channel, channels) ? other : Value();
  }

  /// Takes a bias of integers and the cast to f32.
  bool readSum() {
    Operation *op = getReader();
    if (auto add = dyn_cast_or_null<graph::AddOp>(op)) {
      chain.bias = getConstantOperand(add);
      if (!chain.bias)
        return false;
      take(op);
      op = getReader();
    }
    if (!op || !isa<graph::CastOp>(op) || !getElement(op->getResult(0)).isF32())
      return false;
    take(op);
    return true;
  }

  /// Takes a step; limits before it need its number, which must be positive where it multiplies.
  bool takeStep(Operation *op, Requantization::Kind kind, bool isOrdered) {
    using Kind = Requantization::Kind;
    Value operand = getConstantOperand(op);
    if (!operand || (isOrdered && op->getOperand(0) != value))
      return false;
    if (std::isfinite(low) || std::isfinite(high)) {
      std::optional<double> number = getScalar(operand);
      bool isFactor = kind == Kind::multiply || kind == Kind::divide;
      if (!number || (isFactor && !(*number > 0)))
        return false;
      auto move = [&](double limit) {
        return kind == Kind::multiply ? limit * *number : kind == Kind::divide ? limit / *number : kind == Kind::add ? limit + *number : limit - *number;
      };
      low = move(low);
      high = move(high);
    }
    chain.steps.push_back({kind, operand});
    take(op);
    return true;
  }

  /// Takes max or min with one number.
  bool takeLimit(Operation *op, double &lowest, double &highest) {
    std::optional<double> limit = getScalar(op->getOperand(op->getOperand(0) == value ? 1 : 0));
    if (!limit)
      return false;
    lowest = isa<graph::MaxOp>(op) ? std::max(lowest, *limit) : std::min(lowest, *limit);
    highest = isa<graph::MaxOp>(op) ? std::max(highest, *limit) : std::min(highest, *limit);
    take(op);
    return true;
  }

  /// Takes everything up to the rounding.
  bool readSteps() {
    using Kind = Requantization::Kind;
    while (Operation *op = getReader()) {
      bool taken = false;
      if (isa<graph::RoundOp>(op))
        return take(op), true;
      if (isa<graph::ReluOp>(op)) {
        low = std::max(low, 0.0);
        high = std::max(high, 0.0);
        take(op);
        taken = true;
      } else if (isa<graph::MaxOp, graph::MinOp>(op)) {
        taken = takeLimit(op, low, high);
      } else if (isa<graph::MulOp, graph::DivOp>(op)) {
        taken = takeStep(op, isa<graph::MulOp>(op) ? Kind::multiply : Kind::divide, isa<graph::DivOp>(op));
      } else if (isa<graph::AddOp, graph::SubOp>(op)) {
        taken = takeStep(op, isa<graph::AddOp>(op) ? Kind::add : Kind::subtract, isa<graph::SubOp>(op));
      }
      if (!taken)
        return false;
    }
    return false;
  }

  /// Takes the zero point and the limits of the bytes.
  bool readBytes() {
    Operation *op = getReader();
    if (auto add = dyn_cast_or_null<graph::AddOp>(op)) {
      std::optional<double> zero = getScalar(op->getOperand(op->getOperand(0) == value ? 1 : 0));
      if (!zero || *zero != std::nearbyint(*zero) || std::abs(*zero) > 255)
        return false;
      chain.zeroPoint = static_cast<int64_t>(*zero);
      take(op);
      op = getReader();
    }
    double lowest = -std::numeric_limits<double>::infinity(), highest = std::numeric_limits<double>::infinity();
    for (; op && isa<graph::MaxOp, graph::MinOp>(op); op = getReader())
      if (!takeLimit(op, lowest, highest))
        return false;
    if (!op || !isa<graph::CastOp>(op))
      return false;
    Type type = getElement(op->getResult(0));
    double least = type.isUnsignedInteger(8) ? 0 : -128, most = least + 255;
    if (!(type.isUnsignedInteger(8) || type.isSignlessInteger(8)) || lowest < least || highest > most)
      return false;
    take(op);
    auto zero = static_cast<double>(chain.zeroPoint);
    chain.low = static_cast<int64_t>(std::clamp(std::clamp(std::nearbyint(low) + zero, lowest, highest), least, most));
    chain.high = static_cast<int64_t>(std::clamp(std::clamp(std::nearbyint(high) + zero, lowest, highest), least, most));
    return true;
  }
};

/// A binary operation on numbers of channels, either of which may be one number.
template <typename Op>
Value combine(PatternRewriter &rewriter, Location loc, Value a, Value b) {
  Type type = graph::getDims(a).size() >= graph::getDims(b).size() ? a.getType() : b.getType();
  return Op::create(rewriter, loc, type, a, b);
}

} // namespace

std::optional<Requantization> matchRequantization(Value sum, size_t channel) {
  ChainReader reader(sum, channel);
  if (!reader.readSum() || !reader.readSteps() || !reader.readBytes())
    return std::nullopt;
  return reader.chain;
}

Value makeLine(PatternRewriter &rewriter, Location loc, Value value) {
  graph::Dims dims;
  AffineExpr count = graph::getNumElements(rewriter.getContext(), graph::getDims(value));
  if (!graph::isConstant(count, 1))
    dims.push_back(count);
  if (graph::getDims(value) == dims)
    return value;
  return graph::ReshapeOp::create(rewriter, loc, graph::makeTensor(dims, getElement(value)), value);
}

Value makeInteger(PatternRewriter &rewriter, Location loc, int64_t value) {
  RankedTensorType type = graph::makeTensor({}, rewriter.getI32Type());
  return graph::ConstantOp::create(rewriter, loc, type, DenseElementsAttr::get(type, static_cast<int32_t>(value)));
}

Value makeWeightSums(PatternRewriter &rewriter, Location loc, Value weights, size_t channel, Value factor) {
  graph::Dims dims = graph::getDims(weights), kept(dims.size(), rewriter.getAffineConstantExpr(1));
  kept[channel] = dims[channel];
  SmallVector<int64_t> axes;
  for (size_t k = 0; k < dims.size(); ++k)
    if (k != channel)
      axes.push_back(static_cast<int64_t>(k));
  Type i32 = rewriter.getI32Type();
  Value sums = graph::ReduceOp::create(rewriter, loc, graph::makeTensor(kept, i32), weights, graph::ReduceKind::sum, axes);
  Value line = graph::ReshapeOp::create(rewriter, loc, graph::makeTensor({dims[channel]}, i32), sums);
  return graph::MulOp::create(rewriter, loc, line.getType(), line, makeLine(rewriter, loc, factor));
}

std::pair<Value, Value> Requantization::makeAffine(PatternRewriter &rewriter, Location loc, AffineExpr channels) const {
  RankedTensorType number = graph::makeTensor({}, rewriter.getF32Type());
  Value factor = graph::makeScalar(rewriter, loc, number, 1), summand = graph::makeScalar(rewriter, loc, number, 0);
  for (const Step &step : steps) {
    Value operand = makeLine(rewriter, loc, step.operand);
    switch (step.kind) {
    case Kind::multiply:
      factor = combine<graph::MulOp>(rewriter, loc, factor, operand);
      summand = combine<graph::MulOp>(rewriter, loc, summand, operand);
      break;
    case Kind::divide:
      factor = combine<graph::DivOp>(rewriter, loc, factor, operand);
      summand = combine<graph::DivOp>(rewriter, loc, summand, operand);
      break;
    case Kind::add:
      summand = combine<graph::AddOp>(rewriter, loc, summand, operand);
      break;
    case Kind::subtract:
      summand = combine<graph::SubOp>(rewriter, loc, summand, operand);
      break;
    }
  }
  RankedTensorType line = graph::makeTensor({channels}, rewriter.getF32Type());
  auto spread = [&](Value value) { return value.getType() == line ? value : Value(graph::BroadcastOp::create(rewriter, loc, line, value)); };
  return {spread(factor), spread(summand)};
}

} // namespace onager
