// Gradient (domain ai.onnx.preview.training): the derivatives of a tensor by others, of which it was computed by nodes before.
//
// The nodes between the variables and the target are imported once more, over values that nothing is known of, so that no constant is computed from them; what
// was computed before with the same values becomes one with it later. Then their operations are walked backwards.
#include "lib/Import/OnnxToGraph/Gradient.h"
#include "lib/Import/OnnxToGraph/Importer.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

Value makeZeros(Emitter &e, Value x) { return x ? e.splat(e.zero(Emitter::elementOf(x)), Emitter::dimsOf(x)) : x; }

/// Sums along one dim to an extent that is 1 or the dim's, which shows while the model runs.
static Value sumAlong(Emitter &e, Value x, int64_t axis, AffineExpr extent) {
  Dims dims = Emitter::dimsOf(x), less = dims;
  less[axis] = extent;
  Value places = e.minimum(e.iota(dims, axis, e.i64()), e.indexTensor({normalize(extent - 1)}, {}, e.i64()));
  return e.scatterElements(e.splat(e.zero(Emitter::elementOf(x)), less), places, x, axis, ScatterKind::add);
}

Value sumTo(Emitter &e, Value x, ArrayRef<AffineExpr> dims) {
  if (!x)
    return {};
  Ints leading(llvm::to_vector(llvm::seq<int64_t>(0, Emitter::rankOf(x) - static_cast<int64_t>(dims.size()))));
  x = e.reduce(ReduceKind::sum, x, leading, /*keepDims=*/false);
  Ints single;
  for (size_t axis = 0; x && axis < dims.size(); ++axis) {
    AffineExpr have = Emitter::dimsOf(x)[axis];
    if (graph::isConstant(dims[axis], 1) && !graph::isConstant(have, 1))
      single.push_back(static_cast<int64_t>(axis));
    else if (!areEqual(have, dims[axis]) && !graph::isConstant(have, 1) && !graph::getConstant(dims[axis]))
      x = sumAlong(e, x, static_cast<int64_t>(axis), dims[axis]);
  }
  x = e.reduce(ReduceKind::sum, x, single);
  return e.reshape(x, dims);
}

void Backward::add(Value value, Value gradient) {
  if (!gradient || !wants(value))
    return;
  gradient = sumTo(e, gradient, Emitter::dimsOf(value));
  Value &sum = found[value];
  sum = sum ? e.add(sum, gradient) : gradient;
}

namespace {

/// Each order imports the paths of those below once more.
constexpr unsigned kMaxOrder = 4;

const DerivativeTable &getDerivatives() {
  static const DerivativeTable table = [] {
    DerivativeTable made;
    addElementwiseDerivatives(made);
    addMovementDerivatives(made);
    addWindowDerivatives(made);
    addReductionDerivatives(made);
    return made;
  }();
  return table;
}

/// Calls back with each name that a node reads: inputs, what its subgraphs take from outside, and the target of a Gradient.
void forEachRead(const onnx::NodeProto &node, llvm::function_ref<void(const std::string &)> use) {
  for (const std::string &name : node.input())
    use(name);
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (node.op_type() == "Gradient" && attribute.name() == "y")
      use(attribute.s());
    for (const onnx::NodeProto &inner : attribute.g().node())
      forEachRead(inner, use);
    for (const onnx::ValueInfoProto &output : attribute.g().output())
      use(output.name());
  }
}

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// Returns those of the first nodes that lie between the sources and the target, in order.
NodeList findPath(const NodeList &nodes, int count, const llvm::StringSet<> &sources, const std::string &target) {
  llvm::StringSet<> reached = sources, needed;
  std::vector<const onnx::NodeProto *> found;
  for (int k = 0; k < count; ++k) {
    bool depends = false;
    forEachRead(nodes[k], [&](const std::string &name) { depends |= reached.contains(name); });
    if (!depends || llvm::any_of(nodes[k].output(), [&](const std::string &name) { return sources.contains(name); }))
      continue;
    found.push_back(&nodes[k]);
    reached.insert(nodes[k].output().begin(), nodes[k].output().end());
  }
  needed.insert(target);
  std::vector<const onnx::NodeProto *> kept;
  for (const onnx::NodeProto *node : llvm::reverse(found)) {
    if (llvm::none_of(node->output(), [&](const std::string &name) { return needed.contains(name); }))
      continue;
    kept.push_back(node);
    forEachRead(*node, [&](const std::string &name) { needed.insert(name); });
  }
  NodeList path;
  for (const onnx::NodeProto *node : llvm::reverse(kept))
    *path.Add() = *node;
  return path;
}

/// Returns whether an operation, or one inside it, reads one of the values.
bool readsAny(Operation *op, const llvm::DenseSet<Value> &values) {
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(op->getRegions(), used);
  used.insert(op->operand_begin(), op->operand_end());
  return llvm::any_of(used, [&](Value value) { return values.contains(value); });
}

/// The operations behind `marker` that depend on the values, which it adds to, in order.
SmallVector<Operation *> findDependent(Operation *marker, llvm::DenseSet<Value> &values) {
  SmallVector<Operation *> found;
  for (Operation *op = marker->getNextNode(); op; op = op->getNextNode()) {
    if (!readsAny(op, values))
      continue;
    found.push_back(op);
    values.insert(op->result_begin(), op->result_end());
  }
  return found;
}

/// Walks back from the target, whose own derivative is 1 everywhere.
void differentiate(Backward &backward, ArrayRef<Operation *> operations, Value target) {
  Emitter &e = backward.e;
  backward.add(target, e.splat(e.scalar(1, Emitter::elementOf(target)), Emitter::dimsOf(target)));
  for (Operation *op : llvm::reverse(operations)) {
    Value gradient;
    for (Value result : op->getResults())
      gradient = gradient ? gradient : backward.find(result);
    if (!gradient || e.hasFailed())
      continue;
    auto rule = getDerivatives().find(op->getName().getStringRef());
    bool needsRule = op->getNumRegions() || llvm::any_of(op->getOperands(), [&](Value value) { return backward.wants(value); });
    if (rule != getDerivatives().end())
      rule->second(backward, op, gradient);
    else if (needsRule)
      e.fail("there is no derivative of '" + op->getName().getStringRef() + "', which node '" + graph::getNodeName(op) + "' became");
  }
}

/// The variables of a Gradient under import: values that nothing is known of, in the place of what they are.
struct Variables {
  SmallVector<UnrealizedConversionCastOp> casts;

  Value add(Emitter &e, Value actual) {
    casts.push_back(UnrealizedConversionCastOp::create(e.builder, e.location, TypeRange{actual.getType()}, ValueRange{actual}));
    return casts.back().getResult(0);
  }
  /// Puts the actual values in their places.
  ~Variables() {
    for (UnrealizedConversionCastOp cast : casts) {
      cast.getResult(0).replaceAllUsesWith(cast.getOperand(0));
      cast.erase();
    }
  }
};

/// Binds the names of `xs` to variables and those of `zs` to what is given; `sources` gets the names on which something new hangs. False after a failure.
bool bindSources(Node &node, ArrayRef<std::string> xs, ArrayRef<std::string> zs, Scope &scope, Variables &variables, llvm::StringSet<> &sources) {
  Emitter &e = node.e;
  for (auto [k, name] : llvm::enumerate(xs)) {
    Value actual = node.in(static_cast<unsigned>(k));
    if (actual && !Emitter::isFloat(actual))
      e.fail("'" + name + "' of xs is no tensor of floats");
    if (e.hasFailed())
      return false;
    scope.values[name] = Datum::of(variables.add(e, actual));
    sources.insert(name);
  }
  for (auto [k, name] : llvm::enumerate(zs)) {
    Datum given = node.datum(static_cast<unsigned>(xs.size() + k));
    const Datum *before = node.scope.find(name);
    if (!before || before->value != given.value)
      sources.insert(name);
    scope.values[name] = given;
  }
  return true;
}

void importGradient(Node &node) {
  Emitter &e = node.e;
  std::vector<std::string> xs = node.getStrings("xs"), zs = node.getStrings("zs");
  std::string y = node.getString("y", "");
  if (xs.empty() || xs.size() + zs.size() != node.numInputs() || node.numOutputs() > xs.size())
    return void(e.fail(Twine(node.numInputs()) + " inputs and " + Twine(node.numOutputs()) + " outputs for " + Twine(xs.size()) + " names in xs and " + Twine(zs.size()) + " in zs"));
  Scope *whole = &node.scope, path;
  unsigned order = 1;
  for (; whole->isPart; ++order)
    whole = whole->parent;
  if (order > kMaxOrder)
    return void(e.fail("gradients of gradients are nested more than " + Twine(kMaxOrder) + " deep"));
  path.parent = &node.scope;
  path.frame = node.scope.frame;
  path.isPart = true;
  path.results = {y};
  Variables variables;
  llvm::StringSet<> sources;
  if (!bindSources(node, xs, zs, path, variables, sources))
    return;
  NodeList nodes = findPath(*whole->nodes, whole->next - 1, sources, y);
  node.importer.importNodes(nodes, path);
  const Datum *target = path.find(y);
  if (!target || target->kind != Datum::tensor || !Emitter::isFloat(target->value))
    return void(e.fail("'" + y + "', the target, is no tensor of floats that a node before gives"));
  llvm::DenseSet<Value> dependent;
  for (UnrealizedConversionCastOp cast : variables.casts)
    dependent.insert(cast.getResult(0));
  SmallVector<Operation *> operations = findDependent(variables.casts.back(), dependent);
  Backward backward(e, dependent);
  differentiate(backward, operations, target->value);
  for (auto [k, cast] : llvm::enumerate(variables.casts)) {
    Value gradient = backward.find(cast.getResult(0));
    node.set(static_cast<unsigned>(k), gradient ? gradient : makeZeros(e, cast.getOperand(0)));
  }
}

} // namespace

void addGradient(OperatorTable &table) { table.addIn("ai.onnx.preview.training", "Gradient", importGradient); }

} // namespace onager::frontend
