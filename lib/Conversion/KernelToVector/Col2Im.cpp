// Blocks added back into the images they were cut from.
//
// Work items: (image, channel). The sums of one plane lie in scratch memory, in the compute type; every element of a block adds the runs of its
// places in all blocks, which are rows of the operand.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

graph::Col2ImOp getHero(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::Col2ImOp>().begin(); }

graph::Dims getImage(graph::Col2ImOp op) {
  graph::Dims dims = graph::getDims(op.getResult());
  dims.erase(dims.begin(), dims.begin() + 2);
  return dims;
}

struct Col2ImEmitter {
  UnitEmitter &e;
  graph::Col2ImOp op;
  Type storage, compute;
  graph::Dims image;
  Value scratch;

  Col2ImEmitter(UnitEmitter &e, graph::Col2ImOp op) : e(e), op(op), image(getImage(op)), scratch(e.getScratch()) {
    storage = cast<RankedTensorType>(op.getX().getType()).getElementType();
    compute = e.computeType(storage);
  }

  Value positions(size_t dim) { return e.extent(op.getPositions().getResult(dim)); }

  Value sum(Value a, Value c) {
    return storage.isInteger(1) ? Value(arith::OrIOp::create(e.b, a, c)) : accumulate(e, graph::ReduceKind::sum, storage, a, c);
  }

  /// Where an element of a block lies in the first block along a dim, which may be before the image.
  Value getOffset(ArrayRef<Value> within, size_t dim) { return e.sub(e.mul(within[dim], e.i64(op.getDilations()[dim])), e.i64(op.getPads()[dim])); }

  /// Adds the run of places along the last dim; `pixel` and `position` are row-major over the dims before it.
  void addRun(Value row, Value batch, ArrayRef<Value> within, Value pixel, Value position) {
    size_t dim = image.size() - 1;
    Value stride = e.i64(op.getStrides()[dim]), width = e.extent(image[dim]), count = positions(dim), offset = getOffset(within, dim);
    auto firstAt = [&](Value low) { return e.clamp(arith::CeilDivSIOp::create(e.b, e.sub(low, offset), stride), e.i64(0), count); };
    e.forEachParallel(firstAt(e.i64(0)), firstAt(width), [&](Value k) {
      Value at = e.add(e.mul(pixel, width), e.add(offset, e.mul(k, stride)));
      Value x = e.element(op.getX(), {batch, row, e.add(e.mul(position, count), k)});
      e.store(compute, scratch, at, sum(e.load(compute, scratch, at), x));
    });
  }

  void addBlocks(Value row, Value batch, ArrayRef<Value> within, size_t dim, Value pixel, Value position) {
    if (dim + 1 == image.size())
      return addRun(row, batch, within, pixel, position);
    e.forEach(e.i64(0), positions(dim), 1, [&](Value k) {
      Value at = e.add(getOffset(within, dim), e.mul(k, e.i64(op.getStrides()[dim]))), size = e.extent(image[dim]);
      e.ifThen(e.compare("ult", at, size), [&] {
        addBlocks(row, batch, within, dim + 1, e.add(e.mul(pixel, size), at), e.add(e.mul(position, positions(dim)), k));
      });
    });
  }

  /// Walks the elements of a block; `row` counts the operand's rows.
  void forWithin(Index within, Value row, function_ref<void(ArrayRef<Value>, Value)> body) {
    if (within.size() == image.size())
      return body(within, row);
    Value extent = e.extent(op.getBlock().getResult(within.size()));
    e.forEach(e.i64(0), extent, 1, [&](Value k) {
      Index next(within);
      next.push_back(k);
      forWithin(next, e.add(e.mul(row, extent), k), body);
    });
  }

  void emitPlane(ArrayRef<Value> plane) {
    graph::Dims dims = graph::getDims(op.getResult());
    forNest(e, image, [&](ArrayRef<Value>, Value pixel) { e.store(compute, scratch, pixel, e.constant(compute, 0)); });
    forWithin({}, plane[1], [&](ArrayRef<Value> within, Value row) { addBlocks(row, plane[0], within, 0, e.i64(0), e.i64(0)); });
    forNest(e, image, [&](ArrayRef<Value> place, Value pixel) {
      Index index(plane);
      llvm::append_range(index, place);
      e.overrideElement(op.getResult(), [&](ArrayRef<Value>) { return e.load(compute, scratch, pixel); });
      storeResults(e, index, e.linearize(index, dims));
    });
    e.clearOverrides();
  }
};

} // namespace

void emitCol2Im(UnitEmitter &e) {
  Col2ImEmitter emitter(e, getHero(e.unit));
  graph::Dims dims = graph::getDims(emitter.op.getResult());
  forRows(e, {dims[0], dims[1]}, e.begin, e.end, [&](ArrayRef<Value> plane, Value) { emitter.emitPlane(plane); });
}

WorkInfo getCol2ImWork(kernel::UnitOp unit) {
  graph::Col2ImOp op = getHero(unit);
  MLIRContext *context = unit.getContext();
  graph::Dims dims = graph::getDims(op.getResult());
  return {dims[0] * dims[1], graph::getNumElements(context, graph::getDims(op.getX())) * 2, graph::getNumElements(context, getImage(op)) * 8};
}

} // namespace onager
