// Union-find over positions, and small readers of nodes.
#include "lib/Compress/Prune/Coupling.h"
#include "lib/Compress/Prune/Rules.h"

namespace onager::compress {

static void collectInner(const onnx::GraphProto &graph, std::set<std::string> &read) {
  for (const onnx::NodeProto &node : graph.node()) {
    read.insert(node.input().begin(), node.input().end());
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        collectInner(attribute.g(), read);
      for (const onnx::GraphProto &inner : attribute.graphs())
        collectInner(inner, read);
    }
  }
  for (const onnx::ValueInfoProto &output : graph.output())
    read.insert(output.name());
}

Coupling::Coupling(const ModelGraph &model) : model(model) {
  for (auto &[name, dims] : inferShapes(model)) {
    std::vector<Axis> &axes = values[name];
    for (int64_t extent : dims) {
      axes.push_back({extent, -1});
      if (extent < 2 || parents.size() + static_cast<size_t>(extent) > INT32_MAX)
        continue;
      axes.back().first = static_cast<int32_t>(parents.size());
      for (int64_t k = 0; k < extent; ++k)
        parents.push_back(static_cast<int32_t>(parents.size()));
    }
  }
  pinned.resize(parents.size());
  heads.resize(parents.size());
  for (const onnx::ValueInfoProto &input : model.graph().input())
    if (!model.isConstant(input.name()))
      pin(input.name());
  for (const onnx::ValueInfoProto &output : model.graph().output())
    pin(output.name());
  std::set<std::string> inner;
  for (const onnx::NodeProto &node : model.graph().node())
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        collectInner(attribute.g(), inner);
      for (const onnx::GraphProto &graph : attribute.graphs())
        collectInner(graph, inner);
    }
  for (const std::string &name : inner)
    pin(name);
  Rules rules(*this);
  for (const onnx::NodeProto &node : model.graph().node())
    rules.apply(node);
}

const std::vector<Axis> *Coupling::find(const std::string &value) const {
  auto found = values.find(value);
  return found == values.end() ? nullptr : &found->second;
}

int32_t Coupling::getClass(int32_t position) const {
  while (parents[static_cast<size_t>(position)] != position) {
    int32_t &parent = parents[static_cast<size_t>(position)];
    parent = parents[static_cast<size_t>(parent)];
    position = parent;
  }
  return position;
}

void Coupling::unite(int32_t a, int32_t b) {
  a = getClass(a);
  b = getClass(b);
  if (a == b)
    return;
  // The smallest position stands for its class, so that classes have the same names each time.
  auto least = static_cast<size_t>(std::min(a, b)), other = static_cast<size_t>(std::max(a, b));
  parents[other] = static_cast<int32_t>(least);
  pinned[least] = pinned[least] || pinned[other];
  heads[least] = heads[least] || heads[other];
}

void Coupling::unite(const Axis &a, const Axis &b) {
  if (!a.isKnown() || !b.isKnown() || a.extent != b.extent) {
    pin(a);
    pin(b);
    return;
  }
  for (int64_t k = 0; k < a.extent; ++k)
    unite(a.at(k), b.at(k));
}

void Coupling::pin(const Axis &axis) {
  for (int64_t k = 0; axis.isKnown() && k < axis.extent; ++k)
    pinned[static_cast<size_t>(getClass(axis.at(k)))] = true;
}

void Coupling::pin(const std::string &value) {
  if (auto found = values.find(value); found != values.end())
    for (const Axis &axis : found->second)
      pin(axis);
}

void Coupling::markHeads(const Axis &axis) {
  for (int64_t k = 0; axis.isKnown() && k < axis.extent; ++k)
    heads[static_cast<size_t>(getClass(axis.at(k)))] = true;
}

std::string getInput(const onnx::NodeProto &node, int index) { return index < node.input_size() ? node.input(index) : ""; }

std::vector<int64_t> getInts(const onnx::NodeProto &node, const std::string &name) {
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return {attribute.ints().begin(), attribute.ints().end()};
  return {};
}

static bool hasAttribute(const onnx::NodeProto &node, const std::string &name) {
  return std::any_of(node.attribute().begin(), node.attribute().end(), [&](const auto &attribute) { return attribute.name() == name; });
}

std::optional<std::vector<int64_t>> findAxes(const ModelGraph &model, const onnx::NodeProto &node, int operand, size_t rank) {
  std::optional<std::vector<int64_t>> axes;
  if (hasAttribute(node, "axes"))
    axes = getInts(node, "axes");
  else if (std::string name = getInput(node, operand); !name.empty())
    axes = model.readIntegers(name);
  if (axes)
    for (int64_t &axis : *axes)
      axis += axis < 0 ? static_cast<int64_t>(rank) : 0;
  return axes;
}

std::optional<int64_t> Coupling::traceElement(const std::string &value, size_t index) const {
  if (std::optional<std::vector<int64_t>> integers = model.readIntegers(value))
    return index < integers->size() ? std::optional((*integers)[index]) : std::nullopt;
  const onnx::NodeProto *node = model.findProducer(value);
  if (!node)
    return std::nullopt;
  const std::string &op = node->op_type();
  if (op == "Unsqueeze" || op == "Squeeze" || op == "Cast" || op == "Identity" || op == "Reshape")
    return traceElement(node->input(0), index);
  if (op != "Concat")
    return std::nullopt;
  for (const std::string &input : node->input()) {
    const std::vector<Axis> *axes = find(input);
    if (!axes || axes->size() != 1 || axes->front().extent < 0)
      return std::nullopt;
    auto count = static_cast<size_t>(axes->front().extent);
    if (index < count)
      return traceElement(input, index);
    index -= count;
  }
  return std::nullopt;
}

} // namespace onager::compress
