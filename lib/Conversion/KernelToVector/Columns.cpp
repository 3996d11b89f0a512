// Reductions, softmax and normalisation along dims other than the last.
//
// A block is up to kBlock neighbouring elements of the last dim; its running values lie side by side in stack memory, so that each step of the
// reduced dims is one vector loop over lines of memory. Softmax and normalisation keep what they read in scratch memory, a line of kBlock a step.
//
//   for (outer index, block) in [begin, end)
//     running[l] = identity
//     for step in reduced dims
//       for l in [0, columns of the block)      parallel: the loop vectoriser's
//         running[l] = accumulate(running[l], x[outer, step, l])
//
// Where a computed operand reads lines of memory that serve all rows, its last outer dim, kRows of those are reduced at once: a line is read once for them.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Columns.h"
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using graph::ReduceKind;
using Index = UnitEmitter::Index;

/// Columns of a block: 4 to 8 vector registers of running values.
constexpr int64_t kBlock = 128;
/// Lines of fewer elements are not worth a loop.
constexpr int64_t kShortestLine = 8;
/// Steps that are taken with one load and store of a running value.
constexpr int64_t kUnrolled = 4;
/// Rows that share lines of memory.
constexpr int64_t kRows = 4;
/// Steps that are summed before they are added to the total: a long chain of additions would lose digits.
constexpr int64_t kLongestChain = 256;

/// The operation that reduces, and how the dims of its operand fall apart. `outer` holds all that stay but the last dim, `inner` what is reduced.
struct ColumnHero {
  Operation *op = nullptr;
  Value x, result;
  SmallVector<int64_t> axes;
  graph::Dims outer, inner;
  AffineExpr width;
  int64_t rows = 1; ///< of the last outer dim that are reduced at once
};

/// Whether x, which the unit computes element by element, reads an argument of full lines that are the same for every index of dim `row`.
bool sharesLines(Value x, int64_t row) {
  if (isa<BlockArgument>(x)) {
    graph::Dims dims = graph::getDims(x);
    return static_cast<int64_t>(dims.size()) > row + 1 && graph::isConstant(dims[row], 1) && !graph::isConstant(dims.back(), 1);
  }
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  return x.getDefiningOp()->hasTrait<graph::ElementwiseOp>() && llvm::any_of(x.getDefiningOp()->getOperands(), [&](Value operand) {
           return cast<RankedTensorType>(operand.getType()).getRank() == rank && sharesLines(operand, row);
         });
}

ColumnHero getColumnHero(kernel::UnitOp unit) {
  ColumnHero hero;
  for (Operation &op : unit.getBody().front()) {
    if (auto reduce = dyn_cast<graph::ReduceOp>(op))
      hero.axes.assign(reduce.getAxes().begin(), reduce.getAxes().end());
    else if (auto softmax = dyn_cast<graph::SoftmaxOp>(op))
      hero.axes = {static_cast<int64_t>(softmax.getAxis())};
    else if (auto normalize = dyn_cast<graph::NormalizeOp>(op))
      hero.axes.assign(normalize.getAxes().begin(), normalize.getAxes().end());
    else
      continue;
    hero.op = &op;
    hero.x = op.getOperand(0);
    hero.result = op.getResult(0);
    break;
  }
  if (!hero.op)
    return hero;
  graph::Dims dims = graph::getDims(hero.x);
  for (auto [k, dim] : llvm::enumerate(ArrayRef(dims).drop_back()))
    (llvm::is_contained(hero.axes, static_cast<int64_t>(k)) ? hero.inner : hero.outer).push_back(dim);
  hero.width = dims.empty() ? AffineExpr() : dims.back();
  int64_t row = static_cast<int64_t>(dims.size()) - 2;
  while (row >= 0 && llvm::is_contained(hero.axes, row))
    --row;
  if (row >= 0 && isa<graph::ReduceOp>(hero.op) && !isa<BlockArgument>(hero.x) && !graph::isConstant(dims[row], 1) && sharesLines(hero.x, row))
    hero.rows = kRows;
  return hero;
}

/// One block of columns.
struct ColumnEmitter {
  UnitEmitter &e;
  const ColumnHero &hero;
  Type storage, compute;
  ArrayRef<Value> outer;  ///< indices of the dims that stay, without the last; of the first row
  Value first, count;     ///< the block's first column, and how many it has
  Value scratch;

  /// The index of a column of the operand; `steps` are the indices of the reduced dims, or empty for the result of a reduction. Of the block's rows, those
  /// behind the last one are the last one again.
  Index at(ArrayRef<Value> steps, Value column, int64_t row = 0) {
    Index index, outer(this->outer);
    if (row)
      outer.back() = e.minSigned(e.add(outer.back(), e.i64(row)), e.sub(e.extent(hero.outer.back()), e.i64(1)));
    size_t o = 0, i = 0;
    for (int64_t k = 0; k + 1 < cast<RankedTensorType>(hero.x.getType()).getRank(); ++k)
      index.push_back(!llvm::is_contained(hero.axes, k) ? outer[o++] : steps.empty() ? e.i64(0) : steps[i++]);
    index.push_back(e.add(first, column));
    return index;
  }
  void forColumns(function_ref<void(Value)> body) { e.forEachParallel(e.i64(0), count, body); }
  void fill(Value buffer, Value x) {
    forColumns([&](Value l) {
      for (int64_t row = 0; row < hero.rows; ++row)
        e.store(compute, buffer, place(l, row), x);
    });
  }
  /// The place in running values of column `l` of a row.
  Value place(Value l, int64_t row) { return e.add(l, e.i64(row * kBlock)); }
  using StepFn = function_ref<void(ArrayRef<Value>)>;
  using StepsFn = function_ref<void(ArrayRef<Value>, int64_t)>;
  /// Loops over the reduced dims from number `steps.size()` on, by up to `unrolled` steps of the last of them at once; `before` and `after` surround each
  /// run of those.
  void forSteps(Index steps, int64_t unrolled, StepsFn body, StepFn before, StepFn after) {
    if (steps.size() + 1 < hero.inner.size())
      return e.forEach(e.i64(0), e.extent(hero.inner[steps.size()]), 1, [&](Value step) {
        Index next(steps);
        next.push_back(step);
        forSteps(next, unrolled, body, before, after);
      });
    Value size = e.extent(hero.inner.back());
    auto runBy = [&](Value from, Value to, int64_t by) {
      e.forEach(from, to, by, [&](Value step) {
        Index next(steps);
        next.push_back(step);
        body(next, by);
      });
    };
    auto run = [&](Value from, Value to) {
      Value whole = unrolled == 1 ? from : e.add(from, e.mul(e.floorDiv(e.sub(to, from), e.i64(unrolled)), e.i64(unrolled)));
      if (unrolled != 1)
        runBy(from, whole, unrolled);
      runBy(whole, to, 1);
    };
    if (!before)
      return run(e.i64(0), size);
    e.forEach(e.i64(0), size, kLongestChain, [&](Value from) {
      before(steps);
      run(from, e.minSigned(e.add(from, e.i64(kLongestChain)), size));
      after(steps);
    });
  }
  /// The position in scratch memory of column `l` at `steps`.
  Value keep(ArrayRef<Value> steps, Value l) { return e.add(e.mul(e.linearize(steps, hero.inner), e.i64(kBlock)), l); }
  /// Whether chains of additions may be long.
  bool hasLongChains(ReduceKind kind) {
    bool adds = kind != ReduceKind::max && kind != ReduceKind::min && kind != ReduceKind::prod;
    std::optional<int64_t> steps = graph::getConstant(graph::getNumElements(e.b.getContext(), hero.inner));
    return adds && isa<FloatType>(compute) && !(steps && *steps <= 4 * kLongestChain);
  }
  /// Reduces what `term` gives for each step, column and row; returns the memory of the results.
  Value reduce(ReduceKind kind, function_ref<Value(ArrayRef<Value>, Value, int64_t)> term) {
    Value running = e.stackBuffer(compute, kBlock * hero.rows), identity = getIdentity(e, kind, storage);
    fill(running, identity);
    // A NaN makes a softmax's sum NaN, and with it the column.
    bool ignoresNaN = kind == ReduceKind::max && isa<graph::SoftmaxOp>(hero.op);
    auto step = [&](Value sum, Value x) { return ignoresNaN ? largerNumber(e, sum, x) : accumulate(e, kind, storage, sum, x); };
    auto stepInto = [&](Value buffer) {
      return [&, buffer](ArrayRef<Value> steps, int64_t count) {
        forColumns([&](Value l) {
          SmallVector<Value> sums;
          for (int64_t row = 0; row < hero.rows; ++row)
            sums.push_back(e.load(compute, buffer, place(l, row)));
          for (int64_t k = 0; k < count; ++k) {
            Index at(steps);
            at.back() = e.add(at.back(), e.i64(k));
            for (auto [row, sum] : llvm::enumerate(sums))
              sum = step(sum, term(at, l, row));
          }
          for (auto [row, sum] : llvm::enumerate(sums))
            e.store(compute, buffer, place(l, row), sum);
        });
      };
    };
    if (!hasLongChains(kind)) {
      forSteps({}, kUnrolled, stepInto(running), nullptr, nullptr);
      return running;
    }
    Value part = e.stackBuffer(compute, kBlock * hero.rows);
    forSteps({}, kUnrolled, stepInto(part), [&](ArrayRef<Value>) { fill(part, identity); }, [&](ArrayRef<Value>) {
      forColumns([&](Value l) {
        for (int64_t row = 0; row < hero.rows; ++row) {
          Value at = place(l, row);
          e.store(compute, running, at, accumulate(e, ReduceKind::sum, storage, e.load(compute, running, at), e.load(compute, part, at)));
        }
      });
    });
    return running;
  }
  Value read(ArrayRef<Value> steps, Value l) {
    Value x = e.element(hero.x, at(steps, l));
    e.store(compute, scratch, keep(steps, l), x);
    return x;
  }
  /// Writes the unit's results, given the hero's element as a function of the kept one and the column.
  void write(function_ref<Value(Value, Value)> finish) {
    graph::Dims dims = graph::getDims(hero.result);
    forSteps({}, 1, [&](ArrayRef<Value> steps, int64_t) {
      forColumns([&](Value l) {
        Index index = at(steps, l);
        e.overrideElement(hero.result, [&](ArrayRef<Value>) { return finish(e.load(compute, scratch, keep(steps, l)), l); });
        storeResults(e, index, e.linearize(index, dims));
      });
    }, nullptr, nullptr);
    e.clearOverrides();
  }
  Value countSteps() {
    Value steps = e.i64(1);
    for (AffineExpr dim : hero.inner)
      steps = e.mul(steps, e.extent(dim));
    return steps;
  }

  void reduceBlock(graph::ReduceOp op) {
    Value running = reduce(op.getKind(), [&](ArrayRef<Value> steps, Value l, int64_t row) { return e.element(hero.x, at(steps, l, row)); }), steps = countSteps();
    for (int64_t row = 0; row < hero.rows; ++row) {
      forColumns([&](Value l) {
        Index index = at({}, l, row);
        e.overrideElement(hero.result, [&](ArrayRef<Value>) { return finishReduction(e, op.getKind(), storage, e.load(compute, running, place(l, row)), steps); });
        storeResults(e, index, e.linearize(index, graph::getDims(hero.result)));
      });
      e.clearOverrides();
    }
  }
  void softmaxBlock(graph::SoftmaxOp op) {
    Value top = reduce(ReduceKind::max, [&](ArrayRef<Value> steps, Value l, int64_t) { return read(steps, l); });
    Value sum = reduce(ReduceKind::sum, [&](ArrayRef<Value> steps, Value l, int64_t) {
      Value place = keep(steps, l), power = emitDecay(e, arith::SubFOp::create(e.b, e.load(compute, scratch, place), e.load(compute, top, l)));
      if (!op.getLog())
        e.store(compute, scratch, place, power);
      return power;
    });
    forColumns([&](Value l) {
      Value total = e.load(compute, sum, l);
      Value shift = op.getLog() ? Value(arith::AddFOp::create(e.b, e.load(compute, top, l), e.math("log", total)))
                                : Value(arith::DivFOp::create(e.b, e.constant(compute, 1), total));
      e.store(compute, sum, l, shift);
    });
    write([&](Value s, Value l) -> Value {
      Value last = e.load(compute, sum, l);
      return op.getLog() ? Value(arith::SubFOp::create(e.b, s, last)) : Value(arith::MulFOp::create(e.b, s, last));
    });
  }
  void normalizeBlock(graph::NormalizeOp op) {
    Value size = arith::SIToFPOp::create(e.b, compute, countSteps());
    Value mean = reduce(ReduceKind::sum, [&](ArrayRef<Value> steps, Value l, int64_t) { return read(steps, l); });
    forColumns([&](Value l) {
      Value value = op.getRms() ? e.constant(compute, 0) : Value(arith::DivFOp::create(e.b, e.load(compute, mean, l), size));
      e.store(compute, mean, l, value);
    });
    auto centre = [&](Value s, Value l) -> Value { return arith::SubFOp::create(e.b, s, e.load(compute, mean, l)); };
    Value scale = reduce(ReduceKind::sum_square, [&](ArrayRef<Value> steps, Value l, int64_t) { return centre(e.load(compute, scratch, keep(steps, l)), l); });
    forColumns([&](Value l) {
      Value variance = arith::DivFOp::create(e.b, e.load(compute, scale, l), size);
      variance = arith::AddFOp::create(e.b, variance, e.constant(compute, op.getEpsilon().convertToDouble()));
      e.store(compute, scale, l, arith::DivFOp::create(e.b, e.constant(compute, 1), e.math("sqrt", variance)));
    });
    write([&](Value s, Value l) -> Value { return arith::MulFOp::create(e.b, centre(s, l), e.load(compute, scale, l)); });
  }
  void emit() {
    if (auto op = dyn_cast<graph::ReduceOp>(hero.op))
      reduceBlock(op);
    else if (auto op = dyn_cast<graph::SoftmaxOp>(hero.op))
      softmaxBlock(op);
    else
      normalizeBlock(cast<graph::NormalizeOp>(hero.op));
  }
};

AffineExpr getBlocks(AffineExpr width) { return (width + (kBlock - 1)).floorDiv(kBlock); }

/// Blocks of rows and columns.
graph::Dims getItems(const ColumnHero &hero) {
  graph::Dims items(hero.outer);
  if (hero.rows > 1)
    items.back() = (items.back() + (hero.rows - 1)).floorDiv(hero.rows);
  items.push_back(getBlocks(hero.width));
  return items;
}

} // namespace

bool reducesColumns(kernel::UnitOp unit) {
  ColumnHero hero = getColumnHero(unit);
  if (!hero.op || !hero.width || hero.axes.empty())
    return false;
  int64_t last = cast<RankedTensorType>(hero.x.getType()).getRank() - 1;
  std::optional<int64_t> width = graph::getConstant(hero.width);
  return !llvm::is_contained(hero.axes, last) && !(width && *width < kShortestLine);
}

void emitColumns(UnitEmitter &e) {
  ColumnHero hero = getColumnHero(e.unit);
  llvm::sort(hero.axes);
  Type storage = cast<RankedTensorType>(hero.x.getType()).getElementType();
  Value scratch = isa<graph::ReduceOp>(hero.op) ? Value() : e.getScratch(), width = e.extent(hero.width);
  forRows(e, getItems(hero), e.begin, e.end, [&](ArrayRef<Value> item, Value) {
    Index outer(item.drop_back());
    if (hero.rows > 1)
      outer.back() = e.mul(outer.back(), e.i64(hero.rows));
    Value first = e.mul(item.back(), e.i64(kBlock)), count = e.minSigned(e.sub(width, first), e.i64(kBlock));
    ColumnEmitter{e, hero, storage, e.computeType(storage), outer, first, count, scratch}.emit();
  });
}

WorkInfo getColumnWork(kernel::UnitOp unit) {
  ColumnHero hero = getColumnHero(unit);
  MLIRContext *context = unit.getContext();
  bool keeps = !isa<graph::ReduceOp>(hero.op);
  AffineExpr steps = graph::getNumElements(context, hero.inner), outer = graph::getNumElements(context, hero.outer);
  int64_t ops = keeps ? 8 : std::distance(unit.getBody().front().begin(), unit.getBody().front().end());
  AffineExpr items = graph::getNumElements(context, getItems(hero));
  return {keeps ? whereAny(items, steps) : items, outer * steps * hero.width * ops, keeps ? steps * (kBlock * 8) : getAffineConstantExpr(0, context)};
}

} // namespace onager
