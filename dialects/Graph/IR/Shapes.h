// Shapes of `graph` tensors as expressions of symbols, and the bytes of constants.
//
// A dim is an mlir::AffineExpr over symbols only: a constant, a symbol `s3`, or a sum, product, floordiv, ceildiv or mod of such (products
// and quotients of symbols are allowed: the expressions are semi-affine). All expressions of one function share one numbering.
#ifndef ONAGER_DIALECTS_GRAPH_IR_SHAPES_H
#define ONAGER_DIALECTS_GRAPH_IR_SHAPES_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include <optional>

namespace onager::graph {

using Dims = llvm::SmallVector<mlir::AffineExpr, 6>;

/// Returns one expression per dim of a tensor type.
Dims getDims(mlir::Type type);
/// Returns one expression per dim of a tensor value.
Dims getDims(mlir::Value value);
/// Makes the tensor type with these dims; the encoding is left out where all are constants.
mlir::RankedTensorType makeTensor(mlir::ArrayRef<mlir::AffineExpr> dims, mlir::Type element);
/// Wraps expressions into an attribute `affine_map<()[s0, ...] -> (exprs)>` with as many symbols as they use.
mlir::AffineMapAttr makeExprs(mlir::MLIRContext *context, mlir::ArrayRef<mlir::AffineExpr> exprs);
/// Returns the product of the dims.
mlir::AffineExpr getNumElements(mlir::MLIRContext *context, mlir::ArrayRef<mlir::AffineExpr> dims);
/// Returns the value of a constant expression.
std::optional<int64_t> getConstant(mlir::AffineExpr expr);
/// True where the expression is the constant `value`.
bool isConstant(mlir::AffineExpr expr, int64_t value);
/// Calls `use` with the number of each symbol in the expression.
void forEachSymbol(mlir::AffineExpr expr, llvm::function_ref<void(unsigned)> use);
/// True where the expression is never negative if all symbols are not.
bool isNonNegative(mlir::AffineExpr expr);

/// Bytes that one element takes in a buffer: bool and 2- and 4-bit types take one.
unsigned getElementBytes(mlir::Type element);

/// The elements of a constant as the artifact lays them out: row-major, getElementBytes each.
/// `storage` keeps them where the attribute is a `dense` one; a resource's blob is referred to without a copy. Empty where they are elsewhere: see hasBytes.
llvm::ArrayRef<char> getConstantBytes(mlir::ElementsAttr value, llvm::SmallVectorImpl<char> &storage);
/// False for a resource whose bytes are not in this process: a variant is made without the weights of its model.
bool hasBytes(mlir::ElementsAttr value);
/// Makes a constant attribute that owns a copy of the bytes. Its name is that of their contents.
mlir::ElementsAttr makeConstant(mlir::RankedTensorType type, llvm::ArrayRef<char> bytes, llvm::StringRef name = "c");
/// Makes a constant attribute over memory that outlives the context (a mapped model file).
mlir::ElementsAttr makeMappedConstant(mlir::RankedTensorType type, llvm::ArrayRef<char> bytes, llvm::StringRef name = "w");
/// Returns the constant behind a value, if it is defined by graph.constant.
mlir::ElementsAttr getConstantValue(mlir::Value value);
/// True for a constant of f32 that bf16 holds as well: the lower halves of its elements are 0. False where its bytes are not in this process.
bool isBf16Constant(mlir::Value value);
/// Reads element `index` of an integer or bool constant's bytes.
int64_t readInteger(mlir::Type element, llvm::ArrayRef<char> bytes, int64_t index);
/// Reads element `index` of a constant's bytes as a double; floats of 16 bits and more, integers and bool.
double readNumber(mlir::Type element, llvm::ArrayRef<char> bytes, int64_t index);

} // namespace onager::graph

#endif
