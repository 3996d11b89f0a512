// Means and ends of values, node by node.
#include "lib/Compress/NormRanges.h"
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

namespace onager::compress {

namespace {

using Function = std::function<double(double)>;

bool isStandard(const onnx::NodeProto &node) { return node.domain().empty() || node.domain() == "ai.onnx"; }

double applySigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// The mean of max(x, 0) for normal x.
double rectifyMean(double mean, double deviation) {
  if (!(deviation > 0))
    return std::max(0.0, mean);
  double z = mean / deviation;
  return mean * 0.5 * std::erfc(-z / std::numbers::sqrt2) + deviation * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
}

/// A function that never falls, at a spread's ends and mean.
Spread apply(Spread spread, const Function &function) {
  for (std::vector<double> *part : {&spread.mean, &spread.least, &spread.most})
    std::transform(part->begin(), part->end(), part->begin(), function);
  return spread;
}

Spread limitTo(double least, double most) { return {{(least + most) / 2}, {least}, {most}}; }

/// One entry for all channels.
Spread merge(const Spread &spread) {
  double sum = 0;
  for (double mean : spread.mean)
    sum += mean;
  return {{sum / static_cast<double>(spread.mean.size())}, {*std::min_element(spread.least.begin(), spread.least.end())}, {*std::max_element(spread.most.begin(), spread.most.end())}};
}

/// Two spreads of as many channels.
void align(Spread &a, Spread &b) {
  if (a.mean.size() == b.mean.size())
    return;
  a = merge(a);
  b = merge(b);
}

} // namespace

NormRanges::NormRanges(const ModelGraph &model, double deviations) : model(model), deviations(deviations) {
  for (const onnx::NodeProto &node : model.graph().node())
    if (isStandard(node) && node.op_type() == "BatchNormalization")
      readers.emplace(node.input(0), &node);
}

std::optional<Range> NormRanges::find(const std::string &value) {
  const Found &found = trace(value);
  if (!found)
    return std::nullopt;
  Spread all = merge(*found);
  bool isFine = std::isfinite(all.least[0]) && std::isfinite(all.most[0]);
  return isFine ? std::optional(Range{std::min(0.0, all.least[0]), std::max(0.0, all.most[0])}) : std::nullopt;
}

const NormRanges::Found &NormRanges::trace(const std::string &value) {
  auto [found, isNew] = known.try_emplace(value);
  if (isNew)
    found->second = compute(value);
  return found->second;
}

NormRanges::Found NormRanges::compute(const std::string &value) {
  if (std::optional<Weights> constant = model.readWeights(value); constant && !constant->values.empty()) {
    std::vector<double> values(constant->values.begin(), constant->values.end());
    return merge({values, values, values});
  }
  const onnx::NodeProto *producer = model.findProducer(value);
  Found found = producer && isStandard(*producer) ? passNode(*producer) : std::nullopt;
  if (auto reader = readers.find(value); !found && reader != readers.end())
    return readNorm(*reader->second, 3, 4, true);
  return found;
}

NormRanges::Found NormRanges::readNorm(const onnx::NodeProto &node, int mean, int deviation, bool isVariance) const {
  if (node.input_size() != 5)
    return std::nullopt;
  std::optional<Weights> means = model.readWeights(node.input(mean)), deviates = model.readWeights(node.input(deviation));
  if (!means || !deviates || means->values.empty() || means->values.size() != deviates->values.size())
    return std::nullopt;
  Spread spread;
  for (size_t k = 0; k < means->values.size(); ++k) {
    double width = deviations * (isVariance ? std::sqrt(std::max(0.0, static_cast<double>(deviates->values[k]))) : std::abs(static_cast<double>(deviates->values[k])));
    spread.mean.push_back(means->values[k]);
    spread.least.push_back(means->values[k] - width);
    spread.most.push_back(means->values[k] + width);
  }
  return spread;
}

NormRanges::Found NormRanges::passNode(const onnx::NodeProto &node) {
  auto isOneOf = [&](std::initializer_list<const char *> ops) { return std::find(ops.begin(), ops.end(), node.op_type()) != ops.end(); };
  if (isOneOf({"BatchNormalization"}))
    return readNorm(node, 2, 1, false);
  if (isOneOf({"Sigmoid", "HardSigmoid", "Softmax"}))
    return limitTo(0, 1);
  if (isOneOf({"Tanh"}))
    return limitTo(-1, 1);
  if (isOneOf({"Identity", "Dropout", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Upsample"}))
    return trace(node.input(0));
  if (isOneOf({"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split"})) {
    const Found &found = trace(node.input(0));
    return found ? Found(merge(*found)) : found;
  }
  if (isOneOf({"Add"}))
    return add(node);
  if (isOneOf({"Mul"}))
    return multiply(node);
  if (isOneOf({"Concat"}))
    return join(node);
  return passFunction(node);
}

NormRanges::Found NormRanges::passFunction(const onnx::NodeProto &node) {
  const std::string &op = node.op_type();
  bool isKnown = op == "Relu" || op == "Clip" || op == "LeakyRelu" || op == "Elu" || op == "HardSwish";
  Found from = isKnown ? trace(node.input(0)) : std::nullopt;
  if (!from)
    return std::nullopt;
  if (op == "LeakyRelu" || op == "Elu") {
    double alpha = getFloat(node, "alpha", op == "Elu" ? 1.0f : 0.01f);
    return apply(std::move(*from), [&](double x) { return x > 0 ? x : alpha * (op == "Elu" ? std::expm1(x) : x); });
  }
  if (op == "HardSwish") {
    // It falls from 0 at -3 to its least at -1.5.
    constexpr double kLeast = -0.375;
    Spread spread = apply(*from, [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); });
    for (size_t k = 0; k < spread.least.size(); ++k)
      spread.least[k] = from->least[k] < -1.5 ? kLeast : spread.least[k];
    return spread;
  }
  auto readBound = [&](const char *attribute, int input, float otherwise) {
    std::optional<Weights> bound = input < node.input_size() ? model.readWeights(node.input(input)) : std::nullopt;
    return static_cast<double>(bound && bound->values.size() == 1 ? bound->values[0] : getFloat(node, attribute, otherwise));
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  double least = op == "Relu" ? 0 : readBound("min", 1, -kInfinity), most = op == "Relu" ? kInfinity : readBound("max", 2, kInfinity);
  Spread spread = *from;
  if (least == 0)
    for (size_t k = 0; k < spread.mean.size(); ++k)
      spread.mean[k] = rectifyMean(spread.mean[k], (spread.most[k] - spread.mean[k]) / deviations);
  return apply(std::move(spread), [&](double x) { return std::clamp(x, least, std::max(least, most)); });
}

NormRanges::Found NormRanges::add(const onnx::NodeProto &node) {
  Found a = trace(node.input(0)), b = trace(node.input(1));
  if (!a || !b)
    return std::nullopt;
  align(*a, *b);
  for (size_t k = 0; k < a->mean.size(); ++k) {
    double mean = a->mean[k] + b->mean[k];
    a->least[k] = mean - std::hypot(a->mean[k] - a->least[k], b->mean[k] - b->least[k]);
    a->most[k] = mean + std::hypot(a->most[k] - a->mean[k], b->most[k] - b->mean[k]);
    a->mean[k] = mean;
  }
  return a;
}

NormRanges::Found NormRanges::multiply(const onnx::NodeProto &node) {
  Found a = trace(node.input(0)), b = trace(node.input(1));
  if (!a || !b)
    return std::nullopt;
  const onnx::NodeProto *left = model.findProducer(node.input(0)), *right = model.findProducer(node.input(1));
  auto gates = [](const onnx::NodeProto *gate, const std::string &value) { return gate && gate->op_type() == "Sigmoid" && gate->input(0) == value; };
  if (gates(left, node.input(1)) || gates(right, node.input(0))) {
    // SiLU, whose least is at -1.28.
    constexpr double kLeast = -0.2785;
    Spread spread = apply(gates(left, node.input(1)) ? *b : *a, [](double x) { return x * applySigmoid(x); });
    for (double &least : spread.least)
      least = std::min(least, kLeast);
    return spread;
  }
  align(*a, *b);
  for (size_t k = 0; k < a->mean.size(); ++k) {
    auto [least, most] = std::minmax({a->least[k] * b->least[k], a->least[k] * b->most[k], a->most[k] * b->least[k], a->most[k] * b->most[k]});
    a->mean[k] *= b->mean[k];
    a->least[k] = least;
    a->most[k] = most;
  }
  return a;
}

NormRanges::Found NormRanges::join(const onnx::NodeProto &node) {
  Spread all;
  bool isByChannel = getInt(node, "axis", 1) == 1;
  for (const std::string &input : node.input()) {
    const Found &found = trace(input);
    if (!found)
      return std::nullopt;
    isByChannel &= found->mean.size() > 1;
    const Spread &part = *found;
    for (auto member : {&Spread::mean, &Spread::least, &Spread::most})
      (all.*member).insert((all.*member).end(), (part.*member).begin(), (part.*member).end());
  }
  if (all.mean.empty())
    return std::nullopt;
  return isByChannel ? all : merge(all);
}

} // namespace onager::compress
