// Units without a hero: one loop nest over the shape that all results share. Those of transposed operands are Transposed.cpp's.
//
// Work items: for rank 0 and 1 the elements, else the rows (all dims but the last; but the last two where the last is of a few elements, which are
// unrolled: the vectoriser then interleaves them). A transposition of a few neighbours to another dim is unrolled along that, which no item has then: the
// vectoriser takes the neighbours apart.
//
//   for row in [begin, end)            indices of the outer dims are carried and stepped like an odometer
//     for i in [0, extent of the last dim)    parallel: the loop vectoriser's
//       result_k[row, i] = element(yielded_k, (outer..., i))
//
// Where tiles repeat the last dim, one period after the other, so that the vectoriser meets no remainder of a division:
//
//     for start in [0, extent of the last dim) step period
//       for i in [0, period)               parallel
//         result_k[row, start + i] = element(yielded_k, (outer..., start + i)), where a tile reads its source at i
//
// Where pads put elements before or behind the last dim, what comes before the source, the source and what follows it are a loop each.
#include "lib/Conversion/KernelToVector/ByteTable.h"
#include "lib/Conversion/KernelToVector/Transposed.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

void forRows(UnitEmitter &e, ArrayRef<AffineExpr> outer, Value first, Value last, function_ref<void(ArrayRef<Value>, Value)> body) {
  UnitEmitter::Index start = e.delinearize(first, outer);
  e.forLoop(first, last, 1, start, [&](Value row, ValueRange index) {
    body(SmallVector<Value>(index), row);
    SmallVector<Value> next(index);
    Value carry;
    for (size_t k = outer.size(); k-- > 0;) {
      Value stepped = carry ? Value(arith::SelectOp::create(e.b, carry, e.add(index[k], e.i64(1)), index[k])) : e.add(index[k], e.i64(1));
      if (k > 0) {
        carry = e.compare("eq", stepped, e.extent(outer[k]));
        stepped = arith::SelectOp::create(e.b, carry, e.i64(0), stepped);
      }
      next[k] = stepped;
    }
    return next;
  });
}

void storeResults(UnitEmitter &e, ArrayRef<Value> index, Value linear, function_ref<bool(Value)> isStored) {
  Operation *yield = e.unit.getBody().front().getTerminator();
  for (auto [number, value] : llvm::enumerate(yield->getOperands())) {
    if (isStored && !isStored(value))
      continue;
    Type storage = cast<RankedTensorType>(value.getType()).getElementType();
    e.store(storage, e.getResultBuffer(number), linear, e.element(value, index));
  }
}

/// Extent of the last dim where it is unrolled, else 0. One element is, too, where threads still have rows to share.
static int64_t getUnrolled(ArrayRef<AffineExpr> dims) {
  std::optional<int64_t> last = dims.size() < 2 ? std::nullopt : graph::getConstant(dims.back());
  return last && *last >= (dims.size() == 2 ? 2 : 1) && *last <= 4 ? *last : 0;
}

/// Rows whose last dim has a few elements: walks the dim before it.
static void emitUnrolled(UnitEmitter &e, ArrayRef<AffineExpr> dims, int64_t count) {
  Value width = e.extent(dims[dims.size() - 2]);
  auto emitRow = [&](ArrayRef<Value> index, Value row) {
    Value base = e.mul(row, width);
    e.forEachParallel(e.i64(0), width, [&](Value i) {
      for (int64_t k = 0; k < count; ++k) {
        UnitEmitter::Index position(index);
        position.append({i, e.i64(k)});
        storeResults(e, position, e.add(e.mul(e.add(base, i), e.i64(count)), e.i64(k)));
      }
    });
  };
  if (dims.size() == 2)
    return e.forEach(e.begin, e.end, 1, [&](Value row) { emitRow({}, row); });
  forRows(e, ArrayRef(dims).drop_back(2), e.begin, e.end, emitRow);
}

/// The last dim of a unit's results, where operations of the unit change it: it is walked in stretches in each of which their sources follow one another.
struct LastDim {
  AffineExpr width;
  AffineExpr period;                ///< of all tiles, where there are any
  SmallVector<graph::TileOp> tiles;
  SmallVector<graph::PadOp> pads;   ///< of equal sources at equal places

  LastDim(kernel::UnitOp unit, AffineExpr width);
};

LastDim::LastDim(kernel::UnitOp unit, AffineExpr width) : width(width) {
  auto getSource = [&](Operation &op) { return graph::getDims(op.getOperand(0)).back(); };
  for (Operation &op : unit.getBody().front()) {
    auto tile = dyn_cast<graph::TileOp>(op);
    auto pad = dyn_cast<graph::PadOp>(op);
    if ((!tile && !pad) || graph::getDims(op.getResult(0)).empty() || graph::getDims(op.getResult(0)).back() != width || getSource(op) == width)
      continue;
    // Shorter periods would leave the vectoriser less than a register's lanes.
    if (tile && (!period || period == getSource(op)) && graph::getConstant(getSource(op)).value_or(kernel::kPanelWidth) >= kernel::kPanelWidth) {
      period = getSource(op);
      tiles.push_back(tile);
    }
    auto isLikeFirst = [&] { return getSource(op) == getSource(*pads[0]) && pad.getLow().getResults().back() == pads[0].getLow().getResults().back(); };
    if (pad && (pads.empty() || isLikeFirst()))
      pads.push_back(pad);
  }
}

/// Emits the elements [first, last) of the last dim at the outer indices `outer`; its element 0 is element `base` of the results.
struct RowOfMap {
  UnitEmitter &e;
  ArrayRef<Value> outer;
  Value base;

  /// The loop over [first, last), for indices from `start` on; `bind` tells what operations give there.
  void emit(Value first, Value last, Value start, function_ref<void(Value i, Value index)> bind = {}) {
    e.forEachParallel(first, last, [&](Value i) {
      UnitEmitter::Index position(outer);
      position.push_back(start ? e.add(start, i) : i);
      if (bind)
        bind(i, position.back());
      storeResults(e, position, e.add(base, position.back()));
    });
    e.clearOverrides();
  }

  void emitPeriods(const LastDim &dim, Value first, Value last) {
    Value period = e.maxSigned(e.extent(dim.period), e.i64(1)), repeats = e.floorDiv(e.add(last, e.sub(period, e.i64(1))), period);
    e.forEach(e.floorDiv(first, period), repeats, 1, [&](Value repeat) {
      Value start = e.mul(repeat, period);
      emit(e.maxSigned(e.sub(first, start), e.i64(0)), e.minSigned(e.sub(last, start), period), start, [&](Value i, Value current) {
        for (graph::TileOp tile : dim.tiles)
          e.overrideElement(tile.getResult(), [this, tile, i, current](ArrayRef<Value> index) { return emitTileElement(e, tile, index, index.back() == current ? i : Value()); });
      });
    });
  }

  void emitPadded(ArrayRef<graph::PadOp> pads, Value first, Value last) {
    graph::PadOp any = pads[0];
    Value low = e.extent(any.getLow().getResults().back()), high = e.add(low, e.extent(graph::getDims(any.getX()).back()));
    Value begin = e.clamp(low, first, last), end = e.clamp(high, begin, last);
    for (auto [from, to, isInside] : {std::tuple(first, begin, false), std::tuple(begin, end, true), std::tuple(end, last, false)})
      emit(from, to, {}, [&, isInside = isInside](Value, Value current) {
        for (graph::PadOp pad : pads)
          e.overrideElement(pad.getResult(), [this, pad, isInside, current](ArrayRef<Value> index) {
            return emitPadElement(e, pad, index, index.back() == current ? std::optional(isInside) : std::nullopt);
          });
      });
  }
};

/// The dim of the results along which a transposition puts a few neighbours apart; nothing where there is none.
static std::optional<size_t> getDimApart(kernel::UnitOp unit, ArrayRef<AffineExpr> dims) {
  for (auto op : unit.getBody().front().getOps<graph::TransposeOp>()) {
    ArrayRef<int64_t> perm = op.getPerm();
    int64_t last = static_cast<int64_t>(perm.size()) - 1;
    if (last < 2 || perm[last] != last - 1 || graph::getDims(op.getResult()) != graph::Dims(dims))
      continue;
    size_t dim = llvm::find(perm, last) - perm.begin();
    if (std::optional<int64_t> count = graph::getConstant(dims[dim]); count && *count >= 2 && *count <= 4)
      return dim;
  }
  return std::nullopt;
}

/// The dims but for the last and `apart`.
static graph::Dims getOuterApart(ArrayRef<AffineExpr> dims, size_t apart) {
  graph::Dims outer(dims.drop_back());
  outer.erase(outer.begin() + static_cast<std::ptrdiff_t>(apart));
  return outer;
}

static void emitApart(UnitEmitter &e, ArrayRef<AffineExpr> dims, size_t apart) {
  forRows(e, getOuterApart(dims, apart), e.begin, e.end, [&](ArrayRef<Value> index, Value) {
    e.forEachParallel(e.i64(0), e.extent(dims.back()), [&](Value i) {
      for (int64_t k = 0; k < *graph::getConstant(dims[apart]); ++k) {
        UnitEmitter::Index position(index);
        position.insert(position.begin() + static_cast<std::ptrdiff_t>(apart), e.i64(k));
        position.push_back(i);
        storeResults(e, position, e.linearize(position, dims));
      }
    });
  });
}

/// Last dims of operands that may be 1 and broadcast to `width`, or be as long.
static llvm::SmallSetVector<AffineExpr, 4> getUnsureDims(kernel::UnitOp unit, AffineExpr width) {
  llvm::SmallSetVector<AffineExpr, 4> dims;
  for (Operation &op : unit.getBody().front())
    if (op.hasTrait<graph::ElementwiseOp>() && !graph::getDims(op.getResult(0)).empty() && graph::getDims(op.getResult(0)).back() == width)
      for (Value operand : op.getOperands())
        if (graph::Dims from = graph::getDims(operand); !from.empty() && from.back() != width && !graph::getConstant(from.back()))
          dims.insert(from.back());
  return dims;
}

/// Emits all rows, once more for operands none of which broadcasts along the last dim, where some may: the vectoriser then reads elements that follow one another.
static void emitForBroadcasts(UnitEmitter &e, AffineExpr width, function_ref<void()> rows) {
  llvm::SmallSetVector<AffineExpr, 4> dims = getUnsureDims(e.unit, width);
  if (dims.empty() || e.options.exact)
    return rows();
  Value isPlain;
  for (AffineExpr dim : dims) {
    Value isLong = e.compare("ne", e.extent(dim), e.i64(1));
    isPlain = isPlain ? Value(arith::AndIOp::create(e.b, isPlain, isLong)) : isLong;
  }
  e.ifElse(isPlain, [&] { e.withoutBroadcast(dims.getArrayRef(), rows); }, rows);
}

void emitMap(UnitEmitter &e) {
  if (Value argument = e.options.exact ? Value() : getTableArgument(e.unit))
    return emitByteTable(e, argument);
  if (emitTransposed(e))
    return;
  graph::Dims dims = graph::getDims(e.unit.getBody().front().getTerminator()->getOperand(0));
  if (int64_t count = e.options.exact ? 0 : getUnrolled(dims))
    return emitUnrolled(e, dims, count);
  if (std::optional<size_t> apart = e.options.exact ? std::nullopt : getDimApart(e.unit, dims))
    return emitApart(e, dims, *apart);
  if (dims.empty())
    return e.forEachParallel(e.begin, e.end, [&](Value i) { storeResults(e, {}, i); });
  LastDim dim(e.unit, dims.back());
  auto emitElements = [&](Value first, Value last, ArrayRef<Value> outer, Value base) {
    RowOfMap row{e, outer, base};
    if (dim.period && !e.options.exact)
      return row.emitPeriods(dim, first, last);
    if (!dim.pads.empty() && !e.options.exact)
      return row.emitPadded(dim.pads, first, last);
    row.emit(first, last, {});
  };
  emitForBroadcasts(e, dims.back(), [&] {
    if (dims.size() == 1)
      return emitElements(e.begin, e.end, {}, e.i64(0));
    Value width = e.extent(dims.back());
    forRows(e, ArrayRef(dims).drop_back(), e.begin, e.end, [&](ArrayRef<Value> index, Value row) { emitElements(e.i64(0), width, index, e.mul(row, width)); });
  });
}

WorkInfo getMapWork(kernel::UnitOp unit, bool exact) {
  if (!exact && getTableArgument(unit))
    return getByteTableWork(unit);
  MLIRContext *context = unit.getContext();
  graph::Dims dims = graph::getDims(unit.getBody().front().getTerminator()->getOperand(0));
  AffineExpr elements = graph::getNumElements(context, dims);
  size_t inner = !exact && getUnrolled(dims) ? 2 : 1;
  AffineExpr items = dims.size() <= 1 ? elements : graph::getNumElements(context, ArrayRef(dims).drop_back(inner));
  if (std::optional<size_t> apart = exact || inner == 2 ? std::nullopt : getDimApart(unit, dims))
    items = graph::getNumElements(context, getOuterApart(dims, *apart));
  if (std::optional<AffineExpr> squares = exact ? std::nullopt : getTransposedItems(unit))
    items = *squares;
  int64_t ops = std::distance(unit.getBody().front().begin(), unit.getBody().front().end());
  return {items, elements * ops, getAffineConstantExpr(0, context)};
}

} // namespace onager
