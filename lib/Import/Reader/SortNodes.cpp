// A stable topological sort: the first of the nodes that may come next is next, so that a list in order stays as it is. Test: order.onnxtxt
#include "lib/Import/Reader/SortNodes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <type_traits>
#include <vector>

namespace onager::frontend {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// Calls `visit` for each graph that an attribute of the node holds.
template <typename Node, typename Visit> void forEachSubgraph(Node &node, Visit visit) {
  for (int k = 0; k < node.attribute_size(); ++k) {
    if constexpr (std::is_const_v<Node>) {
      if (node.attribute(k).has_g())
        visit(node.attribute(k).g());
      for (const auto &graph : node.attribute(k).graphs())
        visit(graph);
    } else {
      if (node.attribute(k).has_g())
        visit(*node.mutable_attribute(k)->mutable_g());
      for (auto &graph : *node.mutable_attribute(k)->mutable_graphs())
        visit(graph);
    }
  }
}

/// Names of a graph's inputs and weights.
llvm::StringSet<> findGiven(const onnx::GraphProto &graph) {
  llvm::StringSet<> given;
  for (const auto &input : graph.input())
    given.insert(input.name());
  for (const auto &weight : graph.initializer())
    given.insert(weight.name());
  for (const auto &weight : graph.sparse_initializer())
    given.insert(weight.values().name());
  return given;
}

/// Names that a node reads, those that its subgraphs read from around them among them.
void collectReads(const onnx::NodeProto &node, llvm::StringSet<> &reads) {
  for (const std::string &name : node.input())
    reads.insert(name);
  forEachSubgraph(node, [&](const onnx::GraphProto &graph) {
    llvm::StringSet<> inner, own = findGiven(graph);
    for (const auto &part : graph.node()) {
      collectReads(part, inner);
      for (const std::string &name : part.output())
        own.insert(name);
    }
    for (const auto &output : graph.output())
      inner.insert(output.name());
    for (const auto &name : inner)
      if (!own.contains(name.getKey()))
        reads.insert(name.getKey());
  });
}

/// For each node, the nodes that make what it reads; what the graph is given is not made by any.
std::vector<std::set<int>> findMakers(const Nodes &nodes, const llvm::StringSet<> &given) {
  llvm::StringMap<int> makers;
  for (int k = 0; k < nodes.size(); ++k)
    for (const std::string &name : nodes.Get(k).output())
      if (!name.empty() && !given.contains(name))
        makers.try_emplace(name, k);
  std::vector<std::set<int>> needs(static_cast<size_t>(nodes.size()));
  for (int k = 0; k < nodes.size(); ++k) {
    llvm::StringSet<> reads;
    collectReads(nodes.Get(k), reads);
    for (const auto &name : reads)
      if (auto maker = makers.find(name.getKey()); maker != makers.end())
        needs[static_cast<size_t>(k)].insert(maker->second);
  }
  return needs;
}

/// An order that respects the needs: always the first of those nodes that may come next.
std::vector<int> findOrder(const std::vector<std::set<int>> &needs) {
  std::vector<std::vector<int>> readers(needs.size());
  std::vector<size_t> left(needs.size());
  std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
  for (size_t k = 0; k < needs.size(); ++k) {
    left[k] = needs[k].size();
    for (int maker : needs[k])
      readers[static_cast<size_t>(maker)].push_back(static_cast<int>(k));
    if (left[k] == 0)
      ready.push(static_cast<int>(k));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (int reader : readers[static_cast<size_t>(order.back())])
      if (--left[static_cast<size_t>(reader)] == 0)
        ready.push(reader);
  }
  for (size_t k = 0; k < needs.size(); ++k)
    if (left[k])
      order.push_back(static_cast<int>(k));
  return order;
}

void sortGraph(onnx::GraphProto &graph);

void sortList(Nodes &nodes, const llvm::StringSet<> &given) {
  for (auto &node : nodes)
    forEachSubgraph(node, sortGraph);
  std::vector<int> order = findOrder(findMakers(nodes, given));
  if (std::is_sorted(order.begin(), order.end()))
    return;
  std::vector<onnx::NodeProto *> taken(order.size());
  nodes.ExtractSubrange(0, nodes.size(), taken.data());
  for (int number : order)
    nodes.AddAllocated(taken[static_cast<size_t>(number)]);
}

void sortGraph(onnx::GraphProto &graph) { sortList(*graph.mutable_node(), findGiven(graph)); }

} // namespace

void sortNodes(onnx::ModelProto &model) {
  sortGraph(*model.mutable_graph());
  for (auto &function : *model.mutable_functions()) {
    llvm::StringSet<> given;
    for (const std::string &name : function.input())
      given.insert(name);
    sortList(*function.mutable_node(), given);
  }
}

} // namespace onager::frontend
