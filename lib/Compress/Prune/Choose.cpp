// Scores of units, and which of them go.
#include "lib/Compress/Prune/Pruning.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <numeric>

namespace onager::compress {

/// Sums of squares over everything but one axis.
static std::vector<double> sumSquares(const Weights &weights, size_t axis) {
  size_t inner = 1;
  for (size_t k = axis + 1; k < weights.dims.size(); ++k)
    inner *= static_cast<size_t>(weights.dims[k]);
  auto extent = static_cast<size_t>(weights.dims[axis]);
  std::vector<double> sums(extent);
  for (size_t k = 0; k < weights.values.size(); ++k)
    sums[k / inner % extent] += static_cast<double>(weights.values[k]) * weights.values[k];
  return sums;
}

/// Adds a part to the scores of the classes of an axis, 1 for the whole axis: a group's sum is the number of constants that it has a part in.
static void addScores(const Coupling &coupling, const Axis &axis, const std::vector<double> &parts, std::map<int32_t, double> &scores) {
  double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
  for (int64_t k = 0; sum > 0 && axis.isKnown() && k < axis.extent; ++k)
    scores[coupling.getClass(axis.at(k))] += parts[static_cast<size_t>(k)] / sum;
}

static UnitScores collect(const PruneSpace &space, const std::map<int32_t, double> &scores) {
  UnitScores all;
  for (const PruneGroup &group : space.getGroups()) {
    all.emplace_back();
    for (int32_t unit : group.units) {
      auto found = scores.find(unit);
      all.back().push_back(found == scores.end() ? 0 : found->second);
    }
  }
  return all;
}

UnitScores scoreByMagnitude(const PruneSpace &space) {
  const Coupling &coupling = space.getCoupling();
  std::map<int32_t, double> scores;
  for (const auto &[name, axes] : coupling.getValues()) {
    if (!coupling.getModel().isConstant(name) || axes.size() < 2)
      continue;
    std::optional<Weights> weights;
    for (size_t k = 0; k < axes.size(); ++k)
      if (space.findAxis(name, k)) {
        if (!weights)
          weights = coupling.getModel().readWeights(name);
        if (weights)
          addScores(coupling, axes[k], sumSquares(*weights, k), scores);
      }
  }
  return collect(space, scores);
}

UnitScores scoreByActivation(const PruneSpace &space, const std::map<std::string, std::vector<double>> &moments) {
  const Coupling &coupling = space.getCoupling();
  std::map<int32_t, double> scores;
  for (const Consumer &consumer : coupling.getConsumers()) {
    auto found = moments.find(consumer.input);
    std::optional<Weights> weights = found == moments.end() ? std::nullopt : coupling.getModel().readWeights(consumer.weights);
    if (!weights || found->second.size() != static_cast<size_t>(weights->dims[consumer.weightsAxis]))
      continue;
    std::vector<double> parts = sumSquares(*weights, consumer.weightsAxis);
    for (size_t k = 0; k < parts.size(); ++k)
      parts[k] *= found->second[k];
    addScores(coupling, (*coupling.find(consumer.weights))[consumer.weightsAxis], parts, scores);
  }
  return collect(space, scores);
}

namespace {

/// One group while its units go.
class GroupQueue {
public:
  GroupQueue(const PruneGroup &group, const std::vector<double> &scores) : group(group), scores(scores), order(scores.size()) {
    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return std::pair(scores[a], a) < std::pair(scores[b], b); });
    left = total = std::accumulate(scores.begin(), scores.end(), 0.0);
  }

  /// The next units to go, and what that costs: their share of what is left of the score, for each constant that loses by it. Empty at the end.
  std::vector<int32_t> getNext(double &cost) const {
    size_t remaining = order.size() - taken, count = std::min(remaining, getStep(remaining));
    std::vector<int32_t> units;
    double sum = 0;
    for (size_t k = taken; k < taken + count; ++k) {
      units.push_back(group.units[order[k]]);
      sum += scores[order[k]];
    }
    cost = left > 0 ? total * sum / left : 0;
    return units;
  }
  void take(size_t count) {
    for (size_t end = taken + count; taken < end; ++taken)
      left -= scores[order[taken]];
  }
  size_t countTaken() const { return taken; }

private:
  /// Units that go at once, so that of large groups a multiple of positions stays.
  size_t getStep(size_t remaining) const {
    auto width = static_cast<size_t>(group.width), multiple = static_cast<size_t>(getKeptMultiple(static_cast<int64_t>(group.units.size() * width)));
    if (width % multiple == 0)
      return 1;
    size_t step = multiple / std::gcd(multiple, width), rest = remaining % step;
    return rest ? rest : step;
  }

  const PruneGroup &group;
  const std::vector<double> &scores;
  std::vector<size_t> order;
  size_t taken = 0;
  double total = 0, left = 0;
};

/// Classes that the weights of nodes have positions in.
std::set<int32_t> collectClasses(const Coupling &coupling, const std::set<std::string> &nodes) {
  std::set<int32_t> classes;
  const ModelGraph &model = coupling.getModel();
  for (const onnx::NodeProto &node : model.graph().node()) {
    if (!nodes.count(node.name().empty() ? node.output(0) : node.name()))
      continue;
    for (const std::string &input : node.input())
      if (const std::vector<Axis> *axes = model.isConstant(input) ? coupling.find(input) : nullptr)
        for (const Axis &axis : *axes)
          for (int64_t k = 0; axis.isKnown() && k < axis.extent; ++k)
            classes.insert(coupling.getClass(axis.at(k)));
  }
  return classes;
}

class Chooser {
public:
  Chooser(const PruneSpace &space, const PruneRequest &request, const UnitScores &scores, const std::vector<double> &sensitivities, PruneChoice &choice)
      : space(space), request(request), sensitivities(sensitivities), choice(choice) {
    std::set<int32_t> kept = collectClasses(space.getCoupling(), request.kept);
    for (size_t k = 0; k < space.getGroups().size(); ++k) {
      const PruneGroup &group = space.getGroups()[k];
      queues.emplace_back(group, scores[k]);
      isKept.push_back(llvm::any_of(group.units, [&](int32_t unit) { return kept.count(unit) > 0; }));
    }
  }

  bool run(std::string &error) {
    if (request.operations)
      return reduceOperations(error);
    if (request.channels)
      removeShare(*request.channels, false);
    if (request.heads)
      removeShare(*request.heads, true);
    if (!choice.getRemoved().empty())
      return true;
    error = "option 'prune': no group of channels or heads can lose so few of them, or the model has none that may be cut";
    return false;
  }

private:
  struct Step {
    size_t group;
    std::vector<int32_t> units;
    double cost;
  };

  /// The cheapest step of some groups.
  std::optional<Step> findStep(const std::vector<size_t> &groups) const {
    std::optional<Step> best;
    for (size_t k : groups) {
      double loss = 0;
      std::vector<int32_t> units = isKept[k] ? std::vector<int32_t>() : queues[k].getNext(loss);
      if (units.empty() || !choice.mayRemove(units))
        continue;
      double gain = choice.measureGain(units), cost = sensitivities[k] * loss / std::max(gain, 1e-30);
      if (!best || cost < best->cost)
        best = Step{k, std::move(units), cost};
    }
    return best;
  }

  void take(const Step &step) {
    choice.remove(step.units);
    queues[step.group].take(step.units.size());
  }

  bool reduceOperations(std::string &error) {
    std::vector<size_t> all(queues.size());
    std::iota(all.begin(), all.end(), size_t(0));
    double before = choice.countOperations(), most = before * (1 - *request.operations);
    while (choice.countOperations() > most) {
      std::optional<Step> step = findStep(all);
      if (!step) {
        error = "option 'prune': " + std::to_string(static_cast<int>(100 * (1 - choice.countOperations() / before))) + " % of the operations can go at most";
        return false;
      }
      take(*step);
    }
    return true;
  }

  void removeShare(double share, bool isHeads) {
    std::vector<size_t> chosen;
    double total = 0;
    for (size_t k = 0; k < queues.size(); ++k)
      if (space.getGroups()[k].isHeads == isHeads) {
        chosen.push_back(k);
        total += static_cast<double>(space.getGroups()[k].units.size());
      }
    if (request.isGlobal)
      return removeCount(chosen, share * total);
    for (size_t k : chosen)
      removeCount({k}, share * static_cast<double>(space.getGroups()[k].units.size()));
  }

  /// Removes about so many units: a step that would overshoot by more than half of itself is not taken.
  void removeCount(const std::vector<size_t> &groups, double count) {
    double taken = 0;
    while (std::optional<Step> step = findStep(groups)) {
      auto size = static_cast<double>(step->units.size());
      if (taken + size / 2 > count)
        return;
      take(*step);
      taken += size;
    }
  }

  const PruneSpace &space;
  const PruneRequest &request;
  const std::vector<double> &sensitivities;
  PruneChoice &choice;
  std::vector<GroupQueue> queues;
  std::vector<bool> isKept; ///< by group: a node that stays as it is has a part in it
};

} // namespace

int64_t getKeptMultiple(int64_t extent) { return extent >= 256 ? 16 : extent >= 32 ? 8 : 1; }

bool chooseUnits(const PruneSpace &space, const PruneRequest &request, const UnitScores &scores, const std::vector<double> &sensitivities, PruneChoice &choice, std::string &error) {
  return Chooser(space, request, scores, sensitivities, choice).run(error);
}

std::vector<PrunedGroup> describeChoice(const PruneSpace &space, const PruneChoice &choice, const UnitScores &scores, const std::vector<double> &sensitivities) {
  std::vector<PrunedGroup> described;
  PruneChoice nothing(space);
  const Coupling &coupling = space.getCoupling();
  for (size_t k = 0; k < space.getGroups().size(); ++k) {
    const PruneGroup &group = space.getGroups()[k];
    PrunedGroup own{group.weights, group.axis, group.isHeads, static_cast<int64_t>(group.units.size()), {}, 0, 0, sensitivities[k], nothing.countOperations(group), choice.countOperations(group), 0, 0};
    double sum = 0, gone = 0;
    for (size_t u = 0; u < group.units.size(); ++u) {
      double score = scores.empty() ? 0 : scores[k][u];
      sum += score;
      if (!choice.isRemoved(group.units[u]))
        continue;
      own.removed.push_back(static_cast<int64_t>(u));
      gone += score;
    }
    size_t removed = own.removed.size(), kept = group.units.size() - removed;
    double mean = sum / static_cast<double>(group.units.size());
    if (mean > 0) {
      own.removedScore = removed ? gone / static_cast<double>(removed) / mean : 0;
      own.keptScore = kept ? (sum - gone) / static_cast<double>(kept) / mean : 0;
    }
    std::set<int32_t> units(group.units.begin(), group.units.end());
    for (const auto &[name, axes] : coupling.getValues()) {
      if (!coupling.getModel().isConstant(name))
        continue;
      bool isOwn = false;
      double share = 1;
      for (const Axis &axis : axes) {
        int64_t left = 0;
        for (int64_t p = 0; axis.isKnown() && p < axis.extent; ++p) {
          isOwn |= units.count(coupling.getClass(axis.at(p))) > 0;
          left += !choice.isRemoved(coupling.getClass(axis.at(p)));
        }
        share *= axis.isKnown() ? static_cast<double>(left) / static_cast<double>(axis.extent) : 1;
      }
      if (!isOwn)
        continue;
      own.bytesBefore += coupling.getModel().countBytes(name);
      own.bytesAfter += static_cast<uint64_t>(std::llround(share * static_cast<double>(coupling.getModel().countBytes(name))));
    }
    described.push_back(std::move(own));
  }
  return described;
}

bool repeatChoice(const PruneSpace &space, const std::vector<PrunedGroup> &groups, PruneChoice &choice, std::string &error) {
  for (const PrunedGroup &wanted : groups) {
    auto found = std::find_if(space.getGroups().begin(), space.getGroups().end(), [&](const PruneGroup &group) { return group.weights == wanted.weights && group.axis == wanted.axis; });
    std::string where = "the recipe: group of '" + wanted.weights + "': ";
    if (found == space.getGroups().end() || static_cast<int64_t>(found->units.size()) != wanted.units) {
      error = where + "the model has no such group of " + std::to_string(wanted.units) + " units";
      return false;
    }
    std::set<int32_t> units;
    for (int64_t number : wanted.removed) {
      if (number < 0 || number >= wanted.units) {
        error = where + "expected units from 0 to " + std::to_string(wanted.units - 1) + ", found " + std::to_string(number);
        return false;
      }
      units.insert(found->units[static_cast<size_t>(number)]);
    }
    if (!choice.mayRemove({units.begin(), units.end()})) {
      error = where + "too little would be left";
      return false;
    }
    choice.remove({units.begin(), units.end()});
  }
  return true;
}

} // namespace onager::compress
