// Walks an ONNX graph and builds graph operations, inferring shapes on the way.
//
// Every value has a tensor type with known rank; its dims are expressions of symbols. Small integer tensors also carry their contents as
// such expressions (`contents`), so that shape arithmetic in the model (Shape, Gather, Concat, Mul ...) never becomes code. Where an
// operation needs the contents of a tensor that is only known while running, `bind` makes symbols of its elements.
//
// Import functions throw Refusal; the walk catches it per node and goes on, so that all refused nodes are reported at once. Nothing throws out of importOnnx.
#ifndef ONAGER_IMPORT_ONNXTOGRAPH_IMPORTER_H
#define ONAGER_IMPORT_ONNXTOGRAPH_IMPORTER_H

#include "dialects/Graph/IR/Graph.h"
#include "dialects/Graph/IR/Shapes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "onager/Import.h"
#include <functional>
#include <onnx/onnx_pb.h>
#include <optional>
#include <set>

namespace onager::import {

using graph::Dims;
using mlir::AffineExpr;
using mlir::ArrayRef;
using mlir::Value;

/// Why a node cannot be imported.
struct Refusal {
  std::string reason;
};
[[noreturn]] void refuse(const std::string &reason);

/// Names of the values that a graph's nodes see; lookups go on in the parent.
struct Scope {
  const Scope *parent = nullptr;
  std::map<std::string, Value> values;
  std::map<std::string, std::string> reasons; ///< names that could not be imported
  Value find(const std::string &name) const;
};

class Importer;

/// A node being imported: its operands, attributes and the version of its operator.
class Node {
public:
  Node(Importer &importer, const onnx::NodeProto &proto, const Scope &scope, int version);
  Importer &importer;
  const onnx::NodeProto &proto;
  const Scope &scope;
  int version;
  llvm::SmallVector<Value> inputs;  ///< null where left out
  llvm::SmallVector<Value> outputs; ///< filled by the import function

  /// Operand `k`; refuses where it is missing.
  Value in(size_t k) const;
  bool has(size_t k) const { return k < inputs.size() && inputs[k]; }
  void out(Value value) { outputs.push_back(value); }
  bool wants(size_t k) const { return k < static_cast<size_t>(proto.output_size()) && !proto.output(k).empty(); }

  const onnx::AttributeProto *attribute(const std::string &name) const;
  int64_t integer(const std::string &name, int64_t otherwise) const;
  double real(const std::string &name, double otherwise) const;
  std::string text(const std::string &name, const std::string &otherwise) const;
  std::optional<llvm::SmallVector<int64_t>> integers(const std::string &name) const;
  llvm::SmallVector<double> reals(const std::string &name) const;
  llvm::SmallVector<std::string> texts(const std::string &name) const;
};

using ImportFn = void (*)(Node &);

/// Which operators exist: (domain, name) to a function for all versions.
const std::map<std::pair<std::string, std::string>, ImportFn> &getTable();
void registerElementwise(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerMovement(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerIndexing(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerReduction(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerContraction(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerWindow(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerNormalization(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerRecurrent(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerQuantization(std::map<std::pair<std::string, std::string>, ImportFn> &table);
void registerControl(std::map<std::pair<std::string, std::string>, ImportFn> &table);

class Importer {
public:
  Importer(mlir::MLIRContext &context, const std::string &folder);

  mlir::ImplicitLocOpBuilder b;
  std::vector<std::string> symbols; ///< names, by number
  std::map<std::string, int64_t> opsets;
  std::vector<std::string> errors;
  std::vector<std::shared_ptr<void>> kept; ///< mapped files that constants refer to

  // ---- walking ----
  mlir::OwningOpRef<mlir::ModuleOp> importModel(const onnx::ModelProto &model, const ImportOptions &options);
  void importNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, Scope &scope);
  void importInitializers(const onnx::GraphProto &graph, Scope &scope);
  llvm::SmallVector<Value> inlineFunction(Node &node, const onnx::FunctionProto &function);

  // ---- types ----
  mlir::Type elementType(int64_t dataType);
  static mlir::Type elementOf(Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()).getElementType(); }
  static int64_t rankOf(Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()).getRank(); }
  mlir::RankedTensorType tensorOf(const onnx::TypeProto &type, std::map<std::string, AffineExpr> &names);
  AffineExpr parseDim(const std::string &text, std::map<std::string, AffineExpr> &names);
  onnx::TypeProto typeProtoOf(Value value);

  // ---- symbols and contents ----
  AffineExpr c(int64_t value) { return b.getAffineConstantExpr(value); }
  AffineExpr newSymbol(const std::string &name = "");
  AffineExpr define(graph::DefineKind kind, ArrayRef<AffineExpr> exprs);
  AffineExpr maxOf(AffineExpr x, AffineExpr y);
  AffineExpr minOf(AffineExpr x, AffineExpr y);
  /// Returns the elements of an integer or bool tensor where they are known.
  std::optional<Dims> contents(Value value);
  /// Returns them, binding symbols at run time where they are not.
  Dims contentsOrBind(Value value);
  /// Returns them as numbers; refuses where they are not constant.
  llvm::SmallVector<int64_t> constants(Value value, const std::string &what);
  /// Makes a tensor of known contents.
  Value makeTensor(ArrayRef<AffineExpr> elements, ArrayRef<int64_t> shape, mlir::Type element);
  /// Contents of a node's single result by arithmetic on its operands' contents; nothing where the operator is none of shape arithmetic.
  std::optional<Dims> foldContents(Node &node, llvm::SmallVector<int64_t> &shape, mlir::Type &element);
  /// Checks at run time that two dims are equal, unless they are known to be.
  void requireEqual(AffineExpr x, AffineExpr y, const std::string &what);
  AffineExpr broadcastDim(AffineExpr x, AffineExpr y);
  Dims broadcastDims(ArrayRef<Dims> shapes);

  // ---- building ----
  mlir::RankedTensorType tensor(ArrayRef<AffineExpr> dims, mlir::Type element) { return graph::makeTensor(dims, element); }
  Value scalar(mlir::Type element, double value);
  Value constant(const onnx::TensorProto &proto);
  Value reshape(Value x, ArrayRef<AffineExpr> dims);
  Value cast(Value x, mlir::Type element, bool saturate = true);
  Value transpose(Value x, ArrayRef<int64_t> perm);
  Value broadcastTo(Value x, ArrayRef<AffineExpr> dims);
  Value slice(Value x, int64_t axis, AffineExpr start, AffineExpr size, int64_t step = 1);
  Value concat(ArrayRef<Value> parts, int64_t axis);
  Value matmul(Value x, Value y, mlir::Type element = {});
  Value reduce(Value x, graph::ReduceKind kind, ArrayRef<int64_t> axes);
  /// A reduction result without the reduced dims.
  Value squeeze(Value x, ArrayRef<int64_t> axes);
  template <typename Op>
  Value unary(Value x) {
    return Op::create(b, x.getType(), x);
  }
  template <typename Op>
  Value binary(Value x, Value y, mlir::Type element = {}) {
    Dims dims = broadcastDims({graph::getDims(x), graph::getDims(y)});
    return Op::create(b, tensor(dims, element ? element : elementOf(x)), x, y);
  }
  Value add(Value x, Value y) { return binary<graph::AddOp>(x, y); }
  Value sub(Value x, Value y) { return binary<graph::SubOp>(x, y); }
  Value mul(Value x, Value y) { return binary<graph::MulOp>(x, y); }
  Value div(Value x, Value y) { return binary<graph::DivOp>(x, y); }
  Value select(Value condition, Value x, Value y);
  int64_t axisOf(int64_t axis, int64_t rank);

private:
  void importNode(const onnx::NodeProto &proto, Scope &scope);
  void importOperator(Node &node);
  bool resolveFunction(Node &node);
  int versionOf(const std::string &domain, const std::string &op);

  std::string folder;
  std::map<std::pair<std::string, std::string>, const onnx::FunctionProto *> functions;
  llvm::DenseMap<Value, Dims> known;
  int depth = 0;
};

} // namespace onager::import

#endif
