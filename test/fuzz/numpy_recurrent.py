"""RNN, GRU and LSTM in NumPy, after the equations of ONNX's text: one direction, one batch entry and one step after the other, in f64."""
import numpy as np


def _sigmoid(x, alpha, beta):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {"Sigmoid": _sigmoid, "Tanh": lambda x, alpha, beta: np.tanh(x), "Relu": lambda x, alpha, beta: np.maximum(x, 0), "Affine": lambda x, alpha, beta: alpha * x + beta,
               "LeakyRelu": lambda x, alpha, beta: np.where(x < 0, alpha * x, x), "ThresholdedRelu": lambda x, alpha, beta: np.where(x >= alpha, x, 0),
               "ScaledTanh": lambda x, alpha, beta: alpha * np.tanh(beta * x), "HardSigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
               "Elu": lambda x, alpha, beta: np.where(x < 0, alpha * (np.exp(np.minimum(x, 0)) - 1), x), "Softsign": lambda x, alpha, beta: x / (1 + np.abs(x)),
               "Softplus": lambda x, alpha, beta: np.log1p(np.exp(x))}


def step_rnn(x, h, c, w, r, b, acts, clip, extra):
    n = len(h)
    return acts[0](clip(x @ w.T + h @ r.T + b[:n] + b[n:])), c


def step_gru(x, h, c, w, r, b, acts, clip, extra):
    n = len(h)
    wz, wr, wh = w[:n], w[n:2 * n], w[2 * n:]
    rz, rr, rh = r[:n], r[n:2 * n], r[2 * n:]
    bs = b.reshape(6, n)
    z, gate = acts[0](clip(x @ wz.T + h @ rz.T + bs[0] + bs[3])), acts[0](clip(x @ wr.T + h @ rr.T + bs[1] + bs[4]))
    inner = gate * (h @ rh.T + bs[5]) if extra["linear"] else (gate * h) @ rh.T + bs[5]
    fresh = acts[1](clip(x @ wh.T + inner + bs[2]))
    return (1 - z) * fresh + z * h, c


def step_lstm(x, h, c, w, r, b, acts, clip, extra):
    n = len(h)
    i, o, f, fresh = (x @ w.T + h @ r.T + b[:4 * n] + b[4 * n:]).reshape(4, n)
    pi, po, pf = extra["peepholes"].reshape(3, n)
    i = acts[0](clip(i + pi * c))
    f = 1 - i if extra["coupled"] else acts[0](clip(f + pf * c))
    c = f * c + i * acts[1](clip(fresh))
    return acts[0](clip(o + po * c)) * acts[2](c), c


def run(step, x, w, r, b, lengths, h0, c0, directions: list, acts: list, clip, extras: list) -> tuple:
    """Returns (Y [steps, directions, batch, hidden], Y_h, Y_c) for x [steps, batch, input]; acts and extras are by direction."""
    steps, batch, hidden = x.shape[0], x.shape[1], r.shape[2]
    y = np.zeros((steps, len(directions), batch, hidden))
    last, cells = np.zeros((len(directions), batch, hidden)), np.zeros((len(directions), batch, hidden))
    for number, is_reverse in enumerate(directions):
        for entry in range(batch):
            h, c = h0[number, entry], c0[number, entry]
            order = range(lengths[entry])
            for place in reversed(order) if is_reverse else order:
                h, c = step(x[place, entry], h, c, w[number], r[number], b[number], acts[number], clip, extras[number])
                y[place, number, entry] = h
            last[number, entry], cells[number, entry] = h, c
    return y, last, cells
