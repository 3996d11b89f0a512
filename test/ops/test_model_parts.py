"""Parts of recent language models in com.microsoft against ONNX Runtime."""
import numpy as np
import pytest

from support.seeds import get_seed
from support.single import compare_node


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("scale", [None, (3, 8), (8,), (24,)])
@pytest.mark.parametrize("flat", [False, True])
def test_branchwise_norm(scale, flat, random):
    x = _normal(random, 2, 5, 24) if flat else _normal(random, 2, 5, 3, 8)
    compare_node("BranchwiseRMSNorm", [x, *([_normal(random, *scale)] if scale else [])], **({"num_branches": 3} if flat else {}))


@pytest.mark.parametrize("activation", ["silu", "swish", "sigmoid"])
def test_gated_norm(activation, random):
    compare_node("GatedRMSNorm", [_normal(random, 2, 5, 24), _normal(random, 8), _normal(random, 2, 5, 24)], activation=activation)


def test_gates(random):
    compare_node("GatedAdd", [_normal(random, 2, 5, 8), _normal(random, 2, 5, 8), _normal(random, 2, 5, 1)])
    compare_node("ScaledSiLU", [_normal(random, 2, 5, 8)], alpha=1.3)
    compare_node("ScaledSiLU", [_normal(random, 2, 5, 8), np.float32(0.7)], alpha=1.3)
    compare_node("LinearAttentionGate", [_normal(random, 2, 5, 4), _normal(random, 4), _normal(random, 4), _normal(random, 2, 5, 4)], 2)


@pytest.mark.parametrize("factors", [(2, 5, 3), (2, 5, 3, 1), (2, 5, 3, 8)])
@pytest.mark.parametrize("flat", [False, True])
def test_streams(factors, flat, random):
    x, attributes = _normal(random, 2, 5, 24) if flat else _normal(random, 2, 5, 3, 8), {"num_branches": 3} if flat else {}
    compare_node("HyperConnectionPreMix", [x, _normal(random, *factors)], reduction_scale=0.5, **attributes)
    compare_node("HyperConnectionPostMix", [x, _normal(random, 2, 5, 8), _normal(random, *factors)], **attributes)
    compare_node("HyperConnectionPostMix", [x, _normal(random, 2, 5, 8), _normal(random, *factors), _normal(random, 2, 5, 3, 3)], **attributes)


def test_engram_gate(random):
    compare_node("EngramGate", [_normal(random, 2, 5, 3, 8), _normal(random, 2, 5, 3, 8), _normal(random, 2, 5, 8), *[_normal(random, 3, 8) for _ in range(3)]], 2)


@pytest.mark.parametrize("attributes", [{"top_k": 2}, {"top_k": 3, "n_group": 4, "topk_group": 2}, {"top_k": 3, "n_group": 2, "topk_group": 1, "group_topk": 1, "router_sentinel": -5.0}])
def test_group_router(attributes, random):
    compare_node("MoEGroupRouter", [_normal(random, 6, 16), _normal(random, 16)], **attributes)


def test_all_scores_of_router(random):
    compare_node("MoEGroupRouter", [_normal(random, 6, 16), _normal(random, 16)], ["", "a", "b"], top_k=2)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_causal_convolution(dilation, last, past, activation, random):
    x, state = _normal(random, 2, *((7, 6) if last else (6, 7))), _normal(random, 2, *((3 * dilation, 6) if last else (6, 3 * dilation)))
    inputs = [x, _normal(random, 6, 1, 4), _normal(random, 6)] + ([state] if past else [])
    compare_node("CausalConvWithState", inputs, 2, fixed=(1, 2), dilation=dilation, channels_last=last, activation=activation)
