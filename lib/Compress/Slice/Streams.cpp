// Walking from a norm's input to all that shares its basis.
#include "lib/Compress/Slice/Stream.h"
#include <algorithm>

namespace onager::compress {

static std::string describe(const onnx::NodeProto &node) { return "node '" + (node.name().empty() ? node.output(0) : node.name()) + "' (" + node.op_type() + ")"; }

namespace {

class Walk {
public:
  Walk(const ModelGraph &model, const Readers &readers, const Shapes &shapes, const std::vector<Norm> &norms) : model(model), readers(readers), rules(model, shapes), norms(norms) {
    for (const Norm &norm : norms)
      normOfOutput[norm.output] = &norm;
  }

  Stream run(const Norm &first) {
    stream = {};
    width = first.width;
    isWritten = isAdded = false;
    open = {first.input};
    while (!open.empty()) {
      std::string value = open.back();
      open.pop_back();
      if (!stream.values.insert(value).second)
        continue;
      visitProducer(value);
      visitReaders(value);
    }
    for (const Norm &norm : norms)
      if (stream.values.count(norm.input))
        stream.norms.push_back(norm);
    for (const Norm &norm : stream.norms)
      if (norm.isCentred != first.isCentred)
        fail("norms '" + first.output + "' and '" + norm.output + "' read it, of which one alone subtracts the mean");
    return std::move(stream);
  }

  /// True where layers write what was walked over, and additions carry it on: not what norms of single heads read, nor sums of tables.
  bool isResidual() const { return isWritten && isAdded; }

private:
  void fail(const std::string &reason) {
    if (stream.obstacle.empty())
      stream.obstacle = reason;
  }

  void visitProducer(const std::string &value) {
    if (rules.getWidth(value) != width)
      return fail("value '" + value + "' is not known to have " + std::to_string(width) + " columns");
    const onnx::NodeProto *node = model.findProducer(value);
    if (!node)
      return fail("value '" + value + "' is an input of the model");
    if (auto norm = normOfOutput.find(value); norm != normOfOutput.end())
      return fail(describe(*node) + " normalises behind an addition, on the path that the residual takes");
    std::vector<int> operands = rules.listOperands(*node, width);
    std::optional<Layer> layer = findProduct(model, *node);
    isWritten |= layer.has_value();
    if (operands.empty() && !layer)
      stream.entries.insert(value);
    size_t values = 0;
    for (int k : operands) {
      if (model.isConstant(node->input(k)))
        checkConstant(*node, node->input(k));
      else {
        open.push_back(node->input(k));
        ++values;
      }
    }
    isAdded |= node->op_type() == "Add" && values == 2;
  }

  void checkConstant(const onnx::NodeProto &node, const std::string &name) {
    std::optional<std::vector<int64_t>> dims = model.findDims(name);
    if (!dims || (!isNumber(model, name) && (dims->empty() || dims->back() != width)))
      fail(describe(node) + " reads constant '" + name + "', which is not f32 of " + std::to_string(width) + " columns");
  }

  void visitReaders(const std::string &value) {
    if (readers.isOutput(value))
      fail("value '" + value + "' is an output of the model");
    for (const onnx::NodeProto *node : readers.list(value)) {
      bool isNorm = std::any_of(norms.begin(), norms.end(), [&](const Norm &norm) { return norm.input == value && norm.nodes.count(node->output(0)); });
      if (isNorm || rules.ignoresWidth(*node, readers))
        continue;
      std::vector<int> operands = rules.listOperands(*node, width);
      bool isPassed = std::any_of(operands.begin(), operands.end(), [&](int k) { return node->input(k) == value; });
      if (isPassed)
        open.push_back(node->output(0));
      else
        fail("value '" + value + "' is read by " + describe(*node));
    }
  }

  const ModelGraph &model;
  const Readers &readers;
  RowRules rules;
  const std::vector<Norm> &norms;
  std::map<std::string, const Norm *> normOfOutput;
  Stream stream;
  int64_t width = 0;
  bool isWritten = false, isAdded = false;
  std::vector<std::string> open;
};

} // namespace

std::vector<Stream> findStreams(const ModelGraph &model) {
  Shapes shapes = inferShapes(model);
  Readers readers(model);
  std::vector<Norm> norms = listNorms(model, readers, shapes);
  Walk walk(model, readers, shapes, norms);
  std::vector<Stream> streams;
  std::set<std::string> seen;
  for (const Norm &norm : norms) {
    if (seen.count(norm.input))
      continue;
    Stream stream = walk.run(norm);
    seen.insert(stream.values.begin(), stream.values.end());
    if (walk.isResidual())
      streams.push_back(std::move(stream));
  }
  return streams;
}

} // namespace onager::compress
