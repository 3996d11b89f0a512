// A node of a custom operator, as the operator's functions see it. Shared with the compiler.
#ifndef ONAGER_RUNTIME_CORE_OPERATORNODE_H
#define ONAGER_RUNTIME_CORE_OPERATORNODE_H

#include "onager-rt/operators.h"
#include "runtime/core/manifest.h"

namespace onager::rt {

/// Describes what the manifest tells about a node in the C API's terms. Immutable.
class OperatorNode {
public:
  /// `info` and `op` must outlive the node.
  OperatorNode(const CustomNodeInfo &info, const onager_operator &op);
  OperatorNode(const OperatorNode &) = delete;

  const CustomNodeInfo &info;
  const onager_operator &op;
  onager_node node{};

private:
  void describe(const AttributeInfo &attribute);

  std::vector<onager_attribute> attributes;
  std::vector<onager_tensor> tensors; ///< of attributes; never moves
  std::vector<std::vector<onager_string>> texts;
};

} // namespace onager::rt

#endif
