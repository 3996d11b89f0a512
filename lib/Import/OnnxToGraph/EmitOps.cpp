// Elementwise operations, reductions, contractions and library kernels of the emitter.
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace onager::frontend {

/// Contents are kept up to this number of elements for floats.
static constexpr size_t kMaxFloats = 64;

static std::string describe(Type type) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  type.print(stream);
  return text;
}

bool Emitter::checkBinary(Value a, Value b) {
  if (!a || !b)
    return false;
  if (elementOf(a) == elementOf(b))
    return true;
  fail("operands of types " + describe(elementOf(a)) + " and " + describe(elementOf(b)));
  return false;
}

Value Emitter::finish(Operation *op) {
  Value result = op->getResult(0);
  auto type = mlir::cast<RankedTensorType>(result.getType());
  if (!type.hasStaticShape() || type.getNumElements() > kMaxContents)
    return result;
  Value known;
  builder.setInsertionPoint(op);
  if (isa<IntegerType>(type.getElementType())) {
    if (std::optional<Exprs> list = foldContents(*this, op))
      known = indexTensor(*list, type.getShape(), type.getElementType());
  } else if (static_cast<size_t>(type.getNumElements()) <= kMaxFloats) {
    if (std::optional<std::vector<double>> list = foldNumbers(*this, op))
      known = tensor(*list, type.getShape(), type.getElementType());
  }
  builder.setInsertionPointAfter(op);
  if (!known)
    return result;
  op->erase();
  return known;
}

Value Emitter::select(Value condition, Value a, Value b) {
  if (!condition || !checkBinary(a, b))
    return {};
  if (!elementOf(condition).isInteger(1))
    return fail("the condition is not boolean");
  Dims dims = broadcastDims(dimsOf(condition), broadcastDims(dimsOf(a), dimsOf(b)));
  return make<graph::SelectOp>(dims, elementOf(a), condition, a, b);
}

Value Emitter::cast(Value x, Type element, bool saturate) {
  if (!x || elementOf(x) == element)
    return x;
  return make<graph::CastOp>(dimsOf(x), element, x, saturate);
}

Value Emitter::mod(Value a, Value b, bool fmod) {
  if (!checkBinary(a, b))
    return {};
  Dims dims = broadcastDims(dimsOf(a), dimsOf(b));
  return make<graph::ModOp>(dims, elementOf(a), a, b, fmod);
}

Value Emitter::reduce(graph::ReduceKind kind, Value x, ArrayRef<int64_t> axes, bool keepDims) {
  if (!x)
    return {};
  Ints sorted = axesOf(axes, rankOf(x));
  if (hasFailed())
    return {};
  Dims dims = dimsOf(x);
  for (int64_t axis : sorted)
    dims[axis] = number(1);
  Value result = sorted.empty() && kind != graph::ReduceKind::sum_abs && kind != graph::ReduceKind::sum_square
                     ? x
                     : make<graph::ReduceOp>(dims, elementOf(x), x, kind, sorted);
  return keepDims ? result : squeeze(result, sorted);
}

Value Emitter::argReduce(Value x, bool isMax, int64_t axis, bool keepDims, bool last) {
  if (!x)
    return {};
  axis = axisOf(axis, rankOf(x));
  if (hasFailed())
    return {};
  Dims dims = dimsOf(x);
  dims[axis] = number(1);
  auto kind = isMax ? graph::ReduceKind::max : graph::ReduceKind::min;
  Value result = make<graph::ArgReduceOp>(dims, i64(), x, kind, axis, last);
  return keepDims ? result : squeeze(result, {axis});
}

Value Emitter::softmax(Value x, int64_t axis, bool log) {
  if (!x)
    return {};
  if (!isFloat(x))
    return fail("softmax of a type that is not a float");
  axis = axisOf(axis, rankOf(x));
  return make<graph::SoftmaxOp>(dimsOf(x), elementOf(x), x, axis, log);
}

Value Emitter::normalizeOver(Value x, ArrayRef<int64_t> axes, double epsilon, bool rms) {
  if (!x)
    return {};
  if (!isFloat(x))
    return fail("normalisation of a type that is not a float");
  Ints sorted = axesOf(axes, rankOf(x));
  if (hasFailed())
    return {};
  return make<graph::NormalizeOp>(dimsOf(x), elementOf(x), x, sorted, APFloat(epsilon), rms);
}

Value Emitter::matmul(Value a, Value b, Type element) {
  if (!a || !b)
    return {};
  int64_t rankA = rankOf(a), rankB = rankOf(b);
  if (rankA == 0 || rankB == 0)
    return fail("an operand of a matrix product is a scalar");
  if (!element && !checkBinary(a, b))
    return {};
  if (rankA == 1)
    a = unsqueeze(a, {0});
  if (rankB == 1)
    b = unsqueeze(b, {1});
  if (!a || !b)
    return {};
  Dims x = dimsOf(a), y = dimsOf(b);
  unify(x.back(), y[y.size() - 2], "inner dims of a matrix product");
  Dims dims = broadcastDims(ArrayRef(x).drop_back(2), ArrayRef(y).drop_back(2));
  dims.push_back(x[x.size() - 2]);
  dims.push_back(y.back());
  Value result = make<graph::MatmulOp>(dims, element ? element : elementOf(a), a, b);
  if (result && rankB == 1)
    result = squeeze(result, {rankOf(result) - 1});
  if (result && rankA == 1)
    result = squeeze(result, {rankOf(result) - (rankB == 1 ? 1 : 2)});
  return result;
}

graph::CallOp Emitter::callMany(StringRef kernel, ArrayRef<Value> inputs, ArrayRef<int64_t> params, ArrayRef<Type> results,
                                ArrayRef<AffineExpr> bound, ArrayRef<AffineExpr> capacity) {
  if (hasFailed() || llvm::is_contained(inputs, Value()) || llvm::is_contained(results, Type()))
    return {};
  SmallVector<int64_t> numbers;
  for (AffineExpr symbol : bound)
    numbers.push_back(mlir::cast<AffineSymbolExpr>(symbol).getPosition());
  AffineMapAttr room = capacity.empty() && bound.empty() ? AffineMapAttr() : graph::makeExprs(context(), capacity);
  return graph::CallOp::create(builder, location, results, inputs, kernel, params, numbers, room);
}

Value Emitter::call(StringRef kernel, ArrayRef<Value> inputs, ArrayRef<int64_t> params, ArrayRef<AffineExpr> dims, Type element) {
  graph::CallOp op = callMany(kernel, inputs, params, {tensorType(dims, element)});
  return op ? op->getResult(0) : Value();
}

} // namespace onager::frontend
