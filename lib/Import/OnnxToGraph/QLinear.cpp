// Operators on 8-bit numbers of the domain com.microsoft: what they compute on reals, between a dequantisation and a quantisation.
#include "lib/Import/OnnxToGraph/Quantization.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

Value toScalar(Emitter &e, Value parameter) { return parameter ? e.reshape(parameter, {}) : Value(); }

/// (x - zero point) * scale for three inputs in a row, of which the last may be absent.
Value dequantize(Node &node, unsigned first) {
  Emitter &e = node.e;
  Value centred = centre(e, node.in(first), toScalar(e, node.opt(first + 2)));
  return e.mul(e.cast(centred, e.f32()), toScalar(e, node.in(first + 1)));
}

/// The result, of x's type where there is no zero point.
Value quantize(Node &node, Value real, unsigned scale, Value x) {
  Emitter &e = node.e;
  Value zeroPoint = toScalar(e, node.opt(scale + 1)), factor = toScalar(e, node.in(scale));
  if (!real || !factor || !x)
    return {};
  return requantize(e, e.div(real, factor), zeroPoint, Emitter::elementOf(x), true);
}

/// Quantises x that was divided by the scale: with the zero point added before rounding, as the kernels of sums and products do.
Value roundShifted(Node &node, Value x, Value zeroPoint, Type type) {
  Emitter &e = node.e;
  zeroPoint = zeroPoint ? e.cast(toScalar(e, zeroPoint), e.f32()) : Value();
  return requantize(e, zeroPoint ? e.add(x, zeroPoint) : x, {}, type, true);
}

void importAdd(Node &node) {
  Emitter &e = node.e;
  Value scale = toScalar(e, node.in(6)), a = node.in(0);
  // A term times the ratio of its scale to the result's: no division by element.
  auto term = [&](unsigned first) {
    return e.mul(e.cast(centre(e, node.in(first), toScalar(e, node.opt(first + 2))), e.f32()), e.div(toScalar(e, node.in(first + 1)), scale));
  };
  Value sum = e.add(term(0), term(3));
  if (sum && a)
    node.set(0, roundShifted(node, sum, node.opt(7), Emitter::elementOf(a)));
}

void importMul(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(3);
  Value product = e.mul(centre(e, a, toScalar(e, node.opt(2))), centre(e, b, toScalar(e, node.opt(5))));
  Value scale = e.div(e.mul(toScalar(e, node.in(1)), toScalar(e, node.in(4))), toScalar(e, node.in(6)));
  if (product && scale)
    node.set(0, roundShifted(node, e.mul(e.cast(product, e.f32()), scale), node.opt(7), Emitter::elementOf(a)));
}

/// (1 / scale) / (1 + e^-x): one division for the function and the quantisation.
void importSigmoid(Node &node) {
  Emitter &e = node.e;
  Value x = dequantize(node, 0), scale = toScalar(e, node.in(3)), zeroPoint = toScalar(e, node.opt(4));
  if (!x || !scale)
    return;
  Value power = e.unary<ExpOp>(e.unary<NegOp>(x)), quotient = e.div(e.div(e.scalar(1, e.f32()), scale), e.addNumber(power, 1));
  node.set(0, requantize(e, quotient, zeroPoint, Emitter::elementOf(node.in(0)), true));
}

void importLeakyRelu(Node &node) {
  Values y = importAs(node, "LeakyRelu", 16, {dequantize(node, 0)});
  node.set(0, quantize(node, y[0], 3, node.in(0)));
}

/// Applies `compute` to an operand whose channels come last, as if they stood at dim 1.
Value withChannelsFirst(Node &node, Value x, llvm::function_ref<Value(Value)> compute) {
  Emitter &e = node.e;
  if (!x || !node.getInt("channels_last", 0))
    return x ? compute(x) : Value();
  int64_t rank = Emitter::rankOf(x);
  if (rank < 3)
    return e.fail("expected rank 3 or more, found rank " + Twine(rank));
  Ints first{0, rank - 1}, last{0};
  for (int64_t k = 1; k < rank - 1; ++k) {
    first.push_back(k);
    last.push_back(k + 1);
  }
  last.push_back(1);
  Value y = compute(e.transpose(x, first));
  return y ? e.transpose(y, last) : Value();
}

void importAveragePool(Node &node) {
  Value y = withChannelsFirst(node, dequantize(node, 0), [&](Value x) { return importAs(node, "AveragePool", 19, {x})[0]; });
  node.set(0, quantize(node, y, 3, node.in(0)));
}

/// The numbers are summed as they are; zero point and scale follow.
void importGlobalAveragePool(Node &node) {
  Emitter &e = node.e;
  Value bytes = node.in(0), scale = toScalar(e, node.in(1)), zeroPoint = toScalar(e, node.opt(2));
  if (!bytes)
    return;
  if (Emitter::rankOf(bytes) < 3)
    return void(e.fail("expected rank 3 or more, found rank " + Twine(Emitter::rankOf(bytes))));
  Value y = withChannelsFirst(node, e.cast(bytes, e.i32()), [&](Value x) {
    Dims dims = Emitter::dimsOf(x);
    Value sum = e.reduce(ReduceKind::sum, x, llvm::to_vector(llvm::seq<int64_t>(2, Emitter::rankOf(x))));
    Value count = e.indexTensor({Emitter::product(ArrayRef(dims).drop_front(2), e.context())}, {}, e.i64());
    if (zeroPoint)
      sum = e.sub(sum, e.mul(e.cast(zeroPoint, e.i32()), e.cast(count, e.i32())));
    return e.mul(e.cast(sum, e.f32()), e.div(scale, e.cast(count, e.f32())));
  });
  node.set(0, quantize(node, y, 3, node.in(0)));
}

void importConcat(Node &node) {
  Emitter &e = node.e;
  Values parts;
  if (node.numInputs() < 5 || node.numInputs() % 3 != 2)
    return void(e.fail(Twine(node.numInputs()) + " inputs, expected 2 and 3 of each part"));
  for (unsigned k = 2; k < node.numInputs(); k += 3)
    parts.push_back(quantize(node, dequantize(node, k), 0, node.in(k)));
  node.set(0, e.concat(parts, node.getInt("axis", 0)));
}

/// softmax over the axis; before opset 13 over it and all dims behind it.
void importSoftmax(Node &node) {
  int64_t opset = node.getInt("opset", 13);
  if (opset < 1)
    return void(node.e.fail("opset is " + Twine(opset)));
  if (Value x = node.in(0))
    node.set(0, quantize(node, importAs(node, "Softmax", opset, {dequantize(node, 0)})[0], 3, x));
}

void importWhere(Node &node) {
  Emitter &e = node.e;
  Value condition = node.in(0), x = node.in(1), y = node.in(4);
  if (condition && x && y)
    node.set(0, e.select(condition, quantize(node, dequantize(node, 1), 7, x), quantize(node, dequantize(node, 4), 7, y)));
}

void importReduceMean(Node &node) { node.set(0, quantize(node, importAs(node, "ReduceMean", 13, {dequantize(node, 0)})[0], 3, node.in(0))); }

void importConv(Node &node) {
  Value filter = node.in(3), data = node.in(0);
  if (!filter || !data || Emitter::rankOf(data) < 3 || Emitter::rankOf(filter) != Emitter::rankOf(data))
    return void(node.e.fail("expected data and a filter of one rank, 3 or more"));
  Values inputs;
  for (unsigned k = 1; k < 9; ++k)
    inputs.push_back(node.opt(k));
  node.set(0, withChannelsFirst(node, node.in(0), [&](Value x) {
             Values all{x};
             all.append(inputs);
             return importAs(node, "QLinearConv", 10, all)[0];
           }));
}

} // namespace

void addQLinear(OperatorTable &table) {
  auto add = [&](StringRef op, ImportFunction function) { table.addIn("com.microsoft", op, function); };
  add("QLinearAdd", importAdd);
  add("QLinearMul", importMul);
  add("QLinearSigmoid", importSigmoid);
  add("QLinearLeakyRelu", importLeakyRelu);
  add("QLinearAveragePool", importAveragePool);
  add("QLinearGlobalAveragePool", importGlobalAveragePool);
  add("QLinearConcat", importConcat);
  add("QLinearSoftmax", importSoftmax);
  add("QLinearWhere", importWhere);
  add("QLinearReduceMean", importReduceMean);
  add("QLinearConv", importConv);
}

} // namespace onager::frontend
