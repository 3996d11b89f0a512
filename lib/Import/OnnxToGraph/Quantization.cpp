// Quantised operators, written out in integers and floats.
#include "lib/Import/OnnxToGraph/Quantization.h"
#include "lib/Import/OnnxToGraph/Window.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

/// Lowest and highest number of an integer type.
static std::pair<double, double> getLimits(IntegerType type) {
  unsigned width = type.getWidth();
  if (type.isUnsigned())
    return {0, std::ldexp(1.0, static_cast<int>(width)) - 1};
  double half = std::ldexp(1.0, static_cast<int>(width) - 1);
  return {-half, half - 1};
}

Value requantize(Emitter &e, Value scaled, Value zeroPoint, Type type, bool saturate) {
  if (!scaled)
    return {};
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return e.cast(scaled, type, saturate);
  Type wide = Emitter::elementOf(scaled);
  if (wide.getIntOrFloatBitWidth() < 32) {
    wide = e.f32();
    scaled = e.cast(scaled, wide);
  }
  Value rounded = e.unary<RoundOp>(scaled);
  rounded = zeroPoint ? e.add(rounded, e.cast(zeroPoint, wide)) : rounded;
  auto [low, high] = getLimits(integer);
  Value clamped = e.minimum(e.maximum(rounded, e.scalar(low, wide)), e.scalar(high, wide));
  return e.cast(clamped, type);
}

/// Brings scale or zero point to a shape that broadcasts against x: per tensor, per axis, or per block along the axis.
static Value spreadParameter(Node &node, Value parameter, ArrayRef<AffineExpr> dims) {
  Emitter &e = node.e;
  if (!parameter)
    return {};
  Dims have = Emitter::dimsOf(parameter);
  auto rank = static_cast<int64_t>(dims.size());
  int64_t block = node.getInt("block_size", 0);
  if (have.empty() || (have.size() == 1 && graph::isConstant(have[0], 1) && block == 0))
    return e.reshape(parameter, {});
  int64_t stated = node.getInt("axis", 1);
  if (have.size() == 1 && block == 0 && (stated < -rank || stated >= rank) && !graph::getConstant(have[0])) {
    // Only one element for all makes sense of such an axis.
    e.require(have[0], e.number(1), "length of the scale, whose axis " + Twine(stated) + " is outside rank " + Twine(rank));
    return e.reshape(parameter, {});
  }
  int64_t axis = e.axisOf(stated, rank);
  if (e.hasFailed())
    return {};
  if (have.size() == 1 && block == 0) {
    Dims line(rank, e.number(1));
    line[axis] = have[0];
    // One element serves all; whether there is one may be known only while the model runs.
    if (graph::getConstant(have[0]))
      e.unify(have[0], dims[axis], "length of the scale and the quantised dim");
    return e.reshape(parameter, line);
  }
  if (static_cast<int64_t>(have.size()) != rank || block < 1)
    return e.fail("a scale of rank " + Twine(have.size()) + " for rank " + Twine(rank) + " and block_size " + Twine(block));
  Dims split = have, repeated = have, merged = have;
  split.insert(split.begin() + axis + 1, e.number(1));
  repeated.insert(repeated.begin() + axis + 1, e.number(block));
  merged[axis] = have[axis] * block;
  Value spread = e.reshape(e.broadcast(e.reshape(parameter, split), repeated), merged);
  return e.sliceAxis(spread, axis, e.number(0), dims[axis]);
}

static void importQuantizeLinear(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1), zeroPoint = node.opt(2);
  if (!x || !scale)
    return;
  int64_t number = node.getInt("output_dtype", 0);
  Type type = zeroPoint ? Emitter::elementOf(zeroPoint) : IntegerType::get(e.context(), 8, IntegerType::Unsigned);
  if (!zeroPoint && number)
    type = convertNumberType(number, e.context());
  if (!type) {
    e.fail("output_dtype " + describeElementType(static_cast<int32_t>(number)) + " is not supported");
    return;
  }
  Dims dims = Emitter::dimsOf(x);
  int64_t precision = node.getInt("precision", 0);
  Type wide = precision ? convertNumberType(precision, e.context()) : Emitter::elementOf(scale);
  if (!wide || !isa<FloatType>(wide) || wide.getIntOrFloatBitWidth() < 16)
    wide = e.f32();
  Value spread = spreadParameter(node, scale, dims), offset = spreadParameter(node, zeroPoint, dims);
  Value scaled = e.div(e.cast(x, wide), e.cast(spread, wide));
  node.set(0, requantize(e, scaled, isa<IntegerType>(type) ? offset : Value(), type, node.getInt("saturate", 1) != 0));
}

static void importDequantizeLinear(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), scale = node.in(1), zeroPoint = node.opt(2);
  if (!x || !scale)
    return;
  Dims dims = Emitter::dimsOf(x);
  int64_t number = node.getInt("output_dtype", 0);
  Type type = number ? convertNumberType(number, e.context()) : Emitter::elementOf(scale);
  if (!type || !isa<FloatType>(type)) {
    e.fail("output_dtype is not a supported float");
    return;
  }
  Type wide = Emitter::elementOf(scale).getIntOrFloatBitWidth() < 16 ? type : Emitter::elementOf(scale);
  Value spread = e.cast(spreadParameter(node, scale, dims), wide), offset = spreadParameter(node, zeroPoint, dims);
  Value centred;
  if (isa<IntegerType>(Emitter::elementOf(x)))
    centred = offset ? e.cast(e.sub(e.cast(x, e.i32()), e.cast(offset, e.i32())), wide) : e.cast(x, wide);
  else
    centred = e.cast(x, wide);
  node.set(0, e.cast(e.mul(centred, spread), type));
}

static void importDynamicQuantizeLinear(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Ints axes(llvm::to_vector(llvm::seq<int64_t>(0, Emitter::rankOf(x))));
  Value zero = e.scalar(0, e.f32()), one = e.scalar(1, e.f32());
  Value high = e.maximum(e.reduce(ReduceKind::max, x, axes, false), zero), low = e.minimum(e.reduce(ReduceKind::min, x, axes, false), zero);
  Value range = e.divNumber(e.sub(high, low), 255);
  Value scale = range ? e.select(e.compare<EqualOp>(range, zero), one, range) : Value();
  Type type = IntegerType::get(e.context(), 8, IntegerType::Unsigned);
  Value zeroPoint = requantize(e, low ? e.div(e.unary<NegOp>(low), scale) : Value(), {}, type, true);
  if (!zeroPoint)
    return;
  node.set(0, requantize(e, e.div(x, scale), zeroPoint, type, true));
  node.set(1, scale);
  node.set(2, zeroPoint);
}

Value centre(Emitter &e, Value x, Value zeroPoint) {
  Value wide = e.cast(x, e.i32());
  return zeroPoint ? e.sub(wide, e.cast(zeroPoint, e.i32())) : wide;
}

/// A parameter of the left operand: one number, one per row, or shaped like the operand.
static Value perRow(Emitter &e, Value parameter, Value operand) {
  if (!parameter || !operand)
    return {};
  Dims have = Emitter::dimsOf(parameter);
  if (have.empty() || (have.size() == 1 && graph::isConstant(have[0], 1)))
    return e.reshape(parameter, {});
  return have.size() == 1 && Emitter::rankOf(operand) > 1 ? e.unsqueeze(parameter, {1}) : parameter;
}

static Value perColumn(Emitter &e, Value parameter) {
  if (!parameter)
    return {};
  Dims have = Emitter::dimsOf(parameter);
  return have.size() == 1 && graph::isConstant(have[0], 1) ? e.reshape(parameter, {}) : parameter;
}

static void importMatMulInteger(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(1);
  Value x = centre(e, a, perRow(e, node.opt(2), a)), y = centre(e, b, perColumn(e, node.opt(3)));
  node.set(0, e.matmul(x, y));
}

static void importQLinearMatMul(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), aScale = node.in(1), aZero = node.in(2), b = node.in(3), bScale = node.in(4), bZero = node.in(5);
  Value yScale = node.in(6), yZero = node.in(7);
  Value product = e.matmul(centre(e, a, perRow(e, aZero, a)), centre(e, b, perColumn(e, bZero)));
  Type wide = e.f32();
  Value scale = e.mul(e.cast(perRow(e, aScale, a), wide), e.cast(perColumn(e, bScale), wide));
  Value factor = e.div(scale, e.cast(perRow(e, yScale, product), wide));
  if (yZero)
    node.set(0, requantize(e, e.mul(e.cast(product, wide), factor), perRow(e, yZero, product), Emitter::elementOf(yZero), true));
}

/// A filter's parameter: one number, or one per output channel.
static Value perFilter(Emitter &e, Value parameter, int64_t trailing) {
  if (!parameter)
    return {};
  Dims have = Emitter::dimsOf(parameter);
  if (have.empty() || (have.size() == 1 && graph::isConstant(have[0], 1)))
    return e.reshape(parameter, {});
  Dims dims(trailing + 1, e.number(1));
  dims[0] = Emitter::product(have, e.context());
  return e.reshape(parameter, dims);
}

/// True for a filter with channels and at least one spatial dim; fails for others.
static bool checkFilter(Emitter &e, Value filter) {
  if (filter && Emitter::rankOf(filter) < 3)
    e.fail("a filter of rank " + Twine(Emitter::rankOf(filter)) + ", expected 3 or more");
  return filter && !e.hasFailed();
}

static void importConvInteger(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), filter = node.in(1);
  if (!x || !checkFilter(e, filter))
    return;
  Value data = centre(e, x, perColumn(e, node.opt(2))), weights = centre(e, filter, perFilter(e, node.opt(3), Emitter::rankOf(filter) - 1));
  node.set(0, convolve(node, data, weights, e.i32()));
}

static void importQLinearConv(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), xScale = node.in(1), xZero = node.in(2), filter = node.in(3), wScale = node.in(4), wZero = node.in(5);
  Value yScale = node.in(6), yZero = node.in(7);
  if (!x || !yZero || !checkFilter(e, filter))
    return;
  int64_t rank = Emitter::rankOf(filter);
  Value sum = convolve(node, centre(e, x, perColumn(e, xZero)), centre(e, filter, perFilter(e, wZero, rank - 1)), e.i32());
  if (node.has(8))
    sum = addChannelBias(e, sum, node.in(8));
  Value scale = e.mul(e.reshape(xScale, {}), perFilter(e, wScale, rank - 2));
  Value factor = e.div(scale, e.reshape(yScale, {}));
  node.set(0, requantize(e, e.mul(e.cast(sum, e.f32()), factor), e.reshape(yZero, {}), Emitter::elementOf(yZero), true));
}

void addQuantization(OperatorTable &table) {
  table.add("QuantizeLinear", importQuantizeLinear);
  table.add("DequantizeLinear", importDequantizeLinear);
  table.add("DynamicQuantizeLinear", importDynamicQuantizeLinear);
  table.add("MatMulInteger", importMatMulInteger);
  table.add("QLinearMatMul", importQLinearMatMul);
  table.add("ConvInteger", importConvInteger);
  table.add("QLinearConv", importQLinearConv);
  table.addIn("com.microsoft", "QuantizeLinear", importQuantizeLinear);
  table.addIn("com.microsoft", "DequantizeLinear", importDequantizeLinear);
}

} // namespace onager::frontend
