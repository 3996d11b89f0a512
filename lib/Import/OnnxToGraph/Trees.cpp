// Tree ensembles: the trees of all operators and opsets become flat arrays that the kernel `trees` walks.
//
// Nodes are laid out anew, parents before children, so that a cycle in the model is found here and never met while running. The two children of a node lie side
// by side. A test of membership becomes a chain of tests of equality, whose children are copies; x < split becomes x <= the number before the split.
#include "lib/Import/OnnxToGraph/Ml.h"
#include <cmath>
#include <map>
#include <set>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

enum Mode : int32_t { lessEqual, less, greaterEqual, greater, equal, notEqual, member };

/// One node as the model states it; a child below 0 is leaf -1 - child.
struct TreeNode {
  int64_t feature = 0;
  int32_t mode = 0;
  bool missingHolds = false;
  double split = 0;
  std::vector<double> members;
  int64_t fails = 0, holds = 0;
};

struct Forest {
  std::vector<TreeNode> nodes;
  std::vector<int64_t> roots;
  std::vector<std::vector<std::pair<int64_t, double>>> leaves; ///< (target, weight) pairs
  int64_t targets = 1;
  int64_t aggregate = 1;
};

/// The arrays that the kernel takes.
struct FlatForest {
  std::vector<int32_t> nodes, roots, leaves, targets;
  std::vector<double> splits, weights;
  int64_t features = 0; ///< that nodes ask for
  bool isPlain = true;  ///< all tests are x <= split
};

class Flattener {
public:
  Flattener(Emitter &e, const Forest &forest, bool isSingle) : e(e), forest(forest), isSingle(isSingle), seen(forest.nodes.size(), false) {}

  std::optional<FlatForest> run() {
    std::vector<int32_t> roots;
    for (int64_t root : forest.roots) {
      roots.push_back(reserve(1));
      waiting.push_back({{roots.back()}, root});
    }
    while (!waiting.empty() && !e.hasFailed()) {
      auto [slots, child] = std::move(waiting.back());
      waiting.pop_back();
      place(slots, child);
    }
    std::vector<int32_t> steps = countSteps();
    for (int32_t root : roots)
      flat.roots.insert(flat.roots.end(), {root, steps[root]});
    for (const auto &leaf : forest.leaves) {
      flat.leaves.push_back(static_cast<int32_t>(flat.targets.size()));
      for (auto [target, weight] : leaf) {
        if (target < 0 || target >= forest.targets)
          e.fail("a leaf gives to target " + Twine(target) + " of " + Twine(forest.targets));
        flat.targets.push_back(static_cast<int32_t>(target));
        flat.weights.push_back(weight);
      }
    }
    flat.leaves.push_back(static_cast<int32_t>(flat.targets.size()));
    return e.hasFailed() ? std::nullopt : std::optional(std::move(flat));
  }

private:
  /// Makes room for nodes that lie side by side.
  int32_t reserve(size_t count) {
    auto first = static_cast<int32_t>(flat.splits.size());
    flat.splits.resize(flat.splits.size() + count);
    flat.nodes.resize(4 * flat.splits.size());
    return first;
  }

  void write(int32_t slot, int32_t feature, int32_t child, int32_t mode, int32_t leaf, double split) {
    std::copy_n(std::initializer_list<int32_t>{feature, child, mode, leaf}.begin(), 4, flat.nodes.begin() + 4 * static_cast<std::ptrdiff_t>(slot));
    flat.splits[slot] = split;
    flat.features = std::max<int64_t>(flat.features, child == slot ? 0 : feature + int64_t(1));
    flat.isPlain &= mode % 8 == lessEqual;
  }

  /// Writes a node or leaf to all its slots; the node's children wait.
  void place(ArrayRef<int32_t> slots, int64_t number) {
    if (number < 0) {
      if (-1 - number >= static_cast<int64_t>(forest.leaves.size()))
        return void(e.fail("a branch leads to leaf " + Twine(-1 - number) + " of " + Twine(forest.leaves.size())));
      for (int32_t slot : slots)
        write(slot, 0, slot, lessEqual, static_cast<int32_t>(-1 - number), HUGE_VAL);
      return;
    }
    if (number >= static_cast<int64_t>(seen.size()) || seen[number])
      return void(e.fail("tree node " + Twine(number) + " is outside the tree or reached twice"));
    seen[number] = true;
    const TreeNode &node = forest.nodes[number];
    if (node.feature < 0 || node.feature > INT32_MAX)
      return void(e.fail("tree node " + Twine(number) + " tests feature " + Twine(node.feature)));
    std::vector<double> splits = node.mode == member ? node.members : std::vector<double>{node.split};
    if (splits.empty())
      splits.push_back(std::nan(""));
    SmallVector<int32_t> at(slots), held;
    for (double split : splits) {
      auto [mode, changed] = simplify(node.mode == member ? equal : node.mode, split);
      int32_t child = reserve(2);
      for (int32_t slot : at)
        write(slot, static_cast<int32_t>(node.feature), child, mode + (node.missingHolds ? 8 : 0), 0, changed);
      held.push_back(child);
      at = {child + 1};
    }
    waiting.push_back({at, node.fails});
    waiting.push_back({held, node.holds});
  }

  /// x < split is x <= the largest number below it, but where there is none.
  std::pair<int32_t, double> simplify(int32_t mode, double split) const {
    double below = isSingle ? static_cast<double>(std::nextafterf(static_cast<float>(split), -HUGE_VALF)) : std::nextafter(split, -HUGE_VAL);
    bool isChanged = mode == less && below < split && std::isfinite(below);
    return isChanged ? std::pair(int32_t(lessEqual), below) : std::pair(mode, split);
  }

  /// The steps of the longest walk from each node. Children stand behind their parents.
  std::vector<int32_t> countSteps() const {
    std::vector<int32_t> steps(flat.splits.size(), 0);
    for (size_t k = steps.size(); k-- > 0;)
      if (auto child = static_cast<size_t>(flat.nodes[4 * k + 1]); child > k && child + 1 < steps.size())
        steps[k] = 1 + std::max(steps[child], steps[child + 1]);
    return steps;
  }

  Emitter &e;
  const Forest &forest;
  bool isSingle; ///< numbers are compared in f32
  FlatForest flat;
  std::vector<bool> seen;
  std::vector<std::pair<SmallVector<int32_t>, int64_t>> waiting; ///< slots, and what belongs there
};

Value makeIntegers(Emitter &e, ArrayRef<int32_t> values, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, e.i32());
  return e.constant(graph::makeConstant(type, ArrayRef(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(int32_t)), "trees"));
}

/// Scores [N, targets] of the ensemble, in f64 where the data or the thresholds are, else in f32.
Value evaluateForest(Emitter &e, Value x, const Forest &forest, bool isWide) {
  x = asRows(e, x);
  if (!x)
    return {};
  bool isSingle = !isWide && !Emitter::elementOf(x).isF64();
  std::optional<FlatForest> flat = Flattener(e, forest, isSingle).run();
  if (!flat)
    return {};
  Type type = isSingle ? e.f32() : Type(e.builder.getF64Type());
  auto count = [](const auto &list) { return static_cast<int64_t>(list.size()); };
  Value nodes = makeIntegers(e, flat->nodes, {count(flat->splits), 4}), roots = makeIntegers(e, flat->roots, {count(flat->roots) / 2, 2});
  Value leaves = makeIntegers(e, flat->leaves, {count(flat->leaves)}), targets = makeIntegers(e, flat->targets, {count(flat->targets)});
  return e.call("trees", {e.cast(x, type), makeVector(e, flat->splits, type), nodes, roots, leaves, targets, makeVector(e, flat->weights, type)},
                {forest.aggregate, flat->features, flat->isPlain}, {Emitter::dimsOf(x)[0], e.number(forest.targets)}, type);
}

std::optional<int64_t> parseMode(Node &node, StringRef name) {
  static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
  for (auto [k, known] : llvm::enumerate(modes))
    if (name == known)
      return static_cast<int64_t>(k);
  node.e.fail("nodes_modes holds '" + name + "'");
  return std::nullopt;
}

std::vector<double> readNumbers(Node &node, StringRef name) {
  std::vector<double> tensor = readTensor(node, (name + "_as_tensor").str());
  return tensor.empty() ? node.getFloats(name).value_or(std::vector<double>()) : tensor;
}

/// Nodes of the operators before TreeEnsemble, named by (tree, id); leaves are nodes of mode LEAF.
struct NamedNodes {
  std::map<std::pair<int64_t, int64_t>, int64_t> places; ///< of inner nodes, or -1 - leaf
};

bool readNodes(Node &node, Forest &forest, NamedNodes &names) {
  Ints trees = node.getInts("nodes_treeids").value_or(Ints()), ids = node.getInts("nodes_nodeids").value_or(Ints());
  Ints features = node.getInts("nodes_featureids").value_or(Ints()), holds = node.getInts("nodes_truenodeids").value_or(Ints());
  Ints fails = node.getInts("nodes_falsenodeids").value_or(Ints()), missing = node.getInts("nodes_missing_value_tracks_true").value_or(Ints());
  std::vector<std::string> modes = node.getStrings("nodes_modes");
  std::vector<double> splits = readNumbers(node, "nodes_values");
  size_t count = ids.size();
  for (size_t size : {trees.size(), features.size(), holds.size(), fails.size(), modes.size(), splits.size()})
    if (size != count) {
      node.e.fail("attributes nodes_* differ in length: " + Twine(size) + " and " + Twine(count));
      return false;
    }
  int64_t inner = 0, leaves = 0;
  for (size_t k = 0; k < count; ++k)
    if (!names.places.try_emplace({trees[k], ids[k]}, modes[k] == "LEAF" ? -1 - leaves++ : inner++).second)
      node.e.fail("tree " + Twine(trees[k]) + " has two nodes " + Twine(ids[k]));
  forest.leaves.resize(leaves);
  auto find = [&](int64_t tree, int64_t id) {
    auto found = names.places.find({tree, id});
    if (found == names.places.end())
      node.e.fail("tree " + Twine(tree) + " has no node " + Twine(id));
    return found == names.places.end() ? int64_t(-1) : found->second;
  };
  llvm::DenseSet<int64_t> started;
  for (size_t k = 0; k < count; ++k) {
    // The first node of a tree is its root.
    if (started.insert(trees[k]).second)
      forest.roots.push_back(names.places[{trees[k], ids[k]}]);
    if (modes[k] == "LEAF")
      continue;
    std::optional<int64_t> mode = parseMode(node, modes[k]);
    bool missingHolds = k < missing.size() && missing[k];
    forest.nodes.push_back({features[k], static_cast<int32_t>(mode.value_or(0)), missingHolds, splits[k], {}, find(trees[k], fails[k]), find(trees[k], holds[k])});
  }
  return !node.e.hasFailed();
}

/// Reads who gets what at which leaf: attributes class_* or target_*.
bool readWeights(Node &node, StringRef prefix, Forest &forest, const NamedNodes &names) {
  auto list = [&](StringRef name) { return node.getInts((prefix + name).str()).value_or(Ints()); };
  Ints trees = list("_treeids"), ids = list("_nodeids"), targets = list("_ids");
  std::vector<double> weights = readNumbers(node, (prefix + "_weights").str());
  if (trees.size() != ids.size() || targets.size() != ids.size() || weights.size() != ids.size()) {
    node.e.fail("attributes " + prefix + "_* differ in length");
    return false;
  }
  for (size_t k = 0; k < ids.size(); ++k) {
    auto found = names.places.find({trees[k], ids[k]});
    if (found == names.places.end() || found->second >= 0) {
      node.e.fail("a weight is given for node " + Twine(ids[k]) + " of tree " + Twine(trees[k]) + ", which is no leaf");
      return false;
    }
    forest.leaves[-1 - found->second].push_back({targets[k], weights[k]});
  }
  return true;
}

/// Where there is one target, a leaf has one weight, the first that is listed: exporters that turn classifiers into regressors list it once per class.
void keepFirstWeights(Forest &forest) {
  for (auto &leaf : forest.leaves)
    if (leaf.size() > 1)
      leaf.resize(1);
}

Value addBase(Node &node, Value scores) {
  std::vector<double> base = readNumbers(node, "base_values");
  if (base.empty() || !scores)
    return scores;
  return node.e.add(scores, makeVector(node.e, base, Emitter::elementOf(scores)));
}

bool isWide(Node &node) { return node.hasAttribute("nodes_values_as_tensor") && node.getTensor("nodes_values_as_tensor")->data_type() == onnx::TensorProto::DOUBLE; }

void importRegressor(Node &node) {
  static const llvm::StringMap<int64_t> aggregates{{"AVERAGE", 0}, {"SUM", 1}, {"MIN", 2}, {"MAX", 3}};
  Forest forest;
  NamedNodes names;
  forest.targets = node.getInt("n_targets", 1);
  std::string aggregate = node.getString("aggregate_function", "SUM");
  if (!aggregates.count(aggregate) || forest.targets < 1)
    return void(node.e.fail("aggregate_function is '" + aggregate + "', n_targets " + Twine(forest.targets)));
  forest.aggregate = aggregates.lookup(aggregate);
  if (!readNodes(node, forest, names) || !readWeights(node, "target", forest, names))
    return;
  if (forest.targets == 1)
    keepFirstWeights(forest);
  Value scores = addBase(node, evaluateForest(node.e, node.in(0), forest, isWide(node)));
  scores = transformScores(node.e, scores, node.getString("post_transform", "NONE"));
  node.set(0, node.e.cast(scores, node.e.f32()));
}

/// Two classes of which only one gets weights: its score decides, against 0.5 where all weights are positive, else against 0.
void finishBinary(Node &node, Value score, Value labels, bool isPositive) {
  Emitter &e = node.e;
  std::string transform = node.getString("post_transform", "NONE");
  Value isSecond = e.compare<LessOp>(e.scalar(isPositive ? 0.5 : 0, Emitter::elementOf(score)), score);
  node.set(0, e.gather(labels, e.cast(e.squeeze(isSecond, {1}), e.i64()), 0));
  if (transform == "PROBIT")
    return void(e.fail("PROBIT of one score for two classes"));
  Value other = isPositive ? e.sub(e.scalar(1, Emitter::elementOf(score)), score) : e.unary<NegOp>(score);
  Value both = e.concat({other, score}, 1);
  if (transform == "LOGISTIC" && !isPositive)
    both = e.unary<SigmoidOp>(both);
  node.set(1, e.cast(both, e.f32()));
}

void importClassifier(Node &node) {
  Emitter &e = node.e;
  Forest forest;
  NamedNodes names;
  Value labels = readLabels(node, forest.targets);
  if (!labels || !readNodes(node, forest, names) || !readWeights(node, "class", forest, names))
    return;
  std::set<int64_t> used;
  bool isPositive = true;
  for (const auto &leaf : forest.leaves)
    for (auto [target, weight] : leaf) {
      used.insert(target);
      isPositive &= weight >= 0;
    }
  Value scores = evaluateForest(e, node.in(0), forest, isWide(node));
  size_t bases = readNumbers(node, "base_values").size();
  if (forest.targets == 2 && used.size() == 1 && *used.begin() == 0 && bases <= 1)
    return scores ? finishBinary(node, addBase(node, e.sliceAxis(scores, 1, 0, 1)), labels, isPositive) : void();
  if (forest.targets == 2 && (used.size() == 1 || bases == 1))
    return void(e.fail("two classes with weights for the second alone, or with one base value, are not supported"));
  scores = addBase(node, scores);
  if (forest.targets == 2 && scores) {
    // With two classes the sign of the second's score decides.
    Value isSecond = e.compare<LessOp>(e.scalar(0, Emitter::elementOf(scores)), e.sliceAxis(scores, 1, 1, 1));
    node.set(0, e.gather(labels, e.cast(e.squeeze(isSecond, {1}), e.i64()), 0));
  } else {
    node.set(0, pickLabels(e, scores, labels));
  }
  node.set(1, e.cast(transformScores(e, scores, node.getString("post_transform", "NONE")), e.f32()));
}

/// Members of each BRANCH_MEMBER node, delimited by NaN.
std::vector<std::vector<double>> readMembers(Node &node) {
  std::vector<std::vector<double>> sets(1);
  for (double value : readTensor(node, "membership_values")) {
    if (std::isnan(value))
      sets.emplace_back();
    else
      sets.back().push_back(value);
  }
  return sets;
}

void importTreeEnsemble(Node &node) {
  static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  Emitter &e = node.e;
  Forest forest;
  forest.targets = node.getInt("n_targets", 1);
  forest.aggregate = node.getInt("aggregate_function", 1);
  int64_t transform = node.getInt("post_transform", 0);
  auto list = [&](StringRef name) { return node.getInts(name).value_or(Ints()); };
  Ints features = list("nodes_featureids"), holds = list("nodes_truenodeids"), fails = list("nodes_falsenodeids"), missing = list("nodes_missing_value_tracks_true");
  Ints holdsLeaf = list("nodes_trueleafs"), failsLeaf = list("nodes_falseleafs"), targets = list("leaf_targetids"), roots = list("tree_roots");
  std::vector<double> splits = readTensor(node, "nodes_splits"), modes = readTensor(node, "nodes_modes"), weights = readTensor(node, "leaf_weights");
  std::vector<std::vector<double>> members = readMembers(node);
  size_t count = features.size(), next = 0;
  for (size_t size : {holds.size(), fails.size(), holdsLeaf.size(), failsLeaf.size(), splits.size(), modes.size()})
    if (size != count)
      return void(e.fail("attributes nodes_* differ in length: " + Twine(size) + " and " + Twine(count)));
  if (targets.size() != weights.size() || transform < 0 || transform > 4 || forest.aggregate < 0 || forest.aggregate > 3 || forest.targets < 1)
    return void(e.fail("leaf_targetids and leaf_weights differ in length, or aggregate_function or post_transform is not known"));
  for (size_t k = 0; k < count; ++k) {
    TreeNode tree{features[k], static_cast<int32_t>(modes[k]), k < missing.size() && missing[k], splits[k], {}, fails[k], holds[k]};
    if (tree.mode > member || tree.mode < 0 || fails[k] < 0 || holds[k] < 0)
      return void(e.fail("tree node " + Twine(k) + " has mode " + Twine(tree.mode) + " or a child below 0"));
    if (tree.mode == member && next < members.size())
      tree.members = members[next++];
    tree.fails = failsLeaf[k] ? -1 - fails[k] : fails[k];
    tree.holds = holdsLeaf[k] ? -1 - holds[k] : holds[k];
    forest.nodes.push_back(std::move(tree));
  }
  for (size_t k = 0; k < targets.size(); ++k)
    forest.leaves.push_back({{targets[k], weights[k]}});
  forest.roots.assign(roots.begin(), roots.end());
  if (llvm::any_of(forest.roots, [](int64_t root) { return root < 0; }))
    return void(e.fail("tree_roots holds a number below 0"));
  Value x = node.in(0);
  Value scores = transformScores(e, evaluateForest(e, x, forest, false), transforms[transform]);
  if (x)
    node.set(0, e.cast(scores, Emitter::elementOf(x)));
}

} // namespace

void addTrees(OperatorTable &table) {
  table.addIn("ai.onnx.ml", "TreeEnsembleRegressor", importRegressor);
  table.addIn("ai.onnx.ml", "TreeEnsembleClassifier", importClassifier);
  table.addIn("ai.onnx.ml", "TreeEnsemble", importTreeEnsemble, 5);
}

} // namespace onager::frontend
