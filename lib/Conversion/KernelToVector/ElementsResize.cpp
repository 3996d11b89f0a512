// Elements of a resampled tensor: the product form over all dims of each dim's taps.
#include "lib/Conversion/KernelToVector/Resampling.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

struct ResizeEmitter {
  UnitEmitter &e;
  graph::ResizeOp op;
  Resampling resampling;

  Value combine(ArrayRef<SmallVector<Tap>> perDim, Index index, Value weight) {
    if (index.size() == perDim.size()) {
      Value x = e.element(op.getX(), index);
      if (!isa<FloatType>(x.getType()) && weight)
        x = arith::SIToFPOp::create(e.b, weight.getType(), x);
      return weight ? Value(arith::MulFOp::create(e.b, x, weight)) : x;
    }
    Value sum;
    for (const Tap &tap : perDim[index.size()]) {
      Index next(index);
      next.push_back(tap.position);
      Value product = tap.weight && weight ? Value(arith::MulFOp::create(e.b, weight, tap.weight)) : tap.weight ? tap.weight : weight;
      Value part = combine(perDim, next, product);
      sum = sum ? Value(arith::AddFOp::create(e.b, sum, part)) : part;
    }
    return sum;
  }

  Value emit(ArrayRef<Value> index) {
    graph::Dims in = graph::getDims(op.getX()), out = graph::getDims(op.getResult());
    Type storage = cast<RankedTensorType>(op.getX().getType()).getElementType(), compute = e.computeType(storage);
    Type weights = isa<FloatType>(compute) ? compute : Type(e.b.getF32Type());
    bool crops = op.getCoordinates() == "tf_crop_and_resize";
    SmallVector<SmallVector<Tap>> perDim;
    Value outside;
    for (size_t d = 0; d < in.size(); ++d) {
      if (in[d] == out[d] && !crops) {
        perDim.push_back({{index[d], Value()}});
        continue;
      }
      refuseEmptyDim(e, op, in[d], "a dim without elements cannot be resized to some");
      Value x = resampling.coordinate(d, index[d]);
      perDim.push_back(resampling.taps(x, e.extent(in[d]), weights));
      if (crops) {
        Value off = resampling.isOutside(d, x);
        outside = outside ? Value(arith::OrIOp::create(e.b, outside, off)) : off;
      }
    }
    Value value = combine(perDim, {}, Value());
    if (isa<FloatType>(value.getType()) && !isa<FloatType>(compute))
      value = convertElement(e, math::RoundEvenOp::create(e.b, value), e.b.getF32Type(), storage, true);
    return outside ? Value(arith::SelectOp::create(e.b, outside, e.constant(compute, op.getExtrapolation().convertToDouble()), value)) : value;
  }
};

Value emitResize(UnitEmitter &e, Operation *op, unsigned, ArrayRef<Value> index) {
  auto resize = cast<graph::ResizeOp>(op);
  return ResizeEmitter{e, resize, Resampling(e, resize)}.emit(index);
}

} // namespace

void registerResize(llvm::StringMap<OpElementFn> &table) { table["graph.resize"] = emitResize; }

} // namespace onager
