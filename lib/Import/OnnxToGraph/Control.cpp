// Loop and Scan become regions. A dim of a result that is not the same expression on all ways there is a symbol that the operation binds.
#include "lib/Import/OnnxToGraph/Control.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
bool isOuter(AffineExpr expr, const Body &body) {
  bool outer = true;
  forEachSymbol(expr, [&](unsigned symbol) { outer &= symbol < body.firstSymbol; });
  return outer;
}

void fillBody(Node &node, ArrayRef<Type> arguments, function_ref<std::vector<Datum>(Scope &, Block &)> fill, Body &body) {
  Emitter &e = node.e;
  OpBuilder::InsertionGuard guard(e.builder);
  SmallVector<Location> locations(arguments.size(), e.location);
  Block *block = e.builder.createBlock(&body.region, {}, arguments, locations);
  Scope scope;
  scope.parent = &node.scope;
  scope.frame = node.scope.frame;
  scope.splits = node.scope.splits;
  body.firstSymbol = e.symbols.size();
  e.enterRegion();
  size_t errors = node.importer.countErrors();
  body.outputs = fill(scope, *block);
  e.leaveRegion();
  bool isPoisoned = llvm::any_of(body.outputs, [](const Datum &datum) { return datum.kind == Datum::poisoned; });
  body.isWhole = node.importer.countErrors() == errors && !e.hasFailed() && !isPoisoned;
}

void flattenBody(Node &node, Body &body, ArrayRef<Form> forms) {
  Emitter &e = node.e;
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToEnd(&body.region.front());
  e.enterRegion();
  for (auto [datum, form] : llvm::zip(body.outputs, forms))
    flattenDatum(e, datum, form, body.values);
  e.leaveRegion();
}

void closeBody(Node &node, Body &body, ArrayRef<Value> values) {
  OpBuilder::InsertionGuard guard(node.e.builder);
  node.e.builder.setInsertionPointToEnd(&body.region.front());
  YieldOp::create(node.e.builder, node.e.location, values);
}

Values scanOver(Node &node, ArrayRef<Value> states, ArrayRef<Value> sequences, function_ref<Values(Value, ArrayRef<Value>, ArrayRef<Value>)> step) {
  Emitter &e = node.e;
  if (e.hasFailed() || llvm::is_contained(states, Value()) || llvm::is_contained(sequences, Value()))
    return {};
  AffineExpr count = Emitter::dimsOf(sequences[0])[0];
  for (Value sequence : sequences)
    count = e.unify(count, Emitter::dimsOf(sequence)[0], "the lengths of sequences");
  Value trips = e.indexTensor({count}, {}, e.i64());
  SmallVector<Type> arguments{RankedTensorType::get({}, e.i64()), RankedTensorType::get({}, e.i1())}, types;
  for (Value state : states)
    types.push_back(state.getType());
  arguments.append(types);
  Body body;
  fillBody(node, arguments, [&](Scope &, Block &block) {
    Values slices, results;
    for (Value sequence : sequences)
      slices.push_back(e.gather(sequence, block.getArgument(0), 0));
    e.iterations.push_back(block.getArgument(0));
    results = step(block.getArgument(0), Values(block.getArguments().drop_front(2)), slices);
    e.iterations.pop_back();
    std::vector<Datum> outputs;
    for (auto [k, result] : llvm::enumerate(results))
      outputs.push_back(Datum::of(result && k < states.size() ? e.reshape(result, Emitter::dimsOf(states[k])) : result));
    return outputs;
  }, body);
  if (!body.isWhole)
    return {};
  flattenBody(node, body, std::vector<Form>(body.outputs.size()));
  for (Value stacked : ArrayRef(body.values).drop_front(states.size())) {
    Dims dims = Emitter::dimsOf(stacked);
    dims.insert(dims.begin(), count);
    types.push_back(e.tensorType(dims, Emitter::elementOf(stacked)));
  }
  if (e.hasFailed())
    return {};
  Values yielded{body.region.front().getArgument(1)};
  yielded.append(body.values);
  closeBody(node, body, yielded);
  int64_t iterations = cast<AffineSymbolExpr>(e.symbols.fresh()).getPosition();
  auto op = LoopOp::create(e.builder, e.location, types, trips, Value(), states, ArrayRef<int64_t>(), e.exprs({}), e.exprs({}), iterations, e.exprs({}));
  op.getBody().takeBody(body.region);
  return Values(op.getResults());
}

void poisonOutputs(Node &node) {
  for (unsigned k = 0; k < node.numOutputs(); ++k)
    node.setDatum(k, Datum::poison());
}

namespace {

/// A loop under construction: what is common to Loop and Scan.
struct LoopPlan {
  Value trips, condition;    ///< either may be null
  std::vector<Datum> given;  ///< what the carried values begin with
  std::vector<Form> forms;   ///< of the carried values, such that what begins and what an iteration gives fits
  Values inits;              ///< the leaves of `given`
  const onnx::GraphProto *graph = nullptr;
  bool yieldsCondition = false; ///< the subgraph's first output is the next condition
  /// Binds names of the subgraph; `carried` are the carried values inside the block.
  std::function<void(Scope &, Value iteration, Value condition, ArrayRef<Datum> carried)> bind;
  std::optional<AffineExpr> count; ///< number of iterations where the loop cannot end early
};

/// Dims of carried values that change from one iteration to the next, as (value, dim).
using Varying = std::set<std::pair<size_t, size_t>>;

struct LoopAttempt {
  Body body;
  SmallVector<int64_t> carriedSymbols;
  Exprs initExprs;
  SmallVector<std::pair<size_t, size_t>> places; ///< of carriedSymbols
};

/// Turns leaves into the carried values.
std::vector<Datum> rebuildCarried(const LoopPlan &plan, ArrayRef<Value> leaves) {
  std::vector<Datum> carried;
  for (const Form &form : plan.forms)
    carried.push_back(rebuildDatum(form, leaves));
  return carried;
}

/// Widens the forms of the carried values to hold what the body gives; false where they changed.
bool widenForms(Node &node, LoopPlan &plan, const Body &body) {
  size_t first = plan.yieldsCondition ? 1 : 0;
  std::vector<Form> before = plan.forms;
  for (size_t k = 0; k < plan.forms.size() && first + k < body.outputs.size(); ++k) {
    std::optional<Form> joined = joinForms(plan.forms[k], getForm(body.outputs[first + k]));
    if (joined)
      plan.forms[k] = *joined;
    else
      node.e.fail("carried value " + Twine(k) + " changes its rank or element type");
  }
  return plan.forms == before;
}

/// Imports the body with symbols for the varying dims. Adds dims that turn out to vary; true where there were none.
bool tryLoop(Node &node, LoopPlan &plan, Varying &varying, LoopAttempt &attempt) {
  Emitter &e = node.e;
  plan.inits.clear();
  for (auto [datum, form] : llvm::zip(plan.given, plan.forms))
    flattenDatum(e, datum, form, plan.inits);
  if (e.hasFailed())
    return true;
  SmallVector<Type> types{RankedTensorType::get({}, e.i64()), RankedTensorType::get({}, e.i1())};
  for (auto [k, init] : llvm::enumerate(plan.inits)) {
    Dims dims = Emitter::dimsOf(init);
    for (size_t d = 0; d < dims.size(); ++d) {
      if (!varying.count({k, d}))
        continue;
      attempt.initExprs.push_back(dims[d]);
      dims[d] = e.symbols.fresh();
      attempt.carriedSymbols.push_back(cast<AffineSymbolExpr>(dims[d]).getPosition());
      attempt.places.push_back({k, d});
    }
    types.push_back(e.tensorType(dims, Emitter::elementOf(init)));
  }
  fillBody(node, types, [&](Scope &scope, Block &block) {
    Values leaves(block.getArguments().drop_front(2));
    plan.bind(scope, block.getArgument(0), block.getArgument(1), rebuildCarried(plan, leaves));
    e.iterations.push_back(block.getArgument(0));
    std::vector<Datum> outputs = node.importer.importSubgraph(*plan.graph, scope);
    e.iterations.pop_back();
    return outputs;
  }, attempt.body);
  if (!attempt.body.isWhole)
    return true;
  bool isWide = widenForms(node, plan, attempt.body);
  if (e.hasFailed() || !isWide)
    return e.hasFailed();
  std::vector<Form> forms(plan.yieldsCondition ? 1 : 0);
  forms.insert(forms.end(), plan.forms.begin(), plan.forms.end());
  forms.resize(std::max(forms.size(), attempt.body.outputs.size()));
  flattenBody(node, attempt.body, forms);
  size_t before = varying.size(), first = plan.yieldsCondition ? 1 : 0;
  for (size_t k = 0; k < plan.inits.size() && first + k < attempt.body.values.size(); ++k) {
    Dims have = Emitter::dimsOf(attempt.body.region.front().getArgument(2 + k)), next = Emitter::dimsOf(attempt.body.values[first + k]);
    for (size_t d = 0; d < std::min(have.size(), next.size()); ++d)
      if (!areEqual(have[d], next[d]))
        varying.insert({k, d});
  }
  return varying.size() == before;
}

bool isAlwaysTrue(Emitter &e, Value condition, Body &body) {
  if (condition == body.region.front().getArgument(1))
    return true;
  std::optional<Ints> known = e.constants(condition);
  return known && known->size() == 1 && (*known)[0];
}

/// Checks what the body gives against what goes in.
bool checkLoop(Node &node, const LoopPlan &plan, const LoopAttempt &attempt) {
  Emitter &e = node.e;
  size_t first = plan.yieldsCondition ? 1 : 0;
  if (attempt.body.values.size() < first + plan.inits.size()) {
    e.fail("the body gives fewer values than the loop carries");
    return false;
  }
  for (size_t k = 0; k < plan.inits.size(); ++k) {
    Value have = plan.inits[k], next = attempt.body.values[first + k];
    if (Emitter::elementOf(have) != Emitter::elementOf(next) || Emitter::rankOf(have) != Emitter::rankOf(next)) {
      e.fail("carried value " + Twine(k) + " changes its rank or element type");
      return false;
    }
  }
  return true;
}

/// Makes the operation from an imported body; its results are the carried values, then the scan outputs.
LoopOp buildLoop(Node &node, const LoopPlan &plan, LoopAttempt &attempt) {
  Emitter &e = node.e;
  Body &body = attempt.body;
  size_t first = plan.yieldsCondition ? 1 : 0;
  SmallVector<int64_t> resultSymbols;
  auto fresh = [&] {
    AffineExpr symbol = e.symbols.fresh();
    resultSymbols.push_back(cast<AffineSymbolExpr>(symbol).getPosition());
    return symbol;
  };
  SmallVector<Dims> carriedDims;
  for (Value init : plan.inits)
    carriedDims.push_back(Emitter::dimsOf(init));
  Exprs nextExprs, scanExprs;
  for (auto [k, d] : attempt.places) {
    nextExprs.push_back(Emitter::dimsOf(body.values[first + k])[d]);
    carriedDims[k][d] = fresh();
  }
  SmallVector<Type> types;
  for (auto [k, init] : llvm::enumerate(plan.inits))
    types.push_back(e.tensorType(carriedDims[k], Emitter::elementOf(init)));
  AffineExpr iterations = fresh();
  bool runsThrough = plan.count && (!plan.yieldsCondition || isAlwaysTrue(e, body.values[0], body));
  for (size_t k = first + plan.inits.size(); k < body.values.size(); ++k) {
    Dims dims{runsThrough ? *plan.count : iterations};
    for (AffineExpr dim : Emitter::dimsOf(body.values[k])) {
      bool carries = false;
      forEachSymbol(dim, [&](unsigned symbol) { carries |= llvm::is_contained(attempt.carriedSymbols, static_cast<int64_t>(symbol)); });
      if (isOuter(dim, body) && !carries) {
        dims.push_back(dim);
        continue;
      }
      scanExprs.push_back(dim);
      dims.push_back(fresh());
    }
    types.push_back(e.tensorType(dims, Emitter::elementOf(body.values[k])));
  }
  if (e.hasFailed())
    return {};
  Values yielded;
  {
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToEnd(&body.region.front());
    yielded.push_back(plan.yieldsCondition ? e.reshape(body.values[0], {}) : Value(body.region.front().getArgument(1)));
  }
  yielded.append(body.values.begin() + static_cast<int64_t>(first), body.values.end());
  closeBody(node, body, yielded);
  auto op = LoopOp::create(e.builder, e.location, types, plan.trips, plan.condition, plan.inits, attempt.carriedSymbols, e.exprs(attempt.initExprs),
                           e.exprs(nextExprs), resultSymbols, e.exprs(scanExprs));
  op.getBody().takeBody(body.region);
  return op;
}

/// Imports a loop; carried dims are taken for constant until the body shows that they change.
LoopOp importLoopBody(Node &node, LoopPlan &plan) {
  Varying varying;
  for (const Datum &datum : plan.given)
    plan.forms.push_back(getForm(datum));
  for (;;) {
    auto attempt = std::make_unique<LoopAttempt>();
    bool isSettled = tryLoop(node, plan, varying, *attempt);
    if (!attempt->body.isWhole) {
      poisonOutputs(node);
      return {};
    }
    if (isSettled || node.e.hasFailed())
      return !node.e.hasFailed() && checkLoop(node, plan, *attempt) ? buildLoop(node, plan, *attempt) : LoopOp();
  }
}

/// An iteration's number or condition as the body declares it: a scalar, or a vector of one element.
Value declareScalar(Emitter &e, const onnx::ValueInfoProto &input, Value scalar) {
  return input.type().tensor_type().shape().dim_size() == 1 ? e.reshape(scalar, {e.number(1)}) : scalar;
}

void importLoop(Node &node) {
  Emitter &e = node.e;
  LoopPlan plan;
  plan.graph = node.getGraph("body");
  plan.yieldsCondition = true;
  if (node.has(0))
    plan.trips = e.cast(e.reshape(node.in(0), {}), e.i64());
  if (node.has(1))
    plan.condition = e.reshape(node.in(1), {});
  if (e.hasFailed())
    return;
  if (!plan.graph)
    return void(e.fail("the body is missing"));
  // Empty optionals at the end of a node's inputs are left out.
  for (int k = 2; k < std::max(plan.graph->input_size(), static_cast<int>(node.numInputs())) && k < node.proto.input_size(); ++k)
    plan.given.push_back(node.has(static_cast<unsigned>(k)) ? node.datum(static_cast<unsigned>(k)) : Datum());
  if (static_cast<size_t>(plan.graph->input_size()) != 2 + plan.given.size())
    return void(e.fail("the body has " + Twine(plan.graph->input_size()) + " inputs for " + Twine(plan.given.size()) + " carried values"));
  std::optional<Exprs> trips = e.contents(plan.trips);
  std::optional<Ints> condition = plan.condition ? e.constants(plan.condition) : Ints{1};
  if (trips && condition && (*condition)[0])
    plan.count = e.maxOf((*trips)[0], e.number(0));
  plan.bind = [&](Scope &scope, Value iteration, Value condition, ArrayRef<Datum> carried) {
    scope.values[plan.graph->input(0).name()] = Datum::of(declareScalar(e, plan.graph->input(0), iteration));
    scope.values[plan.graph->input(1).name()] = Datum::of(declareScalar(e, plan.graph->input(1), condition));
    for (auto [k, value] : llvm::enumerate(carried))
      scope.values[plan.graph->input(static_cast<int>(2 + k)).name()] = value;
  };
  LoopOp op = importLoopBody(node, plan);
  if (!op)
    return;
  Values results(op->getResults());
  std::vector<Datum> carried = rebuildCarried(plan, results);
  for (auto [k, datum] : llvm::enumerate(carried))
    node.setDatum(k, datum);
  for (size_t k = plan.inits.size(); k < results.size(); ++k)
    node.set(carried.size() + k - plan.inits.size(), results[k]);
}

Ints getList(Node &node, StringRef name, size_t count) {
  Ints list = node.getInts(name).value_or(Ints(count, 0));
  if (list.size() != count)
    node.e.fail("attribute '" + name + "' has " + Twine(list.size()) + " elements, expected " + Twine(count));
  list.resize(count);
  return list;
}

/// Moves the first dim of a stacked output to its axis, in the direction that is asked for.
Value placeScanOutput(Emitter &e, Value stacked, int64_t axis, bool isReversed) {
  if (isReversed)
    stacked = e.reverse(stacked, 0);
  if (!stacked)
    return {};
  Ints perm(llvm::to_vector(llvm::seq<int64_t>(1, Emitter::rankOf(stacked))));
  perm.insert(perm.begin() + e.axisOf(axis, Emitter::rankOf(stacked)), 0);
  return e.transpose(stacked, perm);
}

/// Returns how many steps a scan takes of `extent`: all, or the number that the scalar holds, which may be no greater.
AffineExpr readSteps(Emitter &e, AffineExpr extent, Value steps) {
  if (!steps)
    return extent;
  Exprs count = e.contentsOrBind(steps);
  if (e.hasFailed())
    return extent;
  e.requireAtLeast(count[0], e.number(0), "an element of sequence_lens");
  e.requireAtLeast(extent, count[0], "the length of scan inputs, which bounds sequence_lens,");
  // Sizes may be computed before the checks end the run.
  return e.maxOf(e.minOf(count[0], extent), e.number(0));
}

/// Appends zeros to the first dim of a stacked output, up to `extent`.
Value padSteps(Emitter &e, Value stacked, AffineExpr extent) {
  Exprs low = e.numbers(Ints(static_cast<size_t>(Emitter::rankOf(stacked)), 0)), high = low;
  high[0] = normalize(extent - Emitter::dimsOf(stacked)[0]);
  return e.pad(stacked, low, high, e.zero(Emitter::elementOf(stacked)));
}

/// A scan of as many steps as the scalar `given` holds, of all without one. What is stacked has zeros after the last step.
void importScanOf(Node &node, Value given) {
  Emitter &e = node.e;
  LoopPlan plan;
  plan.graph = node.getGraph("body");
  auto scanned = static_cast<size_t>(node.getInt("num_scan_inputs", 0));
  if (!plan.graph || scanned == 0 || scanned > node.numInputs() || static_cast<size_t>(plan.graph->input_size()) != node.numInputs())
    return void(e.fail("the number of scan inputs does not fit the inputs and the body"));
  size_t states = node.numInputs() - scanned;
  // The first version calls them otherwise.
  StringRef directionsName = node.hasAttribute("directions") ? "directions" : "scan_input_directions";
  Ints axes = getList(node, "scan_input_axes", scanned), directions = getList(node, directionsName, scanned);
  for (unsigned k = 0; k < states; ++k)
    plan.given.push_back(Datum::of(node.in(k)));
  if (e.hasFailed())
    return;
  AffineExpr count;
  for (size_t k = 0; k < scanned; ++k) {
    Value x = node.in(static_cast<unsigned>(states + k));
    if (!x)
      return;
    axes[k] = e.axisOf(axes[k], Emitter::rankOf(x));
    if (e.hasFailed())
      return;
    AffineExpr extent = Emitter::dimsOf(x)[axes[k]];
    count = count ? e.unify(count, extent, "lengths of scan inputs") : extent;
  }
  AffineExpr steps = readSteps(e, count, given);
  plan.count = steps;
  plan.trips = e.indexTensor({steps}, {}, e.i64());
  plan.bind = [&](Scope &scope, Value iteration, Value, ArrayRef<Datum> carried) {
    for (auto [k, value] : llvm::enumerate(carried))
      scope.values[plan.graph->input(static_cast<int>(k)).name()] = value;
    Value fromEnd = e.sub(e.indexTensor({normalize(steps - 1)}, {}, e.i64()), iteration);
    for (size_t k = 0; k < scanned; ++k) {
      Value slice = e.gather(node.in(static_cast<unsigned>(states + k)), directions[k] ? fromEnd : iteration, axes[k]);
      scope.values[plan.graph->input(static_cast<int>(states + k)).name()] = Datum::of(slice);
    }
  };
  LoopOp op = importLoopBody(node, plan);
  if (!op)
    return;
  size_t stacked = op->getNumResults() - states;
  Ints outAxes = getList(node, "scan_output_axes", stacked), outDirections = getList(node, "scan_output_directions", stacked);
  for (unsigned k = 0; k < op->getNumResults() && !e.hasFailed(); ++k) {
    Value result = op->getResult(k);
    bool isState = k < states;
    node.set(k, isState ? result : placeScanOutput(e, given ? padSteps(e, result, count) : result, outAxes[k - states], outDirections[k - states] != 0));
  }
}

void importScan(Node &node) { importScanOf(node, {}); }

/// Scan of opset 8: a batch dim in front of everything, over which a loop around the scan runs.
void importBatchedScan(Node &node) {
  Emitter &e = node.e;
  Value lengths = node.has(0) ? node.in(0) : Value();
  Values batched;
  for (unsigned k = 1; k < node.numInputs(); ++k)
    batched.push_back(node.in(k));
  if (batched.empty())
    return void(e.fail("Scan without inputs"));
  if (lengths && Emitter::rankOf(lengths) != 1)
    return void(e.fail("sequence_lens has rank " + Twine(Emitter::rankOf(lengths)) + ", expected 1"));
  if (lengths && batched[0] && Emitter::rankOf(batched[0]) > 0)
    e.unify(Emitter::dimsOf(lengths)[0], Emitter::dimsOf(batched[0])[0], "sequence_lens and the batch");
  if (e.hasFailed())
    return;
  Values results = scanOver(node, {}, batched, [&](Value iteration, ArrayRef<Value>, ArrayRef<Value> slices) {
    Node inner(node.importer, e, node.proto, node.scope, 9);
    for (Value slice : slices)
      inner.inputs.push_back(Datum::of(slice));
    importScanOf(inner, lengths ? e.gather(lengths, iteration, 0) : Value());
    Values outputs;
    for (const Datum &output : inner.outputs)
      outputs.push_back(output.value);
    return outputs;
  });
  for (auto [k, result] : llvm::enumerate(results))
    node.set(k, result);
  if (results.empty())
    poisonOutputs(node);
}

} // namespace

void addControl(OperatorTable &table) {
  addBranches(table);
  table.add("Loop", importLoop);
  table.add("Scan", importBatchedScan);
  table.add("Scan", importScan, 9);
}

} // namespace onager::frontend
