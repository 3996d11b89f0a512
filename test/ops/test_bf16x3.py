"""Products of f32 as parts of bf16 in tile registers: errors below those of f32 over sizes around tiles of 32 rows, 32 columns and 32 terms, and numbers that have no parts."""
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.machine import has_amx_bf16

pytestmark = pytest.mark.skipif(not has_amx_bf16(), reason="this processor has no AMX-BF16")

# depth, columns
SIZES = {"whole": (128, 64), "long": (1030, 32), "rest": (65, 64), "ragged": (97, 33), "one_panel": (64, 48), "wide": (70, 1100), "odd": (133, 77)}
ROWS = [48, 49, 63, 64, 65, 80, 81, 128, 383, 384, 385, 800]


def _draw(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def _model(nodes: list, dims: list, constants: dict) -> bytes:
    graph = helper.make_graph(nodes, "product", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()


def _product(rows: list, w: np.ndarray) -> bytes:
    return _model([helper.make_node("MatMul", ["x", "w"], ["y"])], [*rows, w.shape[0]], {"w": w})


def _open(model: bytes, path, threads: int = 1, has_parts: bool = True, **options):
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    assert ("three of bf16" in json.loads(report[0])["numerics"]) == has_parts
    return onager.InferenceSession(artifact, threads=threads, recompile="off")


def _check(found: np.ndarray, x: np.ndarray, w: np.ndarray) -> None:
    """What is left out is below 2^-20 of a product; a sum of f32 rounds once a term at most."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    error = np.abs(found - x @ w)
    assert (error <= np.abs(x) @ np.abs(w) * (2.0**-20 + 2.0**-25 * x.shape[-1])).all(), error.max()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_products_are_as_exact_as_those_of_f32(size, threads, tmp_path):
    w = _draw(*SIZES[size])
    session = _open(_product(["N"], w), tmp_path / "model.so", threads)
    for rows in ROWS:
        x = _draw(rows, w.shape[0], seed=1)
        _check(session.run(None, {"x": x})[0], x, w)


def test_fewer_rows_are_chains_of_f32(tmp_path):
    """Below the rows that pay the same code gives what it gives without parts, bit by bit."""
    w = _draw(96, 64)
    found, wanted = _open(_product(["N"], w), tmp_path / "found.so"), _open(_product(["N"], w), tmp_path / "wanted.so", has_parts=False, bf16x3=False)
    for rows in (0, 1, 2, 13, 47):
        x = _draw(rows, 96)
        np.testing.assert_array_equal(found.run(None, {"x": x})[0], wanted.run(None, {"x": x})[0])


@pytest.mark.parametrize("shape, w", [((47, 96), (96, 64)), ((64, 63), (63, 64)), ((64, 96), (96, 31)), ((2, 64, 96), (2, 96, 64))], ids=["rows", "terms", "columns", "matrices"])
def test_small_products_have_no_parts(shape, w, tmp_path):
    x, w = _draw(*shape), _draw(*w)
    session = _open(_model([helper.make_node("MatMul", ["x", "w"], ["y"])], list(shape), {"w": w}), tmp_path / "model.so", has_parts=False)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x.astype(np.float64) @ w, rtol=1e-4, atol=1e-4)


def test_leading_dims_are_rows_and_what_follows_is_fused(tmp_path):
    w, bias = _draw(96, 80), _draw(80)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["s"]), helper.make_node("Relu", ["s"], ["y"])]
    session = _open(_model(nodes, ["A", "B", 96], {"w": w, "b": bias}), tmp_path / "model.so", 2)
    for shape in ((3, 50, 96), (1, 64, 96), (70, 1, 96)):
        x = _draw(*shape)
        wanted = np.maximum(x.astype(np.float64) @ w + bias, 0)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, rtol=1e-5, atol=2e-5)


SPECIAL = {"infinity": np.inf, "minus_infinity": -np.inf, "nan": np.nan, "signalling_nan": np.array(0x7F800001, np.uint32).view(np.float32)}


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("operand", ["x", "w"])
def test_what_is_not_finite_is_multiplied_as_f32(operand, name, tmp_path):
    """1 has no middle and low part, which times infinity would be NaN; other tiles keep their parts."""
    x, w = np.ones((100, 200), np.float32), np.ones((200, 90), np.float32)
    x[:, 3], w[5] = 2.5, -0.125
    (x if operand == "x" else w)[37, 40] = SPECIAL[name]
    session = _open(_product(["N"], w), tmp_path / "model.so")
    with np.errstate(invalid="ignore"):
        wanted = x @ w
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], wanted)


def test_parts_reach_far_below_the_whole(tmp_path):
    """The last bits of numbers count, whose sum is all that is left."""
    x, w = _draw(64, 64), _draw(64, 64)
    x[:, 32:], w[32:] = x[:, :32], -w[:32] * np.float32(1 + 2.0**-10)
    session = _open(_product([64], w), tmp_path / "model.so")
    _check(session.run(None, {"x": x})[0], x, w)
    tiny = x * np.float32(2.0**-100)
    _check(session.run(None, {"x": tiny})[0] * 2.0**100, x, w)
