// Builds `graph` operations with inferred shapes while a model is imported.
//
// Every function takes and gives values; the first failure is kept (`fail`) and from then on null values flow through, so that an
// import function reads as the formula it stands for and checks once at its end. Operations on small integer tensors whose contents are known are
// evaluated at once (Fold.cpp): contents are expressions of the symbols, so that shape arithmetic in the model never reaches the graph.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_EMITTER_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_EMITTER_H

#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "lib/Import/OnnxToGraph/Symbols.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>
#include <string>
#include <vector>

namespace onager::frontend {

using graph::Dims;
using Exprs = llvm::SmallVector<mlir::AffineExpr, 6>;
using Ints = llvm::SmallVector<int64_t, 6>;
using Values = llvm::SmallVector<mlir::Value, 6>;

/// Contents of tensors are known up to this number of elements.
inline constexpr int64_t kMaxContents = 1024;
/// A tensor with more elements (as far as they are known) is refused.
inline constexpr int64_t kMaxElements = int64_t(1) << 46;

class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, Symbols &symbols)
      : builder(builder), symbols(symbols), location(builder.getUnknownLoc()), scopes(1) {}

  mlir::OpBuilder &builder;
  Symbols &symbols;
  mlir::Location location;
  /// Names the node in messages of graph.require.
  std::string nodeName;
  /// Iteration numbers of the loops around, outermost first: random numbers differ from one iteration to the next.
  llvm::SmallVector<mlir::Value> iterations;
  /// Draws of random numbers so far: those of one node differ.
  uint64_t draws = 0;

  // Failure
  mlir::Value fail(const llvm::Twine &reason);
  bool hasFailed() const { return !reason.empty(); }
  std::string takeReason();

  // Facts about values
  mlir::MLIRContext *context() const { return builder.getContext(); }
  static mlir::Type elementOf(mlir::Value value);
  static int64_t rankOf(mlir::Value value);
  static Dims dimsOf(mlir::Value value);
  static bool isFloat(mlir::Value value) { return mlir::isa<mlir::FloatType>(elementOf(value)); }
  /// Returns the axis counted from 0, or fails.
  int64_t axisOf(int64_t axis, int64_t rank);
  /// Returns distinct axes counted from 0, sorted.
  Ints axesOf(llvm::ArrayRef<int64_t> axes, int64_t rank);

  // Types
  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Type i64() { return builder.getI64Type(); }
  mlir::Type i32() { return builder.getI32Type(); }
  mlir::Type i1() { return builder.getI1Type(); }

  // Expressions
  mlir::AffineExpr number(int64_t value) const { return mlir::getAffineConstantExpr(value, context()); }
  Dims numbers(llvm::ArrayRef<int64_t> values) const;
  mlir::AffineExpr maxOf(mlir::AffineExpr a, mlir::AffineExpr b);
  mlir::AffineExpr minOf(mlir::AffineExpr a, mlir::AffineExpr b);
  /// A number that the model gives as a size or count: an error, now or while running, where it is negative.
  mlir::AffineExpr sizeOf(mlir::AffineExpr value, const llvm::Twine &what);
  mlir::AffineExpr truncDiv(mlir::AffineExpr a, mlir::AffineExpr b);
  /// c where a equals b, else d.
  mlir::AffineExpr selectEqual(mlir::AffineExpr a, mlir::AffineExpr b, mlir::AffineExpr c, mlir::AffineExpr d);
  /// The extent of two dims broadcast against each other.
  mlir::AffineExpr broadcastDim(mlir::AffineExpr a, mlir::AffineExpr b);
  Dims broadcastDims(llvm::ArrayRef<mlir::AffineExpr> a, llvm::ArrayRef<mlir::AffineExpr> b);
  /// States that two extents are equal and returns the simpler one; fails where they are different constants.
  mlir::AffineExpr unify(mlir::AffineExpr a, mlir::AffineExpr b, const llvm::Twine &what);
  /// States that an extent is no smaller than a number.
  void requireAtLeast(mlir::AffineExpr extent, mlir::AffineExpr least, const llvm::Twine &what);
  /// Fails where two values differ in element type; false then, or where one is absent.
  bool checkBinary(mlir::Value a, mlir::Value b);
  /// States that two expressions are equal; a run that breaks it stops with a message about `what`.
  void require(mlir::AffineExpr a, mlir::AffineExpr b, const llvm::Twine &what);
  mlir::AffineExpr define(graph::DefineKind kind, llvm::ArrayRef<mlir::AffineExpr> exprs, bool isNonNegative);
  static mlir::AffineExpr product(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::MLIRContext *context);

  // Contents
  /// Returns the elements of a small integer tensor where they are known.
  std::optional<Exprs> contents(mlir::Value value);
  /// Returns the elements as numbers where all are known.
  std::optional<Ints> constants(mlir::Value value);
  /// Returns the elements of a small float or integer constant.
  std::optional<std::vector<double>> constantNumbers(mlir::Value value);
  /// Returns the elements, binding symbols to them at run time where they are not known; fails where their number is not known.
  Exprs contentsOrBind(mlir::Value value);
  /// States that a vector has `count` elements where their number is not known; returns it with that number.
  mlir::Value ofLength(mlir::Value list, int64_t count, const llvm::Twine &what);
  mlir::Value indexTensor(llvm::ArrayRef<mlir::AffineExpr> exprs, llvm::ArrayRef<int64_t> shape, mlir::Type element);
  /// A 1-D i64 tensor of expressions.
  mlir::Value indexVector(llvm::ArrayRef<mlir::AffineExpr> exprs);

  // Constants
  mlir::Value constant(mlir::ElementsAttr value);
  mlir::Value scalar(double value, mlir::Type element);
  mlir::Value integerScalar(int64_t value, mlir::Type element);
  /// 0, false or the empty string.
  mlir::Value zero(mlir::Type element);
  /// A vector of strings.
  mlir::Value strings(llvm::ArrayRef<std::string> values);
  /// A constant tensor from numbers, rounded to the element type.
  mlir::Value tensor(llvm::ArrayRef<double> values, llvm::ArrayRef<int64_t> shape, mlir::Type element);
  mlir::Value ints(llvm::ArrayRef<int64_t> values);
  /// A tensor that holds one scalar everywhere.
  mlir::Value splat(mlir::Value scalar, llvm::ArrayRef<mlir::AffineExpr> dims);
  /// The lowest and highest value of an element type, as scalars.
  mlir::Value lowest(mlir::Type element);
  mlir::Value highest(mlir::Type element);

  // Elementwise
  template <typename Op> mlir::Value unary(mlir::Value x, mlir::Type element = {}) {
    if (!x)
      return {};
    return make<Op>(dimsOf(x), element ? element : elementOf(x), x);
  }
  template <typename Op> mlir::Value binary(mlir::Value a, mlir::Value b, mlir::Type element = {}) {
    if (!checkBinary(a, b))
      return {};
    Dims dims = broadcastDims(dimsOf(a), dimsOf(b));
    return make<Op>(dims, element ? element : elementOf(a), a, b);
  }
  template <typename Op> mlir::Value compare(mlir::Value a, mlir::Value b) { return binary<Op>(a, b, i1()); }
  mlir::Value add(mlir::Value a, mlir::Value b) { return binary<graph::AddOp>(a, b); }
  mlir::Value sub(mlir::Value a, mlir::Value b) { return binary<graph::SubOp>(a, b); }
  mlir::Value mul(mlir::Value a, mlir::Value b) { return binary<graph::MulOp>(a, b); }
  mlir::Value div(mlir::Value a, mlir::Value b) { return binary<graph::DivOp>(a, b); }
  mlir::Value minimum(mlir::Value a, mlir::Value b) { return binary<graph::MinOp>(a, b); }
  mlir::Value maximum(mlir::Value a, mlir::Value b) { return binary<graph::MaxOp>(a, b); }
  /// The same with a number as the second operand, in x's element type.
  mlir::Value addNumber(mlir::Value x, double value) { return x ? add(x, scalar(value, elementOf(x))) : x; }
  mlir::Value mulNumber(mlir::Value x, double value) { return x ? mul(x, scalar(value, elementOf(x))) : x; }
  mlir::Value divNumber(mlir::Value x, double value) { return x ? div(x, scalar(value, elementOf(x))) : x; }
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value cast(mlir::Value x, mlir::Type element, bool saturate = true);
  mlir::Value mod(mlir::Value a, mlir::Value b, bool fmod);

  // Data movement
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> dims);
  mlir::Value flatten(mlir::Value x);
  mlir::Value squeeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  mlir::Value unsqueeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  /// Repeats x along extents of 1; states equality elsewhere.
  mlir::Value broadcast(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> dims);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> perm);
  /// Swaps the last two dims.
  mlir::Value transposeLast(mlir::Value x);
  mlir::Value slice(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> starts, llvm::ArrayRef<int64_t> steps, llvm::ArrayRef<mlir::AffineExpr> dims);
  /// `count` elements from `start` along one axis.
  mlir::Value sliceAxis(mlir::Value x, int64_t axis, mlir::AffineExpr start, mlir::AffineExpr count);
  mlir::Value sliceAxis(mlir::Value x, int64_t axis, int64_t start, int64_t count) { return sliceAxis(x, axis, number(start), number(count)); }
  mlir::Value reverse(mlir::Value x, int64_t axis);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t axis);
  mlir::Value pad(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> low, llvm::ArrayRef<mlir::AffineExpr> high, mlir::Value value,
                  graph::PadMode mode = graph::PadMode::constant);
  mlir::Value tile(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> repeats);
  mlir::Value iota(llvm::ArrayRef<mlir::AffineExpr> dims, int64_t axis, mlir::Value start, mlir::Value delta);
  /// 0, 1, 2 ... along an axis.
  mlir::Value iota(llvm::ArrayRef<mlir::AffineExpr> dims, int64_t axis, mlir::Type element);
  mlir::Value gather(mlir::Value x, mlir::Value indices, int64_t axis);
  mlir::Value gatherElements(mlir::Value x, mlir::Value indices, int64_t axis);
  mlir::Value scatterElements(mlir::Value x, mlir::Value indices, mlir::Value updates, int64_t axis, graph::ScatterKind kind);

  // Reductions and contractions
  mlir::Value reduce(graph::ReduceKind kind, mlir::Value x, llvm::ArrayRef<int64_t> axes, bool keepDims = true);
  mlir::Value argReduce(mlir::Value x, bool isMax, int64_t axis, bool keepDims, bool last);
  mlir::Value softmax(mlir::Value x, int64_t axis, bool log = false);
  mlir::Value normalizeOver(mlir::Value x, llvm::ArrayRef<int64_t> axes, double epsilon, bool rms);
  /// Matrix product; operands of rank 1 as in NumPy.
  mlir::Value matmul(mlir::Value a, mlir::Value b, mlir::Type element = {});
  mlir::Value call(llvm::StringRef kernel, llvm::ArrayRef<mlir::Value> inputs, llvm::ArrayRef<int64_t> params, llvm::ArrayRef<mlir::AffineExpr> dims,
                   mlir::Type element);
  /// A library kernel with several results; null where something failed.
  graph::CallOp callMany(llvm::StringRef kernel, llvm::ArrayRef<mlir::Value> inputs, llvm::ArrayRef<int64_t> params,
                         llvm::ArrayRef<mlir::Type> results, llvm::ArrayRef<mlir::AffineExpr> symbols = {},
                         llvm::ArrayRef<mlir::AffineExpr> capacity = {});

  /// Checks the size and makes the tensor type; null where it is refused.
  mlir::RankedTensorType tensorType(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::Type element);
  /// Creates an operation with one result, evaluated at once where its operands' contents are known.
  template <typename Op, typename... Args>
  mlir::Value make(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::Type element, Args &&...args) {
    if (hasFailed())
      return {};
    mlir::RankedTensorType type = tensorType(dims, element);
    if (!type)
      return {};
    return finish(Op::create(builder, location, type, std::forward<Args>(args)...).getOperation());
  }
  mlir::AffineMap exprs(llvm::ArrayRef<mlir::AffineExpr> list) const { return graph::makeExprs(context(), list).getValue(); }

  /// Symbols defined from here on are forgotten at the matching leaveRegion.
  void enterRegion() { scopes.emplace_back(); }
  void leaveRegion() { scopes.pop_back(); }

private:
  struct RegionScope {
    llvm::DenseMap<std::pair<unsigned, mlir::Attribute>, mlir::AffineExpr> defined;
    llvm::DenseMap<mlir::Value, unsigned> bound;
    llvm::DenseSet<std::pair<mlir::AffineExpr, mlir::AffineExpr>> required;
  };

  void unifyWithin(mlir::Value indices, mlir::Value x, int64_t axis);
  /// True where `whole` broadcast against `part` is `whole`, for every value of the symbols that broadcasts at all.
  bool absorbs(mlir::AffineExpr whole, mlir::AffineExpr part) const;
  /// Replaces the operation by its value where that is known.
  mlir::Value finish(mlir::Operation *op);

  std::string reason;
  std::vector<RegionScope> scopes;
  llvm::DenseMap<mlir::AffineExpr, std::pair<graph::DefineKind, Dims>> definitions; ///< of symbols, what define was told
};

/// Returns the elements of the operation's only result where they follow from the operands' contents.
std::optional<Exprs> foldContents(Emitter &emitter, mlir::Operation *op);
/// Returns the integers that a cast of floats gives, where the floats stem from constants or integer expressions.
std::optional<Exprs> foldFloatToInteger(Emitter &emitter, graph::CastOp cast);
/// Returns the elements of a small float result computed from constants.
std::optional<std::vector<double>> foldNumbers(Emitter &emitter, mlir::Operation *op);
/// Wraps an integer to what the type holds.
int64_t wrapInteger(int64_t value, mlir::Type element);

} // namespace onager::frontend

#endif
