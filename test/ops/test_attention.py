"""Attention in the forms that exporters write: the optimised form against -O0, over sizes around its blocks."""
import json

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.places import ONAGER
from support.seeds import get_seed
from support.tool import run_command

SIZES = [(1, 1, 8, 8), (1, 600, 64, 64), (3, 257, 20, 24), (4, 31, 8, 40), (13, 256, 64, 64), (97, 33, 20, 16), (130, 300, 16, 72)]
HEADS = 3


class Exporter:
    """Writes one attention over q [B, heads, S, D], k [B, heads, T, D] and v [B, heads, T, V]; all dims but D and V are symbolic."""

    def __init__(self, dtype=TensorProto.FLOAT):
        self.dtype = dtype
        self.nodes, self.weights, self.inputs = [], [], []

    def input(self, name: str, dims: list, dtype: int | None = None) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype or self.dtype, dims))
        return name

    def number(self, value: float) -> str:
        name = f"number{len(self.weights)}"
        self.weights.append(helper.make_tensor(name, self.dtype, [], [value]))
        return name

    def numbers(self, *values: int) -> str:
        name = f"numbers{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def op(self, kind: str, *inputs: str, output: str = "", **attributes) -> str:
        output = output or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}{len(self.nodes)}", **attributes))
        return output

    def model(self, y: str) -> bytes:
        self.op("Identity", y, output="y")
        result = helper.make_tensor_value_info("y", self.dtype, None)
        graph = helper.make_graph(self.nodes, "attention", self.inputs, [result], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def _plain(g: Exporter, q: str, k: str, v: str, depth: int) -> str:
    return g.op("MatMul", g.op("Softmax", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1), v)


def _scaled_with_bias(g: Exporter, q: str, k: str, v: str, depth: int) -> str:
    """BERT's: a quotient and an additive mask of the keys."""
    scores = g.op("Div", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), g.number(np.sqrt(depth)))
    return g.op("MatMul", g.op("Softmax", g.op("Add", scores, g.input("bias", ["B", 1, 1, "T"])), axis=-1), v)


def _scaled_before(g: Exporter, q: str, k: str, v: str, depth: int) -> str:
    """Both operands scaled, a bias per head on the left of the sum, and a mask of positions where scores are replaced."""
    scale = g.number(depth**-0.25)
    keys = g.op("Mul", g.op("Transpose", k, perm=[0, 1, 3, 2]), scale)
    scores = g.op("Add", g.input("bias", [1, HEADS, "S", "T"]), g.op("MatMul", g.op("Mul", scale, q), keys))
    scores = g.op("Where", g.input("seen", ["S", "T"], TensorProto.BOOL), scores, g.number(-10000))
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), v)


def _hidden(g: Exporter, q: str, k: str, v: str, depth: int) -> str:
    """A mask that hides, before a bias: the order matters."""
    scores = g.op("Where", g.input("hidden", ["B", 1, "S", "T"], TensorProto.BOOL), g.number(-1000), g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])))
    return g.op("MatMul", g.op("Softmax", g.op("Add", scores, g.input("bias", ["T"])), axis=-1), v)


def _causal(g: Exporter, q: str, k: str, v: str, depth: int) -> str:
    """GPT-2's: positions behind the last key of a query are lowered."""
    one, length, total = g.numbers(1), g.op("Shape", q, start=2, end=3), g.op("Shape", k, start=2, end=3)
    rows = g.op("Range", g.op("Squeeze", g.op("Sub", total, length)), g.op("Squeeze", total), g.op("Squeeze", one))
    columns = g.op("Range", g.op("Squeeze", g.op("Sub", one, one)), g.op("Squeeze", total), g.op("Squeeze", one))
    seen = g.op("LessOrEqual", columns, g.op("Unsqueeze", rows, one))
    scores = g.op("Mul", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), g.number(depth**-0.5))
    return g.op("MatMul", g.op("Softmax", g.op("Add", scores, g.op("Where", seen, g.number(0), g.number(-100))), axis=-1), v)


def _numbers(g: Exporter, q: str, k: str, v: str, depth: int) -> str:
    """PyTorch's: weights that are not numbers are 0."""
    scores = g.op("Add", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), g.input("bias", ["B", 1, 1, "T"]))
    weights = g.op("Softmax", scores, axis=-1)
    return g.op("MatMul", g.op("Where", g.op("IsNaN", weights), g.number(0), weights), v)


FORMS = {form.__name__[1:]: form for form in (_plain, _scaled_with_bias, _scaled_before, _hidden, _causal, _numbers)}


def _export(form: str, depth: int, width: int, dtype=TensorProto.FLOAT) -> bytes:
    g = Exporter(dtype)
    q, k, v = g.input("q", ["B", HEADS, "S", depth]), g.input("k", ["B", HEADS, "T", depth]), g.input("v", ["B", HEADS, "T", width])
    return g.model(FORMS[form](g, q, k, v, depth))


def _compile(model: bytes, level: int, tmp_path):
    """Compiles; at -O3 attention must be one launch."""
    import onager

    report = []
    path = onager.compile(model, tmp_path / f"level{level}.so", opt_level=level, report=report)
    described = json.loads(report[0])
    assert any(launch["hero"] == "attention" for launch in described["launches"]) == (level > 0)
    assert ("attention" in described.get("numerics", "")) == (level > 0)
    return path


def _feeds(model: bytes, batch: int, rows: int, keys: int, dtype=np.float32) -> dict:
    import onnx

    generator = np.random.default_rng(get_seed())
    extents, feeds = {"B": batch, "S": rows, "T": keys}, {}
    for value in onnx.load_from_string(model).graph.input:
        shape = [extents.get(dim.dim_param) if dim.dim_param else dim.dim_value for dim in value.type.tensor_type.shape.dim]
        isBool = value.type.tensor_type.elem_type == TensorProto.BOOL
        feeds[value.name] = generator.random(shape) < 0.7 if isBool else generator.standard_normal(shape).astype(np.float32).astype(dtype)
    return feeds


def _run(path, feeds, threads: int = 1):
    import onager

    return onager.InferenceSession(path, threads=threads).run(None, feeds)[0]


@pytest.mark.parametrize("form", FORMS)
def test_sizes(form, tmp_path):
    for depth, width in sorted({size[2:] for size in SIZES}):
        model = _export(form, depth, width)
        fast, exact = _compile(model, 3, tmp_path), _compile(model, 0, tmp_path)
        for rows, keys in [size[:2] for size in SIZES if size[2:] == (depth, width)] + [(0, 4), (4, 0), (1, 0)]:
            for batch in (0, 2):
                feeds = _feeds(model, batch, rows, keys)
                np.testing.assert_allclose(_run(fast, feeds), _run(exact, feeds), rtol=1e-4, atol=1e-5, err_msg=f"{rows} rows, {keys} keys")


@pytest.mark.parametrize("dtype, number", [(np.float16, TensorProto.FLOAT16), (ml_dtypes.bfloat16, TensorProto.BFLOAT16)])
@pytest.mark.parametrize("rows, keys, depth, width", [(1, 300, 64, 64), (3, 31, 20, 24), (20, 300, 20, 40), (100, 40, 64, 64)])
def test_short_floats(dtype, number, rows, keys, depth, width, tmp_path):
    model = _export("scaled_with_bias", depth, width, number)
    feeds = _feeds(model, 2, rows, keys, dtype)
    found, wanted = (_run(_compile(model, level, tmp_path), feeds).astype(np.float32) for level in (3, 0))
    np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("form", ["scaled_with_bias", "numbers"])
@pytest.mark.parametrize("rows", [1, 40])
def test_rows_without_a_finite_score(rows, form, tmp_path):
    """Rows of -infinity and rows with NaN or +infinity give what a softmax over them gives; -infinity in one block of keys alone is no such row."""
    model, keys = _export(form, 16, 16), 600
    feeds = _feeds(model, 5, rows, keys)
    feeds["v"][..., 450, 3] = np.inf
    feeds["bias"][0] = -np.inf
    feeds["bias"][1, ..., :300] = -np.inf
    feeds["bias"][2, ..., 400] = np.nan
    feeds["bias"][3, ..., 500] = np.inf
    found, wanted = (_run(_compile(model, level, tmp_path), feeds) for level in (3, 0))
    assert [np.isnan(wanted[k, ..., 0]).all() for k in range(5)] == [hasNaN and form != "numbers" for hasNaN in (True, False, True, True, False)]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows, keys", [(1, 500), (120, 300)])
def test_same_bits(rows, keys, tmp_path):
    """Threads and the place in the batch do not matter."""
    model = _export("scaled_with_bias", 32, 32)
    path, feeds = _compile(model, 3, tmp_path), _feeds(model, 5, rows, keys)
    expected = _run(path, feeds)
    assert _run(path, feeds, threads=3).tobytes() == expected.tobytes()
    for place in range(5):
        alone = {name: value[place : place + 1] for name, value in feeds.items()}
        assert _run(path, alone).tobytes() == expected[place].tobytes()


@pytest.mark.parametrize("rows, keys", [(1, 40), (7, 300)])
@pytest.mark.parametrize("causal", [0, 1])
def test_grouped_heads(rows, keys, causal, tmp_path):
    """ONNX's Attention with fewer heads of keys and values; rows that see no key are 0."""
    g = Exporter()
    inputs = [g.input("q", ["B", 6, "S", 16]), g.input("k", ["B", 2, "T", 16]), g.input("v", ["B", 2, "T", 24]), g.input("seen", ["B", 1, "S", "T"], TensorProto.BOOL)]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Attention", inputs, ["y"], name="grouped", is_causal=causal)], "grouped", g.inputs, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10).SerializeToString()
    feeds = _feeds(model, 2, rows, keys)
    feeds["seen"][0, 0, rows // 2] = False
    found, wanted = (_run(_compile(model, level, tmp_path), feeds) for level in (3, 0))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert not found[0, :, rows // 2].any()


def test_long_sequences_take_no_room_for_scores(tmp_path):
    """One head over 4096 tokens has 64 MB of scores."""
    import onager

    g = Exporter()
    q, k, v = (g.input(name, [1, 1, 4096, 64]) for name in "qkv")
    model = g.model(_plain(g, q, k, v, 64))
    largest = {}
    for level in (3, 0):
        described = json.loads(run_command(ONAGER, "inspect", "--json", onager.compile(model, tmp_path / f"long{level}.so", opt_level=level)))
        largest[level] = max(slot["bytes"] for slot in described["slots"])
    assert largest[3] < 8 << 20 < 64 << 20 <= largest[0]
