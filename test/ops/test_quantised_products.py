"""Matrix products of com.microsoft over quantised operands against ONNX Runtime."""
import numpy as np
import pytest

from support.few_bits import make_product
from support.machine import do_bytes_saturate
from support.seeds import get_seed
from support.single import OPSETS, compare_node, make_model, run_reference


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def _numbers(random, dtype, *shape) -> np.ndarray:
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max + 1, shape).astype(dtype)


def _weights(random, dtype, *shape) -> np.ndarray:
    """Weights of a right operand; signed ones so small that no sum of two products leaves 16 bits, where ONNX Runtime's would saturate there."""
    numbers = _numbers(random, dtype, *shape)
    return numbers // dtype(2) if dtype == np.int8 and do_bytes_saturate() else numbers


PAIRS = [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)]


@pytest.mark.parametrize("left, right", PAIRS)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("shape", [(4, 20), (2, 3, 20)])
def test_to_float(left, right, columns, shape, random):
    size = (6,) if columns else ()
    scale = (random.random(size) * 0.1 + 0.01).astype(np.float32)
    inputs = [_numbers(random, left, *shape), _weights(random, right, 20, 6), np.float32(0.05), scale, left(3), _numbers(random, right, *size), _normal(random, 6)]
    compare_node("MatMulIntegerToFloat", inputs, fixed=(1, 3, 5, 6), rtol=1e-3, atol=1e-3)
    compare_node("MatMulIntegerToFloat", inputs[:4], fixed=(1, 3), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("columns", [False, True])
def test_dynamic(dtype, columns, random):
    size = (6,) if columns else ()
    scale = (random.random(size) * 0.1 + 0.01).astype(np.float32)
    inputs = [_normal(random, 2, 5, 16), _numbers(random, dtype, 16, 6), scale, _numbers(random, dtype, *size), _normal(random, 6)]
    compare_node("DynamicQuantizeMatMul", inputs, fixed=(1, 2, 3, 4), rtol=1e-3, atol=1e-3)
    compare_node("DynamicQuantizeMatMul", [*inputs[:3], None, inputs[4]], fixed=(1, 2, 4), rtol=1e-3, atol=1e-3)


def test_integers_of_16_bits(random):
    a, b = (random.integers(-300, 300, shape).astype(np.int16) for shape in ((2, 4, 9), (9, 5)))
    compare_node("MatMulInteger16", [a, b])


@pytest.mark.parametrize("left, right", PAIRS)
@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("quantised", [False, True])
def test_gemm(left, right, transposed, quantised, random):
    a, b = (20, 4) if transposed[0] else (4, 20), (6, 20) if transposed[1] else (20, 6)
    scale = (random.random(6) * 0.1 + 0.01).astype(np.float32)
    inputs = [_numbers(random, left, *a), np.float32(0.05), left(3), _weights(random, right, *b), scale, _numbers(random, right, 6)]
    inputs += [random.integers(-900, 900, (1, 6)).astype(np.int32)] + ([np.float32(2.5), left(4)] if quantised else [])
    compare_node("QGemm", inputs, steps=1, transA=transposed[0], transB=transposed[1], alpha=0.5, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("columns", [False, True])
def test_attention(dtype, causal, columns, random):
    size = (24,) if columns else ()
    scale = (random.random(size) * 0.01 + 0.001).astype(np.float32)
    inputs = [_numbers(random, np.uint8, 2, 4, 8), _numbers(random, dtype, 8, 24), _normal(random, 24), np.float32(0.02), scale]
    mask, past = np.array([3, 4], np.int32), _normal(random, 2, 2, 2, 3, 4)
    zeros = [np.uint8(120), np.zeros(size, dtype)]
    compare_node("QAttention", [*inputs, mask, *zeros], fixed=(1, 2, 3, 4, 6, 7), num_heads=2, unidirectional=causal)
    compare_node("QAttention", [*inputs, None, *zeros, past], 2, fixed=(1, 2, 3, 4, 6, 7), num_heads=2, unidirectional=causal)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("inner, block", [(32, 16), (48, 32), (40, 64)])
@pytest.mark.parametrize("transposed", [1, 0])
def test_codes_of_four_bits(kind, inner, block, transposed, random):
    columns = 6
    packed = random.integers(0, 256, (columns * inner + 1) // 2).astype(np.uint8)
    scales = random.random((columns * inner + block - 1) // block).astype(np.float32)
    inputs = [_normal(random, 2, 3, inner if transposed else columns), packed, scales]
    # ONNX Runtime's product with the weight as it stands is wrong: that with the identity tells the weight.
    weight = [np.eye(inner, dtype=np.float32), packed, scales]
    attributes = {"K": inner, "N": columns, "block_size": block, "quant_type": kind}
    if not transposed:
        reals = run_reference(make_model("MatMulBnb4", weight, 1, "com.microsoft", OPSETS, (1, 2), False, attributes), {"i0": weight[0]})[0].T
        return compare_node("MatMulBnb4", inputs, fixed=(1, 2), transB=0, wanted=[inputs[0] @ reals], **attributes)
    compare_node("MatMulBnb4", inputs, fixed=(1, 2), **attributes)


@pytest.mark.parametrize("kind, inner, columns, block", [(1, 64, 32, 32), (0, 192, 50, 64), (1, 96, 20, 64)])
def test_rows_times_codes_of_four_bits(kind, inner, columns, block, random):
    """Levels are looked up by permutations of wide registers, of narrower ones, and by choices; -O0 reads them one by one."""
    import onager

    packed, scales = random.integers(0, 256, inner * columns // 2).astype(np.uint8), random.random(inner * columns // block).astype(np.float32)
    attributes = {"K": inner, "N": columns, "block_size": block, "quant_type": kind}
    model = make_model("MatMulBnb4", [_normal(random, 2, inner), packed, scales], 1, "com.microsoft", OPSETS, (1, 2), True, attributes)
    for options in ({}, {"opt_level": 0}, {"target": "x86-64-v3"}, {"target": "x86-64-v2"}):
        session = onager.InferenceSession(model, **options)
        for rows in (0, 1, 2, 3, 5, 8, 9, 40):
            x = _normal(random, rows, inner)
            np.testing.assert_allclose(session.run(None, {"i0": x})[0], run_reference(model, {"i0": x})[0], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("inner, block", [(48, 16), (40, 32)])
@pytest.mark.parametrize("zero", ["none", "packed", "floats"])
@pytest.mark.parametrize("bias", [False, True])
def test_weights_of_few_bits(bits, inner, block, zero, bias, random):
    if zero == "floats" and bits == 8:
        pytest.skip("ONNX Runtime has no such kernel")
    columns, blocks = 7, (inner + block - 1) // block
    packed = random.integers(0, 256, (columns, blocks, block * bits // 8)).astype(np.uint8)
    zeros = {"none": None, "packed": random.integers(0, 256, (columns, (blocks * bits + 7) // 8)).astype(np.uint8), "floats": _normal(random, columns, blocks)}[zero]
    inputs = [_normal(random, 2, 3, inner), packed, _normal(random, columns, blocks), zeros, None, _normal(random, columns) if bias else None]
    compare_node("MatMulNBits", inputs, fixed=(1, 2, 3, 5), K=inner, N=columns, bits=bits, block_size=block, rtol=1e-3, atol=1e-3)


def test_weights_of_few_bits_of_rows_that_are_pages_apart(random):
    """Each tile of many rows is copied before panels of f32 are multiplied."""
    inner, columns, block = 1024, 40, 32
    inputs = [_normal(random, 45, inner), random.integers(0, 256, (columns, inner // block, block // 2)).astype(np.uint8), _normal(random, columns, inner // block) * 0.1]
    compare_node("MatMulNBits", inputs, fixed=(1, 2), K=inner, N=columns, bits=4, block_size=block, rtol=1e-3, atol=1e-2)


def test_weights_in_groups(random):
    inner, columns, block = 64, 5, 16
    groups = random.permutation(np.arange(inner) // block).astype(np.int32)
    inputs = [_normal(random, 2, 3, inner), random.integers(0, 256, (columns, 4, 8)).astype(np.uint8), _normal(random, columns, 4), None, groups]
    compare_node("MatMulNBits", inputs, fixed=(1, 2, 4), K=inner, N=columns, bits=4, block_size=block, rtol=1e-3, atol=1e-3)


def test_weights_left_out(random):
    inputs = [_normal(random, 2, 3, 64), np.zeros((0, 4, 8), np.uint8), _normal(random, 5, 4), None, None, _normal(random, 5)]
    compare_node("MatMulNBits", inputs, fixed=(1, 2, 5), K=64, N=5, bits=4, block_size=16)


@pytest.mark.parametrize("bits, block, inner, columns", [(4, 32, 64, 32), (4, 16, 100, 50), (8, 32, 64, 17), (2, 16, 96, 7), (4, 16, 33, 20), (2, 64, 256, 128), (4, 32, 32, 1)])
def test_rows_times_weights_of_few_bits(bits, block, inner, columns, random):
    """Few rows are multiplied in registers, more through panels of floats; at -O0 each product is taken alone."""
    import onager

    model, weight = make_product(random, bits, block, inner, columns)
    for session in (onager.InferenceSession(model), onager.InferenceSession(model, opt_level=0), onager.InferenceSession(model, target="portable")):
        for rows in (0, 1, 2, 3, 5, 8, 9, 17, 40):
            x = _normal(random, rows, inner)
            np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ weight, rtol=1e-5, atol=2e-5)
