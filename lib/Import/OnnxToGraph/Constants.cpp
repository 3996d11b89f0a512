// Operators that make tensors from attributes, shapes or positions.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

void importConstant(Node &node) {
  Emitter &e = node.e;
  if (const auto *tensor = node.getTensor("value"))
    return node.set(0, node.importer.importTensor(*tensor));
  if (const auto *sparse = node.find("sparse_value", onnx::AttributeProto::SPARSE_TENSOR))
    return node.set(0, node.importer.importSparse(sparse->sparse_tensor()));
  if (node.hasAttribute("value_float"))
    return node.set(0, e.scalar(node.getFloat("value_float", 0), e.f32()));
  if (node.hasAttribute("value_int"))
    return node.set(0, e.integerScalar(node.getInt("value_int", 0), e.i64()));
  if (std::optional<std::vector<double>> list = node.getFloats("value_floats"))
    return node.set(0, e.tensor(*list, {static_cast<int64_t>(list->size())}, e.f32()));
  if (std::optional<Ints> list = node.getInts("value_ints"))
    return node.set(0, e.ints(*list));
  if (node.hasAttribute("value_string"))
    return node.set(0, e.reshape(e.strings({node.getString("value_string", "")}), {}));
  if (node.hasAttribute("value_strings"))
    return node.set(0, e.strings(node.getStrings("value_strings")));
  e.fail("a constant without a value of a supported type");
}

void importIdentity(Node &node) {
  if (node.numInputs() == 0)
    return node.setDatum(0, Datum());
  node.setDatum(0, node.datum(0));
}

void importConstantOfShape(Node &node) {
  Emitter &e = node.e;
  Dims dims;
  for (AffineExpr extent : e.contentsOrBind(node.in(0)))
    dims.push_back(e.sizeOf(extent, "a dim of the shape"));
  const auto *tensor = node.getTensor("value");
  Value value = tensor ? e.reshape(node.importer.importTensor(*tensor), {}) : e.scalar(0, e.f32());
  if (!e.hasFailed())
    node.set(0, e.splat(value, dims));
}

void importShape(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Dims dims = Emitter::dimsOf(x);
  auto rank = static_cast<int64_t>(dims.size());
  auto clamp = [&](int64_t bound) { return std::clamp<int64_t>(bound < 0 ? bound + rank : bound, 0, rank); };
  int64_t start = clamp(node.getInt("start", 0)), end = clamp(node.getInt("end", rank));
  node.set(0, e.indexVector(ArrayRef(dims).slice(start, std::max<int64_t>(end - start, 0))));
}

void importSize(Node &node) {
  Emitter &e = node.e;
  if (Value x = node.in(0))
    node.set(0, e.indexTensor({Emitter::product(Emitter::dimsOf(x), e.context())}, {}, e.i64()));
}

/// Number of elements of start, start + delta ... before limit, as an expression.
AffineExpr countRange(Node &node, Value start, Value limit, Value delta) {
  Emitter &e = node.e;
  if (!Emitter::isFloat(start)) {
    Exprs from = e.contentsOrBind(start), to = e.contentsOrBind(limit), by = e.contentsOrBind(delta);
    if (e.hasFailed())
      return {};
    if (std::optional<int64_t> step = graph::getConstant(by[0])) {
      if (*step == 0 || *step == INT64_MIN) {
        e.fail("delta is 0");
        return {};
      }
      AffineExpr span = normalize(*step > 0 ? to[0] - from[0] : from[0] - to[0]);
      return e.maxOf(normalize(span.ceilDiv(std::abs(*step))), e.number(0));
    }
  }
  // ceil((limit - start) / delta), in f64.
  Value span = e.sub(e.cast(limit, e.builder.getF64Type()), e.cast(start, e.builder.getF64Type()));
  Value count = e.unary<CeilOp>(e.div(span, e.cast(delta, e.builder.getF64Type())));
  Exprs bound = e.contentsOrBind(e.cast(count, e.i64()));
  return e.hasFailed() ? AffineExpr() : e.maxOf(bound[0], e.number(0));
}

void importRange(Node &node) {
  Emitter &e = node.e;
  Value start = e.reshape(node.in(0), {}), limit = e.reshape(node.in(1), {});
  Value delta = node.has(2) ? e.reshape(node.in(2), {}) : start ? e.integerScalar(1, Emitter::elementOf(start)) : Value();
  if (!e.checkBinary(start, limit) || !e.checkBinary(start, delta))
    return;
  if (AffineExpr count = countRange(node, start, limit, delta))
    node.set(0, e.iota({count}, 0, start, delta));
}

/// Row minus column of the last two dims, as i64.
Value makeDiagonalOffsets(Emitter &e, ArrayRef<AffineExpr> dims) {
  AffineExpr one = e.number(1);
  Value row = e.iota({dims[dims.size() - 2], one}, 0, e.i64()), column = e.iota({one, dims.back()}, 1, e.i64());
  return e.sub(column, row);
}

void importEyeLike(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type element = node.hasAttribute("dtype") ? convertNumberType(node.getInt("dtype", 1), e.context()) : Emitter::elementOf(x);
  if (Emitter::rankOf(x) != 2 || !element) {
    e.fail("expected rank 2 and a supported element type");
    return;
  }
  Value offsets = makeDiagonalOffsets(e, Emitter::dimsOf(x));
  node.set(0, e.cast(e.compare<EqualOp>(offsets, e.integerScalar(node.getInt("k", 0), e.i64())), element));
}

void importTrilu(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  if (Emitter::rankOf(x) < 2) {
    e.fail("expected rank 2 or more");
    return;
  }
  Value k = node.has(1) ? e.reshape(e.cast(node.in(1), e.i64()), {}) : e.integerScalar(0, e.i64());
  Value offsets = makeDiagonalOffsets(e, Emitter::dimsOf(x));
  Value keep = node.getInt("upper", 1) ? e.compare<LessEqualOp>(k, offsets) : e.compare<LessEqualOp>(offsets, k);
  node.set(0, e.select(keep, x, e.zero(Emitter::elementOf(x))));
}

void importOneHot(Node &node) {
  Emitter &e = node.e;
  Value indices = node.in(0), values = node.in(2);
  Exprs depth = e.contentsOrBind(e.cast(e.reshape(node.in(1), {}), e.i64()));
  if (!indices || !values || e.hasFailed())
    return;
  if (Emitter::rankOf(values) != 1)
    return void(e.fail("values of rank " + Twine(Emitter::rankOf(values)) + ", expected a vector of 2"));
  e.unify(Emitter::dimsOf(values)[0], e.number(2), "the number of values");
  int64_t rank = Emitter::rankOf(indices) + 1, axis = e.axisOf(node.getInt("axis", -1), rank);
  if (e.hasFailed())
    return;
  Value wide = e.unsqueeze(e.cast(indices, e.i64()), {axis}), extent = e.indexTensor({depth[0]}, {}, e.i64());
  wide = e.select(e.compare<LessOp>(wide, e.integerScalar(0, e.i64())), e.add(wide, extent), wide);
  Dims line(rank, e.number(1));
  line[axis] = e.sizeOf(depth[0], "the depth");
  Value hit = e.compare<EqualOp>(e.iota(line, axis, e.i64()), wide);
  Value off = e.reshape(e.sliceAxis(values, 0, 0, 1), {}), on = e.reshape(e.sliceAxis(values, 0, 1, 1), {});
  node.set(0, e.select(hit, on, off));
}

} // namespace

void addConstants(OperatorTable &table) {
  table.add("Constant", importConstant);
  table.add("Identity", importIdentity);
  table.add("ConstantOfShape", importConstantOfShape);
  table.add("Shape", importShape);
  table.add("Size", importSize);
  table.add("Range", importRange);
  table.add("EyeLike", importEyeLike);
  table.add("Trilu", importTrilu);
  table.add("OneHot", importOneHot);
  table.addIn("com.microsoft", "Range", importRange);
  table.addIn("com.microsoft", "Trilu", importTrilu);
}

} // namespace onager::frontend
