// Node by node: norms lose their scales, constants are rotated, and products go where neither can take the rotation up.
#include "lib/Compress/Slice/Slicing.h"
#include "lib/Compress/Prune/Refit.h"
#include <cmath>
#include <cstring>

namespace onager::compress {

namespace {

std::string toBytes(const std::vector<float> &values) { return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)}; }

class Slicer {
public:
  Slicer(ModelGraph &model, const Stream &stream, const std::map<std::string, Rotation> &bases, SlicedLayers &layers)
      : model(model), stream(stream), bases(bases), layers(layers), shapes(inferShapes(model)), readers(model), rules(model, shapes), width(stream.getWidth()), kept(bases.begin()->second.columns) {
    for (const auto &[value, basis] : bases)
      writing[value] = stream.isCentred() ? centre(basis) : basis;
    for (const Norm &norm : stream.norms)
      for (const std::string &node : norm.nodes)
        normOfNode[node] = &norm;
  }

  void run() {
    assignBases();
    for (const Norm &norm : stream.norms)
      foldReaders(norm);
    for (const onnx::NodeProto &node : model.graph().node())
      rewrite(node);
    model.setNodes(std::move(nodes));
    model.graph().clear_value_info();
    model.clean();
  }

private:
  // Bases: by the name of the value that a norm reads.

  /// Values that no norm reads have the basis of what they are added to.
  void assignBases() {
    for (const Norm &norm : stream.norms)
      basisOf[norm.input] = bases.count(norm.input) ? norm.input : bases.begin()->first;
    for (int k = model.graph().node_size(); k-- > 0;) {
      const onnx::NodeProto &node = model.graph().node(k);
      if (node.output_size() == 0 || !stream.values.count(node.output(0)))
        continue;
      const std::string &own = basisOf.try_emplace(node.output(0), bases.begin()->first).first->second;
      for (int operand : rules.listOperands(node, width))
        basisOf.try_emplace(node.input(operand), own);
    }
  }

  // Readers: values that hold what a norm gives in the stream's basis, up to the layers that fold it.

  bool isFoldable(const std::string &value, const onnx::NodeProto &node) const {
    std::optional<Layer> layer = findProduct(model, node);
    if (layer && layer->input == value)
      return true;
    if (rules.ignoresWidth(node, readers))
      return true;
    if (!rules.isMove(node, width) || node.input(0) != value || readers.isOutput(node.output(0)))
      return false;
    const auto &next = readers.list(node.output(0));
    return std::all_of(next.begin(), next.end(), [&](const onnx::NodeProto *reader) { return isFoldable(node.output(0), *reader); });
  }

  void mark(const std::string &value, const onnx::NodeProto &node, const Norm &norm) {
    folded[value] = &norm;
    if (rules.isMove(node, width))
      for (const onnx::NodeProto *reader : readers.list(node.output(0)))
        mark(node.output(0), *reader, norm);
  }

  void foldReaders(const Norm &norm) {
    std::string narrow = norm.output;
    std::vector<const onnx::NodeProto *> fit;
    for (const onnx::NodeProto *node : readers.list(norm.output))
      if (isFoldable(norm.output, *node))
        fit.push_back(node);
    if (fit.size() < readers.list(norm.output).size() || readers.isOutput(norm.output))
      narrow = narrowOf[norm.output] = model.makeName(norm.output + "_sliced");
    for (const onnx::NodeProto *node : fit) {
      if (narrow != norm.output)
        renamed[node->output(0)] = narrow;
      mark(norm.output, *node, norm);
    }
  }

  // Nodes.

  void rewrite(const onnx::NodeProto &node) {
    auto norm = node.output_size() ? normOfNode.find(node.output(0)) : normOfNode.end();
    if (norm != normOfNode.end()) {
      if (norm->second->output == node.output(0))
        addNorm(*norm->second, node.domain());
      return;
    }
    onnx::NodeProto copy = node;
    bool isHeld = node.output_size() && stream.values.count(node.output(0));
    const Norm *read = findRead(node);
    std::optional<Layer> layer = findProduct(model, node);
    if (layer && (read || isHeld))
      return rewriteLayer(*layer, read, isHeld);
    if (auto found = node.output_size() ? renamed.find(node.output(0)) : renamed.end(); found != renamed.end())
      copy.set_input(0, found->second);
    if (isHeld && stream.entries.count(node.output(0)))
      return addEntry(std::move(copy));
    if (isHeld)
      rewriteOperands(copy);
    if ((isHeld || read) && node.op_type() == "Reshape")
      narrowReshape(node, copy);
    nodes.push_back(std::move(copy));
  }

  /// The norm whose values a node reads in the stream's basis.
  const Norm *findRead(const onnx::NodeProto &node) const {
    auto found = node.input_size() ? folded.find(node.input(0)) : folded.end();
    return found != folded.end() && isFoldable(node.input(0), node) ? found->second : nullptr;
  }

  onnx::NodeProto &add(const std::string &op, const std::vector<std::string> &inputs, const std::string &output) {
    onnx::NodeProto &node = nodes.emplace_back();
    node.set_op_type(op);
    node.set_name(model.makeName(output + "_" + op));
    for (const std::string &input : inputs)
      node.add_input(input);
    node.add_output(output);
    return node;
  }

  std::string addFloats(const std::string &base, const std::vector<int64_t> &dims, const std::vector<float> &values) { return model.addConstant(base, dims, onnx::TensorProto::FLOAT, toBytes(values)); }

  std::string addMatrix(const std::string &base, const Rotation &matrix) {
    return addFloats(base, {static_cast<int64_t>(matrix.rows), static_cast<int64_t>(matrix.columns)}, {matrix.values.begin(), matrix.values.end()});
  }

  /// sqrt(width / kept) and the epsilon that goes with it: see Stream.h.
  double getRatio() const { return static_cast<double>(width) / static_cast<double>(kept); }

  void addNorm(const Norm &norm, const std::string &domain) {
    auto found = narrowOf.find(norm.output);
    const std::string &y = found == narrowOf.end() ? norm.output : found->second;
    auto epsilon = static_cast<float>(norm.epsilon * getRatio());
    bool isNode = norm.op == "RMSNormalization" || norm.op == "SimplifiedLayerNormalization";
    if (isNode)
      addRmsNode(norm, domain, y, epsilon);
    else
      addRmsChain(norm, y, epsilon);
    if (found != narrowOf.end())
      addRestored(norm, y);
  }

  void addRmsNode(const Norm &norm, const std::string &domain, const std::string &y, float epsilon) {
    onnx::NodeProto &node = add(norm.op, {norm.input, addFloats(y + "_ones", {static_cast<int64_t>(kept)}, std::vector<float>(kept, 1.0f))}, y);
    node.set_domain(domain);
    onnx::AttributeProto *attribute = node.add_attribute();
    attribute->set_name("epsilon");
    attribute->set_type(onnx::AttributeProto::FLOAT);
    attribute->set_f(epsilon);
    setInt(node, "axis", -1);
  }

  void addRmsChain(const Norm &norm, const std::string &y, float epsilon) {
    std::string square = model.makeName(y + "_square"), mean = model.makeName(y + "_mean"), sum = model.makeName(y + "_sum"), root = model.makeName(y + "_root");
    add("Mul", {norm.input, norm.input}, square);
    int64_t axis = -1;
    if (model.getOpset() >= 18) {
      add("ReduceMean", {square, model.addConstant(y + "_axis", {1}, onnx::TensorProto::INT64, {reinterpret_cast<const char *>(&axis), sizeof(axis)})}, mean);
    } else {
      onnx::AttributeProto *attribute = add("ReduceMean", {square}, mean).add_attribute();
      attribute->set_name("axes");
      attribute->set_type(onnx::AttributeProto::INTS);
      attribute->add_ints(axis);
    }
    add("Add", {mean, addFloats(y + "_epsilon", {}, {epsilon})}, sum);
    add("Sqrt", {sum}, root);
    add("Div", {norm.input, root}, y);
  }

  /// What others than layers read: the values in full width.
  void addRestored(const Norm &norm, const std::string &y) {
    std::string product = norm.bias.empty() ? norm.output : model.makeName(norm.output + "_product");
    add("MatMul", {y, addMatrix(norm.output + "_basis", transpose(makeReading(norm)))}, product);
    if (!norm.bias.empty())
      add("Add", {product, norm.bias}, norm.output);
  }

  /// What a reader's rows are multiplied by: scale of the norm, then the basis, [width, kept].
  Rotation makeReading(const Norm &norm) const {
    Rotation reading = bases.at(basisOf.at(norm.input));
    std::vector<float> scale = norm.scale.empty() ? std::vector<float>(static_cast<size_t>(width), 1.0f) : model.readWeights(norm.scale)->values;
    double factor = std::sqrt(getRatio());
    for (size_t k = 0; k < reading.values.size(); ++k)
      reading.values[k] *= factor * static_cast<double>(scale[k / kept]);
    return reading;
  }

  const Rotation &getWriting(const std::string &value) const { return writing.at(basisOf.at(value)); }

  void addEntry(onnx::NodeProto node) {
    std::string output = node.output(0), plain = model.makeName(output + "_plain");
    node.set_output(0, plain);
    nodes.push_back(std::move(node));
    add("MatMul", {plain, addMatrix(output + "_basis", getWriting(output))}, output);
  }

  void rewriteOperands(onnx::NodeProto &node) {
    const std::string own = basisOf.at(node.output(0));
    for (int k : rules.listOperands(node, width)) {
      std::string name = node.input(k);
      if (model.isConstant(name)) {
        Weights weights = *model.readWeights(name);
        if (isNumber(model, name))
          weights = {{width}, std::vector<float>(static_cast<size_t>(width), weights.values.at(0))};
        node.set_input(k, replace(name, rotate(weights, weights.dims.size() - 1, writing.at(own))));
      } else if (basisOf.at(name) != own)
        node.set_input(k, changeBasis(name, own));
    }
  }

  /// The value in another basis, by a product: once for each of both.
  std::string changeBasis(const std::string &value, const std::string &to) {
    auto [changed, isNew] = changes.try_emplace({value, to});
    if (isNew) {
      changed->second = model.makeName(value + "_turned");
      Rotation turn = multiply(transpose(bases.at(basisOf.at(value))), bases.at(to));
      add("MatMul", {value, addMatrix(value + "_turn", turn)}, changed->second);
    }
    return changed->second;
  }

  void narrowReshape(const onnx::NodeProto &node, onnx::NodeProto &copy) {
    LastDim last = *findLastDim(model, node);
    if (last.values.back() != width)
      return;
    last.values.back() = static_cast<int64_t>(kept);
    std::string dims = model.addConstant(node.output(0) + "_dims", {static_cast<int64_t>(last.values.size())}, onnx::TensorProto::INT64,
                                       {reinterpret_cast<const char *>(last.values.data()), last.values.size() * sizeof(int64_t)});
    if (last.node != node.output(0)) {
      onnx::NodeProto concat = *model.findProducer(last.node);
      concat.set_input(last.input, dims);
      dims = model.makeName(last.node + "_sliced");
      concat.set_name(dims);
      concat.set_output(0, dims);
      nodes.push_back(std::move(concat));
    }
    copy.set_input(1, dims);
  }

  // Layers.

  void rewriteLayer(const Layer &layer, const Norm *read, bool isWriter) {
    onnx::NodeProto node = *layer.node;
    std::string output = node.output(0);
    TurnedLayer turned{output, {}, {}};
    if (auto found = renamed.find(output); found != renamed.end())
      node.set_input(0, found->second);
    auto channels = static_cast<size_t>(layer.channelAxis);
    Weights weights = *model.readWeights(layer.weights);
    std::vector<float> shift;
    if (read) {
      shift = makeShift(*read, weights, 1 - channels);
      weights = rotate(weights, 1 - channels, makeReading(*read));
    }
    if (isWriter) {
      weights = rotate(weights, channels, getWriting(output));
      turned.turn = getWriting(output);
    }
    node.set_input(1, layer.transpose ? addSwapped(layer.weights, weights) : replace(layer.weights, weights));
    if (read)
      tellRead(node.input(1), layer.transpose ? 0 : 1 - channels);
    placeShift(layer, node, std::move(shift), turned);
  }

  void tellRead(const std::string &weights, size_t axis) {
    Slice slice{weights, axis, {}};
    for (auto k = static_cast<int64_t>(kept); k < width; ++k)
      slice.removed.push_back(k);
    layers.reads.push_back(std::move(slice));
  }

  /// What a layer makes of the norm's bias; empty without one.
  std::vector<float> makeShift(const Norm &norm, const Weights &weights, size_t axis) const {
    if (norm.bias.empty())
      return {};
    std::vector<float> bias = model.readWeights(norm.bias)->values;
    return rotate(weights, axis, {bias.size(), 1, {bias.begin(), bias.end()}}).values;
  }

  void placeShift(const Layer &layer, onnx::NodeProto node, std::vector<float> shift, TurnedLayer &turned) {
    std::string output = node.output(0);
    bool isWriter = turned.turn.rows;
    auto turn = [&](const std::vector<float> &line) { return isWriter ? rotate({{static_cast<int64_t>(line.size())}, line}, 0, getWriting(output)).values : line; };
    auto sum = [&](const std::string &constant) {
      std::vector<float> values = model.readWeights(constant)->values;
      for (size_t k = 0; k < shift.size(); ++k)
        values[k] += shift[k];
      return values;
    };
    if (!layer.bias.empty() && (isWriter || !shift.empty())) {
      std::vector<float> bias = turn(sum(layer.bias));
      node.set_input(2, replace(layer.bias, {{static_cast<int64_t>(bias.size())}, bias}));
    } else if (ShiftPlace place = findShiftPlace(model, layer); !shift.empty() && place.kind == ShiftPlace::Kind::added && !model.findProducer(place.constant)) {
      // A writer's is rotated when the addition is.
      writeConstant(model, place.constant, sum(place.constant));
      turned.shift = std::move(shift);
    } else if (!shift.empty()) {
      std::vector<float> own = turn(shift);
      turned.shift = std::move(shift);
      node.set_output(0, model.makeName(output + "_product"));
      nodes.push_back(node);
      add("Add", {node.output(0), addFloats(output + "_shift", {static_cast<int64_t>(own.size())}, own)}, output);
      layers.turned[node.output(0)] = std::move(turned);
      return;
    }
    layers.turned[output] = std::move(turned);
    nodes.push_back(std::move(node));
  }

  /// Gives a constant other elements and dims, or adds one where others read it, too.
  std::string replace(const std::string &name, const Weights &weights) {
    bool isInput = std::any_of(model.graph().input().begin(), model.graph().input().end(), [&](const auto &input) { return input.name() == name; });
    if (model.countReaders(name) != 1 || model.findProducer(name) || isInput)
      return addFloats(name + "_sliced", weights.dims, weights.values);
    onnx::TensorProto &tensor = *model.findTensor(name);
    tensor.mutable_dims()->Assign(weights.dims.begin(), weights.dims.end());
    writeConstant(model, name, weights.values);
    return name;
  }

  /// Rows as columns: a table that is the head as well takes no rotation of both.
  std::string addSwapped(const std::string &name, const Weights &weights) {
    auto rows = static_cast<size_t>(weights.dims[0]), columns = static_cast<size_t>(weights.dims[1]);
    std::vector<float> swapped(weights.values.size());
    for (size_t k = 0; k < swapped.size(); ++k)
      swapped[k % columns * rows + k / columns] = weights.values[k];
    return addFloats(name + "_head", {weights.dims[1], weights.dims[0]}, swapped);
  }

  ModelGraph &model;
  const Stream &stream;
  const std::map<std::string, Rotation> &bases;
  SlicedLayers &layers;
  Shapes shapes;
  Readers readers;
  RowRules rules;
  int64_t width;
  size_t kept;
  std::map<std::string, Rotation> writing; ///< the bases, for what is written
  std::map<std::string, const Norm *> normOfNode, folded;
  std::map<std::string, std::string> basisOf, narrowOf, renamed; ///< renamed: by a reader's first output
  std::map<std::pair<std::string, std::string>, std::string> changes;
  std::vector<onnx::NodeProto> nodes;
};

} // namespace

void sliceStream(ModelGraph &model, const Stream &stream, const std::map<std::string, Rotation> &bases, SlicedLayers &layers) { Slicer(model, stream, bases, layers).run(); }

} // namespace onager::compress
