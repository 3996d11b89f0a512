// Finding groups, and counting operations.
#include "lib/Compress/Prune/Groups.h"
#include <cmath>
#include <functional>

namespace onager::compress {

PruneSpace::PruneSpace(const Coupling &coupling, const Shapes &inputs, double floor) : coupling(coupling) {
  collectAxes(floor);
  collectGroups();
  collectCosts(inputs);
}

void PruneSpace::collectAxes(double floor) {
  std::map<std::vector<int32_t>, size_t> known;
  for (const auto &[name, own] : coupling.getValues())
    for (const Axis &axis : own) {
      std::vector<int32_t> classes;
      bool isAny = false;
      for (int64_t k = 0; axis.isKnown() && k < axis.extent; ++k) {
        classes.push_back(coupling.getClass(axis.at(k)));
        isAny |= !coupling.isPinned(axis.at(k));
      }
      if (!isAny)
        continue;
      auto [found, isNew] = known.try_emplace(classes, axes.size());
      axisOfFirst[axis.first] = found->second;
      if (!isNew)
        continue;
      for (int32_t unit : classes)
        ++uses[unit][axes.size()];
      axes.push_back({std::move(classes), std::max<int64_t>(1, std::llround(std::ceil(floor * static_cast<double>(axis.extent))))});
    }
}

std::optional<size_t> PruneSpace::findAxis(const std::string &value, size_t axis) const {
  const std::vector<Axis> *own = coupling.find(value);
  auto found = own && axis < own->size() ? axisOfFirst.find((*own)[axis].first) : axisOfFirst.end();
  return found == axisOfFirst.end() ? std::nullopt : std::optional(found->second);
}

void PruneSpace::collectGroups() {
  // Sources that share a class make one group.
  std::vector<size_t> parents;
  std::function<size_t(size_t)> find = [&](size_t k) { return parents[k] == k ? k : parents[k] = find(parents[k]); };
  std::map<int32_t, size_t> sourceOfUnit;
  const std::vector<Source> &sources = coupling.getSources();
  for (size_t k = 0; k < sources.size(); ++k) {
    parents.push_back(k);
    std::optional<size_t> axis = findAxis(sources[k].weights, sources[k].axis);
    if (!axis)
      continue;
    for (int32_t unit : axes[*axis].classes)
      if (!coupling.isPinned(unit)) {
        auto [found, isNew] = sourceOfUnit.try_emplace(unit, k);
        size_t other = find(found->second), own = find(k);
        parents[std::max(other, own)] = std::min(other, own);
      }
  }
  std::map<size_t, size_t> groupOfSource;
  std::set<int32_t> seen;
  for (size_t k = 0; k < sources.size(); ++k) {
    std::optional<size_t> axis = findAxis(sources[k].weights, sources[k].axis);
    if (!axis)
      continue;
    std::map<int32_t, int64_t> widths;
    for (int32_t unit : axes[*axis].classes)
      ++widths[unit];
    for (int32_t unit : axes[*axis].classes) {
      if (coupling.isPinned(unit) || !seen.insert(unit).second)
        continue;
      auto [found, isNew] = groupOfSource.try_emplace(find(k), groups.size());
      if (isNew)
        groups.push_back({sources[k].weights, sources[k].axis, false, {}, widths[unit]});
      groups[found->second].units.push_back(unit);
      groups[found->second].isHeads |= coupling.isHead(unit);
    }
  }
}

void PruneSpace::collectCosts(const Shapes &inputs) {
  Shapes known = inputs;
  for (const onnx::ValueInfoProto &input : coupling.getModel().graph().input())
    if (input.type().tensor_type().has_shape())
      known.try_emplace(input.name(), std::vector<int64_t>(static_cast<size_t>(input.type().tensor_type().shape().dim_size()), 1));
  Shapes shapes = inferShapes(coupling.getModel(), known);
  for (const onnx::NodeProto &node : coupling.getModel().graph().node())
    addCost(node, shapes);
}

void PruneSpace::addCost(const onnx::NodeProto &node, const Shapes &shapes) {
  const std::string &op = node.op_type();
  auto getDims = [&](const std::string &name) {
    auto found = shapes.find(name);
    std::vector<int64_t> dims = found == shapes.end() ? std::vector<int64_t>() : found->second;
    for (int64_t &extent : dims)
      extent = extent < 0 ? 1 : extent;
    return dims;
  };
  auto multiply = [](const std::vector<int64_t> &dims, size_t begin = 0) {
    double product = 1;
    for (; begin < dims.size(); ++begin)
      product *= static_cast<double>(dims[begin]);
    return product;
  };
  if (node.output_size() == 0 || node.input_size() < 2)
    return;
  std::vector<int64_t> a = getDims(node.input(0)), b = getDims(node.input(1)), y = getDims(node.output(0));
  if (a.empty() || b.empty() || y.empty())
    return;
  NodeCost cost;
  auto add = [&](const std::string &value, size_t axis) {
    if (std::optional<size_t> found = findAxis(value, axis))
      cost.axes.push_back(*found);
  };
  if (op == "Conv" || op == "ConvTranspose") {
    cost.operations = 2 * multiply(op == "Conv" ? y : a) * multiply(b, 1);
    add(op == "Conv" ? node.output(0) : node.input(0), 1);
    add(node.input(1), 1);
  } else if (op == "MatMul" || op == "Gemm") {
    size_t sum = op == "Gemm" && getInt(node, "transA", 0) ? 0 : a.size() - 1;
    cost.operations = 2 * multiply(y) * static_cast<double>(a[sum]);
    for (size_t k = 0; k < y.size(); ++k)
      add(node.output(0), k);
    add(node.input(0), sum);
  } else if ((op == "MultiHeadAttention" || op == "GroupQueryAttention" || op == "Attention") && y.size() == 3) {
    cost.operations = 4 * multiply(y) * static_cast<double>(op == "Attention" ? y[1] : b.size() > 1 ? b[1] : 1);
    add(node.output(0), 2);
    if (op == "Attention" && b.size() == 2) {
      costs.push_back(cost);
      cost = {2 * static_cast<double>(y[0]) * static_cast<double>(y[1]) * multiply(b), {}};
      add(node.input(1), 0);
      add(node.input(1), 1);
    }
  } else {
    return;
  }
  costs.push_back(std::move(cost));
}

PruneChoice::PruneChoice(const PruneSpace &space) : space(space), costsOfAxis(space.getAxes().size()) {
  for (const CutAxis &axis : space.getAxes())
    left.push_back(static_cast<int64_t>(axis.classes.size()));
  for (size_t k = 0; k < space.getCosts().size(); ++k)
    for (size_t axis : space.getCosts()[k].axes)
      costsOfAxis[axis].push_back(k);
}

std::map<size_t, int64_t> PruneChoice::countUses(const std::vector<int32_t> &units) const {
  std::map<size_t, int64_t> sums;
  for (int32_t unit : units)
    for (auto [axis, count] : space.getUses(unit))
      sums[axis] += count;
  return sums;
}

bool PruneChoice::mayRemove(const std::vector<int32_t> &units) const {
  for (auto [axis, count] : countUses(units))
    if (left[axis] - count < space.getAxes()[axis].floor)
      return false;
  return true;
}

void PruneChoice::remove(const std::vector<int32_t> &units) {
  for (auto [axis, count] : countUses(units))
    left[axis] -= count;
  removed.insert(units.begin(), units.end());
}

double PruneChoice::countOperations(const NodeCost &cost) const {
  double operations = cost.operations;
  for (size_t axis : cost.axes)
    operations *= static_cast<double>(left[axis]) / static_cast<double>(space.getAxes()[axis].classes.size());
  return operations;
}

double PruneChoice::countOperations() const {
  double sum = 0;
  for (const NodeCost &cost : space.getCosts())
    sum += countOperations(cost);
  return sum;
}

double PruneChoice::measureGain(const std::vector<int32_t> &units) const {
  std::map<size_t, int64_t> sums = countUses(units);
  std::set<size_t> touched;
  for (auto [axis, count] : sums)
    touched.insert(costsOfAxis[axis].begin(), costsOfAxis[axis].end());
  double gain = 0;
  for (size_t k : touched) {
    const NodeCost &cost = space.getCosts()[k];
    double share = 1;
    for (size_t axis : cost.axes)
      if (auto own = sums.find(axis); own != sums.end())
        share *= static_cast<double>(left[axis] - own->second) / static_cast<double>(std::max<int64_t>(left[axis], 1));
    gain += countOperations(cost) * (1 - share);
  }
  return gain;
}

double PruneChoice::countOperations(const PruneGroup &group) const {
  std::set<size_t> touched;
  for (int32_t unit : group.units)
    for (auto [axis, count] : space.getUses(unit))
      touched.insert(costsOfAxis[axis].begin(), costsOfAxis[axis].end());
  double sum = 0;
  for (size_t k : touched)
    sum += countOperations(space.getCosts()[k]);
  return sum;
}

} // namespace onager::compress
