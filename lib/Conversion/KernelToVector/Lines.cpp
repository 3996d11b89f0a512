// Blocks of neighbouring lines; see Lines.h.
#include "lib/Conversion/KernelToVector/Lines.h"

using namespace mlir;

namespace onager {

Lines::Lines(Value tensor, size_t axis) : tensor(tensor), axis(axis) {
  graph::Dims dims = graph::getDims(tensor);
  outer.assign(dims.begin(), dims.begin() + axis);
  inner.assign(dims.begin() + axis + 1, dims.end());
}

AffineExpr Lines::getCount() const {
  MLIRContext *context = tensor.getContext();
  return graph::getNumElements(context, outer) * graph::getNumElements(context, inner);
}

Value LineBlock::linear(Value step, Value lane) const {
  Value size = e.extent(graph::getDims(lines.tensor)[lines.axis]), width = e.extent(graph::getNumElements(e.b.getContext(), lines.inner));
  return e.add(e.mul(e.add(e.mul(outer, size), step), width), e.add(first, lane));
}

Value LineBlock::element(Value step, Value lane) const {
  if (isa<BlockArgument>(lines.tensor)) {
    Type storage = cast<RankedTensorType>(lines.tensor.getType()).getElementType();
    return e.load(storage, e.getBuffer(lines.tensor), linear(step, lane), /*invariant=*/true);
  }
  UnitEmitter::Index index = e.delinearize(outer, lines.outer);
  index.push_back(step);
  llvm::append_range(index, e.delinearize(e.add(first, lane), lines.inner));
  return e.element(lines.tensor, index);
}

void LineBlock::forLanes(function_ref<void(Value)> body) const { e.forEachParallel(e.i64(0), count, body); }

void forLineBlocks(UnitEmitter &e, const Lines &lines, function_ref<void(const LineBlock &)> body) {
  Value width = e.extent(graph::getNumElements(e.b.getContext(), lines.inner)), divisor = e.maxSigned(width, e.i64(1));
  Value last = e.floorDiv(e.add(e.end, e.sub(divisor, e.i64(1))), divisor);
  e.forEach(e.floorDiv(e.begin, divisor), last, 1, [&](Value outer) {
    Value base = e.mul(outer, width), to = e.minSigned(e.sub(e.end, base), width);
    e.forEach(e.maxSigned(e.sub(e.begin, base), e.i64(0)), to, kLineBlock, [&](Value first) {
      body(LineBlock{e, lines, outer, first, e.minSigned(e.sub(to, first), e.i64(kLineBlock))});
    });
  });
}

} // namespace onager
