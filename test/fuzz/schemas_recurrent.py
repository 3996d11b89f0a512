"""Generators for RNN, GRU and LSTM, held against NumPy."""
import functools

import numpy as np

from fuzz import numpy_recurrent

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS = {"RNN": numpy_recurrent.step_rnn, "GRU": numpy_recurrent.step_gru, "LSTM": numpy_recurrent.step_lstm}
COUNTS, USUAL = {"RNN": 1, "GRU": 2, "LSTM": 3}, {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
WITH_ALPHA, WITH_BETA = ("Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"), ("Affine", "ScaledTanh", "HardSigmoid")


def _activations(draw, count: int) -> tuple:
    """Returns (attributes, functions by direction)."""
    names = USUAL[draw.name] * count
    if draw.often(0.4):
        names = [draw.one(*numpy_recurrent.ACTIVATIONS) for _ in names]
    alphas, betas = draw.floats(len(names), 0.2, 0.9), draw.floats(len(names), 0.2, 0.9)
    attributes = {"activations": names}
    if any(name in WITH_ALPHA for name in names):
        # One number for each activation that has it, in order.
        attributes["activation_alpha"] = [alpha for name, alpha in zip(names, alphas) if name in WITH_ALPHA]
    if any(name in WITH_BETA for name in names):
        attributes["activation_beta"] = [beta for name, beta in zip(names, betas) if name in WITH_BETA]
    functions = [functools.partial(numpy_recurrent.ACTIVATIONS[name], alpha=alpha, beta=beta) for name, alpha, beta in zip(names, alphas, betas)]
    each = len(USUAL[draw.name])
    return attributes, [functions[start:start + each] for start in range(0, len(functions), each)]


def _take(value, shape) -> np.ndarray:
    return np.zeros(shape) if value is None else value.astype(np.float64)


def _recurrent(draw):
    gates, steps, batch, size, hidden = GATES[draw.name], draw.whole(1, 4), draw.whole(1, 3), draw.whole(1, 4), draw.whole(1, 4)
    direction = draw.one("forward", "reverse", "bidirectional")
    count = 2 if direction == "bidirectional" else 1
    layout = draw.one(0, 0, 1) if draw.has("layout") else 0
    values = lambda place, *shape: draw.values(place, shape, -1, 1)
    maybe = lambda place, *shape: values(place, *shape) if draw.often() else None
    x, w, r = values(0, steps, batch, size), values(1, count, gates * hidden, size), values(2, count, gates * hidden, hidden)
    b, h0 = maybe(3, count, 2 * gates * hidden), maybe(5, count, batch, hidden)
    lengths = draw.random.integers(1, steps + 1, batch).astype(np.int32) if draw.often() else None
    attributes, acts = _activations(draw, count)
    attributes |= {"hidden_size": hidden, "direction": direction}
    clip = draw.one(None, None, 0.5)
    if clip:
        attributes["clip"] = clip
    inputs, extra, c0, p = [x, w, r, b, lengths, h0], {}, None, None
    if draw.name == "LSTM":
        c0, p = maybe(6, count, batch, hidden), maybe(7, count, 3 * hidden)
        inputs += [c0, p]
        extra["coupled"] = attributes["input_forget"] = draw.one(0, 0, 1)
    if draw.name == "GRU" and draw.has("linear_before_reset"):
        attributes["linear_before_reset"] = draw.one(0, 1)
    extra["linear"] = attributes.get("linear_before_reset", 0)
    extras = [extra | {"peepholes": _take(p, (count, 3 * hidden))[number]} for number in range(count)]
    limit = (lambda value: np.clip(value, -clip, clip)) if clip else lambda value: value
    found = numpy_recurrent.run(STEPS[draw.name], x.astype(np.float64), w.astype(np.float64), r.astype(np.float64), _take(b, (count, 2 * gates * hidden)),
                                [steps] * batch if lengths is None else lengths, _take(h0, (count, batch, hidden)), _take(c0, (count, batch, hidden)),
                                [False, True] if count == 2 else [direction == "reverse"], acts, limit, extras)
    return _finish(draw, inputs, attributes, layout, found)


def _finish(draw, inputs: list, attributes: dict, layout: int, found: tuple):
    if layout:
        attributes["layout"] = 1
        swap = lambda value: None if value is None else np.swapaxes(value, 0, 1)
        inputs = [swap(value) if place in (0, 5, 6) else value for place, value in enumerate(inputs)]
        found = (np.transpose(found[0], (2, 0, 1, 3)), *[swap(value) for value in found[1:]])
    while inputs[-1] is None:
        inputs.pop()
    node = draw.node(inputs, 3 if draw.name == "LSTM" else 2, **attributes)
    if draw.has("output_sequence"):
        node.attributes["output_sequence"] = 1
    node.wanted, node.loose = [value.astype(inputs[0].dtype) for value in found[:node.outputs]], (0.02, 0.01)
    return node


GENERATORS = {"GRU": _recurrent, "LSTM": _recurrent, "RNN": _recurrent}
