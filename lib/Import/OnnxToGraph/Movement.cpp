// Operators that move elements without looking at them.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Resolves one requested extent that is not a constant: 0 takes the input's dim unless zeros are meant.
AffineExpr resolveZero(Emitter &e, AffineExpr wanted, ArrayRef<AffineExpr> have, size_t index, bool allowZero) {
  if (allowZero || (!graph::isConstant(wanted, 0) && e.symbols.isNonNegative(wanted)))
    return wanted;
  AffineExpr from = index < have.size() ? have[index] : e.number(0);
  return e.selectEqual(wanted, e.number(0), from, wanted);
}

/// Puts what is left of `total` in place of -1. Where the position of -1 is not known, each unknown extent is tested for it.
void resolveRest(Emitter &e, Dims &dims, AffineExpr total) {
  size_t unknown = dims.size();
  AffineExpr others = e.number(1);
  for (auto [k, dim] : llvm::enumerate(dims)) {
    if (graph::isConstant(dim, -1)) {
      if (unknown != dims.size()) {
        e.fail("the shape holds -1 twice");
        return;
      }
      unknown = k;
      continue;
    }
    others = normalize(others * dim);
  }
  if (unknown != dims.size()) {
    dims[unknown] = e.truncDiv(total, others);
    if (graph::isConstant(others, 0))
      dims[unknown] = e.number(0);
    return;
  }
  // With one -1 among them the product of all is minus that of the others.
  AffineExpr rest = normalize(-others);
  for (AffineExpr &dim : dims)
    if (!e.symbols.isNonNegative(dim))
      dim = e.selectEqual(dim, e.number(-1), e.truncDiv(total, rest), dim);
}

Value reshapeTo(Node &node, Value x, ArrayRef<AffineExpr> wanted, bool allowZero) {
  Emitter &e = node.e;
  Dims have = Emitter::dimsOf(x), dims;
  for (auto [k, extent] : llvm::enumerate(wanted))
    dims.push_back(resolveZero(e, extent, have, k, allowZero));
  resolveRest(e, dims, Emitter::product(have, e.context()));
  for (AffineExpr &dim : dims)
    dim = e.sizeOf(dim, "a dim of the shape");
  return e.reshape(x, dims);
}

void importReshape(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Exprs wanted;
  if (node.opset < 5 && node.hasAttribute("shape"))
    wanted = Exprs(e.numbers(*node.getInts("shape")));
  else
    wanted = e.contentsOrBind(node.in(1));
  if (!e.hasFailed())
    node.set(0, reshapeTo(node, x, wanted, node.getInt("allowzero", 0) != 0));
}

void importFlatten(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Dims dims = Emitter::dimsOf(x);
  auto rank = static_cast<int64_t>(dims.size());
  int64_t axis = node.getInt("axis", 1);
  if (axis < -rank || axis > rank) {
    e.fail("axis " + Twine(axis) + " is outside rank " + Twine(rank));
    return;
  }
  axis = axis < 0 ? axis + rank : axis;
  ArrayRef<AffineExpr> all(dims);
  node.set(0, e.reshape(x, {Emitter::product(all.take_front(axis), e.context()), Emitter::product(all.drop_front(axis), e.context())}));
}

/// Axes from an attribute, or from an input as later opsets have it; empty where neither is there.
std::optional<Ints> readAxes(Node &node, unsigned input, int64_t since, bool &isGiven) {
  isGiven = true;
  if (node.opset < since || node.hasAttribute("axes")) {
    std::optional<Ints> axes = node.getInts("axes");
    isGiven = axes.has_value();
    return axes;
  }
  if (!node.has(input)) {
    isGiven = false;
    return std::nullopt;
  }
  std::optional<Ints> axes = node.e.constants(node.in(input));
  if (!axes)
    node.e.fail("the axes are not known when the model is compiled");
  return axes;
}

/// 1 at each of the axes that are known only while the model runs, in a vector with one element per dim.
Value flagAxes(Emitter &e, Value axes, int64_t rank) {
  Value at = e.cast(axes, e.i64()), zeros = e.ints(Ints(rank, 0));
  return at ? e.scatterElements(zeros, at, e.ints(Ints(cast<RankedTensorType>(at.getType()).getNumElements(), 1)), 0, ScatterKind::none) : Value();
}

/// How many axes a vector names that is known only while the model runs; nullopt after a failure.
std::optional<int64_t> countAxes(Emitter &e, Value axes) {
  if (axes && Emitter::rankOf(axes) == 1)
    if (std::optional<int64_t> count = graph::getConstant(Emitter::dimsOf(axes)[0]))
      return count;
  e.fail("the number of axes is not known when the model is compiled");
  return std::nullopt;
}

/// The place of each dim among those that are not flagged.
Value countUnflagged(Emitter &e, Value flags, int64_t rank) {
  Value kept = e.sub(e.ints(Ints(rank, 1)), flags);
  return kept ? e.make<CumulateOp>(Emitter::dimsOf(kept), e.i64(), kept, ReduceKind::sum, int64_t(0), /*exclusive=*/true, /*reverse=*/false) : Value();
}

/// The dims that are left are found with tensors: dim d goes to its place among those that are not flagged.
Value squeezeDynamically(Emitter &e, Value x, Value axes) {
  int64_t rank = Emitter::rankOf(x);
  std::optional<int64_t> count = countAxes(e, axes);
  if (!count || *count > rank)
    return count ? e.fail(Twine(*count) + " axes for rank " + Twine(rank)) : Value();
  Value flags = flagAxes(e, axes, rank), place = flags ? countUnflagged(e, flags, rank) : Value(), extents = e.indexVector(Emitter::dimsOf(x));
  if (!place || rank == *count)
    return place ? e.reshape(x, {}) : Value();
  Value isHere = e.compare<EqualOp>(e.unsqueeze(place, {0}), e.iota(e.numbers({rank - *count, 1}), 0, e.i64()));
  isHere = e.binary<AndOp>(isHere, e.compare<EqualOp>(flags, e.integerScalar(0, e.i64())));
  Exprs dims = e.contentsOrBind(e.reduce(ReduceKind::sum, e.select(isHere, extents, e.integerScalar(0, e.i64())), {1}, /*keepDims=*/false));
  for (AffineExpr &dim : dims)
    dim = e.maxOf(dim, e.number(0));
  return e.reshape(x, dims);
}

/// A flagged dim is 1, each other one the next of x.
Value unsqueezeDynamically(Emitter &e, Value x, Value axes) {
  std::optional<int64_t> count = countAxes(e, axes);
  if (!x || !count)
    return {};
  int64_t rank = Emitter::rankOf(x) + *count;
  Value flags = flagAxes(e, axes, rank), place = flags ? countUnflagged(e, flags, rank) : Value();
  if (!place)
    return {};
  Dims have = Emitter::dimsOf(x);
  have.push_back(e.number(1)); // read where the last dims are flagged
  Value extents = e.gather(e.indexVector(have), place, 0);
  Exprs dims = e.contentsOrBind(e.select(e.compare<EqualOp>(flags, e.integerScalar(1, e.i64())), e.integerScalar(1, e.i64()), extents));
  for (AffineExpr &dim : dims)
    dim = e.maxOf(dim, e.number(0));
  return e.reshape(x, dims);
}

/// True where the axes are an input whose elements are not known.
bool hasDynamicAxes(Node &node) { return node.opset >= 13 && !node.hasAttribute("axes") && node.has(1) && !node.e.constants(node.in(1)); }

/// The axes of extent 1. Beside some that are known, those whose extent is not known are taken for others, which a run checks.
Ints findOnes(Emitter &e, Value x) {
  Ints axes;
  Dims dims = Emitter::dimsOf(x);
  for (auto [k, dim] : llvm::enumerate(dims))
    if (graph::isConstant(dim, 1))
      axes.push_back(static_cast<int64_t>(k));
  for (AffineExpr dim : dims) {
    if (graph::getConstant(dim))
      continue;
    if (axes.empty()) {
      e.fail("a squeeze without axes needs known dims");
      break;
    }
    AffineExpr isOther = e.selectEqual(dim, e.number(1), e.number(0), e.number(1));
    e.require(isOther, e.number(1), "a dim that was taken for more than 1 by a squeeze without axes");
  }
  return axes;
}

void importSqueeze(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (x && hasDynamicAxes(node))
    return node.set(0, squeezeDynamically(e, x, node.in(1)));
  bool isGiven = false;
  std::optional<Ints> axes = readAxes(node, 1, 13, isGiven);
  if (!x || e.hasFailed())
    return;
  if (!axes)
    axes = findOnes(e, x);
  if (!e.hasFailed())
    node.set(0, e.squeeze(x, *axes));
}

void importUnsqueeze(Node &node) {
  bool isGiven = false;
  Value x = node.in(0);
  if (x && hasDynamicAxes(node))
    return node.set(0, unsqueezeDynamically(node.e, x, node.in(1)));
  std::optional<Ints> axes = readAxes(node, 1, 13, isGiven);
  if (!isGiven)
    node.e.fail("axes are missing");
  if (axes)
    node.set(0, node.e.unsqueeze(x, *axes));
}

void importTranspose(Node &node) {
  Value x = node.in(0);
  if (!x)
    return;
  Ints reversed(llvm::reverse(llvm::to_vector(llvm::seq<int64_t>(0, Emitter::rankOf(x)))));
  node.set(0, node.e.transpose(x, node.getInts("perm").value_or(reversed)));
}

void importConcat(Node &node) {
  node.set(0, node.e.concat(node.ins(), node.getInt("axis", node.opset < 4 ? 1 : 0)));
}

void importExpand(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Exprs shape = e.contentsOrBind(node.in(1));
  if (!x || e.hasFailed())
    return;
  Dims wanted;
  for (AffineExpr extent : shape)
    wanted.push_back(e.sizeOf(extent, "a dim of the shape"));
  node.set(0, e.broadcast(x, e.broadcastDims(Emitter::dimsOf(x), wanted)));
}

void importTile(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  if (node.opset < 6) {
    Exprs times = e.contentsOrBind(e.cast(e.reshape(node.in(1), {}), e.i64()));
    Exprs axis = e.contentsOrBind(e.cast(e.reshape(node.in(2), {}), e.i64()));
    std::optional<int64_t> at = axis.empty() ? std::nullopt : graph::getConstant(axis[0]);
    if (e.hasFailed() || !at) {
      e.fail("the axis is not known when the model is compiled");
      return;
    }
    Exprs repeats(Emitter::rankOf(x), e.number(1));
    repeats[e.axisOf(*at, Emitter::rankOf(x))] = e.sizeOf(times[0], "the repeats");
    node.set(0, e.tile(x, repeats));
    return;
  }
  Exprs repeats;
  for (AffineExpr times : e.contentsOrBind(e.ofLength(node.in(1), Emitter::rankOf(x), "the number of repeats")))
    repeats.push_back(e.sizeOf(times, "the repeats"));
  if (!e.hasFailed())
    node.set(0, e.tile(x, repeats));
}

/// [N, C, H, W] and a block size b; checks them and returns the dims.
std::optional<Dims> getImageDims(Node &node, Value x, int64_t block) {
  if (!x)
    return std::nullopt;
  if (Emitter::rankOf(x) != 4 || block < 1) {
    node.e.fail("expected rank 4 and a positive block size");
    return std::nullopt;
  }
  return Emitter::dimsOf(x);
}

void importDepthToSpace(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  int64_t block = node.getInt("blocksize", 0);
  std::optional<Dims> d = getImageDims(node, x, block);
  if (!d)
    return;
  AffineExpr b = e.number(block), depth = e.truncDiv((*d)[1], e.number(block * block));
  bool isColumnFirst = node.getString("mode", "DCR") == "CRD";
  Value split = isColumnFirst ? e.reshape(x, {(*d)[0], depth, b, b, (*d)[2], (*d)[3]}) : e.reshape(x, {(*d)[0], b, b, depth, (*d)[2], (*d)[3]});
  Value moved = isColumnFirst ? e.transpose(split, {0, 1, 4, 2, 5, 3}) : e.transpose(split, {0, 3, 4, 1, 5, 2});
  node.set(0, e.reshape(moved, {(*d)[0], depth, (*d)[2] * block, (*d)[3] * block}));
}

void importSpaceToDepth(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  int64_t block = node.getInt("blocksize", 0);
  std::optional<Dims> d = getImageDims(node, x, block);
  if (!d)
    return;
  AffineExpr b = e.number(block), height = e.truncDiv((*d)[2], b), width = e.truncDiv((*d)[3], b);
  Value split = e.reshape(x, {(*d)[0], (*d)[1], height, b, width, b});
  Value moved = node.getString("mode", "DCR") == "CRD" ? e.transpose(split, {0, 1, 3, 5, 2, 4}) : e.transpose(split, {0, 3, 5, 1, 2, 4});
  node.set(0, e.reshape(moved, {(*d)[0], (*d)[1] * (block * block), height, width}));
}

void importReverseSequence(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), lengths = e.cast(node.in(1), e.i64());
  if (!x || !lengths)
    return;
  int64_t batch = e.axisOf(node.getInt("batch_axis", 1), Emitter::rankOf(x)), time = e.axisOf(node.getInt("time_axis", 0), Emitter::rankOf(x));
  if (Emitter::rankOf(lengths) != 1)
    return void(e.fail("sequence_lens has rank " + Twine(Emitter::rankOf(lengths)) + ", expected 1"));
  if (e.hasFailed())
    return;
  e.unify(Emitter::dimsOf(lengths)[0], Emitter::dimsOf(x)[batch], "sequence_lens and the batch");
  node.set(0, e.make<ReverseSequenceOp>(Emitter::dimsOf(x), Emitter::elementOf(x), x, lengths, batch, time));
}

} // namespace

void addMovement(OperatorTable &table) {
  table.add("Reshape", importReshape);
  table.add("Flatten", importFlatten);
  table.add("Squeeze", importSqueeze);
  table.add("Unsqueeze", importUnsqueeze);
  table.add("Transpose", importTranspose);
  table.add("Concat", importConcat);
  table.add("Expand", importExpand);
  table.add("Tile", importTile);
  table.add("DepthToSpace", importDepthToSpace);
  table.add("SpaceToDepth", importSpaceToDepth);
  table.add("ReverseSequence", importReverseSequence);
}

} // namespace onager::frontend
