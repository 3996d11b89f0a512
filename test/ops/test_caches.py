"""Attention of com.microsoft over caches, in all its options, against ONNX Runtime."""
import numpy as np
import pytest
from onnx import TensorProto

from support.seeds import get_seed
from support.single import compare_node

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
    import onnxruntime

    from support.single import OPSETS, make_model

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
