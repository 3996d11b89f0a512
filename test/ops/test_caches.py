"""Attention of com.microsoft over caches, in all its options, against ONNX Runtime."""
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

import onager
from support.seeds import get_seed
from support.single import OPSETS, compare_node, make_model

BATCH, HEADS, GROUPS, SIZE = 2, 4, 2, 16


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def _grouped(random, length: int, past: int, packed: bool = False, rotary: bool = False) -> list:
    """The first eleven inputs of GroupQueryAttention: a prompt, or tokens behind a past."""
    query, keys = _normal(random, BATCH, length, HEADS * SIZE), [_normal(random, BATCH, length, GROUPS * SIZE) for _ in range(2)]
    inputs = [np.concatenate([query, *keys], axis=2), None, None] if packed else [query, *keys]
    caches = [_normal(random, BATCH, GROUPS, past, SIZE) for _ in range(2)]
    total = length + past
    lengths = np.array([total - 1, total - 1 if past and length > 1 else max(total - 2, 0)], np.int32)
    angles = np.arange(32)[:, None] / 100.0 ** (np.arange(SIZE // 2) / (SIZE // 2))
    tables = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)] if rotary else [None, None]
    return [*inputs, *caches, lengths, np.array(total, np.int32), *tables, None, None]


def _compare_grouped(inputs: list, outputs=3, **attributes) -> None:
    while inputs[-1] is None:
        inputs.pop()
    compare_node("GroupQueryAttention", inputs, outputs, num_heads=HEADS, kv_num_heads=GROUPS, **attributes)


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("attributes", [{}, {"do_rotary": 1}, {"do_rotary": 1, "rotary_interleaved": 1}, {"local_window_size": 3}, {"softcap": 2.0}, {"smooth_softmax": 1}, {"scale": 0.3}])
def test_grouped(length, past, packed, attributes, random):
    inputs = _grouped(random, length, past, packed, "do_rotary" in attributes)
    if "local_window_size" in attributes and length > 1:
        inputs[5][:] = length - 1  # what rows of padding see of a window is nobody's business
    _compare_grouped(inputs, **attributes)


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
@pytest.mark.parametrize("heads", [1, HEADS])
def test_bias(length, past, heads, random):
    inputs = _grouped(random, length, past)
    inputs[10] = _normal(random, 1, heads, length, length + past)
    _compare_grouped(inputs)


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
def test_sinks(length, past, random):
    _compare_grouped([*_grouped(random, length, past), _normal(random, HEADS)])


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
@pytest.mark.parametrize("shown", [1, 2])
def test_scores(length, past, shown, random):
    _compare_grouped(_grouped(random, length, past), 4, qk_output=shown)


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
def test_without_causality(length, past, random):
    _compare_grouped(_grouped(random, length, past), causal=0)


def test_positions(random):
    inputs = _grouped(random, 1, 6, rotary=True)
    inputs[9] = np.array([[6], [3]], np.int64)
    _compare_grouped(inputs, do_rotary=1)


def _with_block_masks(random, length: int, total: int, capacity: int = 64, size: int = 16) -> list:
    blocks = capacity // size
    masks = [np.tril(np.ones((blocks, blocks), np.int32)), np.tril(random.integers(0, 2, (blocks, blocks)).astype(np.int32))]
    masks[1][np.arange(blocks), np.arange(blocks)] = 1
    rows = np.array([[0, *np.cumsum(mask.sum(axis=1))] for mask in masks], np.int32)
    columns = [np.nonzero(mask)[1] for mask in masks]
    most = max(len(column) for column in columns)
    columns = np.array([[*column, *[-1] * (most - len(column))] for column in columns], np.int32)
    query, keys = _normal(random, BATCH, length, HEADS * SIZE), [_normal(random, BATCH, length, GROUPS * SIZE) for _ in range(2)]
    caches = [_normal(random, BATCH, GROUPS, capacity, SIZE) for _ in range(2)]
    return [query, *keys, *caches, rows, columns, np.array(total, np.int32), np.array([total, total], np.int32)]


@pytest.mark.parametrize("length, total", [(40, 40), (1, 50)])
def test_blocks(length, total, random):
    """The cache must lie in one buffer with what comes out: what is beyond the length is not compared."""
    attributes = {"num_heads": HEADS, "kv_num_heads": GROUPS, "sparse_block_size": 16}
    inputs = _with_block_masks(random, length, total)
    model = make_model("SparseAttention", inputs, 3, "com.microsoft", OPSETS, (5, 6), False, attributes)
    session = onnxruntime.InferenceSession(model)
    binding, feeds = session.io_binding(), {f"i{k}": value for k, value in enumerate(inputs) if k not in (5, 6)}
    shared = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value.copy()) for name, value in feeds.items()}
    for name, value in shared.items():
        binding.bind_ortvalue_input(name, value)
    binding.bind_output("o0")
    binding.bind_ortvalue_output("o1", shared["i3"])
    binding.bind_ortvalue_output("o2", shared["i4"])
    session.run_with_iobinding(binding)
    wanted = [value.numpy() for value in binding.get_outputs()]
    compare_node("SparseAttention", inputs, 3, fixed=(5, 6), wanted=wanted, **attributes)


def test_blocks_over_an_unwritten_cache(random):
    """What lies behind the last position is in the cache that comes out, and in no result."""
    inputs = _with_block_masks(random, 1, 50)
    for cache in inputs[3:5]:
        cache[:, :, 50:] = np.nan
    written = [value.copy() for value in inputs]
    for cache in written[3:5]:
        cache[:, :, 50:] = 0
    attributes = {"num_heads": HEADS, "kv_num_heads": GROUPS, "sparse_block_size": 16}
    results = [onager.InferenceSession(make_model("SparseAttention", values, 3, "com.microsoft", OPSETS, (5, 6), False, attributes)).run(
        None, {f"i{place}": value for place, value in enumerate(values) if place not in (5, 6)}) for values in (inputs, written)]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert np.isnan(results[0][1][:, :, 50:]).all()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("beams", [1, 2])
def test_decoder(bias, masked, beams, random):
    hidden, capacity, past = HEADS * SIZE, 9, 5
    inputs = [_normal(random, BATCH, 1, hidden) for _ in range(3)]
    inputs += [np.array([[1] * 6, [0, 1, 1, 1, 1, 1]], np.int32) if masked else None, None]
    inputs += [_normal(random, BATCH, HEADS, capacity, SIZE) for _ in range(2)] + [np.array([past], np.int32)]
    inputs += [np.array([beams], np.int32), random.integers(0, 2, (1, 2, capacity)).astype(np.int32)] if beams > 1 else [None, None]
    inputs += [_normal(random, 3 * hidden)] if bias else []
    while inputs[-1] is None:
        inputs.pop()
    compare_node("DecoderMaskedMultiHeadAttention", inputs, 3, num_heads=HEADS, past_present_share_buffer=1)


def test_decoder_over_another_sequence(random):
    inputs = [_normal(random, BATCH, 1, HEADS * SIZE), *[_normal(random, BATCH, HEADS, 7, SIZE) for _ in range(2)], np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32)]
    compare_node("DecoderMaskedMultiHeadAttention", inputs, num_heads=HEADS)


@pytest.mark.parametrize("causal", [0, 1])
def test_scores_of_heads(causal, random):
    inputs = [_normal(random, BATCH, 5, HEADS * SIZE) for _ in range(3)] + [None, np.array([[1] * 5, [1] * 3 + [0] * 2], np.int32)]
    compare_node("MultiHeadAttention", inputs, ["o0", "", "", "o3"], element=TensorProto.FLOAT, num_heads=HEADS, unidirectional=causal)


@pytest.mark.parametrize("mask", [np.array([3, 4], np.int32), np.array([4, 4, 1, 0], np.int32), None])
def test_masks_with_causality(mask, random):
    mask = random.integers(0, 2, (2, 4, 4)).astype(np.int32) if mask is None else mask
    inputs = [_normal(random, 2, 4, 8), _normal(random, 8, 24), _normal(random, 24), mask]
    compare_node("Attention", inputs, fixed=(1, 2), num_heads=2, unidirectional=1)


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
@pytest.mark.parametrize("kind", ["PER_TENSOR", "PER_CHANNEL"])
def test_quantised_caches(length, past, kind, random):
    inputs = _grouped(random, length, past)
    inputs[3:5] = [random.integers(-127, 128, cache.shape).astype(np.int8) for cache in inputs[3:5]]
    scales = [np.array([0.02], np.float32) if kind == "PER_TENSOR" else (random.random((1, GROUPS, 1, SIZE)) * 0.02 + 0.01).astype(np.float32) for _ in range(2)]
    _compare_grouped([*inputs, None, *scales], symbolic=False, steps=1, k_quant_type=kind, v_quant_type=kind, kv_cache_bit_width=8, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("length, past", [(5, 0), (1, 6)])
@pytest.mark.parametrize("kind", ["PER_TENSOR", "PER_CHANNEL"])
def test_caches_of_four_bits(length, past, kind, random):
    inputs = _grouped(random, length, past)
    inputs[3:5] = [random.integers(0, 256, (*cache.shape[:3], SIZE // 2)).astype(np.uint8) for cache in inputs[3:5]]
    scales = [np.array([0.3], np.float32) if kind == "PER_TENSOR" else (random.random((1, GROUPS, 1, SIZE)) * 0.2 + 0.2).astype(np.float32) for _ in range(2)]
    _compare_grouped([*inputs, None, *scales], symbolic=False, k_quant_type=kind, v_quant_type=kind, kv_cache_bit_width=4, rtol=1e-3, atol=1e-3)


def _count_kept(total: int, capacity: int, window: int) -> int:
    step = capacity - window + 1
    return total if total <= capacity else total - step * -(-(total - capacity) // step)


@pytest.mark.parametrize("capacity, window", [(4, 4), (7, 4), (16, 3)])
@pytest.mark.parametrize("option", ["plain", "rotary", "bias", "quantised"])
def test_windowed_cache(capacity, window, option, random, tmp_path):
    """A prompt of more tokens than the cache has rows, then runs of one and of several tokens; one artifact for all."""
    attributes = {"num_heads": HEADS, "kv_num_heads": GROUPS, "local_window_size": window, "sliding_window_cache": 1}
    kind = np.float32
    if option == "rotary":
        attributes["do_rotary"] = 1
    if option == "quantised":
        attributes |= {"k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR", "kv_cache_bit_width": 8}
        kind = np.int8
    total, caches, sessions = 0, [np.zeros((1, GROUPS, capacity, SIZE), kind) for _ in range(2)], None
    for length in (5, 1, 1, 3, 1, 6, 1):
        total += length
        inputs = _grouped(random, length, 0, rotary=option == "rotary")
        inputs = [value[:1] if value is not None and value.ndim == 3 else value for value in inputs]
        inputs[3:7] = [*caches, np.array([total - 1], np.int32), np.array(total, np.int32)]
        inputs[10] = _normal(random, 1, HEADS, length, total) if option == "bias" else None
        inputs += [None, _scale(), _scale()] if option == "quantised" else []
        while inputs[-1] is None:
            inputs.pop()
        if sessions is None:
            proto = onnx.load_from_string(make_model("GroupQueryAttention", inputs, 3, "com.microsoft", OPSETS, (), True, attributes))
            for info in proto.graph.input:
                if info.name == "i10":
                    info.type.tensor_type.shape.dim[3].dim_param = "total"
            model = proto.SerializeToString()
            sessions = onnxruntime.InferenceSession(model), onager.InferenceSession(onager.compile(model, tmp_path / "windowed.so"))
        feeds = {f"i{place}": value for place, value in enumerate(inputs) if value is not None}
        wanted, found = (session.run(None, feeds) for session in sessions)
        kept = _count_kept(total, capacity, window)
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-3, atol=1e-4)
        for mine, theirs in zip(found[1:], wanted[1:]):
            np.testing.assert_allclose(mine[:, :, :kept].astype(np.float32), theirs[:, :, :kept].astype(np.float32), rtol=1e-5, atol=1e-6)
        caches = wanted[1:]


def _scale() -> np.ndarray:
    return np.array([0.02], np.float32)


def test_windowed_cache_of_a_batch(random, tmp_path):
    """Sequences of different lengths, of which each has rows of its own."""
    inputs, capacity, window = _grouped(random, 1, 7), 7, 4
    inputs[5:7] = [np.array([12, 4], np.int32), np.array(13, np.int32)]
    wanted = _expect_windowed(inputs, window, capacity)
    while inputs[-1] is None:
        inputs.pop()
    compare_node("GroupQueryAttention", inputs, 1, wanted=[wanted], num_heads=HEADS, kv_num_heads=GROUPS, local_window_size=window, sliding_window_cache=1)


def _expect_windowed(inputs: list, window: int, capacity: int) -> np.ndarray:
    query, key, value, pastKey, pastValue, lengths = inputs[:6]
    results = []
    for text in range(BATCH):
        past = int(lengths[text])
        rows = slice(max(0, _count_kept(past, capacity, window) - window + 1), _count_kept(past, capacity, window))
        split = lambda x, heads: x[text].reshape(1, heads, SIZE).transpose(1, 0, 2)
        keys, values = (np.concatenate([cache[text, :, rows], split(new, GROUPS)], axis=1).repeat(HEADS // GROUPS, axis=0) for cache, new in ((pastKey, key), (pastValue, value)))
        scores = split(query, HEADS) @ keys.transpose(0, 2, 1) / np.sqrt(SIZE)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        results.append((weights / weights.sum(axis=-1, keepdims=True) @ values).transpose(1, 0, 2).reshape(1, -1))
    return np.stack(results).astype(np.float32)
