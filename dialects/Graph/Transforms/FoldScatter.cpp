// scatter_nd(x, constant box, updates) -> concat(slice(x), updates, slice(x)). Test: graph-fold-scatter.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-fold-scatter"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHFOLDSCATTER
#include "dialects/Graph/Transforms/Passes.h.inc"

namespace {

/// Indices with more elements are not looked at.
constexpr int64_t kMostIndices = 1 << 20;

using Numbers = SmallVector<int64_t>;

/// The extents of a tensor; nothing where they are not known, or elements are too many.
std::optional<Numbers> getShape(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape() || type.getNumElements() > kMostIndices)
    return std::nullopt;
  return Numbers(type.getShape());
}

/// Calls `use` with each index of a shape, in row-major order.
void forEachIndex(ArrayRef<int64_t> shape, function_ref<void(ArrayRef<int64_t>)> use) {
  Numbers index(shape.size());
  for (int64_t left = ShapedType::getNumElements(shape); left > 0; --left) {
    use(index);
    for (size_t k = shape.size(); k-- > 0 && ++index[k] == shape[k];)
      index[k] = 0;
  }
}

int64_t linearize(ArrayRef<int64_t> index, ArrayRef<int64_t> shape) {
  int64_t linear = 0;
  for (auto [position, extent] : llvm::zip_equal(index, shape))
    linear = linear * extent + position;
  return linear;
}

std::optional<Numbers> readConstant(ElementsAttr constant) {
  SmallVector<char> storage;
  ArrayRef<char> bytes = getConstantBytes(constant, storage);
  Numbers numbers;
  for (int64_t k = 0, count = hasBytes(constant) ? constant.getNumElements() : 0; k < count; ++k)
    numbers.push_back(readInteger(constant.getElementType(), bytes, k));
  return hasBytes(constant) ? std::optional(numbers) : std::nullopt;
}

/// The elements of an integer tensor that reshapes, broadcasts and concatenations make of constants, as exporters write the places of a box.
std::optional<Numbers> readNumbers(Value value) {
  std::optional<Numbers> shape = getShape(value);
  if (!shape)
    return std::nullopt;
  if (ElementsAttr constant = getConstantValue(value))
    return readConstant(constant);
  if (auto reshape = value.getDefiningOp<ReshapeOp>())
    return readNumbers(reshape.getX());
  Numbers result(ShapedType::getNumElements(*shape));
  if (auto broadcast = value.getDefiningOp<BroadcastOp>()) {
    std::optional<Numbers> from = getShape(broadcast.getX()), numbers = readNumbers(broadcast.getX());
    if (!from || !numbers)
      return std::nullopt;
    forEachIndex(*shape, [&](ArrayRef<int64_t> index) {
      Numbers source(index.take_back(from->size()));
      for (auto [position, extent] : llvm::zip_equal(source, *from))
        position = extent == 1 ? 0 : position;
      result[linearize(index, *shape)] = (*numbers)[linearize(source, *from)];
    });
    return result;
  }
  auto concat = value.getDefiningOp<ConcatOp>();
  int64_t offset = 0;
  for (Value input : concat ? ValueRange(concat.getInputs()) : ValueRange()) {
    std::optional<Numbers> from = getShape(input), numbers = readNumbers(input);
    if (!from || !numbers)
      return std::nullopt;
    forEachIndex(*from, [&](ArrayRef<int64_t> index) {
      Numbers place(index);
      place[concat.getAxis()] += offset;
      result[linearize(place, *shape)] = (*numbers)[linearize(index, *from)];
    });
    offset += (*from)[concat.getAxis()];
  }
  return concat ? std::optional(result) : std::nullopt;
}

/// A box of the leading dims of a tensor.
struct Box {
  Numbers starts, extents;
};

/// The box that tuples of `length` indices walk in row-major order; nothing where they walk something else or leave the tensor.
std::optional<Box> findBox(ArrayRef<int64_t> indices, size_t length, ArrayRef<int64_t> dims) {
  int64_t count = static_cast<int64_t>(indices.size() / length);
  auto at = [&](int64_t tuple, size_t k) {
    int64_t index = indices[tuple * static_cast<int64_t>(length) + static_cast<int64_t>(k)];
    return index < 0 ? index + dims[k] : index;
  };
  if (count == 0)
    return std::nullopt;
  Box box;
  for (size_t k = 0; k < length; ++k) {
    box.starts.push_back(at(0, k));
    box.extents.push_back(at(count - 1, k) - at(0, k) + 1);
    if (box.starts[k] < 0 || box.extents[k] <= 0 || box.starts[k] + box.extents[k] > dims[k])
      return std::nullopt;
  }
  int64_t tuple = 0;
  bool walks = ShapedType::getNumElements(box.extents) == count;
  if (walks)
    forEachIndex(box.extents, [&](ArrayRef<int64_t> index) {
      for (size_t k = 0; k < length; ++k)
        walks &= at(tuple, k) == box.starts[k] + index[k];
      ++tuple;
    });
  return walks ? std::optional(box) : std::nullopt;
}

struct FoldScatter : OpRewritePattern<ScatterNDOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ScatterNDOp op, PatternRewriter &rewriter) const override {
    if (op.getKind() != ScatterKind::none)
      return rewriter.notifyMatchFailure(op, "updates are combined with what is there");
    std::optional<Numbers> shape = getShape(op.getIndices());
    Dims all = getDims(op.getX());
    Numbers dims;
    for (AffineExpr dim : ArrayRef(all).take_front(shape && !shape->empty() ? shape->back() : 0))
      dims.push_back(getConstant(dim).value_or(-1));
    Dims own = getDims(op.getUpdates());
    if (dims.empty() || llvm::is_contained(dims, -1) || ArrayRef(all).drop_front(dims.size()) != ArrayRef(own).take_back(all.size() - dims.size()))
      return rewriter.notifyMatchFailure(op, "places or the dims that they index are not known");
    std::optional<Numbers> indices = readNumbers(op.getIndices());
    std::optional<Box> box = indices ? findBox(*indices, dims.size(), dims) : std::nullopt;
    if (!box)
      return rewriter.notifyMatchFailure(op, "places are not those of a box");
    SmallVector<size_t> cut;
    for (size_t k = 0; k < dims.size(); ++k)
      if (box->extents[k] != dims[k])
        cut.push_back(k);
    if (cut.size() > 1)
      return rewriter.notifyMatchFailure(op, "the box is narrower in several dims");
    for (auto [k, extent] : llvm::enumerate(box->extents))
      all[k] = rewriter.getAffineConstantExpr(extent);
    Value updates = ReshapeOp::create(rewriter, op.getLoc(), makeTensor(all, getElement(op.getX())), op.getUpdates());
    rewriter.replaceOp(op, cut.empty() ? updates : insert(rewriter, op, updates, cut[0], box->starts[cut[0]], box->extents[cut[0]], dims[cut[0]]));
    return success();
  }

  static Value insert(PatternRewriter &rewriter, ScatterNDOp op, Value updates, size_t axis, int64_t start, int64_t count, int64_t extent) {
    SmallVector<Value> parts;
    if (start > 0)
      parts.push_back(makeSlice(rewriter, op.getLoc(), op.getX(), axis, 0, start));
    parts.push_back(updates);
    if (start + count < extent)
      parts.push_back(makeSlice(rewriter, op.getLoc(), op.getX(), axis, start + count, extent - start - count));
    return ConcatOp::create(rewriter, op.getLoc(), op.getType(), parts, rewriter.getI64IntegerAttr(static_cast<int64_t>(axis)), UnitAttr());
  }
};

struct FoldScatterPass : impl::GraphFoldScatterBase<FoldScatterPass> {
  void runOnOperation() override {
    int64_t before = countOps<ScatterNDOp>(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldScatter>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numFolded += before - countOps<ScatterNDOp>(getOperation());
  }
};

} // namespace
} // namespace onager::graph
