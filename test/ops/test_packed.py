"""Packed texts and packed weights of com.microsoft against ONNX Runtime, transforms of real numbers against NumPy."""
import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto

from support.seeds import get_seed
from support.single import compare_node

LENGTHS = np.array([0, 3, 4, 9], np.int32)
TEXTS, TOKENS = len(LENGTHS) - 1, int(LENGTHS[-1])


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


@pytest.mark.parametrize("taps, dilation", [(1, 1), (3, 1), (2, 3)])
@pytest.mark.parametrize("options", [{}, {"activation": "silu", "bias": True}, {"capacity": 4}])
def test_convolution(taps, dilation, options, random):
    channels, capacity = 5, options.get("capacity", 0)
    normal = lambda *shape: random.standard_normal(shape).astype(np.float32)
    inputs = [normal(TOKENS, channels), normal(channels, 1, taps), LENGTHS, normal(channels) if "bias" in options else None, normal(TEXTS, channels, (taps - 1) * dilation)]
    attributes = {"dilation": dilation} | {key: options[key] for key in ("activation",) if key in options}
    if capacity:
        inputs.append(np.array([2, 5, -1], np.int32))
        attributes["state_update_capacity"] = capacity
    compare_node("VarlenCausalConvWithState", inputs, 3 if capacity else 2, **attributes)


def _grams(random, dtype, past: bool, end: bool, offsets: bool = True) -> list:
    tables = 2 * 3
    whole = lambda low, high, *shape: random.integers(low, high, shape).astype(dtype)
    return [whole(0, 6, TOKENS), whole(1, 99, 3), whole(50, 99, tables), LENGTHS, whole(0, 6, TEXTS, 2) if past else None,
            (np.arange(tables) * 100).astype(dtype) if offsets else None, np.array(4, dtype) if end else None]


GRAMS = {"max_ngram_size": 3, "n_head_per_ngram": 3, "pad_id": 2}


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_grams_of_packed_texts(dtype, past, end, random):
    compare_node("VarlenNGramHashMapping", _grams(random, dtype, past, end), 2, reset_on_eos=int(end), **GRAMS)


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_segments_of_packed_texts(past, end, random):
    segments = random.integers(0, 3, TOKENS).astype(np.int32)
    inputs = [*_grams(random, np.int32, True, end), segments, random.integers(0, 3, (TEXTS, 2)).astype(np.int32) if past else None]
    compare_node("VarlenNGramHashMapping", inputs if past else inputs[:-1], 3, reset_on_eos=1, **GRAMS)


def test_captured_states(random):
    inputs = [*_grams(random, np.int64, True, False), None, None, np.array([2, 5, -1], np.int32)]
    compare_node("VarlenNGramHashMapping", inputs, ["o0", "o1", "", "o3"], state_update_capacity=4, **GRAMS)


@pytest.mark.parametrize("end", [False, True])
def test_segments_of_a_batch(end, random):
    whole = lambda low, high, *shape: random.integers(low, high, shape)
    inputs = [whole(0, 6, 2, 7), whole(1, 99, 3), whole(50, 99, 6), whole(0, 6, 2, 2), None, np.array(4) if end else None, whole(0, 3, 2, 7).astype(np.int32)]
    compare_node("NGramHashMapping", inputs, 2, reset_on_eos=1, **GRAMS)


FORMATS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 6: (32, 22), 8: (32, 34), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2)}


@pytest.mark.parametrize("number", FORMATS)
@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_packed_rows(number, element, random):
    """Bytes at random, below those that make a scale infinite; rows outside the table are the first."""
    count, size = FORMATS[number]
    table = random.integers(0, 120 if number not in (0, 30) else 64, (4, 512 // count * size)).astype(np.uint8)
    if number in (1, 2, 6, 8, 13, 14, 20, 23):
        table = np.minimum(table, 0x4f)
    rows = np.array([[1, 3, -1], [0, 9, 2]])
    compare_node("GatherPacked", [table, rows], K=512, packed_type=number, output_dtype=element, rtol=2e-3, atol=1e-3)


def test_packed_rows_in_bfloat16(random):
    """The element type without an attribute, which ONNX Runtime's Python does not give."""
    numbers = random.standard_normal((4, 64)).astype(np.float32)
    rows = np.array([2, 0])
    compare_node("GatherPacked", [numbers.view(np.uint8), rows], K=64, packed_type=0, wanted=[numbers[rows].astype(ml_dtypes.bfloat16)])


def _pack_matrix(weight: np.ndarray, kind: int, random) -> tuple:
    """Returns a blob of random codes and the matrix that it stands for."""
    inner, columns = weight.shape
    size = 64 if kind == 2 else 32
    blocks = -(-inner // size)
    codes = random.integers(0, 16, (columns, blocks, size)).astype(np.uint8)
    scale = random.uniform(0.01, 0.1, (columns, blocks, 1)).astype(np.float32)
    zero = random.integers(0, 16, (columns, blocks, 1)).astype(np.uint8)
    halves = codes.reshape(columns, blocks, size // 32, 2, 16)
    data = (halves[:, :, :, 0] | halves[:, :, :, 1] << 4).reshape(columns, blocks, size // 2)
    parts = [scale.view(np.uint8), *([zero] if kind == 1 else []), data]
    matrix = (codes.astype(np.float32) - (zero if kind == 1 else 8)) * scale
    return np.concatenate(parts, 2).reshape(-1), matrix.reshape(columns, -1)[:, :inner].T


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("inner", [64, 40])
@pytest.mark.parametrize("rows", [(1,), (5,), (2, 3)])
def test_blocks_of_four_bits(kind, inner, rows, random):
    blob, matrix = _pack_matrix(np.zeros((inner, 24)), kind, random)
    x = random.standard_normal((*rows, inner)).astype(np.float32)
    compare_node("MatMulFpQ4", [x, blob, np.array([inner, 24])], fixed=(1, 2), blk_quant_type=kind, wanted=[x @ matrix])


@pytest.mark.parametrize("kind", [0, 1])
def test_blocks_as_onnx_runtime_reads_them(kind, random):
    """ONNX Runtime takes type 2 for type 1, against its description."""
    blob, _ = _pack_matrix(np.zeros((64, 24)), kind, random)
    x = random.standard_normal((5, 64)).astype(np.float32)
    try:
        compare_node("MatMulFpQ4", [x, blob, np.array([64, 24])], fixed=(1, 2), blk_quant_type=kind)
    except Exception as error:  # ONNX Runtime's Fail
        if "not yet supported on this hardware platform" not in str(error):
            raise
        pytest.skip("ONNX Runtime has no such kernel for this processor")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [8, 12])
def test_real_transforms(dtype, length, random):
    """ONNX Runtime has no kernel for them on the CPU."""
    x = random.standard_normal((2, 3, length)).astype(dtype)
    spectrum = np.fft.rfft(x)
    pairs = np.stack([spectrum.real, spectrum.imag], -1).astype(dtype)
    compare_node("Rfft", [x], wanted=[pairs], signal_ndim=1)
    compare_node("Irfft", [pairs], wanted=[x], signal_ndim=1)
