// Emits one launch unit as a function of scalar loops over memory.
//
// Every tensor of a unit is a function from an index tuple to an element: `element(value, index)` emits the code that
// computes one element where it is needed ("pull"). A unit argument loads from its buffer; an operation asks its operands for
// the elements that it needs; so a chain of operations becomes one loop body, and a contraction or reduction without an emitter
// of its own becomes an inner loop. Heroes (gemm, conv, reductions ...) drive the loops and pull their prologue; their epilogue
// pulls the hero's result, which `override` binds to where the hero left it.
//
//   relu(add(x, b))   ->   for i { store(max(load(x, i) + load(b, i), 0)) }
//
// Values of element type f16, bf16 and 8- and 4-bit floats are moved as bits, where nothing else happens to them, and computed in f32, f32 in f32, or all floats in f64 where `exact`
// is set (-O0); integers in their own width, signless; bool in i1. Indices and extents are i64.
// The LLVM loop vectoriser makes vector code of the innermost loops: they carry no aliasing stores (parallel access groups).
#ifndef ONAGER_CONVERSION_KERNELTOVECTOR_UNITEMITTER_H
#define ONAGER_CONVERSION_KERNELTOVECTOR_UNITEMITTER_H

#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"
#include <functional>
#include <map>
#include <vector>

namespace onager {

/// What the emitters know about the machine that the code is for.
struct TargetInfo {
  unsigned vectorBytes = 64;    ///< width of a vector register
  unsigned vectorRegisters = 32;
  bool hasNativeBF16 = false;   ///< bf16 dot products
  int64_t l1Bytes = 32 << 10;
  int64_t l2Bytes = 1 << 20;
  int64_t l3Bytes = 32 << 20; ///< of the last level, which cores share
};

struct EmitOptions {
  TargetInfo target;
  bool exact = false; ///< -O0: floats accumulate in f64, no heroes
};

class UnitEmitter {
public:
  using Index = llvm::SmallVector<mlir::Value, 6>;

  /// Opens the function: its entry block, arguments and the variable that holds the share's status.
  UnitEmitter(kernel::UnitOp unit, mlir::func::FuncOp function, const EmitOptions &options);
  /// Closes it: returns the status.
  void finish();

  mlir::ImplicitLocOpBuilder b;
  kernel::UnitOp unit;
  mlir::func::FuncOp function;
  const EmitOptions &options;

  // ---- function arguments -------------------------------------------------------------------------------------------
  mlir::Value run;   ///< ptr: onager_run
  mlir::Value args;  ///< ptr: array of pointers: symbols (i64*), buffers of the unit's arguments, then of its results, then scratch
  mlir::Value begin; ///< i64: first work item of this share
  mlir::Value end;   ///< i64: one behind the last
  /// Returns the base pointer of a tensor that is a unit's argument or yielded, or of yielded result `number`.
  mlir::Value getBuffer(mlir::Value tensor);
  mlir::Value getResultBuffer(unsigned number);
  mlir::Value getScratch();

  // ---- shapes -------------------------------------------------------------------------------------------------------
  /// Emits (once, at the function's entry) the value of an expression of symbols.
  mlir::Value extent(mlir::AffineExpr expr);
  /// Emits the extents of a tensor.
  Index extents(mlir::Value tensor);

  // ---- elements -----------------------------------------------------------------------------------------------------
  /// Returns the type that elements of this storage type are computed in.
  mlir::Type computeType(mlir::Type element) const;
  /// Emits one element of a tensor of the unit, in its compute type.
  mlir::Value element(mlir::Value tensor, llvm::ArrayRef<mlir::Value> index);
  /// Emits one integer element, sign- or zero-extended to i64 (for index tensors).
  mlir::Value indexElement(mlir::Value tensor, llvm::ArrayRef<mlir::Value> index);
  /// Maps an index of `result` to an index of `operand`, which broadcasts to it.
  Index broadcastIndex(mlir::Value operand, llvm::ArrayRef<mlir::AffineExpr> resultDims, llvm::ArrayRef<mlir::Value> index);
  /// Emits `body` for extents of `dims` that are known not to be 1 while it runs: what broadcasts along any other of unknown size has a stride that is not a number.
  void withoutBroadcast(llvm::ArrayRef<mlir::AffineExpr> dims, llvm::function_ref<void()> body);
  using ElementFn = std::function<mlir::Value(llvm::ArrayRef<mlir::Value>)>;
  /// Makes `element(tensor, i)` call `fn` from now on: where a hero keeps its result.
  void overrideElement(mlir::Value tensor, ElementFn fn);
  /// Ends them; elements that were computed from them are not reused.
  void clearOverrides();

  // ---- memory -------------------------------------------------------------------------------------------------------
  /// Row-major linear index.
  mlir::Value linearize(llvm::ArrayRef<mlir::Value> index, llvm::ArrayRef<mlir::AffineExpr> dims);
  /// Splits a linear index by the extents of `dims`.
  Index delinearize(mlir::Value linear, llvm::ArrayRef<mlir::AffineExpr> dims);
  /// Loads element `linear` of a buffer of `storage` elements and converts it to the compute type.
  /// `invariant` promises that nobody writes the element while the unit runs (true for its arguments).
  mlir::Value load(mlir::Type storage, mlir::Value base, mlir::Value linear, bool invariant = false);
  /// Converts from compute type and stores.
  void store(mlir::Type storage, mlir::Value base, mlir::Value linear, mlir::Value value);
  /// Address of element `linear` of `storage` elements.
  mlir::Value address(mlir::Type storage, mlir::Value base, mlir::Value linear);
  /// Stack memory for `count` elements, allocated at the function's entry, 64-byte aligned.
  mlir::Value stackBuffer(mlir::Type type, int64_t count);

  // ---- control ------------------------------------------------------------------------------------------------------
  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value iv, mlir::ValueRange carried)>;
  /// Emits `for iv in [from, to) step` with carried values. Elements computed inside are not reused outside.
  /// `parallel` declares that iterations do not depend on each other through memory.
  llvm::SmallVector<mlir::Value> forLoop(mlir::Value from, mlir::Value to, int64_t step, mlir::ValueRange inits, LoopBody body, bool parallel = false);
  /// As forLoop without carried values.
  void forEach(mlir::Value from, mlir::Value to, int64_t step, llvm::function_ref<void(mlir::Value)> body);
  /// As forEach, declaring that iterations do not depend on each other through memory: LLVM may vectorise freely.
  void forEachParallel(mlir::Value from, mlir::Value to, llvm::function_ref<void(mlir::Value)> body);
  /// Emits `if (condition) value = then() else value = otherwise()`.
  mlir::Value select(mlir::Value condition, mlir::Type type, llvm::function_ref<mlir::Value()> then, llvm::function_ref<mlir::Value()> otherwise);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then);
  void ifElse(mlir::Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);
  /// Makes the share return `message`'s number where `condition` ever holds. Branch-free: work goes on, so indices must be clamped.
  void failIf(mlir::Value condition, llvm::StringRef message);
  /// Makes the share do none of its items, and return `message`'s number if it has any, where `extent` is 0 and `elements` are not.
  void refuseIfEmpty(mlir::AffineExpr extent, mlir::AffineExpr elements, llvm::StringRef message);

  // ---- scalars ------------------------------------------------------------------------------------------------------
  mlir::Value i64(int64_t value);
  mlir::Value constant(mlir::Type type, double value);   ///< float or integer constant of a compute type, or a vector of it
  mlir::Value add(mlir::Value a, mlir::Value b);         ///< i64, folds constants
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value floorDiv(mlir::Value a, mlir::Value b);    ///< a, b non-negative
  mlir::Value rem(mlir::Value a, mlir::Value b);         ///< a, b non-negative
  mlir::Value minSigned(mlir::Value a, mlir::Value b);
  mlir::Value maxSigned(mlir::Value a, mlir::Value b);
  mlir::Value clamp(mlir::Value a, mlir::Value low, mlir::Value high);
  mlir::Value compare(llvm::StringRef predicate, mlir::Value a, mlir::Value b); ///< "eq", "ne", "slt", "sle", "sgt", "sge", "ult" on i64
  /// A unary math function of the host (double) or its polynomial (f32), by math dialect name ("exp", "tanh", ...).
  mlir::Value math(llvm::StringRef name, mlir::Value x);
  /// A binary one: "pow", "atan2", "fmod".
  mlir::Value math2(llvm::StringRef name, mlir::Value x, mlir::Value y);

  /// Messages of failIf in this module, by number.
  llvm::SmallVectorImpl<std::string> *errors = nullptr;

private:
  mlir::Value emitElement(mlir::Value tensor, llvm::ArrayRef<mlir::Value> index);
  mlir::Value getArgPointer(unsigned position);
  mlir::Value broadcastStride(mlir::AffineExpr dim);
  mlir::Value hostCall(bool binary, unsigned index, mlir::ValueRange operands);

  /// Elements computed so far, one table per open loop or branch (innermost last).
  llvm::SmallVector<std::map<std::pair<void *, std::vector<void *>>, mlir::Value>> memo;
  llvm::DenseMap<mlir::Value, ElementFn> overrides;
  llvm::DenseMap<mlir::AffineExpr, mlir::Value> extentCache;
  llvm::DenseMap<mlir::AffineExpr, mlir::Value> strideCache;
  std::map<int64_t, mlir::Value> constants;
  llvm::DenseMap<unsigned, mlir::Value> argCache;
  mlir::Operation *entryEnd = nullptr; ///< code at the function's entry goes before this
  mlir::Attribute accessGroup;         ///< of the innermost parallel loop
  mlir::Value symbols;
  mlir::Value status; ///< i32 on the stack: 0 or the number of the message of a refusal, from 1
  /// By the number of a message of failIf: i32 on the stack, 0 or that number. One each, since the vectoriser knows what ever becomes one number alone.
  std::map<int32_t, mlir::Value> failures;
  bool movesBits; ///< floats that are not f32 or f64 are integers of their size here
  int32_t numberMessage(llvm::StringRef message);
  void emitRefusals();
  llvm::SmallVector<std::tuple<mlir::AffineExpr, mlir::AffineExpr, int32_t>> refusals; ///< as refuseIfEmpty gets them, with the numbers of messages
  friend struct ScopeGuard;
};

/// Bytes of a line of the cache: what a store past the caches writes at a time.
constexpr int64_t kLineBytes = 64;
/// Whether an address is the first of a line.
mlir::Value beginsLine(UnitEmitter &e, mlir::Value address);
/// Ends stores past the caches: nothing else orders them.
void orderStoresPastCaches(UnitEmitter &e);

enum class CacheLevel { first, second };
/// Fetches the line of an address, which need not be readable, for reading.
void prefetch(mlir::ImplicitLocOpBuilder &b, mlir::Value address, CacheLevel level);

/// Emits one element of the result of `op`. The table in Elements.cpp names one function per operation.
using OpElementFn = mlir::Value (*)(UnitEmitter &, mlir::Operation *, unsigned result, llvm::ArrayRef<mlir::Value> index);
OpElementFn lookupElement(mlir::Operation *op);
/// Emits one element of a tile; `last`, where given, is the last index of its source.
mlir::Value emitTileElement(UnitEmitter &e, graph::TileOp tile, llvm::ArrayRef<mlir::Value> index, mlir::Value last);
/// Emits one element of a pad; `isLastInside`, where given, tells whether its last index lies inside of the source.
mlir::Value emitPadElement(UnitEmitter &e, graph::PadOp pad, llvm::ArrayRef<mlir::Value> index, std::optional<bool> isLastInside);
void registerElementwise(llvm::StringMap<OpElementFn> &table);
void registerActivations(llvm::StringMap<OpElementFn> &table);
void registerCasts(llvm::StringMap<OpElementFn> &table);
void registerMovement(llvm::StringMap<OpElementFn> &table);
void registerReductions(llvm::StringMap<OpElementFn> &table);
void registerContractions(llvm::StringMap<OpElementFn> &table);
void registerResize(llvm::StringMap<OpElementFn> &table);
void registerBlocks(llvm::StringMap<OpElementFn> &table);
void registerInt8(llvm::StringMap<OpElementFn> &table);

/// Emitters of heroes: fill the body of the unit's function. Each documents its work items.
void emitMap(UnitEmitter &e);
void emitConcat(UnitEmitter &e);
void emitRows(UnitEmitter &e); ///< softmax and normalize
void emitScan(UnitEmitter &e);
void emitArgReduce(UnitEmitter &e);
void emitCol2Im(UnitEmitter &e);
void emitScatter(UnitEmitter &e);
void emitRecurrent(UnitEmitter &e);
void emitGemm(UnitEmitter &e);
void emitMatmul(UnitEmitter &e);
void emitDotRows(UnitEmitter &e);
void emitBlockGemm(UnitEmitter &e);
void emitAttention(UnitEmitter &e);
void emitConv(UnitEmitter &e);
void emitWinograd(UnitEmitter &e);
void emitPackedConv(UnitEmitter &e);
void emitBf16x3Conv(UnitEmitter &e);
void emitSparsePack(UnitEmitter &e);
void emitSparseGemm(UnitEmitter &e);
void emitSparseConv(UnitEmitter &e);
void emitDepthwise(UnitEmitter &e);
void emitPointwiseDepthwise(UnitEmitter &e);
void emitPool(UnitEmitter &e);
void emitPoolIndices(UnitEmitter &e);
void emitResizeRows(UnitEmitter &e);
void emitInt8Conv(UnitEmitter &e);
void emitInt8Depthwise(UnitEmitter &e);
void emitInt8Gemm(UnitEmitter &e);
void emitAmxGemm(UnitEmitter &e);
/// Emits the function of a unit beside it, under its name.
void emitUnit(kernel::UnitOp unit, const EmitOptions &options, llvm::SmallVectorImpl<std::string> &errors);
/// Stores every yielded tensor of the unit, or those that `isStored` takes, at `index`, whose row-major position is `linear`.
void storeResults(UnitEmitter &e, llvm::ArrayRef<mlir::Value> index, mlir::Value linear, llvm::function_ref<bool(mlir::Value)> isStored = nullptr);

/// Emits a loop over the rows [first, last) of the index space `outer`, with the indices of each row.
void forRows(UnitEmitter &e, llvm::ArrayRef<mlir::AffineExpr> outer, mlir::Value first, mlir::Value last,
              llvm::function_ref<void(llvm::ArrayRef<mlir::Value> index, mlir::Value row)> body);

/// Bytes in front of scratch memory that marks what it holds.
inline constexpr int64_t kMarkBytes = 64;

/// How a unit's work is shared: the number of work items, and how many scalar operations one costs.
struct WorkInfo {
  mlir::AffineExpr items;
  mlir::AffineExpr operations; ///< of the whole unit
  mlir::AffineExpr scratchBytes; ///< per thread; constant 0 where none
  mlir::AffineExpr grain = {};   ///< items that prepare something together, which a share that begins between them prepares again; null: 1
  bool marksScratch = false;     ///< scratch begins with an i64 that tells what the rest holds; -1, nothing, when a launch begins
};
/// `items`, or 0 where each of them has no element: such a tensor may have any number of them.
mlir::AffineExpr whereAny(mlir::AffineExpr items, mlir::AffineExpr elements);
WorkInfo getWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getMapWork(kernel::UnitOp unit, bool exact);
WorkInfo getConcatWork(kernel::UnitOp unit);
WorkInfo getScatterWork(kernel::UnitOp unit);
WorkInfo getRecurrentWork(kernel::UnitOp unit);
WorkInfo getScanWork(kernel::UnitOp unit);
WorkInfo getArgReduceWork(kernel::UnitOp unit);
WorkInfo getCol2ImWork(kernel::UnitOp unit);
WorkInfo getRowWork(kernel::UnitOp unit);
WorkInfo getGemmWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getMatmulWork(kernel::UnitOp unit);
WorkInfo getDotRowsWork(kernel::UnitOp unit);
WorkInfo getBlockGemmWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getAttentionWork(kernel::UnitOp unit);
WorkInfo getConvWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getWinogradWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getPackedConvWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getBf16x3ConvWork(kernel::UnitOp unit);
WorkInfo getSparsePackWork(kernel::UnitOp unit);
WorkInfo getSparseGemmWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getSparseConvWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getDepthwiseWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getPointwiseDepthwiseWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getPoolWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getPoolIndicesWork(kernel::UnitOp unit);
WorkInfo getResizeRowsWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getInt8ConvWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getInt8DepthwiseWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getInt8GemmWork(kernel::UnitOp unit, const EmitOptions &options);
WorkInfo getAmxGemmWork(kernel::UnitOp unit);
/// Options for a machine with vector registers of this width.
EmitOptions makeEmitOptions(bool exact, unsigned vectorBytes);

/// Wraps a negative position, fails the run where it is outside of `extent`, and clamps it. Where nothing is inside, and `op` has results, its unit does
/// nothing: no position could be read.
mlir::Value checkedIndex(UnitEmitter &e, mlir::Operation *op, mlir::Value position, mlir::AffineExpr extent);
/// Makes a unit do nothing where a dim of `extent` is read for elements of op's result and has none; `what` ends the message behind the node's name.
void refuseEmptyDim(UnitEmitter &e, mlir::Operation *op, mlir::AffineExpr extent, llvm::StringRef what);
/// Converts a compute value of storage type `from` to the compute value of `to`, rounded to what `to` can hold.
mlir::Value convertElement(UnitEmitter &e, mlir::Value x, mlir::Type from, mlir::Type to, bool saturate);

/// sum + a * c, where the compute values a and c of storage types become the accumulator's, which is that of `result`.
mlir::Value multiplyAdd(UnitEmitter &e, mlir::Value sum, mlir::Value a, mlir::Type aType, mlir::Value c, mlir::Type cType, mlir::Type result);

/// Converts between storage and compute values of 8-bit and smaller floats and bf16 (SmallFloats.cpp).
mlir::Value decodeFloat(mlir::ImplicitLocOpBuilder &b, mlir::Value bits, mlir::FloatType storage, mlir::Type compute);
mlir::Value encodeFloat(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::FloatType storage, bool saturate);

} // namespace onager

#endif
