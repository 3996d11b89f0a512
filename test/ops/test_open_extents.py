"""Filters, states, index tuples and scales of extents that are known only while running: one artifact at several shapes, beside ONNX Runtime or the reference."""
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import onager
from support.compare import is_near


def make_model(op: str, ranks: list[int], types: list[int], outputs: list[tuple[int, int]], opset: int = 21, **attributes) -> bytes:
    """A model of one node whose inputs have only names for dims; outputs are (type, rank)."""
    inputs = [helper.make_tensor_value_info(f"x{k}", kind, [f"d{k}_{d}" for d in range(rank)]) for k, (kind, rank) in enumerate(zip(types, ranks))]
    results = [helper.make_tensor_value_info(f"y{k}", kind, [None] * rank) for k, (kind, rank) in enumerate(outputs)]
    node = helper.make_node(op, [value.name for value in inputs], [value.name for value in results], **attributes)
    model = helper.make_model(helper.make_graph([node], "g", inputs, results), opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    return model.SerializeToString()


def compare(model: bytes, cases: list[list[np.ndarray]], opt_level: int, reference=ReferenceEvaluator) -> None:
    session, reference = onager.InferenceSession(model, opt_level=opt_level), reference(model)
    for arrays in cases:
        feeds = {f"x{k}": array for k, array in enumerate(arrays)}
        for mine, wanted in zip(session.run(None, feeds), reference.run(None, feeds)):
            assert mine.dtype == wanted.dtype
            assert is_near(mine, np.asarray(wanted), 0), [array.shape for array in arrays]


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 1], "pads": [1, 2, 0, 1]}, {"dilations": [2, 1]}, {"auto_pad": "SAME_UPPER"}, {"group": 2}], ids=str)
def test_conv(attributes, opt_level):
    group = attributes.get("group", 1)
    model = make_model("Conv", [4, 4], [TensorProto.FLOAT] * 2, [(TensorProto.FLOAT, 4)], **attributes)
    compare(model, [[draw(1, 4, 7, 9), draw(6, 4 // group, 3, 2)], [draw(2, 2, 5, 5), draw(2, 2 // group, 1, 5)], [draw(1, 6, 11, 4), draw(2, 6 // group, 2, 1)]], opt_level,
            onnxruntime.InferenceSession)


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("attributes", [{}, {"strides": [2], "pads": [1, 0], "output_padding": [1]}, {"dilations": [2]}, {"group": 2}], ids=str)
def test_conv_transpose(attributes, opt_level):
    group = attributes.get("group", 1)
    model = make_model("ConvTranspose", [3, 3], [TensorProto.FLOAT] * 2, [(TensorProto.FLOAT, 3)], **attributes)
    compare(model, [[draw(1, 4, 7), draw(4, 3, 3)], [draw(2, 2, 5), draw(2, 4, 4)], [draw(1, 2 * group, 1), draw(2 * group, 1, 2)]], opt_level, onnxruntime.InferenceSession)


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_causal_conv_with_state(kind, opt_level):
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    model = make_model("CausalConvWithState", [3, 3, 1, 3], [number] * 4, [(number, 3)] * 2, opset=27, activation="silu")
    cases = [[draw(2, 3, 5), draw(3, 1, 4), draw(3), draw(2, 3, 3)], [draw(1, 1, 1), draw(1, 1, 2), draw(1), draw(1, 1, 1)], [draw(1, 2, 3), draw(2, 1, 1), draw(2), draw(1, 2, 0)]]
    compare(model, [[array.astype(kind) for array in arrays] for arrays in cases], opt_level)


def test_filters_of_no_extent_are_refused_by_the_run():
    session = onager.InferenceSession(make_model("Conv", [3, 3], [TensorProto.FLOAT] * 2, [(TensorProto.FLOAT, 3)]))
    with pytest.raises(RuntimeError, match="node 'y0': a spatial dim of the filter"):
        session.run(None, {"x0": draw(1, 2, 3), "x1": draw(1, 2, 0)})


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize(("rank", "width"), [(2, 2), (3, 1), (3, 3)])
def test_scatter_nd_and_gather_nd(rank, width, opt_level):
    """How long the tuples are follows from the ranks of the updates and of the output."""
    rest = rank - width
    scatter = make_model("ScatterND", [rank, 2, 1 + rest], [TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT], [(TensorProto.FLOAT, rank)], reduction="add")
    gather = make_model("GatherND", [rank, 2], [TensorProto.FLOAT, TensorProto.INT64], [(TensorProto.FLOAT, 1 + rest)])
    scatters, gathers = [], []
    for shape, count in (((3, 4, 2), 2), ((5, 1, 3), 4), ((2, 2, 2), 0)):
        shape = shape[:rank]
        indices = np.random.default_rng(count).integers(0, shape[:width], (count, width))
        scatters.append([draw(*shape), indices, draw(count, *shape[width:])])
        gathers.append([draw(*shape), indices])
    compare(scatter, scatters, opt_level)
    compare(gather, gathers, opt_level)


def test_index_tuples_of_another_length_end_the_run():
    session = onager.InferenceSession(make_model("GatherND", [3, 2], [TensorProto.FLOAT, TensorProto.INT64], [(TensorProto.FLOAT, 2)]))
    with pytest.raises(RuntimeError, match="node 'y0': the last dim of the indices"):
        session.run(None, {"x0": draw(2, 2, 2), "x1": np.zeros((1, 1), np.int64)})


def test_scales_of_an_axis_that_the_data_lack():
    """A vector has no axis 1, which is the default: its scale is one number, and may be known to be one only while running."""
    model = make_model("QuantizeLinear", [1, 1, 1], [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT8], [(TensorProto.INT8, 1)], opset=21)
    session = onager.InferenceSession(model)
    for count in (1, 5):
        y, = session.run(None, {"x0": np.arange(count, dtype=np.float32), "x1": np.array([0.5], np.float32), "x2": np.array([1], np.int8)})
        np.testing.assert_array_equal(y, 2 * np.arange(count) + 1)
    with pytest.raises(RuntimeError, match="length of the scale, whose axis 1 is outside rank 1"):
        session.run(None, {"x0": np.ones(2, np.float32), "x1": np.ones(2, np.float32), "x2": np.ones(2, np.int8)})


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("op, rank, attributes", [("Softmax", 2, {"axis": 1}), ("Softmax", 2, {"axis": 0}), ("LpNormalization", 2, {"axis": 1}), ("MaxPool", 3, {"kernel_shape": [5]}),
                                                  ("AveragePool", 3, {"kernel_shape": [3], "pads": [1, 1]})])
def test_scratch_of_lengths_that_values_decide(op, rank, attributes, threads):
    """What is left of a long dim is found while running; what works on it has memory for that many."""
    nodes = [helper.make_node("Compress", ["x", "kept"], ["short"], axis=rank - 1), helper.make_node(op, ["short"], ["y"], **attributes)]
    dims = ["B", "C", "N"][-rank:]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims), helper.make_tensor_value_info("kept", TensorProto.BOOL, ["N"])]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    session, reference = onager.InferenceSession(model, threads=threads), onnxruntime.InferenceSession(model)
    for length in (7, 100_000, 1000):
        feeds = {"x": draw(*(2, 3, length)[-rank:]), "kept": np.arange(length) % 5 != 0}
        assert is_near(session.run(None, feeds)[0], reference.run(None, feeds)[0], 0)


FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 1], "pads": [1, 0, 1, 2], "dilations": [1, 2]}, {"group": 2, "offset_group": 2}], ids=str)
def test_deform_conv(attributes, opt_level):
    group, groups = attributes.get("group", 1), attributes.get("offset_group", 1)
    strides, pads, dilations = attributes.get("strides", [1, 1]), attributes.get("pads", [0] * 4), attributes.get("dilations", [1, 1])
    cases = []
    for batch, channels, extents, kernel in ((1, 2, (6, 7), (3, 2)), (2, 4, (5, 5), (1, 3)), (1, 2, (4, 4), (1, 1))):
        out = [(extents[k] + pads[k] + pads[k + 2] - dilations[k] * (kernel[k] - 1) - 1) // strides[k] + 1 for k in range(2)]
        taps = kernel[0] * kernel[1]
        cases.append([draw(batch, channels, *extents), draw(2, channels // group, *kernel), draw(batch, 2 * groups * taps, *out), draw(2), draw(batch, groups * taps, *out)])
    compare(make_model("DeformConv", [4, 4, 4, 1, 4], [FLOAT] * 5, [(FLOAT, 4)], opset=22, **attributes), cases, opt_level, onnxruntime.InferenceSession)


def _open_model(op: str, ranks: list[int], rank: int, **attributes) -> bytes:
    return make_model(op, ranks, [FLOAT] * len(ranks), [(FLOAT, rank)], domain="com.microsoft", **attributes)


@pytest.mark.parametrize("branches", [0, 3])
def test_scales_that_branches_may_share(branches):
    """Whether the scale has one row or one for each branch is known only while running."""
    shape = (2, 12) if branches else (2, 3, 4)
    model = _open_model("BranchwiseRMSNorm", [len(shape), 1], len(shape), num_branches=branches)
    compare(model, [[draw(*shape), draw(4)], [draw(*shape), draw(12)], [draw(*shape[:-1], 6 if branches else 2), draw(2)]], 3, onnxruntime.InferenceSession)
    with pytest.raises(RuntimeError, match="the length of the scale"):
        onager.InferenceSession(model).run(None, {"x0": draw(*shape), "x1": draw(5)})


def test_factors_of_streams():
    """Factors for each branch, or for each element of flattened branches."""
    model = _open_model("HyperConnectionPreMix", [3, 3], 3, num_branches=3)
    compare(model, [[draw(2, 5, 12), draw(2, 5, 3)], [draw(1, 2, 6), draw(1, 2, 3)]], 3, onnxruntime.InferenceSession)


@pytest.mark.parametrize("attributes", [{}, {"n_group": 2, "topk_group": 1}])
def test_experts(attributes):
    model = _open_model("MoEGroupRouter", [2, 1], 2, top_k=2, **attributes)
    compare(model, [[draw(5, 8), draw(8)], [draw(3, 16), draw(16)], [draw(2, 2), draw(2)]], 3, onnxruntime.InferenceSession)
    with pytest.raises(RuntimeError, match="the number of experts"):
        onager.InferenceSession(model).run(None, {"x0": draw(5, 1), "x1": draw(1)})


def test_sizes_of_heads():
    model = make_model("LinearAttention", [3, 3, 3], [FLOAT] * 3, [(FLOAT, 3), (FLOAT, 4)], domain="com.microsoft", q_num_heads=2, kv_num_heads=2, update_rule="linear")
    compare(model, [[draw(2, 4, 8), draw(2, 4, 8), draw(2, 4, 6)], [draw(1, 3, 4), draw(1, 3, 4), draw(1, 3, 8)]], 3, onnxruntime.InferenceSession)


@pytest.mark.parametrize("per_key", [False, True])
def test_heads_of_gated_delta(per_key):
    """Heads, their sizes, and which bias of the decay there is; a network of other sizes runs in ONNX Runtime for each case."""
    ranks = [4, 4, 4, None, 4 if per_key else 3, 3, 4, 1, 1]
    names = ["" if rank is None else f"x{k}" for k, rank in enumerate(ranks)]
    infos = [helper.make_tensor_value_info(name, FLOAT, [f"{name}_{d}" for d in range(rank)]) for name, rank in zip(names, ranks) if name]
    node = helper.make_node("GatedDeltaNet", names, ["y0", "y1"], domain="com.microsoft", update_rule="gated_delta", gate_activation="softplus")
    outputs = [helper.make_tensor_value_info("y0", FLOAT, [None] * 4), helper.make_tensor_value_info("y1", FLOAT, [None] * 4)]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "g", infos, outputs), opset_imports=opsets, ir_version=10).SerializeToString()
    session, reference = onager.InferenceSession(model), onnxruntime.InferenceSession(model)
    for own, heads, width, values, whole in ((2, 4, 8, 6, False), (1, 2, 4, 3, per_key)):
        decay = (2, 3, heads, width) if per_key else (2, 3, heads)
        shapes = [(2, 3, own, width), (2, 3, own, width), (2, 3, heads, values), None, decay, (2, 3, heads), (2, heads, values, width), (heads,), (heads * width if whole else heads,)]
        feeds = {name: draw(*shape) / 3 for name, shape in zip(names, shapes) if name}
        for mine, wanted in zip(session.run(None, feeds), reference.run(None, feeds)):
            assert is_near(mine, wanted, 1e-5)
