"""Largest and smallest numbers over rows around the width of vectors: not a number wins, wherever it stands."""
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper


def _numbers(shape: tuple, kind: str) -> np.ndarray:
    x = np.random.default_rng(len(kind)).standard_normal(shape).astype(np.float32)
    flat = x.reshape(-1)
    if kind == "nan" and x.size:
        flat[x.size // 2] = np.nan
    if kind == "infinite" and x.size:
        flat[0], flat[-1] = np.inf, -np.inf
    if kind == "zeros":
        flat[:] = np.where(flat > 0, 0.0, -0.0)
    return x


@pytest.mark.parametrize("target", ["native", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("axes", [[0, 1, 2], [2], [1], [0, 2]])
@pytest.mark.parametrize("op, step, start", [("ReduceMax", np.maximum, -np.inf), ("ReduceMin", np.minimum, np.inf)])
def test_extremes(op, step, start, axes, target, tmp_path):
    import onager

    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["A", "B", "C"]), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([helper.make_node(op, ["x", "axes"], ["y"])], "g", infos[:1], infos[1:], [numpy_helper.from_array(np.array(axes, np.int64), "axes")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so", target=target))
    for shape in [(1, 1, 1), (3, 5, 7), (2, 33, 70), (4, 0, 3), (1, 9, 768)]:
        for kind in ["plain", "nan", "infinite", "zeros"]:
            x = _numbers(shape, kind)
            wanted = x
            for axis in axes:
                wanted = step.reduce(wanted, axis=axis, keepdims=True, initial=np.float32(start))
            np.testing.assert_array_equal(session.run(None, {"x": x})[0], wanted)
