"""Products of bytes in tile registers: sums equal -O0's and bytes those of AVX-512, over sizes around the tiles of 16 rows, 64 numbers and 64 columns."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.machine import has_amx

pytestmark = pytest.mark.skipif(not has_amx(), reason="this processor has no AMX")

# depth, columns
SIZES = {"whole": (128, 128), "long": (640, 64), "one_step": (64, 16), "rest": (65, 64), "ragged": (37, 10), "odd": (133, 129), "wide": (32, 200)}
ROWS = [0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 95, 96, 97, 200]


def _make(nodes: list, dtype, rows, depth: int, result: int, constants: dict) -> bytes:
    infos = [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [*rows, depth])], [helper.make_tensor_value_info("y", result, None)]
    graph = helper.make_graph(nodes, "product", *infos, [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def _draw(dtype, *shape) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(sum(shape)).integers(limits.min, limits.max + 1, shape).astype(dtype)


def _sums(dtype, rows, depth: int, columns: int) -> bytes:
    node = helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"])
    return _make([node], dtype, rows, depth, TensorProto.INT32, {"w": _draw(np.int8, depth, columns), "z": dtype(5)})


def _bytes(dtype, rows, depth: int, columns: int) -> bytes:
    node = helper.make_node("QLinearMatMul", ["x", "s", "z", "w", "t", "n", "u", "o"], ["y"])
    scales = np.random.default_rng(columns).uniform(0.002, 0.01, columns).astype(np.float32)
    return _make([node], dtype, rows, depth, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)),
                 {"w": _draw(np.int8, depth, columns), "s": np.float32(0.02), "z": dtype(7), "t": scales, "n": np.zeros(columns, np.int8), "u": np.float32(0.2), "o": dtype(100)})


def _open(model: bytes, path, hero: str = "amx_gemm", **options):
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    assert hero in {launch["hero"] for launch in json.loads(report[0])["launches"]}
    return onager.InferenceSession(artifact, threads=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("size", SIZES)
def test_sums_are_exact(size, dtype, tmp_path):
    model = _sums(dtype, ["N"], *SIZES[size])
    found, wanted = _open(model, tmp_path / "model.so"), _open(model, tmp_path / "reference.so", "map", opt_level=0)
    for rows in ROWS:
        x = _draw(dtype, rows, SIZES[size][0])
        np.testing.assert_array_equal(found.run(None, {"x": x})[0], wanted.run(None, {"x": x})[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_those_of_vectors(size, dtype, tmp_path):
    """One multiply-add and one rounding follow the same sums."""
    model = _bytes(dtype, ["N"], *SIZES[size])
    found, wanted = _open(model, tmp_path / "model.so"), _open(model, tmp_path / "vectors.so", "int8_gemm", target="x86-64-v4")
    for rows in ROWS:
        x = _draw(dtype, rows, SIZES[size][0])
        np.testing.assert_array_equal(found.run(None, {"x": x})[0], wanted.run(None, {"x": x})[0])


@pytest.mark.parametrize("rows", [[8], [32], [33], [3, 40], [96], [192]])
def test_known_rows(rows, tmp_path):
    """Whole tiles alone, tiles of part of the rows alone, and both."""
    model = _sums(np.int8, rows, 133, 129)
    x = _draw(np.int8, *rows, 133)
    found, wanted = (session.run(None, {"x": x})[0] for session in (_open(model, tmp_path / "model.so"), _open(model, tmp_path / "reference.so", "map", opt_level=0)))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("columns", [64, 100])
def test_what_follows_a_sum(columns, tmp_path):
    """Numbers of rows and of columns meet the sums in the epilogue."""
    nodes = [helper.make_node("MatMulInteger", ["x", "w", "z"], ["a"]), helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT), helper.make_node("Mul", ["b", "s"], ["c"]),
             helper.make_node("Tanh", ["c"], ["y"])]
    scales = np.random.default_rng(2).uniform(1e-5, 1e-4, columns).astype(np.float32)
    model = _make(nodes, np.uint8, ["N", 3], 70, TensorProto.FLOAT, {"w": _draw(np.int8, 70, columns), "z": np.uint8(9), "s": scales})
    found, wanted = _open(model, tmp_path / "model.so"), _open(model, tmp_path / "reference.so", "map", opt_level=0)
    for rows in (1, 6, 33):
        x = _draw(np.uint8, rows, 3, 70)
        np.testing.assert_allclose(found.run(None, {"x": x})[0], wanted.run(None, {"x": x})[0], atol=1e-6)


def test_constants(tmp_path):
    """A product of constants is computed when the model is compiled."""
    import onager

    left, right = _draw(np.uint8, 40, 70), _draw(np.int8, 70, 66)
    nodes = [helper.make_node("MatMulInteger", ["a", "w"], ["p"]), helper.make_node("Add", ["x", "p"], ["y"])]
    graph = helper.make_graph(nodes, "constants", [helper.make_tensor_value_info("x", TensorProto.INT32, [40, 66])], [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
                              [numpy_helper.from_array(left, "a"), numpy_helper.from_array(right, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    found = onager.InferenceSession(onager.compile(model, tmp_path / "model.so")).run(None, {"x": np.ones((40, 66), np.int32)})[0]
    np.testing.assert_array_equal(found, left.astype(np.int32) @ right.astype(np.int32) + 1)


def test_few_rows_take_vectors(tmp_path):
    _open(_sums(np.uint8, [4], 64, 64), tmp_path / "model.so", "int8_gemm")


def test_threads_change_nothing(tmp_path):
    import onager

    artifact = onager.compile(_bytes(np.uint8, ["N"], 300, 500), tmp_path / "model.so")
    x = _draw(np.uint8, 250, 300)
    results = [onager.InferenceSession(artifact, threads=threads).run(None, {"x": x})[0] for threads in (1, 2, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
