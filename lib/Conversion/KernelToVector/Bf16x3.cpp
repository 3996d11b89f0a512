// Splits rows and panels of f32 into parts of bf16, and multiplies them; see Bf16x3.h.
#include "lib/Conversion/KernelToVector/Bf16x3.h"
#include "lib/Conversion/KernelToVector/AmxTiles.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

using kernel::kAmxBytes;
using kernel::kAmxRows;

namespace {

constexpr int64_t kLanes = kernel::kPanelWidth, kTileBytes = kAmxRows * kAmxBytes, kPartBytes = 2 * kTileBytes;
constexpr int64_t kLineBytes = 64;
enum Part { high, middle, low, partCount };
static_assert(kBf16x3StepBytes == partCount * kPartBytes);

/// Emits code at the end of a function of its own.
struct FunctionBuilder {
  ImplicitLocOpBuilder b;
  Block *entry;

  FunctionBuilder(UnitEmitter &e, Block *entry) : b(e.b.getLoc(), e.b.getContext()), entry(entry) { b.setInsertionPointToStart(entry); }

  Value arg(unsigned number) { return entry->getArgument(number); }
  Value c(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }
  Value plus(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value minus(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value times(Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value divide(Value x, int64_t n) { return arith::DivUIOp::create(b, x, c(n)); }
  Value rest(Value x, int64_t n) { return arith::RemUIOp::create(b, x, c(n)); }
  Value at(Type element, Value base, Value offset) { return LLVM::GEPOp::create(b, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{offset}); }
  Value byteAt(Value base, Value offset) { return at(b.getI8Type(), base, offset); }
  Value floatAt(Value base, Value offset) { return at(b.getF32Type(), base, offset); }

  using Step = function_ref<Value(Value iv, Value carried)>;
  Value forEach(Value from, Value to, Value carried, Step body) {
    auto loop = scf::ForOp::create(b, from, to, c(1), carried ? ValueRange(carried) : ValueRange());
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value next = body(loop.getInductionVar(), carried ? loop.getRegionIterArg(0) : Value());
    if (carried)
      scf::YieldOp::create(b, next);
    return carried ? loop.getResult(0) : Value();
  }
  void finish() { func::ReturnOp::create(b); }
};

struct Splitter : FunctionBuilder {
  VectorType floats = VectorType::get({kLanes}, b.getF32Type()), words = VectorType::get({kLanes}, b.getI32Type());

  using FunctionBuilder::FunctionBuilder;

  Value splat(int64_t bits) { return arith::ConstantOp::create(b, DenseElementsAttr::get(words, b.getI32IntegerAttr(static_cast<int32_t>(bits)))); }
  Value zero() { return arith::ConstantOp::create(b, b.getZeroAttr(floats)); }
  Value toWords(Value x) { return arith::BitcastOp::create(b, words, x); }
  /// The upper half of each number, in its place.
  Value cut(Value x) { return arith::AndIOp::create(b, toWords(x), splat(0xffff0000)); }
  Value takeOff(Value x, Value part) { return arith::SubFOp::create(b, x, arith::BitcastOp::create(b, floats, part)); }
  /// NaN where one of x - high is: where x is not finite.
  Value mark(Value remainder, Value marks) { return vector::FMAOp::create(b, remainder, zero(), marks); }

  Value load(Value address, Value count = {}) {
    if (!count)
      return LLVM::LoadOp::create(b, floats, address, 4);
    auto numbers = VectorType::get({kLanes}, b.getI64Type());
    Value lanes = arith::ConstantOp::create(b, DenseElementsAttr::get(numbers, ArrayRef<int64_t>(llvm::to_vector(llvm::seq<int64_t>(0, kLanes)))));
    Value mask = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, lanes, vector::BroadcastOp::create(b, numbers, count));
    return LLVM::MaskedLoadOp::create(b, floats, address, mask, zero(), 4u);
  }

  /// Stores the parts of x and y as `join` puts the upper halves of two vectors together, and returns the marks.
  Value split(Value x, Value y, Value address, Value marks, function_ref<Value(Value x, Value y)> join) {
    for (int64_t part = high; part < partCount; ++part) {
      LLVM::StoreOp::create(b, join(x, y), byteAt(address, c(part * kPartBytes)), kLineBytes);
      if (part == low)
        break;
      x = takeOff(x, cut(x)), y = takeOff(y, cut(y));
      if (part == high)
        marks = mark(y, mark(x, marks));
    }
    return marks;
  }

  /// Numbers of x, then those of y.
  Value joinBehind(Value x, Value y) {
    auto halves = VectorType::get({2 * kLanes}, b.getI16Type());
    SmallVector<int64_t> odd;
    for (int64_t lane = 0; lane < 2 * kLanes; ++lane)
      odd.push_back(2 * lane + 1);
    return vector::ShuffleOp::create(b, vector::BitCastOp::create(b, halves, toWords(x)), vector::BitCastOp::create(b, halves, toWords(y)), odd);
  }

  /// Pairs of x and y.
  Value joinPairs(Value x, Value y) { return arith::OrIOp::create(b, arith::ShRUIOp::create(b, toWords(x), splat(16)), cut(y)); }

  void setWhereMarked(Value marks, Value isSpecial) {
    Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, marks, arith::FastMathFlags::reassoc);
    auto branch = scf::IfOp::create(b, arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, sum, sum), false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    LLVM::StoreOp::create(b, c(1), isSpecial, 8);
  }

  /// Arguments: rows, stride, count, depth, operand, isSpecial. Rows are innermost, so that each part is written line by line.
  void buildRows() {
    Value depth = arg(3), steps = divide(depth, kBf16x3Terms), left = rest(depth, kBf16x3Terms), behind = arith::MaxSIOp::create(b, minus(left, c(kLanes)), c(0)), marks = zero();
    auto splitSteps = [&](Value from, Value to, bool isRagged) {
      marks = forEach(from, to, marks, [&](Value step, Value marks) {
        return forEach(c(0), arg(2), marks, [&](Value row, Value marks) {
          Value x = floatAt(arg(0), plus(times(row, arg(1)), times(step, c(kBf16x3Terms)))), y = floatAt(x, c(kLanes));
          Value place = plus(plus(times(divide(row, kAmxRows), c(kTileBytes)), times(rest(row, kAmxRows), c(kAmxBytes))), times(step, c(kBf16x3StepBytes)));
          return split(load(x, isRagged ? left : Value()), load(y, isRagged ? behind : Value()), byteAt(arg(4), place), marks, [&](Value x, Value y) { return joinBehind(x, y); });
        });
      });
    };
    splitSteps(c(0), steps, false);
    splitSteps(steps, divide(plus(depth, c(kBf16x3Terms - 1)), kBf16x3Terms), true);
    setWhereMarked(marks, arg(5));
    finish();
  }

  /// Arguments: panels, stride, pitch, depth, operand, isSpecial.
  void buildPanels() {
    Value depth = arg(3), pairs = divide(depth, 2), steps = divide(plus(depth, c(kBf16x3Terms - 1)), kBf16x3Terms), marks = zero();
    auto splitPairs = [&](Value from, Value to, int64_t terms) {
      marks = forEach(from, to, marks, [&](Value pair, Value marks) {
        Value step = divide(pair, kAmxRows), address = byteAt(arg(4), plus(times(step, c(kBf16x3StepBytes)), times(rest(pair, kAmxRows), c(kAmxBytes))));
        for (int64_t panel = 0; panel < 2; ++panel) {
          Value x = floatAt(arg(0), plus(times(arg(1), c(panel)), times(pair, times(arg(2), c(2)))));
          marks = split(terms > 0 ? load(x) : zero(), terms > 1 ? load(floatAt(x, arg(2))) : zero(), byteAt(address, c(panel * kTileBytes)), marks,
                        [&](Value x, Value y) { return joinPairs(x, y); });
        }
        return marks;
      });
    };
    Value begun = divide(plus(depth, c(1)), 2);
    splitPairs(c(0), pairs, 2);
    splitPairs(pairs, begun, 1);
    splitPairs(begun, times(steps, c(kAmxRows)), 0);
    setWhereMarked(marks, arg(5));
    finish();
  }
};

struct Joiner : FunctionBuilder {
  using FunctionBuilder::FunctionBuilder;

  /// A part of bf16 as f32.
  Value widen(Value address) {
    Value bits = arith::ExtUIOp::create(b, b.getI32Type(), LLVM::LoadOp::create(b, b.getI16Type(), address, 2));
    return arith::BitcastOp::create(b, b.getF32Type(), arith::ShLIOp::create(b, bits, arith::ConstantIntOp::create(b, 16, 32)));
  }

  /// Arguments: operand, depth, rows.
  void build() {
    forEach(c(0), c(kBf16x3Rows), {}, [&](Value row, Value) {
      Value from = byteAt(arg(0), plus(times(divide(row, kAmxRows), c(kTileBytes)), times(rest(row, kAmxRows), c(kAmxBytes))));
      forEach(c(0), arg(1), {}, [&](Value term, Value) {
        Value place = byteAt(from, plus(times(divide(term, kBf16x3Terms), c(kBf16x3StepBytes)), times(rest(term, kBf16x3Terms), c(2))));
        Value lower = arith::AddFOp::create(b, widen(byteAt(place, c(middle * kPartBytes))), widen(byteAt(place, c(low * kPartBytes))));
        LLVM::StoreOp::create(b, arith::AddFOp::create(b, widen(place), lower), floatAt(arg(2), plus(times(row, arg(1)), term)), 4);
        return Value();
      });
      return Value();
    });
    finish();
  }
};

struct ProductBuilder : FunctionBuilder {
  /// Numbers of tile registers: 0 to 3 hold sums.
  static constexpr int64_t kRowTile = 4, kPanelTile = 6;
  int64_t tiles;

  ProductBuilder(UnitEmitter &e, Block *entry, int64_t tiles) : FunctionBuilder(e, entry), tiles(tiles) {}

  void load(int64_t first, int64_t count, Value step, Part part) {
    for (int64_t tile = 0; tile < count; ++tile)
      issueTile(b, "tileloadd64", {first + tile}, {byteAt(step, c(part * kPartBytes + tile * kTileBytes)), c(kAmxBytes)});
  }
  void multiply() {
    for (int64_t row = 0; row < tiles; ++row)
      for (int64_t column = 0; column < 2; ++column)
        issueTile(b, "tdpbf16ps", {row * 2 + column, kRowTile + row, kPanelTile + column});
  }

  void forSums(function_ref<void(int64_t tile, Value address)> body) {
    for (int64_t row = 0; row < tiles; ++row)
      for (int64_t column = 0; column < 2; ++column)
        body(row * 2 + column, byteAt(arg(2), c((row * kAmxRows * kBf16x3Columns + column * kLanes) * 4)));
  }

  /// Arguments: rows, panels, sums, steps, ahead.
  void build(bool accumulates) {
    Value pitch = c(kBf16x3Columns * 4);
    forSums([&](int64_t tile, Value address) {
      if (accumulates)
        issueTile(b, "tileloadd64", {tile}, {address, pitch});
      else
        issueTile(b, "tilezero", {tile});
    });
    forEach(c(0), arg(3), {}, [&](Value number, Value) {
      Value rows = byteAt(arg(0), times(number, c(kBf16x3StepBytes))), panels = byteAt(arg(1), times(number, c(kBf16x3StepBytes)));
      Value ahead = byteAt(arg(4), times(number, c(kBf16x3AheadBytes)));
      for (int64_t line = 0; line < kBf16x3AheadBytes; line += kLineBytes)
        prefetch(b, byteAt(ahead, c(line)), CacheLevel::second);
      // In the order that loads the fewest tiles.
      load(kPanelTile, 2, panels, high);
      for (Part part : {low, middle, high}) {
        load(kRowTile, tiles, rows, part);
        multiply();
      }
      for (Part part : {low, middle}) {
        load(kPanelTile, 2, panels, part);
        multiply();
      }
      load(kRowTile, tiles, rows, middle);
      multiply();
      return Value();
    });
    forSums([&](int64_t tile, Value address) { issueTile(b, "tilestored64", {tile}, {address, pitch}); });
    finish();
  }
};

} // namespace

void callSplitRows(UnitEmitter &e, Value rows, Value stride, Value count, Value depth, Value operand, Value isSpecial) {
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  func::FuncOp callee = getSharedFunction(e, "bf16x3_rows", {ptr, i64, i64, i64, ptr, ptr}, [&](Block *entry) { Splitter(e, entry).buildRows(); });
  func::CallOp::create(e.b, callee, ValueRange{rows, stride, count, depth, operand, isSpecial});
}

void callSplitPanels(UnitEmitter &e, Value panels, Value stride, Value pitch, Value depth, Value operand, Value isSpecial) {
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  func::FuncOp callee = getSharedFunction(e, "bf16x3_panels", {ptr, i64, i64, i64, ptr, ptr}, [&](Block *entry) { Splitter(e, entry).buildPanels(); });
  func::CallOp::create(e.b, callee, ValueRange{panels, stride, pitch, depth, operand, isSpecial});
}

void callJoinRows(UnitEmitter &e, Value operand, Value depth, Value rows) {
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  func::FuncOp callee = getSharedFunction(e, "bf16x3_join", {ptr, i64, ptr}, [&](Block *entry) { Joiner(e, entry).build(); });
  func::CallOp::create(e.b, callee, ValueRange{operand, depth, rows});
}

void callBf16x3Product(UnitEmitter &e, int64_t tiles, bool accumulates, const Bf16x3Operands &o) {
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  std::string name = "bf16x3_" + std::to_string(tiles * kAmxRows) + "x" + std::to_string(kBf16x3Columns) + (accumulates ? "_added" : "");
  func::FuncOp callee = getSharedFunction(e, name, {ptr, ptr, ptr, i64, ptr}, [&](Block *entry) { ProductBuilder(e, entry, tiles).build(accumulates); });
  func::CallOp::create(e.b, callee, ValueRange{o.rows, o.panels, o.sums, o.steps, o.ahead});
}

} // namespace onager
