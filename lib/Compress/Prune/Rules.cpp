// Operators that keep axes as they are, and those that sum over one.
#include "lib/Compress/Prune/Rules.h"

namespace onager::compress {

const std::map<std::string, Rules::Rule> &Rules::listRules() {
  static const std::map<std::string, Rule> kRules = [] {
    std::map<std::string, Rule> rules;
    auto add = [&](std::initializer_list<const char *> names, Rule rule) {
      for (const char *name : names)
        rules[name] = rule;
    };
    add({"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Erf", "Sqrt", "Exp", "Log", "Neg", "Abs", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Gelu", "Mish", "Clip",
         "Identity", "Dropout", "Cast", "Floor", "Ceil", "Round", "Reciprocal", "Sin", "Cos", "Sign", "Not", "IsNaN", "ThresholdedRelu", "Swish", "QuickGelu", "Shrink"},
        &Rules::applyUnary);
    add({"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Mean", "Sum", "PRelu", "Where", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Mod", "BiasGelu", "FastGelu"},
        &Rules::applyBroadcast);
    add({"Conv"}, &Rules::applyConv);
    add({"ConvTranspose"}, &Rules::applyConvTranspose);
    add({"BatchNormalization", "InstanceNormalization"}, &Rules::applyBatchNorm);
    add({"GroupNormalization"}, &Rules::applyGroupNorm);
    add({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"}, &Rules::applyLayerNorm);
    add({"Softmax", "LogSoftmax"}, &Rules::applySoftmax);
    add({"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}, &Rules::applyPool);
    add({"Pad"}, &Rules::applyPad);
    add({"Resize", "Upsample"}, &Rules::applyResize);
    add({"MatMul"}, &Rules::applyMatMul);
    add({"Gemm"}, &Rules::applyGemm);
    add({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"}, &Rules::applyReduce);
    add({"Reshape", "Flatten"}, &Rules::applyReshape);
    add({"Squeeze", "Unsqueeze"}, &Rules::applySqueeze);
    add({"Transpose"}, &Rules::applyTranspose);
    add({"Expand"}, &Rules::applyExpand);
    add({"Concat"}, &Rules::applyConcat);
    add({"Split"}, &Rules::applySplit);
    add({"Slice"}, &Rules::applySlice);
    add({"Gather"}, &Rules::applyGather);
    add({"Shape"}, &Rules::applyShape);
    add({"MultiHeadAttention", "GroupQueryAttention"}, &Rules::applyHeads);
    add({"Attention"}, &Rules::applyPackedAttention);
    return rules;
  }();
  return kRules;
}

void Rules::apply(const onnx::NodeProto &node) {
  if (node.op_type() == "Constant")
    return pinConstants(node);
  bool isKnown = node.domain().empty() || node.domain() == "ai.onnx" || node.domain() == "com.microsoft";
  auto rule = listRules().find(node.op_type());
  pinConstants(node);
  if (!isKnown || rule == listRules().end() || !(this->*rule->second)(node))
    pin(node);
}

/// Constants that are not of f32 cannot be cut.
void Rules::pinConstants(const onnx::NodeProto &node) {
  for (const auto *names : {&node.input(), &node.output()})
    for (const std::string &name : *names)
      if (model.isConstant(name) && !model.findDims(name))
        coupling.pin(name);
}

const std::vector<Axis> *Rules::find(const onnx::NodeProto &node, int input) const {
  std::string name = getInput(node, input);
  return name.empty() ? nullptr : coupling.find(name);
}

void Rules::pin(const onnx::NodeProto &node) {
  for (const auto *names : {&node.input(), &node.output()})
    for (const std::string &name : *names)
      coupling.pin(name);
}

bool Rules::pass(const std::vector<Axis> &x, const std::vector<Axis> &y, const std::set<size_t> &pinned) {
  if (x.size() != y.size())
    return false;
  for (size_t k = 0; k < x.size(); ++k) {
    if (!pinned.count(k)) {
      coupling.unite(x[k], y[k]);
      continue;
    }
    coupling.pin(x[k]);
    coupling.pin(y[k]);
  }
  return true;
}

static std::set<size_t> listFrom(size_t first, size_t rank) {
  std::set<size_t> axes;
  for (; first < rank; ++first)
    axes.insert(first);
  return axes;
}

bool Rules::applyUnary(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y || !pass(*x, *y))
    return false;
  for (int k = 1; k < node.input_size(); ++k)
    coupling.pin(node.input(k));
  for (int k = 1; k < node.output_size(); ++k)
    coupling.pin(node.output(k));
  return true;
}

void Rules::broadcast(const std::vector<Axis> &x, const std::vector<Axis> &y) {
  for (size_t k = 0; k < x.size(); ++k)
    if (x[k].extent != 1)
      coupling.unite(x[k], y[y.size() - x.size() + k]);
}

bool Rules::applyBroadcast(const onnx::NodeProto &node) {
  const std::vector<Axis> *y = findOutput(node);
  // Before operator set 7 operands were aligned by an attribute.
  if (!y || opset < 7)
    return false;
  for (int k = 0; k < node.input_size(); ++k) {
    const std::vector<Axis> *x = find(node, k);
    if (!x || x->size() > y->size())
      return false;
    broadcast(*x, *y);
  }
  return true;
}

void Rules::addWeights(const onnx::NodeProto &node, size_t outputAxis, size_t inputAxis, size_t xAxis) {
  if (!model.findDims(node.input(1)) || model.isConstant(node.input(0)))
    return;
  coupling.sources.push_back({node.input(1), outputAxis});
  coupling.consumers.push_back({&node, node.input(0), node.input(1), xAxis, inputAxis});
}

/// Samples and spatial dims of a convolution stay as they are.
void Rules::keepPlaces(const std::vector<Axis> &x, const std::vector<Axis> &w, const std::vector<Axis> &y) {
  std::set<size_t> others = listFrom(2, x.size());
  for (const std::vector<Axis> *tensor : {&x, &y, &w})
    pass(*tensor, *tensor, others);
  coupling.pin(x[0]);
  coupling.pin(y[0]);
}

bool Rules::applyConv(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *w = find(node, 1), *b = find(node, 2), *y = findOutput(node);
  if (!x || !w || !y || x->size() < 3 || w->size() != x->size() || y->size() != x->size() || (!getInput(node, 2).empty() && (!b || b->size() != 1)))
    return false;
  keepPlaces(*x, *w, *y);
  const Axis &in = (*x)[1], &out = (*y)[1], &rows = (*w)[0], &columns = (*w)[1];
  coupling.unite(rows, out);
  if (b)
    coupling.unite((*b)[0], out);
  int64_t groups = getInt(node, "group", 1);
  if (groups == 1) {
    if (in.extent != 1)
      coupling.unite(in, columns);
    addWeights(node, 0, 1, 1);
    return true;
  }
  coupling.pin(columns);
  if (groups < 1 || !in.isKnown() || !out.isKnown() || in.extent % groups || out.extent % groups)
    return false;
  // A group goes as a whole; each channel of a depthwise convolution is one.
  for (int64_t group = 0; group < groups; ++group) {
    int64_t inputs = in.extent / groups, outputs = out.extent / groups;
    for (int64_t k = 0; k < inputs; ++k)
      coupling.unite(in.at(group * inputs), in.at(group * inputs + k));
    for (int64_t k = 0; k < outputs; ++k)
      coupling.unite(in.at(group * inputs), out.at(group * outputs + k));
  }
  if (model.findDims(node.input(1)))
    coupling.sources.push_back({node.input(1), 0});
  return true;
}

bool Rules::applyConvTranspose(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *w = find(node, 1), *b = find(node, 2), *y = findOutput(node);
  bool isPlain = getInt(node, "group", 1) == 1;
  if (!isPlain || !x || !w || !y || x->size() < 3 || w->size() != x->size() || y->size() != x->size() || (!getInput(node, 2).empty() && (!b || b->size() != 1)))
    return false;
  keepPlaces(*x, *w, *y);
  if ((*x)[1].extent != 1)
    coupling.unite((*x)[1], (*w)[0]);
  if ((*y)[1].extent != 1)
    coupling.unite((*y)[1], (*w)[1]);
  if (b)
    coupling.unite((*b)[0], (*y)[1]);
  addWeights(node, 1, 0, 1);
  return true;
}

bool Rules::applyBatchNorm(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y || x->size() < 2 || getInt(node, "training_mode", 0) || !getInt(node, "spatial", 1))
    return false;
  for (int k = 1; k < node.input_size(); ++k)
    if (const std::vector<Axis> *own = find(node, k); own && own->size() == 1)
      coupling.unite((*own)[0], (*y)[1]);
    else
      return false;
  for (int k = 1; k < node.output_size(); ++k)
    coupling.pin(node.output(k));
  return node.op_type() == "BatchNormalization" ? pass(*x, *y) : pass(*x, *y, listFrom(2, x->size()));
}

bool Rules::applyGroupNorm(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *scale = find(node, 1), *bias = find(node, 2), *y = findOutput(node);
  int64_t groups = getInt(node, "num_groups", 0);
  if (opset < 21 || !node.domain().empty() || !x || !scale || !bias || !y || x->size() < 2 || scale->size() != 1 || bias->size() != 1 || groups < 1)
    return false;
  const Axis &channels = (*x)[1];
  if (!channels.isKnown() || channels.extent % groups)
    return false;
  coupling.unite((*scale)[0], channels);
  coupling.unite((*bias)[0], channels);
  for (int64_t k = 0, size = channels.extent / groups; k < channels.extent; ++k)
    coupling.unite(channels.at(k), channels.at(k - k % size));
  return pass(*x, *y, listFrom(2, x->size()));
}

bool Rules::applyLayerNorm(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y)
    return false;
  int64_t axis = getInt(node, "axis", -1);
  axis += axis < 0 ? static_cast<int64_t>(x->size()) : 0;
  for (int k = 1; k < node.input_size(); ++k)
    coupling.pin(node.input(k));
  for (int k = 1; k < node.output_size(); ++k)
    coupling.pin(node.output(k));
  return axis >= 0 && pass(*x, *y, listFrom(static_cast<size_t>(axis), x->size()));
}

bool Rules::applySoftmax(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y)
    return false;
  int64_t axis = getInt(node, "axis", opset < 13 ? 1 : -1);
  axis += axis < 0 ? static_cast<int64_t>(x->size()) : 0;
  if (axis < 0)
    return false;
  // Before operator set 13 all axes behind the first were one.
  return pass(*x, *y, opset < 13 ? listFrom(static_cast<size_t>(axis), x->size()) : std::set<size_t>{static_cast<size_t>(axis)});
}

bool Rules::applyPool(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  return x && y && x->size() > 2 && node.output_size() == 1 && pass(*x, *y, listFrom(2, x->size()));
}

bool Rules::applyPad(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  std::optional<std::vector<int64_t>> pads = opset < 11 ? std::optional(getInts(node, "pads")) : model.readIntegers(getInput(node, 1));
  if (!x || !y || !pads || pads->size() != 2 * x->size() || !getInput(node, 3).empty())
    return false;
  std::set<size_t> padded;
  for (size_t k = 0; k < x->size(); ++k)
    if ((*pads)[k] || (*pads)[k + x->size()])
      padded.insert(k);
  return pass(*x, *y, padded);
}

bool Rules::applyResize(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  bool isPlain = getInts(node, "axes").empty() && (node.op_type() == "Upsample" || getInput(node, 1).empty() || opset < 11 || model.isConstant(getInput(node, 1)));
  if (!x || !y || opset < 9 || !isPlain || x->size() < 3 || x->size() != y->size())
    return false;
  int scales = node.op_type() == "Upsample" || opset < 11 ? 1 : 2;
  for (int k = 1; k < node.input_size(); ++k)
    coupling.pin(node.input(k));
  std::string sizes = scales == 2 ? getInput(node, 3) : "";
  if (sizes.empty()) {
    std::optional<Weights> factors = model.readWeights(getInput(node, scales));
    if (!factors || factors->values.size() != x->size() || factors->values[1] != 1)
      return false;
  }
  coupling.pin((*x)[0]);
  coupling.pin((*y)[0]);
  if (!pass(*x, *y, listFrom(2, x->size())))
    return false;
  if (!sizes.empty())
    checkTarget(sizes, *x, *y);
  return true;
}

bool Rules::applyMatMul(const onnx::NodeProto &node) {
  const std::vector<Axis> *a = find(node, 0), *b = find(node, 1), *y = findOutput(node);
  if (!a || !b || !y || a->size() < 2 || b->size() < 2 || y->size() != std::max(a->size(), b->size()))
    return false;
  size_t rank = y->size();
  if (a->back().extent != 1)
    coupling.unite(a->back(), (*b)[b->size() - 2]);
  coupling.unite((*a)[a->size() - 2], (*y)[rank - 2]);
  coupling.unite(b->back(), y->back());
  broadcast({a->begin(), a->end() - 2}, {y->begin(), y->end() - 2});
  broadcast({b->begin(), b->end() - 2}, {y->begin(), y->end() - 2});
  if (b->size() == 2)
    addWeights(node, 1, 0, a->size() - 1);
  // Products of two computed values in many matrices at once are those of attention, a matrix for each head.
  if (!model.isConstant(node.input(0)) && !model.isConstant(node.input(1)) && rank >= 4)
    coupling.markHeads((*y)[rank - 3]);
  return true;
}

bool Rules::applyGemm(const onnx::NodeProto &node) {
  const std::vector<Axis> *a = find(node, 0), *b = find(node, 1), *c = find(node, 2), *y = findOutput(node);
  bool hasBias = !getInput(node, 2).empty();
  if (!a || !b || !y || a->size() != 2 || b->size() != 2 || y->size() != 2 || (hasBias && (!c || c->size() > 2)) || opset < 7)
    return false;
  size_t aSum = getInt(node, "transA", 0) ? 0 : 1, bSum = getInt(node, "transB", 0) ? 1 : 0;
  if ((*a)[aSum].extent != 1)
    coupling.unite((*a)[aSum], (*b)[bSum]);
  coupling.unite((*a)[1 - aSum], (*y)[0]);
  coupling.unite((*b)[1 - bSum], (*y)[1]);
  if (hasBias)
    broadcast(*c, *y);
  addWeights(node, 1 - bSum, bSum, aSum);
  return true;
}

bool Rules::applyReduce(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  std::optional<std::vector<int64_t>> axes = x ? findAxes(model, node, 1, x->size()) : std::nullopt;
  if (!x || !y || !axes || axes->empty())
    return false;
  bool isKept = getInt(node, "keepdims", 1);
  if (y->size() != (isKept ? x->size() : x->size() - axes->size()))
    return false;
  for (size_t k = 0, at = 0; k < x->size(); ++k) {
    bool isReduced = std::find(axes->begin(), axes->end(), static_cast<int64_t>(k)) != axes->end();
    if (isReduced)
      coupling.pin((*x)[k]);
    else
      coupling.unite((*x)[k], (*y)[at]);
    at += isKept || !isReduced;
  }
  return true;
}

} // namespace onager::compress
