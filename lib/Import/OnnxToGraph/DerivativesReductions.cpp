// Derivatives of reductions, softmax and normalisation. Elements that are the extreme together share its derivative.
#include "lib/Import/OnnxToGraph/Gradient.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

Value sum(Emitter &e, Value x, ArrayRef<int64_t> axes) { return e.reduce(ReduceKind::sum, x, axes); }
Value mean(Emitter &e, Value x, ArrayRef<int64_t> axes) { return e.reduce(ReduceKind::mean, x, axes); }

/// The number of elements that a reduction takes together, as a scalar of x's type.
Value countReduced(Emitter &e, Value x, ArrayRef<int64_t> axes) {
  Exprs extents;
  for (int64_t axis : axes)
    extents.push_back(Emitter::dimsOf(x)[axis]);
  return e.cast(e.indexTensor({Emitter::product(extents, e.context())}, {}, e.i64()), Emitter::elementOf(x));
}

Value cumulate(Emitter &e, Value x, ReduceKind kind, int64_t axis, bool exclusive, bool reverse) {
  return x ? e.make<CumulateOp>(Emitter::dimsOf(x), Emitter::elementOf(x), x, kind, axis, exclusive, reverse) : x;
}

/// Products of all elements along an axis but the own one.
Value multiplyOthers(Emitter &e, Value x, int64_t axis) {
  return e.mul(cumulate(e, x, ReduceKind::prod, axis, true, false), cumulate(e, x, ReduceKind::prod, axis, true, true));
}

/// One axis after the other, from the last product back.
Value differentiateProduct(Emitter &e, Value x, ArrayRef<int64_t> axes, Value gradient) {
  Values products{x};
  for (int64_t axis : axes)
    products.push_back(e.reduce(ReduceKind::prod, products.back(), {axis}));
  for (size_t k = axes.size(); k-- > 0;)
    gradient = e.mul(gradient, multiplyOthers(e, products[k], axes[k]));
  return gradient;
}

Value differentiateExtreme(Emitter &e, Value x, Value y, ArrayRef<int64_t> axes, Value gradient) {
  Value hits = e.cast(e.compare<EqualOp>(x, y), Emitter::elementOf(x));
  return e.mul(hits, e.div(gradient, sum(e, hits, axes)));
}

void differentiateReduce(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto reduce = cast<ReduceOp>(op);
  Value x = reduce.getX();
  ArrayRef<int64_t> axes = reduce.getAxes();
  switch (reduce.getKind()) {
  case ReduceKind::sum:
    break;
  case ReduceKind::mean:
    gradient = e.div(gradient, countReduced(e, x, axes));
    break;
  case ReduceKind::sum_square:
    gradient = e.mul(gradient, e.mulNumber(x, 2));
    break;
  case ReduceKind::sum_abs:
    gradient = e.mul(gradient, e.unary<SignOp>(x));
    break;
  case ReduceKind::prod:
    gradient = differentiateProduct(e, x, axes, gradient);
    break;
  case ReduceKind::max:
  case ReduceKind::min:
    gradient = differentiateExtreme(e, x, reduce.getResult(), axes, gradient);
    break;
  }
  b.add(x, e.broadcast(gradient, Emitter::dimsOf(x)));
}

void differentiateCumulate(Backward &b, Operation *op, Value gradient) {
  auto running = cast<CumulateOp>(op);
  if (running.getKind() != ReduceKind::sum)
    return void(b.e.fail("there is no derivative of running products, which node '" + graph::getNodeName(op) + "' has"));
  b.add(running.getX(), cumulate(b.e, gradient, ReduceKind::sum, static_cast<int64_t>(running.getAxis()), running.getExclusive(), !running.getReverse()));
}

void differentiateSoftmax(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto softmax = cast<SoftmaxOp>(op);
  auto axis = static_cast<int64_t>(softmax.getAxis());
  Value y = softmax.getResult();
  if (softmax.getLog())
    b.add(softmax.getX(), e.sub(gradient, e.mul(e.unary<ExpOp>(y), sum(e, gradient, {axis}))));
  else
    b.add(softmax.getX(), e.mul(y, e.sub(gradient, sum(e, e.mul(gradient, y), {axis}))));
}

/// With r = 1 / sqrt(variance + epsilon): r (g - mean g - y mean(g y)); without the mean of g for the root mean square.
void differentiateNormalize(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto normalized = cast<NormalizeOp>(op);
  ArrayRef<int64_t> axes = normalized.getAxes();
  Value x = normalized.getX(), y = normalized.getResult(), centred = normalized.getRms() ? x : e.sub(x, mean(e, x, axes));
  Value variance = mean(e, e.mul(centred, centred), axes);
  Value scale = e.unary<ReciprocalOp>(e.unary<SqrtOp>(e.addNumber(variance, normalized.getEpsilon().convertToDouble())));
  Value inner = e.sub(gradient, e.mul(y, mean(e, e.mul(gradient, y), axes)));
  b.add(x, e.mul(scale, normalized.getRms() ? inner : e.sub(inner, mean(e, gradient, axes))));
}

void differentiateMatmul(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto matmul = cast<MatmulOp>(op);
  if (b.wants(matmul.getLhs()))
    b.add(matmul.getLhs(), e.matmul(gradient, e.transposeLast(matmul.getRhs())));
  if (b.wants(matmul.getRhs()))
    b.add(matmul.getRhs(), e.matmul(e.transposeLast(matmul.getLhs()), gradient));
}

} // namespace

void addReductionDerivatives(DerivativeTable &table) {
  table[ReduceOp::getOperationName()] = differentiateReduce;
  table[CumulateOp::getOperationName()] = differentiateCumulate;
  table[SoftmaxOp::getOperationName()] = differentiateSoftmax;
  table[NormalizeOp::getOperationName()] = differentiateNormalize;
  table[MatmulOp::getOperationName()] = differentiateMatmul;
}

} // namespace onager::frontend
