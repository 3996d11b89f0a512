// Verifiers of the operations on bytes and on bf16. Each check has an id in brackets; see Verify.cpp.
#include "dialects/Graph/IR/Verify.h"
#include "dialects/Kernel/IR/Int8.h"
#include "dialects/Kernel/IR/Kernel.h"

using namespace mlir;

namespace onager::kernel {

using graph::complain;
using graph::getElement;
using graph::getRank;

static bool isByte(Type type) { return type.isSignlessInteger(8) || type.isUnsignedInteger(8); }

/// Numbers that a packed tensor has room for, or -1 where its shape is not known.
static int64_t getRoom(Value packed) {
  auto type = cast<RankedTensorType>(packed.getType());
  return type.hasStaticShape() ? type.getNumElements() : -1;
}

LogicalResult Int8PackOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType()), out = cast<RankedTensorType>(getType());
  if (!x.getElementType().isSignlessInteger(8))
    return complain(*this, "int8_pack_c1") << "weights of " << x << ", expected i8";
  int64_t rank = getForm() == Int8Form::depthwise ? 3 : 5;
  bool isTiled = getForm() == Int8Form::amx, isMatrix = isTiled || getForm() == Int8Form::gemm;
  if (out.getRank() != rank || (isMatrix ? x.getRank() != 2 : x.getRank() < 3))
    return complain(*this, "int8_pack_c2") << x << " does not pack to " << out;
  bool isPaired = out.getElementType().isSignlessInteger(16);
  if ((!isPaired && !out.getElementType().isSignlessInteger(8)) || out.getShape().back() != (isPaired ? 2 : isTiled ? kAmxBytes : kQuad))
    return complain(*this, "int8_pack_c3") << "rows of " << out << ", expected " << (isTiled ? "64 of i8" : "4 of i8 or 2 of i16");
  if (getRoom(getX()) < 0 || getRoom(getResult()) < getRoom(getX()))
    return complain(*this, "int8_pack_c4") << out << " has no room for " << x;
  return success();
}

/// Checks the element types of an operation on bytes.
template <typename Op>
static LogicalResult verifyBytes(Op op, StringRef bytesId, StringRef resultId) {
  Type out = getElement(op.getResult());
  if (!isByte(getElement(op.getX())))
    return complain(op, bytesId) << "x is " << op.getX().getType() << ", expected bytes";
  bool isScaled = op.getScale() && op.getOffset(), isPlain = !op.getScale() && !op.getOffset();
  if (!(isScaled && isByte(out)) && !(isPlain && out.isSignlessInteger(32)))
    return complain(op, resultId) << "a result of " << op.getType() << " with " << op->getNumOperands() << " operands";
  return success();
}

/// Checks that the numbers of each channel are `count`.
template <typename Op>
static LogicalResult verifyChannels(Op op, StringRef id, AffineExpr count) {
  for (Value value : {op.getStart(), op.getScale(), op.getOffset()})
    if (value && (getRank(value) != 1 || graph::getDims(value)[0] != count))
      return complain(op, id) << "numbers of channels in " << value.getType() << ", expected as many as there are channels";
  return success();
}

LogicalResult Int8ConvOp::verify() {
  if (failed(verifyBytes(*this, "int8_conv_c1", "int8_conv_c2")))
    return failure();
  size_t spatial = getRank(getX()) - 2;
  bool fits = getKernel().size() == spatial && getStrides().size() == spatial && getDilations().size() == spatial && getPads().getNumResults() == spatial;
  if (!fits || spatial < 1 || spatial > 2)
    return complain(*this, "int8_conv_c3") << "window attributes for " << spatial << " spatial dims";
  return verifyChannels(*this, "int8_conv_c4", graph::getDims(getResult())[1]);
}

LogicalResult Int8GemmOp::verify() {
  if (failed(verifyBytes(*this, "int8_gemm_c1", "int8_gemm_c2")))
    return failure();
  graph::Dims packed = graph::getDims(getPacked());
  if (packed.size() != 5 || getRank(getX()) < 2 || getRank(getX()) != getRank(getResult()))
    return complain(*this, "int8_gemm_c3") << "ranks " << getRank(getX()) << " and " << packed.size() << " give rank " << getRank(getResult());
  if (getAmx() && (packed[2] != kAmxPanelTiles || packed[3] != kAmxRows || packed[4] != kAmxBytes))
    return complain(*this, "int8_gemm_c5") << "weights " << getPacked().getType() << " are not packed for tiles";
  return verifyChannels(*this, "int8_gemm_c4", packed[0] * packed[2] * packed[3]);
}

LogicalResult Bf16PackOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType()), out = cast<RankedTensorType>(getType());
  if (!x.getElementType().isBF16() || !out.getElementType().isBF16() || x.getRank() != 2 || out.getRank() != 5)
    return complain(*this, "bf16_pack_c1") << x << " does not pack to " << out;
  int64_t row = getAmx() ? kAmxBytes / 2 : kBf16Pair;
  if (out.getShape().back() != row)
    return complain(*this, "bf16_pack_c2") << "rows of " << out << ", expected " << row;
  if (getRoom(getX()) < 0 || getRoom(getResult()) < getRoom(getX()))
    return complain(*this, "bf16_pack_c3") << out << " has no room for " << x;
  return success();
}

LogicalResult Bf16GemmOp::verify() {
  if (!getElement(getX()).isBF16() || !getElement(getPacked()).isBF16() || !getElement(getStart()).isF32() || !getElement(getResult()).isF32())
    return complain(*this, "bf16_gemm_c1") << getX().getType() << " times " << getPacked().getType() << " gives " << getType() << ", expected f32 of bf16";
  graph::Dims packed = graph::getDims(getPacked());
  if (packed.size() != 5 || getRank(getX()) < 2 || getRank(getX()) != getRank(getResult()))
    return complain(*this, "bf16_gemm_c2") << "ranks " << getRank(getX()) << " and " << packed.size() << " give rank " << getRank(getResult());
  if (getRank(getStart()) != 1 || graph::getDims(getStart())[0] != packed[0] * packed[2] * packed[3])
    return complain(*this, "bf16_gemm_c3") << "start is " << getStart().getType() << ", expected as many as there are columns";
  bool isTiled = packed[2] == kAmxPanelTiles && packed[3] == kAmxRows && packed[4] == kAmxBytes / 2;
  if (getAmx() ? !isTiled : packed[4] != kBf16Pair)
    return complain(*this, "bf16_gemm_c4") << "weights " << getPacked().getType() << " are not packed for " << (getAmx() ? "tiles" : "vectors");
  return success();
}

} // namespace onager::kernel
