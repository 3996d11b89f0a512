// Functions on tile registers; see AmxTiles.h. Intrinsics that name their registers are left as they are by LLVM's configuration of tiles.
#include "lib/Conversion/KernelToVector/AmxTiles.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

void issueTile(ImplicitLocOpBuilder &b, StringRef name, ArrayRef<int64_t> registers, ValueRange operands) {
  SmallVector<Value> all;
  for (int64_t number : registers)
    all.push_back(arith::ConstantIntOp::create(b, number, 8));
  llvm::append_range(all, operands);
  LLVM::CallIntrinsicOp::create(b, b.getStringAttr("llvm.x86." + name), all);
}

using kernel::kAmxBytes;
using kernel::kAmxPanelTiles;
using kernel::kAmxRows;

namespace {

/// Numbers of registers, and of the bytes of one.
constexpr int64_t kFirstRows = 4, kFirstWeights = 6, kRegisters = 8, kTileBytes = kAmxRows * kAmxBytes;
/// Bytes of a configuration: the palette, then the bytes of a row (16 bits) and the rows (8 bits) of each register.
constexpr int64_t kConfigBytes = 64, kRowBytesAt = 16, kRowsAt = 48;

/// Steps that weights of few rows, which stream from memory, are prefetched ahead: 32 KiB of a panel.
constexpr int64_t kStepsAhead = 16;

struct ProductBuilder {
  enum Argument { kX, kRowStride, kRest, kWholeSteps, kSteps, kPanels, kStart, kSums, kSumStride };

  ImplicitLocOpBuilder b;
  AmxTerms terms;
  int64_t tiles;
  Block *entry;

  Value arg(Argument number) { return entry->getArgument(number); }
  Value number(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }
  Value plus(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value times(Value x, int64_t n) { return arith::MulIOp::create(b, x, number(n)); }
  Value at(Value base, Value offset) { return LLVM::GEPOp::create(b, base.getType(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{offset}); }
  void load(int64_t tile, Value address, Value stride) { issueTile(b, "tileloadd64", {tile}, {address, stride}); }

  /// Prefetches the tile that is kStepsAhead behind one of weights.
  void fetch(Value address) {
    for (int64_t row = 0; row < kAmxRows; ++row)
      prefetch(b, at(address, number(kStepsAhead * kAmxPanelTiles * kTileBytes + row * kAmxBytes)), CacheLevel::second);
  }

  /// One step of kAmxBytes.
  void advance(Value step, int64_t panel, int64_t columns) {
    Value isWhole = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, step, arg(kWholeSteps));
    Value stride = LLVM::SelectOp::create(b, isWhole, arg(kRowStride), number(kAmxBytes));
    Value first = LLVM::SelectOp::create(b, isWhole, at(arg(kX), times(step, kAmxBytes)), arg(kRest));
    for (int64_t row = 0; row < tiles; ++row)
      load(kFirstRows + row, at(first, times(stride, row * kAmxRows)), stride);
    for (int64_t column = 0; column < columns; ++column) {
      Value steps = plus(times(arg(kSteps), panel + column / kAmxPanelTiles), step);
      int64_t weights = kFirstWeights + column % kAmxPanelTiles;
      Value address = at(arg(kPanels), plus(times(steps, kAmxPanelTiles * kTileBytes), number(column % kAmxPanelTiles * kTileBytes)));
      load(weights, address, number(kAmxBytes));
      if (tiles == 1)
        fetch(address);
      for (int64_t row = 0; row < tiles; ++row)
        issueTile(b, terms == AmxTerms::bf16 ? "tdpbf16ps" : terms == AmxTerms::i8 ? "tdpbssd" : "tdpbusd", {row * columns + column, kFirstRows + row, weights});
    }
  }

  /// Sums of all rows and of `columns` tiles, from a panel on.
  void sumUp(int64_t panel, int64_t columns) {
    auto forSums = [&](function_ref<void(int64_t, int64_t, Value)> body) {
      for (int64_t row = 0; row < tiles; ++row)
        for (int64_t column = 0; column < columns; ++column)
          body(row, row * columns + column, number((panel * kAmxPanelTiles + column) * kAmxBytes));
    };
    forSums([&](int64_t, int64_t tile, Value column) { load(tile, at(arg(kStart), column), number(0)); });
    auto loop = scf::ForOp::create(b, number(0), arg(kSteps), number(1));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      advance(loop.getInductionVar(), panel, columns);
    }
    forSums([&](int64_t row, int64_t tile, Value column) {
      issueTile(b, "tilestored64", {tile}, {at(arg(kSums), plus(column, times(arg(kSumStride), row * kAmxRows))), arg(kSumStride)});
    });
  }

  void build() {
    b.setInsertionPointToStart(entry);
    int64_t panels = kAmxColumns / kAmxRows / kAmxPanelTiles, together = panels / tiles;
    for (int64_t panel = 0; panel < panels; panel += together)
      sumUp(panel, together * kAmxPanelTiles);
    func::ReturnOp::create(b);
  }
};

struct RequantizeBuilder {
  enum Argument { kSums, kRows, kScale, kOffset, kResult, kResultStride, kZeroPoint, kLow, kHigh };

  ImplicitLocOpBuilder b;
  bool isSigned;
  Block *entry;

  Value arg(Argument number) { return entry->getArgument(number); }

  void build() {
    b.setInsertionPointToStart(entry);
    Int8Vectors v(b, {kAmxRows, false});
    auto load = [&](VectorType type, Value from) {
      Int8Vectors::Vectors all;
      for (int64_t k = 0; k < kAmxColumns / kAmxRows; ++k)
        all.push_back(v.load(type, v.at(from, k * kAmxBytes), 4));
      return all;
    };
    auto spread = [&](Argument number, VectorType type) { return v.splat(type, arith::TruncIOp::create(b, type.getElementType(), arg(number))); };
    Int8Vectors::Rounding rounding{spread(kZeroPoint, VectorType::get({2 * kAmxRows}, b.getI16Type())), spread(kLow, v.bytes), spread(kHigh, v.bytes), isSigned, true};
    Int8Vectors::Vectors scales = load(v.floats, arg(kScale)), offsets = load(v.floats, arg(kOffset));
    auto loop = scf::ForOp::create(b, v.number(0), arg(kRows), v.number(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row = loop.getInductionVar();
    Int8Vectors::Vectors sums = load(v.sums, v.at(arg(kSums), arith::MulIOp::create(b, row, v.number(kAmxColumns * 4))));
    v.store(v.toBytes(sums, scales, offsets, rounding), v.at(arg(kResult), arith::MulIOp::create(b, row, arg(kResultStride))));
    b.setInsertionPointToEnd(entry);
    func::ReturnOp::create(b);
  }
};

} // namespace

AmxTiles::AmxTiles(UnitEmitter &e) : e(e) {
  Type i8 = e.b.getI8Type();
  SmallVector<int8_t> bytes(kConfigBytes, 0);
  bytes[0] = 1;
  for (int64_t tile = 0; tile < kRegisters; ++tile) {
    bytes[kRowBytesAt + 2 * tile] = kAmxBytes;
    bytes[kRowsAt + tile] = kAmxRows;
  }
  Value config = arith::ConstantOp::create(e.b, DenseElementsAttr::get(VectorType::get({kConfigBytes}, i8), ArrayRef(bytes)));
  for (Value *buffer : {&whole, &partial}) {
    *buffer = e.stackBuffer(i8, kConfigBytes);
    LLVM::StoreOp::create(e.b, config, *buffer, 1);
  }
  configure({});
}

void AmxTiles::configure(Value rows) {
  if (rows) {
    Type i8 = e.b.getI8Type();
    Value above = e.sub(rows, e.i64(kAmxRows)), isMore = e.compare("sgt", above, e.i64(0));
    Value first = e.minSigned(rows, e.i64(kAmxRows)), second = arith::SelectOp::create(e.b, isMore, above, first);
    // A product of one tile of rows has all its sums in tiles of that height.
    for (int64_t tile = 0; tile < kFirstWeights; ++tile)
      e.store(i8, partial, e.i64(kRowsAt + tile), arith::TruncIOp::create(e.b, i8, tile < 2 || tile == kFirstRows ? first : second));
  }
  issueTile(e.b, "ldtilecfg", {}, rows ? partial : whole);
}

void AmxTiles::release() { issueTile(e.b, "tilerelease", {}); }

void callAmxProduct(UnitEmitter &e, AmxTerms terms, int64_t tiles, const AmxOperands &o) {
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  std::string name = "amx_" + std::to_string(tiles * kAmxRows) + "x" + std::to_string(kAmxColumns) + (terms == AmxTerms::bf16 ? "_bf16" : terms == AmxTerms::i8 ? "_signed" : "");
  func::FuncOp callee = getSharedFunction(e, name, {ptr, i64, ptr, i64, i64, ptr, ptr, ptr, i64}, [&](Block *entry) {
    ProductBuilder{ImplicitLocOpBuilder(e.b.getLoc(), e.b.getContext()), terms, tiles, entry}.build();
  });
  func::CallOp::create(e.b, callee, ValueRange{o.x, o.rowStride, o.rest, o.wholeSteps, o.steps, o.panels, o.start, o.sums, o.sumStride});
}

void callAmxRequantize(UnitEmitter &e, bool isSigned, const AmxRequantization &o) {
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type(), i32 = e.b.getI32Type();
  func::FuncOp callee = getSharedFunction(e, isSigned ? "amx_to_i8" : "amx_to_ui8", {ptr, i64, ptr, ptr, ptr, i64, i32, i32, i32}, [&](Block *entry) {
    RequantizeBuilder{ImplicitLocOpBuilder(e.b.getLoc(), e.b.getContext()), isSigned, entry}.build();
  });
  auto constant = [&](int64_t value) -> Value { return arith::ConstantIntOp::create(e.b, value, 32); };
  SmallVector<Value> operands{o.sums, o.rows, o.scale, o.offset, o.result, o.resultStride, constant(o.zeroPoint), constant(o.low), constant(o.high)};
  func::CallOp::create(e.b, callee, operands);
}

} // namespace onager
