"""Products of bf16: exact products with sums of f32, in tile registers (AMX) and widened in vectors, over sizes around tiles of 16 rows, 32 terms and 64 columns."""
import json

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.machine import get_flags, has_amx_bf16

BF16 = ml_dtypes.bfloat16
# depth, columns
SIZES = {"whole": (128, 128), "long": (640, 64), "rest": (65, 64), "ragged": (37, 17), "odd": (133, 129), "wide": (32, 200), "least": (16, 16)}
ROWS = [0, 1, 2, 7, 8, 16, 33, 128]
TARGETS = [target for target, flag in {"native": "avx2", "x86-64-v3": "avx2", "x86-64-v4": "avx512vl"}.items() if flag in get_flags()]
HERO = "amx_bf16_gemm" if has_amx_bf16() else None

pytestmark = pytest.mark.skipif(not TARGETS, reason="this processor has no AVX2")


def _hero(target: str, rows: int) -> str | None:
    """The form of so many rows, where one of f32 is not at least as good."""
    return HERO if target == "native" and HERO else "bf16_gemm" if rows <= 4 else None


def _draw(*shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def _round(x: np.ndarray) -> np.ndarray:
    return x.astype(BF16).astype(np.float32)


def _model(nodes: list, dims: list, constants: dict, out=TensorProto.FLOAT) -> bytes:
    graph = helper.make_graph(nodes, "product", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)], [helper.make_tensor_value_info("y", out, None)],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def _rounded(name: str = "x") -> list:
    return [helper.make_node("Cast", [name], ["narrow"], to=TensorProto.BFLOAT16), helper.make_node("Cast", ["narrow"], ["wide"], to=TensorProto.FLOAT)]


def _product(form: str, rows: list, w: np.ndarray) -> bytes:
    """f32 behind casts, constants of f32 that bf16 holds, or a product of bf16."""
    if form == "casts":
        nodes = [*_rounded(), helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["wide", "v"], ["y"])]
        return _model(nodes, [*rows, w.shape[0]], {"w": w.astype(BF16)})
    if form == "constants":
        return _model([*_rounded(), helper.make_node("MatMul", ["wide", "w"], ["y"])], [*rows, w.shape[0]], {"w": _round(w)})
    nodes = [_rounded()[0], helper.make_node("MatMul", ["narrow", "w"], ["z"]), helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT)]
    return _model(nodes, [*rows, w.shape[0]], {"w": w.astype(BF16)})


def _open(model: bytes, path, hero: str | None = None, threads: int = 2, **options):
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    if hero:
        assert hero in {launch["hero"] for launch in json.loads(report[0])["launches"]}
        assert "products with weights of bf16" in json.loads(report[0])["numerics"]
    return onager.InferenceSession(artifact, threads=threads)


def _check(found: np.ndarray, x: np.ndarray, w: np.ndarray, add=0.0, rounds: bool = False):
    """Within what a sum of f32 in any order may be off, and half a unit of bf16 where the result is rounded."""
    left, right = _round(x).astype(np.float64), _round(w).astype(np.float64)
    wanted, magnitude = left @ right + add, np.abs(left) @ np.abs(right) + np.abs(add)
    bound = (x.shape[-1] + 2) * 2.0**-24 * magnitude + (np.abs(wanted) * 2.0**-8 if rounds else 0)
    assert found.shape == wanted.shape
    assert np.all(np.abs(found - wanted) <= bound + 1e-30), float(np.max(np.abs(found - wanted) - bound))


@pytest.mark.parametrize("form", ["casts", "constants", "bf16"])
@pytest.mark.parametrize("size", SIZES)
def test_products(size, form, tmp_path):
    depth, columns = SIZES[size]
    w = _draw(depth, columns)
    session = _open(_product(form, ["N"], w), tmp_path / "model.so", HERO)
    for rows in ROWS:
        x = _draw(rows, depth, seed=1)
        _check(session.run(None, {"x": x})[0], x, w, rounds=form == "bf16")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", ["casts", "constants", "bf16"])
@pytest.mark.parametrize("size", SIZES)
def test_few_rows(size, form, target, tmp_path):
    """Each number of rows has a kernel of its own."""
    depth, columns = SIZES[size]
    w, rows = _draw(depth, columns), 1 + (depth + columns) % 4
    x = _draw(rows, depth, seed=1)
    _check(_open(_product(form, [rows], w), tmp_path / "model.so", _hero(target, rows), target=target).run(None, {"x": x})[0], x, w, rounds=form == "bf16")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rows", [[1], [2], [4], [8], [32], [33], [3, 40], [2, 1, 5], [96], [192]])
def test_known_rows(rows, target, tmp_path):
    """Whole tiles alone, tiles of part of the rows alone, and both; many rows without tiles are products of f32."""
    w, x = _draw(133, 129), _draw(*rows, 133, seed=1)
    _check(_open(_product("casts", rows, w), tmp_path / "model.so", _hero(target, int(np.prod(rows))), target=target).run(None, {"x": x})[0], x, w)


@pytest.mark.parametrize("target", TARGETS)
def test_many_rows_need_a_processor_that_multiplies_bf16(target, tmp_path):
    import onager

    report = []
    onager.compile(_product("casts", [64], _draw(64, 64)), tmp_path / "model.so", report=report, target=target)
    heroes = {launch["hero"] for launch in json.loads(report[0])["launches"]}
    if target != "native":
        assert "gemm" in heroes and "bf16_gemm" not in heroes
    elif has_amx_bf16():
        assert "amx_bf16_gemm" in heroes


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("columns", [64, 100])
def test_gemm_with_bias(columns, target, tmp_path):
    """The bias is where sums start; transposed weights are packed from where they lie."""
    w, bias = _draw(columns, 70), _draw(columns, seed=3)
    for rows in (1, 3, 33):
        model = _model([*_rounded(), helper.make_node("Gemm", ["wide", "w", "b"], ["y"], transB=1)], [rows, 70], {"w": _round(w), "b": bias})
        x = _draw(rows, 70, seed=1)
        _check(_open(model, tmp_path / "model.so", _hero(target, rows), target=target).run(None, {"x": x})[0], x, w.T, bias.astype(np.float64))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("columns", [64, 100])
def test_what_follows_a_sum(columns, target, tmp_path):
    """Numbers of columns, a residual and a function in the epilogue."""
    w, scale = _draw(96, columns), _draw(columns, seed=3)
    nodes = [*_rounded(), helper.make_node("MatMul", ["wide", "w"], ["a"]), helper.make_node("Mul", ["a", "s"], ["b"]), helper.make_node("ReduceMax", ["x"], ["m"], keepdims=1),
             helper.make_node("Add", ["b", "m"], ["c"]), helper.make_node("Tanh", ["c"], ["y"])]
    for rows in (1, 6, 33):
        session = _open(_model(nodes, [rows, 3, 96], {"w": _round(w) / 16, "s": scale}), tmp_path / "model.so", _hero(target, 3 * rows), target=target)
        x = _draw(rows, 3, 96, seed=1)
        wanted = np.tanh(_round(x).astype(np.float64) @ (_round(w).astype(np.float64) / 16) * scale + x.max(keepdims=True))
        np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, atol=2e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_numbers_that_are_none_stay_in_their_rows(target, tmp_path):
    """What lies behind a row's end, and in other rows, meets no sum of it."""
    rows = 40 if target == "native" else 4
    w = _draw(37, 70)
    session = _open(_product("casts", [rows], w), tmp_path / "model.so", _hero(target, rows), target=target, threads=1)
    x = _draw(rows, 37, seed=1)
    x[0, 36], x[1, 0], x[3] = np.nan, np.inf, -np.inf
    session.run(None, {"x": np.full((rows, 37), np.nan, np.float32)})
    found = session.run(None, {"x": x})[0]
    assert np.isnan(found[0]).all() and not np.isfinite(found[[1, 3]]).any()
    rest = [2, *range(4, rows)]
    _check(found[rest], x[rest], w)


def test_a_layer_after_another_reads_rounded_numbers(tmp_path):
    """In a model of bf16 what a layer reads is rounded, though nothing in between is."""
    first, second = _draw(64, 64) / 8, _draw(64, 64, seed=4) / 8
    nodes = [_rounded()[0], helper.make_node("MatMul", ["narrow", "a"], ["h"]), helper.make_node("Tanh", ["h"], ["t"]), helper.make_node("MatMul", ["t", "b"], ["z"]),
             helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT)]
    model = _model(nodes, [9, 64], {"a": first.astype(BF16), "b": second.astype(BF16)})
    x = _draw(9, 64, seed=1)
    hidden = _round(np.tanh(_round(x) @ _round(first)))
    found = _open(model, tmp_path / "model.so").run(None, {"x": x})[0]
    np.testing.assert_allclose(found, hidden @ _round(second), rtol=0.02, atol=0.02)
    wanted = _open(model, tmp_path / "reference.so", opt_level=0).run(None, {"x": x})[0]
    np.testing.assert_allclose(found, wanted, rtol=0.02, atol=0.02)


def test_without_the_form(tmp_path):
    import onager

    report = []
    onager.compile(_product("casts", [1], _draw(64, 64)), tmp_path / "model.so", report=report, bf16=False)
    assert "bf16_gemm" not in report[0] and "products with weights of bf16" not in report[0]


@pytest.mark.parametrize("weights", ["inexact", "computed"])
def test_other_numbers_stay_as_they_are(weights, tmp_path):
    """Weights that bf16 cannot hold, and a left operand that nobody rounded."""
    w, x = _draw(64, 64), _draw(1, 64, seed=1)
    nodes = [*(_rounded() if weights == "inexact" else []), helper.make_node("MatMul", ["wide" if weights == "inexact" else "x", "w"], ["y"])]
    model = _model(nodes, [1, 64], {"w": w if weights == "inexact" else _round(w)})
    found = _open(model, tmp_path / "model.so").run(None, {"x": x})[0]
    wanted = (_round(x) if weights == "inexact" else x).astype(np.float64) @ (w if weights == "inexact" else _round(w))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_threads_change_nothing(tmp_path):
    import onager

    artifact = onager.compile(_product("casts", ["N"], _draw(300, 500)), tmp_path / "model.so")
    x = _draw(250, 300, seed=1)
    results = [onager.InferenceSession(artifact, threads=threads).run(None, {"x": x})[0] for threads in (1, 2, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("seed", range(6))
def test_random_sizes(seed, tmp_path):
    draw = np.random.default_rng(seed)
    depth, columns, rows = (int(draw.integers(low, limit)) for low, limit in ((16, 300), (16, 200), (1, 8 if seed % 2 else 150)))
    form, target = draw.choice(["casts", "constants", "bf16"]), str(draw.choice(TARGETS))
    print(f"seed {seed}: {rows} x {depth} x {columns}, {form}, {target}")
    w, x = _draw(depth, columns, seed=seed), _draw(rows, depth, seed=seed + 1)
    for dims in (["N"], [rows]):
        _check(_open(_product(form, dims, w), tmp_path / "model.so", target=target).run(None, {"x": x})[0], x, w, rounds=form == "bf16")
