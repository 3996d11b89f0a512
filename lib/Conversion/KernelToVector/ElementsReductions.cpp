// One element of each reduction and window: inner loops over what it reduces.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

namespace {

using graph::ReduceKind;
using Index = UnitEmitter::Index;

Type storageOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

/// Reduces x over `axes` at `index`, whose entries along the axes are replaced.
Value reduceOver(UnitEmitter &e, Value x, ArrayRef<int64_t> axes, ArrayRef<Value> index, Value init, function_ref<Value(Value, Value)> step) {
  graph::Dims dims = graph::getDims(x), reduced;
  for (int64_t axis : axes)
    reduced.push_back(dims[axis]);
  return reduceNest(e, reduced, init, [&](ArrayRef<Value> inner, Value sum) {
    Index at(index);
    for (auto [k, axis] : llvm::enumerate(axes))
      at[axis] = inner[k];
    return step(sum, e.element(x, at));
  });
}

Value countOf(UnitEmitter &e, Value x, ArrayRef<int64_t> axes) {
  Value count = e.i64(1);
  for (int64_t axis : axes)
    count = e.mul(count, e.extent(graph::getDims(x)[axis]));
  return count;
}

Value emitReduceElement(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto reduce = cast<graph::ReduceOp>(op);
  Type storage = storageOf(reduce.getX());
  SmallVector<int64_t> axes(reduce.getAxes());
  llvm::sort(axes);
  Value sum = reduceOver(e, reduce.getX(), axes, index, getIdentity(e, reduce.getKind(), storage), [&](Value running, Value x) {
    return accumulate(e, reduce.getKind(), storage, running, x);
  });
  return finishReduction(e, reduce.getKind(), storage, sum, countOf(e, reduce.getX(), axes));
}

} // namespace

Value isBetter(UnitEmitter &e, Value x, Value best, Type storage, bool largest, bool last) {
  if (isa<FloatType>(x.getType())) {
    auto predicate = largest ? (last ? arith::CmpFPredicate::OGE : arith::CmpFPredicate::OGT) : (last ? arith::CmpFPredicate::OLE : arith::CmpFPredicate::OLT);
    Value better = arith::CmpFOp::create(e.b, predicate, x, best);
    Value isNaN = arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNO, x, x), bestIsNaN = arith::CmpFOp::create(e.b, arith::CmpFPredicate::UNO, best, best);
    Value one = arith::ConstantIntOp::create(e.b, 1, 1);
    Value newNaN = arith::AndIOp::create(e.b, isNaN, arith::XOrIOp::create(e.b, bestIsNaN, one));
    return arith::OrIOp::create(e.b, better, newNaN);
  }
  bool isUnsigned = storage.isUnsignedInteger() || storage.isInteger(1);
  using P = arith::CmpIPredicate;
  P predicate = largest ? (last ? (isUnsigned ? P::uge : P::sge) : (isUnsigned ? P::ugt : P::sgt)) : (last ? (isUnsigned ? P::ule : P::sle) : (isUnsigned ? P::ult : P::slt));
  return arith::CmpIOp::create(e.b, predicate, x, best);
}

SmallVector<Value> forPoolTaps(UnitEmitter &e, graph::MaxPoolIndicesOp pool, ArrayRef<Value> index, Index at, size_t rank, ValueRange carried,
                               function_ref<SmallVector<Value>(ArrayRef<Value>, ValueRange)> body) {
  size_t d = at.size() - 2;
  if (d == rank)
    return body(at, carried);
  int64_t dilation = pool.getDilations()[d];
  Value start = e.sub(e.mul(index[at.size()], e.i64(pool.getStrides()[d])), e.extent(pool.getPads().getResult(d)));
  auto countSteps = [&](Value distance) { return e.floorDiv(e.add(e.maxSigned(distance, e.i64(0)), e.i64(dilation - 1)), e.i64(dilation)); };
  Value first = countSteps(e.sub(e.i64(0), start)), end = countSteps(e.sub(e.extent(graph::getDims(pool.getX())[at.size()]), start));
  return e.forLoop(first, e.minSigned(end, e.i64(pool.getKernel()[d])), 1, carried, [&](Value tap, ValueRange running) {
    Index next(at);
    next.push_back(e.add(start, e.mul(tap, e.i64(dilation))));
    return forPoolTaps(e, pool, index, next, rank, running, body);
  });
}

Value flattenPoolIndex(UnitEmitter &e, graph::MaxPoolIndicesOp pool, ArrayRef<Value> at) {
  graph::Dims dims = graph::getDims(pool.getX());
  if (!pool.getColumnMajor())
    return e.linearize(at, dims);
  Value linear = e.add(e.mul(at[0], e.extent(dims[1])), at[1]);
  for (size_t d = dims.size(); d-- > 2;)
    linear = e.add(e.mul(linear, e.extent(dims[d])), at[d]);
  return linear;
}

namespace {

Value emitArgReduce(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto reduce = cast<graph::ArgReduceOp>(op);
  Type storage = storageOf(reduce.getX());
  size_t axis = reduce.getAxis();
  bool largest = reduce.getKind() == ReduceKind::max;
  Index at(index);
  at[axis] = e.i64(0);
  Value first = e.element(reduce.getX(), at);
  Value size = e.extent(graph::getDims(reduce.getX())[axis]);
  return e.forLoop(e.i64(1), size, 1, {first, e.i64(0)}, [&](Value k, ValueRange best) {
    Index from(index);
    from[axis] = k;
    Value x = e.element(reduce.getX(), from);
    Value better = isBetter(e, x, best[0], storage, largest, reduce.getLast());
    return SmallVector<Value>{arith::SelectOp::create(e.b, better, x, best[0]), arith::SelectOp::create(e.b, better, k, best[1])};
  })[1];
}

Value emitSoftmaxElement(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto softmax = cast<graph::SoftmaxOp>(op);
  Type storage = storageOf(softmax.getX());
  int64_t axis = softmax.getAxis();
  Value top = reduceOver(e, softmax.getX(), axis, index, getIdentity(e, ReduceKind::max, storage), [&](Value running, Value x) {
    return accumulate(e, ReduceKind::max, storage, running, x);
  });
  Value sum = reduceOver(e, softmax.getX(), axis, index, getIdentity(e, ReduceKind::sum, storage), [&](Value running, Value x) {
    return accumulate(e, ReduceKind::sum, storage, running, emitDecay(e, arith::SubFOp::create(e.b, x, top)));
  });
  Value shifted = arith::SubFOp::create(e.b, e.element(softmax.getX(), index), top);
  if (softmax.getLog())
    return arith::SubFOp::create(e.b, shifted, e.math("log", sum));
  return arith::DivFOp::create(e.b, emitDecay(e, shifted), sum);
}

Value emitNormalizeElement(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto normalize = cast<graph::NormalizeOp>(op);
  Type storage = storageOf(normalize.getX()), compute = e.computeType(storage);
  SmallVector<int64_t> axes(normalize.getAxes());
  Value count = arith::SIToFPOp::create(e.b, compute, countOf(e, normalize.getX(), axes));
  Value zero = e.constant(compute, 0), mean = zero;
  if (!normalize.getRms()) {
    mean = reduceOver(e, normalize.getX(), axes, index, zero, [&](Value running, Value x) { return accumulate(e, ReduceKind::sum, storage, running, x); });
    mean = arith::DivFOp::create(e.b, mean, count);
  }
  Value variance = reduceOver(e, normalize.getX(), axes, index, zero, [&](Value running, Value x) {
    return accumulate(e, ReduceKind::sum_square, storage, running, arith::SubFOp::create(e.b, x, mean));
  });
  variance = arith::DivFOp::create(e.b, variance, count);
  Value deviation = e.math("sqrt", arith::AddFOp::create(e.b, variance, e.constant(compute, normalize.getEpsilon().convertToDouble())));
  return arith::DivFOp::create(e.b, arith::SubFOp::create(e.b, e.element(normalize.getX(), index), mean), deviation);
}

/// The position that tap `tap` of a window reads, per spatial dim, and whether it lies inside.
struct WindowTap {
  Index from;
  Value inside;
};
WindowTap getTap(UnitEmitter &e, Value x, ArrayRef<Value> index, ArrayRef<Value> tap, ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations, AffineMap pads) {
  graph::Dims dims = graph::getDims(x);
  WindowTap result{Index(index), arith::ConstantIntOp::create(e.b, 1, 1)};
  for (size_t d = 0; d < tap.size(); ++d) {
    Value at = e.sub(e.add(e.mul(index[2 + d], e.i64(strides[d])), e.mul(tap[d], e.i64(dilations[d]))), e.extent(pads.getResult(d)));
    Value size = e.extent(dims[2 + d]);
    result.inside = arith::AndIOp::create(e.b, result.inside, e.compare("ult", at, size));
    result.from[2 + d] = e.maxSigned(e.minSigned(at, e.sub(size, e.i64(1))), e.i64(0));
  }
  return result;
}

graph::Dims kernelDims(UnitEmitter &e, ArrayRef<int64_t> kernel) {
  graph::Dims dims;
  for (int64_t size : kernel)
    dims.push_back(getAffineConstantExpr(size, e.b.getContext()));
  return dims;
}

/// Number of window elements that an average divides by.
Value emitWindowCount(UnitEmitter &e, graph::PoolOp pool, ArrayRef<Value> index) {
  graph::Dims dims = graph::getDims(pool.getX());
  Value count = e.i64(1);
  for (size_t d = 0; d + 2 < dims.size(); ++d) {
    Value low = e.extent(pool.getPads().getResult(d)), size = e.extent(dims[2 + d]);
    Value first = e.sub(e.mul(index[2 + d], e.i64(pool.getStrides()[d])), low);
    Value from = pool.getCountPadding() ? e.sub(e.i64(0), low) : e.i64(0);
    Value to = pool.getCountPadding() ? e.add(size, e.extent(pool.getPadsEnd().getResult(d))) : size;
    Value dilation = e.i64(pool.getDilations()[d]), taps = e.i64(pool.getKernel()[d]);
    auto ceilDiv = [&](Value a) { return e.floorDiv(e.maxSigned(e.add(a, e.sub(dilation, e.i64(1))), e.i64(0)), dilation); };
    Value begin = ceilDiv(e.maxSigned(e.sub(from, first), e.i64(0))), end = e.minSigned(ceilDiv(e.sub(to, first)), taps);
    count = e.mul(count, e.maxSigned(e.sub(end, begin), e.i64(0)));
  }
  return e.maxSigned(count, e.i64(1));
}

Value emitPool(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto pool = cast<graph::PoolOp>(op);
  Type storage = storageOf(pool.getX());
  ReduceKind kind = pool.getKind() == graph::PoolKind::max ? ReduceKind::max : ReduceKind::sum;
  Value p = pool.getKind() == graph::PoolKind::lp ? e.constant(e.computeType(storage), pool.getP()) : Value();
  Value sum = reduceNest(e, kernelDims(e, pool.getKernel()), getIdentity(e, kind, storage), [&](ArrayRef<Value> tap, Value running) -> Value {
    WindowTap at = getTap(e, pool.getX(), index, tap, pool.getStrides(), pool.getDilations(), pool.getPads());
    Value x = e.element(pool.getX(), at.from);
    if (p)
      x = e.math2("pow", math::AbsFOp::create(e.b, x), p);
    return arith::SelectOp::create(e.b, at.inside, accumulate(e, kind, storage, running, x), running);
  });
  if (pool.getKind() == graph::PoolKind::average)
    return finishReduction(e, ReduceKind::mean, storage, sum, emitWindowCount(e, pool, index));
  if (p)
    return e.math2("pow", sum, arith::DivFOp::create(e.b, e.constant(p.getType(), 1), p));
  return sum;
}

Value emitMaxPoolIndices(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto pool = cast<graph::MaxPoolIndicesOp>(op);
  Type storage = storageOf(pool.getX());
  Value none[] = {getIdentity(e, ReduceKind::max, storage), e.i64(-1)};
  auto take = [&](ArrayRef<Value> from, Value inside, ValueRange best) {
    Value x = e.element(pool.getX(), from);
    Value better = arith::OrIOp::create(e.b, isBetter(e, x, best[0], storage, true, false), e.compare("slt", best[1], e.i64(0)));
    if (inside)
      better = arith::AndIOp::create(e.b, better, inside);
    return SmallVector<Value>{arith::SelectOp::create(e.b, better, x, best[0]), arith::SelectOp::create(e.b, better, flattenPoolIndex(e, pool, from), best[1])};
  };
  int64_t total = ShapedType::getNumElements(pool.getKernel());
  // Loops of fewer steps become straight code, and vectors over windows.
  if (total > kernel::kMostStraightTaps)
    return forPoolTaps(e, pool, index, {index[0], index[1]}, pool.getKernel().size(), none, [&](ArrayRef<Value> from, ValueRange best) { return take(from, {}, best); })[1];
  return e.forLoop(e.i64(0), e.i64(total), 1, none, [&](Value linear, ValueRange best) {
    Index tap = e.delinearize(linear, kernelDims(e, pool.getKernel()));
    WindowTap at = getTap(e, pool.getX(), index, tap, pool.getStrides(), pool.getDilations(), pool.getPads());
    return take(at.from, at.inside, best);
  })[1];
}

} // namespace

void registerReductions(llvm::StringMap<OpElementFn> &table) {
  table["graph.reduce"] = emitReduceElement;
  table["graph.arg_reduce"] = emitArgReduce;
  table["graph.softmax"] = emitSoftmaxElement;
  table["graph.normalize"] = emitNormalizeElement;
  table["graph.pool"] = emitPool;
  table["graph.max_pool_indices"] = emitMaxPoolIndices;
}

} // namespace onager
