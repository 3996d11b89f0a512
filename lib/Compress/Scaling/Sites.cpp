// Finding what takes up factors.
#include "lib/Compress/Scaling/Sites.h"
#include "lib/Compress/Prune/Coupling.h"
#include "lib/Compress/Prune/Unfold.h"
#include <algorithm>

namespace onager::compress {

namespace {

/// Which dim of a value its channels are.
enum class Place { second, last };

bool isStandard(const onnx::NodeProto &node) { return node.domain().empty() || node.domain() == "ai.onnx"; }

bool isOneOf(const onnx::NodeProto &node, std::initializer_list<const char *> ops) { return std::any_of(ops.begin(), ops.end(), [&](const char *op) { return node.op_type() == op; }); }

std::string describe(const onnx::NodeProto &node) { return "node '" + (node.name().empty() ? node.output(0) : node.name()) + "' (" + node.op_type() + ")"; }

/// Climbs from a value to what makes its channels.
class Climb {
public:
  Climb(const ModelGraph &model, ScalingSite &site) : model(model), site(site) {}

  bool run(Place place) { return climb(site.value, place); }

private:
  bool fail(const std::string &reason) {
    site.obstacle = reason;
    return false;
  }

  bool climb(const std::string &value, Place place) {
    const onnx::NodeProto *node = model.findProducer(value);
    if (!node)
      return fail("value '" + value + "' is an input or a constant");
    if (node->output(0) != value)
      return fail(describe(*node) + " gives the value as a further output");
    if (!isStandard(*node))
      return absorbMicrosoft(*node, place);
    if (isOneOf(*node, {"Relu", "LeakyRelu", "PRelu", "Identity", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}))
      return pass(node->input(0), place);
    if (isOneOf(*node, {"Flatten", "Reshape", "Squeeze"}))
      return passPlane(*node, place);
    if (isOneOf(*node, {"Add", "Mul"}))
      return absorbBinary(*node, place);
    if (isOneOf(*node, {"LayerNormalization", "RMSNormalization", "BatchNormalization", "InstanceNormalization"}))
      return absorbNormalization(*node, place);
    return absorbLayer(*node, place);
  }

  /// Goes on to a value, which nobody else may read.
  bool pass(const std::string &value, Place place) { return model.countReaders(value) == 1 ? climb(value, place) : fail("value '" + value + "' is read elsewhere, too"); }

  /// Images of one pixel become rows.
  bool passPlane(const onnx::NodeProto &node, Place place) {
    const onnx::NodeProto *pool = model.findProducer(node.input(0));
    bool isPooled = pool && isStandard(*pool) && isOneOf(*pool, {"GlobalAveragePool", "GlobalMaxPool"});
    return isPooled && place == Place::last ? pass(node.input(0), Place::second) : fail(describe(node) + " moves channels");
  }

  /// The dim of a constant that holds a number for each channel.
  std::optional<size_t> findAxis(const std::string &name, Place place) const {
    std::optional<std::vector<int64_t>> dims = model.findDims(name);
    if (!dims || dims->empty())
      return std::nullopt;
    // Images have two spatial dims; a line of numbers lies along the last dim of what it is added to.
    size_t axis = place == Place::last ? dims->size() - 1 : dims->size() - 3;
    if (place == Place::second && (dims->size() < 3 || dims->size() > 4))
      return std::nullopt;
    for (size_t k = 0; k < dims->size(); ++k)
      if ((*dims)[k] != (k == axis ? site.channels : 1))
        return std::nullopt;
    return axis;
  }

  bool absorb(const onnx::NodeProto &node, int input, size_t axis) {
    site.absorbers.push_back({node.output(0), input, axis});
    return true;
  }

  bool absorbBinary(const onnx::NodeProto &node, Place place) {
    bool isMul = node.op_type() == "Mul";
    for (int k = 0; k < 2; ++k) {
      if (!model.isConstant(node.input(k)))
        continue;
      if (std::optional<size_t> axis = findAxis(node.input(k), place)) {
        hasFactors |= isMul;
        absorb(node, k, *axis);
        return isMul || pass(node.input(1 - k), place);
      }
      std::optional<std::vector<int64_t>> dims = model.findDims(node.input(k));
      bool isNumber = dims && std::all_of(dims->begin(), dims->end(), [](int64_t extent) { return extent == 1; });
      hasFactors |= isMul;
      return isMul && isNumber ? pass(node.input(1 - k), place) : fail(describe(node) + " has a constant that is not one number for each channel");
    }
    if (!isMul)
      return fail(describe(node) + " adds another value");
    // A gate: one of both factors is enough.
    hasFactors = true;
    size_t count = site.absorbers.size();
    for (int k : {1, 0}) {
      site.obstacle.clear();
      if (pass(node.input(k), place))
        return true;
      site.absorbers.resize(count);
    }
    return false;
  }

  bool absorbNormalization(const onnx::NodeProto &node, Place place) {
    bool isPlanes = isOneOf(node, {"BatchNormalization", "InstanceNormalization"});
    if (isPlanes != (place == Place::second) || getInt(node, "axis", -1) != -1)
      return fail(describe(node) + " has its channels elsewhere");
    bool isFolded = !hasFactors && node.op_type() == "BatchNormalization" && model.countReaders(node.input(0)) == 1;
    hasFactors = true;
    const onnx::NodeProto *before = model.findProducer(node.input(0));
    if (isFolded && before && before->op_type() == "Conv")
      site.producer = findLayer(model, *before);
    return absorbLines(node, {1, 2});
  }

  bool absorbMicrosoft(const onnx::NodeProto &node, Place place) {
    hasFactors = true;
    if (place == Place::last && node.op_type() == "SkipLayerNormalization")
      return absorbLines(node, {2, 3});
    if (place == Place::last && node.op_type() == "SkipSimplifiedLayerNormalization")
      return absorbLines(node, {2});
    if (place == Place::last && node.op_type() == "SimplifiedLayerNormalization")
      return absorbLines(node, {1});
    return fail(describe(node) + " does not pass factors on");
  }

  /// Constants of one number for each channel, of which the last may be missing.
  bool absorbLines(const onnx::NodeProto &node, std::initializer_list<int> inputs) {
    for (int k : inputs) {
      if (k >= node.input_size() || node.input(k).empty())
        continue;
      std::optional<size_t> axis = findAxis(node.input(k), Place::last);
      if (!axis)
        return fail(describe(node) + " has no constant number for each channel");
      absorb(node, k, *axis);
    }
    return true;
  }

  bool absorbLayer(const onnx::NodeProto &node, Place place) {
    std::optional<Layer> layer = findLayer(model, node);
    if (!layer || layer->isTable() || layer->isTransposedConv())
      return fail(describe(node) + (node.op_type() == "Clip" ? " clips at a fixed bound, which factors would move" : " does not pass factors on"));
    bool isConv = node.op_type() == "Conv";
    if (isConv != (place == Place::second) || layer->dims[static_cast<size_t>(layer->channelAxis)] != site.channels)
      return fail(describe(node) + " has its channels elsewhere");
    if (layer->transpose && model.countReaders(layer->transpose->output(0)) != 1)
      return fail("the weights of " + describe(node) + " are read elsewhere, too");
    absorb(layer->transpose ? *layer->transpose : node, layer->transpose ? 0 : 1, static_cast<size_t>(layer->channelAxis));
    if (!layer->bias.empty()) {
      std::optional<size_t> axis = findAxis(layer->bias, Place::last);
      if (!axis)
        return fail(describe(node) + " has a bias that is not one constant number for each channel");
      absorb(node, 2, *axis);
    }
    if (!hasFactors)
      site.producer = std::move(layer);
    return true;
  }

  const ModelGraph &model;
  ScalingSite &site;
  bool hasFactors = false; ///< more than a bias lies between the layer and the value
};

int64_t countChannels(const Layer &layer) { return layer.dims[layer.node->op_type() == "Conv" ? 1 : 1 - static_cast<size_t>(layer.channelAxis)] * static_cast<int64_t>(countGroups(layer)); }

} // namespace

bool ScalingSite::isDepthwise() const {
  return std::all_of(readers.begin(), readers.end(), [&](const Layer &layer) { return layer.node->op_type() == "Conv" && layer.dims.size() == 4 && layer.dims[1] == 1 && channels > 1; });
}

bool ScalingSite::canInsert() const {
  return isDepthwise() || std::all_of(readers.begin(), readers.end(), [](const Layer &layer) { return layer.node->op_type() != "Conv"; });
}

std::vector<ScalingSite> listSites(const ModelGraph &model) {
  std::vector<ScalingSite> sites;
  std::map<std::string, size_t> positions;
  for (const onnx::NodeProto &node : model.graph().node()) {
    std::optional<Layer> layer = findLayer(model, node);
    if (!layer || layer->isTable() || layer->isTransposedConv() || getInt(node, "transA", 0) || (layer->transpose && model.countReaders(layer->transpose->output(0)) != 1))
      continue;
    auto [found, isNew] = positions.emplace(layer->input, sites.size());
    if (isNew)
      sites.push_back({layer->input, countChannels(*layer), {}, {}, {}, {}});
    sites[found->second].readers.push_back(std::move(*layer));
  }
  for (ScalingSite &site : sites) {
    bool isConv = site.readers[0].node->op_type() == "Conv";
    if (model.countReaders(site.value) != site.readers.size())
      site.obstacle = "value '" + site.value + "' is read by others than layers";
    else
      Climb(model, site).run(isConv ? Place::second : Place::last);
    if (!site.obstacle.empty())
      site.absorbers.clear();
  }
  return sites;
}

namespace {

class FactorWriter {
public:
  FactorWriter(ModelGraph &model, const ScalingSite &site, const std::vector<float> &factors) : model(model), site(site), factors(factors) {
    for (onnx::NodeProto &node : *model.graph().mutable_node())
      nodes[node.output(0)] = &node;
  }

  void divideAbsorbers() {
    for (const Absorber &absorber : site.absorbers) {
      size_t axis = absorber.axis;
      change(absorber.output, absorber.input, [&](const std::vector<int64_t> &dims, size_t k) { return 1 / factors[getPosition(dims, axis, k)]; });
    }
  }

  void multiplyReaders() {
    for (const Layer &layer : site.readers) {
      bool isConv = layer.node->op_type() == "Conv";
      size_t axis = isConv ? 1 : 1 - static_cast<size_t>(layer.channelAxis), groups = countGroups(layer);
      const std::string &output = layer.transpose ? layer.transpose->output(0) : layer.node->output(0);
      change(output, layer.transpose ? 0 : 1, [&](const std::vector<int64_t> &dims, size_t k) {
        // Group after group reads its own channels.
        size_t outputs = static_cast<size_t>(dims[0]), own = static_cast<size_t>(dims[axis]), group = isConv ? getPosition(dims, 0, k) / (outputs / groups) : 0;
        return factors[group * own + getPosition(dims, axis, k)];
      });
    }
  }

  void insert() {
    std::vector<float> reciprocals;
    for (float factor : factors)
      reciprocals.push_back(1 / factor);
    onnx::NodeProto mul;
    mul.set_op_type("Mul");
    mul.set_name(model.makeName(site.value + "_Mul"));
    mul.add_input(site.value);
    mul.add_input(model.addConstant(site.value + "_factors", site.isDepthwise() ? std::vector<int64_t>{site.channels, 1, 1} : std::vector<int64_t>{site.channels}, onnx::TensorProto::FLOAT,
                                  {reinterpret_cast<const char *>(reciprocals.data()), reciprocals.size() * sizeof(float)}));
    mul.add_output(model.makeName(site.value + "_scaled"));
    std::set<const onnx::NodeProto *> readers;
    for (const Layer &layer : site.readers)
      readers.insert(layer.node);
    std::vector<onnx::NodeProto> all;
    bool isThere = false;
    for (const onnx::NodeProto &node : model.graph().node()) {
      bool isReader = readers.count(&node);
      if (isReader && !isThere)
        all.push_back(mul);
      isThere |= isReader;
      all.push_back(node);
      if (isReader)
        all.back().set_input(0, mul.output(0));
    }
    model.setNodes(std::move(all));
  }

private:
  static size_t getPosition(const std::vector<int64_t> &dims, size_t axis, size_t element) {
    size_t inner = 1;
    for (size_t k = axis + 1; k < dims.size(); ++k)
      inner *= static_cast<size_t>(dims[k]);
    return element / inner % static_cast<size_t>(dims[axis]);
  }

  /// Multiplies a constant operand; one that others read as well gets a copy.
  template <typename GetFactor>
  void change(const std::string &output, int input, GetFactor getFactor) {
    onnx::NodeProto &node = *nodes.at(output);
    Weights weights = *model.readWeights(node.input(input));
    for (size_t k = 0; k < weights.values.size(); ++k)
      weights.values[k] *= getFactor(weights.dims, k);
    if (model.countReaders(node.input(input)) == 1)
      return writeConstant(model, node.input(input), weights.values);
    node.set_input(input, model.addConstant(node.input(input) + "_scaled", weights.dims, onnx::TensorProto::FLOAT,
                                            {reinterpret_cast<const char *>(weights.values.data()), weights.values.size() * sizeof(float)}));
  }

  ModelGraph &model;
  const ScalingSite &site;
  const std::vector<float> &factors;
  std::map<std::string, onnx::NodeProto *> nodes;
};

} // namespace

void applyFactors(ModelGraph &model, const ScalingSite &site, const std::vector<float> &factors, bool isInserted) {
  FactorWriter writer(model, site, factors);
  writer.multiplyReaders();
  if (isInserted)
    writer.insert();
  else
    writer.divideAbsorbers();
  model.clean();
}

} // namespace onager::compress
