// Evaluates operations on small integer tensors whose elements are expressions of symbols.
//
// graph.add (index_tensor (s0, 4), constant (1, 2)) becomes index_tensor (s0 + 1, 6); data movement permutes the elements.
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace onager::frontend {
namespace {

using Folded = std::optional<Exprs>;

ArrayRef<int64_t> shapeOf(Value value) { return mlir::cast<RankedTensorType>(value.getType()).getShape(); }

/// Calls `use` with each position of a shape in row-major order.
void forEachPosition(ArrayRef<int64_t> shape, function_ref<void(ArrayRef<int64_t>)> use) {
  if (llvm::is_contained(shape, 0))
    return;
  Ints position(shape.size(), 0);
  while (true) {
    use(position);
    int64_t k = static_cast<int64_t>(shape.size()) - 1;
    while (k >= 0 && ++position[k] == shape[k])
      position[k--] = 0;
    if (k < 0)
      return;
  }
}

int64_t getOffset(ArrayRef<int64_t> shape, ArrayRef<int64_t> position) {
  int64_t offset = 0;
  for (auto [extent, index] : llvm::zip(shape, position))
    offset = offset * extent + index;
  return offset;
}

/// Offset of the element of a broadcast operand at a position of the result.
int64_t getBroadcastOffset(ArrayRef<int64_t> shape, ArrayRef<int64_t> position) {
  int64_t offset = 0;
  size_t skipped = position.size() - shape.size();
  for (size_t k = 0; k < shape.size(); ++k)
    offset = offset * shape[k] + (shape[k] == 1 ? 0 : position[skipped + k]);
  return offset;
}

/// One operation to evaluate.
struct Folder {
  Emitter &e;
  Operation *op;
  SmallVector<Exprs, 3> operands;

  ArrayRef<int64_t> result() const { return shapeOf(op->getResult(0)); }
  Type element() const { return Emitter::elementOf(op->getResult(0)); }
  bool isWide() const { return mlir::cast<IntegerType>(element()).getWidth() >= 32; }

  /// Applies a function to the elements at each position; false stops.
  template <typename Fn> Folded map(Fn fn) {
    Exprs list;
    bool isKnown = true;
    forEachPosition(result(), [&](ArrayRef<int64_t> position) {
      if (!isKnown)
        return;
      SmallVector<AffineExpr, 3> at;
      for (auto [k, contents] : llvm::enumerate(operands))
        at.push_back(contents[getBroadcastOffset(shapeOf(op->getOperand(k)), position)]);
      AffineExpr value = fn(at);
      isKnown = static_cast<bool>(value);
      if (isKnown)
        list.push_back(wrap(value));
      isKnown = isKnown && list.back();
    });
    return isKnown ? Folded(list) : std::nullopt;
  }

  /// Wraps constants to the element type; a symbolic element of a narrow type is not known.
  AffineExpr wrap(AffineExpr value) {
    value = normalize(value);
    if (std::optional<int64_t> number = graph::getConstant(value))
      return e.number(wrapInteger(*number, element()));
    return isWide() ? value : AffineExpr();
  }

  /// Takes elements of the first operand by position.
  Folded move(function_ref<int64_t(ArrayRef<int64_t>)> from) {
    Exprs list;
    bool isKnown = true;
    forEachPosition(result(), [&](ArrayRef<int64_t> position) {
      int64_t offset = from(position);
      isKnown &= offset >= 0 && offset < static_cast<int64_t>(operands[0].size());
      if (isKnown)
        list.push_back(operands[0][offset]);
    });
    return isKnown ? Folded(list) : std::nullopt;
  }

  AffineExpr boolean(bool value) { return e.number(value); }

  AffineExpr modulo(AffineExpr a, AffineExpr b, bool fmod) {
    std::optional<int64_t> x = graph::getConstant(a), y = graph::getConstant(b);
    if (!y)
      return {};
    if (*y == 0 || *y == -1)
      return e.number(0);
    if (x) {
      int64_t rest = *x % *y;
      return e.number(!fmod && rest != 0 && (rest < 0) != (*y < 0) ? rest + *y : rest);
    }
    return *y > 0 && (!fmod || e.symbols.isNonNegative(a)) ? a % b : AffineExpr();
  }

  AffineExpr less(AffineExpr a, AffineExpr b, int64_t slack) {
    if (e.symbols.isNonNegative(b - a - slack))
      return boolean(true);
    return e.symbols.isNonNegative(a - b - (1 - slack)) ? boolean(false) : AffineExpr();
  }

  AffineExpr equal(AffineExpr a, AffineExpr b) {
    if (std::optional<int64_t> difference = getDifference(a, b))
      return boolean(*difference == 0);
    bool differ = e.symbols.isNonNegative(a - b - 1) || e.symbols.isNonNegative(b - a - 1);
    return differ ? boolean(false) : AffineExpr();
  }

  AffineExpr bitwise(AffineExpr a, AffineExpr b, function_ref<int64_t(int64_t, int64_t)> fn) {
    std::optional<int64_t> x = graph::getConstant(a), y = graph::getConstant(b);
    return x && y ? e.number(fn(*x, *y)) : AffineExpr();
  }

  AffineExpr cast(AffineExpr value) {
    if (!element().isInteger(1))
      return value;
    if (std::optional<int64_t> number = graph::getConstant(value))
      return boolean(*number != 0);
    return e.symbols.isNonNegative(value - 1) ? boolean(true) : AffineExpr();
  }

  Folded reduce(graph::ReduceOp reduce) {
    Exprs list(cast64(result()), AffineExpr());
    ArrayRef<int64_t> shape = shapeOf(reduce.getX());
    if (llvm::is_contained(shape, 0))
      return std::nullopt;
    bool isKnown = true;
    forEachPosition(shape, [&](ArrayRef<int64_t> position) {
      AffineExpr &sum = list[getBroadcastOffset(result(), position)];
      AffineExpr next = operands[0][getOffset(shape, position)];
      sum = sum ? combine(reduce.getKind(), sum, next) : next;
      isKnown &= static_cast<bool>(sum);
      sum = sum ? sum : e.number(0);
    });
    for (AffineExpr &value : list)
      isKnown &= static_cast<bool>(value = wrap(value));
    return isKnown ? Folded(list) : std::nullopt;
  }

  static size_t cast64(ArrayRef<int64_t> shape) {
    size_t count = 1;
    for (int64_t extent : shape)
      count *= extent;
    return count;
  }

  AffineExpr combine(graph::ReduceKind kind, AffineExpr a, AffineExpr b) {
    switch (kind) {
    case graph::ReduceKind::sum:
      return normalize(a + b);
    case graph::ReduceKind::prod:
      return normalize(a * b);
    case graph::ReduceKind::max:
      return e.maxOf(a, b);
    case graph::ReduceKind::min:
      return e.minOf(a, b);
    default:
      return {};
    }
  }

  Folded concat(graph::ConcatOp concat) {
    Exprs list;
    int64_t axis = concat.getAxis();
    forEachPosition(result(), [&](ArrayRef<int64_t> position) {
      Ints inner(position);
      for (auto [input, contents] : llvm::zip(concat.getInputs(), operands)) {
        int64_t extent = shapeOf(input)[axis];
        if (inner[axis] < extent) {
          list.push_back(contents[getOffset(shapeOf(input), inner)]);
          return;
        }
        inner[axis] -= extent;
      }
    });
    return list;
  }

  Folded gather(graph::GatherOp gather) {
    ArrayRef<int64_t> shape = shapeOf(gather.getX()), indices = shapeOf(gather.getIndices());
    int64_t axis = gather.getAxis();
    return move([&](ArrayRef<int64_t> position) -> int64_t {
      Ints from(position.begin(), position.begin() + axis);
      std::optional<int64_t> at = graph::getConstant(operands[1][getOffset(indices, position.slice(axis, indices.size()))]);
      if (!at || *at < -shape[axis] || *at >= shape[axis])
        return -1;
      from.push_back(*at < 0 ? *at + shape[axis] : *at);
      from.append(position.begin() + axis + indices.size(), position.end());
      return getOffset(shape, from);
    });
  }

  Folded slice(graph::SliceOp slice) {
    ArrayRef<int64_t> shape = shapeOf(slice.getX()), steps = slice.getSteps();
    Ints starts;
    for (AffineExpr start : slice.getStarts().getResults()) {
      if (!isa<AffineConstantExpr>(start))
        return std::nullopt;
      starts.push_back(llvm::cast<AffineConstantExpr>(start).getValue());
    }
    return move([&](ArrayRef<int64_t> position) {
      Ints from;
      for (size_t k = 0; k < position.size(); ++k)
        from.push_back(starts[k] + position[k] * steps[k]);
      return getOffset(shape, from);
    });
  }

  Folded iota(graph::IotaOp iota) {
    Exprs list;
    forEachPosition(result(), [&](ArrayRef<int64_t> position) {
      list.push_back(normalize(operands[0][0] + operands[1][0] * position[iota.getAxis()]));
    });
    return list;
  }

  Folded cumulate(graph::CumulateOp op) {
    ArrayRef<int64_t> shape = shapeOf(op.getX());
    int64_t axis = op.getAxis();
    bool isSum = op.getKind() == graph::ReduceKind::sum;
    Exprs list;
    forEachPosition(shape, [&](ArrayRef<int64_t> position) {
      AffineExpr total = e.number(isSum ? 0 : 1);
      Ints from(position);
      for (int64_t k = 0; k < shape[axis]; ++k) {
        bool isBefore = op.getReverse() ? k > position[axis] : k < position[axis];
        if (!isBefore && (op.getExclusive() || k != position[axis]))
          continue;
        from[axis] = k;
        AffineExpr next = operands[0][getOffset(shape, from)];
        total = normalize(isSum ? total + next : total * next);
      }
      list.push_back(total);
    });
    return list;
  }

  Folded select(graph::SelectOp select) {
    return map([&](ArrayRef<AffineExpr> at) -> AffineExpr {
      std::optional<int64_t> condition = graph::getConstant(at[0]);
      return condition ? (*condition ? at[1] : at[2]) : AffineExpr();
    });
  }

  Folded foldArithmetic() {
    using namespace graph;
    return TypeSwitch<Operation *, Folded>(op)
        .Case([&](AddOp) {
          bool isOr = element().isInteger(1);
          return map([&](ArrayRef<AffineExpr> at) {
            return isOr ? bitwise(at[0], at[1], [](int64_t a, int64_t b) { return a | b; }) : at[0] + at[1];
          });
        })
        .Case([&](SubOp) { return map([&](ArrayRef<AffineExpr> at) { return at[0] - at[1]; }); })
        .Case([&](MulOp) { return map([&](ArrayRef<AffineExpr> at) { return at[0] * at[1]; }); })
        .Case([&](DivOp) { return map([&](ArrayRef<AffineExpr> at) { return e.truncDiv(at[0], at[1]); }); })
        .Case([&](ModOp mod) { return map([&](ArrayRef<AffineExpr> at) { return modulo(at[0], at[1], mod.getFmod()); }); })
        .Case([&](MinOp) { return map([&](ArrayRef<AffineExpr> at) { return e.minOf(at[0], at[1]); }); })
        .Case([&](MaxOp) { return map([&](ArrayRef<AffineExpr> at) { return e.maxOf(at[0], at[1]); }); })
        .Case([&](NegOp) { return map([&](ArrayRef<AffineExpr> at) { return -at[0]; }); })
        .Case([&](AbsOp) { return map([&](ArrayRef<AffineExpr> at) { return e.maxOf(at[0], -at[0]); }); })
        .Case([&](EqualOp) { return map([&](ArrayRef<AffineExpr> at) { return equal(at[0], at[1]); }); })
        .Case([&](LessOp) { return map([&](ArrayRef<AffineExpr> at) { return less(at[0], at[1], 1); }); })
        .Case([&](LessEqualOp) { return map([&](ArrayRef<AffineExpr> at) { return less(at[0], at[1], 0); }); })
        .Case([&](AndOp) { return foldBits([](int64_t a, int64_t b) { return a & b; }); })
        .Case([&](OrOp) { return foldBits([](int64_t a, int64_t b) { return a | b; }); })
        .Case([&](XorOp) { return foldBits([](int64_t a, int64_t b) { return a ^ b; }); })
        .Case([&](NotOp) { return map([&](ArrayRef<AffineExpr> at) { return bitwise(at[0], at[0], [](int64_t a, int64_t) { return ~a; }); }); })
        .Case([&](CastOp) { return map([&](ArrayRef<AffineExpr> at) { return cast(at[0]); }); })
        .Case([&](SelectOp select) { return this->select(select); })
        .Default([](Operation *) { return std::nullopt; });
  }

  Folded foldBits(int64_t (*fn)(int64_t, int64_t)) {
    return map([&](ArrayRef<AffineExpr> at) { return bitwise(at[0], at[1], fn); });
  }

  Folded foldMovement() {
    using namespace graph;
    return TypeSwitch<Operation *, Folded>(op)
        .Case([&](ReshapeOp) { return Folded(operands[0]); })
        .Case([&](BroadcastOp) { return map([&](ArrayRef<AffineExpr> at) { return at[0]; }); })
        .Case([&](TransposeOp transpose) {
          return move([&](ArrayRef<int64_t> position) {
            Ints from(position.size(), 0);
            for (auto [k, dim] : llvm::enumerate(transpose.getPerm()))
              from[dim] = position[k];
            return getOffset(shapeOf(transpose.getX()), from);
          });
        })
        .Case([&](TileOp tile) {
          return move([&](ArrayRef<int64_t> position) {
            Ints from(position);
            for (auto [index, extent] : llvm::zip(from, shapeOf(tile.getX())))
              index %= extent;
            return getOffset(shapeOf(tile.getX()), from);
          });
        })
        .Case([&](SliceOp slice) { return this->slice(slice); })
        .Case([&](ConcatOp concat) { return this->concat(concat); })
        .Case([&](GatherOp gather) { return this->gather(gather); })
        .Case([&](IotaOp iota) { return this->iota(iota); })
        .Case([&](ReduceOp reduce) { return this->reduce(reduce); })
        .Case([&](CumulateOp cumulate) { return this->cumulate(cumulate); })
        .Default([](Operation *) { return std::nullopt; });
  }
};

/// Selects between expressions where the condition is an equality of expressions: becomes graph.define select_equal.
Folded foldSelectEqual(Emitter &e, graph::SelectOp select) {
  auto equal = select.getCondition().getDefiningOp<graph::EqualOp>();
  if (!equal)
    return std::nullopt;
  Folded a = e.contents(equal.getLhs()), b = e.contents(equal.getRhs()), c = e.contents(select.getA()), d = e.contents(select.getB());
  if (!a || !b || !c || !d)
    return std::nullopt;
  auto type = mlir::cast<RankedTensorType>(select.getType());
  ArrayRef<int64_t> inner = shapeOf(select.getCondition());
  Exprs list;
  forEachPosition(type.getShape(), [&](ArrayRef<int64_t> position) {
    Ints at(position.take_back(inner.size()));
    for (auto [index, extent] : llvm::zip(at, inner))
      index = extent == 1 ? 0 : index;
    list.push_back(e.selectEqual((*a)[getBroadcastOffset(shapeOf(equal.getLhs()), at)], (*b)[getBroadcastOffset(shapeOf(equal.getRhs()), at)],
                                 (*c)[getBroadcastOffset(shapeOf(select.getA()), position)],
                                 (*d)[getBroadcastOffset(shapeOf(select.getB()), position)]));
  });
  return list;
}

} // namespace

std::optional<Exprs> foldContents(Emitter &emitter, Operation *op) {
  if (auto cast = llvm::dyn_cast<graph::CastOp>(op); cast && Emitter::isFloat(cast.getX()))
    return foldFloatToInteger(emitter, cast);
  Folder folder{emitter, op, {}};
  for (Value operand : op->getOperands()) {
    std::optional<Exprs> contents = emitter.contents(operand);
    if (!contents) {
      auto select = dyn_cast<graph::SelectOp>(op);
      return select ? foldSelectEqual(emitter, select) : std::nullopt;
    }
    folder.operands.push_back(*contents);
  }
  if (std::optional<Exprs> list = folder.foldArithmetic())
    return list;
  return folder.foldMovement();
}

} // namespace onager::frontend
