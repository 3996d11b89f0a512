"""Reductions along the last dims: every kind over widths around vectors, known and told by a run, numbers of rows around blocks, with what follows."""
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

KINDS = {
    "ReduceSum": np.sum, "ReduceMean": np.mean, "ReduceMax": np.max, "ReduceMin": np.min, "ReduceProd": np.prod,
    "ReduceL1": lambda x, axis: np.abs(x).sum(axis), "ReduceL2": lambda x, axis: np.sqrt((x * x).sum(axis)), "ReduceSumSquare": lambda x, axis: (x * x).sum(axis),
}


def _compile(op: str, inner: tuple, path, target: str = "native"):
    import onager

    nodes = [helper.make_node(op, ["x", "axes"], ["r"], keepdims=0), helper.make_node("Mul", ["r", "scale"], ["y"])]
    axes = numpy_helper.from_array(np.arange(1, 1 + len(inner)), "axes")
    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["R", *inner]), helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["R"])]
    graph = helper.make_graph(nodes, "g", infos, [helper.make_empty_tensor_value_info("y")], [axes])
    return onager.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString(), path, target=target)


@pytest.mark.parametrize("target", ["native", "x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("op", KINDS)
def test_widths(op, target, tmp_path):
    import onager

    generator = np.random.default_rng(9)
    symbolic = _compile(op, ("W",), tmp_path / "symbolic.so", target)
    for shape in [(1,), (9,), (16,), (5, 7), (8, 8), (65,), (131,), (4, 100)]:
        paths = {_compile(op, shape, tmp_path / "known.so", target): shape, symbolic: (int(np.prod(shape)),)}
        for path, inner in paths.items():
            session = onager.InferenceSession(path, threads=2)
            for rows in (1, 15, 16, 33, 1000):
                x, scale = generator.uniform(0.5, 1.5, (rows, *inner)).astype(np.float32), generator.standard_normal(rows).astype(np.float32)
                x[rows // 2] *= -1
                if op in ("ReduceMax", "ReduceMin", "ReduceSum"):
                    x.reshape(rows, -1)[0, -1] = np.nan
                wanted = KINDS[op](x.reshape(rows, -1).astype(np.float64), 1) * scale
                np.testing.assert_allclose(session.run(None, {"x": x, "scale": scale})[0], wanted, rtol=5e-5, atol=1e-5, err_msg=f"{op} of {rows} x {inner}")


@pytest.mark.parametrize("inner", [(20,), (300,)])
def test_rows_do_not_depend_on_threads_or_neighbours(inner, tmp_path):
    import onager

    x = np.random.default_rng(5).standard_normal((6001, *inner)).astype(np.float32)
    path = _compile("ReduceSum", inner, tmp_path / "model.so")
    one, two = (onager.InferenceSession(path, threads=threads, recompile="off") for threads in (1, 2))
    scale = np.ones(len(x), np.float32)
    whole = one.run(None, {"x": x, "scale": scale})[0]
    np.testing.assert_array_equal(two.run(None, {"x": x, "scale": scale})[0], whole)
    np.testing.assert_array_equal(one.run(None, {"x": x[1234:1235], "scale": scale[:1]})[0], whole[1234:1235])


@pytest.mark.parametrize("axes", [(0, 2), (1, 3), (0, 2, 3), (0, 1, 3)])
@pytest.mark.parametrize("op", KINDS)
def test_dims_apart(op, axes):
    """Axes of which some are the last and others are not, in floats and integers."""
    import onager

    for dtype in (np.float32, np.float64, np.int32):
        x = np.random.default_rng(3).integers(-3, 4, (3, 4, 5, 20)).astype(dtype)
        if op == "ReduceProd":
            x = np.sign(x)
        infos = [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), ["A", "B", "C", "D"])]
        graph = helper.make_graph([helper.make_node(op, ["x", "axes"], ["y"])], "g", infos, [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(np.array(axes), "axes")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
        wanted = onager.InferenceSession(model, opt_level=0).run(None, {"x": x})[0]
        np.testing.assert_allclose(onager.InferenceSession(model, threads=2).run(None, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("op", KINDS)
def test_rows_that_share_lines(op, symbolic):
    """Reductions of differences of each row of one matrix and each of another: numbers of rows around the blocks of those that read a line once."""
    import onager

    generator = np.random.default_rng(13)
    for rows, depth, columns in [(1, 3, 9), (2, 300, 8), (5, 7, 130), (4, 1, 300), (7, 66, 129), (0, 5, 20), (6, 0, 20)]:
        a, b, scale = (generator.uniform(-1, 1, shape).astype(np.float32) for shape in [(2, rows, depth, 1), (1, 1, depth, columns), (2, rows, 1, columns)])
        nodes = [helper.make_node("Sub", ["a", "b"], ["d"]), helper.make_node(op, ["d", "axes"], ["r"]), helper.make_node("Mul", ["r", "scale"], ["y"])]
        dims = {"a": [2, "M", "K", 1], "b": [1, 1, "K", "N"], "scale": [2, "M", 1, "N"]} if symbolic else {"a": a.shape, "b": b.shape, "scale": scale.shape}
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in dims.items()]
        graph = helper.make_graph(nodes, "g", infos, [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(np.array([2]), "axes")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
        found, wanted = (onager.InferenceSession(model, threads=2, opt_level=level).run(None, {"a": a, "b": b, "scale": scale})[0] for level in (3, 0))
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-5, err_msg=f"{op} of {rows} x {depth} x {columns}")
