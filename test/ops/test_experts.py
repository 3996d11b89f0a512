"""Mixtures of experts of com.microsoft against ONNX Runtime."""
import numpy as np
import pytest

from support.seeds import get_seed
from support.single import compare_node

EXPERTS, HIDDEN, INNER = 4, 32, 64


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32) * 0.3


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "identity"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("normalize", [0, 1])
def test_plain(activation, k, normalize, random):
    scores = random.random((6, EXPERTS)).astype(np.float32)
    inputs = [_normal(random, 2, 3, HIDDEN), scores, _normal(random, EXPERTS, INNER, HIDDEN), _normal(random, EXPERTS, INNER), _normal(random, EXPERTS, HIDDEN, INNER), _normal(random, EXPERTS, HIDDEN)]
    compare_node("MoE", inputs, fixed=(2, 3, 4, 5), k=k, activation_type=activation, normalize_routing_weights=normalize)


@pytest.mark.parametrize("attributes", [{}, {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 0.7}])
def test_gated(attributes, random):
    scores = random.random((6, EXPERTS)).astype(np.float32)
    inputs = [_normal(random, 6, HIDDEN), scores, _normal(random, EXPERTS, 2 * INNER, HIDDEN), _normal(random, EXPERTS, 2 * INNER), _normal(random, EXPERTS, HIDDEN, INNER), _normal(random, EXPERTS, HIDDEN)]
    compare_node("MoE", inputs, fixed=(2, 3, 4, 5), k=2, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1, **attributes)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("block", [0, 16])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_quantised(bits, block, zero, shares, random):
    def layer(outputs, inputs):
        size = (EXPERTS, outputs, inputs // block) if block else (EXPERTS, outputs)
        packed = random.integers(0, 256, (EXPERTS, outputs, inputs * bits // 8)).astype(np.uint8)
        return [packed, random.random(size).astype(np.float32) * 0.01, _normal(random, EXPERTS, outputs)], (*size[:-1], (size[-1] * bits + 7) // 8)

    (first, first_zeros), (second, second_zeros) = layer(2 * INNER, HIDDEN), layer(HIDDEN, INNER)
    zeros = [random.integers(0, 256, size).astype(np.uint8) if zero else None for size in (first_zeros, second_zeros)]
    inputs = [_normal(random, 6, HIDDEN), _normal(random, 6, EXPERTS), *first, *second, None, None, None, *zeros, None, random.random((6, EXPERTS)).astype(np.float32) if shares else None]
    while inputs[-1] is None:
        inputs.pop()
    attributes = {"block_size": block} if block else {}
    # Over blocks of 8 bits ONNX Runtime rounds activations to 8 bits, too.
    tolerance = {"rtol": 0.02, "atol": 0.3} if bits == 8 and block else {"rtol": 1e-3, "atol": 1e-4}
    compare_node("QMoE", inputs, fixed=(2, 3, 4, 5, 6, 7, 11, 12), k=2, activation_type="swiglu", swiglu_fusion=1, expert_weight_bits=bits, weights_prepacked=0, normalize_routing_weights=1,
                 **tolerance, **attributes)
