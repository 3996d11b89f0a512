// Bytes behind zero points; see MatchInt8.h.
#include "dialects/Graph/Transforms/MatchInt8.h"

using namespace mlir;

namespace onager::graph {

/// A sum of more products of bytes may not fit into 32 bits.
static constexpr int64_t kLongestSum = 1 << 16;
/// Windows whose taps are written out one by one, and strides that deal a plane out into few phases.
static constexpr int64_t kMostTaps = 256, kLargestStride = 4;

static bool isByte(Type type) { return type.isSignlessInteger(8) || type.isUnsignedInteger(8); }

/// What a cast between integers that keeps every number reads.
static Value lookThroughCast(Value value) {
  auto op = value.getDefiningOp<CastOp>();
  return op && isa<IntegerType>(getElement(op.getX())) && !getElement(op.getX()).isInteger(1) ? op.getX() : value;
}

std::optional<CentredBytes> matchCentredBytes(Value integers) {
  Value bytes = lookThroughCast(integers);
  if (isByte(getElement(bytes)))
    return CentredBytes{bytes, 0};
  auto sub = integers.getDefiningOp<SubOp>();
  if (!sub || sub.getLhs().getType() != sub.getType() || !getElement(integers).isSignlessInteger(32))
    return std::nullopt;
  bytes = lookThroughCast(sub.getLhs());
  std::optional<double> zero = getScalar(sub.getRhs());
  if (!zero || !isByte(getElement(bytes)))
    return std::nullopt;
  auto number = static_cast<int64_t>(*zero);
  int64_t low = getElement(bytes).isUnsignedInteger() ? 0 : -128;
  if (number < low || number > low + 255)
    return std::nullopt;
  return CentredBytes{bytes, number};
}

std::optional<Dequantized> matchDequantized(Value value) {
  auto mul = value.getDefiningOp<MulOp>();
  if (!mul || !getElement(value).isF32())
    return std::nullopt;
  for (auto [numbers, scale] : {std::pair(mul.getLhs(), mul.getRhs()), std::pair(mul.getRhs(), mul.getLhs())}) {
    auto op = numbers.getDefiningOp<CastOp>();
    if (op && numbers.getType() == value.getType() && isa<IntegerType>(getElement(op.getX())) && isConstantTree(scale))
      return Dequantized{op.getX(), scale};
  }
  return std::nullopt;
}

/// Position in a tensor of shape `from` that broadcasts to position `index` of shape `to`.
static int64_t getBroadcastPosition(ArrayRef<int64_t> from, ArrayRef<int64_t> to, int64_t index) {
  int64_t position = 0, stride = 1;
  for (size_t k = to.size(), missing = to.size() - from.size(); k-- > 0;) {
    int64_t coordinate = index % to[k];
    index /= to[k];
    if (k < missing)
      continue;
    if (from[k - missing] != 1)
      position += coordinate * stride;
    stride *= from[k - missing];
  }
  return position;
}

static std::optional<std::vector<int64_t>> readIntegers(Value value);

/// Reads the elements that a slice takes, as of one direction's weights.
static std::optional<std::vector<int64_t>> readSlice(SliceOp op) {
  SmallVector<int64_t> starts;
  for (AffineExpr start : op.getStarts().getResults()) {
    std::optional<int64_t> known = getConstant(start);
    if (!known)
      return std::nullopt;
    starts.push_back(*known);
  }
  std::optional<std::vector<int64_t>> all = readIntegers(op.getX());
  if (!all)
    return std::nullopt;
  ArrayRef<int64_t> from = cast<RankedTensorType>(op.getX().getType()).getShape(), to = cast<RankedTensorType>(op.getType()).getShape();
  std::vector<int64_t> numbers(ShapedType::getNumElements(to));
  for (size_t n = 0; n < numbers.size(); ++n) {
    int64_t rest = static_cast<int64_t>(n), position = 0, stride = 1;
    for (size_t k = to.size(); k-- > 0; rest /= to[k], stride *= from[k])
      position += (starts[k] + rest % to[k] * op.getSteps()[k]) * stride;
    numbers[n] = (*all)[position];
  }
  return numbers;
}

/// Reads a constant of integers, a slice of one, or the difference of two that are cast.
static std::optional<std::vector<int64_t>> readIntegers(Value value) {
  value = lookThroughCast(lookThroughViews(lookThroughCast(value)));
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape() || !isa<IntegerType>(type.getElementType()) || getElementBytes(type.getElementType()) > 4)
    return std::nullopt;
  if (ElementsAttr constant = getConstantValue(value)) {
    SmallVector<char> storage;
    ArrayRef<char> bytes = getConstantBytes(constant, storage);
    std::vector<int64_t> numbers(type.getNumElements());
    for (size_t k = 0; k < numbers.size(); ++k)
      numbers[k] = readInteger(type.getElementType(), bytes, static_cast<int64_t>(k));
    return numbers;
  }
  if (auto slice = value.getDefiningOp<SliceOp>())
    return readSlice(slice);
  auto sub = value.getDefiningOp<SubOp>();
  if (!sub || sub.getLhs().getType() != type)
    return std::nullopt;
  std::optional<std::vector<int64_t>> numbers = readIntegers(sub.getLhs()), zeros = readIntegers(sub.getRhs());
  if (!numbers || !zeros)
    return std::nullopt;
  ArrayRef<int64_t> shape = cast<RankedTensorType>(sub.getRhs().getType()).getShape();
  for (size_t k = 0; k < numbers->size(); ++k)
    (*numbers)[k] -= (*zeros)[getBroadcastPosition(shape, type.getShape(), static_cast<int64_t>(k))];
  return numbers;
}

/// The constant of i8 that needs no change: its zero points are 0.
static Value getPlainWeights(Value integers) {
  Value bytes = lookThroughCast(integers);
  if (auto sub = integers.getDefiningOp<SubOp>(); sub && sub.getLhs().getType() == sub.getType()) {
    std::optional<std::vector<int64_t>> zeros = readIntegers(sub.getRhs());
    if (!zeros || llvm::any_of(*zeros, [](int64_t zero) { return zero != 0; }))
      return {};
    bytes = lookThroughCast(sub.getLhs());
  }
  return getElement(bytes).isSignlessInteger(8) && (getConstantValue(bytes) || bytes.getDefiningOp<TransposeOp>()) ? bytes : Value();
}

bool areByteWeights(Value integers) {
  if (getPlainWeights(integers))
    return true;
  std::optional<std::vector<int64_t>> numbers = readIntegers(integers);
  return numbers && llvm::all_of(*numbers, [](int64_t number) { return number >= -128 && number <= 127; });
}

std::optional<int64_t> getExcess(Value integers) {
  std::optional<std::vector<int64_t>> numbers = areByteWeights(integers) ? std::nullopt : readIntegers(integers);
  if (!numbers || numbers->empty())
    return std::nullopt;
  auto [low, high] = std::minmax_element(numbers->begin(), numbers->end());
  return *high - *low <= 255 ? std::optional(*low + 128) : std::nullopt;
}

std::optional<int64_t> getLargestNorm(Value integers) {
  std::optional<std::vector<int64_t>> numbers = readIntegers(integers);
  int64_t entries = numbers && !numbers->empty() ? cast<RankedTensorType>(integers.getType()).getDimSize(0) : 0;
  if (!entries)
    return std::nullopt;
  std::vector<int64_t> norms(entries);
  for (size_t k = 0; k < numbers->size(); ++k)
    norms[k * norms.size() / numbers->size()] += std::abs((*numbers)[k]);
  return *std::max_element(norms.begin(), norms.end());
}

Value makeByteWeights(OpBuilder &builder, Value integers) {
  Value plain = getPlainWeights(integers);
  return plain ? plain : makeByteWeights(builder, integers, 0);
}

Value makeByteWeights(OpBuilder &builder, Value integers, int64_t excess) {
  std::vector<int64_t> numbers = *readIntegers(integers);
  SmallVector<char> bytes;
  for (int64_t number : numbers)
    bytes.push_back(static_cast<char>(number - excess));
  RankedTensorType type = makeTensor(getDims(integers), builder.getIntegerType(8));
  return ConstantOp::create(builder, integers.getLoc(), type, makeConstant(type, bytes));
}

bool hasInt8Form(ConvOp op) {
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  if (!filter.hasStaticShape() || !getConstant(getDims(op.getX())[1]) || filter.getRank() < 3 || filter.getRank() > 4 || filter.getNumElements() == 0)
    return false;
  int64_t perFilter = filter.getNumElements() / filter.getDimSize(0);
  return perFilter < kLongestSum && perFilter / filter.getDimSize(1) <= kMostTaps &&
         llvm::all_of(op.getStrides(), [](int64_t stride) { return stride <= kLargestStride; });
}

bool hasInt8Form(MatmulOp op) {
  auto rhs = cast<RankedTensorType>(op.getRhs().getType());
  return rhs.getRank() == 2 && rhs.hasStaticShape() && rhs.getNumElements() > 0 && rhs.getDimSize(0) < kLongestSum;
}

} // namespace onager::graph
