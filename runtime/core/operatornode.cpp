// Describes nodes of custom operators.
#include "runtime/core/operatornode.h"

namespace onager::rt {

OperatorNode::OperatorNode(const CustomNodeInfo &info, const onager_operator &op) : info(info), op(op) {
  tensors.reserve(info.attributes.size());
  texts.reserve(info.attributes.size());
  for (const AttributeInfo &attribute : info.attributes)
    describe(attribute);
  node = {sizeof node, static_cast<uint32_t>(attributes.size()), info.domain.c_str(), info.type.c_str(), info.node.c_str(), static_cast<int64_t>(info.version), attributes.data()};
}

void OperatorNode::describe(const AttributeInfo &attribute) {
  onager_attribute described{};
  described.size = sizeof described;
  described.type = static_cast<int32_t>(attribute.type);
  described.name = attribute.name.c_str();
  if (attribute.type == ONAGER_ATTRIBUTE_TENSOR) {
    uint64_t rank = attribute.ints.size() - 1;
    tensors.push_back({sizeof(onager_tensor), static_cast<int32_t>(attribute.ints[0]), static_cast<int32_t>(rank), 0, const_cast<char *>(attribute.strings[0].data()),
                       attribute.ints.data() + 1, attribute.strings[0].size()});
    described.tensor = &tensors.back();
    described.count = 1;
  } else {
    texts.emplace_back();
    for (const std::string &text : attribute.strings)
      texts.back().push_back({text.data(), text.size()});
    described.floats = attribute.floats.empty() ? nullptr : attribute.floats.data();
    described.ints = attribute.ints.empty() ? nullptr : attribute.ints.data();
    described.strings = texts.back().empty() ? nullptr : texts.back().data();
    described.count = attribute.floats.size() + attribute.ints.size() + attribute.strings.size();
  }
  attributes.push_back(described);
}

} // namespace onager::rt
