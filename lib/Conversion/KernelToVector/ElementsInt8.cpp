// One weight of a packed tensor of bytes, or of bf16. The layouts are those of Int8.h.
#include "dialects/Kernel/IR/Int8.h"
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

struct PackedElement {
  UnitEmitter &e;
  Value x;
  RankedTensorType type; ///< packed
  bool isPaired;
  int64_t terms = kernel::kQuad; ///< weights in the place of a quad

  int64_t size(size_t dim) { return cast<RankedTensorType>(x.getType()).getDimSize(dim); }

  /// The quad that a step belongs to, and the place of a weight in it: pairs hold places 0 and 2, then 1 and 3.
  std::pair<Value, Value> getPlace(Value step, Value weight) {
    if (!isPaired)
      return {step, weight};
    return {e.floorDiv(step, e.i64(2)), e.add(e.rem(step, e.i64(2)), e.mul(weight, e.i64(2)))};
  }

  /// The weight at an index of the unpacked tensor; 0 where `isInside` does not hold, the index being clamped.
  Value read(Index index, Value isInside) {
    for (auto [dim, part] : llvm::enumerate(index))
      part = e.clamp(part, e.i64(0), e.i64(size(dim) - 1));
    Value weight = e.element(x, index);
    Value kept = arith::SelectOp::create(e.b, isInside, weight, e.constant(weight.getType(), 0));
    return isPaired ? Value(arith::ExtSIOp::create(e.b, e.b.getI16Type(), kept)) : kept;
  }
  Value both(Value a, Value b) { return arith::AndIOp::create(e.b, a, b); }

  Value emitConv(ArrayRef<Value> index) {
    int64_t perGroup = size(0) / type.getDimSize(0), length = cast<RankedTensorType>(x.getType()).getNumElements() / size(0);
    auto [quad, place] = getPlace(index[2], index[4]);
    Value k = e.add(e.mul(quad, e.i64(kernel::kQuad)), place), filter = e.add(e.mul(index[1], e.i64(type.getDimSize(3))), index[3]);
    graph::Dims dims = graph::getDims(x);
    Index source{e.add(e.mul(index[0], e.i64(perGroup)), filter)};
    llvm::append_range(source, e.delinearize(k, ArrayRef(dims).drop_front()));
    return read(source, both(e.compare("slt", filter, e.i64(perGroup)), e.compare("slt", k, e.i64(length))));
  }

  Value emitDepthwise(kernel::Int8PackOp op, ArrayRef<Value> index) {
    auto shape = cast<RankedTensorType>(x.getType()).getShape();
    auto [quad, place] = getPlace(index[1], index[2]);
    Value position = e.add(e.mul(quad, e.i64(kernel::kQuad)), place), tap = e.i64(-1);
    int64_t number = 0;
    for (const kernel::TapQuad &group : kernel::getTapQuads(kernel::makeInt8Window(shape.drop_front(2), op.getStrides(), op.getDilations())))
      for (int64_t candidate : group.taps)
        tap = arith::SelectOp::create(e.b, e.compare("eq", position, e.i64(number++)), e.i64(candidate), tap);
    graph::Dims dims = graph::getDims(x);
    Index source{index[0], e.i64(0)};
    llvm::append_range(source, e.delinearize(e.maxSigned(tap, e.i64(0)), ArrayRef(dims).drop_front(2)));
    return read(source, e.compare("sge", tap, e.i64(0)));
  }

  Value emitGemm(ArrayRef<Value> index) {
    int64_t lanes = type.getDimSize(3);
    auto [quad, place] = getPlace(index[1], index[4]);
    Value k = e.add(e.mul(quad, e.i64(terms)), place);
    // As getLaneColumn.
    Value block = e.mul(e.floorDiv(index[3], e.i64(kernel::kLaneSums)), e.i64(kernel::kLaneSums * kernel::kTileVectors));
    Value inside = e.add(e.mul(index[2], e.i64(kernel::kLaneSums)), e.rem(index[3], e.i64(kernel::kLaneSums)));
    Value column = e.add(e.mul(index[0], e.i64(lanes * kernel::kTileVectors)), e.add(block, inside));
    return readMatrix(k, column);
  }

  Value emitAmx(ArrayRef<Value> index) {
    Value tile = e.add(e.mul(index[0], e.i64(kernel::kAmxPanelTiles)), index[2]);
    Value k = e.add(e.mul(index[1], e.i64(type.getDimSize(4))), e.add(e.mul(index[3], e.i64(terms)), e.rem(index[4], e.i64(terms))));
    return readMatrix(k, e.add(e.mul(tile, e.i64(kernel::kAmxRows)), e.floorDiv(index[4], e.i64(terms))));
  }

  Value readMatrix(Value k, Value column) { return read({k, column}, both(e.compare("slt", k, e.i64(size(0))), e.compare("slt", column, e.i64(size(1))))); }
};

Value emitPack(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto pack = cast<kernel::Int8PackOp>(op);
  auto type = cast<RankedTensorType>(pack.getType());
  PackedElement element{e, pack.getX(), type, type.getElementType().isInteger(16)};
  switch (pack.getForm()) {
  case kernel::Int8Form::conv:
    return element.emitConv(index);
  case kernel::Int8Form::depthwise:
    return element.emitDepthwise(pack, index);
  case kernel::Int8Form::gemm:
    return element.emitGemm(index);
  case kernel::Int8Form::amx:
    return element.emitAmx(index);
  }
  llvm_unreachable("a form of packed bytes");
}

Value emitBf16Pack(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto pack = cast<kernel::Bf16PackOp>(op);
  PackedElement element{e, pack.getX(), cast<RankedTensorType>(pack.getType()), false, kernel::kBf16Pair};
  return pack.getAmx() ? element.emitAmx(index) : element.emitGemm(index);
}

Value emitBf16x3Filter(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  Value filter = cast<kernel::Bf16x3FilterOp>(op).getX();
  ArrayRef<int64_t> shape = cast<RankedTensorType>(filter.getType()).getShape();
  graph::Dims dims = graph::getDims(filter);
  Value channel = e.add(e.mul(index[0], e.i64(kernel::kBf16x3Rows)), e.add(e.mul(index[3], e.i64(kernel::kAmxRows)), index[4]));
  Value term = e.add(e.mul(index[1], e.i64(kernel::kBf16x3Terms)), index[5]), terms = e.i64(ShapedType::getNumElements(shape.drop_front()));
  Index from{e.minSigned(channel, e.i64(shape[0] - 1))};
  llvm::append_range(from, e.delinearize(e.minSigned(term, e.sub(terms, e.i64(1))), ArrayRef(dims).drop_front()));
  Value isInside = arith::AndIOp::create(e.b, e.compare("slt", channel, e.i64(shape[0])), e.compare("slt", term, terms)), zero = e.constant(e.b.getF32Type(), 0);
  Value rest = arith::SelectOp::create(e.b, isInside, e.element(filter, from), zero), part = zero;
  for (int64_t number = 0; number < kernel::kBf16x3Parts; ++number) {
    Value mask = arith::ConstantOp::create(e.b, e.b.getI32IntegerAttr(static_cast<int32_t>(0xffff0000)));
    Value bits = arith::AndIOp::create(e.b, arith::BitcastOp::create(e.b, e.b.getI32Type(), rest), mask), upper = arith::BitcastOp::create(e.b, e.b.getF32Type(), bits);
    part = arith::SelectOp::create(e.b, e.compare("eq", index[2], e.i64(number)), upper, part);
    Value left = arith::SubFOp::create(e.b, rest, upper);
    rest = arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::ORD, left, left), left, zero);
  }
  return part;
}

} // namespace

void registerInt8(llvm::StringMap<OpElementFn> &table) {
  table["kernel.int8_pack"] = emitPack;
  table["kernel.bf16_pack"] = emitBf16Pack;
  table["kernel.bf16x3_filter"] = emitBf16x3Filter;
}

} // namespace onager
