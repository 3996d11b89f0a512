// Elements of small integer tensors, operation by operation.
#include "dialects/Graph/Transforms/Evaluate.h"
#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"

using namespace mlir;

namespace onager::graph {

bool isCountable(Type element) {
  auto type = dyn_cast<IntegerType>(element);
  return type && (type.getWidth() == 1 || (type.getWidth() >= 8 && type.getWidth() <= 64)) && !element.isUnsignedInteger(64);
}

int64_t wrapToType(int64_t value, Type element) {
  unsigned width = cast<IntegerType>(element).getWidth();
  if (width == 64)
    return value;
  uint64_t low = static_cast<uint64_t>(value) & ((uint64_t(1) << width) - 1);
  if (element.isUnsignedInteger() || width == 1 || !(low >> (width - 1)))
    return static_cast<int64_t>(low);
  return static_cast<int64_t>(low | ~((uint64_t(1) << width) - 1));
}

bool isEvaluable(Operation *op) {
  bool isKnown = isa<ConstantOp, IndexTensorOp, CastOp, ReshapeOp, BroadcastOp, TransposeOp, SliceOp, ConcatOp, GatherOp, AddOp, SubOp, MulOp, DivOp, ModOp, MinOp, MaxOp,
                     AndOp, OrOp, XorOp, NotOp, NegOp, AbsOp, SignOp, EqualOp, LessOp, LessEqualOp, SelectOp>(op);
  if (auto reduction = dyn_cast<ReduceOp>(op))
    isKnown = reduction.getKind() == ReduceKind::sum || reduction.getKind() == ReduceKind::prod || reduction.getKind() == ReduceKind::min || reduction.getKind() == ReduceKind::max;
  auto isFine = [](Value value) { return isCountable(cast<RankedTensorType>(value.getType()).getElementType()); };
  return isKnown && llvm::all_of(op->getOperands(), isFine) && llvm::all_of(op->getResults(), isFine);
}

const Elements *Evaluator::find(Value value) const {
  auto found = known.find(value);
  return found == known.end() ? nullptr : &found->second;
}

void Evaluator::set(Value value, Elements elements) {
  if (known.try_emplace(value, std::move(elements)).second)
    order.push_back(value);
}

std::optional<SmallVector<int64_t>> Evaluator::getAll(Value value) const {
  const Elements *elements = find(value);
  if (!elements || llvm::is_contained(*elements, std::nullopt))
    return std::nullopt;
  return llvm::map_to_vector(*elements, [](std::optional<int64_t> element) { return *element; });
}

void Evaluator::forEachKnown(function_ref<void(Value, ArrayRef<int64_t>)> use) const {
  for (Value value : order)
    if (auto all = getAll(value))
      use(value, *all);
}

std::optional<Evaluator::Shape> Evaluator::getShape(Value value) const {
  Shape shape;
  int64_t count = 1;
  for (AffineExpr dim : getDims(value)) {
    std::optional<int64_t> extent = getConstant(replace(dim));
    if (!extent || *extent < 0 || *extent > mostElements || (count *= *extent) > mostElements)
      return std::nullopt;
    shape.push_back(*extent);
  }
  return shape;
}

static int64_t countElements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

/// Splits a row-major position into indices.
static SmallVector<int64_t> delinearize(int64_t position, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> index(shape.size());
  for (size_t k = shape.size(); k-- > 0; position /= shape[k])
    index[k] = position % shape[k];
  return index;
}

/// The row-major position of indices, whose leading ones may be more than the dims; dims of extent 1 repeat.
static int64_t linearize(ArrayRef<int64_t> index, ArrayRef<int64_t> shape) {
  int64_t position = 0;
  for (auto [at, extent] : llvm::zip(index.take_back(shape.size()), shape))
    position = position * extent + (extent == 1 ? 0 : at);
  return position;
}

/// The quotient towards zero, or the remainder; 0 by 0.
static std::optional<int64_t> divide(Operation *op, int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && isa<ModOp>(op)))
    return 0;
  if (b == -1 && a == INT64_MIN)
    return std::nullopt;
  if (isa<DivOp>(op))
    return a / b;
  int64_t rest = a % b;
  return rest && !cast<ModOp>(op).getFmod() && (rest < 0) != (b < 0) ? rest + b : rest;
}

/// One element of an elementwise operation, before it is wrapped.
static std::optional<int64_t> computeElement(Operation *op, ArrayRef<int64_t> x, bool isBool) {
  auto wide = [](int64_t value) { return static_cast<uint64_t>(value); };
  if (isa<CastOp>(op))
    return isBool ? x[0] != 0 : x[0];
  if (isa<AddOp>(op))
    return isBool ? x[0] | x[1] : static_cast<int64_t>(wide(x[0]) + wide(x[1]));
  if (isa<SubOp>(op))
    return static_cast<int64_t>(wide(x[0]) - wide(x[1]));
  if (isa<MulOp>(op))
    return static_cast<int64_t>(wide(x[0]) * wide(x[1]));
  if (isa<DivOp, ModOp>(op))
    return divide(op, x[0], x[1]);
  if (isa<MinOp, MaxOp>(op))
    return isa<MinOp>(op) ? std::min(x[0], x[1]) : std::max(x[0], x[1]);
  if (isa<AndOp, OrOp, XorOp>(op))
    return isa<AndOp>(op) ? x[0] & x[1] : isa<OrOp>(op) ? x[0] | x[1] : x[0] ^ x[1];
  if (isa<NotOp>(op))
    return isBool ? !x[0] : ~x[0];
  if (isa<NegOp, AbsOp>(op))
    return isa<NegOp>(op) || x[0] < 0 ? static_cast<int64_t>(0 - wide(x[0])) : x[0];
  if (isa<SignOp>(op))
    return (x[0] > 0) - (x[0] < 0);
  if (isa<EqualOp>(op))
    return x[0] == x[1];
  return isa<LessOp>(op) ? x[0] < x[1] : x[0] <= x[1];
}

std::optional<Elements> Evaluator::computeEach(Operation *op, const Shape &shape) const {
  SmallVector<std::pair<const Elements *, Shape>> operands;
  for (Value operand : op->getOperands()) {
    const Elements *elements = find(operand);
    std::optional<Shape> extents = getShape(operand);
    if (!elements || !extents || extents->size() > shape.size())
      return std::nullopt;
    operands.push_back({elements, *extents});
  }
  Type element = cast<RankedTensorType>(op->getResult(0).getType()).getElementType();
  Elements result;
  for (int64_t k = 0, count = countElements(shape); k < count; ++k) {
    SmallVector<int64_t> index = delinearize(k, shape);
    Elements x;
    for (auto &[elements, extents] : operands)
      x.push_back((*elements)[linearize(index, extents)]);
    if (isa<SelectOp>(op)) {
      result.push_back(!x[0] ? std::nullopt : *x[0] ? x[1] : x[2]);
      continue;
    }
    bool isKnown = !llvm::is_contained(x, std::nullopt);
    std::optional<int64_t> value = isKnown ? computeElement(op, llvm::map_to_vector(x, [](auto one) { return *one; }), element.isInteger(1)) : std::nullopt;
    result.push_back(value ? std::optional(wrapToType(*value, element)) : std::nullopt);
  }
  return result;
}

/// Reshapes, broadcasts, transposes and slices.
std::optional<Elements> Evaluator::move(Operation *op, const Shape &shape) const {
  const Elements *elements = find(op->getOperand(0));
  std::optional<Shape> from = getShape(op->getOperand(0));
  if (!elements || !from)
    return std::nullopt;
  if (isa<ReshapeOp>(op))
    return countElements(shape) == countElements(*from) ? std::optional(*elements) : std::nullopt;
  SmallVector<int64_t> starts(shape.size());
  if (auto slice = dyn_cast<SliceOp>(op))
    for (auto [k, expr] : llvm::enumerate(slice.getStarts().getResults())) {
      std::optional<int64_t> start = getConstant(replace(expr));
      int64_t last = start ? *start + (shape[k] - 1) * slice.getSteps()[k] : 0;
      if (!start || (shape[k] && (*start < 0 || *start >= (*from)[k] || last < 0 || last >= (*from)[k])))
        return std::nullopt;
      starts[k] = *start;
    }
  Elements result;
  for (int64_t k = 0, count = countElements(shape); k < count; ++k) {
    SmallVector<int64_t> index = delinearize(k, shape), source = index;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (auto transpose = dyn_cast<TransposeOp>(op))
        source[transpose.getPerm()[d]] = index[d];
      if (auto slice = dyn_cast<SliceOp>(op))
        source[d] = starts[d] + index[d] * slice.getSteps()[d];
    }
    result.push_back((*elements)[linearize(source, *from)]);
  }
  return result;
}

std::optional<Elements> Evaluator::concatenate(Operation *op, const Shape &shape) const {
  auto axis = static_cast<size_t>(cast<ConcatOp>(op).getAxis());
  Elements result(countElements(shape));
  int64_t start = 0;
  for (Value operand : op->getOperands()) {
    const Elements *elements = find(operand);
    std::optional<Shape> from = getShape(operand);
    if (!from || start + (*from)[axis] > shape[axis])
      return std::nullopt;
    for (int64_t k = 0, count = elements ? countElements(*from) : 0; k < count; ++k) {
      SmallVector<int64_t> index = delinearize(k, *from);
      index[axis] += start;
      result[linearize(index, shape)] = (*elements)[k];
    }
    start += (*from)[axis];
  }
  return result;
}

std::optional<Elements> Evaluator::gather(Operation *op, const Shape &shape) const {
  const Elements *elements = find(op->getOperand(0)), *indices = find(op->getOperand(1));
  std::optional<Shape> from = getShape(op->getOperand(0)), places = getShape(op->getOperand(1));
  if (!elements || !indices || !from || !places)
    return std::nullopt;
  auto axis = static_cast<size_t>(cast<GatherOp>(op).getAxis());
  Elements result;
  for (int64_t k = 0, count = countElements(shape); k < count; ++k) {
    SmallVector<int64_t> index = delinearize(k, shape), source(index.begin(), index.begin() + axis);
    std::optional<int64_t> place = (*indices)[linearize(ArrayRef(index).slice(axis, places->size()), *places)];
    int64_t extent = (*from)[axis];
    if (!place || *place < -extent || *place >= extent) {
      result.push_back(std::nullopt);
      continue;
    }
    source.push_back(*place < 0 ? *place + extent : *place);
    source.append(index.begin() + axis + places->size(), index.end());
    result.push_back((*elements)[linearize(source, *from)]);
  }
  return result;
}

std::optional<Elements> Evaluator::reduce(Operation *op, const Shape &shape) const {
  std::optional<SmallVector<int64_t>> elements = getAll(op->getOperand(0));
  std::optional<Shape> from = getShape(op->getOperand(0));
  // Over no element the result depends on the type.
  if (!elements || elements->empty() || !from)
    return std::nullopt;
  ReduceKind kind = cast<ReduceOp>(op).getKind();
  Type element = cast<RankedTensorType>(op->getResult(0).getType()).getElementType();
  Elements result(countElements(shape));
  for (auto [k, value] : llvm::enumerate(*elements)) {
    std::optional<int64_t> &sum = result[linearize(delinearize(k, *from), shape)];
    if (!sum) {
      sum = value;
      continue;
    }
    uint64_t a = static_cast<uint64_t>(*sum), b = static_cast<uint64_t>(value);
    int64_t next = kind == ReduceKind::sum ? static_cast<int64_t>(a + b) : kind == ReduceKind::prod ? static_cast<int64_t>(a * b) : kind == ReduceKind::min ? std::min(*sum, value) : std::max(*sum, value);
    sum = wrapToType(next, element);
  }
  return result;
}

std::optional<Elements> Evaluator::compute(Operation *op, const Shape &shape) const {
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    if (!hasBytes(constant.getValue()))
      return std::nullopt;
    SmallVector<char> storage;
    ArrayRef<char> bytes = getConstantBytes(constant.getValue(), storage);
    Type element = constant.getValue().getElementType();
    Elements result;
    for (int64_t k = 0, count = countElements(shape); k < count; ++k) {
      int64_t value = readInteger(element, bytes, k);
      result.push_back(element.isInteger(1) ? value != 0 : value);
    }
    return result;
  }
  if (auto tensor = dyn_cast<IndexTensorOp>(op)) {
    Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
    return llvm::map_to_vector<8>(tensor.getExprs().getResults(), [&](AffineExpr expr) {
      std::optional<int64_t> value = getConstant(replace(expr));
      return value ? std::optional(wrapToType(*value, element)) : std::nullopt;
    });
  }
  if (isa<ReshapeOp, BroadcastOp, TransposeOp, SliceOp>(op))
    return move(op, shape);
  if (isa<ConcatOp>(op))
    return concatenate(op, shape);
  if (isa<GatherOp>(op))
    return gather(op, shape);
  return isa<ReduceOp>(op) ? reduce(op, shape) : computeEach(op, shape);
}

void Evaluator::run(Operation *op) {
  if (op->getNumResults() != 1 || !isEvaluable(op))
    return;
  std::optional<Shape> shape = getShape(op->getResult(0));
  if (!shape)
    return;
  std::optional<Elements> elements = compute(op, *shape);
  if (elements && llvm::any_of(*elements, [](std::optional<int64_t> element) { return element.has_value(); }))
    set(op->getResult(0), std::move(*elements));
}

} // namespace onager::graph
