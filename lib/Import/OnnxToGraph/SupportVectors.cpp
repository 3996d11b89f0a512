// Support vector machines of the domain ai.onnx.ml, with the meaning that ONNX Runtime gives to what the specification leaves open.
#include "lib/Import/OnnxToGraph/Ml.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// Values of the kernel function for each row of x and each vector: [N, vectors].
Value applyKernel(Node &node, Value x, ArrayRef<double> vectors, int64_t count) {
  Emitter &e = node.e;
  std::string name = node.getString("kernel_type", "LINEAR");
  std::vector<double> given = node.getFloats("kernel_params").value_or(std::vector<double>());
  given.resize(std::max<size_t>(given.size(), 3), 0);
  double gamma = given[0], coef0 = given[1], degree = given[2];
  if (!x)
    return {};
  if (count < 1 || vectors.empty() || static_cast<int64_t>(vectors.size()) % count)
    return e.fail(Twine(vectors.size()) + " numbers for " + Twine(count) + " vectors");
  Value table = e.reshape(makeVector(e, vectors, e.f32()), e.numbers({count, static_cast<int64_t>(vectors.size()) / count}));
  if (name == "RBF") {
    // |x - v|^2 without the cancellation of its expanded form.
    Value gap = e.sub(e.unsqueeze(x, {1}), table);
    return e.unary<ExpOp>(e.mulNumber(e.reduce(ReduceKind::sum_square, gap, {2}, false), -gamma));
  }
  Value dot = e.matmul(x, e.transpose(table, {1, 0}));
  if (name == "LINEAR")
    return dot;
  dot = e.addNumber(e.mulNumber(dot, gamma), coef0);
  if (name == "POLY")
    return dot ? e.binary<PowOp>(dot, e.scalar(degree, e.f32())) : Value();
  return name == "SIGMOID" ? e.unary<TanhOp>(dot) : e.fail("kernel_type is '" + name + "', expected LINEAR, POLY, RBF or SIGMOID");
}

void importRegressor(Node &node) {
  Emitter &e = node.e;
  Value x = asRows(e, e.cast(node.in(0), e.f32()));
  int64_t supports = node.getInt("n_supports", 0);
  std::vector<double> coefficients = node.getFloats("coefficients").value_or(std::vector<double>()), rho = node.getFloats("rho").value_or(std::vector<double>{0});
  if (rho.empty())
    rho.push_back(0);
  Value y;
  if (supports > 0) {
    Value kernels = applyKernel(node, x, node.getFloats("support_vectors").value_or(std::vector<double>()), supports);
    if (static_cast<int64_t>(coefficients.size()) != supports)
      e.fail(Twine(coefficients.size()) + " coefficients for " + Twine(supports) + " support vectors");
    y = e.hasFailed() ? Value() : e.matmul(kernels, e.reshape(makeVector(e, coefficients, e.f32()), e.numbers({supports, 1})));
  } else {
    y = applyKernel(node, x, coefficients, 1);
  }
  y = e.addNumber(y, rho[0]);
  if (y && node.getInt("one_class", 0))
    y = e.select(e.compare<LessOp>(e.scalar(0, e.f32()), y), e.scalar(1, e.f32()), e.scalar(-1, e.f32()));
  node.set(0, transformScores(e, y, node.getString("post_transform", "NONE")));
}

/// The pairs of classes i < j, in the order of their classifiers.
struct Machine {
  int64_t classes = 0, vectors = 0;
  std::vector<std::pair<int64_t, int64_t>> pairs;
  std::vector<double> weights;   ///< [vectors, pairs]: what a kernel value adds to the score of a pair
  std::vector<double> forFirst;  ///< [pairs, classes]: 1 for the pair's first class
  std::vector<double> forSecond;
};

/// Spreads the coefficients [classes - 1, vectors]: those of class i against j are in row j - 1, those of j against i in row i.
bool readMachine(Node &node, ArrayRef<int64_t> perClass, ArrayRef<double> coefficients, Machine &machine) {
  for (int64_t count : perClass)
    machine.vectors += count;
  if (static_cast<int64_t>(perClass.size()) != machine.classes || machine.classes < 2 || llvm::any_of(perClass, [](int64_t count) { return count < 0; }) ||
      static_cast<int64_t>(coefficients.size()) != machine.vectors * (machine.classes - 1)) {
    node.e.fail("vectors_per_class, class labels and coefficients do not fit together");
    return false;
  }
  std::vector<int64_t> starts{0};
  for (int64_t count : perClass)
    starts.push_back(starts.back() + count);
  for (int64_t i = 0; i < machine.classes; ++i)
    for (int64_t j = i + 1; j < machine.classes; ++j)
      machine.pairs.push_back({i, j});
  auto pairs = static_cast<int64_t>(machine.pairs.size());
  machine.weights.assign(static_cast<size_t>(machine.vectors * pairs), 0);
  machine.forFirst.assign(static_cast<size_t>(pairs * machine.classes), 0);
  machine.forSecond = machine.forFirst;
  for (auto [p, pair] : llvm::enumerate(machine.pairs)) {
    auto [i, j] = pair;
    for (int64_t m = starts[i]; m < starts[i + 1]; ++m)
      machine.weights[m * pairs + static_cast<int64_t>(p)] = coefficients[(j - 1) * machine.vectors + m];
    for (int64_t m = starts[j]; m < starts[j + 1]; ++m)
      machine.weights[m * pairs + static_cast<int64_t>(p)] = coefficients[i * machine.vectors + m];
    machine.forFirst[static_cast<int64_t>(p) * machine.classes + i] = 1;
    machine.forSecond[static_cast<int64_t>(p) * machine.classes + j] = 1;
  }
  return true;
}

Value makeMatrix(Emitter &e, ArrayRef<double> numbers, int64_t rows) {
  return e.reshape(makeVector(e, numbers, e.f32()), e.numbers({rows, static_cast<int64_t>(numbers.size()) / rows}));
}

/// The number of pairs that each class wins: [N, classes].
Value countVotes(Emitter &e, Value scores, const Machine &machine) {
  auto pairs = static_cast<int64_t>(machine.pairs.size());
  Value wins = e.compare<LessOp>(e.scalar(0, e.f32()), scores), loses = e.unary<NotOp>(wins);
  return e.add(e.matmul(e.cast(wins, e.f32()), makeMatrix(e, machine.forFirst, pairs)), e.matmul(e.cast(loses, e.f32()), makeMatrix(e, machine.forSecond, pairs)));
}

/// Probabilities of the classes from those of the pairs, by the kernel `pairwise_probability`.
Value estimate(Node &node, Value scores, const Machine &machine) {
  Emitter &e = node.e;
  std::vector<double> a = node.getFloats("prob_a").value_or(std::vector<double>()), b = node.getFloats("prob_b").value_or(std::vector<double>());
  if (a.size() != machine.pairs.size() || b.size() != a.size())
    return e.fail(Twine(a.size()) + " prob_a and " + Twine(b.size()) + " prob_b for " + Twine(machine.pairs.size()) + " pairs of classes");
  Value odds = e.add(e.mul(scores, makeVector(e, a, e.f32())), makeVector(e, b, e.f32()));
  Value chances = e.unary<SigmoidOp>(e.unary<NegOp>(odds));
  return chances ? e.call("pairwise_probability", {chances}, {}, {Emitter::dimsOf(scores)[0], e.number(machine.classes)}, e.f32()) : Value();
}

void importClassifier(Node &node) {
  Emitter &e = node.e;
  Machine machine;
  Value x = asRows(e, e.cast(node.in(0), e.f32())), labels = readLabels(node, machine.classes);
  Ints perClass = node.getInts("vectors_per_class").value_or(Ints());
  std::vector<double> coefficients = node.getFloats("coefficients").value_or(std::vector<double>()), rho = node.getFloats("rho").value_or(std::vector<double>());
  std::string transform = node.getString("post_transform", "NONE");
  if (!x || !labels)
    return;
  if (perClass.empty() || rho.empty())
    return void(e.fail("a classifier without support vectors is not supported; expected vectors_per_class and rho"));
  if (!readMachine(node, perClass, coefficients, machine))
    return;
  if (rho.size() != machine.pairs.size())
    return void(e.fail(Twine(rho.size()) + " rho for " + Twine(machine.pairs.size()) + " pairs of classes"));
  Value kernels = applyKernel(node, x, node.getFloats("support_vectors").value_or(std::vector<double>()), machine.vectors);
  Value scores = e.hasFailed() ? Value() : e.add(e.matmul(kernels, makeMatrix(e, machine.weights, machine.vectors)), makeVector(e, rho, e.f32()));
  Value votes = countVotes(e, scores, machine);
  node.set(0, pickLabels(e, votes, labels));
  if (!node.getFloats("prob_a").value_or(std::vector<double>()).empty())
    return node.set(1, transformScores(e, estimate(node, scores, machine), transform));
  if (machine.classes > 2)
    return node.set(1, transformScores(e, scores, transform));
  // Two classes: the score of the pair stands for the second column, its opposite for the first.
  if (transform != "NONE")
    return void(e.fail("post_transform " + transform + " of one score for two classes"));
  node.set(1, e.concat({e.unary<NegOp>(scores), scores}, 1));
}

} // namespace

void addSupportVectors(OperatorTable &table) {
  table.addIn("ai.onnx.ml", "SVMRegressor", importRegressor);
  table.addIn("ai.onnx.ml", "SVMClassifier", importClassifier);
}

} // namespace onager::frontend
