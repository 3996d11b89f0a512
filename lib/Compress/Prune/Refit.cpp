// Accumulating and solving.
#include "lib/Compress/Prune/Refit.h"

namespace onager::compress {

static constexpr double kDamping = 0.01;

static const onnx::NodeProto *findOnlyReader(const ModelGraph &model, const std::string &value) {
  if (model.countReaders(value) != 1)
    return nullptr;
  for (const onnx::NodeProto &node : model.graph().node())
    for (const std::string &input : node.input())
      if (input == value)
        return &node;
  return nullptr;
}

ShiftPlace findShiftPlace(const ModelGraph &model, const Layer &layer) {
  int64_t channels = countOutputs(layer);
  auto isOwn = [&](const std::string &name) {
    std::optional<std::vector<int64_t>> dims = model.findDims(name);
    return dims && dims->size() == 1 && dims->front() == channels && model.countReaders(name) == 1;
  };
  if (!layer.bias.empty())
    return isOwn(layer.bias) ? ShiftPlace{ShiftPlace::Kind::own, layer.bias} : ShiftPlace{};
  const onnx::NodeProto *reader = findOnlyReader(model, layer.node->output(0));
  bool isConv = layer.isConvolution();
  if (reader && isConv && reader->op_type() == "BatchNormalization" && reader->input_size() == 5 && isOwn(reader->input(3)))
    return {ShiftPlace::Kind::mean, reader->input(3)};
  if (reader && !isConv && reader->op_type() == "Add")
    for (const std::string &input : reader->input())
      if (input != layer.node->output(0) && isOwn(input))
        return {ShiftPlace::Kind::added, input};
  return {};
}

static const Slice *findSlice(const std::vector<Slice> &slices, const std::string &weights, size_t axis) {
  for (const Slice &slice : slices)
    if (slice.weights == weights && slice.axis == axis)
      return &slice;
  return nullptr;
}

bool isFittable(const ModelGraph &model, const Layer &layer) {
  bool isProduct = !getInt(*layer.node, "transA", 0) && getFloat(*layer.node, "alpha", 1) == 1 && getFloat(*layer.node, "beta", 1) == 1;
  return isProduct && !layer.isTransposedConv() && countGroups(layer) == 1 && model.countReaders(layer.weights) == 1;
}

std::vector<Layer> listCutLayers(const ModelGraph &model, const std::vector<Slice> &slices, const std::map<std::string, TurnedLayer> &turned) {
  std::vector<Layer> layers;
  for (const onnx::NodeProto &node : model.graph().node()) {
    std::optional<Layer> layer = findLayer(model, node);
    if (!layer || node.op_type() == "Gather")
      continue;
    bool isChanged = findSlice(slices, layer->weights, 1 - static_cast<size_t>(layer->channelAxis)) || turned.count(node.output(0));
    if (isChanged && isFittable(model, *layer))
      layers.push_back(std::move(*layer));
  }
  return layers;
}

LayerFit::LayerFit(const ModelGraph &model, const Layer &layer, const std::vector<Slice> &slices)
    : layer(layer), place(findShiftPlace(model, layer)), weights(readMatrix(model, layer)), terms(weights.terms + (place.kind != ShiftPlace::Kind::none)), scales(weights.terms > kMostTerms) {
  std::set<int64_t> removed;
  if (const Slice *slice = findSlice(slices, layer.weights, static_cast<size_t>(layer.channelAxis)))
    removed.insert(slice->removed.begin(), slice->removed.end());
  for (size_t k = 0; k < weights.count + removed.size(); ++k)
    if (!removed.count(static_cast<int64_t>(k)))
      kept.push_back(k);
  if (scales) {
    sums.resize(6 * weights.count);
    return;
  }
  moments.resize(terms * weights.count);
}

void LayerFit::add(const Rows &found, const Rows &expected) {
  size_t outputs = weights.count, count = std::min(found.count, expected.count);
  std::vector<float> y(count * outputs), x;
  for (size_t r = 0; r < count; ++r)
    for (size_t n = 0; n < outputs; ++n) {
      float value = expected.values[r * expected.terms + kept[n]];
      y[r * outputs + n] = value;
      squares += static_cast<double>(value) * value;
    }
  if (scales) {
    for (size_t k = 0; k < count * outputs; ++k) {
      double f = found.values[k], e = y[k], parts[] = {1, f, e, f * f, f * e, e * e};
      for (size_t p = 0; p < 6; ++p)
        sums[k % outputs * 6 + p] += parts[p];
    }
    return;
  }
  for (size_t r = 0; r < count; ++r) {
    x.insert(x.end(), found.values.begin() + static_cast<std::ptrdiff_t>(r * found.terms), found.values.begin() + static_cast<std::ptrdiff_t>((r + 1) * found.terms));
    if (terms > found.terms)
      x.push_back(1);
  }
  gram.addRows(x.data(), count, terms);
  addProduct(x.data(), terms, y.data(), outputs, count, moments);
}

Gram LayerFit::makeGram() const {
  Gram own{weights.terms, std::vector<double>(weights.terms * weights.terms)};
  for (size_t i = 0; i < own.terms && gram.terms == terms; ++i)
    std::copy_n(gram.values.begin() + static_cast<std::ptrdiff_t>(i * terms), own.terms, own.values.begin() + static_cast<std::ptrdiff_t>(i * own.terms));
  return own;
}

/// G B.
std::vector<double> LayerFit::multiply(const std::vector<double> &b) const {
  size_t outputs = weights.count;
  std::vector<double> product(terms * outputs);
  for (size_t i = 0; i < terms; ++i) {
    double *row = product.data() + i * outputs;
    for (size_t j = 0; j < terms; ++j) {
      double factor = gram.values[i * terms + j];
      for (size_t n = 0; factor != 0 && n < outputs; ++n)
        row[n] += factor * b[j * outputs + n];
    }
  }
  return product;
}

/// Squares of Y - X B.
double LayerFit::measure(const std::vector<double> &solution) const {
  double sum = squares;
  std::vector<double> product = multiply(solution);
  for (size_t k = 0; k < product.size(); ++k)
    sum += solution[k] * (product[k] - 2 * moments[k]);
  return std::max(sum, 0.0);
}

/// B = B0 + (G + d I)^-1 (M - G B0).
std::vector<double> LayerFit::solve(const std::vector<double> &start) const {
  std::vector<double> rest = multiply(start);
  for (size_t k = 0; k < rest.size(); ++k)
    rest[k] = moments[k] - rest[k];
  std::vector<double> solution = solveRidge(gram, std::move(rest), weights.count, kDamping);
  for (size_t k = 0; k < solution.size(); ++k)
    solution[k] += start[k];
  return solution;
}

/// The same over the weights of each output that are not 0: steps of conjugate gradients for all outputs at once, with the diagonal as the preconditioner.
std::vector<double> LayerFit::solveMasked(const std::vector<double> &start) const {
  constexpr int kSteps = 24;
  size_t outputs = weights.count;
  double mean = 0;
  for (size_t k = 0; k < terms; ++k)
    mean += gram.values[k * terms + k] / static_cast<double>(terms);
  double damping = mean > 0 ? kDamping * mean : 1;
  auto isFree = [&](size_t k) { return start[k] != 0 || k / outputs == weights.terms; };
  auto scale = [&](size_t k, double value) { return value / (gram.values[k / outputs * (terms + 1)] + damping); };
  std::vector<double> solution = start, rest = multiply(start), direction(start.size()), energy(outputs);
  for (size_t k = 0; k < rest.size(); ++k) {
    rest[k] = isFree(k) ? moments[k] - rest[k] : 0;
    direction[k] = scale(k, rest[k]);
    energy[k % outputs] += rest[k] * direction[k];
  }
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> product = multiply(direction), curvature(outputs), next(outputs);
    for (size_t k = 0; k < product.size(); ++k) {
      product[k] = isFree(k) ? product[k] + damping * direction[k] : 0;
      curvature[k % outputs] += direction[k] * product[k];
    }
    for (size_t k = 0; k < product.size(); ++k) {
      double length = curvature[k % outputs] > 0 ? energy[k % outputs] / curvature[k % outputs] : 0;
      solution[k] += length * direction[k];
      rest[k] -= length * product[k];
      next[k % outputs] += rest[k] * scale(k, rest[k]);
    }
    for (size_t k = 0; k < product.size(); ++k)
      direction[k] = scale(k, rest[k]) + (energy[k % outputs] > 0 ? next[k % outputs] / energy[k % outputs] * direction[k] : 0);
    energy = std::move(next);
  }
  return solution;
}

/// The weights as they are, [terms, outputs], and what is there for a shift.
std::vector<double> LayerFit::makeStart(const ModelGraph &model) const {
  size_t outputs = weights.count;
  std::vector<double> start(terms * outputs);
  for (size_t n = 0; n < outputs; ++n)
    for (size_t k = 0; k < weights.terms; ++k)
      start[k * outputs + n] = weights.values[n * weights.terms + k];
  if (place.kind == ShiftPlace::Kind::own) {
    std::vector<float> bias = model.readWeights(place.constant)->values;
    std::copy(bias.begin(), bias.end(), start.end() - static_cast<std::ptrdiff_t>(outputs));
  }
  return start;
}

RefitError LayerFit::apply(ModelGraph &model) const {
  if (scales)
    return applyScales(model);
  if (!(squares > 0) || gram.terms != terms)
    return {layer.name, "weights", 0, 0};
  std::vector<double> start = makeStart(model);
  return write(model, start, solve(start));
}

RefitError LayerFit::applyMasked(ModelGraph &model, const Rows &masked) {
  weights = masked;
  if (scales || !(squares > 0) || gram.terms != terms)
    return {layer.name, "masked weights", 0, 0};
  std::vector<double> start = makeStart(model);
  RefitError error = write(model, start, solveMasked(start));
  error.form = "masked weights";
  return error;
}

RefitError LayerFit::write(ModelGraph &model, const std::vector<double> &start, const std::vector<double> &solution) const {
  size_t outputs = weights.count;
  Rows fitted = weights;
  for (size_t n = 0; n < outputs; ++n)
    for (size_t k = 0; k < weights.terms; ++k)
      fitted.values[n * weights.terms + k] = static_cast<float>(solution[k * outputs + n]);
  writeMatrix(model, layer, fitted);
  if (place.kind != ShiftPlace::Kind::none)
    applyShift(model, {solution.end() - static_cast<std::ptrdiff_t>(outputs), solution.end()});
  return {layer.name, "weights", measure(start) / squares, measure(solution) / squares};
}

void LayerFit::applyShift(ModelGraph &model, const std::vector<double> &shift) const {
  std::vector<float> values = model.readWeights(place.constant)->values;
  for (size_t n = 0; n < values.size(); ++n) {
    double old = place.kind == ShiftPlace::Kind::own ? 0 : values[n];
    values[n] = static_cast<float>(place.kind == ShiftPlace::Kind::mean ? old - shift[n] : old + shift[n]);
  }
  writeConstant(model, place.constant, values);
}

RefitError LayerFit::applyScales(ModelGraph &model) const {
  RefitError error{layer.name, "scales", 0, 0};
  size_t outputs = weights.count;
  Rows fitted = weights;
  std::vector<double> shifts(outputs);
  bool hasShift = place.kind != ShiftPlace::Kind::none;
  std::vector<float> bias = place.kind == ShiftPlace::Kind::own ? model.readWeights(place.constant)->values : std::vector<float>(outputs);
  for (size_t n = 0; n < outputs; ++n) {
    const double *s = sums.data() + 6 * n;
    double count = std::max(s[0], 1.0), fMean = hasShift ? s[1] / count : 0, eMean = hasShift ? s[2] / count : 0;
    double spread = s[3] - count * fMean * fMean, joint = s[4] - count * fMean * eMean;
    // A channel that hardly moves says nothing of its factor; a bias alone moves with what the weights give.
    double factor = spread > 1e-12 * s[3] && spread > 0 ? (joint + 0.01 * spread) / (1.01 * spread) : 1, shift = eMean - factor * fMean;
    for (size_t k = 0; k < weights.terms; ++k)
      fitted.values[n * weights.terms + k] *= static_cast<float>(factor);
    shifts[n] = shift + factor * bias[n];
    error.before += s[3] - 2 * s[4] + s[5];
    error.after += factor * factor * s[3] + 2 * factor * shift * s[1] + count * shift * shift - 2 * factor * s[4] - 2 * shift * s[2] + s[5];
  }
  if (!(squares > 0))
    return {layer.name, "scales", 0, 0};
  error.before = std::max(0.0, error.before) / squares;
  error.after = std::max(0.0, error.after) / squares;
  writeMatrix(model, layer, fitted);
  if (hasShift)
    applyShift(model, shifts);
  return error;
}

} // namespace onager::compress
