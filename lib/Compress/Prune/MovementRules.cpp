// Operators that move elements to other places, and attention.
#include "lib/Compress/Prune/Rules.h"

namespace onager::compress {

static Axis cut(const Axis &axis, int64_t begin, int64_t count) { return {count, axis.isKnown() ? axis.at(begin) : -1}; }

/// Whole = part 0 x part 1 x ...: a position of the whole goes with that of one part, whose others cannot be cut. That part is the first that is longer than what tells q, k and v apart; where there is none,
/// the first that has positions.
void Rules::reshapeParts(const Axis &whole, const std::vector<Axis> &parts) {
  constexpr int64_t kFew = 3;
  size_t chosen = parts.size();
  for (size_t k = parts.size(); k-- > 0;)
    if (parts[k].isKnown() && (chosen == parts.size() || parts[k].extent > kFew || parts[chosen].extent <= kFew))
      chosen = k;
  for (size_t k = 0; k < parts.size(); ++k)
    if (k != chosen)
      coupling.pin(parts[k]);
  if (chosen == parts.size() || !whole.isKnown())
    return coupling.pin(whole);
  int64_t inner = 1;
  for (size_t k = chosen + 1; k < parts.size(); ++k)
    inner *= parts[k].extent;
  for (int64_t k = 0; k < whole.extent; ++k)
    coupling.unite(whole.at(k), parts[chosen].at(k / inner % parts[chosen].extent));
}

void Rules::reshape(const std::vector<Axis> &x, const std::vector<Axis> &y) {
  auto pinAll = [&](const std::vector<Axis> &axes, size_t begin) {
    for (; begin < axes.size(); ++begin)
      coupling.pin(axes[begin]);
  };
  size_t i = 0, j = 0;
  while (i < x.size() && j < y.size()) {
    // A run of axes on either side with as many elements.
    size_t iEnd = i, jEnd = j;
    int64_t left = x[iEnd++].extent, right = y[jEnd++].extent;
    while (left != right && left > 0 && right > 0) {
      bool isLeft = left < right;
      if (isLeft ? iEnd == x.size() : jEnd == y.size())
        break;
      (isLeft ? left : right) *= isLeft ? x[iEnd++].extent : y[jEnd++].extent;
    }
    if (left != right || left < 1) {
      pinAll(x, i);
      return pinAll(y, j);
    }
    std::vector<Axis> a(x.begin() + static_cast<std::ptrdiff_t>(i), x.begin() + static_cast<std::ptrdiff_t>(iEnd)), b(y.begin() + static_cast<std::ptrdiff_t>(j), y.begin() + static_cast<std::ptrdiff_t>(jEnd));
    if (a.size() == 1 && b.size() == 1)
      coupling.unite(a[0], b[0]);
    else if (a.size() == 1)
      reshapeParts(a[0], b);
    else if (b.size() == 1)
      reshapeParts(b[0], a);
    else {
      pinAll(a, 0);
      pinAll(b, 0);
    }
    i = iEnd;
    j = jEnd;
  }
  // What is left has one element.
  pinAll(x, i);
  pinAll(y, j);
}

/// A dim that is -1 is computed, 0 is copied from the same axis, and a constant can be changed.
void Rules::checkTarget(const std::string &target, const std::vector<Axis> &x, const std::vector<Axis> &y) {
  for (size_t k = 0; k < y.size(); ++k) {
    std::optional<int64_t> extent = coupling.traceElement(target, k);
    bool isCopied = extent == 0 && k < x.size() && x[k].extent == y[k].extent;
    if (!extent || (*extent != -1 && *extent != y[k].extent && !isCopied))
      coupling.pin(y[k]);
    else if (isCopied)
      coupling.unite(x[k], y[k]);
  }
}

bool Rules::applyReshape(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y || (node.op_type() == "Reshape" && opset < 5))
    return false;
  reshape(*x, *y);
  if (node.op_type() == "Reshape")
    checkTarget(getInput(node, 1), *x, *y);
  return true;
}

bool Rules::applySqueeze(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y)
    return false;
  bool isLonger = node.op_type() == "Unsqueeze";
  const std::vector<Axis> &more = isLonger ? *y : *x, &fewer = isLonger ? *x : *y;
  std::optional<std::vector<int64_t>> axes = findAxes(model, node, 1, more.size());
  if (!axes || more.size() != fewer.size() + axes->size())
    return false;
  for (size_t k = 0, at = 0; k < more.size(); ++k)
    if (std::find(axes->begin(), axes->end(), static_cast<int64_t>(k)) == axes->end()) {
      if (at == fewer.size())
        return false;
      coupling.unite(more[k], fewer[at++]);
    }
  return true;
}

bool Rules::applyTranspose(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  std::vector<int64_t> order = getInts(node, "perm");
  if (!x || !y || x->size() != y->size())
    return false;
  if (order.empty())
    for (size_t k = x->size(); k-- > 0;)
      order.push_back(static_cast<int64_t>(k));
  for (size_t k = 0; k < order.size() && k < y->size(); ++k)
    coupling.unite((*x)[static_cast<size_t>(order[k])], (*y)[k]);
  return true;
}

bool Rules::applyExpand(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  if (!x || !y || x->size() > y->size())
    return false;
  broadcast(*x, *y);
  size_t shift = y->size() - x->size();
  std::vector<int64_t> dims = model.readIntegers(getInput(node, 1)).value_or(std::vector<int64_t>());
  for (size_t k = 0; k < y->size(); ++k) {
    bool isKept = k >= shift && (*x)[k - shift].extent == (*y)[k].extent;
    std::optional<int64_t> extent = coupling.traceElement(getInput(node, 1), k);
    if (!isKept || !extent || (*extent != 1 && *extent != (*y)[k].extent) || (!dims.empty() && dims.size() != y->size()))
      coupling.pin((*y)[k]);
  }
  return true;
}

bool Rules::applyConcat(const onnx::NodeProto &node) {
  const std::vector<Axis> *y = findOutput(node);
  int64_t axis = getInt(node, "axis", 1);
  if (!y || y->empty())
    return false;
  auto joined = static_cast<size_t>(axis + (axis < 0 ? static_cast<int64_t>(y->size()) : 0));
  int64_t at = 0;
  for (int k = 0; k < node.input_size(); ++k) {
    const std::vector<Axis> *x = find(node, k);
    if (!x || x->size() != y->size() || joined >= x->size() || (*x)[joined].extent < 0 || at + (*x)[joined].extent > (*y)[joined].extent)
      return false;
    for (size_t d = 0; d < x->size(); ++d)
      if (d != joined)
        coupling.unite((*x)[d], (*y)[d]);
    if ((*x)[joined].extent)
      coupling.unite((*x)[joined], cut((*y)[joined], at, (*x)[joined].extent));
    at += (*x)[joined].extent;
  }
  return at == (*y)[joined].extent;
}

bool Rules::applySplit(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0);
  int64_t axis = getInt(node, "axis", 0), at = 0;
  if (!x || x->empty() || (opset >= 13 && !getInput(node, 1).empty() && !model.readIntegers(getInput(node, 1))))
    return false;
  auto split = static_cast<size_t>(axis + (axis < 0 ? static_cast<int64_t>(x->size()) : 0));
  for (const std::string &output : node.output()) {
    const std::vector<Axis> *y = coupling.find(output);
    if (!y || y->size() != x->size() || split >= y->size() || (*y)[split].extent < 0 || at + (*y)[split].extent > (*x)[split].extent)
      return false;
    for (size_t d = 0; d < x->size(); ++d)
      if (d != split)
        coupling.unite((*x)[d], (*y)[d]);
    if ((*y)[split].extent)
      coupling.unite(cut((*x)[split], at, (*y)[split].extent), (*y)[split]);
    at += (*y)[split].extent;
  }
  return at == (*x)[split].extent;
}

bool Rules::applySlice(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *y = findOutput(node);
  std::optional<std::vector<int64_t>> starts = model.readIntegers(getInput(node, 1)), ends = model.readIntegers(getInput(node, 2));
  if (!x || !y || x->size() != y->size() || opset < 10 || !starts || !ends || starts->size() != ends->size())
    return false;
  std::optional<std::vector<int64_t>> axes = std::vector<int64_t>(), steps = std::vector<int64_t>(starts->size(), 1);
  for (size_t k = 0; k < starts->size(); ++k)
    axes->push_back(static_cast<int64_t>(k));
  if (!getInput(node, 3).empty())
    axes = findAxes(model, node, 3, x->size());
  if (!getInput(node, 4).empty())
    steps = model.readIntegers(getInput(node, 4));
  if (!axes || !steps || axes->size() != starts->size() || steps->size() != starts->size())
    return false;
  std::map<size_t, size_t> cuts;
  for (size_t k = 0; k < axes->size(); ++k)
    cuts[static_cast<size_t>((*axes)[k])] = k;
  for (size_t d = 0; d < x->size(); ++d) {
    auto own = cuts.find(d);
    if (own == cuts.end()) {
      coupling.unite((*x)[d], (*y)[d]);
      continue;
    }
    int64_t start = (*starts)[own->second], extent = (*x)[d].extent;
    start = std::min(start < 0 ? start + extent : start, extent);
    if ((*steps)[own->second] == 1 && start >= 0 && (*y)[d].extent > 1 && start + (*y)[d].extent <= extent) {
      // What lies on either side of the cut stays in the first operand alone.
      coupling.unite(cut((*x)[d], start, (*y)[d].extent), (*y)[d]);
      continue;
    }
    coupling.pin((*x)[d]);
    coupling.pin((*y)[d]);
  }
  return true;
}

bool Rules::applyGather(const onnx::NodeProto &node) {
  const std::vector<Axis> *data = find(node, 0), *indices = find(node, 1), *y = findOutput(node);
  if (!data || !indices || !y || data->empty() || y->size() + 1 != data->size() + indices->size())
    return false;
  int64_t axis = getInt(node, "axis", 0);
  auto chosen = static_cast<size_t>(axis + (axis < 0 ? static_cast<int64_t>(data->size()) : 0));
  if (chosen >= data->size())
    return false;
  coupling.pin((*data)[chosen]);
  for (size_t k = 0; k < indices->size(); ++k) {
    coupling.pin((*indices)[k]);
    coupling.pin((*y)[chosen + k]);
  }
  for (size_t k = 0; k < data->size(); ++k)
    if (k != chosen)
      coupling.unite((*data)[k], (*y)[k < chosen ? k : k + indices->size() - 1]);
  if (model.findDims(node.input(0)) && data->size() == 2 && chosen == 0)
    coupling.sources.push_back({node.input(0), 1});
  return true;
}

/// The dims that are read are pinned: those that a Gather with constant indices takes, or all.
bool Rules::applyShape(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0);
  if (!x || node.attribute_size())
    return false;
  size_t readers = 0;
  for (const onnx::NodeProto &reader : model.graph().node()) {
    if (reader.op_type() != "Gather" || getInput(reader, 0) != node.output(0))
      continue;
    std::optional<std::vector<int64_t>> indices = model.readIntegers(getInput(reader, 1));
    if (!indices)
      return false;
    ++readers;
    for (int64_t index : *indices) {
      int64_t axis = index + (index < 0 ? static_cast<int64_t>(x->size()) : 0);
      if (axis < 0 || axis >= static_cast<int64_t>(x->size()))
        return false;
      coupling.pin((*x)[static_cast<size_t>(axis)]);
    }
  }
  return readers == model.countReaders(node.output(0));
}

/// Heads go together with the queries', keys' and values' columns; queries that share a key and value with it.
bool Rules::applyHeads(const onnx::NodeProto &node) {
  const std::vector<Axis> *y = findOutput(node);
  bool isGrouped = node.op_type() == "GroupQueryAttention";
  int64_t heads = getInt(node, "num_heads", 0), groups = isGrouped ? getInt(node, "kv_num_heads", 0) : heads;
  if (!y || y->size() != 3 || heads < 2 || groups < 2 || heads % groups || node.output_size() > 1)
    return false;
  auto isAllowed = [&](int input) { return input < 3 || getInput(node, input).empty() || (isGrouped && (input == 5 || input == 6)) || (!isGrouped && (input == 3 || input == 4)); };
  for (int k = 0; k < node.input_size(); ++k)
    if (!isAllowed(k))
      return false;
  std::vector<Axis> columns;
  for (int k = 0; k < 3; ++k) {
    const std::vector<Axis> *x = find(node, k);
    if (!x || x->size() != 3)
      return false;
    coupling.pin((*x)[0]);
    coupling.pin((*x)[1]);
    columns.push_back((*x)[2]);
  }
  coupling.pin((*y)[0]);
  coupling.pin((*y)[1]);
  columns.push_back((*y)[2]);
  int64_t offset = 0;
  if (const std::vector<Axis> *bias = isGrouped ? nullptr : find(node, 3)) {
    int64_t total = columns[0].extent + columns[1].extent + columns[2].extent;
    if (bias->size() != 1 || (*bias)[0].extent != total)
      return false;
    for (int k = 0; k < 3; offset += columns[static_cast<size_t>(k++)].extent)
      columns.push_back(cut((*bias)[0], offset, columns[static_cast<size_t>(k)].extent));
  }
  for (const Axis &axis : columns)
    if (!axis.isKnown() || axis.extent % groups)
      return false;
  for (const Axis &axis : columns) {
    for (int64_t k = 0; k < axis.extent; ++k)
      coupling.unite(axis.at(k), columns[0].at(k / (axis.extent / groups) * (columns[0].extent / groups)));
    coupling.markHeads(axis);
  }
  return true;
}

/// com.microsoft's Attention: x, [in, q | k | v], bias. ONNX's own operator of this name is not understood.
bool Rules::applyPackedAttention(const onnx::NodeProto &node) {
  const std::vector<Axis> *x = find(node, 0), *w = find(node, 1), *bias = find(node, 2), *y = findOutput(node);
  int64_t heads = getInt(node, "num_heads", 0);
  bool isPlain = node.domain() == "com.microsoft" && node.output_size() == 1 && getInts(node, "qkv_hidden_sizes").empty() && getInput(node, 4).empty() && getInput(node, 5).empty() && getInput(node, 6).empty();
  if (!isPlain || !x || !w || !y || x->size() != 3 || w->size() != 2 || y->size() != 3 || heads < 2 || (!getInput(node, 2).empty() && (!bias || bias->size() != 1)) || !model.findDims(node.input(1)))
    return false;
  coupling.pin(getInput(node, 3));
  for (size_t k = 0; k < 2; ++k) {
    coupling.pin((*x)[k]);
    coupling.pin((*y)[k]);
  }
  coupling.unite((*x)[2], (*w)[0]);
  const Axis &columns = (*w)[1], &out = (*y)[2];
  if (!columns.isKnown() || !out.isKnown() || columns.extent != 3 * out.extent || out.extent % heads)
    return false;
  for (int64_t k = 0; k < columns.extent; ++k)
    coupling.unite(columns.at(k), out.at(k % out.extent / (out.extent / heads) * (out.extent / heads)));
  for (int64_t k = 0; k < out.extent; ++k)
    coupling.unite(out.at(k), columns.at(k));
  coupling.markHeads(out);
  if (bias)
    coupling.unite((*bias)[0], columns);
  addWeights(node, 1, 0, 2);
  return true;
}

} // namespace onager::compress
