// Softmax and normalisation: rows that are read once into scratch memory and swept there.
//
// Work items: rows, that is index tuples of the dims that are not reduced. Per thread one row of scratch in the compute type, or the result's row itself
// where nothing follows: its lines come into the cache while powers are computed.
//
//   softmax    s = x, top = max s      s = e^(s - top), sum = sum s      y = s / sum
//   normalize  s = x, mean = sum s / n  var = sum (s - mean)^2 / n       y = (s - mean) / sqrt(var + epsilon)
//
// Rows of a few elements, known when compiling, stay in registers instead: the row is unrolled and LLVM makes vectors over rows. Softmax of longer rows of
// f32 is RowVectors.cpp's.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Powers.h"
#include "lib/Conversion/KernelToVector/RowVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using graph::ReduceKind;
using Index = UnitEmitter::Index;

/// The hero of a row unit: its operation, and which dims a row spans.
struct RowHero {
  Operation *op;
  Value x, result;
  SmallVector<int64_t> axes;
  graph::Dims outer, inner;
};

RowHero getRowHero(kernel::UnitOp unit) {
  RowHero hero;
  for (Operation &op : unit.getBody().front()) {
    if (auto softmax = dyn_cast<graph::SoftmaxOp>(op))
      hero = {&op, softmax.getX(), softmax.getResult(), {static_cast<int64_t>(softmax.getAxis())}, {}, {}};
    if (auto normalize = dyn_cast<graph::NormalizeOp>(op))
      hero = {&op, normalize.getX(), normalize.getResult(), SmallVector<int64_t>(normalize.getAxes()), {}, {}};
  }
  llvm::sort(hero.axes);
  for (auto [k, dim] : llvm::enumerate(graph::getDims(hero.x)))
    (llvm::is_contained(hero.axes, static_cast<int64_t>(k)) ? hero.inner : hero.outer).push_back(dim);
  return hero;
}

bool spansLastDims(const RowHero &hero) { return hero.axes.front() == static_cast<int64_t>(hero.outer.size()); }

/// True where a row of the result has the place and type to be swept in: nothing follows the hero, and its dims are the last ones. A result that takes the
/// place of an operand is written behind the last read of the same element.
bool sweepsResult(kernel::UnitOp unit, const RowHero &hero) {
  Operation *yield = unit.getBody().front().getTerminator();
  Type storage = cast<RankedTensorType>(hero.result.getType()).getElementType();
  return yield->getNumOperands() == 1 && yield->getOperand(0) == hero.result && (storage.isF32() || storage.isF64()) && spansLastDims(hero);
}

/// Rows that a normalisation holds in the first-level cache: what is read, the copy or result, and often a scale and an offset.
constexpr int64_t kHeldRows = 4;

/// True where rows that are elements of a buffer side by side, of the compute type, are read again there. A softmax does so while powers are computed. A
/// normalisation reads a row three times, and is quicker on a copy, which brings the result's lines into the cache, unless its rows are known to be too long for it.
bool readsTwice(const RowHero &hero, Type compute, const TargetInfo &target) {
  if (!isa<BlockArgument>(hero.x) || cast<RankedTensorType>(hero.x.getType()).getElementType() != compute || !spansLastDims(hero))
    return false;
  std::optional<int64_t> width = graph::getConstant(graph::getNumElements(hero.op->getContext(), hero.inner));
  return isa<graph::SoftmaxOp>(hero.op) || (width && *width * kHeldRows * compute.getIntOrFloatBitWidth() / 8 > target.l1Bytes);
}

/// Puts together the index of a row and an index inside it.
Index join(const RowHero &hero, ArrayRef<Value> outer, ArrayRef<Value> inner) {
  Index index;
  size_t o = 0, i = 0;
  for (size_t k = 0; k < outer.size() + inner.size(); ++k)
    index.push_back(llvm::is_contained(hero.axes, static_cast<int64_t>(k)) ? inner[i++] : outer[o++]);
  return index;
}

struct RowEmitter {
  UnitEmitter &e;
  const RowHero &hero;
  Type storage, compute;
  Value scratch;
  bool isReadTwice;

  Value at(Value linear) { return e.load(compute, scratch, linear); }
  /// Sweeps the row, updating a carried value.
  Value sweep(Value init, function_ref<Value(ArrayRef<Value>, Value, Value)> body) {
    return reduceNest(e, hero.inner, init, [&](ArrayRef<Value> inner, Value carried) { return body(inner, e.linearize(inner, hero.inner), carried); }, true);
  }
  /// Sums over the row. Lines of the last dims are summed in the compute type, their sums in f64: long rows would lose digits otherwise.
  Value sum(function_ref<Value(ArrayRef<Value>, Value, Value)> body) {
    Value zero = e.constant(compute, 0);
    if (hero.inner.size() < 2 || !compute.isF32())
      return sweep(zero, body);
    Type f64 = e.b.getF64Type();
    Value total = e.forLoop(e.i64(0), e.extent(hero.inner[0]), 1, e.constant(f64, 0), [&](Value first, ValueRange running) {
      Value line = reduceNest(e, ArrayRef(hero.inner).drop_front(), zero, [&](ArrayRef<Value> rest, Value carried) {
        Index inner{first};
        llvm::append_range(inner, rest);
        return body(inner, e.linearize(inner, hero.inner), carried);
      }, true);
      return SmallVector<Value>{arith::AddFOp::create(e.b, running[0], arith::ExtFOp::create(e.b, f64, line))};
    })[0];
    return arith::TruncFOp::create(e.b, compute, total);
  }
  /// Reads an element of the row into scratch.
  Value read(ArrayRef<Value> row, ArrayRef<Value> inner, Value linear) {
    Value x = e.element(hero.x, join(hero, row, inner));
    e.store(compute, scratch, linear, x);
    return x;
  }
  /// Writes the unit's results, given the hero's element as a function of the scratch element.
  void writeRow(ArrayRef<Value> row, function_ref<Value(Value)> finish, bool isInPlace = false) {
    graph::Dims dims = graph::getDims(hero.result);
    forNest(e, hero.inner, [&](ArrayRef<Value> inner, Value linear) {
      Index index = join(hero, row, inner);
      e.overrideElement(hero.result, [&](ArrayRef<Value>) { return finish(isInPlace ? e.element(hero.x, index) : at(linear)); });
      storeResults(e, index, e.linearize(index, dims));
    });
    e.clearOverrides();
  }
  void softmaxRow(ArrayRef<Value> row) {
    bool log = cast<graph::SoftmaxOp>(hero.op).getLog(), isCopied = log || !isReadTwice;
    auto element = [&](ArrayRef<Value> inner) { return e.element(hero.x, join(hero, row, inner)); };
    // A NaN makes the sum NaN, and with it the row.
    Value top = sweep(getIdentity(e, ReduceKind::max, storage), [&](ArrayRef<Value> inner, Value linear, Value carried) {
      return largerNumber(e, carried, isCopied ? read(row, inner, linear) : element(inner));
    });
    Value sum = sweep(e.constant(compute, 0), [&](ArrayRef<Value> inner, Value linear, Value carried) {
      Value power = emitDecay(e, arith::SubFOp::create(e.b, isCopied ? at(linear) : element(inner), top));
      if (!log)
        e.store(compute, scratch, linear, power);
      return accumulate(e, ReduceKind::sum, storage, carried, power);
    });
    if (log) {
      Value shift = arith::AddFOp::create(e.b, top, e.math("log", sum));
      return writeRow(row, [&](Value s) -> Value { return arith::SubFOp::create(e.b, s, shift); });
    }
    Value scale = arith::DivFOp::create(e.b, e.constant(compute, 1), sum);
    writeRow(row, [&](Value s) -> Value { return arith::MulFOp::create(e.b, s, scale); });
  }
  /// The same in whole vectors, for f32. `number` is the row's, `isResult` whether scratch is its place in the result.
  void softmaxVectors(ArrayRef<Value> row, Value number, bool isResult) {
    AffineExpr width = graph::getNumElements(e.b.getContext(), hero.inner);
    if (!isReadTwice)
      forNest(e, hero.inner, [&](ArrayRef<Value> inner, Value linear) { read(row, inner, linear); });
    Value from = isReadTwice ? e.address(compute, e.getBuffer(hero.x), e.mul(number, e.extent(width))) : scratch;
    emitSoftmaxRow(e, from, scratch, width, cast<graph::SoftmaxOp>(hero.op).getLog());
    if (!isResult)
      writeRow(row, [](Value s) { return s; });
  }
  void normalizeRow(ArrayRef<Value> row) {
    auto normalize = cast<graph::NormalizeOp>(hero.op);
    Value count = e.i64(1);
    for (AffineExpr dim : hero.inner)
      count = e.mul(count, e.extent(dim));
    Value size = arith::SIToFPOp::create(e.b, compute, count);
    auto element = [&](ArrayRef<Value> inner) { return e.element(hero.x, join(hero, row, inner)); };
    Value mean = arith::DivFOp::create(e.b, sum([&](ArrayRef<Value> inner, Value linear, Value carried) {
      return accumulate(e, ReduceKind::sum, storage, carried, isReadTwice ? element(inner) : read(row, inner, linear));
    }), size);
    if (normalize.getRms())
      mean = e.constant(compute, 0);
    Value squares = sum([&](ArrayRef<Value> inner, Value linear, Value carried) {
      return accumulate(e, ReduceKind::sum_square, storage, carried, arith::SubFOp::create(e.b, isReadTwice ? element(inner) : at(linear), mean));
    });
    Value variance = arith::AddFOp::create(e.b, arith::DivFOp::create(e.b, squares, size), e.constant(compute, normalize.getEpsilon().convertToDouble()));
    Value scale = arith::DivFOp::create(e.b, e.constant(compute, 1), e.math("sqrt", variance));
    writeRow(row, [&](Value s) -> Value { return arith::MulFOp::create(e.b, arith::SubFOp::create(e.b, s, mean).getResult(), scale); }, isReadTwice);
  }
};

/// The longest row that is unrolled: a vector of rows fits the registers. Softmax of rows in whole vectors is faster from the second number on, for beyond it
/// LLVM gathers the elements of neighbouring rows one by one.
constexpr int64_t maxShortRow = 16, maxShuffledRow = 8;

/// Whether rows are few elements of a known number, and more than one of them may lie in a line of the last outer dim.
bool hasShortRows(const RowHero &hero, Type compute) {
  int64_t count = 1, most = isa<graph::SoftmaxOp>(hero.op) && compute.isF32() && spansLastDims(hero) ? maxShuffledRow : maxShortRow;
  for (AffineExpr dim : hero.inner) {
    std::optional<int64_t> size = graph::getConstant(dim);
    if (!size || *size < 1 || *size > maxShortRow)
      return false;
    count *= *size;
  }
  return count <= most && !hero.outer.empty() && !graph::isConstant(hero.outer.back(), 1);
}

/// One row in registers. Sums are plain chains, without leave to reassociate: a row in a vector body and one in its remainder
/// get the same bits.
struct ShortRowEmitter {
  UnitEmitter &e;
  const RowHero &hero;
  Type compute;
  SmallVector<Index> positions; ///< in the tensor
  SmallVector<Value> s;

  Value sum(ArrayRef<Value> terms) {
    Value total = e.constant(compute, 0);
    for (Value term : terms)
      total = arith::AddFOp::create(e.b, total, term);
    return total;
  }
  void readFrom(ArrayRef<Value> row, Index inner) {
    if (inner.size() < hero.inner.size()) {
      for (int64_t k = 0; k < *graph::getConstant(hero.inner[inner.size()]); ++k) {
        Index next(inner);
        next.push_back(e.i64(k));
        readFrom(row, next);
      }
      return;
    }
    positions.push_back(join(hero, row, inner));
    s.push_back(e.element(hero.x, positions.back()));
  }
  void softmax(bool log) {
    Value top = s.front();
    for (Value x : ArrayRef(s).drop_front())
      top = largerNumber(e, top, x);
    SmallVector<Value> powers;
    for (Value x : s)
      powers.push_back(emitDecay(e, arith::SubFOp::create(e.b, x, top)));
    Value total = sum(powers);
    if (log) {
      Value shift = arith::AddFOp::create(e.b, top, e.math("log", total));
      for (Value &x : s)
        x = arith::SubFOp::create(e.b, x, shift);
      return;
    }
    Value scale = arith::DivFOp::create(e.b, e.constant(compute, 1), total);
    for (auto [x, power] : llvm::zip_equal(s, powers))
      x = arith::MulFOp::create(e.b, power, scale);
  }
  void normalize(graph::NormalizeOp op) {
    Value size = e.constant(compute, static_cast<double>(s.size()));
    if (!op.getRms()) {
      Value mean = arith::DivFOp::create(e.b, sum(s), size);
      for (Value &x : s)
        x = arith::SubFOp::create(e.b, x, mean);
    }
    SmallVector<Value> squares;
    for (Value x : s)
      squares.push_back(arith::MulFOp::create(e.b, x, x));
    Value variance = arith::AddFOp::create(e.b, arith::DivFOp::create(e.b, sum(squares), size), e.constant(compute, op.getEpsilon().convertToDouble()));
    Value scale = arith::DivFOp::create(e.b, e.constant(compute, 1), e.math("sqrt", variance));
    for (Value &x : s)
      x = arith::MulFOp::create(e.b, x, scale);
  }
  void emitRow(ArrayRef<Value> row) {
    readFrom(row, {});
    if (auto op = dyn_cast<graph::SoftmaxOp>(hero.op))
      softmax(op.getLog());
    else
      normalize(cast<graph::NormalizeOp>(hero.op));
    for (auto [position, x] : llvm::zip_equal(positions, s)) {
      e.overrideElement(hero.result, [x = x](ArrayRef<Value>) { return x; });
      storeResults(e, position, e.linearize(position, graph::getDims(hero.result)));
    }
    e.clearOverrides();
  }
};

/// Walks the rows [begin, end) line by line of the last outer dim, so that the innermost loop runs over neighbouring rows.
void emitShortRows(UnitEmitter &e, const RowHero &hero, Type compute) {
  ArrayRef<AffineExpr> lines = ArrayRef(hero.outer).drop_back();
  Value width = e.extent(hero.outer.back()), divisor = e.maxSigned(width, e.i64(1));
  Value first = e.floorDiv(e.begin, divisor), last = e.floorDiv(e.add(e.end, e.sub(divisor, e.i64(1))), divisor);
  auto emitLine = [&](ArrayRef<Value> index, Value line) {
    Value base = e.mul(line, width);
    Value from = e.maxSigned(e.sub(e.begin, base), e.i64(0)), to = e.minSigned(e.sub(e.end, base), width);
    e.forEachParallel(from, to, [&](Value column) {
      Index row(index.begin(), index.end());
      row.push_back(column);
      ShortRowEmitter{e, hero, compute, {}, {}}.emitRow(row);
    });
  };
  if (lines.empty())
    return emitLine({}, e.i64(0));
  forRows(e, lines, first, last, emitLine);
}

} // namespace

void emitRows(UnitEmitter &e) {
  RowHero hero = getRowHero(e.unit);
  Type storage = cast<RankedTensorType>(hero.x.getType()).getElementType();
  Type compute = e.computeType(storage);
  if (!e.options.exact && hasShortRows(hero, compute))
    return emitShortRows(e, hero, compute);
  bool inResult = !e.options.exact && sweepsResult(e.unit, hero);
  RowEmitter rows{e, hero, storage, compute, inResult ? Value() : e.getScratch(), !e.options.exact && readsTwice(hero, compute, e.options.target)};
  Value width = e.extent(graph::getNumElements(e.b.getContext(), hero.inner));
  forRows(e, hero.outer, e.begin, e.end, [&](ArrayRef<Value> row, Value number) {
    if (inResult)
      rows.scratch = e.address(compute, e.getResultBuffer(0), e.mul(number, width));
    if (!isa<graph::SoftmaxOp>(hero.op))
      rows.normalizeRow(row);
    else if (compute.isF32() && !e.options.exact)
      rows.softmaxVectors(row, number, inResult);
    else
      rows.softmaxRow(row);
  });
}

WorkInfo getRowWork(kernel::UnitOp unit) {
  RowHero hero = getRowHero(unit);
  MLIRContext *context = unit.getContext();
  AffineExpr rows = graph::getNumElements(context, hero.outer), width = graph::getNumElements(context, hero.inner);
  return {whereAny(rows, width), rows * width * 8, sweepsResult(unit, hero) ? width * 0 : width * 8};
}

} // namespace onager
