// Gather and scatter in all their forms.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

bool checkIndices(Node &node, Value indices) {
  if (!indices)
    return false;
  Type type = Emitter::elementOf(indices);
  if (type.isInteger(64) || type.isInteger(32))
    return true;
  node.e.fail("indices are neither int32 nor int64");
  return false;
}

void importGather(Node &node) {
  Value x = node.in(0), indices = node.in(1);
  if (checkIndices(node, indices))
    node.set(0, node.e.gather(x, indices, node.getInt("axis", 0)));
}

void importGatherElements(Node &node) {
  Value x = node.in(0), indices = node.in(1);
  if (checkIndices(node, indices))
    node.set(0, node.e.gatherElements(x, indices, node.getInt("axis", 0)));
}

/// Length of an index tuple: the last dim of the indices, which becomes a constant. Where it is none, it follows from the rank that the result has:
/// `remaining` is the number of dims of x that the tuples leave, -1 where that is not known.
std::optional<int64_t> getTupleSize(Node &node, Value x, Value &indices, int64_t batch, int64_t remaining) {
  if (!x || !checkIndices(node, indices))
    return std::nullopt;
  if (Emitter::rankOf(indices) == 0) {
    node.e.fail("indices of rank 0");
    return std::nullopt;
  }
  Dims dims = Emitter::dimsOf(indices);
  std::optional<int64_t> size = graph::getConstant(dims.back());
  if (!size && remaining >= 0 && Emitter::rankOf(x) >= batch + remaining) {
    size = Emitter::rankOf(x) - batch - remaining;
    dims.back() = node.e.unify(dims.back(), node.e.number(*size), "the last dim of the indices, after the output's rank");
    indices = node.e.reshape(indices, dims);
    if (!indices)
      return std::nullopt;
  }
  if (!size || batch < 0 || *size + batch > Emitter::rankOf(x) || batch >= Emitter::rankOf(indices)) {
    node.e.fail("the last dim of the indices is not known, nor told by the rank of the output, or exceeds the rank of the data");
    return std::nullopt;
  }
  return size;
}

void importGatherND(Node &node) {
  Value x = node.in(0), indices = node.in(1);
  int64_t batch = node.getInt("batch_dims", 0);
  // Looked for among all that the model declares, and only where the indices do not tell.
  bool isOpen = indices && Emitter::rankOf(indices) > 0 && !graph::getConstant(Emitter::dimsOf(indices).back());
  std::optional<int64_t> rank = isOpen ? node.importer.findDeclaredRank(node) : std::nullopt;
  std::optional<int64_t> size = getTupleSize(node, x, indices, batch, rank ? *rank - (Emitter::rankOf(indices) - 1) : -1);
  if (!size)
    return;
  Dims have = Emitter::dimsOf(x), dims = Emitter::dimsOf(indices);
  dims.pop_back();
  for (int64_t k = 0; k < batch; ++k)
    dims[k] = node.e.unify(dims[k], have[k], "batch dims of data and indices");
  dims.append(have.begin() + batch + *size, have.end());
  node.set(0, node.e.make<GatherNDOp>(dims, Emitter::elementOf(x), x, indices, batch));
}

std::optional<ScatterKind> getScatterKind(Node &node) {
  std::string name = node.getString("reduction", "none");
  for (auto kind : {ScatterKind::none, ScatterKind::add, ScatterKind::mul, ScatterKind::max, ScatterKind::min})
    if (stringifyScatterKind(kind) == name)
      return kind;
  node.e.fail("reduction is '" + name + "'");
  return std::nullopt;
}

void importScatterElements(Node &node) {
  Value x = node.in(0), indices = node.in(1), updates = node.in(2);
  std::optional<ScatterKind> kind = getScatterKind(node);
  if (checkIndices(node, indices) && kind)
    node.set(0, node.e.scatterElements(x, indices, updates, node.getInt("axis", 0), *kind));
}

void importScatterND(Node &node) {
  Value x = node.in(0), indices = node.in(1), updates = node.in(2);
  std::optional<ScatterKind> kind = getScatterKind(node);
  std::optional<int64_t> size = getTupleSize(node, x, indices, 0, updates && indices ? Emitter::rankOf(updates) - (Emitter::rankOf(indices) - 1) : -1);
  if (!kind || !size || !updates)
    return;
  if (Emitter::rankOf(updates) != Emitter::rankOf(indices) - 1 + Emitter::rankOf(x) - *size) {
    node.e.fail("updates of rank " + Twine(Emitter::rankOf(updates)) + " do not fit data and indices");
    return;
  }
  if (!node.e.checkBinary(x, updates))
    return;
  Dims have = Emitter::dimsOf(x), given = Emitter::dimsOf(updates), wanted = Emitter::dimsOf(indices);
  wanted.pop_back();
  wanted.append(have.begin() + *size, have.end());
  for (size_t k = 0; k < given.size(); ++k)
    node.e.unify(given[k], wanted[k], "a dim of the updates and of indices and data");
  node.set(0, node.e.make<ScatterNDOp>(Emitter::dimsOf(x), Emitter::elementOf(x), x, indices, updates, *kind));
}

/// Writes `update` into `cache` along one axis, at positions that start at write_indices[batch] (0 without); circular wraps around.
void importTensorScatter(Node &node) {
  Emitter &e = node.e;
  Value cache = node.in(0), update = node.in(1);
  if (!cache || !update)
    return;
  Dims dims = Emitter::dimsOf(cache), moved = Emitter::dimsOf(update);
  auto rank = static_cast<int64_t>(dims.size());
  int64_t axis = e.axisOf(node.getInt("axis", -2), rank);
  if (rank < 2 || moved.size() != dims.size() || axis == 0) {
    e.fail("expected a cache and an update of the same rank, 2 or more, and an axis behind the first");
    return;
  }
  Dims line(rank, e.number(1)), column(rank, e.number(1));
  line[axis] = moved[axis];
  column[0] = dims[0];
  Value at = e.iota(line, axis, e.i64());
  if (node.has(2))
    at = e.add(at, e.reshape(e.cast(node.in(2), e.i64()), column));
  if (node.getString("mode", "linear") == "circular")
    at = e.mod(at, e.indexTensor({dims[axis]}, {}, e.i64()), false);
  node.set(0, e.scatterElements(cache, e.broadcast(at, moved), update, axis, ScatterKind::none));
}

} // namespace

void addIndexing(OperatorTable &table) {
  table.add("Gather", importGather);
  table.add("GatherElements", importGatherElements);
  table.add("GatherND", importGatherND);
  table.add("Scatter", importScatterElements);
  table.add("ScatterElements", importScatterElements);
  table.add("ScatterND", importScatterND);
  table.add("TensorScatter", importTensorScatter);
  table.addIn("com.microsoft", "GatherND", importGatherND);
}

} // namespace onager::frontend
