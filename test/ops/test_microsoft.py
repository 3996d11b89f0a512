"""Operators of com.microsoft against ONNX Runtime."""
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(5)


def _compare(op: str, inputs: list, outputs: int = 1, symbolic: bool = True, fixed: dict | None = None, atol: float = 1e-5, **attributes):
    """Runs one node on inputs (None: absent); float inputs get symbolic dims; `fixed` are initialisers by position."""
    import onager
    import onnxruntime

    fixed = fixed or {}
    names = ["" if value is None and k not in fixed else f"i{k}" for k, value in enumerate(inputs)]
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], domain="com.microsoft", **attributes)
    infos, feeds = [], {}
    for k, value in enumerate(inputs):
        if value is None:
            continue
        free = symbolic and value.dtype.kind == "f"
        dims = [f"d{k}_{d}" if free and d < 3 and value.ndim > 2 and d != value.ndim - 1 else extent for d, extent in enumerate(value.shape)]
        infos.append(helper.make_tensor_value_info(f"i{k}", helper.np_dtype_to_tensor_dtype(value.dtype), dims))
        feeds[f"i{k}"] = value
    results = [helper.make_tensor_value_info(f"o{k}", TensorProto.FLOAT, None) for k in range(outputs)]
    weights = [numpy_helper.from_array(value, f"i{k}") for k, value in fixed.items()]
    graph = helper.make_graph([node], "one", infos, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)], ir_version=8).SerializeToString()
    wanted = onnxruntime.InferenceSession(model).run(None, feeds)
    found = onager.InferenceSession(model).run(None, feeds)
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def _normal(*shape) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_attention(causal, masked):
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.int32) if masked else None
    _compare("Attention", [_normal(2, 4, 8), _normal(8, 24), _normal(24), mask], num_heads=2, unidirectional=causal)


def test_multi_head_attention():
    _compare("MultiHeadAttention", [_normal(2, 3, 8), _normal(2, 5, 8), _normal(2, 5, 8), _normal(24)], num_heads=2)
    _compare("MultiHeadAttention", [_normal(2, 3, 8), _normal(2, 3, 8), _normal(2, 3, 8), None, None, None, _normal(2, 2, 4, 4), _normal(2, 2, 4, 4)], 3, num_heads=2)


@pytest.mark.parametrize("prompt, rotary, packed", [(True, 0, False), (False, 0, False), (False, 1, False), (True, 1, True)])
def test_group_query_attention(prompt, rotary, packed):
    batch, heads, groups, size, past = 2, 4, 2, 16, 6
    length = 5 if prompt else 1
    lengths = np.array([4, 4] if prompt else [3, 5], np.int32)
    total = np.array(5 if prompt else 6, np.int32)
    queries, keys = _normal(batch, length, heads * size), [_normal(batch, length, groups * size) for _ in range(2)]
    inputs = [np.concatenate([queries, *keys], axis=2), None, None] if packed else [queries, *keys]
    caches = [_normal(batch, groups, 0 if prompt else past, size) for _ in range(2)]
    angles = np.arange(16)[:, None] / 100.0 ** (np.arange(size // 2) / (size // 2))
    tables = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)] if rotary else []
    _compare("GroupQueryAttention", [*inputs, *caches, lengths, total, *tables], 3, symbolic=False, num_heads=heads, kv_num_heads=groups, do_rotary=rotary)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding(interleaved):
    positions = np.array([[0, 1, 2], [4, 5, 6]], np.int64)
    _compare("RotaryEmbedding", [_normal(2, 3, 16), positions, _normal(8, 4), _normal(8, 4)], interleaved=interleaved)
    _compare("RotaryEmbedding", [_normal(2, 2, 3, 8), np.array([2], np.int64), _normal(8, 4), _normal(8, 4)], interleaved=interleaved)


@pytest.mark.parametrize("bits, has_zero", [(4, False), (4, True), (8, False), (8, True)])
def test_matmul_with_quantised_weights(bits, has_zero):
    rows, inner, columns, block = 3, 48, 7, 16
    blocks = inner // block
    packed = RANDOM.integers(0, 256, (columns, blocks, block * bits // 8), dtype=np.uint8)
    fixed = {1: packed, 2: _normal(columns * blocks)}
    inputs = [_normal(2, rows, inner), None, None]
    if has_zero:
        fixed[3] = RANDOM.integers(0, 256, columns * ((blocks * bits + 7) // 8), dtype=np.uint8)
        inputs.append(None)
    _compare("MatMulNBits", inputs, fixed=fixed, K=inner, N=columns, bits=bits, block_size=block, atol=2e-4)


def test_fused_convolution():
    _compare("FusedConv", [_normal(1, 3, 8, 8), _normal(4, 3, 3, 3), _normal(4)], symbolic=False, activation="LeakyRelu", activation_params=[0.2], pads=[1, 1, 1, 1])


def test_the_domain_needs_no_import(tmp_path):
    """ONNX Runtime's tools write models of its operators that do not import their domain."""
    import onager

    graph = helper.make_graph([helper.make_node("QuickGelu", ["x"], ["y"], domain="com.microsoft", alpha=1.0)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    x = np.array([-1, 0, 2], np.float32)
    np.testing.assert_allclose(onager.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0], x / (1 + np.exp(-x)), rtol=1e-6)
