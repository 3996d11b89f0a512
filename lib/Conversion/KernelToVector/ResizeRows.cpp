// Resampling of f32 planes by rows: a row's lines are mixed first, then its columns.
//
// Work items: (plane, row of the result). Per thread, scratch holds (sizes in elements of 4 bytes)
//   scratch := line [columns of x, two vectors more], result [columns], firsts [vectors of columns], (places [columns], weights [columns]) for each tap;
//              nearest has no weights
// `columns` are those of the result, filled up to whole vectors. Column j reads firsts[j / 16] + places[tap][j], which is the same for all rows. Where the
// places of all vectors lie within two vectors of the line, as they do for scales from 1/2 on, one permutation reads 16 of them.
//
// Rows of a plane in memory that fit two vectors, known when compiling, stay in registers. What rows read is then in tables, too:
//   scratch := result, (places [columns], weights [columns], places [rows], weights [rows]) for each tap
#include "lib/Conversion/KernelToVector/Plane.h"
#include "lib/Conversion/KernelToVector/Resampling.h"
#include "lib/Conversion/KernelToVector/StridedRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;
constexpr int64_t kLanes = kernel::kPanelWidth;

struct ResizeShape {
  graph::ResizeOp op;
  graph::Dims in, out;
  int64_t taps;
  bool mixesColumns;
  AffineExpr columns; ///< of the result, in whole vectors

  bool mixesLines() const { return out.size() > 1 && in[in.size() - 2] != out[out.size() - 2]; }
  /// Whether lines fit the registers that one permutation reads.
  bool isNarrow(const TargetInfo &target) {
    std::optional<int64_t> width = graph::getConstant(in.back());
    return target.vectorBytes >= 64 && mixesColumns && out.size() > 1 && width && *width > 0 && *width <= 2 * kLanes && isa<BlockArgument>(op.getX());
  }
  AffineExpr getNarrowElements() const { return columns + (columns + out[out.size() - 2]) * (2 * taps); }
};

ResizeShape getShape(kernel::UnitOp unit) {
  ResizeShape s;
  s.op = *unit.getBody().front().getOps<graph::ResizeOp>().begin();
  s.in = graph::getDims(s.op.getX()), s.out = graph::getDims(s.op.getResult());
  s.taps = s.op.getMode() == graph::ResizeMode::cubic ? 4 : s.op.getMode() == graph::ResizeMode::linear ? 2 : 1;
  s.mixesColumns = s.in.back() != s.out.back();
  s.columns = s.out.back().ceilDiv(kLanes) * kLanes;
  return s;
}

/// What both ways share.
struct ResizeEmitter {
  UnitEmitter &e;
  ResizeShape s;
  Resampling resampling;
  Type f32, i32;
  VectorType floats, integers;
  Value result;
  SmallVector<Value> places, weights;

  ResizeEmitter(UnitEmitter &e, ResizeShape shape)
      : e(e), s(shape), resampling(e, s.op), f32(e.b.getF32Type()), i32(e.b.getI32Type()), floats(VectorType::get({kLanes}, f32)), integers(VectorType::get({kLanes}, i32)) {}

  SmallVector<Tap> tapsOf(size_t d, Value i) { return resampling.taps(resampling.coordinate(d, i), e.extent(s.in[d]), f32); }
  /// sum + x * weight; x alone where nothing is to be weighted.
  Value mix(Value sum, Value x, Value weight) {
    if (!weight)
      return x;
    return sum ? Value(LLVM::FMulAddOp::create(e.b, x.getType(), x, weight, sum)) : Value(arith::MulFOp::create(e.b, x, weight));
  }
  Value narrow(Value position) { return arith::TruncIOp::create(e.b, i32, position); }
  Value widen(Value number) { return arith::ExtSIOp::create(e.b, e.b.getI64Type(), number); }
  /// 16 columns from `j` on, by permutations of two vectors of a line.
  Value permute(Value low, Value high, Value j) {
    Value sum;
    for (auto [place, weight] : llvm::zip_equal(places, weights)) {
      Value lanes = LLVM::LoadOp::create(e.b, integers, e.address(f32, place, j), 4);
      Value x = LLVM::CallIntrinsicOp::create(e.b, floats, e.b.getStringAttr("llvm.x86.avx512.vpermi2var.ps.512"), ValueRange{low, lanes, high}).getResults();
      sum = mix(sum, x, weight ? loadVector(e, f32, e.address(f32, weight, j)) : Value());
    }
    return sum;
  }
  void writeRow(ArrayRef<Value> index, Value row, Value from) {
    Value base = e.mul(row, e.extent(s.out.back()));
    e.forEachParallel(e.i64(0), e.extent(s.out.back()), [&](Value j) {
      Index position(index);
      position.push_back(j);
      e.overrideElement(s.op.getResult(), [&](ArrayRef<Value>) { return e.load(f32, from, j); });
      storeResults(e, position, e.add(base, j));
      e.clearOverrides();
    });
  }
};

struct NarrowResizeEmitter : ResizeEmitter {
  SmallVector<Value> rowPlaces, rowWeights;

  NarrowResizeEmitter(UnitEmitter &e, ResizeShape shape) : ResizeEmitter(e, shape) {
    Value columns = e.extent(s.columns), rows = e.extent(s.out[s.out.size() - 2]), next = columns;
    auto take = [&](Value size) {
      Value place = e.address(f32, e.getScratch(), next);
      next = e.add(next, size);
      return place;
    };
    result = e.getScratch();
    for (int64_t k = 0; k < s.taps; ++k) {
      places.push_back(take(columns));
      weights.push_back(s.taps > 1 ? take(columns) : Value());
      rowPlaces.push_back(take(rows));
      rowWeights.push_back(s.taps > 1 ? take(rows) : Value());
    }
  }

  void makeTable(size_t d, Value count, ArrayRef<Value> tapPlaces, ArrayRef<Value> tapWeights) {
    e.forEachParallel(e.i64(0), count, [&](Value i) {
      for (auto [tap, place, weight] : llvm::zip_equal(tapsOf(d, i), tapPlaces, tapWeights)) {
        e.store(i32, place, i, narrow(tap.position));
        if (weight)
          e.store(f32, weight, i, tap.weight);
      }
    });
  }

  /// A vector of the line under a row of the result, from column `first` of the plane on.
  Value mixLines(Value plane, Value row, int64_t first) {
    int64_t width = *graph::getConstant(s.in.back());
    Value mask = width - first < kLanes ? PlaneEmitter(e).getMask(e.i64(width - first)) : Value(), zero = splat(e, e.constant(f32, 0));
    auto load = [&](Value line) -> Value {
      Value place = e.address(f32, plane, e.add(e.mul(line, e.i64(width)), e.i64(first)));
      return mask ? Value(LLVM::MaskedLoadOp::create(e.b, floats, place, mask, zero, 4u)) : loadVector(e, f32, place);
    };
    if (!s.mixesLines())
      return load(row);
    Value sum;
    for (auto [place, weight] : llvm::zip_equal(rowPlaces, rowWeights))
      sum = mix(sum, load(widen(e.load(i32, place, row))), weight ? splat(e, e.load(f32, weight, row)) : Value());
    return sum;
  }

  void emit() {
    size_t d = s.out.size() - 1;
    makeTable(d, e.extent(s.columns), places, weights);
    if (s.mixesLines())
      makeTable(d - 1, e.extent(s.out[d - 1]), rowPlaces, rowWeights);
    bool isWide = *graph::getConstant(s.in.back()) > kLanes;
    forRows(e, ArrayRef(s.out).drop_back(), e.begin, e.end, [&](ArrayRef<Value> index, Value row) {
      Index first(index.drop_back());
      first.append({e.i64(0), e.i64(0)});
      Value plane = e.address(f32, e.getBuffer(s.op.getX()), e.linearize(first, s.in));
      Value low = mixLines(plane, index.back(), 0), high = isWide ? mixLines(plane, index.back(), kLanes) : low;
      e.forEach(e.i64(0), e.extent(s.columns), kLanes, [&](Value j) { LLVM::StoreOp::create(e.b, permute(low, high, j), e.address(f32, result, j), 4); });
      writeRow(index, row, result);
    });
  }
};

struct ResizeRowsEmitter : ResizeEmitter {
  Value line, firsts;

  ResizeRowsEmitter(UnitEmitter &e, ResizeShape shape) : ResizeEmitter(e, shape) {
    Value columns = e.extent(s.columns), next = e.add(e.extent(s.in.back()), e.i64(2 * kLanes));
    auto take = [&](Value size) {
      Value place = e.address(f32, e.getScratch(), next);
      next = e.add(next, size);
      return place;
    };
    line = e.getScratch();
    result = take(columns);
    firsts = take(columns);
    for (int64_t k = 0; k < s.taps; ++k) {
      places.push_back(take(columns));
      weights.push_back(s.taps > 1 ? take(columns) : Value());
    }
  }

  /// Fills in where columns read and with which weights; returns whether permutations of two vectors can read it all.
  Value makeTables() {
    size_t d = s.out.size() - 1;
    Value columns = e.extent(s.out.back());
    e.forEach(e.i64(0), columns, kLanes, [&](Value j) { e.store(i32, firsts, e.floorDiv(j, e.i64(kLanes)), narrow(tapsOf(d, j)[0].position)); });
    e.forEachParallel(e.i64(0), columns, [&](Value j) {
      Value first = e.load(i32, firsts, e.floorDiv(j, e.i64(kLanes)));
      for (auto [tap, place, weight] : llvm::zip_equal(tapsOf(d, j), places, weights)) {
        e.store(i32, place, j, arith::SubIOp::create(e.b, narrow(tap.position), first));
        if (weight)
          e.store(f32, weight, j, tap.weight);
      }
    });
    Value widest = e.forLoop(e.i64(0), columns, 1, arith::ConstantIntOp::create(e.b, 0, 32).getResult(), [&](Value j, ValueRange most) {
      Value next = most[0];
      for (Value place : places)
        next = arith::MaxUIOp::create(e.b, next, e.load(i32, place, j));
      return SmallVector<Value>{next};
    })[0];
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::ult, widest, arith::ConstantIntOp::create(e.b, 2 * kLanes, 32));
  }

  /// line = the lines under a row, mixed.
  void mixLines(ArrayRef<Value> index) {
    size_t d = s.out.size() - 2;
    bool mixes = s.mixesLines();
    SmallVector<Tap> taps = mixes ? tapsOf(d, index[d]) : SmallVector<Tap>();
    e.forEachParallel(e.i64(0), e.extent(s.in.back()), [&](Value column) {
      Index position(index);
      position.push_back(column);
      Value sum = mixes ? Value() : e.element(s.op.getX(), position);
      for (const Tap &tap : taps) {
        position[d] = tap.position;
        sum = mix(sum, e.element(s.op.getX(), position), tap.weight);
      }
      e.store(f32, line, column, sum);
    });
  }

  void permuteColumns() {
    e.forEach(e.i64(0), e.extent(s.columns), kLanes, [&](Value j) {
      Value from = e.address(f32, line, widen(e.load(i32, firsts, e.floorDiv(j, e.i64(kLanes)))));
      Value low = loadVector(e, f32, from), high = loadVector(e, f32, e.address(f32, from, e.i64(kLanes)));
      LLVM::StoreOp::create(e.b, permute(low, high, j), e.address(f32, result, j), 4);
    });
  }

  void gatherColumns() {
    e.forEachParallel(e.i64(0), e.extent(s.out.back()), [&](Value j) {
      Value first = e.load(i32, firsts, e.floorDiv(j, e.i64(kLanes))), sum;
      for (auto [place, weight] : llvm::zip_equal(places, weights))
        sum = mix(sum, e.load(f32, line, widen(arith::AddIOp::create(e.b, first, e.load(i32, place, j)))), weight ? e.load(f32, weight, j) : Value());
      e.store(f32, result, j, sum);
    });
  }

  void makeRow(ArrayRef<Value> index, Value fits) {
    mixLines(index);
    if (s.mixesColumns && e.options.target.vectorBytes >= 64)
      e.ifElse(fits, [&] { permuteColumns(); }, [&] { gatherColumns(); });
    else if (s.mixesColumns)
      gatherColumns();
  }

  /// Whether a row is to be made: nearest lines are often those of the row before, which the same share made.
  Value isNew(Value inPlane, Value row) {
    size_t d = s.out.size() - 2;
    Value before = e.maxSigned(e.sub(inPlane, e.i64(1)), e.i64(0)), isFirst = arith::OrIOp::create(e.b, e.compare("eq", inPlane, e.i64(0)), e.compare("eq", row, e.begin));
    return arith::OrIOp::create(e.b, isFirst, e.compare("ne", tapsOf(d, inPlane)[0].position, tapsOf(d, before)[0].position));
  }

  void emit() {
    Value fits = s.mixesColumns ? makeTables() : Value();
    forRows(e, ArrayRef(s.out).drop_back(), e.begin, e.end, [&](ArrayRef<Value> index, Value row) {
      if (s.taps == 1 && s.mixesLines())
        e.ifThen(isNew(index.back(), row), [&] { makeRow(index, fits); });
      else
        makeRow(index, fits);
      writeRow(index, row, s.mixesColumns ? result : line);
    });
  }
};

} // namespace

void emitResizeRows(UnitEmitter &e) {
  ResizeShape s = getShape(e.unit);
  for (auto [in, out] : llvm::zip_equal(s.in, s.out))
    if (in != out)
      refuseEmptyDim(e, s.op, in, "a dim without elements cannot be resized to some");
  if (s.isNarrow(e.options.target))
    return NarrowResizeEmitter(e, s).emit();
  ResizeRowsEmitter(e, s).emit();
}

WorkInfo getResizeRowsWork(kernel::UnitOp unit, const EmitOptions &options) {
  ResizeShape s = getShape(unit);
  MLIRContext *context = unit.getContext();
  AffineExpr elements = graph::getNumElements(context, s.out), rows = graph::getNumElements(context, ArrayRef(s.out).drop_back());
  AffineExpr scratch = s.in.back() + 2 * kLanes + s.columns * (2 + 2 * s.taps);
  return {whereAny(rows, elements), elements * s.taps, (s.isNarrow(options.target) ? s.getNarrowElements() : scratch) * 4};
}

} // namespace onager
