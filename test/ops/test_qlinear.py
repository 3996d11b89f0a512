"""Operators of com.microsoft on 8-bit numbers against ONNX Runtime: results may be one step apart where a sum lies between two."""
import numpy as np
import pytest

from support.seeds import get_seed
from support.single import compare_node

TYPES = [np.uint8, np.int8]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _numbers(random, dtype, *shape) -> np.ndarray:
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max + 1, shape).astype(dtype)


def _quantised(random, dtype, *shape, scale: float = 0.05, zero: int = 7) -> list:
    return [_numbers(random, dtype, *shape), np.float32(scale), dtype(zero)]


def _scale(scale: float, zero: int, dtype) -> list:
    return [np.float32(scale), dtype(zero)]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("a, b", [((2, 3, 4), (2, 3, 4)), ((2, 1, 4), (3, 1)), ((5,), ())])
@pytest.mark.parametrize("op, scale", [("QLinearAdd", 0.11), ("QLinearMul", 0.3)])
def test_binary(op, scale, a, b, dtype, random):
    compare_node(op, [*_quantised(random, dtype, *a), *_quantised(random, dtype, *b, scale=0.03, zero=2), *_scale(scale, 5, dtype)], steps=1)


@pytest.mark.parametrize("dtype", TYPES)
def test_unary(dtype, random):
    compare_node("QLinearSigmoid", [*_quantised(random, dtype, 3, 40), *_scale(1 / 256, 0, dtype)], fixed=(1, 2, 3, 4), steps=1)
    compare_node("QLinearLeakyRelu", [*_quantised(random, dtype, 3, 40), *_scale(0.07, 20, dtype)], fixed=(1, 2, 3, 4), steps=1, alpha=0.2)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("attributes", [{}, {"pads": [1, 0, 1, 1]}, {"pads": [1, 1, 1, 1], "count_include_pad": 1}, {"strides": [2, 2], "ceil_mode": 1}, {"auto_pad": "SAME_UPPER"}])
@pytest.mark.parametrize("channels_last", [0, 1])
def test_average_pool(dtype, attributes, channels_last, random):
    x = _quantised(random, dtype, 2, 7, 8, 3) if channels_last else _quantised(random, dtype, 2, 3, 7, 8)
    compare_node("QLinearAveragePool", [*x, *_scale(0.04, 3, dtype)], steps=1, kernel_shape=[2, 3], channels_last=channels_last, **attributes)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_global_average_pool(dtype, channels_last, random):
    compare_node("QLinearGlobalAveragePool", [*_quantised(random, dtype, 2, 5, 6, 4), *_scale(0.01, 3, dtype)], steps=1, channels_last=channels_last)


@pytest.mark.parametrize("dtype", TYPES)
def test_concat(dtype, random):
    parts = [*_quantised(random, dtype, 2, 3), *_quantised(random, dtype, 2, 1, scale=0.02, zero=1), *_quantised(random, dtype, 2, 4, scale=0.08, zero=9)]
    compare_node("QLinearConcat", [*_scale(0.06, 4, dtype), *parts], fixed=(0, 1, 3, 4, 6, 7, 9, 10), steps=1, axis=1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("opset, axis", [(13, -1), (13, 1), (12, 1), (11, 2)])
def test_softmax(dtype, opset, axis, random):
    inputs = [*_quantised(random, dtype, 2, 3, 8), *_scale(1 / 256, 0 if dtype == np.uint8 else -128, dtype)]
    compare_node("QLinearSoftmax", inputs, fixed=(1, 2, 3, 4), steps=1, opset=opset, axis=axis)


@pytest.mark.parametrize("dtype", TYPES)
def test_where(dtype, random):
    condition = random.random((2, 1, 5)) < 0.5
    inputs = [condition, *_quantised(random, dtype, 2, 3, 5), *_quantised(random, dtype, 3, 1, scale=0.02, zero=1), *_scale(0.06, 4, dtype)]
    compare_node("QLinearWhere", inputs, fixed=(2, 3, 5, 6, 7, 8), steps=1)


def test_reduce_mean(random):
    x, scale, zero = _quantised(random, np.uint8, 2, 3, 5)
    mean = ((x.astype(np.float64) - zero) * scale).mean(axis=1, keepdims=True)
    wanted = np.clip(np.round(mean / 0.02) + 3, 0, 255).astype(np.uint8)
    compare_node("QLinearReduceMean", [x, scale, zero, *_scale(0.02, 3, np.uint8)], wanted=[wanted], steps=1, axes=[1], keepdims=1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_convolution(dtype, channels_last, random):
    x = _quantised(random, dtype, 1, 8, 8, 4) if channels_last else _quantised(random, dtype, 1, 4, 8, 8)
    bias = random.integers(-500, 500, 6).astype(np.int32)
    inputs = [*x, *_quantised(random, dtype, 6, 4, 3, 3, zero=0), *_scale(1.7, 3, dtype), bias]
    compare_node("QLinearConv", inputs, fixed=(1, 2, 3, 4, 5, 6, 7, 8), steps=1, channels_last=channels_last, pads=[1, 1, 1, 1], strides=[2, 1])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("attributes", [{}, {"pads": [1, 0, 1, 1], "strides": [2, 1]}, {"dilations": [2, 1]}, {"auto_pad": "SAME_LOWER"}, {"ceil_mode": 1, "strides": [3, 2]}])
def test_max_pool_with_channels_last(dtype, attributes, random):
    compare_node("NhwcMaxPool", [_numbers(random, dtype, 2, 7, 8, 3)], kernel_shape=[2, 3], **attributes)
