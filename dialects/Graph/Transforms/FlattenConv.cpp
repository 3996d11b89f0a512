// conv of one position -> matmul; trailing dims that windows do not reach over -> one. Test: graph-flatten-conv.mlir
//
// 1. A convolution whose result has one position per image reads of each image what lies under one window: a row of a matrix.
// 2. Dims at the end in which windows are one element wide, as of a video over time, are one dim.
// 3. Elementwise operations behind either go before the reshape that gives its result the dims back, so that they are computed with the sums.
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/MathExtras.h"

#define DEBUG_TYPE "graph-flatten-conv"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFLATTENCONV
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

bool isShortFloat(Type type) { return type.isF32() || type.isF16() || type.isBF16(); }

/// Taps of the only window along one dim that lie in the image, and the element under the first of them.
struct Taps {
  int64_t first, count, element, dilation;
};

/// Nothing where the result has several positions or a size is not known.
std::optional<SmallVector<Taps>> getTaps(ConvOp op) {
  Dims x = getDims(op.getX()), filter = getDims(op.getFilter()), out = getDims(op.getResult());
  SmallVector<Taps> taps;
  for (size_t k = 2; k < x.size(); ++k) {
    std::optional<int64_t> extent = getConstant(x[k]), kernel = getConstant(filter[k]), pad = getConstant(op.getPads().getResult(k - 2));
    if (!isConstant(out[k], 1) || !extent || !kernel || !pad)
      return std::nullopt;
    int64_t dilation = op.getDilations()[k - 2], first = std::max<int64_t>(llvm::divideCeilSigned(*pad, dilation), 0);
    int64_t end = std::min<int64_t>(*kernel, llvm::divideCeilSigned(*extent + *pad, dilation));
    if (first >= end)
      return std::nullopt;
    taps.push_back({first, end - first, first * dilation - *pad, dilation});
  }
  return taps;
}

/// The elements of a tensor [a, b, spatial...] at the taps, as a matrix [a, b * taps].
Value takeTaps(OpBuilder &b, Location loc, Value value, ArrayRef<Taps> taps, bool isImage) {
  Dims dims = getDims(value), starts(2, b.getAffineConstantExpr(0)), left(dims.begin(), dims.begin() + 2);
  SmallVector<int64_t> steps(2, 1);
  AffineExpr columns = dims[1];
  for (const Taps &one : taps) {
    starts.push_back(b.getAffineConstantExpr(isImage ? one.element : one.first));
    steps.push_back(isImage && one.count > 1 ? one.dilation : 1);
    left.push_back(b.getAffineConstantExpr(one.count));
    columns = columns * one.count;
  }
  Type element = getElement(value);
  if (left != dims)
    value = SliceOp::create(b, loc, makeTensor(left, element), value, makeExprs(b.getContext(), starts), b.getDenseI64ArrayAttr(steps));
  return ReshapeOp::create(b, loc, makeTensor({dims[0], columns}, element), value);
}

/// A tensor of fewer dims, each of which stands for `counts` dims of a wider one.
struct Flat {
  Value value;
  SmallVector<size_t> counts;
};

Flat convertToMatmul(OpBuilder &b, ConvOp op, ArrayRef<Taps> taps) {
  Location loc = op.getLoc();
  Value rows = takeTaps(b, loc, op.getX(), taps, /*isImage=*/true), filters = takeTaps(b, loc, op.getFilter(), taps, /*isImage=*/false);
  Dims shape = getDims(filters);
  Value turned = TransposeOp::create(b, loc, makeTensor({shape[1], shape[0]}, getElement(filters)), filters, b.getDenseI64ArrayAttr({1, 0}));
  return {MatmulOp::create(b, loc, makeTensor({getDims(rows)[0], shape[0]}, getElement(op.getResult())), rows, turned), {1, 1 + taps.size()}};
}

/// The dims at the end in which windows are one element wide and every element has one; 0 where all are such, which have a form of their own.
size_t countPlainDims(ConvOp op) {
  Dims x = getDims(op.getX()), filter = getDims(op.getFilter()), out = getDims(op.getResult());
  size_t count = 0, spatial = x.size() - 2;
  for (size_t k = spatial; k-- > 0; ++count)
    if (!isConstant(filter[2 + k], 1) || op.getStrides()[k] != 1 || !isConstant(op.getPads().getResult(k), 0) || x[2 + k] != out[2 + k])
      break;
  return count == spatial ? 0 : count;
}

/// The tensor with its last dims as one.
Value mergeLast(OpBuilder &b, Location loc, Value value, size_t count) {
  Dims dims = getDims(value), merged(dims.begin(), dims.end() - static_cast<std::ptrdiff_t>(count));
  merged.push_back(getNumElements(b.getContext(), ArrayRef(dims).take_back(count)));
  return ReshapeOp::create(b, loc, makeTensor(merged, getElement(value)), value);
}

Flat mergePlainDims(OpBuilder &b, ConvOp op, size_t count) {
  size_t left = op.getStrides().size() - count + 1;
  Value x = mergeLast(b, op.getLoc(), op.getX(), count), filter = mergeLast(b, op.getLoc(), op.getFilter(), count);
  Dims out = getDims(op.getResult()), dims(out.begin(), out.begin() + 1 + static_cast<std::ptrdiff_t>(left));
  dims.push_back(getDims(x).back());
  Value conv = ConvOp::create(b, op.getLoc(), makeTensor(dims, getElement(op.getResult())), x, filter, b.getDenseI64ArrayAttr(op.getStrides().take_front(left)),
                              makeExprs(b.getContext(), op.getPads().getResults().take_front(left)), b.getDenseI64ArrayAttr(op.getDilations().take_front(left)), op.getGroupAttr());
  SmallVector<size_t> counts(dims.size(), 1);
  counts.back() = count;
  return {conv, counts};
}

/// The dims of an operand of an elementwise operation whose result has been flattened; nothing where one of its dims stands for some of those it has, not all.
std::optional<Dims> flatten(ArrayRef<AffineExpr> dims, ArrayRef<AffineExpr> wide, ArrayRef<size_t> counts) {
  Dims flat;
  size_t missing = wide.size() - dims.size(), place = 0;
  for (size_t count : counts) {
    auto isOne = [&](size_t k) { return k < missing || isConstant(dims[k - missing], 1); };
    auto isWhole = [&](size_t k) { return k >= missing && dims[k - missing] == wide[k]; };
    auto group = llvm::seq(place, place + count);
    if (llvm::all_of(group, isWhole))
      flat.push_back(getNumElements(wide[0].getContext(), wide.slice(place, count)));
    else if (!llvm::all_of(group, isOne))
      return std::nullopt;
    else if (place + count > missing)
      flat.push_back(getAffineConstantExpr(1, wide[0].getContext()));
    place += count;
  }
  return flat;
}

/// Computes an elementwise operation on flat tensors; null where an operand has no flat form.
Value computeFlat(OpBuilder &b, Operation *op, ArrayRef<size_t> counts) {
  Dims wide = getDims(op->getResult(0));
  SmallVector<Dims> dims;
  for (Value operand : op->getOperands()) {
    std::optional<Dims> own = flatten(getDims(operand), wide, counts);
    if (!own)
      return {};
    dims.push_back(*own);
  }
  IRMapping operands;
  for (auto [operand, own] : llvm::zip(op->getOperands(), dims))
    if (getDims(operand) != own)
      operands.map(operand, ReshapeOp::create(b, op->getLoc(), makeTensor(own, getElement(operand)), operand).getResult());
  Operation *flat = b.clone(*op, operands);
  flat->getResult(0).setType(makeTensor(*flatten(wide, wide, counts), getElement(op->getResult(0))));
  return flat->getResult(0);
}

struct FlattenConv : impl::GraphFlattenConvBase<FlattenConv> {
  void runOnOperation() override {
    SmallVector<ConvOp> convs;
    getOperation().walk([&](ConvOp op) { convs.push_back(op); });
    for (ConvOp op : convs) {
      OpBuilder b(op);
      std::optional<SmallVector<Taps>> taps = getTaps(op);
      size_t plain = countPlainDims(op);
      if (taps && op.getGroup() == 1 && isShortFloat(getElement(op.getResult())) && isConstantTree(op.getFilter()))
        replace(op, convertToMatmul(b, op, *taps));
      else if (plain > 1)
        replace(op, mergePlainDims(b, op, plain));
      else
        continue;
      ++numFlattened;
    }
  }

  /// Gives the dims back to a flat tensor in the place of an operation, and computes what is elementwise behind it before that.
  void replace(Operation *op, const Flat &flat) {
    OpBuilder b(op);
    Value wide = ReshapeOp::create(b, op->getLoc(), op->getResult(0).getType(), flat.value);
    op->replaceAllUsesWith(ValueRange(wide));
    op->erase();
    // What is replaced may take other users along: they are looked for anew each time.
    llvm::SmallPtrSet<Operation *, 4> kept;
    auto isNext = [&](Operation *user) {
      return user->hasTrait<ElementwiseOp>() && user->getNumResults() == 1 && getDims(user->getResult(0)) == getDims(wide) && !kept.contains(user);
    };
    for (auto user = llvm::find_if(wide.getUsers(), isNext); user != wide.user_end(); user = llvm::find_if(wide.getUsers(), isNext)) {
      OpBuilder behind(*user);
      if (Value next = computeFlat(behind, *user, flat.counts))
        replace(*user, {next, flat.counts});
      else
        kept.insert(*user);
    }
  }
};

} // namespace
} // namespace onager::graph
