// Turns a parsed model into a module: scopes of names, walks over nodes, calls the import function of each operator.
//
//   Importer      one model: symbols, opsets, errors
//   Scope         one graph, subgraph or function body: names to values, attributes that a function was called with
//   Node          one ONNX node as its import function sees it
//   OperatorTable (domain, op, opset range) -> import function
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_IMPORTER_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_IMPORTER_H

#include "include/onager/Import.h"
#include "lib/Import/OnnxToGraph/Emitter.h"
#include "lib/Import/Reader/ModelFile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "onnx/onnx_pb.h"

namespace onager::frontend {

class Importer;
class Node;
struct Form;

/// What a name stands for. All but tensors are lists of parts (Values.h), so that the graph holds tensors alone:
///
///   absent     an optional that is known to be empty
///   tensor     `value`
///   sequence   `parts`: its elements; their number is known
///   ragged     `parts`: ranks [n], dims [sum of ranks] and data (flat) of a sequence whose length is found while running
///   optional   `parts`: a boolean that tells whether it is full, and what it holds then
///   map        `parts`: keys [n] and values [n]
///   maps       `parts`: keys [n] and values [rows, n] of a sequence of maps that share their keys
///   poisoned   the output of a node that failed
struct Datum {
  enum Kind { absent, tensor, sequence, ragged, optional, map, maps, poisoned } kind = absent;
  mlir::Value value;
  std::shared_ptr<std::vector<Datum>> parts;
  mlir::Type element; ///< of a sequence's tensors, where it is known
  int64_t rank = -1;  ///< of a ragged sequence's tensors, -1 where it is not known or differs
  Dims dims;          ///< that all of a ragged sequence's tensors have, each null where it is not known or differs; none where none is known

  static Datum of(mlir::Value value) { return {value ? tensor : poisoned, value, nullptr, {}, -1, {}}; }
  static Datum ofSequence(std::vector<Datum> list, mlir::Type element = {}) { return ofParts(sequence, std::move(list), element); }
  static Datum ofParts(Kind kind, std::vector<Datum> parts, mlir::Type element = {}, int64_t rank = -1) {
    return {kind, {}, std::make_shared<std::vector<Datum>>(std::move(parts)), element, rank, {}};
  }
  static Datum poison() { return {poisoned, {}, nullptr, {}, -1, {}}; }
  /// Returns the tensor that is part `index`.
  mlir::Value part(size_t index) const { return (*parts)[index].value; }
};

/// Operator sets and attribute values that hold inside one graph or function body.
struct FunctionFrame {
  llvm::StringMap<int64_t> opsets;
  llvm::StringMap<const onnx::AttributeProto *> attributes;
  bool isFunction = false;
  unsigned depth = 0;
};

/// Names of one graph; a subgraph sees its parent's.
struct Scope {
  Scope *parent = nullptr;
  const FunctionFrame *frame = nullptr;
  llvm::StringMap<Datum> values;
  // What is left of the graph while one of its nodes is imported, for a node that takes the rest into its branches.
  const google::protobuf::RepeatedPtrField<onnx::NodeProto> *nodes = nullptr;
  int next = 0;                     ///< number of the node behind the one that is imported
  std::vector<std::string> results; ///< names of what the graph gives
  unsigned splits = 0;              ///< nodes around that took the rest into their branches
  bool isPart = false;              ///< the nodes are some of the parent's
  Node *taker = nullptr;            ///< the node whose known branch the graph is: what is left of that node's graph comes behind it

  /// Returns the value of a name, or null where it is not defined.
  const Datum *find(llvm::StringRef name) const;
};

/// One ONNX node while it is imported.
class Node {
public:
  Node(Importer &importer, Emitter &e, const onnx::NodeProto &proto, Scope &scope, int64_t opset)
      : importer(importer), e(e), proto(proto), scope(scope), opset(opset) {}

  Importer &importer;
  Emitter &e;
  const onnx::NodeProto &proto;
  Scope &scope;
  int64_t opset;

  unsigned numInputs() const { return static_cast<unsigned>(inputs.size()); }
  unsigned numOutputs() const { return static_cast<unsigned>(proto.output_size()); }
  bool has(unsigned index) const { return index < inputs.size() && inputs[index].kind != Datum::absent; }
  bool wants(unsigned index) const { return index < numOutputs() && !proto.output(static_cast<int>(index)).empty(); }
  /// Returns an input tensor; fails where it is absent or no tensor.
  mlir::Value in(unsigned index);
  /// Returns an input tensor, or null where it is absent.
  mlir::Value opt(unsigned index) { return has(index) ? in(index) : mlir::Value(); }
  const Datum &datum(unsigned index) const { return inputs[index]; }
  /// Returns all inputs; fails where one is absent.
  Values ins();
  void set(unsigned index, mlir::Value value);
  void setDatum(unsigned index, Datum datum);

  /// Returns what an attribute stands for: itself, or what the function around the node was called with; null where it was called without.
  const onnx::AttributeProto *resolve(const onnx::AttributeProto &attribute) const;
  // Attributes; a wrong type fails.
  const onnx::AttributeProto *find(llvm::StringRef name, onnx::AttributeProto::AttributeType type);
  bool hasAttribute(llvm::StringRef name);
  int64_t getInt(llvm::StringRef name, int64_t otherwise);
  double getFloat(llvm::StringRef name, double otherwise);
  std::string getString(llvm::StringRef name, llvm::StringRef otherwise);
  std::optional<Ints> getInts(llvm::StringRef name);
  std::optional<std::vector<double>> getFloats(llvm::StringRef name);
  std::vector<std::string> getStrings(llvm::StringRef name);
  const onnx::TensorProto *getTensor(llvm::StringRef name);
  const onnx::GraphProto *getGraph(llvm::StringRef name);

  std::vector<Datum> inputs;
  std::vector<Datum> outputs;
  bool isLast = false; ///< the node took the rest of the graph with it; its outputs are defined inside
};

using ImportFunction = void (*)(Node &);

/// The import functions by domain, operator and first opset they hold for.
class OperatorTable {
public:
  /// Adds an operator of the default domain that is imported by `function` from opset `since` on.
  void add(llvm::StringRef op, ImportFunction function, int64_t since = 1) { addIn("", op, function, since); }
  void addIn(llvm::StringRef domain, llvm::StringRef op, ImportFunction function, int64_t since = 1);
  /// Returns the function with the greatest `since` up to the opset, or null.
  ImportFunction find(llvm::StringRef domain, llvm::StringRef op, int64_t opset) const;
  /// Calls back with domain, name and first opset of each entry, in no order.
  void forEach(llvm::function_ref<void(llvm::StringRef domain, llvm::StringRef op, int64_t since)> use) const;
  static const OperatorTable &get();

private:
  struct Entry {
    int64_t since;
    ImportFunction function;
  };
  llvm::StringMap<std::vector<Entry>> entries;
};

// One per family file.
void addElementwise(OperatorTable &table);
void addActivations(OperatorTable &table);
void addConstants(OperatorTable &table);
void addMovement(OperatorTable &table);
void addIndexing(OperatorTable &table);
void addSlicing(OperatorTable &table);
void addReductions(OperatorTable &table);
void addContractions(OperatorTable &table);
void addWindows(OperatorTable &table);
void addNormalizations(OperatorTable &table);
void addQuantization(OperatorTable &table);
void addRecurrent(OperatorTable &table);
void addControl(OperatorTable &table);
void addSequences(OperatorTable &table);
void addSorting(OperatorTable &table);
void addResize(OperatorTable &table);
void addSignal(OperatorTable &table);
void addVision(OperatorTable &table);
void addRandom(OperatorTable &table);
void addMl(OperatorTable &table);
void addTrees(OperatorTable &table);
void addMicrosoftAttention(OperatorTable &table);
void addMicrosoftGroupedAttention(OperatorTable &table);
void addMicrosoftFused(OperatorTable &table);
void addMicrosoftQuantized(OperatorTable &table);
void addMicrosoftTensors(OperatorTable &table);
void addMicrosoftEmbedding(OperatorTable &table);
void addMicrosoftExperts(OperatorTable &table);
void addMicrosoftBlocks(OperatorTable &table);
void addMicrosoftRecurrent(OperatorTable &table);
void addMicrosoftGeneration(OperatorTable &table);
void addMicrosoftGrams(OperatorTable &table);
void addMicrosoftPacked(OperatorTable &table);
void addPacked(OperatorTable &table);
void addQLinear(OperatorTable &table);
void addSampling(OperatorTable &table);
void addTraining(OperatorTable &table);
void addRegions(OperatorTable &table);
void addText(OperatorTable &table);
void addGradient(OperatorTable &table);
void addImages(OperatorTable &table);
void addStrings(OperatorTable &table);
void addTokenizer(OperatorTable &table);
void addMaps(OperatorTable &table);
void addSupportVectors(OperatorTable &table);
void addLegacy(OperatorTable &table);

/// Fails where an input that is given has another rank than (input, rank) says; false then.
bool checkRanks(Node &node, llvm::ArrayRef<std::pair<unsigned, int64_t>> ranks);
/// Returns square matrices, which lie in the last two dims, as [matrices, n, n] of floats of 32 bits at least; null after a failure.
mlir::Value flattenMatrices(Node &node, mlir::Value x);
/// Imports other inputs (null: absent) by an operator of the default domain, which reads this node's attributes; returns one result at least.
Values importAs(Node &node, llvm::StringRef op, int64_t opset, llvm::ArrayRef<mlir::Value> inputs);
/// Sets elements of x to 0 with probability `ratio` and scales the others by 1 / (1 - ratio); `mask` tells those that are kept.
mlir::Value dropElements(Node &node, mlir::Value x, mlir::Value ratio, mlir::Value &mask);
/// Converts between numbers and texts, or from one element type to another.
mlir::Value castOrPrint(Emitter &e, mlir::Value x, mlir::Type element, bool saturate = true);
/// Returns the MLIR type of an ONNX element type, or null where it is not supported.
mlir::Type convertElementType(int32_t type, mlir::MLIRContext *context);
/// The same for element types that are numbers or booleans.
mlir::Type convertNumberType(int64_t type, mlir::MLIRContext *context);
/// Returns the ONNX element type of an MLIR type.
int32_t toOnnxElementType(mlir::Type type);
/// Names an ONNX element type for messages.
std::string describeElementType(int32_t type);

class Importer {
public:
  Importer(LoadedModel &model, const ImportOptions &options, mlir::MLIRContext &context, ImportResult &result);

  mlir::OwningOpRef<mlir::ModuleOp> run();

  Emitter &emitter() { return e; }
  /// Imports the nodes of a graph in order, from the given one on.
  void importNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, Scope &scope, int first = 0);
  /// Imports initialisers and nodes of a subgraph into the current block and returns its outputs.
  std::vector<Datum> importSubgraph(const onnx::GraphProto &graph, Scope &scope);
  /// Imports the initialisers of a subgraph alone: they are shared by several imports of its nodes in scopes below.
  void importWeights(const onnx::GraphProto &graph, Scope &scope) { importInitializers(graph, scope, /*isMain=*/false); }
  /// Imports the nodes of a subgraph and returns its outputs.
  std::vector<Datum> importWithoutWeights(const onnx::GraphProto &graph, Scope &scope);
  /// Makes a constant from a TensorProto; null with the emitter failed where it is refused. `raw` replaces raw_data where given.
  mlir::Value importTensor(const onnx::TensorProto &tensor, llvm::StringRef raw = {});
  mlir::Value importSparse(const onnx::SparseTensorProto &tensor);
  /// Inlines a function body for a node.
  void importFunction(Node &node, const onnx::NodeProto &call, const onnx::FunctionProto &body);
  /// Inlines the function body that the schema gives a node.
  void importBody(Node &node);
  /// Counts errors so far: tells whether a subgraph was imported whole.
  size_t countErrors() const { return result.errors.size(); }
  /// A place in the list of errors to go back to.
  struct ErrorMark {
    size_t count;
    bool refused;
  };
  ErrorMark markErrors() const { return {result.errors.size(), result.refused}; }
  /// True where an error since the mark is of a node that is no valid one, whatever its inputs are.
  bool hasMalformed(ErrorMark mark) const;
  /// Forgets the errors since the mark and returns the first of them as text; empty where there is none.
  std::string withdrawErrors(ErrorMark mark);

  /// Returns the rank that the model declares for a node's first output.
  std::optional<int64_t> findDeclaredRank(const Node &node) const;
  /// Returns the rank that the model declares for a value of its graph.
  std::optional<int64_t> findDeclaredRank(llvm::StringRef name) const;

private:
  void report(const onnx::NodeProto &node, int64_t opset, std::string reason, bool isMalformed);
  void reportFile(std::string reason);
  void checkVersions(const FunctionFrame &frame);
  /// Reports names that are no text: they would end in manifests and messages.
  bool isReadable(const onnx::ValueInfoProto &value);
  void importNode(const onnx::NodeProto &proto, Scope &scope);
  /// Checks a node against what its operator allows, and imports it; false where it is no valid one.
  bool importKnown(Node &node, bool isPoisoned);
  void importCustom(Node &node, const onager_operator &op);
  void dispatch(Node &node);
  void importInitializers(const onnx::GraphProto &graph, Scope &scope, bool isMain);
  bool importInputs(const onnx::GraphProto &graph, Scope &scope, mlir::func::FuncOp function);
  /// Takes the numbers that given shapes put in the place of named dims.
  void fixNames(const onnx::GraphProto &graph);
  mlir::Type importInputType(const onnx::ValueInfoProto &input, const llvm::StringSet<> &known);
  /// Finds the form of an input that is no tensor and the types of its leaves; false where they are not supported.
  bool importForm(const onnx::TypeProto &type, Form &form, llvm::SmallVectorImpl<mlir::Type> &leaves);
  Datum importInput(const onnx::ValueInfoProto &input, const llvm::StringSet<> &known, mlir::Block &block, llvm::SmallVectorImpl<mlir::DictionaryAttr> &attributes);
  /// Names a leaf of the signature.
  mlir::DictionaryAttr nameLeaf(llvm::StringRef name, const Form &form, llvm::StringRef suffix);
  /// Compares an output's element type with the declared one.
  bool checkDeclared(const onnx::ValueInfoProto &output, const Datum &datum);
  void finish(const onnx::GraphProto &graph, Scope &scope, mlir::func::FuncOp function);
  const onnx::FunctionProto *findModelFunction(const onnx::NodeProto &node) const;

  LoadedModel &model;
  const ImportOptions &options;
  mlir::MLIRContext &context;
  ImportResult &result;
  mlir::OpBuilder builder;
  Symbols symbols;
  Emitter e;
  llvm::StringMap<const onnx::FunctionProto *> functions;
  std::vector<std::shared_ptr<onnx::FunctionProto>> bodies;
  std::vector<std::shared_ptr<onnx::NodeProto>> calls;
  llvm::SmallVector<mlir::Attribute> operators; ///< records of custom operators' nodes
};

} // namespace onager::frontend

#endif
