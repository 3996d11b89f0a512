// Counts what the model's functions become when each call is replaced by its body, before that is done: forty functions of two calls each
// would be a million million nodes.
#include "lib/Import/OnnxToGraph/Functions.h"
#include <cstdint>
#include <map>

namespace onager::frontend {
namespace {

/// Nodes in bodies of the model's functions, all calls inlined.
constexpr uint64_t kMostNodes = uint64_t(1) << 18;

class FunctionSizes {
public:
  explicit FunctionSizes(const llvm::StringMap<const onnx::FunctionProto *> &functions) : functions(functions) {}

  /// Adds the nodes of the functions that nodes call; stops at the limit, which keeps the sum small.
  uint64_t count(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, unsigned depth) {
    uint64_t total = 0;
    for (const onnx::NodeProto &node : nodes) {
      auto it = functions.find(getFunctionKey(node.domain(), node.op_type(), node.overload()));
      if (it != functions.end())
        total += measure(*it->second, depth + 1);
      for (const auto &attribute : node.attribute()) {
        total += count(attribute.g().node(), depth);
        for (const auto &graph : attribute.graphs())
          total += count(graph.node(), depth);
      }
      if (total > kMostNodes)
        return total;
    }
    return total;
  }

private:
  uint64_t measure(const onnx::FunctionProto &function, unsigned depth) {
    // Deeper calls are refused where they stand.
    if (depth > kMaxFunctionDepth)
      return 0;
    auto [it, isNew] = sizes.try_emplace({&function, depth}, 0);
    if (!isNew)
      return it->second;
    uint64_t size = static_cast<uint64_t>(function.node_size()) + count(function.node(), depth);
    return sizes[{&function, depth}] = size;
  }

  const llvm::StringMap<const onnx::FunctionProto *> &functions;
  std::map<std::pair<const onnx::FunctionProto *, unsigned>, uint64_t> sizes;
};

} // namespace

std::string getFunctionKey(llvm::StringRef domain, llvm::StringRef name, llvm::StringRef overload) {
  return ((domain == "ai.onnx" ? "" : domain) + ":" + name + ":" + overload).str();
}

bool areFunctionsTooLarge(const onnx::GraphProto &graph, const llvm::StringMap<const onnx::FunctionProto *> &functions) {
  return !functions.empty() && FunctionSizes(functions).count(graph.node(), 0) > kMostNodes;
}

} // namespace onager::frontend
