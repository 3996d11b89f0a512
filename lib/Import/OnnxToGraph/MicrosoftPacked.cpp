// Weights of com.microsoft whose blocks of numbers lie in bytes beside their scales.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// A format of GatherPacked: numbers and bytes of a block.
struct Format {
  int64_t number, count, bytes;
};
constexpr Format kFormats[] = {{0, 1, 4}, {1, 1, 2}, {2, 32, 18}, {6, 32, 22}, {8, 32, 34}, {13, 256, 176}, {14, 256, 210}, {20, 32, 18}, {23, 256, 136}, {30, 1, 2}};

/// Fails where packed numbers are no bytes; false then.
bool checkBytes(Emitter &e, Value packed) {
  if (!Emitter::elementOf(packed).isUnsignedInteger(8))
    e.fail("packed numbers lie in bytes, which are of type uint8");
  return !e.hasFailed();
}

/// Rows of a table whose numbers lie in blocks; the kernel `gather_packed` reads them.
void importGatherPacked(Node &node) {
  Emitter &e = node.e;
  Value data = node.in(0), indices = node.in(1);
  int64_t columns = node.getInt("K", 0), number = node.getInt("packed_type", -1);
  auto dtype = static_cast<int32_t>(node.getInt("output_dtype", 16));
  Type type = convertNumberType(dtype, e.context());
  if (!data || !indices || !checkRanks(node, {{0, 2}}) || !checkBytes(e, data))
    return;
  const Format *format = llvm::find_if(kFormats, [&](const Format &one) { return one.number == number; });
  if (format == std::end(kFormats))
    return void(e.fail("packed_type " + Twine(number) + " is not supported, as are 0, 1, 2, 6, 8, 13, 14, 20, 23 and 30"));
  if (columns < 1 || columns % format->count || !type || !isa<FloatType>(type))
    return void(e.fail("K is " + Twine(columns) + " in blocks of " + Twine(format->count) + ", output_dtype " + describeElementType(dtype)));
  e.unify(Emitter::dimsOf(data)[1], e.number(columns / format->count * format->bytes), "the bytes of a row");
  Dims dims = Emitter::dimsOf(indices), rows{Emitter::product(dims, e.context()), e.number(columns)};
  Value y = e.call("gather_packed", {data, e.cast(e.flatten(indices), e.i64())}, {number, format->count, format->bytes}, rows, e.f32());
  dims.push_back(e.number(columns));
  node.set(0, e.cast(e.reshape(y, dims), type));
}

/// A product with a matrix [K, N] whose columns lie one after another in blocks: a scale, a zero point of type 1, and four bits for each number. Byte j of
/// 16 holds numbers j and j + 16 of 32.
void importMatMulFpQ4(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), blob = node.in(1);
  int64_t kind = node.getInt("blk_quant_type", 1), size = kind == 2 ? 64 : 32, bytes = size / 2 + (kind == 1 ? 5 : 4);
  Exprs shape = e.contentsOrBind(node.in(2));
  if (!x || !blob || !checkRanks(node, {{1, 1}}) || !checkBytes(e, blob))
    return;
  if (kind < 0 || kind > 2 || shape.size() != 2 || Emitter::rankOf(x) < 1)
    return void(e.fail("blk_quant_type is " + Twine(kind) + ", and B_shape has " + Twine(shape.size()) + " elements, expected 2"));
  AffineExpr inner = e.maxOf(shape[0], e.number(0)), columns = e.maxOf(shape[1], e.number(0)), blocks = normalize((inner + size - 1).floorDiv(size));
  Dims rows{columns, blocks, e.number(bytes)};
  e.unify(Emitter::product(rows, e.context()), Emitter::dimsOf(blob)[0], "the bytes of the matrix");
  Value block = e.reshape(blob, rows);
  Type word = e.builder.getIntegerType(32, false), byte = Emitter::elementOf(blob);
  Value parts = e.cast(e.sliceAxis(block, 2, 0, 4), word);
  if (e.hasFailed())
    return;
  Value bits = e.reduce(ReduceKind::sum, e.binary<ShiftLeftOp>(parts, e.tensor({0, 8, 16, 24}, {4}, word)), {2});
  Value scale = bits ? e.make<BitcastOp>(Emitter::dimsOf(bits), e.f32(), bits) : Value();
  Value zero = kind == 1 ? e.cast(e.sliceAxis(block, 2, 4, 1), e.f32()) : e.scalar(8, e.f32());
  Dims halves{columns, blocks, e.number(size / 32), e.number(1), e.number(16)};
  Value codes = e.reshape(e.sliceAxis(block, 2, bytes - size / 2, size / 2), halves);
  codes = e.binary<AndOp>(e.binary<ShiftRightOp>(codes, e.tensor({0, 4}, {2, 1}, byte)), e.integerScalar(15, byte));
  Value numbers = e.mul(e.sub(e.reshape(e.cast(codes, e.f32()), {columns, blocks, e.number(size)}), zero), scale);
  Value weight = e.sliceAxis(e.reshape(numbers, {columns, normalize(blocks * size)}), 1, e.number(0), inner);
  node.set(0, e.matmul(x, e.transposeLast(weight)));
}

} // namespace

void addMicrosoftPacked(OperatorTable &table) {
  table.addIn("com.microsoft", "GatherPacked", importGatherPacked);
  table.addIn("com.microsoft", "MatMulFpQ4", importMatMulFpQ4);
}

} // namespace onager::frontend
