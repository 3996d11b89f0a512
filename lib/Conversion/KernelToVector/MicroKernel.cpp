// Register tiles: `rows` x `panels` vectors of 16 lanes stay in registers while the sum runs.
//
// One function per tile size and module, internal and never inlined, so that layers share it. Unrolling is off: the loop body
// already has more independent chains than the multiply-add latency needs, and unrolling spills.
#include "lib/Conversion/KernelToVector/MicroKernel.h"
#include "lib/Conversion/KernelToVector/SharedFunction.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

static constexpr int64_t kLanes = kernel::kPanelWidth;

/// Steps of the sum that panels are prefetched ahead: 4 KB. Below these rows the panels stream at memory speed, which prefetching disturbs.
static constexpr int64_t kPrefetchSteps = 32, kFewestRowsToPrefetch = 4;
/// Steps of the sum that rows of a transposed operand are prefetched ahead: each step reads another line, often one that another core wrote last.
static constexpr int64_t kRowPrefetchSteps = 24;

/// Rows that an address reaches from one pointer, by 0, 1 and 2 distances of rows: a loop that adds them up takes the ports of its multiply-adds.
static constexpr int64_t kRowsOfPointer = 3;

/// Registers of sums of a single row in one panel: as many multiply-adds as a processor has under way.
static constexpr int64_t kRowRegisters = 8;

/// Multiply-adds of vectors, one a cycle, that take as long as memory to answer; tiles ahead at most.
static constexpr int64_t kFewestAhead = 1024, kMostTilesAhead = 8;

/// Ways of a first-level cache.
static constexpr int64_t kWays = 8;

int64_t getTileRows(const TargetInfo &target) { return target.vectorBytes >= 64 ? 12 : 6; }
int64_t getTilePanels(const TargetInfo &target) { return target.vectorBytes >= 64 ? 2 : 1; }

namespace {

/// What the operands decide about the code.
struct TileForm {
  bool isStrided; ///< the step of b is an argument
  bool isTransposed, accumulates;
  bool looksAhead;    ///< floats to prefetch and their distance are arguments
  bool looksAtPanels; ///< they lie in as many panels
  bool isOneStream;
  std::string getSuffix() const {
    return std::string(isStrided ? "_strided" : "") + (isTransposed ? "_transposed" : "") + (accumulates ? "_added" : "") + (looksAhead ? looksAtPanels ? "_ahead_panels" : "_ahead" : "") +
           (isOneStream ? "_stream" : "");
  }
};

struct TileBuilder {
  ImplicitLocOpBuilder b;
  int64_t rows, panels;
  VectorType lanes;
  Block *entry;
  TileForm form;
  Value step = {}, ahead = {}, aheadStep = {};
  SmallVector<Value> rowGroups = {}; ///< where each kRowsOfPointer rows of a start

  Value c(int64_t value) { return arith::ConstantIntOp::create(b, value, 64); }
  Value at(Value base, Value offset) {
    return LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getF32Type(), base, ArrayRef<LLVM::GEPArg>{offset});
  }
  Value times(Value x, int64_t n) { return arith::MulIOp::create(b, x, c(n)); }
  Value plus(Value x, Value y) { return arith::AddIOp::create(b, x, y); }

  /// Calls `body` with the number of each accumulator and where it lies in c.
  void forTile(function_ref<void(int64_t number, Value place)> body) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < panels; ++j)
        body(i * panels + j, at(entry->getArgument(4), plus(times(entry->getArgument(5), i), c(j * kLanes))));
  }

  /// One step of the sum for all accumulators.
  SmallVector<Value> advance(Value k, ValueRange sums) {
    Value a = entry->getArgument(0), rowStride = entry->getArgument(1), panel = entry->getArgument(2), panelStride = entry->getArgument(3);
    SmallVector<Value> columns, next;
    for (int64_t j = 0; j < panels; ++j) {
      Value offset = plus(times(panelStride, j), arith::MulIOp::create(b, k, step));
      columns.push_back(LLVM::LoadOp::create(b, lanes, at(panel, offset), 4));
      if (form.looksAhead && (form.looksAtPanels || j == 0))
        prefetch(b, at(ahead, plus(times(panelStride, j), arith::MulIOp::create(b, k, aheadStep))), CacheLevel::second);
      else if (rows >= kFewestRowsToPrefetch && !form.looksAhead)
        prefetch(b, at(panel, plus(offset, times(step, kPrefetchSteps))), CacheLevel::first);
    }
    if (form.isTransposed && rows >= kFewestRowsToPrefetch)
      prefetch(b, at(a, plus(arith::MulIOp::create(b, plus(k, c(kRowPrefetchSteps)), rowStride), c(rows - 1))), CacheLevel::first);
    for (int64_t i = 0; i < rows; ++i) {
      Value place = form.isTransposed ? at(a, plus(arith::MulIOp::create(b, k, rowStride), c(i))) : at(at(rowGroups[i / kRowsOfPointer], times(rowStride, i % kRowsOfPointer)), k);
      Value scalar = LLVM::LoadOp::create(b, b.getF32Type(), place, 4);
      Value row = vector::BroadcastOp::create(b, lanes, scalar);
      for (int64_t j = 0; j < panels; ++j)
        next.push_back(vector::FMAOp::create(b, row, columns[j], sums[i * panels + j]));
    }
    return next;
  }

  /// Pointers whose distances LLVM does not know.
  void pointAtRows() {
    for (int64_t i = 0; i < rows; i += kRowsOfPointer) {
      Value place = at(entry->getArgument(0), times(entry->getArgument(1), i));
      rowGroups.push_back(LLVM::InlineAsmOp::create(b, place.getType(), ValueRange{place}, "", "=r,0", /*has_side_effects=*/false, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                                    LLVM::AsmDialectAttr(), ArrayAttr())
                              .getRes());
    }
  }

  using Step = function_ref<SmallVector<Value>(Value k, ValueRange carried)>;

  SmallVector<Value> sumUp(Value from, Value to, int64_t by, ValueRange sums, Step body) {
    auto loop = scf::ForOp::create(b, from, to, c(by), sums);
    forbidUnrolling(loop);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, body(loop.getInductionVar(), loop.getRegionIterArgs()));
    return loop.getResults();
  }

  /// The products of a single row with one panel, of sum indices k + chain in a chain each.
  Value sumPanel(Value panel, int64_t chains) {
    Value depth = entry->getArgument(6), zero = arith::ConstantOp::create(b, b.getZeroAttr(lanes));
    auto add = [&](Value k, Value sum) -> Value {
      Value row = vector::BroadcastOp::create(b, lanes, LLVM::LoadOp::create(b, b.getF32Type(), at(entry->getArgument(0), k), 4));
      return vector::FMAOp::create(b, row, LLVM::LoadOp::create(b, lanes, at(panel, times(k, kLanes)), 4), sum);
    };
    Value whole = times(arith::DivUIOp::create(b, depth, c(chains)), chains);
    SmallVector<Value> sums = sumUp(c(0), whole, chains, SmallVector<Value>(static_cast<size_t>(chains), zero), [&](Value k, ValueRange carried) {
      SmallVector<Value> next;
      for (auto [chain, sum] : llvm::enumerate(carried))
        next.push_back(add(plus(k, c(static_cast<int64_t>(chain))), sum));
      return next;
    });
    for (size_t half = sums.size() / 2; half >= 1; half /= 2)
      for (size_t i = 0; i < half; ++i)
        sums[i] = arith::AddFOp::create(b, sums[i], sums[i + half]);
    return sumUp(whole, depth, 1, sums[0], [&](Value k, ValueRange carried) { return SmallVector<Value>{add(k, carried[0])}; })[0];
  }

  void buildRow(int64_t chains) {
    auto loop = scf::ForOp::create(b, c(0), c(panels), c(1));
    forbidUnrolling(loop);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value j = loop.getInductionVar(), sums = sumPanel(at(entry->getArgument(2), arith::MulIOp::create(b, j, entry->getArgument(3))), chains);
    LLVM::StoreOp::create(b, sums, at(entry->getArgument(4), times(j, kLanes)), 4);
  }

  void buildTile() {
    unsigned next = 7;
    step = form.isStrided ? entry->getArgument(next++) : c(kLanes);
    if (form.looksAhead) {
      ahead = entry->getArgument(next++);
      aheadStep = entry->getArgument(next++);
    }
    if (!form.isTransposed)
      pointAtRows();
    SmallVector<Value> sums(rows * panels);
    forTile([&](int64_t number, Value place) {
      sums[number] = form.accumulates ? LLVM::LoadOp::create(b, lanes, place, 4).getResult() : arith::ConstantOp::create(b, b.getZeroAttr(lanes)).getResult();
    });
    sums = sumUp(c(0), entry->getArgument(6), 1, sums, [&](Value k, ValueRange carried) { return advance(k, carried); });
    forTile([&](int64_t number, Value place) { LLVM::StoreOp::create(b, sums[number], place, 4); });
  }

  void build(int64_t vectorBytes) {
    b.setInsertionPointToStart(entry);
    int64_t registers = std::max<int64_t>(lanes.getNumElements() * 4 / vectorBytes, 1);
    if (form.isOneStream)
      buildRow(std::max<int64_t>(kRowRegisters / registers, 1));
    else
      buildTile();
    func::ReturnOp::create(b);
  }
};

func::FuncOp getMicroKernel(UnitEmitter &e, int64_t rows, int64_t panels, int64_t lanes, TileForm form) {
  std::string name = "gemm_f32_" + std::to_string(rows) + "x" + std::to_string(panels * lanes) + form.getSuffix();
  Type ptr = LLVM::LLVMPointerType::get(e.b.getContext()), i64 = e.b.getI64Type();
  SmallVector<Type> types{ptr, i64, ptr, i64, ptr, i64, i64};
  if (form.isStrided)
    types.push_back(i64);
  if (form.looksAhead)
    types.append({ptr, i64});
  return getSharedFunction(e, name, types, [&](Block *entry) {
    TileBuilder{ImplicitLocOpBuilder(e.b.getLoc(), e.b), rows, panels, VectorType::get({lanes}, e.b.getF32Type()), entry, form}.build(e.options.target.vectorBytes);
  });
}

} // namespace

void TileOperands::lookAtPlanes(UnitEmitter &e, int64_t width, int64_t operations) {
  int64_t tiles = std::clamp<int64_t>(llvm::divideCeil(kFewestAhead, std::max<int64_t>(operations, 1)), 1, kMostTilesAhead);
  ahead = e.address(e.b.getF32Type(), b, e.i64(tiles * width));
  aheadStep = step;
  looksAtPanels = true;
}

void callMicroKernel(UnitEmitter &e, int64_t rows, int64_t panels, const TileOperands &t, int64_t lanes) {
  TileForm form{static_cast<bool>(t.step), t.isTransposed, t.accumulates, static_cast<bool>(t.ahead), t.ahead && t.looksAtPanels, t.isOneStream};
  func::FuncOp callee = getMicroKernel(e, rows, panels, lanes, form);
  SmallVector<Value> operands{t.a, t.rowStride, t.b, t.panelStride, t.c, t.columnStride, t.depth};
  if (t.step)
    operands.push_back(t.step);
  if (t.ahead)
    operands.append({t.ahead, t.aheadStep});
  func::CallOp::create(e.b, callee, operands);
}

void storeTile(UnitEmitter &e, Value result, Value tile, int64_t width, Value rows, Value columns, function_ref<UnitEmitter::Index(Value)> indexOf) {
  e.forEach(e.i64(0), rows, 1, [&](Value i) {
    Value base = e.mul(i, e.i64(width));
    UnitEmitter::Index first = indexOf(i);
    Value linear = e.linearize(first, graph::getDims(result));
    e.forEachParallel(e.i64(0), columns, [&](Value j) {
      keepForVectors(getLoop(j));
      UnitEmitter::Index index(first);
      index.back() = e.add(first.back(), j);
      e.overrideElement(result, [&](ArrayRef<Value>) { return e.load(e.b.getF32Type(), tile, e.add(base, j)); });
      storeResults(e, index, e.add(linear, j));
      e.clearOverrides();
    });
  });
}

bool hasAliasedRows(int64_t length, const TargetInfo &target) { return length && length * 4 % kAliasedBytes == 0 && getTileRows(target) > kWays; }

void copyRowsApart(UnitEmitter &e, Value to, Value from, Value count, Value length) {
  Type f32 = e.b.getF32Type();
  e.forEach(e.i64(0), count, 1, [&](Value row) {
    Value source = e.mul(row, length), target = e.mul(row, e.add(length, e.i64(kApart)));
    e.forEachParallel(e.i64(0), length, [&](Value k) { e.store(f32, to, e.add(target, k), e.load(f32, from, e.add(source, k))); });
  });
}

/// Full tiles, then the rest; a small rest shares its rows with the tile before it, since a tile of few rows has too few chains to hide their latency.
static void forKnownTiles(UnitEmitter &e, int64_t most, int64_t rows, function_ref<void(Value, int64_t)> tile) {
  int64_t rest = rows % most, full = rows - rest, shared = 0;
  if (rest && rest * 2 < most && full)
    shared = (most + rest + 1) / 2, full -= most, rest = most + rest - shared;
  if (full)
    e.forEach(e.i64(0), e.i64(full), most, [&](Value first) { tile(first, most); });
  if (shared)
    tile(e.i64(full), shared);
  if (rest)
    tile(e.i64(full + shared), rest);
}

void forRowTiles(UnitEmitter &e, int64_t most, Value rows, function_ref<void(Value, int64_t)> tile) {
  Value full = e.mul(e.floorDiv(rows, e.i64(most)), e.i64(most));
  std::optional<int64_t> known;
  if (auto constant = rows.getDefiningOp<arith::ConstantOp>())
    known = cast<IntegerAttr>(constant.getValue()).getInt();
  if (known)
    return forKnownTiles(e, most, *known, tile);
  e.forEach(e.i64(0), full, most, [&](Value first) { tile(first, most); });
  Value first = full;
  for (int64_t size = 8; size >= 1; size /= 2) {
    if (size >= most)
      continue;
    Value fits = e.compare("sge", e.sub(rows, first), e.i64(size));
    e.ifThen(fits, [&] { tile(first, size); });
    first = arith::SelectOp::create(e.b, fits, e.add(first, e.i64(size)), first);
  }
}

} // namespace onager
