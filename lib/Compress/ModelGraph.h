// An ONNX model that is being rewritten: its nodes, constants and who reads what.
#ifndef ONAGER_LIB_COMPRESS_MODELGRAPH_H
#define ONAGER_LIB_COMPRESS_MODELGRAPH_H

#include "onnx/onnx_pb.h"
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace onager::compress {

/// A constant of f32, row-major.
struct Weights {
  std::vector<int64_t> dims;
  std::vector<float> values;
};

/// A model with all of its weights in memory. Names refer to values of the main graph; nodes inside of branches, loops and functions stay as they are.
class ModelGraph {
public:
  ModelGraph() = default;
  ModelGraph(const ModelGraph &other) : model(other.model) { index(); }
  ModelGraph(ModelGraph &&) = default;
  ModelGraph &operator=(ModelGraph &&) = default;

  /// Reads a model from a file, or from bytes where the path is empty. False and a reason where it is none, or larger than ONNX's format can hold.
  bool open(const std::string &path, std::string_view bytes, std::string &error);

  /// Brings a model of an operator set below 10 to 13 by ONNX's converter. False where that cannot; the model is then as it was.
  bool upgrade();

  onnx::GraphProto &graph() { return *model.mutable_graph(); }
  const onnx::GraphProto &graph() const { return model.graph(); }
  const onnx::ModelProto &proto() const { return model; }
  /// The version of ONNX's own operator set.
  int64_t getOpset() const;
  /// The elements of a constant of i64 or i32; nothing where it has another type, is none, or lacks elements.
  std::optional<std::vector<int64_t>> readIntegers(const std::string &name) const;
  /// The tensor of a constant; null where there is none.
  onnx::TensorProto *findTensor(const std::string &name);
  /// The domain whose QuantizeLinear and DequantizeLinear have axes in this model: "" from operator set 13 on, "com.microsoft" before.
  std::string getQuantizeDomain() const;
  /// Lets constants have integers of 4 bits.
  void useFourBits();
  /// Lets nodes use a domain.
  void useDomain(const std::string &domain, int64_t version);

  /// True where a value is an initializer or what a Constant node gives.
  bool isConstant(const std::string &name) const { return constants.count(name); }
  /// The dims of a constant of f32; nothing where it has another type, is none, or lacks elements.
  std::optional<std::vector<int64_t>> findDims(const std::string &name) const;
  /// Reads a constant of f32; nothing where it has another type or is none.
  std::optional<Weights> readWeights(const std::string &name) const;
  /// The bytes that a constant takes in the model.
  uint64_t countBytes(const std::string &name) const;
  /// The node that computes a value; null for inputs and constants.
  const onnx::NodeProto *findProducer(const std::string &name) const;
  /// How often nodes of any depth, or the graph's outputs, read a value.
  size_t countReaders(const std::string &name) const;

  /// Adds a constant; the name begins with `base` and is returned.
  std::string addConstant(const std::string &base, const std::vector<int64_t> &dims, int32_t dtype, std::string bytes);
  /// A name that no value or node has.
  std::string makeName(const std::string &base);
  /// Puts other nodes in the place of the main graph's.
  void setNodes(std::vector<onnx::NodeProto> nodes);
  /// Drops constants that nobody reads any more, and looks at the graph anew.
  void clean();

  std::string serialize() const { return model.SerializeAsString(); }
  /// The model with more outputs: values of the main graph.
  std::string serializeWithOutputs(const std::vector<std::string> &names) const;
  /// What computes some values alone, as a model whose outputs they are. Its inputs are the model's and, behind them, values that are `known`, with their types.
  std::string serializePart(const std::vector<std::string> &values, const std::vector<onnx::ValueInfoProto> &known = {}) const;
  /// A node alone as a model, with the constants that it reads, or that a node reads which it reads, and with `input`, of given dims, as the input: i64 where it holds indices, else f32.
  std::string serializeLayer(const onnx::NodeProto *node, const std::string &input, bool isIndices, const std::vector<int64_t> &dims) const;

private:
  void index();
  void indexReaders(const onnx::GraphProto &part);

  onnx::ModelProto model;
  std::map<std::string, const onnx::TensorProto *> constants;
  std::map<std::string, const onnx::NodeProto *> producers;
  std::map<std::string, size_t> readers;
  std::set<std::string> names;
};

/// The values that a node reads, in its branches as well.
std::set<std::string> listReads(const onnx::NodeProto &node);

/// The elements of a constant as it stores them.
template <typename T>
std::string toBytes(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
}

/// Returns an attribute, or its default.
int64_t getInt(const onnx::NodeProto &node, const std::string &name, int64_t otherwise);
float getFloat(const onnx::NodeProto &node, const std::string &name, float otherwise);
void setInt(onnx::NodeProto &node, const std::string &name, int64_t value);

} // namespace onager::compress

#endif
