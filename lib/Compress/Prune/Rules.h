// What each operator couples.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_RULES_H
#define ONAGER_LIB_COMPRESS_PRUNE_RULES_H

#include "lib/Compress/Prune/Coupling.h"

namespace onager::compress {

/// Couples the positions of a node's operands and results. A node without a rule, or with operands whose shapes are not known, pins all of them.
class Rules {
public:
  explicit Rules(Coupling &coupling) : coupling(coupling), model(coupling.model), opset(model.getOpset()) {}
  void apply(const onnx::NodeProto &node);

private:
  using Rule = bool (Rules::*)(const onnx::NodeProto &);
  static const std::map<std::string, Rule> &listRules();

  // Each returns false where it does not understand the node; what it coupled until then does no harm.
  bool applyUnary(const onnx::NodeProto &node);
  bool applyBroadcast(const onnx::NodeProto &node);
  void keepPlaces(const std::vector<Axis> &x, const std::vector<Axis> &w, const std::vector<Axis> &y);
  bool applyConv(const onnx::NodeProto &node);
  bool applyConvTranspose(const onnx::NodeProto &node);
  bool applyBatchNorm(const onnx::NodeProto &node);
  bool applyGroupNorm(const onnx::NodeProto &node);
  bool applyLayerNorm(const onnx::NodeProto &node);
  bool applySoftmax(const onnx::NodeProto &node);
  bool applyPool(const onnx::NodeProto &node);
  bool applyPad(const onnx::NodeProto &node);
  bool applyResize(const onnx::NodeProto &node);
  bool applyMatMul(const onnx::NodeProto &node);
  bool applyGemm(const onnx::NodeProto &node);
  bool applyReduce(const onnx::NodeProto &node);
  bool applyReshape(const onnx::NodeProto &node);
  bool applySqueeze(const onnx::NodeProto &node);
  bool applyTranspose(const onnx::NodeProto &node);
  bool applyExpand(const onnx::NodeProto &node);
  bool applyConcat(const onnx::NodeProto &node);
  bool applySplit(const onnx::NodeProto &node);
  bool applySlice(const onnx::NodeProto &node);
  bool applyGather(const onnx::NodeProto &node);
  bool applyShape(const onnx::NodeProto &node);
  bool applyHeads(const onnx::NodeProto &node);
  bool applyPackedAttention(const onnx::NodeProto &node);

  const std::vector<Axis> *find(const onnx::NodeProto &node, int input) const;
  const std::vector<Axis> *findOutput(const onnx::NodeProto &node) const { return node.output_size() ? coupling.find(node.output(0)) : nullptr; }
  void pin(const onnx::NodeProto &node);
  /// Couples two values axis by axis, but pins some of them in both.
  bool pass(const std::vector<Axis> &x, const std::vector<Axis> &y, const std::set<size_t> &pinned = {});
  void broadcast(const std::vector<Axis> &x, const std::vector<Axis> &y);
  /// Couples the axes of two forms of the same elements in the same order.
  void reshape(const std::vector<Axis> &x, const std::vector<Axis> &y);
  void reshapeParts(const Axis &whole, const std::vector<Axis> &parts);
  /// Pins the axes of a value that its operand of dims would not follow.
  void checkTarget(const std::string &target, const std::vector<Axis> &x, const std::vector<Axis> &y);
  void addWeights(const onnx::NodeProto &node, size_t outputAxis, size_t inputAxis, size_t xAxis);
  void pinConstants(const onnx::NodeProto &node);

  Coupling &coupling;
  const ModelGraph &model;
  int64_t opset;
};

} // namespace onager::compress

#endif
