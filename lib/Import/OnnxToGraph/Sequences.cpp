// Sequences and optionals: lists of values that are known while importing, so that none is left in the graph.
//
// Their lengths, and the positions at which they change, must be known; an element may be chosen while running where all have one shape.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

using List = std::vector<Datum>;

/// The list of an input, or null after a failure.
const List *getList(Node &node, unsigned index) {
  if (node.has(index) && node.datum(index).kind == Datum::sequence)
    return node.datum(index).elements.get();
  node.e.fail("input " + Twine(index) + " is " + (node.has(index) ? "no sequence" : "missing"));
  return nullptr;
}

/// The position that an input gives, counted from 0; `most` is the largest. Fails where it is not known or outside.
std::optional<size_t> getPosition(Node &node, unsigned index, size_t count, size_t most) {
  std::optional<Ints> given = node.e.constants(node.in(index));
  if (!given || given->size() != 1) {
    node.e.fail("the position in a sequence is not known when the model is compiled");
    return std::nullopt;
  }
  int64_t position = (*given)[0] < 0 ? (*given)[0] + static_cast<int64_t>(count) : (*given)[0];
  if (position < 0 || position > static_cast<int64_t>(most)) {
    node.e.fail("position " + Twine((*given)[0]) + " is outside a sequence of " + Twine(count));
    return std::nullopt;
  }
  return static_cast<size_t>(position);
}

/// The tensors of a list; fails where an element is none.
Values getTensors(Node &node, const List &list) {
  Values tensors;
  for (const Datum &element : list)
    tensors.push_back(element.kind == Datum::tensor ? element.value : node.e.fail("an element of the sequence is no tensor"));
  return tensors;
}

void importConstruct(Node &node) { node.setDatum(0, Datum::ofSequence(node.inputs)); }

void importEmpty(Node &node) { node.setDatum(0, Datum::ofSequence({})); }

void importInsert(Node &node) {
  const List *list = getList(node, 0);
  if (!list || !node.in(1))
    return;
  std::optional<size_t> position = node.has(2) ? getPosition(node, 2, list->size(), list->size()) : list->size();
  if (!position)
    return;
  List longer(*list);
  longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(*position), node.datum(1));
  node.setDatum(0, Datum::ofSequence(std::move(longer)));
}

void importErase(Node &node) {
  const List *list = getList(node, 0);
  if (list && list->empty())
    node.e.fail("the sequence is empty");
  if (!list || list->empty())
    return;
  std::optional<size_t> position = node.has(1) ? getPosition(node, 1, list->size(), list->size() - 1) : list->size() - 1;
  if (!position)
    return;
  List shorter(*list);
  shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(*position));
  node.setDatum(0, Datum::ofSequence(std::move(shorter)));
}

/// An element at a position that is known, or chosen while running among elements of one shape.
void importAt(Node &node) {
  Emitter &e = node.e;
  const List *list = getList(node, 0);
  if (list && list->empty())
    e.fail("the sequence is empty");
  if (!list || list->empty() || !node.in(1))
    return;
  if (e.constants(node.in(1))) {
    if (std::optional<size_t> position = getPosition(node, 1, list->size(), list->size() - 1))
      node.setDatum(0, (*list)[*position]);
    return;
  }
  Values rows;
  for (Value tensor : getTensors(node, *list)) {
    Dims dims = tensor ? Emitter::dimsOf(tensor) : Dims(), first = rows.empty() ? dims : Emitter::dimsOf((*list)[0].value);
    bool isSame = dims.size() == first.size() && llvm::all_of(llvm::zip(dims, first), [](auto pair) { return areEqual(std::get<0>(pair), std::get<1>(pair)); });
    if (!isSame)
      e.fail("a position that is known only while running, in a sequence of different shapes");
    if (e.hasFailed())
      return;
    rows.push_back(e.unsqueeze(tensor, {0}));
  }
  node.set(0, e.gather(e.concat(rows, 0), e.reshape(node.in(1), {}), 0));
}

void importLength(Node &node) {
  if (const List *list = getList(node, 0))
    node.set(0, node.e.integerScalar(static_cast<int64_t>(list->size()), node.e.i64()));
}

void importConcatFrom(Node &node) {
  Emitter &e = node.e;
  const List *list = getList(node, 0);
  if (list && list->empty())
    e.fail("the sequence is empty");
  if (!list || list->empty())
    return;
  Values tensors = getTensors(node, *list);
  if (e.hasFailed())
    return;
  bool isNew = node.getInt("new_axis", 0) != 0;
  int64_t axis = e.axisOf(node.getInt("axis", 0), Emitter::rankOf(tensors[0]) + isNew);
  if (e.hasFailed())
    return;
  if (isNew)
    for (Value &tensor : tensors)
      tensor = e.unsqueeze(tensor, {axis});
  node.set(0, e.concat(tensors, axis));
}

/// Sizes of the parts along an axis: all of one size but the last, or each as given; fails where their number is not known.
Exprs getPartSizes(Node &node, AffineExpr extent, bool &isSingle) {
  Emitter &e = node.e;
  isSingle = !node.has(1);
  if (!isSingle && Emitter::rankOf(node.in(1)) == 1)
    return e.contentsOrBind(node.in(1));
  std::optional<Ints> size = isSingle ? Ints{1} : e.constants(node.in(1));
  std::optional<int64_t> total = graph::getConstant(extent);
  constexpr int64_t kMostParts = 4096;
  if (!size || !total || size->size() != 1 || (*size)[0] < 1 || *total / (*size)[0] > kMostParts) {
    e.fail("the number of parts is not known, or above " + Twine(kMostParts));
    return {};
  }
  Exprs sizes;
  for (int64_t start = 0; start < *total; start += (*size)[0])
    sizes.push_back(e.number(std::min((*size)[0], *total - start)));
  return sizes;
}

void importSplitTo(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  int64_t axis = x ? e.axisOf(node.getInt("axis", 0), Emitter::rankOf(x)) : 0;
  if (!x || e.hasFailed())
    return;
  bool isSingle = false;
  AffineExpr start = e.number(0), extent = Emitter::dimsOf(x)[axis];
  List parts;
  for (AffineExpr size : getPartSizes(node, extent, isSingle)) {
    Value part = e.sliceAxis(x, axis, start, e.maxOf(size, e.number(0)));
    parts.push_back(Datum::of(isSingle && !node.getInt("keepdims", 1) ? e.squeeze(part, {axis}) : part));
    start = normalize(start + size);
  }
  if (e.hasFailed())
    return;
  e.unify(start, extent, "the sizes of a split and the extent");
  node.setDatum(0, Datum::ofSequence(std::move(parts)));
}

/// Applies the body to the elements of the first input, and of the others that are sequences.
void importMap(Node &node) {
  Emitter &e = node.e;
  const List *list = getList(node, 0);
  const onnx::GraphProto *body = node.getGraph("body");
  if (!list || !body)
    return;
  std::vector<List> results(node.numOutputs());
  for (size_t k = 0; k < list->size() && !e.hasFailed(); ++k) {
    Scope scope;
    scope.parent = &node.scope;
    scope.frame = node.scope.frame;
    scope.splits = node.scope.splits;
    for (auto [number, input] : llvm::enumerate(node.inputs)) {
      if (number >= static_cast<size_t>(body->input_size()) || (input.kind == Datum::sequence && input.elements->size() != list->size()))
        return void(e.fail("the body has " + Twine(body->input_size()) + " inputs, and sequences must be of one length"));
      scope.values[body->input(static_cast<int>(number)).name()] = input.kind == Datum::sequence ? (*input.elements)[k] : input;
    }
    std::vector<Datum> outputs = node.importer.importSubgraph(*body, scope);
    if (outputs.size() < results.size())
      return void(e.fail("the body has " + Twine(outputs.size()) + " outputs, expected " + Twine(results.size())));
    for (size_t number = 0; number < results.size(); ++number)
      results[number].push_back(outputs[number]);
  }
  for (size_t number = 0; number < results.size() && !e.hasFailed(); ++number)
    node.setDatum(static_cast<unsigned>(number), Datum::ofSequence(std::move(results[number])));
}

/// Optional and OptionalGetElement hand on what they are given.
void importOptional(Node &node) { node.setDatum(0, node.has(0) ? node.datum(0) : Datum()); }

void importGetElement(Node &node) {
  if (!node.has(0))
    return void(node.e.fail("the optional is empty"));
  node.setDatum(0, node.datum(0));
}

void importHasElement(Node &node) { node.set(0, node.e.scalar(node.has(0), node.e.i1())); }

} // namespace

void addSequences(OperatorTable &table) {
  table.add("SequenceConstruct", importConstruct);
  table.add("SequenceEmpty", importEmpty);
  table.add("SequenceInsert", importInsert);
  table.add("SequenceErase", importErase);
  table.add("SequenceAt", importAt);
  table.add("SequenceLength", importLength);
  table.add("SequenceMap", importMap);
  table.add("ConcatFromSequence", importConcatFrom);
  table.add("SplitToSequence", importSplitTo);
  table.add("Optional", importOptional);
  table.add("OptionalGetElement", importGetElement);
  table.add("OptionalHasElement", importHasElement);
}

} // namespace onager::frontend
