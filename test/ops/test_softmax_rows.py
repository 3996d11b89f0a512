"""Softmax over rows around the width of vectors: known and symbolic widths, rows that lie in memory and rows that are computed, results that others follow."""
import numpy as np
import pytest
from onnx import TensorProto, helper

SPECIALS = {
    "plain": {},
    "nan": {1: np.nan},
    "low": {0: -np.inf, 2: -1e30},
    "high": {1: 1e38, 2: -1e38},
    "infinite": {1: np.inf},
    "nothing": dict.fromkeys(range(500), -np.inf),
}


def _softmax(x: np.ndarray, log: bool) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        shifted = x.astype(np.float64) - x.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)) if log else np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)


def _model(op: str, width, place: str) -> bytes:
    """`place`: alone; behind an addition; or before one, so that its result is no row of memory."""
    nodes = {
        "alone": [helper.make_node(op, ["x"], ["y"], axis=-1)],
        "behind": [helper.make_node("Add", ["x", "z"], ["t"]), helper.make_node(op, ["t"], ["y"], axis=-1)],
        "before": [helper.make_node(op, ["x"], ["t"], axis=-1), helper.make_node("Add", ["t", "z"], ["y"])],
    }[place]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["R", width]) for name in ("x", "z", "y")]
    graph = helper.make_graph(nodes, "g", infos[:1] if place == "alone" else infos[:2], infos[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def _check(session, op: str, width: int, place: str) -> None:
    rng = np.random.default_rng(width)
    for kind, values in SPECIALS.items():
        x, z = rng.standard_normal((7, width)).astype(np.float32) * 4, rng.standard_normal((7, width)).astype(np.float32)
        for position, value in values.items():
            if position < width:
                x[3, position] = value
        wanted = _softmax(x + z if place == "behind" else x, op == "LogSoftmax") + (z if place == "before" else 0)
        got = session.run(None, {"x": x} if place == "alone" else {"x": x, "z": z})[0]
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6, err_msg=f"{op} of {width}, {place}, {kind}")


@pytest.mark.parametrize("target", ["native", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("place", ["alone", "behind", "before"])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_symbolic_width(op, place, target, tmp_path):
    import onager

    session = onager.InferenceSession(onager.compile(_model(op, "W", place), tmp_path / "model.so", target=target))
    for width in (1, 2, 15, 16, 17, 63, 64, 65, 80, 131, 500):
        _check(session, op, width, place)


@pytest.mark.parametrize("place", ["alone", "behind", "before"])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("width", [1, 8, 9, 16, 17, 33, 128, 129, 200])
def test_known_width(op, place, width):
    import onager

    _check(onager.InferenceSession(_model(op, width, place), threads=2), op, width, place)


def test_rows_do_not_depend_on_threads_or_neighbours():
    import onager

    x = np.random.default_rng(5).standard_normal((6000, 21)).astype(np.float32)
    model = _model("Softmax", 21, "alone")
    one, two = onager.InferenceSession(model, threads=1), onager.InferenceSession(model, threads=2)
    whole = one.run(None, {"x": x})[0]
    np.testing.assert_array_equal(two.run(None, {"x": x})[0], whole)
    np.testing.assert_array_equal(one.run(None, {"x": x[1234:1235]})[0], whole[1234:1235])
