// If becomes a region per branch. A dim of a result that the branches give differently is a symbol that the operation binds.
//
// Where the branches differ in rank or element type, what is left of the graph is imported into both of them, so that each sees tensors of known
// rank; the operation then gives the graph's results. A branch or way that does not fit the shapes which the inputs have, or gives ranks that the model does
// not declare, becomes an error at run time, if the other does:
//
//   y = If(c) {squeeze(x)} {x};  z = f(y)   ->   z = If(c) {f(squeeze(x))} {f(x)}
//
// Where the graph is the branch that another If is known to take, and the branches' ways through it differ still, what is left of that node's graph
// is imported into both of them as well.
#include "lib/Import/OnnxToGraph/Control.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What is left of a graph is imported into branches at most this deep: each level doubles it.
constexpr unsigned kMaxSplits = 6;

void importTakenBranch(Node &node, const onnx::GraphProto &branch) {
  Scope scope;
  scope.parent = &node.scope;
  scope.frame = node.scope.frame;
  scope.splits = node.scope.splits;
  scope.taker = &node;
  std::vector<Datum> outputs = node.importer.importSubgraph(branch, scope);
  if (node.isLast)
    return;
  for (unsigned k = 0; k < node.numOutputs(); ++k)
    node.setDatum(k, k < outputs.size() ? outputs[k] : Datum::poison());
}

/// Finds the forms that hold what both branches give and flattens it; false where some of it has none.
bool flattenWays(Node &node, Body &thenBody, Body &elseBody, std::vector<Form> &forms) {
  for (auto [a, b] : llvm::zip(thenBody.outputs, elseBody.outputs)) {
    std::optional<Form> joined = joinForms(getForm(a), getForm(b));
    if (!joined)
      return false;
    forms.push_back(*joined);
  }
  flattenBody(node, thenBody, forms);
  flattenBody(node, elseBody, forms);
  return true;
}

/// An If under construction: types of its results; dims that differ between the branches become symbols.
struct BranchJoin {
  SmallVector<int64_t> symbols;
  SmallVector<Type> types;
  Exprs thenExprs, elseExprs;

  void add(Emitter &e, Value a, Value b, const Body &thenBody) {
    Dims x = Emitter::dimsOf(a), y = Emitter::dimsOf(b), dims;
    for (auto [p, q] : llvm::zip(x, y)) {
      if (areEqual(p, q) && isOuter(p, thenBody)) {
        dims.push_back(p);
        continue;
      }
      dims.push_back(e.symbols.fresh());
      symbols.push_back(cast<AffineSymbolExpr>(dims.back()).getPosition());
      thenExprs.push_back(p);
      elseExprs.push_back(q);
    }
    types.push_back(e.tensorType(dims, Emitter::elementOf(a)));
  }
};

/// Makes the operation of two whole bodies whose values are alike; null after a failure.
IfOp buildIf(Node &node, Value condition, Body &thenBody, Body &elseBody) {
  Emitter &e = node.e;
  if (e.hasFailed())
    return {};
  BranchJoin join;
  for (auto [a, b] : llvm::zip(thenBody.values, elseBody.values))
    join.add(e, a, b, thenBody);
  if (e.hasFailed())
    return {};
  closeBody(node, thenBody, thenBody.values);
  closeBody(node, elseBody, elseBody.values);
  auto op = IfOp::create(e.builder, e.location, join.types, condition, join.symbols, e.exprs(join.thenExprs), e.exprs(join.elseExprs));
  op.getThenRegion().takeBody(thenBody.region);
  op.getElseRegion().takeBody(elseBody.region);
  return op;
}

/// Returns the node whose branch the graph around is, so many of them up.
Node &findTaker(Node &node, unsigned levels) {
  Node *taker = &node;
  while (levels-- > 0)
    taker = taker->scope.taker;
  return *taker;
}

/// Gives the node's outputs their values in the scope and imports what is left of its graph; returns the graph's results.
std::vector<Datum> importRest(Node &node, ArrayRef<Datum> outputs, Scope &scope) {
  for (unsigned k = 0; k < node.numOutputs(); ++k)
    if (node.wants(k))
      scope.values[node.proto.output(static_cast<int>(k))] = k < outputs.size() ? outputs[k] : Datum::poison();
  scope.results = node.scope.results;
  scope.splits = node.scope.splits + 1;
  node.importer.importNodes(*node.scope.nodes, scope, node.scope.next);
  std::vector<Datum> results;
  for (const std::string &name : scope.results) {
    const Datum *datum = scope.find(name);
    results.push_back(datum ? *datum : Datum::poison());
  }
  return results;
}

/// Imports one branch and, behind it, what is left of the node's graph and of `levels` graphs whose known branch it is; its values are the last graph's
/// results.
std::vector<Datum> importWay(Node &node, const onnx::GraphProto &branch, Scope &scope, unsigned levels) {
  Scope inner;
  inner.parent = &scope;
  inner.frame = scope.frame;
  std::vector<Datum> values = importRest(node, node.importer.importSubgraph(branch, inner), scope);
  for (unsigned level = 1; level <= levels; ++level) {
    Node &taker = findTaker(node, level);
    Scope around;
    around.parent = &taker.scope;
    around.frame = taker.scope.frame;
    values = importRest(taker, values, around);
  }
  return values;
}

/// Replaces a way that cannot be imported by one that stops the run with the reason; its values only have the other way's types.
void stopWay(Node &node, Body &body, Body &other, const std::string &reason, std::vector<Form> &forms) {
  Emitter &e = node.e;
  for (const Datum &datum : other.outputs)
    forms.push_back(getForm(datum));
  flattenBody(node, other, forms);
  OpBuilder::InsertionGuard guard(e.builder);
  body.region.getBlocks().clear();
  e.builder.createBlock(&body.region);
  RequireOp::create(e.builder, e.location, e.exprs({e.number(0), e.number(1)}), reason);
  body.values.clear();
  for (Value value : other.values) {
    Dims dims = Emitter::dimsOf(value);
    for (AffineExpr &dim : dims)
      dim = graph::getConstant(dim) ? dim : e.number(1);
    body.values.push_back(e.splat(e.zero(Emitter::elementOf(value)), dims));
  }
  body.isWhole = !e.hasFailed();
}

/// Imports a way; gives the reason where it cannot be imported, which is then not reported.
std::string tryWay(Node &node, const onnx::GraphProto &branch, unsigned levels, Body &body) {
  Importer::ErrorMark mark = node.importer.markErrors();
  fillBody(node, {}, [&](Scope &scope, Block &) { return importWay(node, branch, scope, levels); }, body);
  if (body.isWhole)
    return "";
  std::string reason = node.importer.withdrawErrors(mark), own = node.e.takeReason();
  return reason.empty() ? "node '" + node.e.nodeName + "': " + (own.empty() ? "a value is missing" : own) : reason;
}

/// Tells how what a way gives contradicts the ranks that the model declares; empty where it does not.
std::string contradictDeclared(Node &node, ArrayRef<std::string> results, ArrayRef<Datum> outputs) {
  if (node.scope.frame->isFunction)
    return "";
  for (auto [name, datum] : llvm::zip(results, outputs)) {
    std::optional<int64_t> declared = datum.kind == Datum::tensor ? node.importer.findDeclaredRank(name) : std::nullopt;
    if (declared && *declared != Emitter::rankOf(datum.value))
      return "node '" + node.e.nodeName + "': its branch gives '" + name + "' rank " + std::to_string(Emitter::rankOf(datum.value)) +
             ", the model declares rank " + std::to_string(*declared);
  }
  return "";
}

/// Two ways through what is left of the graphs.
struct Ways {
  Body thenBody, elseBody;
  std::vector<Form> forms; ///< of the results, where they are alike
  bool areAlike = true;
};

/// Imports both ways, through `levels` graphs whose known branch the node's is. One that cannot be imported stops the run, and so does one that gives
/// other ranks than the model declares where the other gives those; fails where neither is left.
void importWays(Node &node, const onnx::GraphProto &thenGraph, const onnx::GraphProto &elseGraph, unsigned levels, Ways &ways) {
  std::string thenReason = tryWay(node, thenGraph, levels, ways.thenBody), elseReason = tryWay(node, elseGraph, levels, ways.elseBody);
  if (thenReason.empty() && elseReason.empty() && !flattenWays(node, ways.thenBody, ways.elseBody, ways.forms)) {
    ways.forms.clear();
    const std::vector<std::string> &results = findTaker(node, levels).scope.results;
    thenReason = contradictDeclared(node, results, ways.thenBody.outputs);
    elseReason = contradictDeclared(node, results, ways.elseBody.outputs);
    ways.areAlike = thenReason.empty() != elseReason.empty();
  }
  if (!thenReason.empty() && !elseReason.empty())
    ways.areAlike = false;
  else if (!thenReason.empty())
    stopWay(node, ways.thenBody, ways.elseBody, thenReason, ways.forms);
  else if (!elseReason.empty())
    stopWay(node, ways.elseBody, ways.thenBody, elseReason, ways.forms);
}

/// The branches differ: both take what is left of the graph, and the operation gives the graph's results.
void splitGraph(Node &node, Value condition, const onnx::GraphProto &thenGraph, const onnx::GraphProto &elseGraph) {
  unsigned levels = 0;
  auto ways = std::make_unique<Ways>();
  importWays(node, thenGraph, elseGraph, levels, *ways);
  while (!ways->areAlike && findTaker(node, levels).scope.taker) {
    ways = std::make_unique<Ways>();
    importWays(node, thenGraph, elseGraph, ++levels, *ways);
  }
  if (!ways->areAlike)
    return void(node.e.fail("the branches give values of different rank or element type"));
  IfOp op = buildIf(node, condition, ways->thenBody, ways->elseBody);
  if (!op)
    return;
  Values results(op->getResults());
  ArrayRef<Value> leaves = results;
  Scope &last = findTaker(node, levels).scope;
  for (auto [name, form] : llvm::zip(last.results, ways->forms))
    last.values.insert_or_assign(name, rebuildDatum(form, leaves));
  for (unsigned level = 0; level <= levels; ++level) {
    Node &done = findTaker(node, level);
    done.scope.next = done.scope.nodes->size();
    done.isLast = true;
  }
}

/// Makes the operation of two whole bodies, whose values have these forms, and gives the node's outputs their values.
void joinBranches(Node &node, Value condition, Body &thenBody, Body &elseBody, ArrayRef<Form> forms) {
  IfOp op = buildIf(node, condition, thenBody, elseBody);
  if (!op)
    return;
  Values results(op->getResults());
  ArrayRef<Value> leaves = results;
  for (unsigned k = 0; k < node.numOutputs(); ++k)
    node.setDatum(k, rebuildDatum(forms[k], leaves));
}

void importIf(Node &node) {
  Emitter &e = node.e;
  const onnx::GraphProto *thenGraph = node.getGraph("then_branch"), *elseGraph = node.getGraph("else_branch");
  Value condition = e.reshape(node.in(0), {});
  if (!condition || !thenGraph || !elseGraph)
    return void(e.fail("a branch or the condition is missing"));
  if (std::optional<Ints> known = e.constants(condition))
    return importTakenBranch(node, (*known)[0] ? *thenGraph : *elseGraph);
  Body thenBody, elseBody;
  Importer::ErrorMark thenMark = node.importer.markErrors();
  fillBody(node, {}, [&](Scope &scope, Block &) { return node.importer.importSubgraph(*thenGraph, scope); }, thenBody);
  // A reason that is this node's own must not be taken for that of a node in the other branch.
  if (e.hasFailed())
    return;
  Importer::ErrorMark elseMark = node.importer.markErrors();
  fillBody(node, {}, [&](Scope &scope, Block &) { return node.importer.importSubgraph(*elseGraph, scope); }, elseBody);
  std::vector<Form> forms;
  if (thenBody.isWhole != elseBody.isWhole) {
    bool stopsThen = elseBody.isWhole;
    Importer::ErrorMark mark = stopsThen ? thenMark : elseMark;
    std::string reason = node.importer.hasMalformed(mark) ? "" : node.importer.withdrawErrors(mark);
    if (reason.empty())
      return poisonOutputs(node);
    if ((stopsThen ? elseBody : thenBody).outputs.size() != node.numOutputs())
      return void(e.fail("the branches give another number of values than the node has outputs"));
    stopWay(node, stopsThen ? thenBody : elseBody, stopsThen ? elseBody : thenBody, reason, forms);
    return joinBranches(node, condition, thenBody, elseBody, forms);
  }
  if (!thenBody.isWhole)
    return poisonOutputs(node);
  if (thenBody.outputs.size() != node.numOutputs() || elseBody.outputs.size() != node.numOutputs())
    return void(e.fail("the branches give another number of values than the node has outputs"));
  if (!flattenWays(node, thenBody, elseBody, forms)) {
    if (node.scope.splits >= kMaxSplits)
      return void(e.fail("the branches give values of different rank or element type, as those of " + Twine(kMaxSplits) + " nodes before"));
    return splitGraph(node, condition, *thenGraph, *elseGraph);
  }
  joinBranches(node, condition, thenBody, elseBody, forms);
}

} // namespace

void addBranches(OperatorTable &table) { table.add("If", importIf); }

} // namespace onager::frontend
