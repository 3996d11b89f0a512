// Pooling in windows and over whole images.
#include "lib/Import/OnnxToGraph/Window.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

Dims getPoolDims(Value x, const Window &window) {
  Dims have = Emitter::dimsOf(x), dims{have[0], have[1]};
  dims.append(window.out.begin(), window.out.end());
  return dims;
}

Value pool(Emitter &e, Value x, const Window &window, PoolKind kind, bool countPadding, int64_t p) {
  return e.make<PoolOp>(getPoolDims(x, window), Emitter::elementOf(x), x, kind, window.getKernel(), window.strides, e.exprs(window.low),
                        e.exprs(window.high), window.dilations, countPadding, p);
}

void importMaxPool(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  std::optional<Window> window = readWindow(node, x);
  if (!window)
    return;
  node.set(0, pool(e, x, *window, PoolKind::max, false, 2));
  if (node.wants(1))
    node.set(1, e.make<MaxPoolIndicesOp>(getPoolDims(x, *window), e.i64(), x, window->getKernel(), window->strides, e.exprs(window->low),
                                         window->dilations, node.getInt("storage_order", 0) != 0));
}

void importAveragePool(Node &node) {
  Value x = node.in(0);
  if (std::optional<Window> window = readWindow(node, x))
    node.set(0, pool(node.e, x, *window, PoolKind::average, node.getInt("count_include_pad", 0) != 0, 2));
}

void importLpPool(Node &node) {
  Value x = node.in(0);
  int64_t p = node.opset < 2 ? static_cast<int64_t>(node.getFloat("p", 2)) : node.getInt("p", 2);
  if (p < 1) {
    node.e.fail("p is " + Twine(p));
    return;
  }
  if (std::optional<Window> window = readWindow(node, x))
    node.set(0, pool(node.e, x, *window, PoolKind::lp, true, p));
}

std::optional<Ints> getSpatialAxes(Node &node, Value x) {
  if (!x)
    return std::nullopt;
  if (Emitter::rankOf(x) < 2) {
    node.e.fail("expected rank 2 or more");
    return std::nullopt;
  }
  return Ints(llvm::to_vector(llvm::seq<int64_t>(2, Emitter::rankOf(x))));
}

template <ReduceKind kind> void importGlobalPool(Node &node) {
  Value x = node.in(0);
  if (std::optional<Ints> axes = getSpatialAxes(node, x))
    node.set(0, node.e.reduce(kind, x, *axes));
}

void importGlobalLpPool(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  std::optional<Ints> axes = getSpatialAxes(node, x);
  if (!axes)
    return;
  double p = node.opset < 2 ? node.getFloat("p", 2) : static_cast<double>(node.getInt("p", 2));
  if (p < 1)
    return void(e.fail("p is " + Twine(static_cast<int64_t>(p))));
  Type type = Emitter::elementOf(x);
  if (p == 2) {
    node.set(0, e.unary<SqrtOp>(e.reduce(ReduceKind::sum_square, x, *axes)));
    return;
  }
  Value powers = e.binary<PowOp>(e.unary<AbsOp>(x), e.scalar(p, type));
  node.set(0, e.binary<PowOp>(e.reduce(ReduceKind::sum, powers, *axes), e.scalar(1 / p, type)));
}

/// Puts each element at the flat place, in its whole tensor, that MaxPool's indices name. The indices count in the shape that MaxPool
/// saw; where the output is larger they are spread anew.
void importMaxUnpool(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), indices = node.in(1);
  if (!x || !indices)
    return;
  size_t count = Emitter::rankOf(x) < 3 ? 0 : Emitter::rankOf(x) - 2;
  std::optional<Ints> kernel = readSpatial(node, "kernel_shape", count, 1), strides = readSpatial(node, "strides", count, 1);
  Ints pads = node.getInts("pads").value_or(Ints(2 * count, 0));
  if (!kernel || !strides || count == 0 || pads.size() != 2 * count) {
    e.fail("the window attributes do not fit rank " + Twine(Emitter::rankOf(x)));
    return;
  }
  Dims have = Emitter::dimsOf(x), natural{have[0], have[1]};
  for (size_t k = 0; k < count; ++k)
    natural.push_back(normalize((have[k + 2] - 1) * (*strides)[k] + ((*kernel)[k] - pads[k] - pads[k + count])));
  Dims wanted = natural;
  if (node.has(2)) {
    Exprs shape = e.contentsOrBind(node.in(2));
    if (shape.size() != natural.size()) {
      e.fail("output_shape has " + Twine(shape.size()) + " entries");
      return;
    }
    wanted = Dims(shape);
  }
  AffineExpr total = Emitter::product(natural, e.context());
  Value zeros = e.splat(e.scalar(0, Emitter::elementOf(x)), {total});
  Value small = e.reshape(e.scatterElements(zeros, e.flatten(indices), e.flatten(x), 0, ScatterKind::none), natural);
  Exprs low(natural.size(), e.number(0)), high;
  for (auto [from, to] : llvm::zip(natural, wanted))
    high.push_back(normalize(to - from));
  node.set(0, e.pad(small, low, high, e.scalar(0, Emitter::elementOf(x))));
}

} // namespace

void addConvolutions(OperatorTable &table);

void addWindows(OperatorTable &table) {
  addConvolutions(table);
  table.add("MaxPool", importMaxPool);
  table.add("AveragePool", importAveragePool);
  table.add("LpPool", importLpPool);
  table.add("GlobalAveragePool", importGlobalPool<ReduceKind::mean>);
  table.add("GlobalMaxPool", importGlobalPool<ReduceKind::max>);
  table.add("GlobalLpPool", importGlobalLpPool);
  table.add("MaxUnpool", importMaxUnpool);
}

} // namespace onager::frontend
