// Compiles both forms with the values inside the model as outputs.
//
// 1. All values of both forms are compared in program order. Often the first that differs is found so.
// 2. A value that is an output is not fused with others. Where nothing differs so, the fault lies in a fusion: values are then exposed one at a time,
//    which leaves all other fusions as they are, and the first that differs is found by bisection.
#include "FirstDifference.h"
#include "Session.h"
#include <map>

namespace onager::cli {

namespace {

/// A value inside the model: the node it belongs to and what a form computes for it.
struct Exposed {
  std::string node;
  Tensor value;
};

class Search {
public:
  Search(const ModelSource &source, const CompileOptions &options, int threads, std::vector<Tensor> &inputs, size_t ownOutputs, const IsNear &isNear)
      : source(source), options(options), threads(threads), inputs(inputs), ownOutputs(ownOutputs), isNear(isNear) {}

  std::string run() {
    CompileOptions reference = options, optimised = options;
    reference.optLevel = 0;
    reference.exposeAll = optimised.exposeAll = true;
    expected = compute(reference);
    std::map<int64_t, Exposed> found = compute(optimised);
    for (const auto &[position, value] : found)
      if (differs(position, value.value))
        return "first node that differs: " + value.node;
    return bisect();
  }

private:
  /// Runs a form and returns what it exposes, by position.
  std::map<int64_t, Exposed> compute(const CompileOptions &form) {
    Artifact artifact = compileSource(source, form);
    Session session(artifact.path, threads);
    session.bind(inputs);
    session.run();
    std::vector<Tensor> outputs = session.copyOutputs();
    std::map<int64_t, Exposed> values;
    for (size_t k = ownOutputs; k < outputs.size(); ++k) {
      std::string name = session.getOutputName(k); // POSITION:NODE
      values[std::stoll(name)] = {name.substr(name.find(':') + 1), std::move(outputs[k])};
    }
    return values;
  }

  bool differs(int64_t position, const Tensor &value) const {
    auto reference = expected.find(position);
    return reference != expected.end() && !isNear(value, reference->second.value);
  }

  bool differsAlone(int64_t position) {
    CompileOptions form = options;
    form.exposed = {position};
    std::map<int64_t, Exposed> found = compute(form);
    return !found.empty() && differs(position, found.begin()->second.value);
  }

  std::string bisect() {
    int64_t below = 0, above = expected.empty() ? 0 : expected.rbegin()->first + 1;
    int64_t end = above;
    while (below < above) {
      int64_t middle = below + (above - below) / 2;
      if (differsAlone(middle))
        above = middle;
      else
        below = middle + 1;
    }
    if (below == end)
      return "no value inside the model differs; the node that computes an output does, or the reference form itself";
    return "first node that differs: " + expected[below].node + " (only where it is fused with others)";
  }

  const ModelSource &source;
  const CompileOptions &options;
  int threads;
  std::vector<Tensor> &inputs;
  size_t ownOutputs; ///< the model's, before those that are exposed
  const IsNear &isNear;
  std::map<int64_t, Exposed> expected; ///< of the reference form
};

} // namespace

std::string findFirstDifference(const ModelSource &source, const CompileOptions &options, int threads, std::vector<Tensor> &inputs, size_t ownOutputs,
                                const IsNear &isNear) {
  return Search(source, options, threads, inputs, ownOutputs, isNear).run();
}

} // namespace onager::cli
