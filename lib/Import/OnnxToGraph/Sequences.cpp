// Sequences and optionals. Where lengths and positions are known while importing, a sequence is a list of tensors and nothing of it is left in the
// graph; else its elements are slices of one tensor (Ragged.h).
#include "lib/Import/OnnxToGraph/Ragged.h"
#include "lib/Import/OnnxToGraph/Values.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

using List = std::vector<Datum>;

/// The list of an input whose length is known, or null.
const List *getList(Node &node, unsigned index) {
  bool isList = node.has(index) && node.datum(index).kind == Datum::sequence;
  return isList ? node.datum(index).parts.get() : nullptr;
}

/// The sequence of an input in the form that does not depend on its length; poison after a failure.
Datum getRagged(Node &node, unsigned index) {
  bool isFull = node.has(index);
  Datum datum = isFull ? node.datum(index) : Datum();
  if (datum.kind == Datum::sequence || datum.kind == Datum::ragged)
    return toRagged(node.e, datum);
  node.e.fail("input " + Twine(index) + " is " + (isFull ? "no sequence" : "missing"));
  return Datum::poison();
}

/// The position that an input gives, counted from 0, in a list; nothing where it is not known. Fails where it is outside; `most` is the largest.
std::optional<size_t> getPosition(Node &node, unsigned index, size_t count, size_t most) {
  std::optional<Ints> given = node.e.constants(node.in(index));
  if (!given || given->size() != 1)
    return std::nullopt;
  int64_t position = (*given)[0] < 0 ? (*given)[0] + static_cast<int64_t>(count) : (*given)[0];
  if (position >= 0 && position <= static_cast<int64_t>(most))
    return static_cast<size_t>(position);
  node.e.fail("position " + Twine((*given)[0]) + " is outside a sequence of " + Twine(count));
  return std::nullopt;
}

/// The tensors of a list; fails where an element is none.
Values getTensors(Node &node, const List &list) {
  Values tensors;
  for (const Datum &element : list)
    tensors.push_back(element.kind == Datum::tensor ? element.value : node.e.fail("an element of the sequence is no tensor"));
  return tensors;
}

void importConstruct(Node &node) { node.setDatum(0, Datum::ofSequence(node.inputs)); }

void importEmpty(Node &node) {
  auto number = static_cast<int32_t>(node.getInt("dtype", onnx::TensorProto::FLOAT));
  Type element = convertElementType(number, node.e.context());
  if (!element)
    return void(node.e.fail("a sequence of element type " + describeElementType(number) + " is not supported"));
  node.setDatum(0, Datum::ofSequence({}, element));
}

void importInsert(Node &node) {
  const List *list = getList(node, 0);
  std::optional<size_t> position = list && node.has(2) ? getPosition(node, 2, list->size(), list->size()) : list ? list->size() : std::optional<size_t>();
  Value tensor = node.in(1);
  if (node.e.hasFailed())
    return;
  if (!list || !position)
    return node.setDatum(0, insertElement(node.e, getRagged(node, 0), node.has(2) ? node.in(2) : Value(), tensor));
  List longer(*list);
  longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(*position), node.datum(1));
  node.setDatum(0, Datum::ofSequence(std::move(longer), node.datum(0).element));
}

void importErase(Node &node) {
  const List *list = getList(node, 0);
  if (list && list->empty())
    return void(node.e.fail("the sequence is empty"));
  std::optional<size_t> position;
  if (list)
    position = node.has(1) ? getPosition(node, 1, list->size(), list->size() - 1) : list->size() - 1;
  if (node.e.hasFailed())
    return;
  if (!position) {
    Datum ragged = getRagged(node, 0);
    return node.setDatum(0, node.e.hasFailed() ? Datum::poison() : eraseElement(node.e, ragged, node.has(1) ? node.in(1) : Value()));
  }
  List shorter(*list);
  shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(*position));
  node.setDatum(0, Datum::ofSequence(std::move(shorter), node.datum(0).element));
}

/// Chooses among tensors of one shape while running; null where they have not.
Value chooseAmong(Emitter &e, ArrayRef<Value> tensors, Value position) {
  Values rows;
  Dims first = Emitter::dimsOf(tensors[0]);
  for (Value tensor : tensors) {
    Dims dims = Emitter::dimsOf(tensor);
    if (dims.size() != first.size() || !llvm::all_of(llvm::zip(dims, first), [](auto pair) { return areEqual(std::get<0>(pair), std::get<1>(pair)); }))
      return {};
    rows.push_back(e.unsqueeze(tensor, {0}));
  }
  return e.gather(e.concat(rows, 0), e.reshape(position, {}), 0);
}

void importAt(Node &node) {
  Emitter &e = node.e;
  const List *list = getList(node, 0);
  if (list && list->empty())
    return void(e.fail("the sequence is empty"));
  if (!node.in(1))
    return;
  std::optional<size_t> position = list ? getPosition(node, 1, list->size(), list->size() - 1) : std::nullopt;
  if (position)
    return node.setDatum(0, (*list)[*position]);
  if (e.hasFailed())
    return;
  Values tensors = list ? getTensors(node, *list) : Values();
  if (e.hasFailed())
    return;
  if (Value chosen = list ? chooseAmong(e, tensors, node.in(1)) : Value())
    return node.set(0, chosen);
  Datum ragged = getRagged(node, 0);
  if (!e.hasFailed())
    node.set(0, getElement(e, ragged, node.in(1)));
}

void importLength(Node &node) {
  Emitter &e = node.e;
  if (const List *list = getList(node, 0))
    return node.set(0, e.integerScalar(static_cast<int64_t>(list->size()), e.i64()));
  Datum ragged = getRagged(node, 0);
  if (!e.hasFailed())
    node.set(0, e.indexTensor({getLength(ragged)}, {}, e.i64()));
}

void importConcatFrom(Node &node) {
  Emitter &e = node.e;
  const List *list = getList(node, 0);
  bool isNew = node.getInt("new_axis", 0) != 0;
  if (!list) {
    Datum ragged = getRagged(node, 0);
    return node.set(0, e.hasFailed() ? Value() : concatElements(e, ragged, node.getInt("axis", 0), isNew));
  }
  if (list->empty())
    return void(e.fail("the sequence is empty"));
  Values tensors = getTensors(node, *list);
  if (e.hasFailed())
    return;
  int64_t axis = e.axisOf(node.getInt("axis", 0), Emitter::rankOf(tensors[0]) + isNew);
  if (e.hasFailed())
    return;
  if (isNew)
    for (Value &tensor : tensors)
      tensor = e.unsqueeze(tensor, {axis});
  node.set(0, e.concat(tensors, axis));
}

/// Sizes of the parts along an axis where their number is known: all of one size but the last, or each as given.
std::optional<Exprs> getPartSizes(Node &node, AffineExpr extent) {
  Emitter &e = node.e;
  if (node.has(1) && Emitter::rankOf(node.in(1)) == 1) {
    auto type = cast<RankedTensorType>(node.in(1).getType());
    return type.hasStaticShape() && type.getNumElements() <= kMaxContents ? std::optional<Exprs>(e.contentsOrBind(node.in(1))) : std::nullopt;
  }
  std::optional<Ints> size = node.has(1) ? e.constants(node.in(1)) : Ints{1};
  std::optional<int64_t> total = graph::getConstant(extent);
  constexpr int64_t kMostParts = 4096;
  if (!size || !total || size->size() != 1 || (*size)[0] < 1 || *total / (*size)[0] > kMostParts)
    return std::nullopt;
  Exprs sizes;
  for (int64_t start = 0; start < *total; start += (*size)[0])
    sizes.push_back(e.number(std::min((*size)[0], *total - start)));
  return sizes;
}

/// The number above 0 that every element of a list is; nothing where that is not known.
std::optional<int64_t> getOnlyElement(Emitter &e, Value list) {
  auto broadcast = list.getDefiningOp<BroadcastOp>();
  std::optional<Ints> only = broadcast ? e.constants(broadcast.getX()) : std::nullopt;
  return only && only->size() == 1 && (*only)[0] > 0 ? std::optional<int64_t>((*only)[0]) : std::nullopt;
}

/// Parts whose number is found while running.
Datum splitWhileRunning(Node &node, Value x, int64_t axis, bool drops) {
  Emitter &e = node.e;
  bool isList = node.has(1) && Emitter::rankOf(node.in(1)) == 1;
  if (std::optional<int64_t> size = isList ? getOnlyElement(e, node.in(1)) : std::nullopt) {
    Dims dims = Emitter::dimsOf(x);
    AffineExpr sum = normalize(Emitter::dimsOf(node.in(1))[0] * *size);
    e.unify(sum, dims[axis], "the sizes of a split and the extent");
    dims[axis] = sum;
    x = e.reshape(x, dims);
    return e.hasFailed() ? Datum::poison() : splitEvenly(e, x, axis, e.number(*size));
  }
  if (isList && axis != 0)
    return e.fail("parts of sizes that are known only while running, along another axis than the first"), Datum::poison();
  if (isList)
    return splitRows(e, x, node.in(1));
  AffineExpr size = e.number(1);
  if (node.has(1)) {
    Exprs given = e.contentsOrBind(e.reshape(node.in(1), {}));
    if (e.hasFailed())
      return Datum::poison();
    size = e.maxOf(given[0], e.number(1));
    e.require(size, given[0], "the size of the parts, which must be above 0,");
  }
  Datum parts = splitEvenly(e, x, axis, size);
  if (!drops || e.hasFailed())
    return parts;
  // Parts of one element lose the axis: their data stay as they are.
  int64_t rank = Emitter::rankOf(x);
  AffineExpr count = getLength(parts);
  Value dims = e.reshape(parts.part(1), {count, e.number(rank)});
  Value kept = e.concat({e.sliceAxis(dims, 1, 0, axis), e.sliceAxis(dims, 1, axis + 1, rank - axis - 1)}, 1);
  Value ranks = e.splat(e.integerScalar(rank - 1, e.i64()), {count});
  Datum dropped = Datum::ofParts(Datum::ragged, {Datum::of(ranks), Datum::of(e.flatten(kept)), (*parts.parts)[2]}, Emitter::elementOf(x), rank - 1);
  dropped.dims = parts.dims;
  dropped.dims.erase(dropped.dims.begin() + axis);
  return dropped;
}

void importSplitTo(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  int64_t axis = x ? e.axisOf(node.getInt("axis", 0), Emitter::rankOf(x)) : 0;
  if (!x || e.hasFailed())
    return;
  bool drops = !node.has(1) && !node.getInt("keepdims", 1);
  AffineExpr start = e.number(0), extent = Emitter::dimsOf(x)[axis];
  std::optional<Exprs> sizes = getPartSizes(node, extent);
  if (!sizes)
    return node.setDatum(0, e.hasFailed() ? Datum::poison() : splitWhileRunning(node, x, axis, drops));
  List parts;
  for (AffineExpr size : *sizes) {
    Value part = e.sliceAxis(x, axis, start, e.sizeOf(size, "a size"));
    parts.push_back(Datum::of(drops ? e.squeeze(part, {axis}) : part));
    start = normalize(start + size);
  }
  if (e.hasFailed())
    return;
  e.unify(start, extent, "the sizes of a split and the extent");
  node.setDatum(0, Datum::ofSequence(std::move(parts), Emitter::elementOf(x)));
}

/// Applies the body to the elements of the first input, and of the others that are sequences.
void importMap(Node &node) {
  Emitter &e = node.e;
  const List *list = getList(node, 0);
  const onnx::GraphProto *body = node.getGraph("body");
  if (!body)
    return;
  bool areLists = list && llvm::all_of(node.inputs, [](const Datum &input) { return input.kind != Datum::ragged; });
  if (!areLists)
    return node.importer.importBody(node);
  std::vector<List> results(node.numOutputs());
  for (size_t k = 0; k < list->size() && !e.hasFailed(); ++k) {
    Scope scope;
    scope.parent = &node.scope;
    scope.frame = node.scope.frame;
    scope.splits = node.scope.splits;
    for (auto [number, input] : llvm::enumerate(node.inputs)) {
      if (number >= static_cast<size_t>(body->input_size()) || (input.kind == Datum::sequence && input.parts->size() != list->size()))
        return void(e.fail("the body has " + Twine(body->input_size()) + " inputs, and sequences must be of one length"));
      scope.values[body->input(static_cast<int>(number)).name()] = input.kind == Datum::sequence ? (*input.parts)[k] : input;
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

/// A full optional is the value itself.
void importOptional(Node &node) { node.setDatum(0, node.has(0) ? node.datum(0) : Datum()); }

void importGetElement(Node &node) {
  Emitter &e = node.e;
  if (!node.has(0))
    return void(e.fail("the optional is empty"));
  const Datum &datum = node.datum(0);
  if (datum.kind != Datum::optional)
    return node.setDatum(0, datum);
  Exprs present = e.contentsOrBind(e.cast(datum.part(0), e.i64()));
  if (e.hasFailed())
    return;
  e.require(present[0], e.number(1), "an optional that must be full");
  node.setDatum(0, (*datum.parts)[1]);
}

void importHasElement(Node &node) {
  bool isOptional = node.has(0) && node.datum(0).kind == Datum::optional;
  node.set(0, isOptional ? node.datum(0).part(0) : node.e.scalar(node.has(0), node.e.i1()));
}

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
