// Matrix products and recurrences over quantised operands of the domain com.microsoft.
#include "lib/Import/OnnxToGraph/Codebooks.h"
#include "lib/Import/OnnxToGraph/Microsoft.h"
#include "lib/Import/OnnxToGraph/MicrosoftAttention.h"
#include "lib/Import/OnnxToGraph/Quantization.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

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

/// A weight [N, K] from a row of four-bit codes, the first of each byte in its high bits, with one scale per block of the row.
void importMatMulBnb4(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), packed = node.in(1), scales = node.in(2);
  int64_t inner = node.getInt("K", 0), columns = node.getInt("N", 0), block = node.getInt("block_size", 0), kind = node.getInt("quant_type", 0);
  if (!x || !packed || !scales)
    return;
  if (!Emitter::elementOf(packed).isUnsignedInteger(8))
    return void(e.fail("numbers of few bits lie in bytes, which are of type uint8"));
  if (inner < 1 || columns < 1 || inner > kMaxElements / columns || block < 16 || (block & (block - 1)) || kind < 0 || kind > 1)
    return void(e.fail("K is " + Twine(inner) + ", N " + Twine(columns) + ", block_size " + Twine(block) + ", quant_type " + Twine(kind)));
  int64_t count = inner * columns, blocks = (count + block - 1) / block;
  Type byte = Emitter::elementOf(packed), type = Emitter::elementOf(x), wide = type.getIntOrFloatBitWidth() < 32 ? e.f32() : type;
  Value codes = e.binary<ShiftRightOp>(e.reshape(packed, e.numbers({(count + 1) / 2, 1})), e.tensor({4, 0}, {2}, byte));
  codes = e.flatten(e.binary<AndOp>(codes, e.integerScalar(15, byte)));
  Value numbers = e.gather(e.tensor(kind ? kNormal4 : kFloat4, {16}, wide), e.cast(e.sliceAxis(codes, 0, 0, count), e.i32()), 0);
  Exprs none{e.number(0)}, behind{e.number(blocks * block - count)};
  Value filled = e.pad(numbers, none, behind, e.scalar(0, wide));
  Value weight = e.mul(e.reshape(filled, e.numbers({blocks, block})), e.reshape(e.cast(scales, wide), e.numbers({blocks, 1})));
  weight = e.reshape(e.sliceAxis(e.flatten(weight), 0, 0, count), e.numbers({columns, inner}));
  node.set(0, e.cast(e.matmul(e.cast(x, wide), node.getInt("transB", 1) ? e.transposeLast(weight) : weight), type));
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
