// Cross-layer equalisation: for each channel sqrt(range of what makes it / range of what reads it).
#include "lib/Compress/Scaling/Scaling.h"
#include <algorithm>
#include <cmath>

namespace onager::compress {

namespace {

/// The weights of all layers as [outputs, terms], as they are by now.
using Matrices = std::map<std::string, Rows>;

/// A pair of layers, which may be chained: the second of one is the first of the next.
struct Pair {
  const ScalingSite *site;
  std::vector<float> factors;
};

/// Shows the weights of each output that read one channel of the input.
template <typename Visit>
void visitTaps(const Layer &layer, Rows &weights, Visit visit) {
  bool isConv = layer.node->op_type() == "Conv";
  size_t own = isConv ? static_cast<size_t>(layer.dims[1]) : weights.terms, taps = weights.terms / own, perGroup = weights.count / countGroups(layer);
  for (size_t n = 0; n < weights.count; ++n)
    for (size_t c = 0; c < own; ++c)
      visit(n / perGroup * own + c, weights.values.data() + n * weights.terms + c * taps, taps);
}

float findRange(const float *weights, size_t count) {
  float range = 0;
  for (size_t k = 0; k < count; ++k)
    range = std::max(range, std::abs(weights[k]));
  return range;
}

/// A layer's weights with what a BatchNormalization behind it multiplies them by.
Rows readFolded(const ModelGraph &model, const Layer &layer, const std::map<std::string, const onnx::NodeProto *> &normalizations) {
  Rows rows = readMatrix(model, layer);
  auto found = normalizations.find(layer.node->output(0));
  if (found == normalizations.end() || model.countReaders(found->first) != 1)
    return rows;
  std::optional<Weights> scale = model.readWeights(found->second->input(1)), variance = model.readWeights(found->second->input(4));
  if (!scale || !variance || scale->values.size() != rows.count || variance->values.size() != rows.count)
    return rows;
  float epsilon = getFloat(*found->second, "epsilon", 1e-5f);
  for (size_t k = 0; k < rows.values.size(); ++k)
    rows.values[k] *= scale->values[k / rows.terms] / std::sqrt(variance->values[k / rows.terms] + epsilon);
  return rows;
}

/// Moves one pair's ranges together; returns by how much.
double balance(Pair &pair, Matrices &matrices) {
  const Layer &first = *pair.site->producer, &second = pair.site->readers[0];
  Rows &made = matrices.at(first.name), &read = matrices.at(second.name);
  std::vector<float> before(pair.factors.size()), behind(before.size()), steps(before.size());
  for (size_t n = 0; n < made.count; ++n)
    before[n] = findRange(made.values.data() + n * made.terms, made.terms);
  visitTaps(second, read, [&](size_t c, const float *weights, size_t count) { behind[c] = std::max(behind[c], findRange(weights, count)); });
  double moved = 0;
  for (size_t c = 0; c < steps.size(); ++c) {
    // A channel that nothing makes or nobody reads has no range to share.
    float step = before[c] > 0 && behind[c] > 0 ? std::sqrt(before[c] / behind[c]) : 1;
    bool isFine = std::isnormal(step) && std::isnormal(pair.factors[c] * step);
    steps[c] = isFine ? step : 1;
    pair.factors[c] *= steps[c];
    moved = std::max(moved, std::abs(static_cast<double>(steps[c]) - 1));
  }
  for (size_t k = 0; k < made.values.size(); ++k)
    made.values[k] /= steps[k / made.terms];
  visitTaps(second, read, [&](size_t c, float *weights, size_t count) { std::for_each(weights, weights + count, [&](float &weight) { weight *= steps[c]; }); });
  return moved;
}

std::string explain(const ScalingSite &site) {
  if (!site.obstacle.empty())
    return site.obstacle;
  if (site.readers.size() > 1)
    return "several layers read the value";
  return site.producer ? "" : "no layer makes the value";
}

} // namespace

void equalize(ModelGraph &model, Scalings &scalings) {
  constexpr int kMostTurns = 20;
  constexpr double kLeastMove = 1e-3;
  std::vector<ScalingSite> sites = listSites(model);
  std::vector<Pair> pairs;
  Matrices matrices;
  std::map<std::string, const onnx::NodeProto *> normalizations;
  for (const onnx::NodeProto &node : model.graph().node())
    if (node.op_type() == "BatchNormalization" && node.input_size() == 5)
      normalizations[node.input(0)] = &node;
  for (const ScalingSite &site : sites) {
    if (std::string reason = explain(site); !reason.empty()) {
      scalings.left.push_back({ScalingMethod::cle, site.value, reason});
      continue;
    }
    for (const Layer *layer : {&*site.producer, &site.readers[0]})
      matrices.try_emplace(layer->name, readFolded(model, *layer, normalizations));
    pairs.push_back({&site, std::vector<float>(static_cast<size_t>(site.channels), 1)});
  }
  double moved = 1;
  for (int turn = 0; turn < kMostTurns && moved > kLeastMove; ++turn) {
    moved = 0;
    for (Pair &pair : pairs)
      moved = std::max(moved, balance(pair, matrices));
  }
  std::string error;
  for (Pair &pair : pairs) {
    scalings.done.push_back({ScalingMethod::cle, pair.site->value, 0, false, std::move(pair.factors)});
    repeatScaling(model, scalings.done.back(), error);
  }
}

} // namespace onager::compress
