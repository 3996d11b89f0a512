"""Activations, normalisations and selections that com.microsoft shares with the default domain, against ONNX Runtime."""
import numpy as np
import pytest
from onnx import TensorProto, helper

from support.seeds import get_seed
from support.single import compare_node


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("op, bias, attributes", [("Gelu", None, {}), ("BiasGelu", True, {}), ("FastGelu", True, {}), ("FastGelu", None, {}), ("QuickGelu", None, {}), ("QuickGelu", None, {"alpha": 1.1})])
def test_gelu(op, bias, attributes, random):
    compare_node(op, [_normal(random, 2, 3, 8)] + ([_normal(random, 8)] if bias else []), **attributes)


@pytest.mark.parametrize("skip", [(2, 5, 8), (1, 5, 8), (5, 8)])
@pytest.mark.parametrize("beta, bias", [(False, False), (True, False), (True, True)])
def test_skip_layer_normalisation(skip, beta, bias, random):
    inputs = [_normal(random, 2, 5, 8), _normal(random, *skip), _normal(random, 8), _normal(random, 8) if beta else None, _normal(random, 8) if bias else None]
    while inputs[-1] is None:
        inputs.pop()
    compare_node("SkipLayerNormalization", inputs, ["o0", "", "", "o3"], element=TensorProto.FLOAT, epsilon=1e-5)


@pytest.mark.parametrize("shape", [(2, 5, 8), (5, 8)])
@pytest.mark.parametrize("bias", [False, True])
def test_skip_root_mean_square(shape, bias, random):
    inputs = [_normal(random, *shape), _normal(random, *shape), _normal(random, 8)] + ([_normal(random, 8)] if bias else [])
    compare_node("SkipSimplifiedLayerNormalization", inputs, ["o0", "", "", "o3"], element=TensorProto.FLOAT, epsilon=1e-5)


@pytest.mark.parametrize("axis", [-1, 1])
def test_root_mean_square(axis, random):
    shape = (8,) if axis == -1 else (5, 8)
    compare_node("SimplifiedLayerNormalization", [_normal(random, 2, 5, 8), _normal(random, *shape)], domain="", opsets=[helper.make_opsetid("", 17)], axis=axis, epsilon=1e-5)


def test_selections(random):
    x = _normal(random, 3, 4, 5)
    compare_node("Trilu", [x, np.int64(1)], upper=0)
    compare_node("GatherND", [x, np.array([[0, 1], [2, 3]], np.int64)], symbolic=False)
    compare_node("Pad", [x, np.array([1, 0, 0, 0, 2, 1], np.int64), np.float32(0.5)], fixed=(1,))
    compare_node("Range", [np.float32(1), np.float32(5), np.float32(0.5)])
    compare_node("Unique", [random.integers(0, 5, 12).astype(np.float32)], 3)


def test_split_gelu(random):
    from math import erf

    x, bias = _normal(random, 2, 3, 1280 * 2), _normal(random, 1280 * 2)
    left, right = np.split(x + bias, 2, axis=-1)
    compare_node("BiasSplitGelu", [x, bias], wanted=[(left * right * 0.5 * (1 + np.vectorize(erf)(right / np.sqrt(2)))).astype(np.float32)])
    compare_node("BiasAdd", [x, bias, x], wanted=[x + bias + x])


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_quantise_and_back(axis, random):
    size, attributes = () if axis is None else (3 + axis,), {} if axis is None else {"axis": axis}
    scale, zero = (random.random(size) * 0.1 + 0.02).astype(np.float32), random.integers(90, 130, size).astype(np.uint8)
    compare_node("QuantizeLinear", [_normal(random, 3, 4), scale, zero], fixed=(1, 2), steps=1, **attributes)
    compare_node("DequantizeLinear", [random.integers(0, 256, (3, 4)).astype(np.uint8), scale, zero], fixed=(1, 2), **attributes)
