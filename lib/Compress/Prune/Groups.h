// What can be chosen among when a model is pruned, and what that is worth.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_GROUPS_H
#define ONAGER_LIB_COMPRESS_PRUNE_GROUPS_H

#include "lib/Compress/Prune/Coupling.h"

namespace onager::compress {

/// Classes of positions that the same weights make, so that they are alternatives: the channels of a layer, with those of all layers that are added to it; the heads of an attention. A unit is
/// one of the classes; units are numbered as they come along the axis of the first weights that make them.
struct PruneGroup {
  std::string weights; ///< the first constant that makes the channels
  size_t axis = 0;     ///< of these weights
  bool isHeads = false;
  std::vector<int32_t> units;
  int64_t width = 1;   ///< positions of a unit along that axis
};

/// An axis that can be cut, by the classes of its positions. Axes that are the same position by position are one.
struct CutAxis {
  std::vector<int32_t> classes;
  int64_t floor = 1; ///< so many positions stay at least
};

/// Floating-point operations of a node: in proportion to what is left of some axes.
struct NodeCost {
  double operations = 0;
  std::vector<size_t> axes;
};

/// Groups, axes and costs of a model.
class PruneSpace {
public:
  /// `inputs` are the extents of the model's inputs that operations are counted for; symbolic dims that are not there count as 1. At least the share `floor` of each axis stays.
  PruneSpace(const Coupling &coupling, const Shapes &inputs, double floor);

  const std::vector<PruneGroup> &getGroups() const { return groups; }
  const std::vector<CutAxis> &getAxes() const { return axes; }
  const std::vector<NodeCost> &getCosts() const { return costs; }
  const Coupling &getCoupling() const { return coupling; }
  /// The axes that a class has positions in, with their number.
  const std::map<size_t, int64_t> &getUses(int32_t unit) const { return uses.at(unit); }
  /// The axis of a value, or nothing where it cannot be cut.
  std::optional<size_t> findAxis(const std::string &value, size_t axis) const;

private:
  void collectAxes(double floor);
  void collectGroups();
  void collectCosts(const Shapes &inputs);
  void addCost(const onnx::NodeProto &node, const Shapes &shapes);

  const Coupling &coupling;
  std::vector<PruneGroup> groups;
  std::vector<CutAxis> axes;
  std::vector<NodeCost> costs;
  std::map<int32_t, size_t> axisOfFirst; ///< by an axis' first position
  std::map<int32_t, std::map<size_t, int64_t>> uses;
};

/// What has been removed so far.
class PruneChoice {
public:
  explicit PruneChoice(const PruneSpace &space);
  /// True where all units together leave every axis its least.
  bool mayRemove(const std::vector<int32_t> &units) const;
  void remove(const std::vector<int32_t> &units);
  bool isRemoved(int32_t unit) const { return removed.count(unit); }
  const std::set<int32_t> &getRemoved() const { return removed; }
  /// Operations of all products and convolutions.
  double countOperations() const;
  /// How many operations less the removal of units would leave.
  double measureGain(const std::vector<int32_t> &units) const;
  /// Operations of the nodes that a group has a part in.
  double countOperations(const PruneGroup &group) const;

private:
  double countOperations(const NodeCost &cost) const;
  std::map<size_t, int64_t> countUses(const std::vector<int32_t> &units) const;

  const PruneSpace &space;
  std::vector<int64_t> left; ///< positions of each axis
  std::vector<std::vector<size_t>> costsOfAxis;
  std::set<int32_t> removed;
};

} // namespace onager::compress

#endif
