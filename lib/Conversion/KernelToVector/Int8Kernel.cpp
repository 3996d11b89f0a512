// Register tiles of sums of bytes: rows times four vectors, which are one vector of bytes when they leave.
//
// One function per kind and number of rows in a module, internal and never inlined, so that layers share it. Unrolling is off, as in MicroKernel.cpp.
#include "lib/Conversion/KernelToVector/Int8Kernel.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

using kernel::Int8Layout;
using kernel::kQuad;
using kernel::kTileVectors;

namespace {

/// Bytes that weights of bf16, which stream from memory for few rows, are prefetched ahead.
constexpr int64_t kBytesAhead = 16384, kLineBytes = 64;

enum Argument { kRows, kRowStride, kPanel, kQuads, kStart, kScale, kOffset, kResult, kResultStride, kZeroPoint, kLow, kHigh };

struct KernelBuilder {
  ImplicitLocOpBuilder b;
  Int8Vectors v;
  Int8KernelKind kind;
  int64_t rows;
  Block *entry;

  KernelBuilder(UnitEmitter &e, Block *entry, const Int8Layout &layout, const Int8KernelKind &kind, int64_t rows)
      : b(e.b.getLoc(), e.b.getContext()), v(b, layout), kind(kind), rows(rows), entry(entry) {
    b.setInsertionPointToStart(entry);
  }

  Value arg(Argument number) { return entry->getArgument(number); }
  Value plus(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value times(Value x, int64_t n) { return arith::MulIOp::create(b, x, v.number(n)); }

  /// Four vectors for each row: one number in all lanes, or one for each column.
  SmallVector<Value> loadNumbers(Argument array, VectorType type) {
    SmallVector<Value> all;
    Int8Vectors::Vectors columns;
    if (kind.isGemm)
      columns = v.loadTile(type.getElementType(), arg(array));
    for (int64_t row = 0; row < rows; ++row) {
      if (!kind.isGemm)
        columns.assign(kTileVectors, v.splat(type, v.load(type.getElementType(), v.at(arg(array), row * 4), 4)));
      all.append(columns.begin(), columns.end());
    }
    return all;
  }

  /// The words of a row for each step of a quad, in all lanes.
  Int8Vectors::Vectors loadRow(Value quad, int64_t row) {
    Type i32 = b.getI32Type();
    int64_t steps = v.layout.getSteps();
    Int8Vectors::Vectors words;
    if (!kind.isGemm) {
      for (int64_t step = 0; step < steps; ++step) {
        Value first = times(quad, steps * v.layout.getRows() * kQuad);
        words.push_back(v.spread(v.load(i32, v.at(arg(kRows), plus(first, v.number((step * v.layout.getRows() + row) * kQuad))), 4)));
      }
      return words;
    }
    Value word = v.load(i32, v.at(arg(kRows), plus(times(arg(kRowStride), row), times(quad, kQuad))));
    auto constant = [&](uint32_t bits) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(static_cast<int32_t>(bits))); };
    if (kind.flipsRows)
      word = arith::XOrIOp::create(b, word, constant(0x80808080));
    if (steps == 1)
      return {v.spread(word)};
    Value even = arith::AndIOp::create(b, word, constant(0x00ff00ff));
    Value odd = arith::AndIOp::create(b, arith::ShRUIOp::create(b, word, constant(8)), constant(0x00ff00ff));
    return {v.spread(even), v.spread(odd)};
  }

  /// All products of one quad.
  SmallVector<Value> advance(Value quad, ValueRange running) {
    SmallVector<Value> sums(running);
    int64_t steps = v.layout.getSteps(), width = v.layout.getTile();
    VectorType type = v.layout.isPaired ? VectorType::get({2 * v.layout.lanes}, b.getI16Type()) : v.bytes;
    Value panel = v.at(arg(kPanel), times(quad, steps * kTileVectors * width));
    Int8Vectors::Vectors columns;
    for (int64_t k = 0; k < steps * kTileVectors; ++k) {
      columns.push_back(v.load(type, v.at(panel, k * width)));
      if (v.layout.isBf16 && k * width % kLineBytes == 0)
        prefetch(b, v.at(panel, kBytesAhead + k * width), CacheLevel::second);
    }
    for (int64_t half = 0; half < v.layout.getHalves(); ++half)
      for (int64_t row = 0; row < rows; ++row)
        for (auto [step, word] : llvm::enumerate(loadRow(quad, row)))
          for (int64_t k = 0; k < kTileVectors; ++k) {
            Value &sum = sums[row * kTileVectors + k], column = columns[step * kTileVectors + k];
            sum = kind.isGemm ? v.multiplyAdd(sum, word, column, half) : v.multiplyAdd(sum, column, word);
          }
    return sums;
  }

  SmallVector<Value> sumUp() {
    auto loop = scf::ForOp::create(b, v.number(0), arg(kQuads), v.number(1), loadNumbers(kStart, v.totals));
    forbidUnrolling(loop);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, advance(loop.getInductionVar(), loop.getRegionIterArgs()));
    return SmallVector<Value>(loop.getResults());
  }

  void build() {
    SmallVector<Value> sums = sumUp(), scales, offsets;
    Int8Vectors::Rounding rounding;
    if (kind.isScaled) {
      auto spread = [&](Argument number, VectorType type) { return v.splat(type, arith::TruncIOp::create(b, type.getElementType(), arg(number))); };
      rounding = {spread(kZeroPoint, VectorType::get({2 * v.layout.lanes}, b.getI16Type())), spread(kLow, v.bytes), spread(kHigh, v.bytes), kind.isSigned};
      scales = loadNumbers(kScale, v.floats);
      offsets = loadNumbers(kOffset, v.floats);
    }
    for (int64_t row = 0; row < rows; ++row) {
      auto ofRow = [&](ArrayRef<Value> all) { return all.slice(row * kTileVectors, kTileVectors); };
      Value result = kind.isScaled ? v.toBytes(ofRow(sums), ofRow(scales), ofRow(offsets), rounding) : v.putInOrder(ofRow(sums));
      v.store(result, v.at(arg(kResult), times(arg(kResultStride), row)));
    }
    func::ReturnOp::create(b);
  }
};

func::FuncOp getKernel(UnitEmitter &e, const Int8Layout &layout, const Int8KernelKind &kind, int64_t rows) {
  std::string name = std::string(kind.isGemm ? "gemm" : "conv") + (layout.isBf16 ? "_bf16_" : "_int8_") + std::to_string(rows) + "x" + std::to_string(layout.getTile());
  name += kind.flipsRows ? "_signed" : "";
  name += kind.isScaled ? (kind.isSigned ? "_to_i8" : "_to_ui8") : "";
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type(), i32 = e.b.getI32Type();
  return getSharedFunction(e, name, {ptr, i64, ptr, i64, ptr, ptr, ptr, ptr, i64, i32, i32, i32}, [&](Block *entry) { KernelBuilder(e, entry, layout, kind, rows).build(); });
}

} // namespace

void callInt8Kernel(UnitEmitter &e, const Int8Layout &layout, const Int8KernelKind &kind, int64_t rows, const Int8Operands &o) {
  func::FuncOp callee = getKernel(e, layout, kind, rows);
  auto constant = [&](int64_t value) { return arith::ConstantIntOp::create(e.b, value, 32); };
  Value scale = o.scale ? o.scale : o.start, offset = o.offset ? o.offset : o.start;
  SmallVector<Value> operands{o.rows, o.rowStride, o.panel, o.quads, o.start, scale, offset, o.result, o.resultStride, constant(o.zeroPoint), constant(o.low), constant(o.high)};
  func::CallOp::create(e.b, callee, operands);
}

PackedProduct getPackedProduct(kernel::UnitOp unit) {
  Block &body = unit.getBody().front();
  if (auto found = body.getOps<kernel::Bf16GemmOp>(); !found.empty()) {
    kernel::Bf16GemmOp op = *found.begin();
    return {op.getX(), op.getPacked(), op.getStart(), {}, {}, op.getResult(), 0, 0, 0, true, op.getDot()};
  }
  kernel::Int8GemmOp op = *body.getOps<kernel::Int8GemmOp>().begin();
  return {op.getX(), op.getPacked(), op.getStart(), op.getScale(), op.getOffset(), op.getResult(), static_cast<int64_t>(op.getZeroPoint()),
          static_cast<int64_t>(op.getLow()), static_cast<int64_t>(op.getHigh())};
}

Int8Layout getInt8Layout(const EmitOptions &options, Value packed) {
  return {static_cast<int64_t>(options.target.vectorBytes) / kQuad, cast<RankedTensorType>(packed.getType()).getElementType().isInteger(16)};
}
Int8Layout getInt8Layout(UnitEmitter &e, Value packed) { return getInt8Layout(e.options, packed); }

Int8Results::Int8Results(UnitEmitter &e, Value result) : e(e), result(result), element(cast<RankedTensorType>(result.getType()).getElementType()) {
  Operation *yield = e.unit.getBody().front().getTerminator();
  isAlone = yield->getNumOperands() == 1 && yield->getOperand(0) == result;
  elementBytes = graph::getElementBytes(element);
}

void Int8Results::store(Value from, Value count, Value linear, function_ref<UnitEmitter::Index(Value)> index) {
  Value bytes = e.i64(elementBytes);
  if (isPlain())
    return copyBytes(e, getByteAddress(e, e.getResultBuffer(0), e.mul(linear, bytes)), from, e.mul(count, bytes));
  e.forEachParallel(e.i64(0), count, [&](Value i) {
    e.overrideElement(result, [&](ArrayRef<Value>) { return e.load(element, from, i); });
    storeResults(e, index(i), e.add(linear, i));
    e.clearOverrides();
  });
}

} // namespace onager
