// Matching chains from their quotient.
#include "lib/Compress/Slice/Norms.h"
#include "lib/Compress/Prune/Coupling.h"
#include <algorithm>

namespace onager::compress {

Readers::Readers(const ModelGraph &model) {
  for (const onnx::NodeProto &node : model.graph().node())
    for (const std::string &name : listReads(node))
      readers[name].push_back(&node);
  for (const onnx::ValueInfoProto &output : model.graph().output())
    outputs.insert(output.name());
}

const std::vector<const onnx::NodeProto *> &Readers::list(const std::string &value) const {
  static const std::vector<const onnx::NodeProto *> nobody;
  auto found = readers.find(value);
  return found == readers.end() ? nobody : found->second;
}

bool isNumber(const ModelGraph &model, const std::string &name, float *value) {
  std::optional<std::vector<int64_t>> dims = model.findDims(name);
  if (!dims || std::any_of(dims->begin(), dims->end(), [](int64_t extent) { return extent != 1; }))
    return false;
  if (value)
    *value = model.readWeights(name)->values.at(0);
  return true;
}

static onnx::NodeProto makeNode(const std::string &op, const std::string &name, const std::vector<std::string> &inputs, const std::string &output) {
  onnx::NodeProto node;
  node.set_op_type(op);
  node.set_name(name);
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

void splitSkips(ModelGraph &model) {
  std::vector<onnx::NodeProto> nodes;
  for (const onnx::NodeProto &node : model.graph().node()) {
    bool isSimple = node.op_type() == "SkipSimplifiedLayerNormalization", isSkip = isSimple || node.op_type() == "SkipLayerNormalization";
    if (!isSkip || node.domain() != "com.microsoft") {
      nodes.push_back(node);
      continue;
    }
    std::string name = node.name().empty() ? node.output(0) : node.name(), bias = getInput(node, isSimple ? 3 : 4);
    std::string sum = node.output_size() > 3 && !node.output(3).empty() ? node.output(3) : model.makeName(node.output(0) + "_sum");
    std::string first = bias.empty() ? sum : model.makeName(sum + "_plain");
    nodes.push_back(makeNode("Add", name + "_Add", {node.input(0), node.input(1)}, first));
    if (!bias.empty())
      nodes.push_back(makeNode("Add", name + "_Bias", {first, bias}, sum));
    std::vector<std::string> inputs = {sum, node.input(2)};
    if (!isSimple && !getInput(node, 3).empty())
      inputs.push_back(node.input(3));
    nodes.push_back(makeNode(isSimple ? "SimplifiedLayerNormalization" : "LayerNormalization", node.name(), inputs, node.output(0)));
    *nodes.back().mutable_attribute() = node.attribute();
  }
  model.setNodes(std::move(nodes));
  model.clean();
}

namespace {

class Matcher {
public:
  Matcher(const ModelGraph &model, const Readers &readers, const Shapes &shapes) : model(model), readers(readers), shapes(shapes) {}

  std::optional<Norm> match(const onnx::NodeProto &node) {
    norm = Norm();
    bool isFound = matchNode(node) || matchQuotient(node);
    auto dims = shapes.find(norm.input);
    if (!isFound || dims == shapes.end() || dims->second.empty() || dims->second.back() < 2)
      return std::nullopt;
    norm.width = dims->second.back();
    if (norm.op.empty())
      addScaleAndBias();
    bool isFit = hasWidth(norm.scale) && hasWidth(norm.bias) && isClosed();
    return isFit ? std::optional(norm) : std::nullopt;
  }

private:
  bool isLine(const std::string &name) const {
    std::optional<std::vector<int64_t>> dims = model.findDims(name);
    return dims && *dims == std::vector<int64_t>{norm.width};
  }
  bool hasWidth(const std::string &name) const { return name.empty() || isLine(name); }

  const onnx::NodeProto *find(const std::string &value, const std::string &op) const {
    const onnx::NodeProto *node = model.findProducer(value);
    return node && node->op_type() == op ? node : nullptr;
  }

  size_t countDims(const std::string &value) const {
    auto dims = shapes.find(value);
    return dims == shapes.end() ? 0 : dims->second.size();
  }

  bool matchNode(const onnx::NodeProto &node) {
    bool isCentred = node.op_type() == "LayerNormalization";
    if (!isCentred && node.op_type() != "RMSNormalization" && node.op_type() != "SimplifiedLayerNormalization")
      return false;
    int64_t axis = getInt(node, "axis", -1), rank = static_cast<int64_t>(countDims(node.input(0)));
    bool isAlone = std::all_of(node.output().begin() + 1, node.output().end(), [&](const std::string &name) { return model.countReaders(name) == 0; });
    if (!isAlone || rank == 0 || (axis != -1 && axis != rank - 1))
      return false;
    norm = {node.input(0), node.output(0), 0, isCentred, static_cast<double>(getFloat(node, "epsilon", 1e-5f)), getInput(node, 1), getInput(node, 2), node.op_type(), {node.output(0)}};
    return true;
  }

  /// The operand of a mean over the last dim, which is kept.
  std::string matchMean(const std::string &value) {
    const onnx::NodeProto *node = find(value, "ReduceMean");
    size_t rank = node ? countDims(node->input(0)) : 0;
    std::optional<std::vector<int64_t>> axes = node ? findAxes(model, *node, 1, rank) : std::nullopt;
    if (!rank || !axes || *axes != std::vector<int64_t>{static_cast<int64_t>(rank) - 1} || !getInt(*node, "keepdims", 1))
      return "";
    norm.nodes.insert(value);
    return node->input(0);
  }

  /// The x of x * x.
  std::string matchSquare(const std::string &value) {
    float power = 0;
    const onnx::NodeProto *pow = find(value, "Pow"), *mul = find(value, "Mul");
    bool isSquare = (pow && isNumber(model, pow->input(1), &power) && power == 2) || (mul && mul->input(0) == mul->input(1));
    if (!isSquare)
      return "";
    norm.nodes.insert(value);
    return (pow ? pow : mul)->input(0);
  }

  /// The x of sqrt(mean(x * x) + epsilon).
  std::string matchDeviation(const std::string &value) {
    const onnx::NodeProto *root = find(value, "Sqrt"), *sum = root ? find(root->input(0), "Add") : nullptr;
    for (int k = 0; sum && k < 2; ++k) {
      float epsilon = 0;
      if (!isNumber(model, sum->input(1 - k), &epsilon) || epsilon < 0)
        continue;
      norm.epsilon = static_cast<double>(epsilon);
      norm.nodes.insert({value, sum->output(0)});
      std::string square = matchMean(sum->input(k));
      return square.empty() ? "" : matchSquare(square);
    }
    return "";
  }

  /// x / s, x * (1 / s) or x * Reciprocal(s).
  bool matchQuotient(const onnx::NodeProto &node) {
    norm.output = node.op_type() == "Div" || node.op_type() == "Mul" ? node.output(0) : "";
    if (node.op_type() == "Div")
      return matchParts(node.input(0), node.input(1));
    for (int k = 0; node.op_type() == "Mul" && k < 2; ++k) {
      const onnx::NodeProto *inverse = find(node.input(k), "Reciprocal"), *quotient = find(node.input(k), "Div");
      float one = 0;
      bool isInverse = inverse || (quotient && isNumber(model, quotient->input(0), &one) && one == 1);
      if (!isInverse || !matchParts(node.input(1 - k), inverse ? inverse->input(0) : quotient->input(1)))
        continue;
      norm.nodes.insert(node.input(k));
      return true;
    }
    return false;
  }

  bool matchParts(const std::string &dividend, const std::string &divisor) {
    norm.nodes = {norm.output};
    if (matchDeviation(divisor) != dividend)
      return false;
    norm.input = dividend;
    const onnx::NodeProto *difference = find(dividend, "Sub");
    if (!difference)
      return true;
    std::set<std::string> nodes = norm.nodes;
    norm.isCentred = matchMean(difference->input(1)) == difference->input(0);
    if (!norm.isCentred) {
      norm.nodes = nodes;
      return true;
    }
    norm.input = difference->input(0);
    norm.nodes.insert(dividend);
    return true;
  }

  /// The constant that alone reads and scales or shifts what the norm gives.
  std::string absorb(const char *op) {
    const auto &nodes = readers.list(norm.output);
    if (nodes.size() != 1 || nodes[0]->op_type() != op || readers.isOutput(norm.output))
      return "";
    for (int k = 0; k < 2; ++k)
      if (nodes[0]->input(k) == norm.output && isLine(nodes[0]->input(1 - k))) {
        std::string constant = nodes[0]->input(1 - k);
        norm.output = nodes[0]->output(0);
        norm.nodes.insert(norm.output);
        return constant;
      }
    return "";
  }

  void addScaleAndBias() {
    norm.scale = absorb("Mul");
    norm.bias = absorb("Add");
  }

  /// True where nobody else reads what lies inside.
  bool isClosed() const {
    return std::all_of(norm.nodes.begin(), norm.nodes.end(), [&](const std::string &value) {
      const auto &nodes = readers.list(value);
      bool isInside = std::all_of(nodes.begin(), nodes.end(), [&](const onnx::NodeProto *node) { return norm.nodes.count(node->output(0)); });
      return value == norm.output || (isInside && !readers.isOutput(value));
    });
  }

  const ModelGraph &model;
  const Readers &readers;
  const Shapes &shapes;
  Norm norm;
};

} // namespace

std::vector<Norm> listNorms(const ModelGraph &model, const Readers &readers, const Shapes &shapes) {
  std::vector<Norm> norms;
  Matcher matcher(model, readers, shapes);
  for (const onnx::NodeProto &node : model.graph().node())
    if (node.output_size() > 0)
      if (std::optional<Norm> norm = matcher.match(node))
        norms.push_back(std::move(*norm));
  return norms;
}

} // namespace onager::compress
