// Which positions along which axes of a model's values must go together.
//
// Each value has, for each of its axes, a position for each index: a channel of an image, a column of a matrix. Operators couple positions: channel 3 of what Relu gives is channel 3 of
// what it reads; the rows of a convolution's weights are the channels that it gives, their second axis those that it reads; both sides of a residual addition share theirs; a Concat's
// axis is those of its operands, one after the other. Positions that are coupled form a class (union-find). A class can be removed, from all axes at once, unless something pins it: an input
// or output of the model, a norm or a softmax along the axis, an operator that is not understood.
//
// Removing a class gives the same outputs as not reading it: products and convolutions that sum over its positions leave their terms out; nothing else mixes the positions of an axis.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_COUPLING_H
#define ONAGER_LIB_COMPRESS_PRUNE_COUPLING_H

#include "lib/Compress/Prune/Shapes.h"

namespace onager::compress {

/// Positions of one axis: `extent` consecutive numbers from `first`. Axes of unknown extent, or of one element or none, have no positions and are never cut.
struct Axis {
  int64_t extent = -1;
  int32_t first = -1;
  bool isKnown() const { return first >= 0; }
  int32_t at(int64_t index) const { return first + static_cast<int32_t>(index); }
};

/// An axis along which weights make channels: what is pruned is found there.
struct Source {
  std::string weights;
  size_t axis = 0;
};

/// A product or convolution with constant weights, by the axis of its weights that it sums over.
struct Consumer {
  const onnx::NodeProto *node = nullptr;
  std::string input, weights;
  size_t inputAxis = 0, weightsAxis = 0;
};

class Coupling {
public:
  /// Looks at the main graph of a model, which must not change while the object is used.
  explicit Coupling(const ModelGraph &model);

  const std::vector<Axis> *find(const std::string &value) const;
  int32_t getClass(int32_t position) const;
  bool isPinned(int32_t position) const { return pinned[static_cast<size_t>(getClass(position))]; }
  /// True for the positions of attention heads.
  bool isHead(int32_t position) const { return heads[static_cast<size_t>(getClass(position))]; }
  size_t countPositions() const { return parents.size(); }
  const std::map<std::string, std::vector<Axis>> &getValues() const { return values; }
  const std::vector<Source> &getSources() const { return sources; }
  const std::vector<Consumer> &getConsumers() const { return consumers; }
  const ModelGraph &getModel() const { return model; }
  /// The value of an integer tensor's element where constants alone decide it, through Concat and changes of shape.
  std::optional<int64_t> traceElement(const std::string &value, size_t index) const;

private:
  friend class Rules;

  std::vector<Axis> &get(const std::string &value) { return values[value]; }
  void unite(int32_t a, int32_t b);
  /// Couples two axes position by position; pins both where their extents differ.
  void unite(const Axis &a, const Axis &b);
  void pin(const Axis &axis);
  void pin(const std::string &value);
  void markHeads(const Axis &axis);

  const ModelGraph &model;
  std::map<std::string, std::vector<Axis>> values;
  mutable std::vector<int32_t> parents;
  std::vector<bool> pinned, heads;
  std::vector<Source> sources;
  std::vector<Consumer> consumers;
};

/// Attributes of integers; empty where there is none.
std::vector<int64_t> getInts(const onnx::NodeProto &node, const std::string &name);
/// An operand's name, or "".
std::string getInput(const onnx::NodeProto &node, int index);
/// The axes over which a reducing, squeezing or slicing node works, of an attribute or of a constant operand; nothing where they are neither.
std::optional<std::vector<int64_t>> findAxes(const ModelGraph &model, const onnx::NodeProto &node, int operand, size_t rank);

} // namespace onager::compress

#endif
