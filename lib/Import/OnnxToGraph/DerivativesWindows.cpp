// Derivatives of convolutions and pooling. A convolution's by its data is the transposed one with the same filter, and the other way round; that by the filter is a
// convolution of the data with what comes in, where strides and dilations change their roles.
#include "lib/Import/OnnxToGraph/Gradient.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// [N, group * C, spatial...] with the batch behind the channels of a group: [group, C, N, spatial...].
Value splitGroups(Emitter &e, Value x, int64_t group) {
  Dims dims = Emitter::dimsOf(x), split{dims[0], e.number(group), normalize(dims[1].floorDiv(group))};
  split.append(dims.begin() + 2, dims.end());
  Ints perm{1, 2, 0};
  for (int64_t k = 3; k < static_cast<int64_t>(split.size()); ++k)
    perm.push_back(k);
  return e.transpose(e.reshape(x, split), perm);
}

/// The derivative by a filter [A, B / group, kernel...] that led from `wide` [N, B, ...] to `narrow` [N, A, ...], or, transposed, back. `op` has the window.
template <typename Op> Value differentiateFilter(Emitter &e, Op op, Value wide, Value narrow) {
  auto group = static_cast<int64_t>(op.getGroup());
  Value big = splitGroups(e, wide, group), small = splitGroups(e, narrow, group);
  if (!big || !small)
    return {};
  Dims from = Emitter::dimsOf(big), with = Emitter::dimsOf(small), filter = Emitter::dimsOf(op.getFilter());
  Ints perm{1, 0};
  for (int64_t k = 2; k < static_cast<int64_t>(filter.size()) + 1; ++k)
    perm.push_back(k);
  // [C, group * N, ...] with filters [group * A, N, ...].
  Dims data{from[1], normalize(from[0] * from[2])}, taps{normalize(with[0] * with[1]), with[2]}, out{from[1], taps[0]};
  data.append(from.begin() + 3, from.end());
  taps.append(with.begin() + 3, with.end());
  out.append(filter.begin() + 2, filter.end());
  Value x = e.reshape(e.transpose(big, perm), data), w = e.reshape(small, taps);
  Value y = x && w ? e.make<ConvOp>(out, Emitter::elementOf(x), x, w, op.getDilations(), op.getPads(), op.getStrides(), group) : Value();
  perm.pop_back();
  return y ? e.transpose(y, perm) : y;
}

void differentiateConv(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto conv = cast<ConvOp>(op);
  Value x = conv.getX(), filter = conv.getFilter();
  if (b.wants(x))
    b.add(x, e.make<ConvTransposeOp>(Emitter::dimsOf(x), Emitter::elementOf(x), gradient, filter, conv.getStrides(), conv.getPads(), conv.getDilations(), conv.getGroup()));
  if (b.wants(filter))
    b.add(filter, differentiateFilter(e, conv, x, gradient));
}

void differentiateConvTranspose(Backward &b, Operation *op, Value gradient) {
  Emitter &e = b.e;
  auto conv = cast<ConvTransposeOp>(op);
  Value x = conv.getX(), filter = conv.getFilter();
  if (b.wants(x))
    b.add(x, e.make<ConvOp>(Emitter::dimsOf(x), Emitter::elementOf(x), gradient, filter, conv.getStrides(), conv.getPads(), conv.getDilations(), conv.getGroup()));
  if (b.wants(filter))
    b.add(filter, differentiateFilter(e, conv, gradient, x));
}

/// How many elements each window of a pooling averages [1, 1, spatial...].
Value countElements(Emitter &e, PoolOp pool, Value ones) {
  Dims dims = Emitter::dimsOf(pool.getX()), out = Emitter::dimsOf(pool.getResult());
  dims[0] = dims[1] = out[0] = out[1] = e.number(1);
  AffineMap pads = pool.getPads();
  for (unsigned k = 0; pool.getCountPadding() && k < pads.getNumResults(); ++k)
    dims[k + 2] = normalize(dims[k + 2] + pads.getResult(k) + pool.getPadsEnd().getResult(k));
  if (pool.getCountPadding())
    pads = e.exprs(Exprs(pads.getNumResults(), e.number(0)));
  Type element = Emitter::elementOf(ones);
  return e.make<ConvOp>(out, element, e.splat(e.scalar(1, element), dims), ones, pool.getStrides(), pads, pool.getDilations(), 1);
}

/// Each image and channel alone: what comes in, over the number of elements, goes back to all of them.
Value differentiateAverage(Emitter &e, PoolOp pool, Value gradient) {
  Dims dims = Emitter::dimsOf(pool.getX()), out = Emitter::dimsOf(gradient);
  AffineExpr planes = normalize(dims[0] * dims[1]), one = e.number(1);
  Dims kernel{one, one}, flat{planes, one}, alone{planes, one};
  for (auto [k, extent] : llvm::enumerate(pool.getKernel())) {
    kernel.push_back(e.number(extent));
    flat.push_back(out[k + 2]);
    alone.push_back(dims[k + 2]);
  }
  Value ones = e.splat(e.scalar(1, Emitter::elementOf(gradient)), kernel), shares = e.reshape(e.div(gradient, countElements(e, pool, ones)), flat);
  if (!shares)
    return {};
  return e.reshape(e.make<ConvTransposeOp>(alone, Emitter::elementOf(gradient), shares, ones, pool.getStrides(), pool.getPads(), pool.getDilations(), 1), dims);
}

/// What comes in goes to the first greatest element of each window.
Value differentiateMaximum(Emitter &e, PoolOp pool, Value gradient) {
  Value x = pool.getX(), y = pool.getResult();
  Value places = e.make<MaxPoolIndicesOp>(Emitter::dimsOf(y), e.i64(), x, pool.getKernel(), pool.getStrides(), pool.getPads(), pool.getDilations(), /*column_major=*/false);
  Value flat = e.scatterElements(e.flatten(makeZeros(e, x)), e.flatten(places), e.flatten(gradient), 0, ScatterKind::add);
  return e.reshape(flat, Emitter::dimsOf(x));
}

void differentiatePool(Backward &b, Operation *op, Value gradient) {
  auto pool = cast<PoolOp>(op);
  if (pool.getKind() == PoolKind::lp)
    return void(b.e.fail("there is no derivative of pooling by a norm, which node '" + graph::getNodeName(op) + "' does"));
  b.add(pool.getX(), pool.getKind() == PoolKind::max ? differentiateMaximum(b.e, pool, gradient) : differentiateAverage(b.e, pool, gradient));
}

} // namespace

void addWindowDerivatives(DerivativeTable &table) {
  table[ConvOp::getOperationName()] = differentiateConv;
  table[ConvTransposeOp::getOperationName()] = differentiateConvTranspose;
  table[PoolOp::getOperationName()] = differentiatePool;
}

} // namespace onager::frontend
