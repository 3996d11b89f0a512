// LSTM, GRU and RNN cells over a sequence.
//
// Work items: batch elements. A share takes several of its elements at once, step by step, so that each line of the recurrence is read once for all; where
// lengths differ they go one by one. Per thread, scratch holds for each of them (in the compute type)
//   scratch := hidden state [H], cell state [H], products of a state with the recurrence [G * H], reset hidden state [H]
//
// Products add multiples of the recurrence's lines, whose sums stay in registers; the activations are loops over j that LLVM makes vectors of.
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "lib/Conversion/KernelToVector/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace onager {

namespace {

using graph::CellKind;

graph::RecurrentOp getCell(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::RecurrentOp>().begin(); }
int64_t gateCount(CellKind kind) { return kind == CellKind::lstm ? 4 : kind == CellKind::gru ? 3 : 1; }

/// Elements that a share takes at once.
constexpr int64_t kMostElements = 4;

/// Those that some share may take at once.
int64_t countElements(graph::RecurrentOp op) {
  std::optional<int64_t> known = graph::getConstant(graph::getDims(op.getGates())[1]);
  return op.getLengths() ? 1 : std::min(kMostElements, std::max<int64_t>(1, known.value_or(kMostElements)));
}

struct CellEmitter {
  UnitEmitter &e;
  graph::RecurrentOp op;
  Type storage, compute;
  Value hiddenSize, scratch;
  int64_t gates;
  Value first = {};   ///< of the elements
  int64_t count = 1;  ///< of them
  Value batch = {}, base = {}; ///< the element at hand and where its part of scratch begins

  Value sizeOfPart() { return e.mul(e.i64(3 + gates), hiddenSize); }
  /// Lines of H numbers in an element's part; the gates' products lie between.
  enum Line { kHidden, kCell, kGates };
  int64_t resetLine() const { return kGates + gates; }
  Value at(int64_t line, Value j) { return e.add(base, e.add(e.mul(e.i64(line), hiddenSize), j)); }
  Value hiddenAt(Value j) { return at(kHidden, j); }
  Value cellAt(Value j) { return at(kCell, j); }
  Value gateAt(int64_t gate, Value j) { return at(kGates + gate, j); }
  Value resetAt(Value j) { return at(resetLine(), j); }
  Value get(Value at) { return e.load(compute, scratch, at); }
  void put(Value at, Value x) { e.store(compute, scratch, at, x); }
  Value add(Value a, Value c) { return arith::AddFOp::create(e.b, a, c); }
  Value sub(Value a, Value c) { return arith::SubFOp::create(e.b, a, c); }
  Value mul(Value a, Value c) { return arith::MulFOp::create(e.b, a, c); }
  Value n(double x) { return e.constant(compute, x); }

  Value clip(Value x) {
    double limit = op.getClip().convertToDouble();
    if (limit <= 0)
      return x;
    return arith::MaximumFOp::create(e.b, arith::MinimumFOp::create(e.b, x, n(limit)).getResult(), n(-limit));
  }

  Value activate(size_t which, Value x) {
    StringRef name = cast<StringAttr>(op.getActivations()[which]).getValue();
    double alpha = op.getAlphas()[which], beta = op.getBetas()[which];
    Value zero = n(0), one = n(1);
    auto below = [&](Value a, Value c) -> Value { return arith::CmpFOp::create(e.b, arith::CmpFPredicate::OLT, a, c); };
    auto pick = [&](Value c, Value a, Value d) -> Value { return arith::SelectOp::create(e.b, c, a, d); };
    if (name == "Sigmoid")
      return emitLogistic(e, x);
    if (name == "Tanh")
      return e.math("tanh", x);
    if (name == "Relu")
      return pick(below(x, zero), zero, x);
    if (name == "Affine")
      return add(mul(n(alpha), x), n(beta));
    if (name == "LeakyRelu")
      return pick(below(x, zero), mul(n(alpha), x), x);
    if (name == "ThresholdedRelu")
      return pick(below(n(alpha), x), x, zero);
    if (name == "ScaledTanh")
      return mul(n(alpha), e.math("tanh", mul(n(beta), x)));
    if (name == "HardSigmoid") {
      Value line = add(mul(n(alpha), x), n(beta));
      return arith::MaximumFOp::create(e.b, arith::MinimumFOp::create(e.b, line, one).getResult(), zero);
    }
    if (name == "Elu")
      return pick(below(x, zero), mul(n(alpha), sub(e.math("exp", x), one)), x);
    if (name == "Softsign") {
      Value size = pick(below(x, zero), arith::NegFOp::create(e.b, x), x);
      return arith::DivFOp::create(e.b, x, add(one, size));
    }
    return e.math("log", add(one, e.math("exp", x))); // Softplus
  }

  Value row(int64_t gate, Value j) { return e.add(e.mul(e.i64(gate), hiddenSize), j); }
  Value input(Value time, int64_t gate, Value j) { return e.element(op.getGates(), {time, batch, row(gate, j)}); }
  void choose(Value number) {
    batch = e.add(first, number);
    base = e.mul(number, sizeOfPart());
  }
  void forElements(function_ref<void()> body) {
    auto take = [&](Value number) {
      choose(number);
      body();
    };
    if (count == 1)
      take(e.i64(0));
    else
      e.forEach(e.i64(0), e.i64(count), 1, take);
  }
  /// For each element and unit of the cell.
  void forUnits(function_ref<void(Value)> body) {
    forElements([&] { e.forEachParallel(e.i64(0), hiddenSize, body); });
  }

  /// Whether vectors can be loaded from the recurrence.
  bool isPlain() { return !e.options.exact && storage == compute && compute.isF32() && isa<BlockArgument>(op.getRecurrence()); }

  /// The products of all elements' states, which are lines `state`, for `vectors` vectors of columns from `column` on.
  void multiplyColumns(int64_t state, Value column, int64_t vectors) {
    int64_t width = e.options.target.vectorBytes / 4;
    auto lanes = VectorType::get({width}, compute);
    Value weights = e.getBuffer(op.getRecurrence()), stride = e.mul(e.i64(gates), hiddenSize), zero = arith::ConstantOp::create(e.b, e.b.getZeroAttr(lanes));
    SmallVector<Value> sums = e.forLoop(e.i64(0), hiddenSize, 1, SmallVector<Value>(count * vectors, zero), [&](Value k, ValueRange running) {
      SmallVector<Value> line, next;
      for (int64_t v = 0; v < vectors; ++v)
        line.push_back(LLVM::LoadOp::create(e.b, lanes, e.address(compute, weights, e.add(e.add(e.mul(k, stride), column), e.i64(v * width))), 4));
      for (int64_t element = 0; element < count; ++element) {
        choose(e.i64(element));
        Value factor = vector::BroadcastOp::create(e.b, lanes, get(at(state, k)));
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(vector::FMAOp::create(e.b, factor, line[v], running[element * vectors + v]));
      }
      return next;
    });
    for (int64_t element = 0; element < count; ++element) {
      choose(e.i64(element));
      for (int64_t v = 0; v < vectors; ++v)
        LLVM::StoreOp::create(e.b, sums[element * vectors + v], e.address(compute, scratch, e.add(gateAt(0, column), e.i64(v * width))), 4);
    }
  }

  /// Vectors of columns whose sums for all elements stay in registers.
  int64_t countVectors() { return std::min<int64_t>(8, (e.options.target.vectorBytes >= 64 ? 16 : 8) / count); }

  /// Products of the states, lines `state`, with the recurrence's columns of gates [firstGate, lastGate).
  void multiply(int64_t state, int64_t firstGate, int64_t lastGate) {
    Value from = e.mul(e.i64(firstGate), hiddenSize), to = e.mul(e.i64(lastGate), hiddenSize);
    if (isPlain())
      for (int64_t vectors : {countVectors(), int64_t(1)}) {
        int64_t width = vectors * static_cast<int64_t>(e.options.target.vectorBytes) / 4;
        Value whole = e.add(from, e.mul(e.floorDiv(e.sub(to, from), e.i64(width)), e.i64(width)));
        e.forEach(from, whole, width, [&](Value column) { multiplyColumns(state, column, vectors); });
        from = whole;
      }
    forElements([&] {
      e.forEach(from, to, 1, [&](Value column) {
        Value sum = e.forLoop(e.i64(0), hiddenSize, 1, n(0), [&](Value k, ValueRange running) {
          Value product = mul(e.element(op.getRecurrence(), {k, column}), get(at(state, k)));
          return SmallVector<Value>{accumulate(e, graph::ReduceKind::sum, storage, running[0], product)};
        })[0];
        put(gateAt(0, column), sum);
      });
    });
  }

  /// What a gate's activation gets.
  Value gateSum(Value time, int64_t gate, Value j) { return add(input(time, gate, j), get(gateAt(gate, j))); }

  Value peep(Value sum, int64_t which, Value j, Value cell) {
    if (!op.getPeephole())
      return sum;
    return add(sum, mul(e.element(op.getPeephole(), {row(which, j)}), cell));
  }

  void stepLstm(Value time) {
    multiply(kHidden, 0, 4);
    forUnits([&](Value j) {
      Value cell = get(cellAt(j));
      Value in = activate(0, clip(peep(gateSum(time, 0, j), 0, j, cell)));
      Value forget = op.getInputForget() ? sub(n(1), in) : activate(0, clip(peep(gateSum(time, 2, j), 2, j, cell)));
      Value next = add(mul(forget, cell), mul(in, activate(1, clip(gateSum(time, 3, j)))));
      Value out = activate(0, clip(peep(gateSum(time, 1, j), 1, j, next)));
      put(cellAt(j), next);
      put(hiddenAt(j), mul(out, activate(2, next)));
    });
  }

  void stepGru(Value time) {
    bool isLinear = op.getLinearBeforeReset();
    multiply(kHidden, 0, isLinear ? 3 : 2);
    if (!isLinear) {
      forUnits([&](Value j) { put(resetAt(j), mul(activate(0, clip(gateSum(time, 1, j))), get(hiddenAt(j)))); });
      multiply(resetLine(), 2, 3);
    }
    forUnits([&](Value j) {
      Value inner = get(gateAt(2, j));
      if (isLinear && op.getRecurrenceBias())
        inner = add(inner, e.element(op.getRecurrenceBias(), {j}));
      if (isLinear)
        inner = mul(activate(0, clip(gateSum(time, 1, j))), inner);
      Value update = activate(0, clip(gateSum(time, 0, j))), fresh = activate(1, clip(add(input(time, 2, j), inner)));
      put(hiddenAt(j), add(mul(sub(n(1), update), fresh), mul(update, get(hiddenAt(j)))));
    });
  }

  void stepRnn(Value time) {
    multiply(kHidden, 0, 1);
    forUnits([&](Value j) { put(hiddenAt(j), activate(0, clip(gateSum(time, 0, j)))); });
  }

  /// Stores to a result of the cell where the unit writes it.
  void write(unsigned result, ArrayRef<Value> index, Value x) {
    Operation *yield = e.unit.getBody().front().getTerminator();
    for (auto [number, value] : llvm::enumerate(yield->getOperands()))
      if (value == op->getResult(result))
        e.store(storage, e.getResultBuffer(number), e.linearize(index, graph::getDims(value)), x);
  }

  void emitElements(Value from, int64_t elements) {
    first = from;
    count = elements;
    forUnits([&](Value j) {
      put(hiddenAt(j), e.element(op.getHidden(), {batch, j}));
      put(cellAt(j), op.getCell() ? e.element(op.getCell(), {batch, j}) : n(0));
    });
    Value steps = e.extent(graph::getDims(op.getGates())[0]), length = steps;
    if (op.getLengths())
      length = e.clamp(e.indexElement(op.getLengths(), {first}), e.i64(0), steps);
    e.forEach(e.i64(0), length, 1, [&](Value step) {
      Value time = op.getReverse() ? e.sub(e.sub(length, e.i64(1)), step) : step;
      if (op.getKind() == CellKind::lstm)
        stepLstm(time);
      else if (op.getKind() == CellKind::gru)
        stepGru(time);
      else
        stepRnn(time);
      forUnits([&](Value j) { write(0, {time, batch, j}, get(hiddenAt(j))); });
    });
    e.forEach(length, steps, 1, [&](Value time) {
      forUnits([&](Value j) { write(0, {time, batch, j}, n(0)); });
    });
    forUnits([&](Value j) {
      write(1, {batch, j}, get(hiddenAt(j)));
      write(2, {batch, j}, get(cellAt(j)));
    });
  }
};

} // namespace

void emitRecurrent(UnitEmitter &e) {
  graph::RecurrentOp op = getCell(e.unit);
  Type storage = cast<RankedTensorType>(op.getGates().getType()).getElementType();
  Value size = e.extent(graph::getDims(op.getHidden())[1]);
  Value from = e.begin;
  for (int64_t count = countElements(op); count > 0; count /= 2) {
    Value to = e.add(from, e.mul(e.floorDiv(e.sub(e.end, from), e.i64(count)), e.i64(count)));
    e.forEach(from, to, count, [&](Value first) {
      CellEmitter{e, op, storage, e.computeType(storage), size, e.getScratch(), gateCount(op.getKind())}.emitElements(first, count);
    });
    from = to;
  }
}

WorkInfo getRecurrentWork(kernel::UnitOp unit) {
  graph::RecurrentOp op = getCell(unit);
  graph::Dims gates = graph::getDims(op.getGates()), hidden = graph::getDims(op.getHidden());
  AffineExpr operations = graph::getNumElements(unit.getContext(), gates) * hidden[1];
  return {gates[1], operations, hidden[1] * (countElements(op) * 8 * (3 + gateCount(op.getKind())))};
}

} // namespace onager
