// Depthwise convolution: each output channel reads one input channel.
//
// Work items: (image, output channel). The input plane is copied into scratch with its padding, once; then no tap tests bounds. Taps are unrolled, the
// loop over the last dim is the vectoriser's.
//   scratch := rows of the padded plane, each `padded width` floats
#include "lib/Conversion/KernelToVector/UnitEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

struct DepthwiseShape {
  graph::ConvOp op;
  graph::Dims x, filter, out;
  graph::Dims padded; ///< extents of the padded plane
};

DepthwiseShape getShape(kernel::UnitOp unit) {
  DepthwiseShape s;
  s.op = *unit.getBody().front().getOps<graph::ConvOp>().begin();
  s.x = graph::getDims(s.op.getX());
  s.filter = graph::getDims(s.op.getFilter());
  s.out = graph::getDims(s.op.getResult());
  for (size_t d = 0; d + 2 < s.out.size(); ++d)
    s.padded.push_back((s.out[2 + d] - 1) * s.op.getStrides()[d] + (s.filter[2 + d] - 1) * s.op.getDilations()[d] + 1);
  return s;
}

struct DepthwiseEmitter {
  UnitEmitter &e;
  DepthwiseShape s;
  Value scratch;

  /// Copies a plane into scratch, zeros where it is padding.
  void copyPlane(Value image, Value channel, Index position) {
    size_t d = position.size();
    auto at = [&](Value p, size_t dim) { return e.sub(p, e.extent(s.op.getPads().getResult(dim))); };
    if (d + 1 < s.padded.size()) {
      e.forEach(e.i64(0), e.extent(s.padded[d]), 1, [&](Value p) {
        Index next(position);
        next.push_back(p);
        copyPlane(image, channel, next);
      });
      return;
    }
    Value inside = arith::ConstantIntOp::create(e.b, 1, 1);
    Index from{image, channel};
    for (size_t k = 0; k < d; ++k) {
      Value p = at(position[k], k), size = e.extent(s.x[2 + k]);
      inside = arith::AndIOp::create(e.b, inside, e.compare("ult", p, size));
      from.push_back(e.maxSigned(e.minSigned(p, e.sub(size, e.i64(1))), e.i64(0)));
    }
    Index target(position);
    target.push_back(e.i64(0));
    Value row = e.linearize(target, s.padded), width = e.extent(s.padded[d]), size = e.extent(s.x[2 + d]), low = e.extent(s.op.getPads().getResult(d));
    from.push_back(e.i64(0));
    Value source = e.linearize(from, s.x);
    Type f32 = e.b.getF32Type();
    Value zero = e.constant(f32, 0);
    Value begin = e.clamp(low, e.i64(0), width), end = e.clamp(e.add(low, size), begin, width);
    end = arith::SelectOp::create(e.b, inside, end, begin);
    auto clear = [&](Value first, Value last) { e.forEachParallel(first, last, [&](Value p) { e.store(f32, scratch, e.add(row, p), zero); }); };
    clear(e.i64(0), begin);
    Value input = e.getBuffer(s.op.getX()), shift = e.sub(source, low);
    e.forEachParallel(begin, end, [&](Value p) { e.store(f32, scratch, e.add(row, p), e.load(f32, input, e.add(shift, p))); });
    clear(end, width);
  }

  SmallVector<Index> taps() {
    SmallVector<Index> list{{}};
    for (size_t d = 2; d < s.filter.size(); ++d) {
      SmallVector<Index> next;
      for (const Index &tap : list)
        for (int64_t k = 0; k < *graph::getConstant(s.filter[d]); ++k) {
          next.push_back(tap);
          next.back().push_back(e.i64(k));
        }
      list = next;
    }
    return list;
  }

  Value sum(ArrayRef<Value> index, ArrayRef<Index> list, ArrayRef<Value> weights) {
    Type f32 = e.b.getF32Type();
    Value total;
    for (auto [tap, weight] : llvm::zip(list, weights)) {
      Index at;
      for (size_t d = 0; d < s.padded.size(); ++d)
        at.push_back(e.add(e.mul(index[2 + d], e.i64(s.op.getStrides()[d])), e.mul(tap[d], e.i64(s.op.getDilations()[d]))));
      Value x = e.load(f32, scratch, e.linearize(at, s.padded));
      total = total ? Value(math::FmaOp::create(e.b, x, weight, total)) : Value(arith::MulFOp::create(e.b, x, weight));
    }
    return total;
  }

  void emit() {
    Type f32 = e.b.getF32Type();
    SmallVector<Index> list = taps();
    Value perChannel = e.floorDiv(e.extent(s.out[1]), e.i64(s.op.getGroup()));
    forRows(e, {s.out[0], s.out[1]}, e.begin, e.end, [&](ArrayRef<Value> plane, Value number) {
      copyPlane(plane[0], e.floorDiv(plane[1], perChannel), {});
      SmallVector<Value> weights;
      Value filter = e.mul(plane[1], e.i64(list.size()));
      for (size_t k = 0; k < list.size(); ++k)
        weights.push_back(e.load(f32, e.getBuffer(s.op.getFilter()), e.add(filter, e.i64(k)), true));
      emitOutput(plane, Index(plane), list, weights);
    });
  }

  void emitOutput(ArrayRef<Value> plane, Index index, ArrayRef<Index> list, ArrayRef<Value> weights) {
    Value size = e.extent(s.out[index.size()]);
    if (index.size() + 1 < s.out.size()) {
      e.forEach(e.i64(0), size, 1, [&](Value p) {
        Index next(index);
        next.push_back(p);
        emitOutput(plane, next, list, weights);
      });
      return;
    }
    e.forEachParallel(e.i64(0), size, [&](Value p) {
      Index at(index);
      at.push_back(p);
      e.overrideElement(s.op.getResult(), [&](ArrayRef<Value>) { return sum(at, list, weights); });
      storeResults(e, at, e.linearize(at, s.out));
      e.clearOverrides();
    });
  }
};

} // namespace

void emitDepthwise(UnitEmitter &e) { DepthwiseEmitter{e, getShape(e.unit), e.getScratch()}.emit(); }

WorkInfo getDepthwiseWork(kernel::UnitOp unit, const EmitOptions &) {
  DepthwiseShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  AffineExpr taps = graph::getNumElements(context, ArrayRef(s.filter).drop_front(2));
  return {s.out[0] * s.out[1], graph::getNumElements(context, s.out) * taps, graph::getNumElements(context, s.padded) * 4};
}

} // namespace onager
