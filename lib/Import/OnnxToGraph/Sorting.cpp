// Sorting and selection: calls of library kernels, whose counts become symbols where the result's shape depends on values.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

void importTopK(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Exprs k = node.opset < 10 ? Exprs{e.number(node.getInt("k", 1))} : e.contentsOrBind(node.in(1));
  if (!x || e.hasFailed())
    return;
  if (k.size() != 1 || Emitter::rankOf(x) == 0)
    return void(e.fail("expected one k and data of rank 1 or more"));
  int64_t axis = e.axisOf(node.getInt("axis", -1), Emitter::rankOf(x));
  if (e.hasFailed())
    return;
  Dims dims = Emitter::dimsOf(x);
  dims[axis] = e.sizeOf(k[0], "k");
  Type values = e.tensorType(dims, Emitter::elementOf(x)), indices = e.tensorType(dims, e.i64());
  CallOp call = e.callMany("topk", {x}, {axis, node.getInt("largest", 1), node.getInt("sorted", 1)}, {values, indices});
  for (unsigned k = 0; call && k < 2; ++k)
    node.set(k, call->getResult(k));
}

/// Indices of nonzero elements, one column each.
void importNonZero(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  int64_t rank = Emitter::rankOf(x);
  AffineExpr count = e.symbols.fresh(), most = Emitter::product(Emitter::dimsOf(x), e.context());
  Value flags = e.cast(x, e.i1());
  CallOp call = e.callMany("nonzero", {flags}, {}, {e.tensorType({e.number(rank), count}, e.i64())}, {count}, {normalize(most * std::max<int64_t>(rank, 1))});
  if (call)
    node.set(0, call->getResult(0));
}

/// Slices of x along an axis where the condition holds.
void importCompress(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), condition = node.in(1);
  if (!x || !condition)
    return;
  int64_t axis = 0;
  if (node.hasAttribute("axis"))
    axis = e.axisOf(node.getInt("axis", 0), Emitter::rankOf(x));
  else
    x = e.flatten(x), condition = e.flatten(condition); // Paddle's exporter gives a condition of the data's shape
  if (e.hasFailed())
    return;
  if (Emitter::rankOf(condition) != 1)
    return void(e.fail("the condition has rank " + Twine(Emitter::rankOf(condition)) + ", expected 1"));
  AffineExpr count = e.symbols.fresh();
  CallOp call = e.callMany("nonzero", {condition}, {}, {e.tensorType({e.number(1), count}, e.i64())}, {count}, {Emitter::dimsOf(condition)[0]});
  if (call)
    node.set(0, e.gather(x, e.reshape(call->getResult(0), {count}), axis));
}

/// Elements, first places, places among the elements and counts; com.microsoft's gives elements as they occur and no first places.
template <bool isContributed> void importUnique(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  bool hasAxis = node.hasAttribute("axis");
  int64_t axis = hasAxis ? e.axisOf(node.getInt("axis", 0), Emitter::rankOf(x)) : 0;
  if (!hasAxis)
    x = e.flatten(x);
  if (e.hasFailed())
    return;
  AffineExpr count = e.symbols.fresh();
  Dims dims = Emitter::dimsOf(x), full = dims;
  AffineExpr slices = dims[axis];
  // Texts are told apart and sorted by their places in the order of all of them.
  bool isText = isa<StringType>(Emitter::elementOf(x));
  Value texts = x;
  if (isText)
    x = e.call("string_order", {x}, {}, dims, e.i64());
  if (!x)
    return;
  dims[axis] = count;
  Type index = e.tensorType({count}, e.i64());
  CallOp call = e.callMany("unique", {x}, {axis, isContributed ? 0 : node.getInt("sorted", 1)},
                           {e.tensorType(dims, Emitter::elementOf(x)), index, e.tensorType({slices}, e.i64()), index}, {count},
                           {Emitter::product(full, e.context()), slices, slices, slices});
  constexpr std::array<unsigned, 4> kOrder = {0, 2, 3, 1};
  for (unsigned k = 0; call && k < (isContributed ? 3 : 4); ++k) {
    Value result = call->getResult(isContributed ? kOrder[k] : k);
    node.set(k, isText && k == 0 ? e.gather(texts, call->getResult(1), axis) : result);
  }
}

/// Selected boxes as (batch, class, box), at most max_output_boxes_per_class of each class.
void importNonMaxSuppression(Node &node) {
  Emitter &e = node.e;
  Value boxes = node.in(0), scores = node.in(1);
  if (!boxes || !scores)
    return;
  if (Emitter::rankOf(boxes) != 3 || Emitter::rankOf(scores) != 3)
    return void(e.fail("expected boxes and scores of rank 3"));
  Value most = node.has(2) ? e.cast(e.reshape(node.in(2), {}), e.i64()) : e.integerScalar(0, e.i64());
  Value overlap = node.has(3) ? e.cast(e.reshape(node.in(3), {}), e.f32()) : e.scalar(0, e.f32());
  Value threshold = node.has(4) ? e.cast(e.reshape(node.in(4), {}), e.f32()) : e.lowest(e.f32());
  AffineExpr count = e.symbols.fresh();
  Dims dims = Emitter::dimsOf(scores);
  AffineExpr room = normalize(Emitter::product(dims, e.context()) * 3);
  CallOp call = e.callMany("nms", {e.cast(boxes, e.f32()), e.cast(scores, e.f32()), most, overlap, threshold}, {node.getInt("center_point_box", 0)},
                           {e.tensorType({count, e.number(3)}, e.i64())}, {count}, {room});
  if (call)
    node.set(0, call->getResult(0));
}

} // namespace

void addSorting(OperatorTable &table) {
  table.add("TopK", importTopK);
  table.add("NonZero", importNonZero);
  table.add("Compress", importCompress);
  table.add("Unique", importUnique<false>);
  table.add("NonMaxSuppression", importNonMaxSuppression);
  table.addIn("com.microsoft", "Unique", importUnique<true>);
}

} // namespace onager::frontend
