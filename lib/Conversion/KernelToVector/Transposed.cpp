// Maps whose operands are transposed so that neighbours in the result are far apart in memory: tiles go through registers in squares.
//
// Such a unit reads transposed tensors element by element, together with other operands. Work items: the dims of the result, of which the one that is
// last in the operands counts tiles, and the last one is left out.
//
//   for tile along the operands' last dim          the last tile starts earlier rather than being cut: its elements are computed twice
//     for tile along the result's last dim
//       rows of the operand -> registers -> rows of the result, or of a buffer that the rest of the unit reads
//
// What stands before a transposition is computed into a buffer first. A tile has whole cache lines on both sides where the extents are known to have
// as many elements: lines whose distance is a power of two push each other out of the cache.
#include "lib/Conversion/KernelToVector/Transposed.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using Index = UnitEmitter::Index;

constexpr int64_t kSide = 16, kShortSide = 8, kLineBytes = 64;

Type storageOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

/// True where everything that reads the value walks it index by index, up to the unit's results.
bool isReadInPlace(Value value, ArrayRef<AffineExpr> dims) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    if (isa<kernel::YieldOp>(user))
      return true;
    return user->hasTrait<graph::ElementwiseOp>() && graph::getDims(user->getResult(0)) == dims && isReadInPlace(user->getResult(0), dims);
  });
}

/// Elements of `bytes` bytes that a tile has along a dim; 0 where the dim is too short.
int64_t getSide(AffineExpr extent, int64_t bytes) {
  std::optional<int64_t> known = graph::getConstant(extent);
  if (!known)
    return kSide;
  int64_t side = std::max(kSide, kLineBytes / bytes);
  while (side > *known)
    side /= 2;
  return side < kShortSide ? 0 : side;
}

struct Transposed {
  SmallVector<graph::TransposeOp> ops;
  graph::Dims dims; ///< of the result
  size_t dim;       ///< of the result, which is the last of the operands
  graph::Dims outer; ///< dims of the result that are in no tile
  int64_t height, width; ///< of a tile, along `dim` and the result's last dim
};

std::optional<Transposed> matchTransposed(kernel::UnitOp unit) {
  Transposed found;
  found.dims = graph::getDims(unit.getBody().front().getTerminator()->getOperand(0));
  if (found.dims.size() < 2)
    return std::nullopt;
  for (auto op : unit.getBody().front().getOps<graph::TransposeOp>()) {
    if (graph::getDims(op.getResult()) != found.dims || !isReadInPlace(op.getResult(), found.dims))
      return std::nullopt;
    if (!found.ops.empty() && found.ops.front().getPerm() != op.getPerm())
      return std::nullopt;
    found.ops.push_back(op);
  }
  if (found.ops.empty())
    return std::nullopt;
  found.dim = llvm::find(found.ops.front().getPerm(), static_cast<int64_t>(found.dims.size()) - 1) - found.ops.front().getPerm().begin();
  if (found.dim + 1 == found.dims.size())
    return std::nullopt;
  int64_t bytes = graph::getElementBytes(storageOf(found.ops.front().getX()));
  found.height = getSide(found.dims[found.dim], bytes);
  found.width = getSide(found.dims.back(), bytes);
  if (!found.height || !found.width)
    return std::nullopt;
  for (size_t k = 0; k + 1 < found.dims.size(); ++k)
    if (k != found.dim)
      found.outer.push_back(found.dims[k]);
  return found;
}

struct TransposedEmitter {
  UnitEmitter &e;
  Transposed &shape;
  SmallVector<Value> before, after; ///< per transposition, buffers for what stands before it, null where that lies in memory, and for its result

  /// The type of the elements that go through registers.
  Type elementOf(size_t k) {
    Type storage = storageOf(shape.ops[k].getX());
    return before[k] ? e.computeType(storage) : storage;
  }
  bool isAlone() { return shape.ops.size() == 1 && llvm::all_of(e.unit.getBody().front().getTerminator()->getOperands(), [&](Value value) { return value == shape.ops[0].getResult(); }); }

  void allocate() {
    for (graph::TransposeOp op : shape.ops) {
      Type storage = storageOf(op.getX());
      // Bools and narrow integers are brought to their form in memory when they are loaded.
      bool isPlain = isa<FloatType>(storage) || storage.getIntOrFloatBitWidth() >= 8;
      before.push_back(isa<BlockArgument>(op.getX()) && isPlain ? Value() : e.stackBuffer(e.computeType(storage), shape.height * shape.width));
      Type element = elementOf(before.size() - 1);
      after.push_back(isAlone() && element == storage ? Value() : e.stackBuffer(element, shape.height * shape.width));
    }
  }

  /// The index of an operand under the result's index.
  Index toOperand(graph::TransposeOp op, ArrayRef<Value> index) {
    Index from(index.size());
    for (auto [k, dim] : llvm::enumerate(op.getPerm()))
      from[dim] = index[k];
    return from;
  }

  Index withOffsets(ArrayRef<Value> index, Value row, Value column) {
    Index moved(index);
    moved[shape.dim] = e.add(moved[shape.dim], row);
    moved.back() = e.add(moved.back(), column);
    return moved;
  }

  /// Moves a tile of elements; rows of the source lie along the result's last dim.
  void moveTile(Type element, Value source, Value sourcePitch, Value target, Value targetPitch) {
    int64_t bytes = graph::getElementBytes(element), most = bytes == 1 ? 16 : bytes == 2 ? 8 : e.options.target.vectorBytes / bytes;
    int64_t lanes = std::min({most, shape.height, shape.width});
    auto vector = VectorType::get({lanes}, e.b.getIntegerType(8 * bytes));
    auto at = [&](Value base, Value pitch, Value row, Value column) { return e.address(element, base, e.add(e.mul(pitch, row), column)); };
    transposeSquares(e, vector, e.i64(shape.width), e.i64(shape.height), [&](Value row, Value column) { return at(source, sourcePitch, row, column); },
                     [&](Value column, Value row) { return at(target, targetPitch, column, row); });
  }

  /// Elements from one index of a tensor to the next along a dim.
  Value pitchOf(Value tensor, size_t dim) {
    return e.extent(graph::getNumElements(e.b.getContext(), ArrayRef(graph::getDims(tensor)).drop_front(dim + 1)));
  }

  void emitTransposition(size_t k, ArrayRef<Value> index) {
    graph::TransposeOp op = shape.ops[k];
    Type element = elementOf(k);
    Index from = toOperand(op, index);
    Value source = before[k], sourcePitch = e.i64(shape.height), target = after[k], targetPitch = e.i64(shape.width);
    if (source) {
      e.forEach(e.i64(0), e.i64(shape.width), 1, [&](Value column) {
        e.forEachParallel(e.i64(0), e.i64(shape.height), [&](Value row) {
          forbidUnrolling(getLoop(row));
          e.store(element, source, e.add(e.mul(column, sourcePitch), row), e.element(op.getX(), toOperand(op, withOffsets(index, row, column))));
        });
      });
    } else {
      source = e.address(element, e.getBuffer(op.getX()), e.linearize(from, graph::getDims(op.getX())));
      sourcePitch = pitchOf(op.getX(), op.getPerm().back());
    }
    if (target)
      return moveTile(element, source, sourcePitch, target, targetPitch);
    Value place = e.linearize(index, shape.dims);
    for (unsigned number = 0; number < e.unit.getBody().front().getTerminator()->getNumOperands(); ++number)
      moveTile(element, source, sourcePitch, e.address(element, e.getResultBuffer(number), place), pitchOf(op.getResult(), shape.dim));
  }

  /// The tile whose first element is at `index`.
  void emitTile(ArrayRef<Value> index) {
    for (size_t k = 0; k < shape.ops.size(); ++k)
      emitTransposition(k, index);
    if (!after[0])
      return;
    e.forEach(e.i64(0), e.i64(shape.height), 1, [&](Value row) {
      e.forEachParallel(e.i64(0), e.i64(shape.width), [&](Value column) {
        forbidUnrolling(getLoop(column));
        for (size_t k = 0; k < shape.ops.size(); ++k)
          e.overrideElement(shape.ops[k].getResult(), [&, k](ArrayRef<Value>) { return e.load(elementOf(k), after[k], e.add(e.mul(row, e.i64(shape.width)), column)); });
        Index at = withOffsets(index, row, column);
        storeResults(e, at, e.linearize(at, shape.dims));
        e.clearOverrides();
      });
    });
  }

  /// Rows [first, last) along the operands' last dim, element by element.
  void emitPlainRows(ArrayRef<Value> index, Value first, Value last, Value width) {
    e.forEach(first, last, 1, [&](Value row) {
      e.forEachParallel(e.i64(0), width, [&](Value column) {
        Index at(index);
        at[shape.dim] = row;
        at.back() = column;
        storeResults(e, at, e.linearize(at, shape.dims));
      });
    });
  }

  void emitItem(ArrayRef<Value> outer, Value tile) {
    Value height = e.extent(shape.dims[shape.dim]), width = e.extent(shape.dims.back()), rows = e.i64(shape.height), columns = e.i64(shape.width);
    Value first = e.mul(tile, rows);
    Index index(outer);
    index.insert(index.begin() + shape.dim, first);
    index.push_back(e.i64(0));
    Value fits = arith::AndIOp::create(e.b, e.compare("sge", height, rows), e.compare("sge", width, columns));
    auto emitTiles = [&] {
      index[shape.dim] = e.minSigned(first, e.sub(height, rows));
      e.forEach(e.i64(0), width, shape.width, [&](Value column) {
        index.back() = e.minSigned(column, e.sub(width, columns));
        emitTile(index);
      });
    };
    if (graph::getConstant(shape.dims[shape.dim]) && graph::getConstant(shape.dims.back()))
      return e.ifThen(fits, emitTiles);
    e.ifElse(fits, emitTiles, [&] { emitPlainRows(index, first, e.minSigned(e.add(first, rows), height), width); });
  }
};

AffineExpr getTiles(const Transposed &shape) { return shape.dims[shape.dim].ceilDiv(shape.height); }

} // namespace

void transposeSquare(UnitEmitter &e, SmallVectorImpl<Value> &rows) {
  auto side = static_cast<int64_t>(rows.size());
  // Neighbours of the first and second half are paired; after as many steps as a number of a row has bits, numbers of rows and lanes have changed places.
  SmallVector<int64_t> low, high;
  for (int64_t lane = 0; lane < side / 2; ++lane) {
    low.append({lane, side + lane});
    high.append({side / 2 + lane, side + side / 2 + lane});
  }
  for (int64_t step = 1; step < side; step *= 2) {
    SmallVector<Value> next;
    for (int64_t row = 0; row < side / 2; ++row)
      for (ArrayRef<int64_t> mask : {ArrayRef(low), ArrayRef(high)})
        next.push_back(vector::ShuffleOp::create(e.b, rows[row], rows[row + side / 2], mask));
    rows.assign(next.begin(), next.end());
  }
}

void transposeSquares(UnitEmitter &e, VectorType vector, Value rows, Value columns, function_ref<Value(Value, Value)> from, function_ref<Value(Value, Value)> to) {
  int64_t lanes = vector.getNumElements(), bytes = vector.getElementTypeBitWidth() / 8;
  // Rows of the target are finished one group after the other.
  e.forEach(e.i64(0), columns, lanes, [&](Value column) {
    e.forEach(e.i64(0), rows, lanes, [&](Value row) {
      SmallVector<Value> square;
      for (int64_t k = 0; k < lanes; ++k)
        square.push_back(LLVM::LoadOp::create(e.b, vector, from(e.add(row, e.i64(k)), column), bytes));
      transposeSquare(e, square);
      for (int64_t k = 0; k < lanes; ++k)
        LLVM::StoreOp::create(e.b, square[k], to(e.add(column, e.i64(k)), row), bytes);
    });
  });
}

bool emitTransposed(UnitEmitter &e) {
  std::optional<Transposed> shape = matchTransposed(e.unit);
  if (!shape || e.options.exact)
    return false;
  TransposedEmitter emitter{e, *shape, {}, {}};
  emitter.allocate();
  graph::Dims items = shape->outer;
  items.push_back(getTiles(*shape));
  forRows(e, items, e.begin, e.end, [&](ArrayRef<Value> item, Value) { emitter.emitItem(item.drop_back(), item.back()); });
  return true;
}

std::optional<AffineExpr> getTransposedItems(kernel::UnitOp unit) {
  std::optional<Transposed> shape = matchTransposed(unit);
  if (!shape)
    return std::nullopt;
  return graph::getNumElements(unit.getContext(), shape->outer) * getTiles(*shape);
}

} // namespace onager
