// LSTM, GRU and RNN cells over a sequence.
//
// Work items: batch elements. Per thread, scratch holds (in the compute type)
//   scratch := hidden state [H], cell state [H], gate sums [G * H], reset hidden state [H]
#include "lib/Conversion/KernelToVector/Accumulate.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace onager {

namespace {

using graph::CellKind;

graph::RecurrentOp getCell(kernel::UnitOp unit) { return *unit.getBody().front().getOps<graph::RecurrentOp>().begin(); }
int64_t gateCount(CellKind kind) { return kind == CellKind::lstm ? 4 : kind == CellKind::gru ? 3 : 1; }

struct CellEmitter {
  UnitEmitter &e;
  graph::RecurrentOp op;
  Type storage, compute;
  Value hiddenSize, scratch, batch;
  int64_t gates;

  Value hiddenAt(Value j) { return j; }
  Value cellAt(Value j) { return e.add(hiddenSize, j); }
  Value gateAt(int64_t gate, Value j) { return e.add(e.mul(e.i64(2 + gate), hiddenSize), j); }
  Value resetAt(Value j) { return e.add(e.mul(e.i64(2 + gates), hiddenSize), j); }
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
      return arith::DivFOp::create(e.b, one, add(one, e.math("exp", arith::NegFOp::create(e.b, x))));
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

  /// sum_k recurrence[row, k] * state[k], the state at `from` in scratch.
  Value dot(Value row, function_ref<Value(Value)> from) {
    return e.forLoop(e.i64(0), hiddenSize, 1, n(0), [&](Value k, ValueRange sum) {
      Value product = mul(e.element(op.getRecurrence(), {row, k}), get(from(k)));
      return SmallVector<Value>{accumulate(e, graph::ReduceKind::sum, storage, sum[0], product)};
    })[0];
  }

  Value row(int64_t gate, Value j) { return e.add(e.mul(e.i64(gate), hiddenSize), j); }
  Value input(Value time, int64_t gate, Value j) { return e.element(op.getGates(), {time, batch, row(gate, j)}); }

  /// gate sums [first, last) := input + recurrence * hidden state
  void sumGates(Value time, int64_t first, int64_t last) {
    for (int64_t gate = first; gate < last; ++gate)
      e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
        Value sum = dot(row(gate, j), [&](Value k) { return hiddenAt(k); });
        put(gateAt(gate, j), add(input(time, gate, j), sum));
      });
  }

  Value peep(Value sum, int64_t which, Value j, Value cell) {
    if (!op.getPeephole())
      return sum;
    return add(sum, mul(e.element(op.getPeephole(), {row(which, j)}), cell));
  }

  void stepLstm(Value time) {
    sumGates(time, 0, 4);
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
      Value cell = get(cellAt(j));
      Value in = activate(0, clip(peep(get(gateAt(0, j)), 0, j, cell)));
      Value forget = op.getInputForget() ? sub(n(1), in) : activate(0, clip(peep(get(gateAt(2, j)), 2, j, cell)));
      Value next = add(mul(forget, cell), mul(in, activate(1, clip(get(gateAt(3, j))))));
      Value out = activate(0, clip(peep(get(gateAt(1, j)), 1, j, next)));
      put(cellAt(j), next);
      put(hiddenAt(j), mul(out, activate(2, next)));
    });
  }

  void stepGru(Value time) {
    sumGates(time, 0, 2);
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
      put(gateAt(0, j), activate(0, clip(get(gateAt(0, j)))));
      put(gateAt(1, j), activate(0, clip(get(gateAt(1, j)))));
      put(resetAt(j), mul(get(gateAt(1, j)), get(hiddenAt(j))));
    });
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
      Value inner;
      if (op.getLinearBeforeReset()) {
        inner = dot(row(2, j), [&](Value k) { return hiddenAt(k); });
        if (op.getRecurrenceBias())
          inner = add(inner, e.element(op.getRecurrenceBias(), {j}));
        inner = mul(get(gateAt(1, j)), inner);
      } else {
        inner = dot(row(2, j), [&](Value k) { return resetAt(k); });
      }
      put(gateAt(2, j), activate(1, clip(add(input(time, 2, j), inner))));
    });
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
      Value update = get(gateAt(0, j));
      put(hiddenAt(j), add(mul(sub(n(1), update), get(gateAt(2, j))), mul(update, get(hiddenAt(j)))));
    });
  }

  void stepRnn(Value time) {
    sumGates(time, 0, 1);
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) { put(hiddenAt(j), activate(0, clip(get(gateAt(0, j))))); });
  }

  /// Stores to a result of the cell where the unit writes it.
  void write(unsigned result, ArrayRef<Value> index, Value x) {
    Operation *yield = e.unit.getBody().front().getTerminator();
    for (auto [number, value] : llvm::enumerate(yield->getOperands()))
      if (value == op->getResult(result))
        e.store(storage, e.getResultBuffer(number), e.linearize(index, graph::getDims(value)), x);
  }

  void emitBatch() {
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
      put(hiddenAt(j), e.element(op.getHidden(), {batch, j}));
      put(cellAt(j), op.getCell() ? e.element(op.getCell(), {batch, j}) : n(0));
    });
    Value steps = e.extent(graph::getDims(op.getGates())[0]), length = steps;
    if (op.getLengths())
      length = e.clamp(e.indexElement(op.getLengths(), {batch}), e.i64(0), steps);
    e.forEach(e.i64(0), length, 1, [&](Value step) {
      Value time = op.getReverse() ? e.sub(e.sub(length, e.i64(1)), step) : step;
      if (op.getKind() == CellKind::lstm)
        stepLstm(time);
      else if (op.getKind() == CellKind::gru)
        stepGru(time);
      else
        stepRnn(time);
      e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) { write(0, {time, batch, j}, get(hiddenAt(j))); });
    });
    e.forEach(length, steps, 1, [&](Value time) {
      e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) { write(0, {time, batch, j}, n(0)); });
    });
    e.forEach(e.i64(0), hiddenSize, 1, [&](Value j) {
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
  e.forEach(e.begin, e.end, 1, [&](Value batch) {
    CellEmitter{e, op, storage, e.computeType(storage), size, e.getScratch(), batch, gateCount(op.getKind())}.emitBatch();
  });
}

WorkInfo getRecurrentWork(kernel::UnitOp unit) {
  graph::RecurrentOp op = getCell(unit);
  graph::Dims gates = graph::getDims(op.getGates()), hidden = graph::getDims(op.getHidden());
  AffineExpr operations = graph::getNumElements(unit.getContext(), gates) * hidden[1];
  return {gates[1], operations, hidden[1] * (8 * (3 + gateCount(op.getKind())))};
}

} // namespace onager
