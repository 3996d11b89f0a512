"""Recurrences: those of com.microsoft against ONNX Runtime, cells of whole batches against -O0."""
import numpy as np
import pytest
from onnx import numpy_helper, parser

from support.seeds import get_seed
from support.single import compare_node

DIRECTIONS = ["forward", "reverse", "bidirectional"]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("full", [False, True])
def test_quantised_lstm(direction, dtype, full, random):
    directions, size, inner, batch = 2 if direction == "bidirectional" else 1, 8, 6, 2
    limits = np.iinfo(dtype)
    weights = [random.integers(limits.min, limits.max + 1, (directions, rows, 4 * size)).astype(dtype) for rows in (inner, size)]
    # ONNX Runtime takes parameters per gate for signed weights alone, whose zero points are 0 then.
    per_gate = full and dtype == np.int8
    scales = [(random.random((directions, 4 * size) if per_gate else directions) * 0.004 + 0.002).astype(np.float32) for _ in range(2)]
    zeros = [np.full(scale.shape, 0 if per_gate else 3 if dtype == np.int8 else 127, dtype) for scale in scales]
    states = [np.array([5, 3], np.int32), _normal(random, directions, batch, size), _normal(random, directions, batch, size), _normal(random, directions, 3 * size)]
    inputs = [_normal(random, 5, batch, inner), *weights, _normal(random, directions, 8 * size), *(states if full else [None] * 4), scales[0], zeros[0], scales[1], zeros[1]]
    # A state whose last bit differs may round to the next of its 256 steps, of 2 / 255 at most; a weight of at most 0.77 carries that to a gate.
    compare_node("DynamicQuantizeLSTM", inputs, 3, fixed=(1, 2, 3, 8, 9, 10, 11), hidden_size=size, direction=direction, rtol=1e-3, atol=7e-3)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layer", [False, True])
@pytest.mark.parametrize("lengths", [False, True])
def test_lstm_with_attention(direction, layer, lengths, random):
    directions, size, inner, batch, steps, depth, attention, width = 2 if direction == "bidirectional" else 1, 4, 3, 2, 5, 6, 5, 7
    fed = width if layer else depth
    inputs = [_normal(random, 4, batch, inner), _normal(random, directions, 4 * size, inner + fed), _normal(random, directions, 4 * size, size), _normal(random, directions, 8 * size)]
    inputs += [np.array([4, 2], np.int32) if lengths else None, None, None, None]
    inputs += [_normal(random, directions, size, attention), _normal(random, directions, depth, attention), _normal(random, directions, attention)]
    inputs += [_normal(random, batch, steps, depth), np.array([5, 3], np.int32), *([_normal(random, directions, depth + size, width)] if layer else [])]
    compare_node("AttnLSTM", inputs, 3, fixed=(1, 2, 3, 8, 9, 10, 13), hidden_size=size, direction=direction)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("heads", [(2, 2), (4, 2), (2, 4)])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("per_key", [False, True])
def test_linear_attention(rule, heads, past, per_key, random):
    batch, steps, keys, values = 2, 5, 8, 6
    inputs = [_normal(random, batch, steps, heads[0] * keys), _normal(random, batch, steps, heads[1] * keys) * 0.3, _normal(random, batch, steps, heads[1] * values)]
    inputs += [_normal(random, batch, heads[1], keys, values) if past else None]
    inputs += [-random.random((batch, steps, heads[1] * (keys if per_key else 1))).astype(np.float32) if "gated" in rule else None]
    inputs += [random.random((batch, steps, heads[1])).astype(np.float32) if "delta" in rule else None]
    while inputs[-1] is None:
        inputs.pop()
    compare_node("LinearAttention", inputs, 2, q_num_heads=heads[0], kv_num_heads=heads[1], update_rule=rule)


RAW_GATES = [("gated_delta", {"gate_activation": "softplus", "beta_activation": "sigmoid", "qk_l2_norm": 1}), ("gated", {"gate_activation": "sigmoid", "scale": 0.7})]


@pytest.mark.parametrize("rule, attributes", [("linear", {}), ("gated", {}), ("delta", {}), ("gated_delta", {}), *RAW_GATES])
@pytest.mark.parametrize("heads", [(2, 2), (2, 4)])
@pytest.mark.parametrize("form", ["tokens", "batches", "packed"])
def test_delta_net(rule, attributes, heads, form, random):
    batch, steps, width, values = 2, 5, 8, 6
    parts = [_normal(random, batch * steps, heads[0], width), _normal(random, batch * steps, heads[0], width) * 0.3, _normal(random, batch * steps, heads[1], values)]
    decay, beta = -random.random((batch * steps, heads[1])).astype(np.float32), random.random((batch * steps, heads[1])).astype(np.float32)
    if form == "batches":
        parts, decay, beta = [part.reshape(batch, steps, *part.shape[1:]) for part in parts], decay.reshape(batch, steps, -1), beta.reshape(batch, steps, -1)
    if form == "packed":
        parts = [np.concatenate([part.reshape(batch * steps, -1) for part in parts], axis=1), None, None]
    inputs = [*parts, None, decay if "gated" in rule else None, beta if "delta" in rule else None, _normal(random, batch, heads[1], values, width)]
    if "gate_activation" in attributes:
        inputs += [_normal(random, heads[1]) * 0.3, _normal(random, heads[1])]
    compare_node("GatedDeltaNet", inputs, 2, symbolic=False, update_rule=rule, rtol=1e-3, atol=1e-4, **attributes)


def _cell(kind: str, size: int, inner: int, attributes: str) -> bytes:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    random = np.random.default_rng(gates)
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 22]> g (float[S,B,{inner}] x) => (float y, float h) {{ y, h = {kind}<hidden_size = {size}, direction = "bidirectional"{attributes}>(x, w, r, b) }}')
    weights = {"w": _normal(random, 2, gates * size, inner), "r": _normal(random, 2, gates * size, size) * np.float32(0.3), "b": _normal(random, 2, 2 * gates * size)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return model.SerializeToString()


@pytest.mark.parametrize("kind, attributes", [("LSTM", ""), ("GRU", ""), ("GRU", ", linear_before_reset = 1"), ("RNN", "")])
@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
def test_elements_of_a_batch_do_not_depend_on_each_other(kind, attributes, target, tmp_path):
    """A share takes four elements at once, two or one: each has the bits that it has alone."""
    import onager

    model = _cell(kind, 37, 5, attributes)
    path = onager.compile(model, tmp_path / "cell.so", target=target)
    exact = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0), threads=1, recompile="off")
    alone = onager.InferenceSession(path, threads=1, recompile="off")
    x = _normal(np.random.default_rng(1), 6, 15, 5)
    wanted = exact.run(None, {"x": x})
    for threads in (1, 2, 3):
        session = onager.InferenceSession(path, threads=threads, recompile="off")
        for batch in (1, 2, 3, 7, 15):
            y, h = session.run(None, {"x": x[:, :batch]})
            np.testing.assert_allclose(y, wanted[0][:, :, :batch], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(h, wanted[1][:, :batch], rtol=1e-4, atol=1e-5)
            for element in range(batch):
                assert y[:, :, element].tobytes() == alone.run(None, {"x": x[:, element : element + 1]})[0][:, :, 0].tobytes(), (threads, batch, element)
