// conv without the taps that read nothing but padding. Test: graph-drop-padded-taps.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"

#define DEBUG_TYPE "graph-drop-padded-taps"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHDROPPADDEDTAPS
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Taps of one dim that are kept.
struct Taps {
  int64_t first, count;
};

/// The first and the last tap that read the image at some position, and those between; fewer are dropped in front where windows would otherwise begin inside of the image.
Taps findTaps(int64_t extent, int64_t positions, int64_t kernel, int64_t pad, int64_t stride, int64_t dilation) {
  auto reads = [&](int64_t tap) {
    int64_t first = tap * dilation - pad, step = first < 0 ? (stride - 1 - first) / stride : 0;
    return step < positions && first + step * stride < extent;
  };
  int64_t first = 0, end = kernel;
  while (first + 1 < end && !reads(first) && (first + 1) * dilation <= pad)
    ++first;
  while (end > first + 1 && !reads(end - 1))
    --end;
  return {first, end - first};
}

/// The taps of each spatial dim; nothing where all are kept, or a size is not known.
std::optional<SmallVector<Taps>> findTaps(ConvOp op) {
  Dims x = getDims(op.getX()), filter = getDims(op.getFilter()), out = getDims(op.getResult());
  SmallVector<Taps> taps;
  bool dropsAny = false;
  for (size_t k = 2; k < x.size(); ++k) {
    std::optional<int64_t> extent = getConstant(x[k]), positions = getConstant(out[k]), kernel = getConstant(filter[k]), pad = getConstant(op.getPads().getResult(k - 2));
    if (!extent || !positions || !kernel || !pad)
      return std::nullopt;
    taps.push_back(findTaps(*extent, *positions, *kernel, *pad, op.getStrides()[k - 2], op.getDilations()[k - 2]));
    dropsAny |= taps.back().count < *kernel;
  }
  return dropsAny ? std::optional(taps) : std::nullopt;
}

void dropTaps(ConvOp op, ArrayRef<Taps> taps) {
  OpBuilder b(op);
  Dims starts(2, b.getAffineConstantExpr(0)), kept(getDims(op.getFilter())), pads;
  SmallVector<int64_t> steps(kept.size(), 1);
  for (auto [k, one] : llvm::enumerate(taps)) {
    starts.push_back(b.getAffineConstantExpr(one.first));
    kept[2 + k] = b.getAffineConstantExpr(one.count);
    pads.push_back(op.getPads().getResult(k) - one.first * op.getDilations()[k]);
  }
  Value filter = SliceOp::create(b, op.getLoc(), makeTensor(kept, getElement(op.getFilter())), op.getFilter(), makeExprs(b.getContext(), starts), b.getDenseI64ArrayAttr(steps));
  op.getFilterMutable().assign(filter);
  op.setPadsAttr(makeExprs(b.getContext(), pads));
}

struct DropPaddedTaps : impl::GraphDropPaddedTapsBase<DropPaddedTaps> {
  void runOnOperation() override {
    getOperation().walk([&](ConvOp op) {
      std::optional<SmallVector<Taps>> taps = findTaps(op);
      if (!taps || !isConstantTree(op.getFilter()))
        return;
      dropTaps(op, *taps);
      ++numNarrowed;
    });
  }
};

} // namespace
} // namespace onager::graph
