// Sequences whose length is found while running. Every change copies: elements are slices of one flat tensor.
#include "lib/Import/OnnxToGraph/Ragged.h"
#include "lib/Import/OnnxToGraph/Values.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Where an element begins in a sequence's dims and data, and where the next one does.
struct Place {
  AffineExpr position, firstDim, endDim, firstDatum, endDatum;
};

AffineExpr getExtent(const Datum &ragged, size_t part) { return Emitter::dimsOf(ragged.part(part))[0]; }

/// A number that is known while running, as an expression that is at least 0.
AffineExpr bindCount(Emitter &e, Value number) {
  Exprs bound = e.contentsOrBind(e.reshape(number, {}));
  return e.hasFailed() ? e.number(0) : e.maxOf(bound[0], e.number(0));
}

/// Moves the builder behind the definitions of a sequence's parts, so that what follows from them alone is computed once, also for a loop over them.
void moveBehind(OpBuilder &builder, ArrayRef<Value> parts) {
  Value last = parts[0];
  for (Value part : parts.drop_front()) {
    bool isInner = part.getParentRegion() != last.getParentRegion() && last.getParentRegion()->isAncestor(part.getParentRegion());
    Operation *a = last.getDefiningOp(), *b = part.getDefiningOp();
    bool isLater = part.getParentBlock() == last.getParentBlock() && b && (!a || a->isBeforeInBlock(b));
    last = isInner || isLater ? part : last;
  }
  builder.setInsertionPointAfterValue(last);
}

/// Where the elements begin, by the kernel `ragged_index`, which checks that the parts fit together.
Value indexElements(Emitter &e, const Datum &ragged) {
  Values parts{ragged.part(0), ragged.part(1), ragged.part(2)};
  if (e.hasFailed() || llvm::is_contained(parts, Value()))
    return {};
  for (Operation *user : parts[0].getUsers())
    if (auto call = dyn_cast<CallOp>(user); call && call.getKernel() == "ragged_index" && llvm::equal(call.getInputs(), parts))
      return call->getResult(0);
  OpBuilder::InsertionGuard guard(e.builder);
  moveBehind(e.builder, parts);
  return e.call("ragged_index", parts, {}, {normalize(getExtent(ragged, 0) + 1), e.number(2)}, e.i64());
}

/// Finds an element by the kernel `ragged_place`, which checks the position; that of an insertion may be the end.
Place findPlace(Emitter &e, const Datum &ragged, Value position, bool isInsertion) {
  Value at = e.cast(e.reshape(position, {}), e.i64());
  Value found = e.call("ragged_place", {indexElements(e, ragged), at}, {isInsertion}, {e.number(5)}, e.i64());
  Exprs bounds = e.contentsOrBind(found);
  if (e.hasFailed())
    return {e.number(0), e.number(0), e.number(0), e.number(0), e.number(0)};
  for (AffineExpr &bound : bounds)
    bound = e.maxOf(bound, e.number(0));
  return {bounds[0], bounds[1], bounds[2], bounds[3], bounds[4]};
}

/// Replaces the elements of a vector from `first` to `end` by others, which may be absent.
Value spliceVector(Emitter &e, Value x, AffineExpr first, AffineExpr end, Value middle) {
  if (!x)
    return {};
  AffineExpr extent = Emitter::dimsOf(x)[0], rest = e.maxOf(normalize(extent - end), e.number(0));
  Value head = e.sliceAxis(x, 0, e.number(0), first), tail = e.sliceAxis(x, 0, end, rest);
  return middle ? e.concat({head, middle, tail}, 0) : e.concat({head, tail}, 0);
}

/// `known` are the dims that all elements have, as in Datum.
Datum makeRagged(Emitter &e, Value ranks, Value dims, Value data, int64_t rank, Dims known) {
  if (e.hasFailed())
    return Datum::poison();
  Datum ragged = Datum::ofParts(Datum::ragged, {Datum::of(ranks), Datum::of(dims), Datum::of(data)}, Emitter::elementOf(data), rank);
  ragged.dims = std::move(known);
  return ragged;
}

/// What is known of the elements' dims once a tensor is among them.
Dims joinDims(const Datum &ragged, Dims tensor) {
  if (ragged.rank == kAnyRank)
    return tensor;
  if (ragged.dims.size() != tensor.size())
    return {};
  for (auto [known, dim] : llvm::zip(ragged.dims, tensor))
    dim = known && areEqual(known, dim) ? known : AffineExpr();
  return tensor;
}

int64_t joinRanks(int64_t a, int64_t b) { return a == kAnyRank || a == b ? b : -1; }

/// States that the rows of a matrix [n, k] of elements' dims are alike from column `first` on and returns one row's columns, of which those before
/// `first` may be null.
Exprs unifyRows(Emitter &e, const Datum &ragged, Value dims, int64_t first) {
  int64_t rank = ragged.rank;
  bool areKnown = static_cast<int64_t>(ragged.dims.size()) == rank && !llvm::is_contained(ArrayRef(ragged.dims).drop_front(first), AffineExpr());
  if (areKnown)
    return Exprs(ragged.dims);
  Value low = e.reduce(ReduceKind::min, dims, {0}, false), high = e.reduce(ReduceKind::max, dims, {0}, false);
  Exprs least = e.contentsOrBind(low), most = e.contentsOrBind(high);
  if (e.hasFailed())
    return Exprs(rank, e.number(0));
  for (int64_t k = first; k < rank; ++k)
    e.require(least[k], most[k], "a dim of the elements of a sequence that are joined");
  for (AffineExpr &extent : most)
    extent = e.maxOf(extent, e.number(0));
  return most;
}

} // namespace

AffineExpr getLength(const Datum &ragged) { return getExtent(ragged, 0); }

Value getElement(Emitter &e, const Datum &ragged, Value position) {
  if (ragged.rank < 0)
    return e.fail("the rank of the elements of the sequence is not known");
  if (!position)
    return {};
  Place place = findPlace(e, ragged, position, false);
  e.require(normalize(place.endDim - place.firstDim), e.number(ragged.rank), "the rank of an element of the sequence");
  Dims dims = ragged.dims;
  if (dims.empty() || llvm::is_contained(dims, AffineExpr())) {
    dims.resize(ragged.rank);
    Exprs bound = e.contentsOrBind(e.sliceAxis(ragged.part(1), 0, place.firstDim, e.number(ragged.rank)));
    for (auto [dim, extent] : llvm::zip(dims, bound))
      dim = dim ? dim : e.maxOf(extent, e.number(0));
  }
  if (e.hasFailed())
    return {};
  Value flat = e.sliceAxis(ragged.part(2), 0, place.firstDatum, Emitter::product(dims, e.context()));
  return e.reshape(flat, dims);
}

Datum insertElement(Emitter &e, const Datum &ragged, Value position, Value tensor) {
  if (!tensor || e.hasFailed())
    return Datum::poison();
  if (Emitter::elementOf(tensor) != Emitter::elementOf(ragged.part(2))) {
    e.fail("the tensor and the sequence differ in element type");
    return Datum::poison();
  }
  AffineExpr end = getLength(ragged), endDim = getExtent(ragged, 1), endDatum = getExtent(ragged, 2);
  Place place = position ? findPlace(e, ragged, position, true) : Place{end, endDim, endDim, endDatum, endDatum};
  int64_t rank = Emitter::rankOf(tensor);
  Value ranks = spliceVector(e, ragged.part(0), place.position, place.position, e.ints({rank}));
  Value dims = spliceVector(e, ragged.part(1), place.firstDim, place.firstDim, e.indexVector(Exprs(Emitter::dimsOf(tensor))));
  Value data = spliceVector(e, ragged.part(2), place.firstDatum, place.firstDatum, e.flatten(tensor));
  return makeRagged(e, ranks, dims, data, joinRanks(ragged.rank, rank), joinDims(ragged, Emitter::dimsOf(tensor)));
}

Datum eraseElement(Emitter &e, const Datum &ragged, Value position) {
  Place place = findPlace(e, ragged, position ? position : e.integerScalar(-1, e.i64()), false);
  Value ranks = spliceVector(e, ragged.part(0), place.position, normalize(place.position + 1), {});
  Value dims = spliceVector(e, ragged.part(1), place.firstDim, place.endDim, {});
  return makeRagged(e, ranks, dims, spliceVector(e, ragged.part(2), place.firstDatum, place.endDatum, {}), ragged.rank, ragged.dims);
}

Value concatElements(Emitter &e, const Datum &ragged, int64_t axis, bool isNew) {
  int64_t rank = ragged.rank;
  if (rank < 0 || (rank == 0 && !isNew))
    return e.fail(rank == 0 ? "scalars cannot be joined without a new axis" : "the rank of the elements of the sequence is not known");
  axis = e.axisOf(axis, rank + isNew);
  if (e.hasFailed())
    return {};
  bool mayDiffer = axis == 0 && !isNew;
  AffineExpr count = getLength(ragged), total = getExtent(ragged, 2);
  Value table = e.reshape(ragged.part(1), {count, e.number(rank)});
  Exprs row = rank ? unifyRows(e, ragged, table, mayDiffer ? 1 : 0) : Exprs();
  if (mayDiffer && !e.hasFailed())
    row[0] = bindCount(e, e.reduce(ReduceKind::sum, e.sliceAxis(table, 1, 0, 1), {0, 1}, false));
  Dims dims(row.begin(), row.end());
  if (!mayDiffer)
    dims.insert(dims.begin(), count);
  e.require(Emitter::product(dims, e.context()), total, "the size of the elements of a sequence that are joined");
  Value whole = e.reshape(ragged.part(2), dims);
  if (mayDiffer || e.hasFailed())
    return whole;
  // [n, d0, d1 ...] -> [d0, n, d1 ...], and n with the axis behind it as one.
  Ints perm;
  for (int64_t k = 0; k < rank; ++k)
    perm.push_back(k + 1);
  perm.insert(perm.begin() + axis, 0);
  whole = e.transpose(whole, perm);
  if (isNew || !whole)
    return whole;
  Dims joined(row.begin(), row.end());
  joined[axis] = normalize(joined[axis] * count);
  return e.reshape(whole, joined);
}

/// Parts of one size along an axis, as rows of flat data.
static Value stackParts(Emitter &e, Value x, int64_t axis, AffineExpr count, AffineExpr size) {
  Dims dims = Emitter::dimsOf(x);
  Value whole = e.sliceAxis(x, axis, e.number(0), normalize(count * size));
  Dims split = dims;
  split[axis] = size;
  split.insert(split.begin() + axis, count);
  Ints perm{axis};
  for (int64_t k = 0; k <= static_cast<int64_t>(dims.size()); ++k)
    if (k != axis)
      perm.push_back(k);
  return e.flatten(e.transpose(e.reshape(whole, split), perm));
}

Datum splitEvenly(Emitter &e, Value x, int64_t axis, AffineExpr size) {
  Dims dims = Emitter::dimsOf(x);
  auto rank = static_cast<int64_t>(dims.size());
  AffineExpr extent = dims[axis], full = normalize(extent.floorDiv(size)), left = normalize(extent - full * size), count = normalize(extent.ceilDiv(size));
  e.symbols.addFact(left);
  Value data = e.concat({stackParts(e, x, axis, full, size), e.flatten(e.sliceAxis(x, axis, normalize(full * size), left))}, 0);
  // The size along the axis of part k is min(size, extent - k * size).
  Value rest = e.sub(e.indexTensor({extent}, {}, e.i64()), e.mul(e.iota({count}, 0, e.i64()), e.indexTensor({size}, {}, e.i64())));
  Value own = e.unsqueeze(e.minimum(rest, e.indexTensor({size}, {}, e.i64())), {1});
  Values columns;
  for (int64_t k = 0; k < rank; ++k)
    columns.push_back(k == axis ? own : e.splat(e.indexTensor({dims[k]}, {}, e.i64()), {count, e.number(1)}));
  Dims known = dims;
  known[axis] = areEqual(left, e.number(0)) ? size : AffineExpr();
  return makeRagged(e, e.splat(e.integerScalar(rank, e.i64()), {count}), e.flatten(e.concat(columns, 1)), data, rank, known);
}

Datum splitRows(Emitter &e, Value x, Value sizes) {
  Dims dims = Emitter::dimsOf(x);
  auto rank = static_cast<int64_t>(dims.size());
  AffineExpr count = Emitter::dimsOf(sizes)[0];
  Value own = e.cast(sizes, e.i64());
  e.require(bindCount(e, e.reduce(ReduceKind::sum, own, {0}, false)), dims[0], "the sizes of a split and the extent");
  Values columns{e.unsqueeze(own, {1})};
  for (int64_t k = 1; k < rank; ++k)
    columns.push_back(e.splat(e.indexTensor({dims[k]}, {}, e.i64()), {count, e.number(1)}));
  Dims known = dims;
  known[0] = {};
  return makeRagged(e, e.splat(e.integerScalar(rank, e.i64()), {count}), e.flatten(e.concat(columns, 1)), e.flatten(x), rank, known);
}

} // namespace onager::frontend
