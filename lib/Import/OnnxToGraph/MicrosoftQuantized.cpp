// Matrix products and recurrences over quantised operands of the domain com.microsoft.
#include "lib/Import/OnnxToGraph/Codebooks.h"
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include "lib/Import/OnnxToGraph/MicrosoftAttention.h"
#include "lib/Import/OnnxToGraph/Quantization.h"
#include <numeric>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Numbers of the smallest blocks.
constexpr int64_t kLeastBlock = 16;

/// A parameter of one number as a scalar; one number per column broadcasts as it is.
Value perColumn(Emitter &e, Value parameter) {
  if (!parameter)
    return {};
  Dims dims = Emitter::dimsOf(parameter);
  return dims.size() == 1 && graph::isConstant(dims[0], 1) ? e.reshape(parameter, {}) : parameter;
}

} // namespace

Value multiplyQuantised(Emitter &e, const Quantised &a, const Quantised &b) {
  Value sum = e.matmul(centre(e, a.numbers, perColumn(e, a.zeroPoint)), centre(e, b.numbers, perColumn(e, b.zeroPoint)));
  return e.mul(e.cast(sum, e.f32()), e.mul(perColumn(e, a.scale), perColumn(e, b.scale)));
}

Quantised quantizeDynamically(Node &node, Value x) {
  Values parts = importAs(node, "DynamicQuantizeLinear", 11, {x});
  parts.resize(3);
  return {parts[0], parts[1], parts[2]};
}

namespace {

Value addBias(Emitter &e, Value x, Value bias) { return bias ? e.add(x, bias) : x; }

void importMatMulIntegerToFloat(Node &node) {
  Value y = multiplyQuantised(node.e, {node.in(0), node.in(2), node.opt(4)}, {node.in(1), node.in(3), node.opt(5)});
  node.set(0, addBias(node.e, y, node.opt(6)));
}

void importDynamicQuantizeMatMul(Node &node) {
  Value y = multiplyQuantised(node.e, quantizeDynamically(node, node.in(0)), {node.in(1), node.in(2), node.opt(3)});
  node.set(0, addBias(node.e, y, node.opt(4)));
}

void importMatMulInteger16(Node &node) {
  Emitter &e = node.e;
  node.set(0, e.matmul(e.cast(node.in(0), e.i32()), e.cast(node.in(1), e.i32())));
}

/// alpha * a b + c in integers of scale alpha * a_scale * b_scale; real without a scale of the result, else quantised by it.
void importQGemm(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(3);
  if (!a || !b)
    return;
  if (Emitter::rankOf(a) != 2 || Emitter::rankOf(b) != 2)
    return void(e.fail("expected matrices, found ranks " + Twine(Emitter::rankOf(a)) + " and " + Twine(Emitter::rankOf(b))));
  Value left = centre(e, node.getInt("transA", 0) ? e.transposeLast(a) : a, perColumn(e, node.in(2)));
  Value right = centre(e, node.getInt("transB", 0) ? e.transposeLast(b) : b, perColumn(e, node.in(5)));
  Value sum = addBias(e, e.matmul(left, right), node.opt(6));
  Value scale = e.mulNumber(e.mul(perColumn(e, node.in(1)), perColumn(e, node.in(4))), node.getFloat("alpha", 1));
  if (!node.has(7))
    return node.set(0, e.mul(e.cast(sum, e.f32()), scale));
  Value zeroPoint = perColumn(e, node.opt(8)), factor = e.div(scale, perColumn(e, node.in(7)));
  Type type = zeroPoint ? Emitter::elementOf(zeroPoint) : Emitter::elementOf(a);
  node.set(0, requantize(e, e.mul(e.cast(sum, e.f32()), factor), zeroPoint, type, true));
}

/// Attention whose projection multiplies quantised operands.
void importQAttention(Node &node) {
  Emitter &e = node.e;
  Value all = multiplyQuantised(e, {node.in(0), node.in(3), node.opt(6)}, {node.in(1), node.in(4), node.opt(7)});
  setProjected(node, e.add(all, node.in(2)), node.opt(5), node.opt(8), {});
}

/// How the weights of MatMulBnb4 are stored: a row [N, K] of codes of four bits, the first of each byte in its high bits, with one scale per block of the row.
struct Codes {
  Value packed, scales;
  ArrayRef<double> levels;
  int64_t inner, columns, block;

  int64_t count() const { return inner * columns; }
  int64_t blocks() const { return (count() + block - 1) / block; }
  /// The longest part of a block that rows are made of.
  int64_t getRowBlock() const { return std::gcd(inner, block); }
};

/// The weight [N, K] in numbers of a type.
Value decode(Emitter &e, const Codes &codes, Type type) {
  Type byte = Emitter::elementOf(codes.packed);
  Value numbers = e.binary<ShiftRightOp>(e.reshape(codes.packed, e.numbers({(codes.count() + 1) / 2, 1})), e.tensor({4, 0}, {2}, byte));
  numbers = e.cast(e.sliceAxis(e.flatten(e.binary<AndOp>(numbers, e.integerScalar(15, byte))), 0, 0, codes.count()), e.i32());
  Exprs none{e.number(0)}, behind{e.number(codes.blocks() * codes.block - codes.count())};
  Value filled = e.pad(e.gather(e.tensor(codes.levels, {16}, type), numbers, 0), none, behind, e.scalar(0, type));
  Value weight = e.mul(e.reshape(filled, e.numbers({codes.blocks(), codes.block})), e.reshape(e.cast(codes.scales, type), e.numbers({codes.blocks(), 1})));
  return e.reshape(e.sliceAxis(e.flatten(weight), 0, 0, codes.count()), e.numbers({codes.columns, codes.inner}));
}

/// The product of x of f32 with the codes as they are; blocks of the row become blocks of the rows.
Value multiplyCodes(Emitter &e, Value x, const Codes &codes) {
  int64_t block = codes.getRowBlock(), perRow = codes.inner / block;
  Value four = e.integerScalar(4, Emitter::elementOf(codes.packed)), bytes = e.reshape(codes.packed, e.numbers({codes.columns, perRow, block / 2}));
  Value turned = e.binary<OrOp>(e.binary<ShiftLeftOp>(bytes, four), e.binary<ShiftRightOp>(bytes, four));
  Value scales = e.cast(e.reshape(codes.scales, e.numbers({codes.blocks(), 1})), e.f32());
  scales = e.broadcast(isBf16Constant(codes.scales) ? e.cast(e.cast(scales, e.builder.getBF16Type()), e.f32()) : scales, e.numbers({codes.blocks(), codes.block / block}));
  scales = e.reshape(scales, e.numbers({codes.columns, perRow}));
  Dims dims = Emitter::dimsOf(x);
  e.require(dims.back(), e.number(codes.inner), "K");
  Dims known = dims;
  known.back() = e.number(codes.inner);
  dims.back() = e.number(codes.columns);
  Value levels = e.tensor(codes.levels, {16}, e.f32());
  return BlockMatmulOp::create(e.builder, e.location, makeTensor(dims, e.f32()), e.reshape(x, known), turned, scales, /*zeros=*/Value(), levels, 4, block);
}

void importMatMulBnb4(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), packed = node.in(1), scales = node.in(2);
  int64_t inner = node.getInt("K", 0), columns = node.getInt("N", 0), block = node.getInt("block_size", 0), kind = node.getInt("quant_type", 0);
  if (!x || !packed || !scales)
    return;
  if (!Emitter::elementOf(packed).isUnsignedInteger(8))
    return void(e.fail("numbers of few bits lie in bytes, which are of type uint8"));
  if (inner < 1 || columns < 1 || inner > kMaxElements / columns || block < kLeastBlock || (block & (block - 1)) || kind < 0 || kind > 1)
    return void(e.fail("K is " + Twine(inner) + ", N " + Twine(columns) + ", block_size " + Twine(block) + ", quant_type " + Twine(kind)));
  Codes codes{packed, scales, kind ? ArrayRef(kNormal4) : ArrayRef(kFloat4), inner, columns, block};
  Type type = Emitter::elementOf(x), wide = type.getIntOrFloatBitWidth() < 32 ? e.f32() : type;
  bool isTransposed = node.getInt("transB", 1) != 0, hasBlocks = wide.isF32() && isTransposed && Emitter::rankOf(x) > 0 && codes.getRowBlock() >= kLeastBlock;
  if (hasBlocks && codes.count() % block == 0)
    return node.set(0, e.cast(multiplyCodes(e, e.cast(x, wide), codes), type));
  Value weight = decode(e, codes, wide);
  node.set(0, e.cast(e.matmul(e.cast(x, wide), isTransposed ? e.transposeLast(weight) : weight), type));
}

} // namespace

void addMicrosoftQuantized(OperatorTable &table) {
  auto add = [&](StringRef op, ImportFunction function) { table.addIn("com.microsoft", op, function); };
  add("MatMulIntegerToFloat", importMatMulIntegerToFloat);
  add("DynamicQuantizeMatMul", importDynamicQuantizeMatMul);
  add("MatMulInteger16", importMatMulInteger16);
  add("QGemm", importQGemm);
  add("QAttention", importQAttention);
  add("MatMulBnb4", importMatMulBnb4);
}

} // namespace onager::frontend
