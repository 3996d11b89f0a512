// Values inside both forms, side by side.
#include "NodeSearch.h"
#include "Exposure.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

namespace onager::cli {

namespace {

class Search {
public:
  Search(const Form &found, const Form &expected, const Data &data, const Judge &judge, size_t ownOutputs, int threads)
      : found(found), expected(expected), data(data), judge(judge.forValuesInside()), ownOutputs(ownOutputs), threads(threads), exposure(makeExposure(found, expected)) {}

  NodeFinding run() {
    CompiledSide mine(exposure->exposeAll(found), threads);
    std::unique_ptr<Side> theirs = openBeside(exposure->exposeAll(expected), mine, found.describe(), threads);
    std::vector<ValueErrors> values = compareSides(mine, *theirs, data, judge);
    // The model's own outputs come first, and are computed last.
    std::rotate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(std::min(ownOutputs, values.size())), values.end());
    findOverflow(values);
    std::vector<ValueErrors> inside(values.begin(), values.end() - static_cast<std::ptrdiff_t>(std::min(ownOutputs, values.size())));
    if (!nameFirst(inside))
      bisect(inside);
    if (finding.differing.empty())
      nameFirst(values);
    return finding;
  }

private:
  bool nameFirst(const std::vector<ValueErrors> &values) {
    for (const ValueErrors &value : values)
      if (!value.isFine) {
        finding.differing = exposure->getNode(value.name);
        return true;
      }
    return false;
  }

  /// Where one side alone has a number the difference is infinite.
  void findOverflow(const std::vector<ValueErrors> &values) {
    for (const ValueErrors &value : values) {
      uint64_t here = value.metrics.nonFinite;
      bool isElsewhere = !here && value.metrics.maxAbs > std::numeric_limits<double>::max();
      if (!here && !isElsewhere)
        continue;
      finding.overflowing = exposure->getNode(value.name);
      finding.overflowForm = here ? found.describe() : expected.describe();
      finding.overflows = here ? here : value.metrics.outside;
      finding.elements = value.metrics.elements;
      return;
    }
  }

  bool differsAlone(const std::string &value) {
    CompiledSide mine(exposure->exposeOne(found, value), threads);
    std::unique_ptr<Side> theirs = openBeside(exposure->exposeOne(expected, value), mine, found.describe(), threads);
    for (const ValueErrors &errors : compareSides(mine, *theirs, data, judge))
      if (errors.name == value)
        return !errors.isFine;
    return false;
  }

  void bisect(const std::vector<ValueErrors> &values) {
    size_t below = 0, above = values.size();
    while (below < above) {
      size_t middle = below + (above - below) / 2;
      if (differsAlone(values[middle].name))
        above = middle;
      else
        below = middle + 1;
    }
    if (below == values.size())
      return;
    finding.differing = exposure->getNode(values[below].name);
    finding.isFusedOnly = true;
  }

  const Form &found, &expected;
  const Data &data;
  Judge judge;
  size_t ownOutputs;
  int threads;
  std::unique_ptr<Exposure> exposure;
  NodeFinding finding;
};

} // namespace

NodeFinding findNode(const Form &found, const Form &expected, const Data &data, const Judge &judge, size_t ownOutputs, int threads) {
  return Search(found, expected, data, judge, ownOutputs, threads).run();
}

std::string describeFinding(const NodeFinding &finding) {
  std::string text;
  if (!finding.overflowing.empty())
    text = "first node with infinities or NaN: " + finding.overflowing + " (" + std::to_string(finding.overflows) + " of " + std::to_string(finding.elements) +
           " elements, in " + finding.overflowForm + ")\n";
  if (finding.differing.empty())
    return text + "no value inside the model differs; the node that computes an output does, or the reference form itself\n";
  return text + "first node that differs: " + finding.differing + (finding.isFusedOnly ? " (only where it is fused with others)" : "") + "\n";
}

} // namespace onager::cli
