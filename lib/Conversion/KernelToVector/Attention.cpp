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
// cache held before is read there, where the copy of it that behind a concatenation is written past the caches, or has left them.
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

/// Blocks of rows.
AffineExpr getBlocks(const AttentionShape &shape) { return shape.rows.ceilDiv(kRowBlock); }

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
  }

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

  /// scores = q k^T by panels.
  void multiplyPacked(Value queries, Value queryStride, Value key, Value first, Value rows, Value count) {
    Value all = e.floorDiv(e.add(count, e.i64(kLanes - 1)), e.i64(kLanes)), panelSize = e.mul(depth, e.i64(kLanes));
    Value last = e.sub(e.extent(shape.keys), e.i64(1));
    e.forEach(e.i64(0), all, 1, [&](Value panel) {
      k.packTransposed(key, e.add(first, e.mul(panel, e.i64(kLanes))), last, depth, at(parts[keysPart], e.mul(panel, panelSize)));
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
  void weighPacked(Value value, Value first, Value rows, Value count) {
    Value all = e.floorDiv(paddedWidth, e.i64(kLanes)), panelSize = e.i64(shape.keyBlock * kLanes);
    e.forEach(e.i64(0), all, 1, [&](Value panel) {
      v.pack(value, first, count, e.mul(panel, e.i64(kLanes)), width, at(parts[valuesPart], e.mul(panel, panelSize)));
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

  /// All keys by blocks, packed.
  void emitPacked(const Queries &queries) {
    Value key = k.offset(queries.batch, shape.batch), value = v.offset(queries.batch, shape.batch), keys = e.extent(shape.keys);
    e.forEach(e.i64(0), keys, kKeyBlock, [&](Value first) {
      Value count = e.minSigned(e.i64(kKeyBlock), e.sub(keys, first));
      multiplyPacked(queries.first, queries.stride, key, first, queries.rows, count);
      softmaxRows(queries.batch, queries.firstRow, queries.rows, first, count);
      weighPacked(value, first, queries.rows, count);
      addTile(queries.rows);
    });
  }

  /// The keys [begin, end) by blocks, read from `keys` and `values`.
  void emitStreamed(const Queries &queries, StridedRows &keys, StridedRows &values, Value begin, Value end) {
    Value key = keys.offset(queries.batch, shape.batch), value = values.offset(queries.batch, shape.batch);
    e.forEach(begin, end, kKeyBlock, [&](Value first) {
      Value count = e.minSigned(e.i64(kKeyBlock), e.sub(end, first));
      multiplyStreamed(queries.first, queries.stride, keys, key, first, queries.rows, count);
      softmaxRows(queries.batch, queries.firstRow, queries.rows, first, count);
      if (canStreamValues())
        weighStreamed(values, value, first, queries.rows, count);
      else
        weighPacked(value, first, queries.rows, count);
      addTile(queries.rows);
    });
  }

  void emitKeys(const Queries &queries, bool isStreamed) {
    Value none = e.i64(0), keys = e.extent(shape.keys);
    if (!isStreamed)
      return emitPacked(queries);
    if (!pastK || !canStreamValues())
      return emitStreamed(queries, k, v, none, keys);
    Value past = e.extent(graph::getDims(shape.op.getPastK()).end()[-2]);
    emitStreamed(queries, *pastK, *pastV, none, past);
    emitStreamed(queries, k, v, past, keys);
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
      Value value = v.offset(batch, shape.batch);
      e.forEachParallel(e.i64(0), width, [&](Value column) { put(sumsPart, e.add(base, column), number(0)); });
      e.forEach(e.i64(0), e.extent(shape.keys), 1, [&](Value key) {
        Value from = e.add(value, e.mul(key, v.rowStride));
        e.forEachParallel(e.i64(0), width, [&](Value column) {
          Value place = e.add(base, column);
          put(sumsPart, place, add(get(sumsPart, place), mul(v.load(e.add(from, column)), number(0))));
        });
      });
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
        storeResults(e, position, e.add(linear, column));
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
    auto emit = [&](bool isStreamed) { emitKeys({batch, firstRow, rows, queries, stride}, isStreamed); };
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
