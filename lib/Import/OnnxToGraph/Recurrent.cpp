// LSTM, GRU, RNN: the input projection as a matrix product, then one `recurrent` per direction.
#include "lib/Import/OnnxToGraph/Recurrent.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// What differs between the cells.
struct Cell {
  CellKind kind;
  int64_t gates;
  std::vector<std::string> activations;
};

/// An activation with its parameters' defaults.
struct Activation {
  const char *name;
  double alpha, beta;
  bool hasAlpha, hasBeta;
};
constexpr Activation kActivations[] = {
    {"Relu", 0, 0, false, false},          {"Tanh", 0, 0, false, false},           {"Sigmoid", 0, 0, false, false},
    {"Affine", 1, 0, true, true},          {"LeakyRelu", 0.01, 0, true, false},    {"ThresholdedRelu", 1, 0, true, false},
    {"ScaledTanh", 1, 1, true, true},      {"HardSigmoid", 0.2, 0.5, true, true},  {"Elu", 1, 0, true, false},
    {"Softsign", 0, 0, false, false},      {"Softplus", 0, 0, false, false},
};

/// The operands of all directions, sequence first.
struct Operands {
  Value x, w, r, b, lengths, hidden, cell, peephole;
  AffineExpr batch;
  AffineExpr size;
};

} // namespace

std::optional<CellActivations> readActivations(Node &node, ArrayRef<std::string> defaults, int64_t directions) {
  std::vector<std::string> names = node.getStrings("activations");
  size_t count = defaults.size() * static_cast<size_t>(directions);
  if (names.empty())
    for (int64_t k = 0; k < directions; ++k)
      names.insert(names.end(), defaults.begin(), defaults.end());
  std::vector<double> alphas = node.getFloats("activation_alpha").value_or(std::vector<double>());
  std::vector<double> betas = node.getFloats("activation_beta").value_or(std::vector<double>());
  if (names.size() != count) {
    node.e.fail(Twine(names.size()) + " activations, expected " + Twine(count));
    return std::nullopt;
  }
  CellActivations settings;
  size_t nextAlpha = 0, nextBeta = 0;
  for (const std::string &name : names) {
    const auto *found = llvm::find_if(kActivations, [&](const Activation &activation) { return StringRef(name).equals_insensitive(activation.name); });
    if (found == std::end(kActivations)) {
      node.e.fail("activation '" + name + "' is not known");
      return std::nullopt;
    }
    settings.names.push_back(found->name);
    settings.alphas.push_back(found->hasAlpha && nextAlpha < alphas.size() ? alphas[nextAlpha++] : found->alpha);
    settings.betas.push_back(found->hasBeta && nextBeta < betas.size() ? betas[nextBeta++] : found->beta);
  }
  return settings;
}

namespace {

/// Takes direction d of an operand with the directions in front.
Value takeDirection(Emitter &e, Value operand, int64_t d) {
  return operand ? e.squeeze(e.sliceAxis(operand, 0, d, 1), {0}) : Value();
}

Value slicePart(Emitter &e, Value vector, AffineExpr start, AffineExpr count) { return e.sliceAxis(vector, 0, start, count); }

/// Biases [gates * 2 * size]: what does not depend on the state is added up front; a GRU with linear_before_reset keeps the last part apart.
Value foldBias(Node &node, const Cell &cell, const Operands &all, Value bias, Value &recurrenceBias) {
  Emitter &e = node.e;
  if (!bias)
    return {};
  AffineExpr half = normalize(all.size * cell.gates);
  Value input = slicePart(e, bias, e.number(0), half), recurrent = slicePart(e, bias, half, half);
  if (cell.kind != CellKind::gru || !node.getInt("linear_before_reset", 0))
    return e.add(input, recurrent);
  AffineExpr apart = normalize(all.size * 2);
  recurrenceBias = slicePart(e, recurrent, apart, all.size);
  Value zeros = e.splat(e.scalar(0, Emitter::elementOf(bias)), {all.size});
  return e.add(input, e.concat({slicePart(e, recurrent, e.number(0), apart), zeros}, 0));
}

RecurrentOp buildDirection(Node &node, const Cell &cell, const Operands &all, const CellActivations &settings, int64_t d, bool reverse) {
  Emitter &e = node.e;
  Type type = Emitter::elementOf(all.x);
  Value recurrenceBias, bias = foldBias(node, cell, all, takeDirection(e, all.b, d), recurrenceBias);
  Value gates = e.matmul(all.x, e.transposeLast(takeDirection(e, all.w, d)));
  gates = bias ? e.add(gates, bias) : gates;
  Value zeros = e.splat(e.scalar(0, type), {all.batch, all.size});
  Value hidden = all.hidden ? takeDirection(e, all.hidden, d) : zeros;
  Value state = cell.kind != CellKind::lstm ? Value() : all.cell ? takeDirection(e, all.cell, d) : zeros;
  Value recurrence = e.transposeLast(takeDirection(e, all.r, d));
  AffineExpr steps = Emitter::dimsOf(all.x)[0];
  Type statesType = e.tensorType({steps, all.batch, all.size}, type), lastType = e.tensorType({all.batch, all.size}, type);
  Value peephole = takeDirection(e, all.peephole, d);
  if (e.hasFailed() || !gates || !hidden || !recurrence)
    return {};
  size_t count = cell.activations.size(), first = static_cast<size_t>(d) * count;
  return RecurrentOp::create(e.builder, e.location, statesType, lastType, lastType, gates, recurrence, hidden, state, all.lengths, peephole,
                             recurrenceBias, CellKindAttr::get(e.context(), cell.kind),
                             e.builder.getStrArrayAttr(ArrayRef(settings.names).slice(first, count)),
                             e.builder.getDenseF64ArrayAttr(ArrayRef(settings.alphas).slice(first, count)),
                             e.builder.getDenseF64ArrayAttr(ArrayRef(settings.betas).slice(first, count)),
                             e.builder.getF64FloatAttr(node.getFloat("clip", 0)), e.builder.getBoolAttr(reverse),
                             e.builder.getBoolAttr(node.getInt("linear_before_reset", 0) != 0),
                             e.builder.getBoolAttr(node.getInt("input_forget", 0) != 0));
}

/// States what every operand's extents must be, directions in front.
void unifyOperands(Emitter &e, const Cell &cell, const Operands &all, int64_t directions) {
  AffineExpr count = e.number(directions), gates = normalize(all.size * cell.gates);
  auto match = [&](Value value, StringRef name, ArrayRef<AffineExpr> wanted) {
    if (!value || !e.checkBinary(all.x, value))
      return;
    Dims have = Emitter::dimsOf(value);
    for (auto [k, dim] : llvm::enumerate(wanted))
      e.unify(have[k], dim, "dim " + Twine(k) + " of " + name);
  };
  match(all.w, "W", {count, gates, Emitter::dimsOf(all.x)[2]});
  match(all.r, "R", {count, gates, all.size});
  match(all.b, "B", {count, normalize(gates * 2)});
  match(all.hidden, "initial_h", {count, all.batch, all.size});
  match(all.cell, "initial_c", {count, all.batch, all.size});
  match(all.peephole, "P", {count, normalize(all.size * 3)});
  if (all.lengths)
    e.unify(Emitter::dimsOf(all.lengths)[0], all.batch, "sequence_lens and the batch");
}

/// Checks the ranks and brings everything to the layout with the sequence in front.
std::optional<Operands> readOperands(Node &node, const Cell &cell, int64_t directions, bool isBatchFirst) {
  Emitter &e = node.e;
  Operands all;
  all.x = node.in(0), all.w = node.in(1), all.r = node.in(2), all.b = node.opt(3);
  all.lengths = node.has(4) ? e.cast(node.in(4), e.i32()) : Value();
  all.hidden = node.opt(5);
  if (cell.kind == CellKind::lstm)
    all.cell = node.opt(6), all.peephole = node.opt(7);
  if (e.hasFailed())
    return std::nullopt;
  auto hasRank = [&](Value value, int64_t rank) { return !value || Emitter::rankOf(value) == rank; };
  if (!hasRank(all.x, 3) || !hasRank(all.w, 3) || !hasRank(all.r, 3) || !hasRank(all.b, 2) || !hasRank(all.hidden, 3) || !hasRank(all.cell, 3) ||
      !hasRank(all.peephole, 2) || !hasRank(all.lengths, 1)) {
    e.fail("an operand has the wrong rank");
    return std::nullopt;
  }
  if (isBatchFirst) {
    all.x = e.transpose(all.x, {1, 0, 2});
    all.hidden = all.hidden ? e.transpose(all.hidden, {1, 0, 2}) : Value();
    all.cell = all.cell ? e.transpose(all.cell, {1, 0, 2}) : Value();
  }
  all.batch = Emitter::dimsOf(all.x)[1];
  all.size = Emitter::dimsOf(all.r)[2];
  if (int64_t stated = node.getInt("hidden_size", 0))
    all.size = e.unify(e.number(stated), all.size, "hidden_size and the last dim of R");
  unifyOperands(e, cell, all, directions);
  return e.hasFailed() ? std::nullopt : std::optional(all);
}

void importCell(Node &node, const Cell &cell) {
  Emitter &e = node.e;
  std::string direction = node.getString("direction", "forward");
  int64_t directions = direction == "bidirectional" ? 2 : 1;
  bool isBatchFirst = node.getInt("layout", 0) != 0;
  if (direction != "forward" && direction != "reverse" && directions == 1)
    e.fail("direction is '" + direction + "'");
  std::optional<CellActivations> settings = readActivations(node, cell.activations, directions);
  std::optional<Operands> all = readOperands(node, cell, directions, isBatchFirst);
  if (!settings || !all)
    return;
  Values states, hidden, cells;
  for (int64_t d = 0; d < directions; ++d) {
    RecurrentOp op = buildDirection(node, cell, *all, *settings, d, direction == "reverse" || d == 1);
    if (!op)
      return;
    states.push_back(e.unsqueeze(op.getStates(), {1}));
    hidden.push_back(e.unsqueeze(op.getLastHidden(), {0}));
    cells.push_back(e.unsqueeze(op.getLastCell(), {0}));
  }
  auto join = [&](Values &parts, int64_t axis, ArrayRef<int64_t> batchFirst) {
    Value joined = e.concat(parts, axis);
    return isBatchFirst ? e.transpose(joined, batchFirst) : joined;
  };
  node.set(0, join(states, 1, {2, 0, 1, 3}));
  node.set(1, join(hidden, 0, {1, 0, 2}));
  if (cell.kind == CellKind::lstm)
    node.set(2, join(cells, 0, {1, 0, 2}));
}

void importLstm(Node &node) { importCell(node, {CellKind::lstm, 4, {"Sigmoid", "Tanh", "Tanh"}}); }
void importGru(Node &node) { importCell(node, {CellKind::gru, 3, {"Sigmoid", "Tanh"}}); }
void importRnn(Node &node) { importCell(node, {CellKind::rnn, 1, {"Tanh"}}); }

} // namespace

void addRecurrent(OperatorTable &table) {
  table.add("LSTM", importLstm);
  table.add("GRU", importGru);
  table.add("RNN", importRnn);
}

} // namespace onager::frontend
