// A model in parts that run one after the other, each node once: what later parts read is kept in between.
#ifndef ONAGER_LIB_COMPRESS_MODELPARTS_H
#define ONAGER_LIB_COMPRESS_MODELPARTS_H

#include "lib/Compress/ModelGraph.h"

namespace onager::compress {

/// What computes one value from the model's inputs and what earlier parts kept. Where the value itself was kept nothing is to be run: `outputs` is empty then.
struct ModelPart {
  std::string value;
  std::vector<std::string> inputs;  ///< kept values
  std::vector<std::string> outputs; ///< the value, and others that later parts may read: those to keep
  std::vector<std::string> dropped; ///< kept values that no later part reads
};

/// Cuts a model along values that are asked for in the graph's order. Values of integers are not worth keeping: computed anew from what is kept, they stay expressions of dims to the compiler.
class PartPlan {
public:
  /// `model` must outlive the plan.
  explicit PartPlan(const ModelGraph &model);

  ModelPart advance(const std::string &value);
  /// Says which of the last part's outputs were kept.
  void keep(const std::vector<std::string> &values) { kept.insert(values.begin(), values.end()); }

private:
  using Nodes = std::set<const onnx::NodeProto *>;
  Nodes findNodes(const std::string &value, std::set<std::string> &inputs) const;
  bool isRead(const std::string &value, bool throughDims) const;

  const ModelGraph &model;
  std::map<std::string, std::vector<const onnx::NodeProto *>> readers;
  std::set<std::string> kept;
  Nodes done;
};

} // namespace onager::compress

#endif
