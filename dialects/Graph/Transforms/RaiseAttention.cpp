// matmul(softmax(scale * matmul(q, k^T) + mask), v) -> attention(q, k, v, mask). Test: graph-raise-attention.mlir
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-raise-attention"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISEATTENTION
#include "dialects/Graph/Transforms/Passes.h.inc"

/// Elements of a row of q or v below which vectors would be mostly padding.
static constexpr int64_t kShortestRow = 8;

/// Scores of one head, where their number is known, below which a launch for each product is no slower.
static constexpr int64_t kFewestScores = 32;

/// Operations between a softmax and the product of its scores that are followed: more are no attention that anybody writes.
static constexpr int kLongestChain = 8;

static bool isShortFloat(Type type) { return type.isF16() || type.isBF16() || type.isF32(); }

/// The value behind casts between floats of up to 32 bits that nobody else reads.
static Value stripCasts(Value value) {
  while (auto op = value.getDefiningOp<CastOp>()) {
    if (!value.hasOneUse() || !isShortFloat(getElement(op.getX())) || !isShortFloat(getElement(value)))
      break;
    value = op.getX();
  }
  return value;
}

/// The value behind a product or quotient with a constant of one element, which is multiplied into `scale`.
static Value stripScale(Value value, double &scale) {
  auto accept = [&](Value rest, double factor) {
    if (rest.getType() != value.getType())
      return false;
    scale *= factor;
    value = rest;
    return true;
  };
  for (bool found = true; found;) {
    found = false;
    if (auto product = splitScalar<MulOp>(value))
      found = accept(product->first, product->second);
    else if (auto quotient = value.getDefiningOp<DivOp>())
      if (std::optional<double> divisor = getScalar(quotient.getRhs()))
        found = accept(quotient.getLhs(), 1 / *divisor);
  }
  return value;
}

namespace {

/// What turns the product of q and k into the scores of a softmax.
struct Scores {
  MatmulOp product;
  double scale = 1;
  bool isScaled = false; ///< a scale stands between what was followed so far and the softmax
  struct Mask {
    Value value;
    double fill = 0;
    bool isInverted = false; ///< holds where the fill is taken
  };
  SmallVector<Mask> masks; ///< the last one first
};

/// Follows scores back to their product; false where something else than scales and masks lies in between.
bool matchScores(Value value, Scores &scores, int depth = kLongestChain) {
  value = stripCasts(value);
  if (!value.hasOneUse() || depth == 0)
    return false;
  double scale = 1;
  if (Value inner = stripScale(value, scale); inner != value) {
    scores.scale *= scale;
    scores.isScaled = true;
    return matchScores(inner, scores, depth - 1);
  }
  if (auto product = value.getDefiningOp<MatmulOp>()) {
    scores.product = product;
    return true;
  }
  auto follow = [&](Value inner, Scores::Mask mask) {
    if (scores.isScaled || inner.getType() != value.getType())
      return false;
    Scores attempt = scores;
    attempt.masks.push_back(mask);
    if (!matchScores(inner, attempt, depth - 1))
      return false;
    scores = attempt;
    return true;
  };
  if (auto add = value.getDefiningOp<AddOp>())
    return follow(add.getLhs(), {add.getRhs()}) || follow(add.getRhs(), {add.getLhs()});
  if (auto select = value.getDefiningOp<SelectOp>()) {
    if (std::optional<double> fill = getScalar(select.getB()))
      return follow(select.getA(), {select.getCondition(), *fill});
    if (std::optional<double> fill = getScalar(select.getA()))
      return follow(select.getB(), {select.getCondition(), *fill, true});
  }
  return false;
}

/// The softmax behind weights, and the rows whose weights are 0 instead.
struct Weights {
  SoftmaxOp softmax;
  Value zeroed;
  bool zeroNaN = false;
};

/// The x of select(is_nan(x), 0, x), which nothing else reads.
Value matchNumbers(Value value) {
  auto select = value.getDefiningOp<SelectOp>();
  auto test = select ? select.getCondition().getDefiningOp<IsNaNOp>() : nullptr;
  bool fits = test && test.getX() == select.getB() && value.hasOneUse() && test->hasOneUse() && select.getB().hasNUses(2);
  return fits && getScalar(select.getA()) == 0.0 && select.getB().getType() == value.getType() ? select.getB() : Value();
}

Weights matchWeights(Value value) {
  Weights weights;
  value = stripCasts(value);
  if (auto select = value.getDefiningOp<SelectOp>(); select && value.hasOneUse() && !matchNumbers(value)) {
    Dims rows = getDims(select.getCondition());
    if (getScalar(select.getA()) != 0.0 || rows.empty() || !isConstant(rows.back(), 1))
      return {};
    weights.zeroed = select.getCondition();
    value = stripCasts(select.getB());
  }
  unsigned uses = 1;
  if (Value inner = matchNumbers(value)) {
    weights.zeroNaN = true;
    value = inner;
    uses = 2;
  }
  auto softmax = value.getDefiningOp<SoftmaxOp>();
  if (softmax && !softmax.getLog() && softmax.getAxis() + 1 == getDims(value).size() && value.hasNUses(uses))
    weights.softmax = softmax;
  return weights;
}

/// Keys or values that are repeated for the heads of a group: reshape(broadcast(x)) with x [B, G, 1, T, N] -> [B, G * R, T, N].
Value matchRepeated(Value value, Dims &groups) {
  auto joined = value.getDefiningOp<ReshapeOp>();
  auto repeated = joined ? joined.getX().getDefiningOp<BroadcastOp>() : nullptr;
  if (!repeated || getDims(value).size() != 4)
    return {};
  Dims from = getDims(repeated.getX()), to = getDims(repeated.getResult()), out = getDims(value);
  bool fits = from.size() == 5 && to.size() == 5 && isConstant(from[2], 1) && to[1] * to[2] == out[1] && to[0] == out[0] && to[3] == out[2] && to[4] == out[3];
  for (size_t k : {0, 1, 3, 4})
    fits = fits && from[k] == to[k];
  if (!fits)
    return {};
  groups.assign(to.begin() + 1, to.begin() + 3);
  return repeated.getX();
}

/// The operands of an attention, as they are found.
struct Parts {
  Value q, k, v, zeroed;
  SmallVector<Value> masks;
};

struct RaiseAttention : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    Weights weights = matchWeights(op.getLhs());
    SoftmaxOp softmax = weights.softmax;
    Scores scores;
    if (!softmax || !matchScores(softmax.getX(), scores))
      return rewriter.notifyMatchFailure(op, "not the product of a softmax over scaled and masked scores");
    Value q = stripScale(scores.product.getLhs(), scores.scale), keys = stripScale(scores.product.getRhs(), scores.scale), v = op.getRhs();
    for (Value tensor : {q, keys, v, Value(op.getResult())})
      if (!getElement(tensor).isF32())
        return rewriter.notifyMatchFailure(op, "q, k and v are not f32");
    if (isBelow(getDims(q).back(), kShortestRow) || isBelow(getDims(v).back(), kShortestRow))
      return rewriter.notifyMatchFailure(op, "rows of q or v are short");
    Dims dims = getDims(softmax.getResult());
    if (isBelow(dims[dims.size() - 1] * dims[dims.size() - 2], kFewestScores))
      return rewriter.notifyMatchFailure(op, "a head has few scores");
    Parts parts{q, swapLast(rewriter, op.getLoc(), keys), v, weights.zeroed, {}};
    SmallVector<double> fills;
    for (const Scores::Mask &mask : llvm::reverse(scores.masks)) {
      parts.masks.push_back(makeMask(rewriter, op.getLoc(), mask));
      fills.push_back(mask.fill);
    }
    Location loc = rewriter.getFusedLoc({scores.product.getLoc(), softmax.getLoc(), op.getLoc()});
    Dims out = getDims(op.getResult());
    if (std::optional<Dims> grouped = group(rewriter, loc, parts, out))
      out = *grouped;
    Value y = AttentionOp::create(rewriter, loc, makeTensor(out, rewriter.getF32Type()), parts.q, parts.k, parts.v, parts.masks, parts.zeroed, Value(), Value(),
                                  rewriter.getF64FloatAttr(scores.scale), rewriter.getDenseF64ArrayAttr(fills),
                                  weights.zeroNaN ? rewriter.getUnitAttr() : UnitAttr());
    rewriter.replaceOp(op, reshape(rewriter, loc, y, getDims(op.getResult())));
    return success();
  }

  static bool isBelow(AffineExpr extent, int64_t limit) {
    std::optional<int64_t> constant = getConstant(extent);
    return constant && *constant < limit;
  }

  static Value reshape(PatternRewriter &rewriter, Location loc, Value x, ArrayRef<AffineExpr> dims) {
    RankedTensorType type = makeTensor(dims, getElement(x));
    return type == x.getType() ? x : ReshapeOp::create(rewriter, loc, type, x).getResult();
  }

  /// The transpose of the last two dims, as one with a transpose before it.
  static Value swapLast(PatternRewriter &rewriter, Location loc, Value x) {
    Dims dims = getDims(x);
    std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
    if (auto inner = x.getDefiningOp<TransposeOp>()) {
      perm.assign(inner.getPerm().begin(), inner.getPerm().end());
      x = inner.getX();
    }
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    if (llvm::is_sorted(perm))
      return x;
    return TransposeOp::create(rewriter, loc, makeTensor(dims, getElement(x)), x, rewriter.getDenseI64ArrayAttr(perm));
  }

  /// A mask that holds where scores stay, in its smallest shape: attention broadcasts it.
  static Value makeMask(PatternRewriter &rewriter, Location loc, const Scores::Mask &mask) {
    Value value = mask.value;
    if (auto broadcast = value.getDefiningOp<BroadcastOp>())
      value = broadcast.getX();
    return mask.isInverted ? NotOp::create(rewriter, loc, value.getType(), value).getResult() : value;
  }

  /// The dims of a tensor that broadcasts to [B, G * R, S, N], with the heads split into groups.
  static std::optional<Dims> splitHeads(Value tensor, ArrayRef<AffineExpr> groups) {
    Dims dims = getDims(tensor);
    if (dims.size() < 3)
      return dims;
    size_t at = dims.size() - 3;
    AffineExpr heads = dims[at], one = getAffineConstantExpr(1, tensor.getContext());
    if (!isConstant(heads, 1) && heads != groups[0] * groups[1])
      return std::nullopt;
    dims[at] = isConstant(heads, 1) ? one : groups[0];
    dims.insert(dims.begin() + at + 1, isConstant(heads, 1) ? one : groups[1]);
    return dims;
  }

  /// Where keys and values are repeated for groups of heads, takes them unrepeated and gives everything else a dim of groups; returns the result's dims.
  static std::optional<Dims> group(PatternRewriter &rewriter, Location loc, Parts &parts, ArrayRef<AffineExpr> out) {
    Dims groups, others;
    Value k = matchRepeated(parts.k, groups), v = matchRepeated(parts.v, others);
    SmallVector<Value *> tensors{&parts.q};
    for (Value &mask : parts.masks)
      tensors.push_back(&mask);
    if (parts.zeroed)
      tensors.push_back(&parts.zeroed);
    if (!k || !v || groups != others || out.size() != 4 || out[1] != groups[0] * groups[1])
      return std::nullopt;
    if (!llvm::all_of(tensors, [&](Value *tensor) { return splitHeads(*tensor, groups).has_value(); }))
      return std::nullopt;
    for (Value *tensor : tensors)
      *tensor = reshape(rewriter, loc, *tensor, *splitHeads(*tensor, groups));
    parts.k = k;
    parts.v = v;
    return Dims{out[0], groups[0], groups[1], out[2], out[3]};
  }
};

struct RaiseAttentionPass : impl::GraphRaiseAttentionBase<RaiseAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseAttention>(&getContext());
    int64_t before = countOps<AttentionOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += countOps<AttentionOp>(getOperation()) - before;
  }
};

} // namespace
} // namespace onager::graph
