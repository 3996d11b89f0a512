// x * dequantised weights of few bits -> block_matmul, with their own scales and zero points. Test: graph-raise-block-matmul.mlir
//
//   weights := mul(cast(numbers), spread(scales)) | mul(cast(sub(cast(numbers), cast(spread(zeros)))), spread(scales))      or their transpose
//   spread  := one for all, one for each column | for blocks along K: [slice](reshape(broadcast(a dim of 1 behind the blocks)))
#include "dialects/Graph/Transforms/Match.h"
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "graph-raise-block-matmul"

using namespace mlir;

namespace onager::graph {
#define GEN_PASS_DEF_GRAPHRAISEBLOCKMATMUL
#include "dialects/Graph/Transforms/Passes.h.inc"

/// Numbers of the smallest block of block_matmul, and of one where a column has a single scale.
static constexpr int64_t kLeastBlock = 16, kMostBlock = 128;
/// Weights from which it pays to read fewer bytes: others stay in the first cache.
static constexpr int64_t kFewestWeights = 4096;

namespace {

/// Scales or zero points of a matrix: one for each column, or one, where `block` is 0, else [blocks, 1, N] or [N, blocks, 1].
struct Parameter {
  Value numbers;
  int64_t block = 0;
};

/// A matrix of few bits; K is dim `sumDim`.
struct FewBits {
  Value numbers;
  Parameter scales, zeros; ///< the zeros' numbers may be null
  size_t sumDim;

  int64_t getDim(size_t k) const { return cast<RankedTensorType>(numbers.getType()).getDimSize(k); }
  int64_t getDepth() const { return getDim(sumDim); }
  int64_t getColumns() const { return getDim(1 - sumDim); }
  int64_t getBits() const { return cast<IntegerType>(getElement(numbers)).getWidth(); }
  bool isSigned() const { return !getElement(numbers).isUnsignedInteger(); }
};

/// What casts that keep every number read: between integers, and to wider floats.
Value lookThroughCasts(Value value) {
  while (auto op = value.getDefiningOp<CastOp>()) {
    Type from = getElement(op.getX()), to = getElement(op.getResult());
    bool isWider = from.getIntOrFloatBitWidth() <= to.getIntOrFloatBitWidth() && isa<FloatType>(from) == isa<FloatType>(to);
    if (!isWider || from.isInteger(1))
      break;
    value = op.getX();
  }
  return value;
}

/// What a slice from the first element on reads.
Value lookThroughCrop(Value value) {
  auto slice = value.getDefiningOp<SliceOp>();
  bool isCrop = slice && llvm::all_of(slice.getStarts().getResults(), [](AffineExpr start) { return isConstant(start, 0); }) &&
                llvm::all_of(slice.getSteps(), [](int64_t step) { return step == 1; });
  return isCrop ? slice.getX() : value;
}

std::optional<Parameter> matchParameter(Value value, ArrayRef<AffineExpr> dims, size_t sumDim) {
  value = lookThroughCasts(value);
  size_t column = 1 - sumDim;
  if (isPerChannel(value, dims.size(), column, dims[column]))
    return isConstantTree(value) ? std::optional(Parameter{value}) : std::nullopt;
  auto merge = lookThroughCrop(value).getDefiningOp<ReshapeOp>();
  auto spread = merge ? merge.getX().getDefiningOp<BroadcastOp>() : nullptr;
  if (!spread || !isConstantTree(spread.getX()))
    return std::nullopt;
  Dims from = getDims(spread.getX()), to = getDims(spread.getResult());
  if (from.size() != 3 || to.size() != 3 || !isConstant(from[sumDim + 1], 1) || from[sumDim] != to[sumDim] || to[sumDim ? 0 : 2] != dims[column])
    return std::nullopt;
  std::optional<int64_t> block = getConstant(to[sumDim + 1]), blocks = getConstant(to[sumDim]);
  bool isInner = block && blocks && from[sumDim ? 0 : 2] == dims[column] && getDims(merge.getResult())[sumDim] == to[sumDim] * *block;
  return isInner ? std::optional(Parameter{spread.getX(), *block}) : std::nullopt;
}

/// True for zero points of the numbers' type, or for a constant of a wider one that numbers of it could be.
bool areZeros(Value zeros, IntegerType integer) {
  if (getElement(zeros) == integer)
    return true;
  ElementsAttr constant = getConstantValue(lookThroughViews(zeros));
  if (!constant || !isa<IntegerType>(getElement(zeros)))
    return false;
  int64_t low = integer.isUnsigned() ? 0 : -(int64_t(1) << (integer.getWidth() - 1)), high = low + (int64_t(1) << integer.getWidth()) - 1;
  SmallVector<char> storage;
  ArrayRef<char> bytes = getConstantBytes(constant, storage);
  return llvm::all_of(llvm::seq<int64_t>(constant.getNumElements()), [&](int64_t k) {
    int64_t zero = readInteger(getElement(zeros), bytes, k);
    return zero >= low && zero <= high;
  });
}

/// Integers of a constant, less their zero points.
bool matchIntegers(Value value, FewBits &weights) {
  Dims dims = getDims(value);
  if (auto sub = value.getDefiningOp<SubOp>(); sub && sub.getLhs().getType() == sub.getType()) {
    std::optional<Parameter> zeros = matchParameter(sub.getRhs(), dims, weights.sumDim);
    if (!zeros)
      return false;
    weights.zeros = *zeros;
    value = sub.getLhs();
  }
  weights.numbers = lookThroughCasts(value);
  auto type = cast<RankedTensorType>(weights.numbers.getType());
  auto integer = dyn_cast<IntegerType>(type.getElementType());
  bool hasFewBits = integer && (integer.getWidth() == 2 || integer.getWidth() == 4 || integer.getWidth() == 8);
  return hasFewBits && type.hasStaticShape() && getConstantValue(weights.numbers) && type.getNumElements() >= kFewestWeights &&
         (!weights.zeros.numbers || areZeros(weights.zeros.numbers, integer));
}

std::optional<FewBits> matchWeights(Value value, size_t sumDim) {
  auto mul = value.getDefiningOp<MulOp>();
  if (!mul || getDims(value).size() != 2)
    return std::nullopt;
  for (auto [numbers, scale] : {std::pair(mul.getLhs(), mul.getRhs()), std::pair(mul.getRhs(), mul.getLhs())}) {
    auto op = numbers.getDefiningOp<CastOp>();
    FewBits weights;
    weights.sumDim = sumDim;
    if (!op || numbers.getType() != value.getType() || !isa<IntegerType>(getElement(op.getX())) || !matchIntegers(op.getX(), weights))
      continue;
    std::optional<Parameter> scales = matchParameter(scale, getDims(value), sumDim);
    if (!scales || (weights.zeros.block && weights.zeros.block != scales->block))
      continue;
    weights.scales = *scales;
    return weights;
  }
  return std::nullopt;
}

/// Numbers of a block of block_matmul: all of a block of the weights, or the largest power of two that divides it; 0 where that is too small.
int64_t chooseBlock(const FewBits &weights) {
  int64_t given = weights.scales.block, part = (given ? given : weights.getDepth()) & -(given ? given : weights.getDepth());
  if (given)
    return part >= kLeastBlock ? part : 0;
  return part >= kLeastBlock ? std::min(part, kMostBlock) : 2 * kLeastBlock;
}

/// Makes the operands of block_matmul.
class Arranger {
public:
  Arranger(OpBuilder &b, Location loc, const FewBits &weights, int64_t block)
      : b(b), loc(loc), weights(weights), block(block), blocks(llvm::divideCeil(weights.getDepth(), block)), byte(b.getIntegerType(8, false)) {}

  /// [N, blocks, block * bits / 8], filled up with zeros.
  Value packNumbers() {
    int64_t perByte = 8 / weights.getBits(), columns = weights.getColumns();
    Value all = pad(turn(toBytes(weights.numbers)));
    if (perByte == 1)
      return reshape(all, {columns, blocks, block});
    Value parts = reshape(all, {columns, blocks, block / perByte, perByte}), packed;
    for (int64_t k = 0; k < perByte; ++k) {
      SmallVector<AffineExpr> starts(4, expr(0));
      starts[3] = expr(k);
      auto type = makeTensor(list({columns, blocks, block / perByte, 1}), byte);
      Value part = SliceOp::create(b, loc, type, parts, AffineMap::get(0, 0, starts, b.getContext()), ArrayRef<int64_t>{1, 1, 1, 1});
      part = k ? Value(ShiftLeftOp::create(b, loc, type, part, number(static_cast<double>(k * weights.getBits()), byte))) : part;
      packed = packed ? Value(OrOp::create(b, loc, type, packed, part)) : part;
    }
    return reshape(packed, {columns, blocks, block / perByte});
  }

  /// Scales [N, blocks] of f32, by way of bf16 where that holds them.
  Value makeScales() {
    Value numbers = weights.scales.numbers;
    if (getElement(numbers).isBF16() || isBf16Constant(numbers))
      numbers = castTo(numbers, b.getBF16Type());
    return castTo(spread(numbers, weights.scales.block), b.getF32Type());
  }

  /// Zero points [N, blocks] of f32, from bytes.
  Value makeZeros() {
    if (!weights.zeros.numbers)
      return spread(number(static_cast<double>(getMiddle()), b.getF32Type()), 0);
    return castTo(spread(toBytes(weights.zeros.numbers), weights.zeros.block), b.getF32Type());
  }

private:
  AffineExpr expr(int64_t value) { return b.getAffineConstantExpr(value); }
  Dims list(ArrayRef<int64_t> extents) {
    Dims dims;
    for (int64_t extent : extents)
      dims.push_back(expr(extent));
    return dims;
  }
  Value reshape(Value x, ArrayRef<int64_t> extents) { return ReshapeOp::create(b, loc, makeTensor(list(extents), getElement(x)), x); }
  Value castTo(Value x, Type type) { return getElement(x) == type ? x : Value(CastOp::create(b, loc, makeTensor(getDims(x), type), x)); }
  Value number(double value, Type type) {
    Attribute attribute = isa<FloatType>(type) ? Attribute(b.getFloatAttr(type, value)) : Attribute(b.getIntegerAttr(type, static_cast<int64_t>(value)));
    RankedTensorType scalar = makeTensor({}, type);
    return ConstantOp::create(b, loc, scalar, DenseElementsAttr::get(scalar, attribute));
  }
  /// What is added to numbers with a sign.
  int64_t getMiddle() const { return weights.isSigned() ? int64_t(1) << (weights.getBits() - 1) : 0; }

  /// Numbers without a sign, one in each byte.
  Value toBytes(Value numbers) {
    if (!weights.isSigned())
      return castTo(numbers, byte);
    Value wide = castTo(numbers, b.getI32Type());
    return castTo(AddOp::create(b, loc, wide.getType(), wide, number(static_cast<double>(getMiddle()), b.getI32Type())), byte);
  }

  /// [K, N] -> [N, K].
  Value turn(Value x) {
    if (weights.sumDim == 1)
      return x;
    Dims dims = getDims(x);
    return TransposeOp::create(b, loc, makeTensor({dims[1], dims[0]}, getElement(x)), x, ArrayRef<int64_t>{1, 0});
  }

  Value pad(Value x) {
    if (blocks * block == weights.getDepth())
      return x;
    return PadOp::create(b, loc, makeTensor(list({weights.getColumns(), blocks * block}), byte), x, number(0, byte),
                         AffineMap::get(0, 0, {expr(0), expr(0)}, b.getContext()), PadMode::constant);
  }

  /// A parameter for each column and block.
  Value spread(Value x, int64_t given) {
    int64_t columns = weights.getColumns();
    auto broadcast = [&](Value part, ArrayRef<int64_t> extents) -> Value { return BroadcastOp::create(b, loc, makeTensor(list(extents), getElement(part)), part); };
    if (!given) {
      bool isOne = isConstant(getNumElements(b.getContext(), getDims(x)), 1);
      return broadcast(reshape(x, {isOne ? 1 : columns, 1}), {columns, blocks});
    }
    int64_t count = llvm::divideCeil(weights.getDepth(), given), held = *getConstant(getDims(x)[weights.sumDim]), parts = given / block;
    x = turn(weights.sumDim ? reshape(x, {columns, held}) : reshape(x, {held, columns}));
    x = reshape(broadcast(reshape(x, {columns, held, 1}), {columns, held, parts}), {columns, held * parts});
    if (held == count && held * parts == blocks)
      return x;
    return SliceOp::create(b, loc, makeTensor(list({columns, blocks}), getElement(x)), x, AffineMap::get(0, 0, {expr(0), expr(0)}, b.getContext()), ArrayRef<int64_t>{1, 1});
  }

  OpBuilder &b;
  Location loc;
  const FewBits &weights;
  int64_t block, blocks;
  Type byte;
};

struct RaiseMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    Type type = getElement(op.getResult());
    if (!type.isF32() && !type.isF16() && !type.isBF16())
      return rewriter.notifyMatchFailure(op, "no product of floats of 32 bits at most");
    auto transpose = op.getRhs().getDefiningOp<TransposeOp>();
    std::optional<FewBits> weights = transpose ? matchWeights(transpose.getX(), 1) : matchWeights(op.getRhs(), 0);
    int64_t block = weights ? chooseBlock(*weights) : 0;
    if (!block || getConstant(getDims(op.getLhs()).back()) != weights->getDepth())
      return rewriter.notifyMatchFailure(op, "the right operand is no dequantised matrix of few bits, or its blocks are too small");
    Location loc = op.getLoc();
    Type f32 = rewriter.getF32Type();
    Arranger arranger(rewriter, loc, *weights, block);
    auto convert = [&](Value x, Type to) { return getElement(x) == to ? x : Value(CastOp::create(rewriter, loc, makeTensor(getDims(x), to), x)); };
    Value product = BlockMatmulOp::create(rewriter, loc, makeTensor(getDims(op.getResult()), f32), convert(op.getLhs(), f32), arranger.packNumbers(), arranger.makeScales(),
                                          arranger.makeZeros(), /*levels=*/Value(), weights->getBits(), block);
    rewriter.replaceOp(op, convert(product, type));
    return success();
  }
};

struct RaiseBlockMatmul : impl::GraphRaiseBlockMatmulBase<RaiseBlockMatmul> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseMatmul>(&getContext());
    int64_t before = countOps<BlockMatmulOp>(getOperation());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    numRaised += countOps<BlockMatmulOp>(getOperation()) - before;
  }
};

} // namespace
} // namespace onager::graph
