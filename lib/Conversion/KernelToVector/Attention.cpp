// Attention: softmax(scale * q k^T, masked) v, by blocks of keys, so that the scores of a block alone are ever in memory.
//
// Work items: (batch, block of rows of q), rows innermost; blocks have nearly the same number of rows. Per thread, scratch holds f32 (sizes in elements):
//   scratch := scores [rows, keys], tile [rows, width], sums [rows, width], top [rows], total [rows], factor [rows],
//              panels of keys, panels of values, q [rows, depth] where q is stored in 16 bits
//
// For each block of keys, with rows in parallel:
//   scores = scale * q k^T, masked            keys are packed into panels of 16, transposed in registers
//   next = max(top, max scores)   factor = e^(top - next)   scores = e^(scores - next)
//   total = total * factor + sum scores       sums = sums * factor + scores v
// and behind the last one: result = sums / total.
//
// A row without finite scores keeps top = -infinity; exponents are then taken from 0, so total stays 0 and the quotient is NaN, as a softmax over
// such a row is. NaN scores reach total by their powers.
//
// With few queries (decoding) or few keys packing would cost more than the products: keys are read once, as dot products, and values in place. What a
// cache held before is read there, where the copy of it that behind a concatenation is written past the caches, or has left them. Where the copies are
// results of the unit (takesCaches, UnitShape.h), the first work item of a matrix writes them: of one query the past while it reads it.
#include "lib/Conversion/KernelToVector/CacheAppend.h"
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/Powers.h"
#include "lib/Conversion/KernelToVector/StridedRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include <limits>

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

constexpr int64_t kLanes = kernel::kPanelWidth;
/// Most rows of one work item, and keys of one block: scores and panels of both fit the second-level cache for heads of up to 128, and packing a
/// block of keys and values is a twentieth of the work with them.
constexpr int64_t kRowBlock = 192, kKeyBlock = 256;
/// Rows from which on packing keys pays, and keys from which on it does where a row block is small: below, panels are read too few times or are
/// mostly padding.
constexpr int64_t kFewestRowsToPack = 4, kFewestKeysToPack = 9, kManyRows = 32;

struct AttentionShape {
  graph::AttentionOp op;
  graph::Dims batch, scores;
  AffineExpr rows, keys, depth, width;
  int64_t rowBlock, keyBlock; ///< what scratch holds
  bool isStoredShort;         ///< q has 16-bit elements in memory
};

/// The smaller of `limit` and the extent, where that is known.
int64_t capBlock(AffineExpr extent, int64_t limit) {
  std::optional<int64_t> known = graph::getConstant(extent);
  return known ? std::clamp<int64_t>(*known, 1, limit) : limit;
}

AttentionShape getShape(kernel::UnitOp unit) {
  AttentionShape shape;
  shape.op = *unit.getBody().front().getOps<graph::AttentionOp>().begin();
  graph::Dims k = graph::getDims(shape.op.getK()), out = graph::getDims(shape.op.getResult());
  shape.batch.assign(out.begin(), out.end() - 2);
  shape.rows = out[out.size() - 2];
  shape.keys = k[k.size() - 2];
  shape.depth = k.back();
  shape.width = out.back();
  shape.scores = out;
  shape.scores.back() = shape.keys;
  shape.rowBlock = capBlock(shape.rows, kRowBlock);
  shape.keyBlock = llvm::alignTo(capBlock(shape.keys, kKeyBlock), kLanes);
  shape.isStoredShort = !getStored(shape.op.getQ()).isF32();
  return shape;
}

/// The concatenation that the unit writes and reads as keys or values; null where there is none.
graph::ConcatOp getCache(Value rows) { return rows.getDefiningOp<graph::ConcatOp>(); }

/// Blocks of rows. Without rows there is one nevertheless where it writes caches: fewer rows than 2^32 make its last term 1.
AffineExpr getBlocks(const AttentionShape &shape) {
  graph::AttentionOp op = shape.op;
  AffineExpr blocks = shape.rows.ceilDiv(kRowBlock);
  return getCache(op.getK()) ? blocks + 1 - shape.rows.ceilDiv(int64_t(1) << 32) : blocks;
}

/// Sizes of the parts of scratch, in elements, in the order of their places.
enum Part { scoresPart, tilePart, sumsPart, topPart, totalPart, factorPart, keysPart, valuesPart, queriesPart, partCount };
std::array<AffineExpr, partCount> getParts(const AttentionShape &shape) {
  AffineExpr one = getAffineConstantExpr(1, shape.rows.getContext()), none = getAffineConstantExpr(0, shape.rows.getContext());
  AffineExpr rows = one * llvm::alignTo(shape.rowBlock, kLanes), keys = one * shape.keyBlock, width = shape.width.ceilDiv(kLanes) * kLanes;
  return {rows * keys, rows * width, rows * width, rows, rows, rows, keys * shape.depth, keys * width, shape.isStoredShort ? rows * shape.depth : none};
}

struct AttentionEmitter {
  UnitEmitter &e;
  AttentionShape shape;
  Value parts[partCount];
  StridedRows q, k, v;
  std::optional<StridedRows> pastK, pastV;
  std::optional<CacheAppend> keyCopy, valueCopy; ///< both, where the unit writes them
  std::optional<StridedRows> newK, newV;         ///< their new rows, where those lie in memory
  Value depth, width, paddedWidth;
  VectorType lanes;

  AttentionEmitter(UnitEmitter &e, AttentionShape shape)
      : e(e), shape(shape), q(e, shape.op.getQ()), k(e, shape.op.getK()), v(e, shape.op.getV()), depth(e.extent(shape.depth)), width(e.extent(shape.width)),
        paddedWidth(e.extent(shape.width.ceilDiv(kLanes) * kLanes)), lanes(VectorType::get({kLanes}, e.b.getF32Type())) {
    Value place = e.i64(0);
    for (auto [number, size] : llvm::enumerate(getParts(shape))) {
      parts[number] = e.address(e.b.getF32Type(), e.getScratch(), place);
      place = e.add(place, e.extent(size));
    }
    if (shape.op.getPastK()) {
      pastK.emplace(e, shape.op.getPastK());
      pastV.emplace(e, shape.op.getPastV());
    }
    if (graph::ConcatOp keys = getCache(shape.op.getK())) {
      graph::ConcatOp values = getCache(shape.op.getV());
      keyCopy.emplace(e, keys);
      valueCopy.emplace(e, values);
      if (!hasOneRow()) {
        newK.emplace(e, keys.getInputs().back());
        newV.emplace(e, values.getInputs().back());
      }
    }
  }

  bool hasOneRow() const { return graph::isConstant(shape.rows, 1); }

  // ---- memory and vectors ----

  Value at(Value base, Value offset) { return e.address(e.b.getF32Type(), base, offset); }
  Value get(Part part, Value offset) { return e.load(e.b.getF32Type(), parts[part], offset); }
  void put(Part part, Value offset, Value x) { e.store(e.b.getF32Type(), parts[part], offset, x); }
  Value loadLanes(Part part, Value offset) { return loadVector(e, e.b.getF32Type(), at(parts[part], offset)); }
  void storeLanes(Part part, Value offset, Value x) { LLVM::StoreOp::create(e.b, x, at(parts[part], offset), 4); }
  Value splat(Value x) { return vector::BroadcastOp::create(e.b, lanes, x); }
  Value number(double x) { return e.constant(e.b.getF32Type(), x); }
  Value add(Value a, Value c) { return arith::AddFOp::create(e.b, a, c); }
  Value mul(Value a, Value c) { return arith::MulFOp::create(e.b, a, c); }
  Value sub(Value a, Value c) { return arith::SubFOp::create(e.b, a, c); }
  Value sumOf(Value x) {
    return vector::ReductionOp::create(e.b, vector::CombiningKind::ADD, x, arith::FastMathFlags::reassoc);
  }
  Value larger(Value a, Value c) {
    return arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, a, c), a, c);
  }

  // ---- one block of keys ----

  /// Calls `multiply` with the first panel and the (static) number of panels of each tile over `all` panels, of which `columns` are the extent.
  void forPanelTiles(Value all, AffineExpr columns, function_ref<void(Value, int64_t)> multiply) {
    int64_t most = getTilePanels(e.options.target);
    Value whole = e.mul(e.floorDiv(all, e.i64(most)), e.i64(most));
    e.forEach(e.i64(0), whole, most, [&](Value panel) { multiply(panel, most); });
    std::optional<int64_t> known = graph::getConstant(columns.ceilDiv(kLanes));
    if (most > 1 && (!known || *known % most))
      e.forEach(whole, all, 1, [&](Value panel) { multiply(panel, 1); });
  }

  /// scores = q k^T by panels; `last` is the last row of the keys.
  void multiplyPacked(Value queries, Value queryStride, StridedRows &keys, Value key, Value first, Value last, Value rows, Value count) {
    Value all = e.floorDiv(e.add(count, e.i64(kLanes - 1)), e.i64(kLanes)), panelSize = e.mul(depth, e.i64(kLanes));
    e.forEach(e.i64(0), all, 1, [&](Value panel) {
      keys.packTransposed(key, e.add(first, e.mul(panel, e.i64(kLanes))), last, depth, at(parts[keysPart], e.mul(panel, panelSize)));
    });
    forPanelTiles(all, shape.keys, [&](Value panel, int64_t panels) {
      forRowTiles(e, getTileRows(e.options.target), rows, [&](Value row, int64_t size) {
        Value target = e.add(e.mul(row, e.i64(shape.keyBlock)), e.mul(panel, e.i64(kLanes)));
        callMicroKernel(e, size, panels, {at(queries, e.mul(row, queryStride)), queryStride, at(parts[keysPart], e.mul(panel, panelSize)), panelSize,
                                          at(parts[scoresPart], target), e.i64(shape.keyBlock), depth});
      });
    });
  }

  /// scores = q k^T by dot products.
  void multiplyStreamed(Value queries, Value queryStride, StridedRows &keys, Value key, Value first, Value rows, Value count) {
    Value whole = e.mul(e.floorDiv(depth, e.i64(kLanes)), e.i64(kLanes));
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      Value query = at(queries, e.mul(row, queryStride));
      e.forEach(e.i64(0), count, 1, [&](Value j) {
        Value from = e.add(key, e.mul(e.add(first, j), keys.rowStride));
        Value sums = e.forLoop(e.i64(0), whole, kLanes, splat(number(0)), [&](Value d, ValueRange sum) {
          Value x = loadVector(e, e.b.getF32Type(), at(query, d)), y = loadVector(e, keys.stored, keys.address(e.add(from, d)));
          return SmallVector<Value>{vector::FMAOp::create(e.b, x, y, sum[0])};
        })[0];
        Value score = e.forLoop(whole, depth, 1, sumOf(sums), [&](Value d, ValueRange sum) {
          return SmallVector<Value>{add(sum[0], mul(e.load(e.b.getF32Type(), query, d), keys.load(e.add(from, d))))};
        })[0];
        put(scoresPart, e.add(e.mul(row, e.i64(shape.keyBlock)), j), score);
      });
    });
  }

  double getScale() { return shape.op.getScale().convertToDouble(); }
  /// Scores stay products, and are scaled where they are read: no mask is between.
  bool isScaledLate() { return shape.op.getMasks().empty() && getScale() > 0; }

  /// Scales and masks the scores of a row.
  void maskRow(ArrayRef<Value> index, Value base, Value first, Value count) {
    e.forEachParallel(e.i64(0), count, [&](Value j) {
      Value score = mul(get(scoresPart, e.add(base, j)), number(getScale()));
      Index position(index);
      position.push_back(e.add(first, j));
      for (auto [mask, fill] : llvm::zip_equal(shape.op.getMasks(), shape.op.getFills())) {
        Value x = e.element(mask, e.broadcastIndex(mask, shape.scores, position));
        score = x.getType().isInteger(1) ? Value(arith::SelectOp::create(e.b, x, score, number(fill))) : add(score, x);
      }
      put(scoresPart, e.add(base, j), score);
    });
  }

  Value lowest() { return number(-std::numeric_limits<double>::infinity()); }

  /// What exponents of a row are taken from: its top, or 0 where it has no finite score.
  Value getShift(Value row) {
    Value top = get(topPart, row);
    return arith::SelectOp::create(e.b, arith::CmpFOp::create(e.b, arith::CmpFPredicate::OEQ, top, lowest()), number(0), top);
  }

  /// Brings `top` of a row up to date; `factor` keeps the one before.
  void raiseTop(Value row, Value base, Value padded) {
    Value before = get(topPart, row);
    Value tops = e.forLoop(e.i64(0), padded, kLanes, splat(isScaledLate() ? lowest() : before), [&](Value j, ValueRange top) {
      return SmallVector<Value>{larger(loadLanes(scoresPart, e.add(base, j)), top[0])};
    })[0];
    Value top = vector::ReductionOp::create(e.b, vector::CombiningKind::MAXNUMF, tops, arith::FastMathFlags::nnan);
    put(factorPart, row, before);
    put(topPart, row, isScaledLate() ? larger(mul(top, number(getScale())), before) : top);
  }

  /// Turns the scores of a row into powers and adds them to `total`.
  void raiseRow(ArrayRef<Value> index, Value row, Value base, Value padded) {
    Value shift = splat(getShift(row)), zeroed = isZeroed(index), scale = isScaledLate() ? splat(number(getScale())) : Value();
    Value sums = e.forLoop(e.i64(0), padded, kLanes, splat(number(0)), [&](Value j, ValueRange sum) {
      Value score = loadLanes(scoresPart, e.add(base, j));
      Value power = emitDecay(e, scale ? vector::FMAOp::create(e.b, score, scale, arith::NegFOp::create(e.b, shift)) : sub(score, shift));
      if (zeroed)
        power = arith::SelectOp::create(e.b, zeroed, splat(number(0)), power);
      storeLanes(scoresPart, e.add(base, j), power);
      return SmallVector<Value>{add(sum[0], power)};
    })[0];
    put(totalPart, row, add(mul(get(totalPart, row), get(factorPart, row)), sumOf(sums)));
  }

  /// Masks all rows, finds their tops, their factors, and their powers: each for all rows, since one row's chains are too long to overlap with the next's.
  void softmaxRows(ArrayRef<Value> batch, Value firstRow, Value rows, Value first, Value count) {
    Value padded = e.mul(e.floorDiv(e.add(count, e.i64(kLanes - 1)), e.i64(kLanes)), e.i64(kLanes));
    auto forRows = [&](function_ref<void(ArrayRef<Value>, Value, Value)> body) {
      e.forEach(e.i64(0), rows, 1, [&](Value row) {
        Index index(batch);
        index.push_back(e.add(firstRow, row));
        body(index, row, e.mul(row, e.i64(shape.keyBlock)));
      });
    };
    forRows([&](ArrayRef<Value> index, Value row, Value base) {
      if (!isScaledLate())
        maskRow(index, base, first, count);
      e.forEach(count, padded, 1, [&](Value j) { put(scoresPart, e.add(base, j), lowest()); });
      raiseTop(row, base, padded);
    });
    e.forEachParallel(e.i64(0), rows, [&](Value row) { put(factorPart, row, emitDecay(e, sub(get(factorPart, row), getShift(row)))); });
    forRows([&](ArrayRef<Value> index, Value row, Value base) { raiseRow(index, row, base, padded); });
  }

  /// Whether the row has no weights; null where no row is so.
  Value isZeroed(ArrayRef<Value> index) {
    Value rows = shape.op.getZeroed();
    if (!rows)
      return {};
    Index position(index);
    position.push_back(e.i64(0));
    graph::Dims dims(shape.scores);
    dims.back() = getAffineConstantExpr(1, e.b.getContext());
    return e.element(rows, e.broadcastIndex(rows, dims, position));
  }

  /// tile = scores v, with values packed into panels.
  void weighPacked(StridedRows &values, Value value, Value first, Value rows, Value count) {
    Value all = e.floorDiv(paddedWidth, e.i64(kLanes)), panelSize = e.i64(shape.keyBlock * kLanes);
    e.forEach(e.i64(0), all, 1, [&](Value panel) {
      values.pack(value, first, count, e.mul(panel, e.i64(kLanes)), width, at(parts[valuesPart], e.mul(panel, panelSize)));
    });
    forPanelTiles(all, shape.width, [&](Value panel, int64_t panels) {
      forRowTiles(e, getTileRows(e.options.target), rows, [&](Value row, int64_t size) {
        Value target = e.add(e.mul(row, paddedWidth), e.mul(panel, e.i64(kLanes)));
        callMicroKernel(e, size, panels, {at(parts[scoresPart], e.mul(row, e.i64(shape.keyBlock))), e.i64(shape.keyBlock),
                                          at(parts[valuesPart], e.mul(panel, panelSize)), panelSize, at(parts[tilePart], target), paddedWidth, count});
      });
    });
  }

  /// Panels of values that one product spans where they are read in place: as many chains as a multiply-add takes cycles.
  static constexpr int64_t kStreamedPanels = 4;

  /// tile = scores v, with values read in place. Must hold: `canStreamValues`.
  void weighStreamed(StridedRows &values, Value value, Value first, Value rows, Value count) {
    int64_t all = *graph::getConstant(shape.width) / kLanes;
    Value from = e.add(value, e.mul(first, values.rowStride));
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      for (int64_t panel = 0; panel < all; panel += kStreamedPanels) {
        Value column = e.i64(panel * kLanes);
        callMicroKernel(e, 1, std::min(kStreamedPanels, all - panel),
                        {at(parts[scoresPart], e.mul(row, e.i64(shape.keyBlock))), e.i64(0), values.address(e.add(from, column)), e.i64(kLanes),
                         at(parts[tilePart], e.add(e.mul(row, paddedWidth), column)), e.i64(0), count, values.rowStride});
      }
    });
  }

  /// Values of f32 in whole panels can be read in place.
  bool canStreamValues() const {
    std::optional<int64_t> known = graph::getConstant(shape.width);
    return v.stored.isF32() && known && *known % kLanes == 0;
  }

  /// sums = sums * factor + tile.
  void addTile(Value rows) {
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      Value base = e.mul(row, paddedWidth), factor = splat(get(factorPart, row));
      e.forEach(e.i64(0), paddedWidth, kLanes, [&](Value j) {
        Value place = e.add(base, j);
        storeLanes(sumsPart, place, add(mul(loadLanes(sumsPart, place), factor), loadLanes(tilePart, place)));
      });
    });
  }

  /// The rows of q that a work item multiplies.
  struct Queries {
    ArrayRef<Value> batch;
    Value firstRow, rows; ///< the number of the first one, and how many
    Value first, stride;  ///< where it begins, and elements from one to the next
  };

  /// The keys and values [begin, end), of which the first that is in memory has number `origin`.
  struct Source {
    StridedRows &keys, &values;
    Value begin, end, origin;
  };

  /// What a work item reads: caches and their new rows apart, where the caches are being written, or a copy that behind the past is not to be read.
  SmallVector<Source, 2> getSources(bool isStreamed) {
    Value none = e.i64(0), keys = e.extent(shape.keys);
    if (!pastK || (!keyCopy && !(isStreamed && canStreamValues())))
      return {{k, v, none, keys, none}};
    Value past = e.extent(graph::getDims(shape.op.getPastK()).end()[-2]);
    Source before{*pastK, *pastV, none, past, none};
    return {before, newK ? Source{*newK, *newV, past, keys, past} : Source{k, v, past, keys, none}};
  }

  /// The keys of a source by blocks.
  void emitSource(const Queries &queries, const Source &source, bool isStreamed) {
    Value key = source.keys.offset(queries.batch, shape.batch), value = source.values.offset(queries.batch, shape.batch);
    e.forEach(source.begin, source.end, kKeyBlock, [&](Value first) {
      Value count = e.minSigned(e.i64(kKeyBlock), e.sub(source.end, first)), row = e.sub(first, source.origin);
      if (isStreamed)
        multiplyStreamed(queries.first, queries.stride, source.keys, key, row, queries.rows, count);
      else
        multiplyPacked(queries.first, queries.stride, source.keys, key, row, e.sub(e.sub(source.end, source.origin), e.i64(1)), queries.rows, count);
      softmaxRows(queries.batch, queries.firstRow, queries.rows, first, count);
      if (isStreamed && canStreamValues())
        weighStreamed(source.values, value, row, queries.rows, count);
      else
        weighPacked(source.values, value, row, queries.rows, count);
      addTile(queries.rows);
    });
  }

  /// The scores of one query with `count` keys of the past, which are copied.
  void multiplyCopied(const Queries &queries, Value first, Value count, bool sparesCaches) {
    SmallVector<Value> query;
    for (int64_t k = 0; k < keyCopy->getVectors(); ++k)
      query.push_back(loadVector(e, e.b.getF32Type(), at(queries.first, e.i64(k * kLanes))));
    keyCopy->copyPast(queries.batch, first, count, sparesCaches, {}, [&](Value row, ArrayRef<Value> key, ValueRange) {
      Value sums = mul(query[0], key[0]);
      for (size_t k = 1; k < key.size(); ++k)
        sums = vector::FMAOp::create(e.b, query[k], key[k], sums);
      put(scoresPart, e.sub(row, first), sumOf(sums));
      return SmallVector<Value>();
    });
  }

  /// tile = scores of one query times `count` values of the past, which are copied.
  void weighCopied(const Queries &queries, Value first, Value count, bool sparesCaches) {
    SmallVector<Value> none(static_cast<size_t>(valueCopy->getVectors()), splat(number(0)));
    SmallVector<Value> sums = valueCopy->copyPast(queries.batch, first, count, sparesCaches, none, [&](Value row, ArrayRef<Value> value, ValueRange running) {
      SmallVector<Value> next;
      Value weight = splat(get(scoresPart, e.sub(row, first)));
      for (auto [x, sum] : llvm::zip_equal(value, running))
        next.push_back(vector::FMAOp::create(e.b, weight, x, sum));
      return next;
    });
    for (auto [k, sum] : llvm::enumerate(sums))
      storeLanes(tilePart, e.i64(static_cast<int64_t>(k) * kLanes), sum);
  }

  /// The past of both caches, copied while it is read.
  void emitPast(const Queries &queries, bool sparesCaches) {
    Value past = keyCopy->getPastRows();
    e.forEach(e.i64(0), past, kKeyBlock, [&](Value first) {
      Value count = e.minSigned(e.i64(kKeyBlock), e.sub(past, first));
      multiplyCopied(queries, first, count, sparesCaches);
      softmaxRows(queries.batch, queries.firstRow, queries.rows, first, count);
      weighCopied(queries, first, count, sparesCaches);
      addTile(queries.rows);
    });
  }

  /// Calls `emit` with whether copies may go past the caches.
  void copyCaches(function_ref<void(bool)> emit) {
    Value key = keyCopy->canSpareCaches(), value = valueCopy->canSpareCaches();
    if (!key || !value)
      return emit(false);
    e.ifElse(arith::AndIOp::create(e.b, key, value), [&] { emit(true); orderStoresPastCaches(e); }, [&] { emit(false); });
  }

  /// All keys for one query, where the unit writes the caches.
  void emitOneRow(const Queries &queries) {
    keyCopy->writeNew(queries.batch);
    valueCopy->writeNew(queries.batch);
    copyCaches([&](bool sparesCaches) { emitPast(queries, sparesCaches); });
    Value none = e.i64(0);
    emitSource(queries, {k, v, keyCopy->getPastRows(), e.extent(shape.keys), none}, true);
  }

  /// Writes the caches of a work item's matrices without reading them.
  void writeCaches(ArrayRef<Value> batch) {
    keyCopy->writeNew(batch);
    valueCopy->writeNew(batch);
    copyCaches([&](bool sparesCaches) {
      for (CacheAppend *cache : {&*keyCopy, &*valueCopy})
        cache->copyPast(batch, e.i64(0), cache->getPastRows(), sparesCaches, {}, [](Value, ArrayRef<Value>, ValueRange) { return SmallVector<Value>(); });
    });
  }

  void emitKeys(const Queries &queries, bool isStreamed) {
    for (const Source &source : getSources(isStreamed))
      emitSource(queries, source, isStreamed);
  }

  // ---- one work item ----

  /// Rows of all blocks but the last: whole tiles of the products.
  Value getBlockRows() {
    int64_t tile = getTileRows(e.options.target);
    assert(kRowBlock % tile == 0 && "blocks of whole tiles fit into scratch");
    if (std::optional<int64_t> known = graph::getConstant(shape.rows)) {
      int64_t blocks = std::max<int64_t>(llvm::divideCeil(*known, kRowBlock), 1);
      return e.i64(blocks == 1 ? shape.rowBlock : llvm::divideCeil(*known, blocks * tile) * tile);
    }
    Value blocks = e.maxSigned(e.extent(getBlocks(shape)), e.i64(1)), perTile = e.mul(blocks, e.i64(tile));
    return e.mul(e.floorDiv(e.add(e.extent(shape.rows), e.sub(perTile, e.i64(1))), perTile), e.i64(tile));
  }

  void startRows(Value rows) {
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      put(topPart, row, lowest());
      put(totalPart, row, number(0));
    });
    e.forEach(e.i64(0), e.mul(rows, paddedWidth), kLanes, [&](Value j) { storeLanes(sumsPart, j, splat(number(0))); });
  }

  /// Whether a row's softmax is no number and its weights are 0 for that: then sums = 0 v, which an infinite value makes NaN.
  Value clearRow(ArrayRef<Value> batch, Value row, Value base) {
    Value isNaN = arith::CmpFOp::create(e.b, arith::CmpFPredicate::ULE, get(totalPart, row), number(0));
    e.ifThen(isNaN, [&] {
      e.forEachParallel(e.i64(0), width, [&](Value column) { put(sumsPart, e.add(base, column), number(0)); });
      for (const Source &source : getSources(/*isStreamed=*/true)) {
        Value value = source.values.offset(batch, shape.batch);
        e.forEach(source.begin, source.end, 1, [&](Value key) {
          Value from = e.add(value, e.mul(e.sub(key, source.origin), source.values.rowStride));
          e.forEachParallel(e.i64(0), width, [&](Value column) {
            Value place = e.add(base, column);
            put(sumsPart, place, add(get(sumsPart, place), mul(source.values.load(e.add(from, column)), number(0))));
          });
        });
      }
    });
    return isNaN;
  }

  /// result = sums / total; 0 without keys and for rows without weights.
  void writeRows(ArrayRef<Value> batch, Value firstRow, Value rows) {
    graph::Dims dims = graph::getDims(shape.op.getResult());
    Value hasNoKeys = e.compare("eq", e.extent(shape.keys), e.i64(0));
    e.forEach(e.i64(0), rows, 1, [&](Value row) {
      Index index(batch);
      index.push_back(e.add(firstRow, row));
      Value isZero = isZeroed(index) ? Value(arith::OrIOp::create(e.b, hasNoKeys, isZeroed(index))) : hasNoKeys;
      Value base = e.mul(row, paddedWidth);
      if (shape.op.getZeroNan())
        isZero = arith::OrIOp::create(e.b, isZero, clearRow(batch, row, base));
      Value total = arith::SelectOp::create(e.b, isZero, number(1), get(totalPart, row)), scale = arith::DivFOp::create(e.b, number(1), total);
      index.push_back(e.i64(0));
      Value linear = e.linearize(index, dims);
      e.forEachParallel(e.i64(0), width, [&](Value column) {
        Index position(index);
        position.back() = column;
        e.overrideElement(shape.op.getResult(), [&](ArrayRef<Value>) { return mul(get(sumsPart, e.add(base, column)), scale); });
        storeResults(e, position, e.add(linear, column), [&](Value result) { return !keyCopy || (result != shape.op.getK() && result != shape.op.getV()); });
        e.clearOverrides();
      });
    });
  }

  void emitItem(ArrayRef<Value> batch, Value firstRow, Value rows) {
    startRows(rows);
    readRows(batch, firstRow, rows);
    writeRows(batch, firstRow, rows);
  }

  void readRows(ArrayRef<Value> batch, Value firstRow, Value rows) {
    Value from = e.add(q.offset(batch, shape.batch), e.mul(firstRow, q.rowStride)), queries = q.address(from), stride = q.rowStride;
    if (shape.isStoredShort) {
      queries = parts[queriesPart];
      stride = depth;
      e.forEach(e.i64(0), rows, 1, [&](Value row) {
        e.forEachParallel(e.i64(0), depth, [&](Value d) { put(queriesPart, e.add(e.mul(row, depth), d), q.load(e.add(e.add(from, e.mul(row, q.rowStride)), d))); });
      });
    }
    Queries read{batch, firstRow, rows, queries, stride};
    if (!keyCopy)
      return emitManyRows(read);
    if (hasOneRow())
      return emitOneRow(read);
    e.ifElse(e.compare("eq", e.extent(shape.rows), e.i64(1)), [&] { emitOneRow(read); }, [&] {
      e.ifThen(e.compare("eq", firstRow, e.i64(0)), [&] { writeCaches(batch); });
      emitManyRows(read);
    });
  }

  void emitManyRows(const Queries &queries) {
    auto emit = [&](bool isStreamed) { emitKeys(queries, isStreamed); };
    Value isPacked = paysToPack();
    if (matchPattern(isPacked, m_One()))
      return emit(false);
    if (matchPattern(isPacked, m_Zero()))
      return emit(true);
    e.ifElse(isPacked, [&] { emit(false); }, [&] { emit(true); });
  }

  /// Whether keys are packed, which the extents of the whole tensor decide: each row is computed in one way. A constant where those are known.
  Value paysToPack() {
    auto isLeast = [&](AffineExpr extent, int64_t limit) { return e.b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, e.extent(extent), e.i64(limit)); };
    Value hasKeys = e.b.createOrFold<arith::OrIOp>(isLeast(shape.keys, kFewestKeysToPack), isLeast(shape.rows, kManyRows));
    return e.b.createOrFold<arith::AndIOp>(isLeast(shape.rows, kFewestRowsToPack), hasKeys);
  }
};

} // namespace

void emitAttention(UnitEmitter &e) {
  AttentionShape shape = getShape(e.unit);
  AttentionEmitter emitter(e, shape);
  Value blocks = e.extent(getBlocks(shape)), rows = e.extent(shape.rows), most = emitter.getBlockRows();
  std::optional<int64_t> known = graph::getConstant(shape.rows), block = getConstantIntValue(most);
  e.forEach(e.begin, e.end, 1, [&](Value item) {
    Value firstRow = e.mul(e.rem(item, blocks), most);
    bool isEven = known && block && *known % *block == 0;
    Value count = isEven ? most : e.maxSigned(e.minSigned(most, e.sub(rows, firstRow)), e.i64(0));
    emitter.emitItem(e.delinearize(e.floorDiv(item, blocks), shape.batch), firstRow, count);
  });
}

WorkInfo getAttentionWork(kernel::UnitOp unit) {
  AttentionShape shape = getShape(unit);
  AffineExpr batch = graph::getNumElements(unit.getContext(), shape.batch), scratch = getAffineConstantExpr(0, unit.getContext());
  for (AffineExpr size : getParts(shape))
    scratch = scratch + size;
  return {batch * getBlocks(shape), batch * shape.rows * shape.keys * (shape.depth + shape.width), scratch * 4};
}

} // namespace onager
